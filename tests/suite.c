/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "suite.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_PER_TEST 60
#define MOST_QUEUES 64
#define MOST_THREADS 64
#define EXIT_SKIPPED 77   /* automake's word for it */

static const support_backend *current_backend;

static struct {
  struct { gq_queue *queue, *owner; } queues[MOST_QUEUES];   /* in the order of opening: a lane after its queue */
  size_t queue_count;
  pthread_t threads[MOST_THREADS];
  size_t thread_count;
} open_things;

static struct {
  pthread_mutex_t lock;
  bool noted;
  char text[512];
} blame = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --------------------------------------------------------------------------------------------------- the frame */

static void before_test(void)
{
  open_things.queue_count = open_things.thread_count = 0;
  blame.noted = false;
  watchdog_start(tcase_name(), SECONDS_PER_TEST);
}

/* Also runs after a failed test, whose threads may still be inside a queue. */
static void after_test(void)
{
  for (size_t i = 0; i < open_things.queue_count; i++)
    if (open_things.thread_count) gq_close(open_things.queues[i].queue);
  for (size_t i = 0; i < open_things.thread_count; i++) pthread_join(open_things.threads[i], NULL);
  open_things.thread_count = 0;
  while (open_things.queue_count) suite_shutdown(open_things.queues[open_things.queue_count - 1].queue, 0);
  watchdog_stop();
}

static int run_tests(const char *program, const suite_test *tests, size_t count, bool once, int *ran)
{
  char name[128];
  snprintf(name, sizeof name, "%s on %s", program, current_backend ? current_backend->name : "no backend");
  Suite *suite = suite_create(name);
  size_t chosen = 0;
  for (size_t i = 0; i < count; i++) {
    if (tests[i].once != once) continue;
    TCase *tcase = tcase_create(tests[i].name);
    tcase_add_checked_fixture(tcase, before_test, after_test);
    tcase_add_test(tcase, *tests[i].test);
    suite_add_tcase(suite, tcase);
    chosen++;
  }
  SRunner *runner = srunner_create(suite);
  srunner_set_fork_status(runner, CK_NOFORK);
  int failed = 0;
  if (chosen) {
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    *ran += srunner_ntests_run(runner);
    printf("%s: %d run, %d failed\n", name, srunner_ntests_run(runner), failed);
  }
  srunner_free(runner);
  return failed;
}

int suite_main(const char *program, const suite_test *tests, size_t count)
{
  static support_backend backends[SUPPORT_BACKENDS];
  setvbuf(stdout, NULL, _IOLBF, 0);
  support_read_environment(backends);
  int ran = 0, failed = run_tests(program, tests, count, true, &ran);
  for (size_t i = 0; i < SUPPORT_BACKENDS; i++) {
    const support_backend *backend = &backends[i];
    if (!backend->wanted) continue;
    if (!backend->usable) {
      printf("%s on %s: %s: %s\n", program, backend->name, backend->required ? "FAILED, required" : "skipped",
             backend->reason);
      failed += backend->required;
      continue;
    }
    current_backend = backend;
    failed += run_tests(program, tests, count, false, &ran);
    current_backend = NULL;
  }
  if (failed) return EXIT_FAILURE;
  return ran ? EXIT_SUCCESS : EXIT_SKIPPED;
}

const support_backend *suite_backend(void)
{
  return current_backend;
}

bool suite_on_cuda(void)
{
  return current_backend && current_backend->value == GQ_BACKEND_CUDA;
}

/* ----------------------------------------------------------------------------------------------------- queues */

gq_options suite_options(const char *handler)
{
  gq_options options;
  assert_status(gq_options_init(&options), GQ_OK);
  if (current_backend) options.backend = current_backend->value;
  options.handler = handler;
  return options;
}

bool suite_opens_bare(const gq_handler_info *handler)
{
  const gq_argument_info *argument;
  for (size_t i = 0; (argument = gq_handler_argument(handler, i)); i++)
    if (!argument->def) return false;
  return strcmp(handler->state, "required") != 0;
}

static void remember_queue(gq_queue *queue, gq_queue *owner, const char *name)
{
  ck_assert_msg(open_things.queue_count < MOST_QUEUES, "more than %d handles in one test", MOST_QUEUES);
  open_things.queues[open_things.queue_count].queue = queue;
  open_things.queues[open_things.queue_count++].owner = owner;
  watchdog_watch(queue, name);
}

gq_queue *suite_open(const gq_options *options)
{
  gq_queue *queue = NULL;
  assert_status(gq_init(&queue, options), GQ_OK);
  ck_assert_ptr_nonnull(queue);
  remember_queue(queue, queue, "queue");
  return queue;
}

gq_queue *suite_open_lane(gq_queue *queue)
{
  gq_queue *lane = NULL;
  assert_status(gq_open_lane(queue, &lane), GQ_OK);
  ck_assert_ptr_nonnull(lane);
  ck_assert_ptr_ne(lane, queue);
  remember_queue(lane, queue, "lane");
  return lane;
}

gq_status suite_shutdown(gq_queue *queue, int64_t timeout_ns)
{
  size_t kept = 0;
  for (size_t i = 0; i < open_things.queue_count; i++)   /* the first handle takes the others with it */
    if (open_things.queues[i].queue == queue || open_things.queues[i].owner == queue)
      watchdog_forget(open_things.queues[i].queue);
    else
      open_things.queues[kept++] = open_things.queues[i];
  open_things.queue_count = kept;
  return gq_shutdown(queue, timeout_ns);
}

void suite_close(gq_queue *queue)
{
  assert_status(suite_shutdown(queue, SUPPORT_LONG), GQ_OK);
}

/* ----------------------------------------------------------------------------------------------------- checks */

void suite_assert_status(const char *call, gq_status got, gq_status expected, const char *file, int line)
{
  if (got != expected)
    _ck_assert_failed(file, line, call, "gave %s, not %s (last error: %s)", gq_status_name(got),
                      gq_status_name(expected), gq_last_error());
}

void suite_assert_error_says(const char *part, const char *file, int line)
{
  if (!strstr(gq_last_error(), part))
    _ck_assert_failed(file, line, "error text", "\"%s\" does not mention \"%s\"", gq_last_error(), part);
}

uint64_t suite_enqueue(gq_queue *queue, const void *data, size_t size)
{
  const gq_message message = { .data = data, .size = size };
  uint64_t id = 0;
  assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
  ck_assert_uint_ne(id, 0);
  return id;
}

uint64_t suite_enqueue_pattern(gq_queue *queue, size_t size, uint64_t seed)
{
  unsigned char small[1024], *data = size <= sizeof small ? small : malloc(size);
  ck_assert_ptr_nonnull(data);
  support_fill(data, size, seed);
  const uint64_t id = suite_enqueue(queue, data, size);
  memset(data, 0xa5, size);   /* the queue promised to have copied it */
  if (data != small) free(data);
  return id;
}

uint64_t suite_enqueue_sleep(gq_queue *queue, uint32_t us, uint64_t key, uint64_t tag)
{
  const unsigned char data[4] = { us & 255, (us >> 8) & 255, (us >> 16) & 255, us >> 24 };
  const gq_message message = { .data = data, .size = sizeof data, .key = key, .tag = tag };
  uint64_t id = 0;
  assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
  return id;
}

uint64_t suite_enqueue_fail(gq_queue *queue, uint8_t code, uint8_t failures, uint64_t key, uint64_t tag)
{
  const unsigned char data[2] = { code, failures };
  const gq_message message = { .data = data, .size = sizeof data, .key = key, .tag = tag };
  uint64_t id = 0;
  assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
  return id;
}

void suite_take_pattern(gq_queue *queue, uint64_t id, size_t size, uint64_t seed)
{
  unsigned char small[1024 + 64], *data = size <= 1024 ? small : malloc(size + 64);
  ck_assert_ptr_nonnull(data);
  memset(data, 0x5a, size + 64);
  size_t got = size + 32;
  assert_status(gq_dequeue_result(queue, id, data, &got, SUPPORT_LONG), GQ_OK);
  ck_assert_msg(got == size, "%zu bytes came back instead of %zu", got, size);
  const size_t wrong = support_compare(data, size, seed);
  ck_assert_msg(wrong == size, "byte %zu of %zu is wrong", wrong, size);
  for (size_t i = size; i < size + 64; i++)
    ck_assert_msg(data[i] == 0x5a, "byte %zu past the result of %zu was written", i - size, size);
  if (data != small) free(data);
}

gq_status suite_take(gq_queue *queue, uint64_t id)
{
  unsigned char data[4096];
  size_t size = sizeof data;
  return gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG);
}

gq_statistics suite_stats(gq_queue *queue)
{
  gq_statistics statistics;
  memset(&statistics, 0, sizeof statistics);
  statistics.size = sizeof statistics;
  assert_status(gq_stats(queue, &statistics), GQ_OK);
  return statistics;
}

/* ---------------------------------------------------------------------------------------------------- threads */

void suite_start(void *(*body)(void *), void *argument)
{
  ck_assert_msg(open_things.thread_count < MOST_THREADS, "more than %d threads in one test", MOST_THREADS);
  const int rc = pthread_create(&open_things.threads[open_things.thread_count], NULL, body, argument);
  ck_assert_msg(!rc, "pthread_create: %s", strerror(rc));
  open_things.thread_count++;
}

void suite_join(void)
{
  while (open_things.thread_count) pthread_join(open_things.threads[--open_things.thread_count], NULL);
  ck_assert_msg(!blame.noted, "%s", blame.text);
}

void suite_blame(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&blame.lock);
  if (!blame.noted) vsnprintf(blame.text, sizeof blame.text, format, arguments);
  blame.noted = true;
  pthread_mutex_unlock(&blame.lock);
  va_end(arguments);
}

bool suite_is_blamed(void)
{
  pthread_mutex_lock(&blame.lock);
  const bool noted = blame.noted;
  pthread_mutex_unlock(&blame.lock);
  return noted;
}

bool suite_thread_status(const char *call, gq_status got, gq_status expected, int line)
{
  if (got == expected) return true;
  suite_blame("line %d: %s gave %s, not %s (last error: %s)", line, call, gq_status_name(got),
              gq_status_name(expected), gq_last_error());
  return false;
}
