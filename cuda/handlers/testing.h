/* SPDX-License-Identifier: Apache-2.0 */
/* What gpuqueue's tests need of a handler: failing, taking long, breaking the rules. */
#ifndef GQ_HANDLERS_TESTING_H
#define GQ_HANDLERS_TESTING_H

#include "cuda/handlers/echo.h"
#include "cuda/handlers/misbehave.h"

#if !defined(__CUDACC__)
#include <time.h>
#endif

/* ns of some clock that goes on while the handler runs */
GQ_DEVICE uint64_t gq_test_clock(void)
{
#if defined(__CUDA_ARCH__)
  uint64_t t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
#elif !defined(__CUDACC__)
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#else
  return 0;
#endif
}

GQ_DEVICE void gq_test_spin(uint64_t ns)
{
  const uint64_t begin = gq_test_clock();

  while (gq_test_clock() - begin < ns) {
#if defined(__CUDA_ARCH__)
    __nanosleep(1000);
#elif !defined(__CUDACC__)
    const struct timespec nap = {0, 20000};

    nanosleep(&nap, NULL);
#endif
  }
}

GQ_HANDLER(test_fail, GQ_NO_ARGS,
  GQ_SUMMARY("fails with the code in byte 0, 255: asks for a retry, until attempt exceeds byte 1, else echoes")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0)
  GQ_SHORT)
{
  if (msg->size >= 2 && msg->attempt <= msg->data[1]) return msg->data[0] == 255 ? GQ_RETRY : msg->data[0];
  return gq_handler_echo(msg, reply, ctx);
}

GQ_HANDLER(test_sleep, GQ_NO_ARGS,
  GQ_SUMMARY("takes the microseconds in bytes 0 to 3, then gives the message back")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0))
{
  if (msg->size >= 4) {
    const uint32_t us = msg->data[0] | (uint32_t)msg->data[1] << 8 | (uint32_t)msg->data[2] << 16 |
                        (uint32_t)msg->data[3] << 24;

    gq_test_spin((uint64_t)us * 1000u);
  }
  return gq_handler_echo(msg, reply, ctx);
}

GQ_HANDLER(test_grow, GQ_NO_ARGS,
  GQ_SUMMARY("says that its result is one byte more than there is room for")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0)
  GQ_SHORT)
{
  reply->size = reply->capacity + 1;
  return 0;
}

GQ_HANDLER(test_stuck, GQ_NO_ARGS,
  GQ_SUMMARY("never returns on the CUDA backend, takes 60 s on the CPU backend")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0))
{
#if defined(__CUDA_ARCH__)
  for (;;) gq_test_spin(1000000);
#else
  gq_test_spin(60000000000ull);
#endif
  return gq_handler_echo(msg, reply, ctx);
}

GQ_HANDLER(test_fault, GQ_NO_ARGS,
  GQ_SUMMARY("writes to an address that is not there")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0))
{
#if defined(__CUDA_ARCH__)
  *(volatile uint32_t *)8 = 1;
#endif
  return gq_handler_echo(msg, reply, ctx);
}

/* --------------------------------------------------------------------------- what a handler is given */

#define TEST_CONTEXT_ARGS(ARG)                                            \
  ARG(int, number, -5, "given back by message 0")                         \
  ARG(uint, size, 64K, "given back by message 0")                         \
  ARG(real, ratio, 0.25, "given back by message 0")                       \
  ARG(flag, on, 1, "given back by message 0")                             \
  ARG(string, text, "a\"b", "given back by message 0")                    \
  ARG(int, refuse, 0, "the code that the init gives")                     \
  ARG(uint, stall_us, 0, "how long the init takes, in microseconds")

/* Defined behind the handler, because it needs the struct of its arguments. */
GQ_DEVICE void gq_test_describe(const gq_context *ctx, gq_reply *reply);

/* Message 3: the bytes of scratch and fast memory that are not what was written. Any are a neighbour's. */
GQ_DEVICE uint32_t gq_test_scratch(const gq_context *ctx, uint64_t id)
{
  uint32_t i, wrong = 0;

  for (i = ctx->rank; i < ctx->scratch_bytes; i += ctx->ranks) ctx->scratch[i] = (uint8_t)(id * 7 + i);
  for (i = ctx->rank; i < ctx->shared_bytes; i += ctx->ranks) ctx->shared[i] = (uint8_t)(id * 11 + i);
  gq_sync(ctx);
  gq_test_spin(200000);
  for (i = ctx->ranks - 1 - ctx->rank; i < ctx->scratch_bytes; i += ctx->ranks)
    wrong += ctx->scratch[i] != (uint8_t)(id * 7 + i);
  for (i = ctx->ranks - 1 - ctx->rank; i < ctx->shared_bytes; i += ctx->ranks)
    wrong += ctx->shared[i] != (uint8_t)(id * 11 + i);
  wrong += ((uintptr_t)ctx->scratch | (uintptr_t)ctx->shared) % 16 != 0;
  return gq_sum_u32(ctx, wrong);
}

/* Message 4: how many of the functions for working together give a wrong value to some thread. */
GQ_DEVICE uint32_t gq_test_together(const gq_context *ctx)
{
  const uint32_t rank = gq_rank(ctx), n = gq_ranks(ctx), all = n * (n + 1) / 2;
  uint32_t wrong = 0;

  wrong += gq_sum_u32(ctx, rank + 1) != all;
  wrong += gq_sum_u64(ctx, (uint64_t)(rank + 1) << 33) != (uint64_t)all << 33;
  wrong += gq_sum_f32(ctx, (float)(rank + 1) * 0.5f) != (float)all * 0.5f;
  wrong += gq_min_u32(ctx, rank + 7) != 7;
  wrong += gq_max_u32(ctx, rank) != n - 1;
  wrong += gq_any(ctx, rank == n - 1) != 1;
  wrong += gq_any(ctx, rank == n) != 0;
  wrong += gq_all(ctx, rank < n) != 1;
  wrong += gq_all(ctx, rank == n - 1) != (n == 1);
  return gq_sum_u32(ctx, wrong);
}

/* The first byte of the message says what to do; 1 adds the second to a count in the state, 2 gives the count. */
GQ_HANDLER(test_context, TEST_CONTEXT_ARGS,
  GQ_SUMMARY("tells what it has been given")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(0, 128)
  GQ_STATE_BYTES(256)
  GQ_SCRATCH(1000)
  GQ_SHARED(200)
  GQ_EXAMPLE("none: for tests"))
{
  uint64_t *counts = (uint64_t *)ctx->state;

  switch (msg->size ? msg->data[0] : 0) {
  case 0: gq_test_describe(ctx, reply); return 0;
  case 1:
    if (gq_rank(ctx) == 0) gq_atomic_add_u64(&counts[0], msg->data[1]);
    return 0;
  case 2: gq_reply_decimal(ctx, reply, counts[0]); return 0;
  case 3: gq_reply_decimal(ctx, reply, gq_test_scratch(ctx, msg->id)); return 0;
  case 4: gq_reply_decimal(ctx, reply, gq_test_together(ctx)); return 0;
  case 5: return -7; /* a code that is reserved */
  default: return 1;
  }
}

/* Message 0: the context and the arguments. */
GQ_DEVICE void gq_test_describe(const gq_context *ctx, gq_reply *reply)
{
  const test_context_args *args = GQ_ARGS(test_context, ctx);
  const uint32_t text = (uint32_t)args->text.size;
  uint64_t ratio;
  uint32_t i;

  reply->size = 72 + text;
  if (ctx->rank != 0 || reply->size > reply->capacity) return;
  __builtin_memcpy(&ratio, &args->ratio, 8);
  gq_store_u32_le(reply->data, ctx->ranks);
  gq_store_u32_le(reply->data + 4, ctx->scope);
  gq_store_u64_le(reply->data + 8, ctx->state_bytes);
  gq_store_u64_le(reply->data + 16, ctx->scratch_bytes);
  gq_store_u64_le(reply->data + 24, ctx->shared_bytes);
  gq_store_u64_le(reply->data + 32, (uint64_t)args->number);
  gq_store_u64_le(reply->data + 40, args->size);
  gq_store_u64_le(reply->data + 48, ratio);
  gq_store_u64_le(reply->data + 56, args->on);
  gq_store_u64_le(reply->data + 64, ((uint64_t *)ctx->state)[1]); /* how often the init has run */
  for (i = 0; i < text; i++) reply->data[72 + i] = args->text.data[i];
}

GQ_INIT(test_context)
{
  const test_context_args *args = GQ_ARGS(test_context, ctx);
  uint64_t *counts = (uint64_t *)ctx->state;

  if (args->stall_us) gq_test_spin(args->stall_us * 1000u);
  if (gq_test_scratch(ctx, 5) || gq_test_together(ctx)) return 99;
  if (gq_rank(ctx) == 0) gq_atomic_add_u64(&counts[1], 1);
  return (int32_t)args->refuse;
}

/* The message is an offset, 8 bytes; the result is the state's size and up to 64 bytes from there. */
GQ_HANDLER(test_state, GQ_NO_ARGS,
  GQ_SUMMARY("gives back bytes of its state")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(0, 72)
  GQ_SHORT
  GQ_STATE_REQUIRED
  GQ_EXAMPLE("none: for tests"))
{
  const uint64_t at = msg->size == 8 ? gq_load_u64_le(msg->data) : 0;
  const uint64_t left = at < ctx->state_bytes ? ctx->state_bytes - at : 0;
  uint32_t i;

  reply->size = 8 + (uint32_t)(left < 64 ? left : 64);
  if (gq_rank(ctx) != 0) return 0;
  gq_store_u64_le(reply->data, ctx->state_bytes);
  for (i = 8; i < reply->size; i++) reply->data[i] = ctx->state[at + i - 8];
  return 0;
}

#endif
