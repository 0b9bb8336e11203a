/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers that are compiled into the kernel, by number. All threads that run a message take the same branch. */
#ifndef GQ_HANDLERS_CUH
#define GQ_HANDLERS_CUH
#include "cuda/handlers/crc32c.h"
#include "cuda/handlers/echo.h"
#include "cuda/handlers/sha256.h"
#include "cuda/handlers/testing.h"

template <int scope>
__device__ __forceinline__ int32_t gq_dispatch(uint32_t handler, const gq_msg *msg, gq_reply *reply,
                                               const gq_context *context)
{
  switch (handler) {
#define HANDLER(id, name, summary, scopes, default_scope, output, multiplier, constant, is_short) \
  case id:                                                                                        \
    if constexpr ((scopes) >> (scope - 1) & 1) return gq_handler_##name(msg, reply, context);     \
    return -1;
#include "cuda/handlers/builtin.def"
#include "cuda/handlers/testing.def"
#undef HANDLER
  default:
    return -1; /* the host never names another */
  }
}

#endif
