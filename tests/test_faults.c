/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that misbehave, one process for each: a GPU is lost to the process that faults on it.
 *
 *     test_faults                  every case on every backend
 *     test_faults CASE BACKEND     one of them, in this process
 *
 * What is promised is in doc/misbehaving.md. Exit status 0; 1 if something else happened; 2 on usage; 77 if no backend
 * could run. */
#define _GNU_SOURCE
#include "support.h"

#include <gpuqueue/handler.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIPPED 77
#define CASE_SECONDS 40   /* a CUDA context takes its time, and so does ending a process with a kernel that loops */
#define EARLIER 40        /* messages that have finished before the bad one is sent */
#define LATER 40          /* and some that are under way with it */
#define MESSAGE_BYTES 40
#define TAG 4711

#if defined(__x86_64__)
#define CPU_DIVISION GQ_FAILED
#else
#define CPU_DIVISION GQ_OK   /* Arm divides by zero without a fault, and so does a GPU */
#endif

typedef struct fault_case {
  const char *name;
  const char *handler;
  char what;                 /* the bad message's first byte */
  gq_scope scope;
  uint32_t stall_ms, attempts;
  gq_status on_cpu, on_cuda; /* how the bad message ends */
  int32_t code;              /* of GQ_FAILED */
  unsigned how;
  uint32_t large_bytes;      /* not 0: the bad message's size, and that of some good ones that are sent around it */
} fault_case;

enum {
  CRASHES = 1,               /* by a signal, on the CPU */
  UNGUARDED = 2,             /* CPU only: the process is to die of it */
  IN_A_BATCH = 4             /* sent in one call with those around it, and all are run in order, by one worker on the CPU:
                                there those before it have their results whatever it does */
};

#define PLAIN "test_misbehave"
#define SHORT "test_misbehave_short"

static const fault_case cases[] = {
  { "a_result_too_big", PLAIN, 'b', GQ_SCOPE_THREAD, 0, 1, GQ_RESULT_TOO_LARGE, GQ_RESULT_TOO_LARGE, 0, 0, 0 },
  { "a_result_too_big_in_a_warp", PLAIN, 'b', GQ_SCOPE_WARP, 0, 1, GQ_RESULT_TOO_LARGE, GQ_RESULT_TOO_LARGE, 0, 0, 0 },
  { "a_code", PLAIN, 'c', GQ_SCOPE_THREAD, 0, 1, GQ_FAILED, GQ_FAILED, 7, 0, 0 },
  { "a_code_in_a_block", PLAIN, 'c', GQ_SCOPE_BLOCK, 0, 1, GQ_FAILED, GQ_FAILED, 7, 0, 0 },
  { "a_retry_that_helps", PLAIN, 'r', GQ_SCOPE_THREAD, 0, 3, GQ_OK, GQ_OK, 0, 0, 0 },
  { "a_retry_too_many", PLAIN, 'r', GQ_SCOPE_THREAD, 0, 2, GQ_FAILED, GQ_FAILED, GQ_RETRY, 0, 0 },
  { "a_division_by_zero", PLAIN, 'z', GQ_SCOPE_THREAD, 0, 3, CPU_DIVISION, GQ_OK, GQ_CODE_ARITHMETIC, CRASHES, 0 },
  { "a_wild_write", PLAIN, 'w', GQ_SCOPE_THREAD, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES, 0 },
  { "a_wild_write_unguarded", PLAIN, 'w', GQ_SCOPE_THREAD, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0,
    CRASHES | UNGUARDED, 0 },
  { "a_wild_write_of_a_short_handler", SHORT, 'w', GQ_SCOPE_THREAD, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES,
    0 },
  { "a_wild_write_in_a_batch", SHORT, 'w', GQ_SCOPE_THREAD, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0,
    CRASHES | IN_A_BATCH, 0 },
  { "a_division_by_zero_in_a_batch", SHORT, 'z', GQ_SCOPE_THREAD, 0, 3, CPU_DIVISION, GQ_OK, GQ_CODE_ARITHMETIC,
    CRASHES | IN_A_BATCH, 0 },
  { "a_retry_too_many_in_a_batch", SHORT, 'r', GQ_SCOPE_THREAD, 0, 2, GQ_FAILED, GQ_FAILED, GQ_RETRY, IN_A_BATCH, 0 },
  { "a_wild_write_in_a_warp", PLAIN, 'w', GQ_SCOPE_WARP, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES, 0 },
  { "a_wild_write_in_a_block", PLAIN, 'w', GQ_SCOPE_BLOCK, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES, 0 },
  { "a_stack_used_up", PLAIN, 's', GQ_SCOPE_THREAD, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES, 0 },
  { "an_endless_loop", PLAIN, 'l', GQ_SCOPE_THREAD, 200, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, 0, 0 },
  { "an_endless_loop_of_a_short_handler", SHORT, 'l', GQ_SCOPE_THREAD, 200, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, 0,
    0 },
  { "an_endless_loop_in_a_block", PLAIN, 'l', GQ_SCOPE_BLOCK, 200, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, 0, 0 },
  /* What a whole warp runs in scope auto, gq_run_wide() in cuda/serve.cuh, while other messages of the same warp have
   * been run and not yet posted, or are still to be run. */
  { "a_large_result_too_big", PLAIN, 'b', GQ_SCOPE_AUTO, 0, 1, GQ_RESULT_TOO_LARGE, GQ_RESULT_TOO_LARGE, 0, 0, 8192 },
  { "a_wild_write_in_a_large_message", PLAIN, 'w', GQ_SCOPE_AUTO, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES,
    9000 },
  { "a_large_wild_write_if_short", SHORT, 'w', GQ_SCOPE_AUTO, 0, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, CRASHES,
    100004 },
  { "an_endless_loop_in_a_large_message", PLAIN, 'l', GQ_SCOPE_AUTO, 200, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, 0,
    8192 },
  { "a_large_endless_loop_if_short", SHORT, 'l', GQ_SCOPE_AUTO, 200, 1, GQ_DEVICE_LOST, GQ_DEVICE_LOST, 0, 0, 9000 },
};
#define CASES (sizeof cases / sizeof *cases)

/* ----------------------------------------------------------------------------------------- one case, in its process */

static const char *case_name, *backend_name;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void complain(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "test_faults: %s on %s: ", case_name, backend_name);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " (last error: %s)\n", gq_last_error());
  va_end(arguments);
  _exit(1);   /* at once, whatever a kernel or thread is doing */
}

static void expect(const char *call, gq_status got, gq_status expected)
{
  if (got != expected) complain("%s gave %s, not %s", call, gq_status_name(got), gq_status_name(expected));
}
#define EXPECT(call, expected) expect(#call, (call), (expected))

static gq_queue *open_queue(gq_backend backend, const char *handler, const fault_case *c)
{
  gq_queue *queue = NULL;
  gq_options options;
  EXPECT(gq_options_init(&options), GQ_OK);
  options.backend = backend;
  options.handler = handler;
  options.workers = c && (c->how & IN_A_BATCH) && backend == GQ_BACKEND_CPU ? 1 : 2;
  if (c) {
    options.ordered = (c->how & IN_A_BATCH) != 0;
    options.guard = !(c->how & UNGUARDED);
    options.scope = c->scope;
    options.attempts = c->attempts;
    if (c->stall_ms) options.stall_ms = c->stall_ms;
    if (c->large_bytes) options.sms = 2;   /* few warps, so that several messages come to one */
  }
  EXPECT(gq_init(&queue, &options), GQ_OK);
  return queue;
}

#define MOST_BYTES 100004
static uint32_t good_bytes(const fault_case *c, uint64_t number)
{
  return c && c->large_bytes && number % 2 ? c->large_bytes : MESSAGE_BYTES;
}

static uint32_t bad_bytes(const fault_case *c)
{
  return c->large_bytes ? c->large_bytes : 1;
}

/* What good message \p number holds, or with another \p what a bad one. */
static void fill(unsigned char *data, uint32_t size, uint64_t number, char what)
{
  support_fill(data, size, number);
  data[0] = (unsigned char)what;
}

static gq_status try_send_good(gq_queue *queue, uint64_t number, const fault_case *c, uint64_t *id)
{
  static unsigned char data[MOST_BYTES];
  const gq_message message = { .data = data, .size = good_bytes(c, number) };
  fill(data, good_bytes(c, number), number, 'g');
  return gq_enqueue(queue, &message, SUPPORT_LONG, id);
}

/* The bad message in one call with LATER good ones, half of them before it. */
static void send_batch(gq_queue *queue, const gq_message *bad, uint64_t *later, uint64_t *bad_id)
{
  static unsigned char data[LATER][MESSAGE_BYTES];
  gq_message messages[LATER + 1];
  uint64_t ids[LATER + 1];
  size_t done = 0;
  for (size_t i = 0; i <= LATER; i++) {
    const size_t number = i - (i > LATER / 2);
    if (i == LATER / 2) {
      messages[i] = *bad;
      continue;
    }
    fill(data[number], MESSAGE_BYTES, number, 'g');
    messages[i] = (gq_message){ .data = data[number], .size = MESSAGE_BYTES };
  }
  EXPECT(gq_enqueue_batch(queue, messages, LATER + 1, SUPPORT_LONG, ids, &done), GQ_OK);
  *bad_id = ids[LATER / 2];
  for (size_t i = 0; i < LATER; i++) later[i] = ids[i + (i >= LATER / 2)];
}

static uint64_t send_good(gq_queue *queue, uint64_t number)
{
  uint64_t id = 0;
  EXPECT(try_send_good(queue, number, NULL, &id), GQ_OK);
  return id;
}

/* Take the result of a good message: right, or not there because the queue is lost; never wrong. */
static gq_status take_good(gq_queue *queue, uint64_t id, uint64_t number, const fault_case *c)
{
  static unsigned char data[MOST_BYTES], right[MOST_BYTES];
  size_t size = sizeof data;
  const gq_status status = gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG);
  fill(right, good_bytes(c, number), number, 'g');
  if (status == GQ_OK && (size != good_bytes(c, number) || memcmp(data, right, size)))
    complain("the result of message %#" PRIx64 " is wrong", id);
  return status;
}

static gq_status take_bad(gq_queue *queue, uint64_t id, const fault_case *c)
{
  unsigned char data[MESSAGE_BYTES];
  size_t size = sizeof data;
  const gq_status status = gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG);
  int32_t code;
  uint32_t attempts;
  if (status != GQ_FAILED) return status;
  gq_last_failure(&code, &attempts);
  if (code != c->code) complain("the code is %d, not %d", code, c->code);
  if (attempts != (c->what == 'r' ? c->attempts : 1)) complain("it took %u attempts", attempts);
  return status;
}

/* Everything that is promised of a queue that is lost and has no more results to give. */
static void check_lost(gq_queue *queue, uint64_t bad, const char *text, const fault_case *c, int event_fd)
{
  const gq_message message = { .data = "x", .size = 1 };
  char named[32];
  uint64_t id;
  size_t count = 0;
  gq_completion completion, suspects[1 + LATER];
  snprintf(named, sizeof named, " %#" PRIx64, bad);
  if (!strstr(text, c->handler)) complain("the error does not name %s", c->handler);
  EXPECT(gq_list_suspects(queue, suspects, 1 + LATER, &count), GQ_OK);
  if (count <= 8 && !strstr(text, named)) complain("the error does not name message %s", named);
  if (count > 1 + LATER) complain("%zu suspects of %d messages", count, 1 + LATER);
  size_t at = 0;
  while (at < count && suspects[at].id != bad) at++;
  if (at == count) complain("the bad message %s is not among the %zu suspects", named, count);
  static unsigned char payload[MOST_BYTES], right[MOST_BYTES];
  size_t size = sizeof payload;
  EXPECT(gq_completion_payload(queue, &suspects[at], payload, &size), GQ_OK);
  fill(right, bad_bytes(c), TAG, c->what);
  if (size != bad_bytes(c) || memcmp(payload, right, size) || suspects[at].tag != TAG)
    complain("the suspect is not what was sent");
  if (!strcmp(backend_name, "cpu") && count != 1) complain("%zu suspects", count);
  const int64_t before = support_now_ns();
  EXPECT(gq_enqueue(queue, &message, GQ_FOREVER, &id), GQ_DEVICE_LOST);
  EXPECT(gq_drain(queue, GQ_FOREVER), GQ_DEVICE_LOST);
  EXPECT(gq_wait(queue, &completion, 1, GQ_FOREVER, &count), GQ_DEVICE_LOST);
  struct pollfd event = { .fd = event_fd, .events = POLLIN };
  if (poll(&event, 1, 2000) != 1) complain("the event descriptor is not readable");
  if (support_now_ns() - before > 2 * SUPPORT_SECOND) complain("calls on a lost queue took long");
}

/* The process goes on: on the CPU always, on the GPU unless it was lost, and then it is told. */
static void check_that_life_goes_on(gq_backend backend, bool lost)
{
  gq_queue *queue = NULL;
  if (backend == GQ_BACKEND_CUDA && lost) {
    gq_options options;
    EXPECT(gq_options_init(&options), GQ_OK);
    options.backend = GQ_BACKEND_CUDA;
    EXPECT(gq_init(&queue, &options), GQ_NO_BACKEND);
    if (!strstr(gq_last_error(), "of this process")) complain("the error does not speak of this process");
    backend = GQ_BACKEND_CPU;
  }
  queue = open_queue(backend, "echo", NULL);
  EXPECT(take_good(queue, send_good(queue, 999), 999, NULL), GQ_OK);
  EXPECT(gq_shutdown(queue, SUPPORT_LONG), GQ_OK);
}

static int run_case(const fault_case *c, const support_backend *backend)
{
  const gq_status expected = backend->value == GQ_BACKEND_CUDA ? c->on_cuda : c->on_cpu;
  const bool lost = expected == GQ_DEVICE_LOST;
  static unsigned char data[MOST_BYTES];
  const gq_message message = { .data = data, .size = bad_bytes(c), .tag = TAG };
  uint64_t earlier[EARLIER], later[LATER], bad = 0, sent = 0;
  gq_queue *queue = open_queue(backend->value, c->handler, c);
  const int event_fd = gq_event_fd(queue);
  for (uint64_t i = 0; i < EARLIER; i++) earlier[i] = send_good(queue, i);
  EXPECT(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  fill(data, bad_bytes(c), TAG, c->what);
  while (c->large_bytes && sent < LATER / 2)   /* not waited for: so that some are with the bad one in its warp */
    EXPECT(try_send_good(queue, sent, c, &later[sent]), GQ_OK), sent++;
  const int64_t before = support_now_ns();
  if (c->how & IN_A_BATCH) send_batch(queue, &message, later, &bad), sent = LATER;
  else EXPECT(gq_enqueue(queue, &message, SUPPORT_LONG, &bad), GQ_OK);
  while (sent < LATER && try_send_good(queue, sent, c, &later[sent]) == GQ_OK) sent++;   /* it may be known by now */
  if (!lost && sent < LATER) complain("only %" PRIu64 " messages could be sent around the bad one", sent);
  EXPECT(take_bad(queue, bad, c), expected);
  const double took = (double)(support_now_ns() - before) * 1e-9;
  char text[1024];
  snprintf(text, sizeof text, "%s", expected == GQ_OK ? "its result came" : gq_last_error());
  if (took > 2 + c->stall_ms * 1e-3) complain("it took %.3f s to say so", took);
  for (uint64_t i = 0; i < EARLIER; i++) EXPECT(take_good(queue, earlier[i], i, NULL), GQ_OK);   /* lost or not */
  for (uint64_t i = 0; i < sent; i++) {
    const gq_status status = take_good(queue, later[i], i, c);
    const bool surely = (c->how & IN_A_BATCH) && backend->value == GQ_BACKEND_CPU && i < LATER / 2;
    if (status != GQ_OK && !(lost && status == GQ_DEVICE_LOST && !surely))
      complain("message %" PRIu64 " around the bad one ended in %s", i, gq_status_name(status));
  }
  if (lost) check_lost(queue, bad, text, c, event_fd);
  else EXPECT(take_good(queue, send_good(queue, 7), 7, NULL), GQ_OK);
  EXPECT(gq_shutdown(queue, SUPPORT_LONG), lost ? GQ_DEVICE_LOST : GQ_OK);
  check_that_life_goes_on(backend->value, lost);
  printf("  %-36s %s after %.3f s: %s\n", c->name, gq_status_name(expected), took, text);
  return 0;
}

/* -------------------------------------------------------------------------------------------------- all of them */

/* Run one case in a process of its own. \return NULL if it went as promised, or what went wrong. */
static const char *run_apart(const char *program, const fault_case *c, const support_backend *backend)
{
  static char wrong[128];
  const int64_t begin = support_now_ns();
  int status = 0;
  const pid_t child = fork();
  if (child < 0) return "fork failed";
  if (child == 0) {
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);   /* it is meant to crash */
    execl(program, program, c->name, backend->name, (char *)NULL);
    _exit(2);
  }
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (support_now_ns() - begin > CASE_SECONDS * SUPPORT_SECOND) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      snprintf(wrong, sizeof wrong, "not done after %d s", CASE_SECONDS);
      return wrong;
    }
    support_sleep_us(1000);
  }
  if (c->how & UNGUARDED)
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? NULL : "the process did not die of SIGSEGV";
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return NULL;
  snprintf(wrong, sizeof wrong, WIFSIGNALED(status) ? "killed by signal %d" : "exit status %d",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return wrong;
}

static bool applies(const fault_case *c, const support_backend *backend)
{
  if (backend->value == GQ_BACKEND_CUDA) return !(c->how & UNGUARDED);
  return !((c->how & CRASHES) && support_is_instrumented());   /* a sanitizer reports it, and ends the process itself */
}

static int run_all(const char *program, support_backend *backends)
{
  int ran = 0, failed = 0;
  for (size_t b = 0; b < SUPPORT_BACKENDS; b++) {
    const support_backend *backend = &backends[b];
    if (!backend->wanted) continue;
    if (!backend->usable) {
      printf("test_faults on %s: %s: %s\n", backend->name, backend->required ? "FAILED, required" : "skipped",
             backend->reason);
      failed += backend->required;
      continue;
    }
    printf("test_faults on %s:\n", backend->name);
    for (size_t i = 0; i < CASES; i++) {
      if (!applies(&cases[i], backend)) {
        printf("  %-36s not run %s\n", cases[i].name, cases[i].how & UNGUARDED ? "here" : "under a sanitizer");
        continue;
      }
      fflush(stdout);
      const char *wrong = run_apart(program, &cases[i], backend);
      if (wrong) printf("  %-36s FAILED: %s\n", cases[i].name, wrong);
      else if (cases[i].how & UNGUARDED) printf("  %-36s the process died of it, as it should\n", cases[i].name);
      failed += wrong != NULL;
      ran++;
    }
  }
  if (failed) printf("test_faults: %d failed\n", failed);
  if (failed) return 1;
  return ran ? 0 : EXIT_SKIPPED;
}

int main(int argc, char **argv)
{
  static support_backend backends[SUPPORT_BACKENDS];
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc != 1 && argc != 3) {
    fprintf(stderr, "usage: test_faults [CASE BACKEND]\n");
    return 2;
  }
  if (argc == 1) {
    support_read_environment(backends);
    return run_all("/proc/self/exe", backends);
  }
  for (size_t i = 0; i < CASES; i++) {
    support_backend backend = { .name = argv[2], .value = strcmp(argv[2], "cuda") ? GQ_BACKEND_CPU : GQ_BACKEND_CUDA };
    case_name = argv[1], backend_name = argv[2];
    if (!strcmp(cases[i].name, argv[1])) return run_case(&cases[i], &backend);
  }
  fprintf(stderr, "test_faults: there is no case '%s'\n", argv[1]);
  return 2;
}
