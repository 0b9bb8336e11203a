/* SPDX-License-Identifier: Apache-2.0 */
/** \file handler.h
 * How a handler is written: one function in the common subset of C and CUDA C++, compiled once for the device and
 * once for the host. It is given a message, writes a reply and returns 0, or a code of its own to say that it
 * failed (the message is then tried again as often as the queue's `attempts` allow, and ends as a dead letter).
 *
 * The function is run by one thread, one warp or one block per message (its scope). In a warp or block every
 * thread calls it with the same arguments; gq_rank() tells them apart, gq_sync() makes them wait for one another,
 * and all must return the same code. On the CPU backend every scope is one thread, with rank 0 of 1. */
#ifndef GPUQUEUE_HANDLER_H
#define GPUQUEUE_HANDLER_H

#if defined(__CUDACC_RTC__)
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif

#if defined(__CUDACC__)
#define GQ_DEVICE static __device__ __forceinline__
#define GQ_TABLE static __device__ const
#else
#define GQ_DEVICE static inline __attribute__((unused))
#define GQ_TABLE static const
#endif

/** A message as its handler sees it. */
typedef struct gq_msg {
  const uint8_t *data;  /**< the payload, 16-byte aligned, readable for size bytes rounded up to 4 */
  uint32_t size;        /**< bytes */
  uint32_t attempt;     /**< 1 for the first */
  uint64_t id, key, tag;
} gq_msg;

/** Where the result goes. */
typedef struct gq_reply {
  uint8_t *data;        /**< 16-byte aligned */
  uint32_t capacity;    /**< bytes that may be written */
  uint32_t size;        /**< set this: bytes of the result; more than capacity ends the message as
                             GQ_RESULT_TOO_LARGE. In a warp or block each thread sets the same value */
} gq_reply;

/** What the handler runs in. */
typedef struct gq_context {
  uint32_t rank, ranks; /**< this thread among those that run the message */
  uint32_t scope;       /**< 1 thread, 2 warp, 3 block */
} gq_context;

GQ_DEVICE uint32_t gq_rank(const gq_context *context) { return context->rank; }
GQ_DEVICE uint32_t gq_ranks(const gq_context *context) { return context->ranks; }

/** Wait for the other threads of this message, and see what they wrote. All of them must call it. */
GQ_DEVICE void gq_sync(const gq_context *context)
{
#if defined(__CUDA_ARCH__)
  if (context->scope == 3) __syncthreads();
  else if (context->scope == 2) __syncwarp();
#else
  (void)context;
#endif
}

/** Copy \p size bytes, 16-byte aligned at both ends, with all threads of the message. No barrier is implied. */
GQ_DEVICE void gq_copy(const gq_context *context, void *to, const void *from, uint32_t size)
{
  const uint32_t words = size / 4, quads = size / 16;
  uint32_t i;
#if defined(__CUDA_ARCH__)
  for (i = context->rank; i < quads; i += context->ranks) ((uint4 *)to)[i] = ((const uint4 *)from)[i];
  for (i = quads * 4 + context->rank; i < words; i += context->ranks) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i];
  for (i = words * 4 + context->rank; i < size; i += context->ranks) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
#else
  (void)context, (void)words, (void)quads, (void)i;
  if (size) __builtin_memcpy(to, from, size);
#endif
}

#endif
