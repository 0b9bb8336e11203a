/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `saxpy`: scale and add. The message is a vector x of float32, little-endian; the result is the vector
 * a * x + b, each element rounded once (a fused multiply-add), so that every backend gives the same bits (but for
 * those of a NaN).
 *
 * Fails with code 1 if the message is not a whole number of float32. */
#ifndef GPUQUEUE_HANDLERS_SAXPY_H
#define GPUQUEUE_HANDLERS_SAXPY_H

#include <gpuqueue/handler.h>

#define SAXPY_ARGS(ARG) \
  ARG(real, a, 1, "the factor, rounded to float32") \
  ARG(real, b, 0, "the summand, rounded to float32")

GQ_HANDLER(saxpy, SAXPY_ARGS,
  GQ_SUMMARY("a * x + b for each float32 x of the message (code 1: not whole float32)")
  GQ_SCOPES(thread, warp, block)
  GQ_OUTPUT(raw)
  GQ_RESULT(1, 0)
  GQ_SHORT
  GQ_EXAMPLE("gpuqueue run --handler saxpy --arg a=2.5 --arg b=1 --input-format fixed:4096 vectors"))
{
  const saxpy_args *args = GQ_ARGS(saxpy, ctx);
  const float a = (float)args->a, b = (float)args->b;
  const float *x = (const float *)msg->data;
  float *y = (float *)reply->data;
  const uint32_t count = msg->size / 4;
  uint32_t i;

  if (msg->size % 4 != 0) return 1;
  reply->size = msg->size;
  if (reply->capacity < msg->size) return 0;
  /* Neighbouring threads take neighbouring elements: the device reads and writes whole lines of memory. */
  for (i = gq_rank(ctx); i < count; i += gq_ranks(ctx)) y[i] = fmaf(a, x[i], b);
  return 0;
}

#endif
