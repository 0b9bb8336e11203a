/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#if defined(__SANITIZE_THREAD__)
#define SLOW_BUILD 8
#elif defined(__SANITIZE_ADDRESS__)
#define SLOW_BUILD 3
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLOW_BUILD 8
#elif __has_feature(address_sanitizer)
#define SLOW_BUILD 3
#endif
#endif
#ifndef SLOW_BUILD
#define SLOW_BUILD 1
#endif

extern char **environ;

/* ------------------------------------------------------------------------------------------------ environment */

bool support_is_valgrind(void)
{
  return RUNNING_ON_VALGRIND;
}

static bool checked;   /* under a checker that cannot be found out about otherwise, such as compute-sanitizer */

bool support_is_checked(void)
{
  return checked;
}

bool support_is_instrumented(void)
{
  return SLOW_BUILD > 1 || RUNNING_ON_VALGRIND || checked;
}

static unsigned slowness(void)
{
  return RUNNING_ON_VALGRIND ? 40 : checked ? 8 : SLOW_BUILD;
}

size_t support_scaled(size_t count)
{
  const size_t scaled = count / slowness();
  return scaled ? scaled : 1;
}

support_backend *support_find_backend(support_backend backends[SUPPORT_BACKENDS], const char *name)
{
  for (size_t i = 0; i < SUPPORT_BACKENDS; i++)
    if (!strcmp(backends[i].name, name)) return &backends[i];
  return NULL;
}

/* Set one flag of each backend that the list in \p variable names. */
static void read_list(support_backend backends[SUPPORT_BACKENDS], const char *variable, const char *otherwise,
                      bool required)
{
  const char *value = getenv(variable);
  char list[256];
  snprintf(list, sizeof list, "%s", value ? value : otherwise);
  char *rest = NULL;
  for (char *name = strtok_r(list, " ,", &rest); name; name = strtok_r(NULL, " ,", &rest)) {
    support_backend *backend = support_find_backend(backends, name);
    if (!backend) {
      fprintf(stderr, "%s names a backend \"%s\": there are \"cpu\" and \"cuda\"\n", variable, name);
      exit(2);
    }
    if (required) backend->required = true;
    backend->wanted = true;
  }
}

static void clear_variables(void)
{
  for (char **entry = environ; *entry;) {
    const char *equals = strchr(*entry, '=');
    char name[128];
    if (!equals || strncmp(*entry, "GPUQUEUE_", 9) || (size_t)(equals - *entry) >= sizeof name) {
      entry++;
      continue;
    }
    memcpy(name, *entry, (size_t)(equals - *entry));
    name[equals - *entry] = 0;
    unsetenv(name);   /* moves the following entries up: look at this place again */
  }
}

void support_read_environment(support_backend backends[SUPPORT_BACKENDS])
{
  memset(backends, 0, SUPPORT_BACKENDS * sizeof *backends);
  backends[0].name = "cpu", backends[0].value = GQ_BACKEND_CPU;
  backends[1].name = "cuda", backends[1].value = GQ_BACKEND_CUDA;
  read_list(backends, "GPUQUEUE_TEST_BACKENDS", "cpu cuda", false);
  read_list(backends, "GPUQUEUE_TEST_REQUIRE", "", true);
  checked = getenv("GPUQUEUE_TEST_CHECKER") != NULL;
  clear_variables();
  gq_system_info info = { .size = sizeof info };
  if (gq_get_system_info(&info) != GQ_OK) {
    fprintf(stderr, "gq_get_system_info: %s\n", gq_last_error());
    exit(2);
  }
  backends[0].usable = info.cpu_usable != 0;
  snprintf(backends[0].reason, sizeof backends[0].reason, "%s", info.cpu_reason);
  backends[1].usable = info.cuda_usable != 0;
  snprintf(backends[1].reason, sizeof backends[1].reason, "%s", info.cuda_reason);
}

/* --------------------------------------------------------------------------------------------------- payloads */

uint64_t support_next(support_random *random)   /* splitmix64 (Steele, Lea and Flood, OOPSLA 2014) */
{
  uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t support_below(support_random *random, uint64_t bound)
{
  return support_next(random) % bound;
}

uint64_t support_mix(uint64_t a, uint64_t b, uint64_t c)
{
  support_random random = { a };
  random.state = support_next(&random) ^ b;
  random.state = support_next(&random) ^ c;
  return support_next(&random);
}

void support_fill(void *data, size_t size, uint64_t seed)
{
  support_random random = { seed };
  unsigned char *out = data;
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = support_next(&random);
    memcpy(out + i, &word, size - i < 8 ? size - i : 8);
  }
}

size_t support_compare(const void *data, size_t size, uint64_t seed)
{
  support_random random = { seed };
  const unsigned char *in = data;
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = support_next(&random);
    const size_t step = size - i < 8 ? size - i : 8;
    if (!memcmp(in + i, &word, step)) continue;
    for (size_t k = 0; k < step; k++)
      if (in[i + k] != ((const unsigned char *)&word)[k]) return i + k;
  }
  return size;
}

/* ------------------------------------------------------------------------------------------------------- time */

int64_t support_now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * SUPPORT_SECOND + now.tv_nsec;
}

void support_sleep_us(uint64_t us)
{
  struct timespec time = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
  while (nanosleep(&time, &time) && errno == EINTR) continue;
}

size_t support_count_entries(const char *path)
{
  DIR *directory = opendir(path);
  size_t count = 0;
  if (!directory) return 0;
  while (readdir(directory)) count++;
  closedir(directory);
  return count;
}

/* --------------------------------------------------------------------------------------------------- watchdog */

#define WATCHED 64

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread;
  bool running, stop;
  const char *what;
  unsigned seconds;
  struct { gq_queue *queue; const char *name; } queues[WATCHED];
} watchdog = { .lock = PTHREAD_MUTEX_INITIALIZER };

void support_dump_stats(gq_queue *queue, const char *name)
{
  gq_statistics s = { .size = sizeof s };
  if (gq_stats(queue, &s) != GQ_OK) {
    dprintf(STDERR_FILENO, "  %s: no statistics: %s\n", name, gq_last_error());
    return;
  }
  dprintf(STDERR_FILENO,
          "  %s (%s): enqueued %" PRIu64 ", completed %" PRIu64 ", failed %" PRIu64 ", cancelled %" PRIu64
          ", retried %" PRIu64 ", rejected_full %" PRIu64 ", depth %" PRIu64 ", in_flight %" PRIu64
          ", unread %" PRIu64 ", parks %" PRIu64 ", relaunches %" PRIu64 ", bytes in %" PRIu64 " out %" PRIu64 "\n",
          name, gq_describe(queue), s.enqueued, s.completed, s.failed, s.cancelled, s.retried, s.rejected_full,
          s.depth, s.in_flight, s.unread, s.parks, s.relaunches, s.bytes_in, s.bytes_out);
}

static void *watchdog_main(void *unused)
{
  (void)unused;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  pthread_mutex_lock(&watchdog.lock);
  until.tv_sec += watchdog.seconds;
  int rc = 0;
  while (!watchdog.stop && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&watchdog.wake, &watchdog.lock, &until);
  if (!watchdog.stop) {
    dprintf(STDERR_FILENO, "watchdog: %s is not done after %u s\n", watchdog.what, watchdog.seconds);
    for (size_t i = 0; i < WATCHED; i++)
      if (watchdog.queues[i].queue) support_dump_stats(watchdog.queues[i].queue, watchdog.queues[i].name);
    if (getenv("TEST_ABORT_ON_HANG")) abort();   /* for a core file to look into */
    _exit(1);
  }
  pthread_mutex_unlock(&watchdog.lock);
  return NULL;
}

void watchdog_start(const char *what, unsigned seconds)
{
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&watchdog.wake, &attributes);
  pthread_condattr_destroy(&attributes);
  watchdog.what = what;
  watchdog.seconds = slowness() > 1 ? seconds * 4 : seconds;
  watchdog.stop = false;
  if (pthread_create(&watchdog.thread, NULL, watchdog_main, NULL)) {
    fprintf(stderr, "watchdog: no thread: %s\n", strerror(errno));
    exit(2);
  }
  watchdog.running = true;
}

void watchdog_stop(void)
{
  if (!watchdog.running) return;
  pthread_mutex_lock(&watchdog.lock);
  watchdog.stop = true;
  pthread_cond_signal(&watchdog.wake);
  pthread_mutex_unlock(&watchdog.lock);
  pthread_join(watchdog.thread, NULL);
  pthread_cond_destroy(&watchdog.wake);
  watchdog.running = false;
}

void watchdog_watch(gq_queue *queue, const char *name)
{
  pthread_mutex_lock(&watchdog.lock);
  for (size_t i = 0; i < WATCHED; i++) {
    if (watchdog.queues[i].queue) continue;
    watchdog.queues[i].queue = queue;
    watchdog.queues[i].name = name;
    break;
  }
  pthread_mutex_unlock(&watchdog.lock);
}

void watchdog_forget(gq_queue *queue)
{
  pthread_mutex_lock(&watchdog.lock);
  for (size_t i = 0; i < WATCHED; i++)
    if (watchdog.queues[i].queue == queue) watchdog.queues[i].queue = NULL;
  pthread_mutex_unlock(&watchdog.lock);
}
