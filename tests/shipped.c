/* SPDX-License-Identifier: Apache-2.0 */
#include "shipped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 0x5a

void shipped_open_with(shipped *test, const gq_options *options)
{
  memset(test, 0, sizeof *test);
  test->queue = suite_open(options);
}

void shipped_open(shipped *test, const char *handler, uint32_t scope, const char *const *args)
{
  gq_options options = suite_options(handler);
  options.scope = scope;
  options.args = args;
  shipped_open_with(test, &options);
}

void shipped_close(shipped *test)
{
  shipped_check(test);
  suite_close(test->queue);
}

static void check_oldest(shipped *test)
{
  struct shipped_message *message = &test->messages[test->ended++ % SHIPPED_UNDER_WAY];
  const size_t room = message->expected_bytes + 64;   /* a result that is too long is seen as such */
  unsigned char *result = malloc(room);
  size_t size = room, i;
  int32_t code = 0;
  uint32_t attempts = 0;

  ck_assert_ptr_nonnull(result);
  memset(result, GUARD, room);
  if (message->code) {
    assert_status(gq_dequeue_result(test->queue, message->id, result, &size, SUPPORT_LONG), GQ_FAILED);
    gq_last_failure(&code, &attempts);
    ck_assert_msg(code == message->code, "a message of %zu bytes failed with code %d, not %d", message->size, code,
                  message->code);
  } else {
    assert_status(gq_dequeue_result(test->queue, message->id, result, &size, SUPPORT_LONG), GQ_OK);
    ck_assert_msg(size == message->expected_bytes, "a message of %zu bytes gave %zu bytes instead of %zu: '%.64s'",
                  message->size, size, message->expected_bytes, (const char *)result);
    for (i = 0; i < size && result[i] == message->expected[i]; i++) continue;
    ck_assert_msg(i == size, "a message of %zu bytes: byte %zu of the result is %02x, not %02x", message->size, i,
                  result[i], message->expected[i]);
  }
  free(result);
  free(message->expected);
  message->expected = NULL;
}

void shipped_check(shipped *test)
{
  while (test->ended < test->begun) check_oldest(test);
}

static void send_message(shipped *test, const void *data, size_t size, const void *expected, size_t expected_bytes,
                         int32_t code)
{
  struct shipped_message *message;
  if (test->begun - test->ended == SHIPPED_UNDER_WAY) check_oldest(test);
  message = &test->messages[test->begun++ % SHIPPED_UNDER_WAY];
  message->expected = malloc(expected_bytes ? expected_bytes : 1);
  ck_assert_ptr_nonnull(message->expected);
  if (expected_bytes) memcpy(message->expected, expected, expected_bytes);
  message->expected_bytes = expected_bytes;
  message->size = size;
  message->code = code;
  message->id = suite_enqueue(test->queue, data, size);
}

void shipped_send(shipped *test, const void *data, size_t size, const void *expected, size_t expected_bytes)
{
  send_message(test, data, size, expected, expected_bytes, 0);
}

void shipped_send_text(shipped *test, const void *data, size_t size, const char *expected)
{
  send_message(test, data, size, expected, strlen(expected), 0);
}

void shipped_send_bad(shipped *test, const void *data, size_t size, int32_t code)
{
  send_message(test, data, size, NULL, 0, code);
}

size_t shipped_call(shipped *test, const void *data, size_t size, void *result, size_t capacity)
{
  size_t got = capacity;
  const uint64_t id = suite_enqueue(test->queue, data, size);
  assert_status(gq_dequeue_result(test->queue, id, result, &got, SUPPORT_LONG), GQ_OK);
  return got;
}

void shipped_refuses(const gq_options *options, int32_t code)
{
  gq_queue *queue = NULL;
  char text[32];
  int32_t told = 0;
  uint32_t attempts;
  const gq_status status = gq_init(&queue, options);
  gq_last_failure(&told, &attempts);
  assert_status(status, GQ_FAILED);
  ck_assert_msg(told == code, "%s: code %d instead of %d", options->handler, told, code);
  snprintf(text, sizeof text, "%d", code);
  assert_error_says(text);
  assert_error_says(options->handler);
}

void shipped_refuses_argument(const char *handler, const char *argument, int32_t code)
{
  const char *const args[] = { argument, NULL };
  gq_options options = suite_options(handler);
  options.args = args;
  shipped_refuses(&options, code);
}
