/* SPDX-License-Identifier: Apache-2.0 */
/* A handler as a user writes it: compiled by the tests for the host as C and C++, and for the device. */
#include <gpuqueue/handler.h>

#define LIMIT 64

#define COUNT_BYTE_ARGS(ARG)                                    \
  ARG(uint, byte, 10, "the byte to count")                      \
  ARG(int, offset, -1, "added to the count")                    \
  ARG(real, factor, 1.5e0, "the count is multiplied by this")   \
  ARG(flag, invert, 0, "count the other bytes")                 \
  ARG(string, prefix, "a \"b\"\n", "text before the count, as it is")

GQ_HANDLER(count_byte, COUNT_BYTE_ARGS,
  GQ_SUMMARY("how often a byte occurs in the message")
  GQ_SCOPES(thread, warp, block)
  GQ_OUTPUT(text)
  GQ_RESULT(0, 20)
  GQ_SHORT
  GQ_STATE_OPTIONAL
  GQ_STATE_BYTES(LIMIT)
  GQ_SCRATCH(1K)
  GQ_SHARED(256)
  GQ_EXAMPLE("gpuqueue run --handler count_byte --arg byte=32 words.txt"))
{
  const count_byte_args *args = GQ_ARGS(count_byte, ctx);
  uint32_t i, count = 0;

  if (gq_any(ctx, msg->size > 100000)) return GQ_RETRY;
  for (i = gq_rank(ctx); i < msg->size; i += gq_ranks(ctx)) count += (msg->data[i] == args->byte) != (args->invert != 0);
  count = gq_sum_u32(ctx, count);
  if (gq_rank(ctx) == 0) gq_atomic_add_u64((uint64_t *)ctx->state, count);
  gq_reply_decimal(ctx, reply, (uint64_t)((double)((int64_t)count + args->offset) * args->factor));
  return 0;
}

GQ_INIT(count_byte)
{
  return ctx->state_bytes < LIMIT;
}
