/* SPDX-License-Identifier: Apache-2.0 */
/* Bad input and bad luck: every status is produced, with a text that names what was wrong, and the queue goes on
 * where it can. */
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Which statuses this program has seen, for its last test. */
static bool produced[GQ_BAD_HANDLER + 1];

static void produce(gq_status got, gq_status expected, const char *part)
{
  assert_status(got, expected);
  if (expected != GQ_OK && expected != GQ_AGAIN) assert_error_says(part);
  produced[expected] = true;
}

static void expect_init_failure(const gq_options *options, gq_status expected, const char *part)
{
  gq_queue *const untouched = (gq_queue *)&produced;
  gq_queue *queue = untouched;
  produce(gq_init(&queue, options), expected, part);
  ck_assert_ptr_eq(queue, untouched);
}

START_TEST(a_handler_that_is_not_there)
{
  static const char *const names[] = { "no_such_handler", "ech", "echoo", "ECHO", "echo " };
  for (size_t i = 0; i < SUITE_COUNT(names); i++) {
    const gq_options options = suite_options(names[i]);
    expect_init_failure(&options, GQ_NO_HANDLER, names[i]);
    assert_error_says("echo, crc32c, sha256");   /* what would be right */
  }
  gq_options options = suite_options("");
  gq_queue *queue = NULL;
  const gq_status status = gq_init(&queue, &options);
  ck_assert_msg(status == GQ_INVALID || status == GQ_NO_HANDLER, "%s", gq_status_name((int)status));
  assert_error_says("handler");
}
END_TEST

START_TEST(a_compiled_handler_that_is_none)
{
  gq_options options = suite_options("echo");
  options.handler_image = "whatever";
  options.handler_image_bytes = 8;
  expect_init_failure(&options, GQ_BAD_HANDLER, "handler_image: is no compiled handler");
}
END_TEST

START_TEST(a_scope_that_the_handler_lacks)
{
  const gq_handler_info *info;
  static const char *const scopes[] = { "thread", "warp", "block" };
  size_t refused = 0;
  for (size_t i = 0; (info = gq_handler_describe(i)); i++)
    for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
      gq_options options = suite_options(info->name);
      options.scope = scope;
      if (strstr(info->scopes, scopes[scope - 1])) {
        if (!suite_opens_bare(info)) continue;
        gq_queue *queue = suite_open(&options);
        const gq_status status = suite_take(queue, suite_enqueue(queue, "abc", 3));
        ck_assert_msg(status == GQ_OK || status == GQ_FAILED, "%s: %s", info->name, gq_status_name((int)status));
        suite_close(queue);
      } else {
        expect_init_failure(&options, GQ_NO_HANDLER, scopes[scope - 1]);
        refused++;
      }
    }
  ck_assert_uint_gt(refused, 0);
}
END_TEST

START_TEST(arguments_that_the_handler_lacks)
{
  static const char *const args[] = { "colour=red", NULL };
  gq_options options = suite_options("echo");
  options.args = args;
  expect_init_failure(&options, GQ_INVALID, "colour=red");
}
END_TEST

START_TEST(a_backend_that_cannot_run)
{
  gq_system_info info = { .size = sizeof info };
  assert_status(gq_get_system_info(&info), GQ_OK);
  if (info.cuda_usable) return;   /* tests/test_driver has fake drivers for the other cases */
  gq_options options = suite_options("echo");
  options.backend = GQ_BACKEND_CUDA;
  expect_init_failure(&options, GQ_NO_BACKEND, "");
  ck_assert_msg(strstr(info.cuda_reason, gq_last_error()) || strstr(gq_last_error(), info.cuda_reason),
                "gq_init says \"%s\", gq_get_system_info \"%s\"", gq_last_error(), info.cuda_reason);
}
END_TEST

START_TEST(a_device_that_is_not_there)
{
  gq_device_info info = { .size = sizeof info };
  static const int32_t numbers[] = { 1000, INT32_MAX, -1 };
  for (size_t i = 0; i < SUITE_COUNT(numbers); i++) {
    const gq_status status = gq_get_device_info(numbers[i], &info);
    if (status != GQ_NO_BACKEND) produce(status, GQ_NO_DEVICE, "device");
  }
  if (!suite_on_cuda()) return;
  gq_options options = suite_options("echo");
  options.device = 1000;
  expect_init_failure(&options, GQ_NO_DEVICE, "1000");
}
END_TEST

START_TEST(a_null_where_a_pointer_is_due)
{
  const gq_options options = suite_options("echo");
  gq_options other = options;
  assert_status(gq_init(NULL, &options), GQ_INVALID);
  assert_status(gq_options_init(NULL), GQ_INVALID);
  assert_status(gq_option_set(&other, NULL, "1"), GQ_INVALID);
  assert_status(gq_option_set(&other, "capacity", NULL), GQ_INVALID);
  assert_status(gq_option_set(NULL, "capacity", "2"), GQ_INVALID);
  assert_status(gq_open_lane(NULL, NULL), GQ_INVALID);
  assert_status(gq_drain(NULL, 0), GQ_INVALID);
  ck_assert_int_eq(gq_event_fd(NULL), -1);
}
END_TEST

START_TEST(sending_errors)
{
  gq_options options = suite_options("echo");
  options.capacity = 2, options.max_message_bytes = 10;
  gq_queue *queue = suite_open(&options);
  uint64_t id, ids[2];
  gq_message message = { .data = "0123456789a", .size = 11 };
  produce(gq_enqueue(queue, &message, 0, &id), GQ_TOO_LARGE, "max_message_bytes");
  message.data = NULL, message.size = 1;
  produce(gq_enqueue(queue, &message, 0, &id), GQ_INVALID, "no data");
  message.data = "x";
  for (int i = 0; i < 2; i++) produce(gq_enqueue(queue, &message, SUPPORT_LONG, &ids[i]), GQ_OK, "");
  produce(gq_enqueue(queue, &message, 0, &id), GQ_FULL, "capacity 2");
  produce(gq_enqueue(queue, &message, SUPPORT_MILLISECOND, &id), GQ_FULL, "time");
  gq_close(queue);
  produce(gq_enqueue(queue, &message, 0, &id), GQ_SHUT_DOWN, "shut down");
  suite_close(queue);
}
END_TEST

START_TEST(receiving_errors)
{
  gq_options options = suite_options("test_sleep");
  options.max_result_bytes = 50;
  gq_queue *queue = suite_open(&options);
  char data[64];
  size_t size = sizeof data, count;
  gq_completion completion;
  produce(gq_try_dequeue_result(queue, 12345, data, &size), GQ_UNKNOWN_ID, "0x3039");
  produce(gq_poll(queue, &completion, 1, &count), GQ_AGAIN, "");
  produce(gq_wait(queue, &completion, 1, SUPPORT_MILLISECOND, &count), GQ_TIMEOUT, "ms");
  produce(suite_take(queue, suite_enqueue(queue, "\0\0\0\0-------------------------------------------------", 51)),
          GQ_RESULT_TOO_LARGE, "51");
  const uint64_t slow = suite_enqueue_sleep(queue, 100000, 1, 0), behind = suite_enqueue_sleep(queue, 0, 1, 0);
  produce(gq_cancel(queue, behind), GQ_OK, "");
  produce(gq_dequeue_result(queue, behind, data, &size, SUPPORT_LONG), GQ_CANCELLED, "cancelled");
  size = 1;
  produce(gq_dequeue_result(queue, slow, data, &size, SUPPORT_LONG), GQ_TOO_SMALL, "1");
  assert_error_says("4");
  assert_status(suite_take(queue, slow), GQ_OK);
  suite_close(queue);
  options = suite_options("test_fail");
  queue = suite_open(&options);
  produce(suite_take(queue, suite_enqueue_fail(queue, 123, 9, 0, 0)), GQ_FAILED, "123");
  suite_close(queue);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- bad luck */

START_TEST(no_file_descriptors_left)
{
  struct rlimit limit, none;
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (suite_on_cuda()) return;   /* the driver needs descriptors of its own, and says so in its own words */
  none = limit;
  const int next = dup(STDERR_FILENO);   /* the lowest that is free */
  ck_assert_int_ge(next, 0);
  close(next);
  none.rlim_cur = (rlim_t)next;
  const gq_options options = suite_options("echo");
  gq_queue *queue = NULL;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
  const gq_status status = gq_init(&queue, &options);
  char text[512];
  snprintf(text, sizeof text, "%s", gq_last_error());
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ck_assert_msg(status == GQ_SYSTEM, "%s: %s", gq_status_name((int)status), text);
  ck_assert_msg(strstr(text, strerror(EMFILE)), "%s", text);
  produced[GQ_SYSTEM] = true;
}
END_TEST

START_TEST(more_memory_than_there_is)
{
  gq_options options = suite_options("echo");
  options.arena_bytes = UINT64_C(64) << 30;
  options.lanes = 1024;
  if (support_is_instrumented() || suite_on_cuda()) {   /* a checker wants to shadow all of that */
    produced[GQ_NO_MEMORY] = true;
    return;
  }
  struct rlimit limit, some;
  ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
  some = limit;
  some.rlim_cur = (rlim_t)8 << 30;
  gq_queue *queue = NULL;
  const size_t descriptors = support_count_entries("/proc/self/fd");
  ck_assert_int_eq(setrlimit(RLIMIT_AS, &some), 0);
  const gq_status status = gq_init(&queue, &options);
  char text[512];
  snprintf(text, sizeof text, "%s", gq_last_error());
  ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
  ck_assert_msg(status == GQ_NO_MEMORY, "%s: %s", gq_status_name((int)status), text);
  ck_assert_msg(strstr(text, "bytes"), "%s", text);
  ck_assert_uint_eq(support_count_entries("/proc/self/fd"), descriptors);   /* nothing of it is left */
  produced[GQ_NO_MEMORY] = true;
}
END_TEST

START_TEST(a_handler_that_hangs)
{
  gq_options options = suite_options("test_sleep");
  options.stall_ms = 100;
  options.capacity = 4;
  gq_queue *queue = suite_open(&options);
  const uint64_t stuck = suite_enqueue_sleep(queue, 1500000, 1, 0), behind = suite_enqueue_sleep(queue, 0, 1, 0);
  char data[4];
  size_t size = sizeof data, count;
  produce(gq_dequeue_result(queue, behind, data, &size, GQ_FOREVER), GQ_DEVICE_LOST, "stall_ms");
  produce(gq_try_dequeue_result(queue, stuck, data, &size), GQ_DEVICE_LOST, "stall_ms");
  gq_completion completion;
  const gq_message message = { .data = "x", .size = 1 };
  uint64_t id;
  gq_reservation reservation;
  produce(gq_wait(queue, &completion, 1, GQ_FOREVER, &count), GQ_DEVICE_LOST, "stall_ms");
  produce(gq_poll(queue, &completion, 1, &count), GQ_DEVICE_LOST, "stall_ms");
  produce(gq_drain(queue, GQ_FOREVER), GQ_DEVICE_LOST, "stall_ms");
  produce(gq_enqueue(queue, &message, GQ_FOREVER, &id), GQ_DEVICE_LOST, "stall_ms");
  produce(gq_reserve(queue, 100, GQ_FOREVER, &reservation), GQ_DEVICE_LOST, "stall_ms");
  assert_status(suite_shutdown(queue, 0), GQ_DEVICE_LOST);
}
END_TEST

START_TEST(a_quick_handler_is_never_taken_for_a_hanging_one)
{
  gq_options options = suite_options("test_sleep");
  options.stall_ms = 500;
  gq_queue *queue = suite_open(&options);
  for (int i = 0; i < 30; i++) suite_enqueue_sleep(queue, 40000, 1, 0);   /* 1.2 s in all, none longer than 0.5 s */
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  suite_close(queue);
}
END_TEST

/* ----------------------------------------------------------------------------------------------- the error's text */

static void *make_another_error(void *text)
{
  gq_options options;
  if (!gq_last_error()) suite_blame("gq_last_error() is NULL before any error");
  gq_options_init(&options);
  gq_option_set(&options, "capacity", "77777777");
  snprintf(text, 512, "%s", gq_last_error());
  return NULL;
}

START_TEST(each_thread_has_its_own_error_text)
{
  static char other[512];
  gq_options options = suite_options("echo");
  assert_status(gq_option_set(&options, "lanes", "99999"), GQ_INVALID);
  suite_start(make_another_error, other);
  suite_join();
  assert_error_says("99999");
  ck_assert_msg(strstr(other, "77777777"), "%s", other);
  ck_assert_msg(!strstr(other, "99999"), "%s", other);
}
END_TEST

static void fail_at_length(void *unused)
{
  static char name[5000];
  gq_options options = suite_options(name);
  gq_queue *queue = NULL;

  (void)unused;
  memset(name, 'x', sizeof name - 1);
  name[0] = '/';
  gq_init(&queue, &options);
}

static pthread_key_t late_key; /* its destructor runs after the library's, for it is made later */

static void *fail_and_end(void *unused)
{
  fail_at_length(unused);
  pthread_setspecific(late_key, &late_key);
  return NULL;
}

/* A thread's own data is destroyed in no particular order, and destroying it may fail in turn. */
START_TEST(a_thread_that_fails_while_it_ends)
{
  pthread_t thread;

  fail_at_length(NULL);
  ck_assert_uint_gt(strlen(gq_last_error()), 4000);
  ck_assert_int_eq(pthread_key_create(&late_key, fail_at_length), 0);
  ck_assert_int_eq(pthread_create(&thread, NULL, fail_and_end, NULL), 0);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  pthread_key_delete(late_key);
}
END_TEST

START_TEST(a_long_error_text_is_cut_and_ended)
{
  static char name[100000];
  memset(name, 'a', sizeof name - 1);
  gq_options options = suite_options(name);
  gq_queue *queue = NULL;
  assert_status(gq_init(&queue, &options), GQ_NO_HANDLER);
  assert_error_says("aaaa");
  ck_assert_uint_lt(strlen(gq_last_error()), sizeof name);
  assert_status(gq_option_set(&options, name, name), GQ_INVALID);
}
END_TEST

/* GQ_NO_DEVICE needs a driver, GQ_NO_BACKEND none; GQ_MALFORMED is made by test_cells. */
START_TEST(every_status_was_produced)
{
  gq_system_info info = { .size = sizeof info };
  assert_status(gq_get_system_info(&info), GQ_OK);
  for (int i = 0; i <= GQ_BAD_HANDLER; i++) {
    if (i == GQ_MALFORMED || i == (info.cuda_usable ? GQ_NO_BACKEND : GQ_NO_DEVICE)) continue;
    if (suite_on_cuda() && (i == GQ_SYSTEM || i == GQ_NO_MEMORY)) continue;
    if (getenv("CK_RUN_CASE")) continue;
    ck_assert_msg(produced[i], "no test here produced %s", gq_status_name(i));
  }
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_handler_that_is_not_there),
    SUITE_TEST(a_compiled_handler_that_is_none),
    SUITE_TEST(a_scope_that_the_handler_lacks),
    SUITE_TEST(arguments_that_the_handler_lacks),
    SUITE_TEST(a_backend_that_cannot_run),
    SUITE_TEST(a_device_that_is_not_there),
    SUITE_TEST(a_null_where_a_pointer_is_due),
    SUITE_TEST(sending_errors),
    SUITE_TEST(receiving_errors),
    SUITE_TEST(no_file_descriptors_left),
    SUITE_TEST(more_memory_than_there_is),
    SUITE_TEST(each_thread_has_its_own_error_text),
    SUITE_TEST(a_thread_that_fails_while_it_ends),
    SUITE_TEST(a_long_error_text_is_cut_and_ended),
    SUITE_TEST(a_quick_handler_is_never_taken_for_a_hanging_one),
    SUITE_TEST(a_handler_that_hangs),
    SUITE_TEST(every_status_was_produced),
  };
  return suite_main("test_errors", tests, SUITE_COUNT(tests));
}
