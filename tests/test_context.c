/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler is given besides its messages is what the options say: arguments, state, memory for each message, and
 * an init that runs once before all of them. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuqueue/handler.h>

/* Room for what test_context gives back. */
typedef struct reply_of {
  uint8_t data[128];
  size_t size;
} reply_of;

static reply_of ask(gq_queue *queue, const void *data, size_t size)
{
  reply_of r = { .size = sizeof r.data };
  assert_status(gq_dequeue_result(queue, suite_enqueue(queue, data, size), r.data, &r.size, SUPPORT_LONG), GQ_OK);
  return r;
}

/* The answer to a message of one byte, which is a number. */
static unsigned long long ask_number(gq_queue *queue, uint8_t what)
{
  reply_of r = ask(queue, &what, 1);
  ck_assert_uint_lt(r.size, sizeof r.data);
  r.data[r.size] = '\0';
  return strtoull((const char *)r.data, NULL, 10);
}

static const uint32_t threads_of[] = { 0, 1, 32, 256 };

static gq_queue *open_in_scope(const char *handler, uint32_t scope, const char *const *args)
{
  gq_options options = suite_options(handler);
  options.scope = scope;
  options.args = args;
  options.workers = 3;
  return suite_open(&options);
}

static void expect_context(const reply_of *r, uint32_t scope, uint64_t state_bytes)
{
  ck_assert_uint_ge(r->size, 72);
  ck_assert_uint_eq(gq_load_u32_le(r->data), suite_on_cuda() ? threads_of[scope] : 1);
  ck_assert_uint_eq(gq_load_u32_le(r->data + 4), scope);
  ck_assert_uint_eq(gq_load_u64_le(r->data + 8), state_bytes);
  ck_assert_uint_eq(gq_load_u64_le(r->data + 16), 1008);
  ck_assert_uint_eq(gq_load_u64_le(r->data + 24), 208);
  ck_assert_uint_eq(gq_load_u64_le(r->data + 64), 1);
}

static void expect_arguments(const reply_of *r, int64_t number, uint64_t size, double ratio, uint64_t on,
                             const char *text)
{
  const uint64_t bits = gq_load_u64_le(r->data + 48);
  double got;
  memcpy(&got, &bits, sizeof got);
  ck_assert_int_eq((int64_t)gq_load_u64_le(r->data + 32), number);
  ck_assert_uint_eq(gq_load_u64_le(r->data + 40), size);
  ck_assert(got == ratio);
  ck_assert_uint_eq(gq_load_u64_le(r->data + 56), on);
  ck_assert_uint_eq(r->size, 72 + strlen(text));
  ck_assert_int_eq(memcmp(r->data + 72, text, strlen(text)), 0);
}

START_TEST(arguments_arrive_in_every_scope)
{
  const char *const args[] = { "number=-9223372036854775808", "size=3G", "ratio=-1e300", "on=no",
                               "text=something = or other", NULL };
  for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    gq_queue *queue = open_in_scope("test_context", scope, NULL);
    reply_of r = ask(queue, "", 0);
    expect_context(&r, scope, 256);
    expect_arguments(&r, -5, 65536, 0.25, 1, "a\"b");
    suite_close(queue);
    queue = open_in_scope("test_context", scope, args);
    r = ask(queue, "", 0);
    expect_context(&r, scope, 256);
    expect_arguments(&r, INT64_MIN, UINT64_C(3) << 30, -1e300, 0, "something = or other");
    suite_close(queue);
  }
}
END_TEST

START_TEST(bad_arguments_are_refused_at_open)
{
  static const char *const bad[][2] = { { "nummer=1", "there are: number (int), size (uint), ratio (real), on (flag), text" },
                                        { "number=1.5", "argument number is of type int, and '1.5' is not" },
                                        { "on", "'on' has no value" } };
  gq_options options = suite_options("test_context");
  for (size_t i = 0; i < SUITE_COUNT(bad); i++) {
    const char *const args[] = { bad[i][0], NULL };
    gq_queue *queue = NULL;
    options.args = args;
    assert_status(gq_init(&queue, &options), GQ_INVALID);
    assert_error_says(bad[i][1]);
    ck_assert_ptr_null(queue);
  }
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- the state */

static void expect_state(gq_queue *queue, const uint8_t *state, uint64_t given, uint64_t size)
{
  for (uint64_t at = 0; at < size + 100; at += at + 64 < size ? size / 7 + 1 : 64) {
    const uint64_t left = at < size ? size - at : 0, expected = left < 64 ? left : 64;
    uint8_t offset[8];
    gq_store_u64_le(offset, at);
    const reply_of r = ask(queue, offset, sizeof offset);
    ck_assert_uint_eq(gq_load_u64_le(r.data), size);
    ck_assert_uint_eq(r.size, 8 + expected);
    for (uint64_t i = 0; i < expected; i++)
      ck_assert_msg(r.data[8 + i] == (at + i < given ? state[at + i] : 0), "byte %llu of %llu",
                    (unsigned long long)(at + i), (unsigned long long)size);
  }
}

static char *write_file(const void *data, size_t size)
{
  static char path[64];
  snprintf(path, sizeof path, "test_context_%ld.state", (long)getpid());
  FILE *file = fopen(path, "wb");
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(data, 1, size, file), size);
  ck_assert_int_eq(fclose(file), 0);
  return path;
}

START_TEST(a_state_comes_from_memory_or_a_file)
{
  static const size_t sizes[] = { 0, 1, 63, 4096, 4097, 3000001 };
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    const size_t size = sizes[i];
    uint8_t *state = malloc(size + 1);
    support_fill(state, size, i);
    for (int larger = 0; larger < 2; larger++) {
      gq_options options = suite_options("test_state");
      options.state_bytes = larger ? size + 777 : 0;
      options.state_data = state, options.state_data_bytes = size;
      gq_queue *queue = suite_open(&options);
      expect_state(queue, state, size, larger ? size + 777 : size);
      suite_close(queue);
      options.state_data = NULL, options.state_data_bytes = 0;
      options.state = write_file(state, size);
      queue = suite_open(&options);
      unlink(options.state);
      expect_state(queue, state, size, larger ? size + 777 : size);
      suite_close(queue);
    }
    free(state);
  }
}
END_TEST

static void expect_refusal(const gq_options *options, gq_status expected, const char *says)
{
  gq_queue *queue = NULL;
  assert_status(gq_init(&queue, options), expected);
  assert_error_says(says);
  ck_assert_ptr_null(queue);
}

START_TEST(a_state_that_does_not_fit_is_refused)
{
  gq_options options = suite_options("test_state");
  expect_refusal(&options, GQ_INVALID, "handler test_state needs a state");
  options.state = "";
  expect_refusal(&options, GQ_INVALID, "handler test_state needs a state");
  options.state = "/no/such/file";
  expect_refusal(&options, GQ_SYSTEM, "/no/such/file: No such file");
  options.state = "/dev/zero";
  expect_refusal(&options, GQ_INVALID, "/dev/zero is not a regular file");
  options.state = ".";
  expect_refusal(&options, GQ_INVALID, ". is not a regular file");
  options.state_data = "abc", options.state_data_bytes = 3;
  expect_refusal(&options, GQ_INVALID, "state and state_data are both given");
  options.state = NULL, options.state_bytes = 2;
  expect_refusal(&options, GQ_INVALID, "state_bytes: 2 is less than the 3 bytes");
  options.state_data = NULL;
  expect_refusal(&options, GQ_INVALID, "state_data is NULL, but state_data_bytes is 3");
  options = suite_options("echo");
  options.state = "/dev/null";
  expect_refusal(&options, GQ_INVALID, "handler echo takes no state, but was given the file /dev/null");
  options.state = NULL, options.state_bytes = 5;
  expect_refusal(&options, GQ_INVALID, "handler echo takes no state, but was given the option state_bytes");
  options.state_bytes = 0, options.state_data = "abc", options.state_data_bytes = 3;
  expect_refusal(&options, GQ_INVALID, "handler echo takes no state, but was given state_data");
}
END_TEST

START_TEST(a_declared_state_is_there_without_being_given)
{
  gq_options options = suite_options("test_context");
  options.state_data = "abc", options.state_data_bytes = 3;   /* less than the 256 bytes declared */
  gq_queue *queue = suite_open(&options);
  reply_of r = ask(queue, "", 0);
  expect_context(&r, GQ_SCOPE_THREAD, 256);
  ck_assert_uint_eq(ask_number(queue, 2), 'a' | 'b' << 8 | 'c' << 16);
  suite_close(queue);
  options.state_bytes = 100000;
  queue = suite_open(&options);
  r = ask(queue, "", 0);
  expect_context(&r, GQ_SCOPE_THREAD, 100000);
  suite_close(queue);
}
END_TEST

START_TEST(messages_share_the_state)
{
  for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    gq_queue *queue = open_in_scope("test_context", scope, NULL);
    unsigned long long expected = 0;
    uint64_t ids[600];
    for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
      const uint8_t data[2] = { 1, (uint8_t)(i & 255) };
      expected += data[1];
      ids[i] = suite_enqueue(queue, data, sizeof data);
    }
    for (size_t i = 0; i < SUITE_COUNT(ids); i++) assert_status(suite_take(queue, ids[i]), GQ_OK);
    ck_assert_uint_eq(ask_number(queue, 2), expected);
    suite_close(queue);
    queue = open_in_scope("test_context", scope, NULL);   /* a queue begins with a fresh one */
    ck_assert_uint_eq(ask_number(queue, 2), 0);
    suite_close(queue);
  }
}
END_TEST

/* ------------------------------------------------------------------------------------------- memory and threads */

START_TEST(scratch_memory_is_one_messages_own)
{
  for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    gq_queue *queue = open_in_scope("test_context", scope, NULL);
    uint64_t ids[400];
    for (size_t i = 0; i < SUITE_COUNT(ids); i++) ids[i] = suite_enqueue(queue, "\3", 1);
    for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
      reply_of r = { .size = sizeof r.data };
      assert_status(gq_dequeue_result(queue, ids[i], r.data, &r.size, SUPPORT_LONG), GQ_OK);
      ck_assert_msg(r.size == 1 && r.data[0] == '0', "scope %u, message %zu: %.*s bytes are wrong", scope, i,
                    (int)r.size, (const char *)r.data);
    }
    suite_close(queue);
  }
}
END_TEST

START_TEST(threads_of_a_message_work_together)
{
  for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    gq_queue *queue = open_in_scope("test_context", scope, NULL);
    for (size_t i = 0; i < 20; i++) ck_assert_uint_eq(ask_number(queue, 4), 0);
    suite_close(queue);
  }
}
END_TEST

/* By default a handler that says "thread, warp, block" runs in the scope thread, but for payloads of 4 KiB and more. */
START_TEST(a_warp_runs_a_large_message)
{
  static const size_t sizes[] = { 1, 1023, 4095, 4096, 4099, 8192, 100000 };
  static uint8_t data[100000];
  for (uint32_t scope = GQ_SCOPE_AUTO; scope <= GQ_SCOPE_THREAD; scope++) {
    gq_queue *queue = open_in_scope("test_context", scope, NULL);
    for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
      const bool wide = scope == GQ_SCOPE_AUTO && suite_on_cuda() && sizes[i] >= 4096;
      data[0] = 0;
      const reply_of r = ask(queue, data, sizes[i]);
      expect_context(&r, wide ? GQ_SCOPE_WARP : GQ_SCOPE_THREAD, 256);
    }
    suite_close(queue);
  }
}
END_TEST

START_TEST(small_and_large_messages_have_memory_of_their_own)
{
  static uint8_t data[9000];
  gq_queue *queue = open_in_scope("test_context", GQ_SCOPE_AUTO, NULL);
  uint64_t ids[300];
  for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
    data[0] = i % 7 == 0 ? 4 : 3;   /* work together, or look whether scratch memory stays what it is */
    ids[i] = suite_enqueue(queue, data, i % 3 == 0 ? sizeof data : 1 + i);
  }
  for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
    reply_of r = { .size = sizeof r.data };
    assert_status(gq_dequeue_result(queue, ids[i], r.data, &r.size, SUPPORT_LONG), GQ_OK);
    ck_assert_msg(r.size == 1 && r.data[0] == '0', "message %zu: %.*s are wrong", i, (int)r.size, (const char *)r.data);
  }
  suite_close(queue);
}
END_TEST

START_TEST(large_messages_fail_and_are_tried_again_like_others)
{
  static uint8_t data[9000], result[sizeof data];
  gq_options options = suite_options("test_fail");
  options.attempts = 3;
  gq_queue *queue = suite_open(&options);
  uint64_t ids[90];
  for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
    support_fill(data, sizeof data, i);
    data[0] = i % 3 == 0 ? 255 : 7, data[1] = i % 3 == 2 ? 1 : i % 2 ? 2 : 0;
    ids[i] = suite_enqueue(queue, data, i % 4 == 0 ? 100 : sizeof data);
  }
  for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
    const size_t sent = i % 4 == 0 ? 100 : sizeof data;
    const bool fails = i % 3 == 2 || (i % 3 == 1 && i % 2);
    size_t size = sizeof result;
    int32_t code;
    uint32_t attempts;
    assert_status(gq_dequeue_result(queue, ids[i], result, &size, SUPPORT_LONG), fails ? GQ_FAILED : GQ_OK);
    if (fails) {
      gq_last_failure(&code, &attempts);
      ck_assert_int_eq(code, 7);
      ck_assert_uint_eq(attempts, 1);
      continue;
    }
    support_fill(data, sizeof data, i);
    data[0] = i % 3 == 0 ? 255 : 7, data[1] = i % 2 ? 2 : 0;
    ck_assert_uint_eq(size, sent);
    ck_assert_int_eq(memcmp(result, data, sent), 0);
  }
  suite_close(queue);
}
END_TEST

/* Large messages that a warp runs one after another have the time limit each. */
START_TEST(the_time_limit_is_for_one_message)
{
  static uint8_t data[9000] = { 20000 & 255, 20000 >> 8 };   /* test_sleep: 20 ms */
  const size_t count = suite_on_cuda() ? 300 : 60;   /* 8 warps with more than 32 each, or 3 threads */
  gq_options options = suite_options("test_sleep");
  uint64_t ids[300];
  options.capacity = 512;
  options.sms = 2;
  options.workers = 3;
  options.stall_ms = suite_on_cuda() ? 300 : 5000;   /* a thread of a busy machine may be stopped for long */
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < count; i++) ids[i] = suite_enqueue(queue, data, sizeof data);
  for (size_t i = 0; i < count; i++) {
    size_t size = sizeof data;
    assert_status(gq_dequeue_result(queue, ids[i], data, &size, SUPPORT_LONG), GQ_OK);
    ck_assert_uint_eq(size, sizeof data);
  }
  suite_close(queue);
}
END_TEST

START_TEST(reserved_codes_are_failures)
{
  gq_options options = suite_options("test_context");
  options.attempts = 5;
  gq_queue *queue = suite_open(&options);
  int32_t code;
  uint32_t attempts;
  assert_status(suite_take(queue, suite_enqueue(queue, "\5", 1)), GQ_FAILED);
  gq_last_failure(&code, &attempts);
  ck_assert_int_eq(code, -7);
  ck_assert_uint_eq(attempts, 1);
  suite_close(queue);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ the init */

START_TEST(an_init_can_refuse)
{
  static const char *const codes[] = { "refuse=42", "refuse=-3" };
  static const int32_t expected[] = { 42, -3 };
  for (size_t i = 0; i < SUITE_COUNT(codes); i++) {
    const char *const args[] = { codes[i], NULL };
    gq_options options = suite_options("test_context");
    options.args = args;
    expect_refusal(&options, GQ_FAILED, "handler test_context: its init refused the arguments or the state with code");
    int32_t code = 0;
    gq_last_failure(&code, NULL);
    ck_assert_int_eq(code, expected[i]);
    options.backend = suite_backend()->value == GQ_BACKEND_CUDA ? GQ_BACKEND_AUTO : GQ_BACKEND_CPU;
    expect_refusal(&options, GQ_FAILED, "refused");   /* another backend would not help */
  }
}
END_TEST

/* What an init that does not return still uses is left behind on purpose. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

START_TEST(an_init_may_take_its_time_but_not_for_ever)
{
  const char *const quick[] = { "stall-us=20000", NULL }, *const slow[] = { "stall_us=1000000", NULL };
  gq_options options = suite_options("test_context");
  options.stall_ms = 5000;
  options.args = quick;
  gq_queue *queue = suite_open(&options);
  ck_assert_uint_eq(ask_number(queue, 2), 0);
  suite_close(queue);
  options.stall_ms = 100;
  options.args = slow;
  if (__lsan_disable) __lsan_disable();
  expect_refusal(&options, GQ_TIMEOUT, "its init has not returned for 100 ms");
  if (__lsan_enable) __lsan_enable();
  usleep(1500000);   /* let it end before the process does */
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(arguments_arrive_in_every_scope),
    SUITE_TEST(bad_arguments_are_refused_at_open),
    SUITE_TEST(a_state_comes_from_memory_or_a_file),
    SUITE_TEST(a_state_that_does_not_fit_is_refused),
    SUITE_TEST(a_declared_state_is_there_without_being_given),
    SUITE_TEST(messages_share_the_state),
    SUITE_TEST(scratch_memory_is_one_messages_own),
    SUITE_TEST(threads_of_a_message_work_together),
    SUITE_TEST(a_warp_runs_a_large_message),
    SUITE_TEST(small_and_large_messages_have_memory_of_their_own),
    SUITE_TEST(large_messages_fail_and_are_tried_again_like_others),
    SUITE_TEST(the_time_limit_is_for_one_message),
    SUITE_TEST(reserved_codes_are_failures),
    SUITE_TEST(an_init_can_refuse),
    SUITE_TEST(an_init_may_take_its_time_but_not_for_ever),
  };
  return suite_main("test_context", tests, SUITE_COUNT(tests));
}
