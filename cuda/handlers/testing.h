/* SPDX-License-Identifier: Apache-2.0 */
/* What gpuqueue's tests need of a handler: failing, taking long, breaking the rules. */
#ifndef GQ_HANDLERS_TESTING_H
#define GQ_HANDLERS_TESTING_H

#include "cuda/handlers/echo.h"

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

#endif
