/* SPDX-License-Identifier: Apache-2.0 */
/* The handler that this kernel is made for: GQ_IMAGE names it. The handlers for tests share the image `testing` and are
 * told apart by number. With GQ_LINKED it is one that is not known yet: see gpuqueue/handler.h. */
#ifndef GQ_HANDLERS_CUH
#define GQ_HANDLERS_CUH

#if defined(GQ_LINKED)
#include <gpuqueue/handler.h>

extern "C" __device__ int32_t gq_handler_entry(const gq_msg *msg, gq_reply *reply, const gq_context *ctx);
extern "C" __device__ int32_t gq_handler_init_entry(const gq_context *ctx);

__device__ __forceinline__ int32_t gq_run_handler(uint32_t, const gq_msg *msg, gq_reply *reply, const gq_context *ctx)
{
  return gq_handler_entry(msg, reply, ctx);
}

__device__ __forceinline__ int32_t gq_run_init(uint32_t, const gq_context *ctx) { return gq_handler_init_entry(ctx); }

template <int scope> constexpr bool gq_runs_in = true; /* who knows */

#else
#define GQ_BUILTIN 1
#define GQ_QUOTE(text) GQ_QUOTE_2(text)
#define GQ_QUOTE_2(text) #text
#define GQ_PASTE(a, b) GQ_PASTE_2(a, b)
#define GQ_PASTE_2(a, b) a##b
#include GQ_QUOTE(cuda/handlers/GQ_IMAGE.h)

/* For a handler that has nothing to prepare. */
#define HANDLER(id, name) \
  [[maybe_unused]] static __device__ __forceinline__ int32_t gq_handler_init_##name(const gq_context *) { return 0; }
#define HANDLER_INIT(id, name)
#include "cuda/handlers/builtin.def"
#include "cuda/handlers/testing.def"
#undef HANDLER
#undef HANDLER_INIT

#if defined(GQ_IMAGE_testing)
__device__ __noinline__ int32_t gq_run_handler(uint32_t id, const gq_msg *msg, gq_reply *reply,
                                                  const gq_context *ctx)
{
  switch (id) {
#define HANDLER(id, name) case id: return gq_handler_##name(msg, reply, ctx);
#define HANDLER_INIT(id, name) HANDLER(id, name)
#include "cuda/handlers/testing.def"
#undef HANDLER
#undef HANDLER_INIT
  default: return -2; /* the host never names another */
  }
}

__device__ __forceinline__ int32_t gq_run_init(uint32_t id, const gq_context *ctx)
{
  switch (id) {
#define HANDLER(id, name) case id: return gq_handler_init_##name(ctx);
#define HANDLER_INIT(id, name) HANDLER(id, name)
#include "cuda/handlers/testing.def"
#undef HANDLER
#undef HANDLER_INIT
  default: return -2;
  }
}

template <int scope> constexpr bool gq_runs_in = true;

#else
__device__ __forceinline__ int32_t gq_run_handler(uint32_t, const gq_msg *msg, gq_reply *reply, const gq_context *ctx)
{
  return GQ_PASTE(gq_handler_, GQ_IMAGE)(msg, reply, ctx);
}

__device__ __forceinline__ int32_t gq_run_init(uint32_t, const gq_context *ctx)
{
  return GQ_PASTE(gq_handler_init_, GQ_IMAGE)(ctx);
}

/* Where `part` begins in `text`, at or behind `from`; -1: nowhere before the end of the line that `from` is in, or, with
 * a part that begins with an end of line, of the text. */
constexpr int gq_text_find(const char *text, const char *part, int from)
{
  for (int at = from; text[at]; at++) {
    int same = 0;

    while (part[same] && text[at + same] == part[same]) same++;
    if (!part[same]) return at;
    if (text[at] == '\n' && part[0] != '\n') return -1;
  }
  return -1;
}

/* Whether the handler declares the scope: kernels for others are never launched, and are left empty. */
template <int scope>
constexpr bool gq_runs_in = gq_text_find(GQ_PASTE(gq_manifest_, GQ_IMAGE),
                                         scope == 1 ? "thread" : scope == 2 ? "warp" : "block",
                                         gq_text_find(GQ_PASTE(gq_manifest_, GQ_IMAGE), "\nscopes ", 0) + 1) >= 0;
#endif
#endif

#endif
