/* SPDX-License-Identifier: Apache-2.0 */
/* A handler that does the harm its message asks for: what tests/test_faults.c is about. */
#ifndef GQ_HANDLERS_MISBEHAVE_H
#define GQ_HANDLERS_MISBEHAVE_H

#include "cuda/handlers/echo.h"

#if defined(__CUDACC__)
#define GQ_TEST_APART static __device__ __noinline__
#else
#define GQ_TEST_APART static __attribute__((noinline, unused))
#endif

/* Recursion that outlasts any stack, and that no compiler makes a loop of: a call reads its frame after the next. */
GQ_TEST_APART uint32_t gq_test_descend(uint32_t depth, const uint8_t *data)
{
  volatile uint32_t frame[64];
  uint32_t below;

  if (depth == UINT32_MAX) return 0;
  frame[depth % 64] = depth + data[0];
  below = gq_test_descend(depth + 1, data);
  return below + frame[below % 64];
}

/* The first byte says what to do: 'b' a result too big, 'c' give up with code 7, 'r' ask for a retry until the third
 * attempt, 'w' write where nothing is, 'z' divide by zero, 'l' loop for ever, 's' use up the stack. Any other message
 * comes back. */
GQ_DEVICE int32_t gq_test_misbehave(const gq_msg *msg, gq_reply *reply, const gq_context *ctx)
{
  volatile uint32_t number = 1000;

  switch (msg->size ? msg->data[0] : 0) {
  case 'b':
    reply->size = reply->capacity + 1;
    return 0;
  case 'c':
    return 7;
  case 'r':
    if (msg->attempt < 3) return GQ_RETRY;
    break;
  case 'w':
    /* A GPU goes on after a store and reports the fault when it comes: reading it back waits for that. */
    *(volatile uint32_t *)(uintptr_t)((msg->size & 15u) * 4) = 1;
    number = *(volatile uint32_t *)(uintptr_t)((msg->size & 15u) * 4);
    if (number != 1) return 8;
    break;
  case 'z':
    number = number / (uint32_t)(msg->size - 1); /* tests send it as a message of one byte */
    break;
  case 'l':
    while (number) number = 1;
    break;
  case 's':
    number = gq_test_descend(0, msg->data);
    break;
  default:
    break;
  }
  return gq_handler_echo(msg, reply, ctx);
}

GQ_HANDLER(test_misbehave, GQ_NO_ARGS,
  GQ_SUMMARY("does the harm that byte 0 asks for")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0))
{
  return gq_test_misbehave(msg, reply, ctx);
}

GQ_HANDLER(test_misbehave_short, GQ_NO_ARGS,
  GQ_SUMMARY("does the harm that byte 0 asks for, and is declared short")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0)
  GQ_SHORT)
{
  return gq_test_misbehave(msg, reply, ctx);
}

#endif
