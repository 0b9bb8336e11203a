/* SPDX-License-Identifier: Apache-2.0 */
/** \file handler.h
 * How a handler is written: one file in the common subset of C11 and CUDA C++17, compiled once for the device and once
 * for the host, where it can be run under a debugger. The subset is C without designated initialisers, compound
 * literals, and conversions from void * that are not written out. The file includes this header and, for the sake of
 * NVRTC, no other:
 *
 *     #include <gpuqueue/handler.h>
 *
 *     #define COUNT_BYTE_ARGS(ARG) \
 *       ARG(uint, byte, 10, "the byte to count")
 *
 *     GQ_HANDLER(count_byte, COUNT_BYTE_ARGS,
 *       GQ_SUMMARY("how often a byte occurs in the message")
 *       GQ_SCOPES(thread, block)
 *       GQ_OUTPUT(text)
 *       GQ_RESULT(0, 10)
 *       GQ_EXAMPLE("gpuqueue run --handler count_byte --arg byte=32 *.txt"))
 *     {
 *       const count_byte_args *args = GQ_ARGS(count_byte, ctx);
 *       uint32_t i, count = 0;
 *
 *       for (i = gq_rank(ctx); i < msg->size; i += gq_ranks(ctx)) count += msg->data[i] == args->byte;
 *       gq_reply_decimal(ctx, reply, gq_sum_u32(ctx, count));
 *       return 0;
 *     }
 *
 * The function behind GQ_HANDLER() is called once per message, with `const gq_msg *msg`, `gq_reply *reply` and
 * `const gq_context *ctx`. It returns
 *   0                 done: the result is what `reply` holds
 *   a positive code   the message failed for good: a dead letter with this code (GQ_FAILED)
 *   GQ_RETRY          try it again, as often as the queue's `attempts` allow; when they are used up, the message fails
 *                     with code -1. Other negative codes are reserved and count as failures.
 *
 * Who runs it: one thread, one warp (32 threads) or one block (256) per message: its scope. All threads of the
 * message call the function with the same msg, reply and ctx but for the rank; what they share must be agreed on with
 * gq_sync(), the functions marked "all call" must be reached by all of them together, and all must set the same
 * reply->size and return the same code. On the CPU backend every scope is one thread, with rank 0 of 1.
 * Messages run side by side: whatever several of them write (the state) takes atomic operations.
 *
 * Whose memory: everything belongs to the queue. Payload, reply and scratch are the message's until the function
 * returns, arguments and state last as long as the queue. On the CUDA backend all of it is device memory. */
#ifndef GPUQUEUE_HANDLER_H
#define GPUQUEUE_HANDLER_H

#if defined(__CUDACC_RTC__)
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long long uintptr_t;
#else
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#endif

/** The version of this interface: the first line of every manifest, "gpuqueue-handler 1", names it. */
#define GQ_HANDLER_ABI 1

/** GQ_DEVICE begins a helper function: `GQ_DEVICE uint32_t twice(uint32_t n) { return 2 * n; }`.
 * GQ_TABLE begins a constant table: `GQ_TABLE uint32_t primes[3] = {2, 3, 5};`. GQ_UNIFORM_TABLE begins one whose
 * elements all threads read in the same order, as the rounds of a cipher do: there is 64 KiB of memory for these on a
 * GPU, with a cache of its own. Threads that read different elements of it at once have to wait for each other. */
#if defined(__CUDACC__)
#define GQ_DEVICE static __device__ __forceinline__
#define GQ_TABLE static __device__ const
#define GQ_UNIFORM_TABLE static __constant__ const
#else
#define GQ_DEVICE static inline __attribute__((unused))
#define GQ_TABLE static const __attribute__((unused))
#define GQ_UNIFORM_TABLE GQ_TABLE
#endif

/** In place of a result code: try this message again. */
#define GQ_RETRY (-1)

/* ---------------------------------------------------------------------------------- what the function is given */

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

/** What the handler runs in. Read it with the functions below where there is one. */
typedef struct gq_context {
  uint32_t rank, ranks; /**< this thread among those that run the message */
  uint32_t scope;       /**< 1 thread, 2 warp, 3 block */
  uint32_t reserved;
  const void *args;     /**< the arguments: GQ_ARGS(name, ctx) */
  uint8_t *state;       /**< the queue's state, 256-byte aligned, shared by all messages; NULL if there is none */
  uint64_t state_bytes;
  uint8_t *scratch;     /**< GQ_SCRATCH() bytes for this message, 16-byte aligned; holds anything at first */
  uint64_t scratch_bytes;
  uint8_t *shared;      /**< GQ_SHARED() bytes for this message, 16-byte aligned; holds anything at first. On the
                             device it is shared memory if the queue's scope is warp or block, otherwise like scratch */
  uint64_t shared_bytes;
} gq_context;

/** An argument of type string; 16-byte aligned, and a zero byte follows it. */
typedef struct gq_string {
  const uint8_t *data;
  uint64_t size;
} gq_string;

/* The types of arguments, by the name that ARG() gives them. */
typedef int64_t gq_arg_int;
typedef uint64_t gq_arg_uint;
typedef double gq_arg_real;
typedef uint64_t gq_arg_flag;
typedef gq_string gq_arg_string;

/* ------------------------------------------------------------------------------------------------ declaring it */

/** The items of a handler's declaration, in any order, with nothing between them. Numbers are written plainly, as
 * 4096 or 64K (also M, G), or are macros for such. */
#define GQ_SUMMARY(text) "summary " text "\n"           /**< one line for people */
#define GQ_SCOPES(...) "scopes " #__VA_ARGS__ "\n"      /**< of thread, warp, block; the first is the default */
#define GQ_OUTPUT(form) "output " #form "\n"            /**< how results are shown: raw (the default), hex or text */
/** A message of n bytes gives at most \p multiplier * n + \p constant bytes; needed in every declaration. */
#define GQ_RESULT(multiplier, constant) "result " GQ_TEXT_(multiplier) " " GQ_TEXT_(constant) "\n"
/** A payload that fits a cell, up to 372 bytes, takes a few microseconds at most, so that whoever fetched it may run it
 * at once. */
#define GQ_SHORT "short\n"
/** It can use a state (option `state`), or cannot do without. GQ_STATE_BYTES: one of at least n bytes, filled up with
 * zeros, also when none is given. */
#define GQ_STATE_OPTIONAL "state optional\n"
#define GQ_STATE_REQUIRED "state required\n"
#define GQ_STATE_BYTES(bytes) "state_bytes " GQ_TEXT_(bytes) "\n"
#define GQ_SCRATCH(bytes) "scratch " GQ_TEXT_(bytes) "\n" /**< memory for each message under way */
#define GQ_SHARED(bytes) "shared " GQ_TEXT_(bytes) "\n"   /**< fast memory for each message under way */
#define GQ_EXAMPLE(command) "example " command "\n"     /**< a command line that shows its use */

/** For a handler without arguments. Arguments are listed by a macro like COUNT_BYTE_ARGS above, as
 * ARG(type, name, default, "help"): type int (int64_t), uint (uint64_t; K, M and G may follow the number), real
 * (double), flag (0 or 1, uint64_t) or string (gq_string; the default is a C string). A default of `required` means
 * that the user must give the argument. */
#define GQ_NO_ARGS(ARG)

/** Declare handler \p name and begin its function; the items follow \p args, the function's body follows the macro. */
#define GQ_HANDLER(name, args, ...)                                                                          \
  typedef struct name##_args { args(GQ_ARG_FIELD_) uint64_t end_; } name##_args;                             \
  GQ_MANIFEST_(name, "gpuqueue-handler 1\nname " #name "\n" __VA_ARGS__ args(GQ_ARG_LINE_))                  \
  GQ_DEVICE int32_t gq_handler_##name(const gq_msg *msg, gq_reply *reply, const gq_context *ctx);            \
  GQ_ENTRY_(name)                                                                                            \
  GQ_DEVICE int32_t gq_handler_##name(GQ_UNUSED_ const gq_msg *msg, GQ_UNUSED_ gq_reply *reply,              \
                                      GQ_UNUSED_ const gq_context *ctx)

/** Begin a function, given `const gq_context *ctx`, that is run once before the first message, to check arguments and
 * to check or fill the state. It is run by one block (one thread on the CPU backend), whatever the handler's scope;
 * scratch and shared are there. A code other than 0 makes gq_init() fail and say the code. */
#define GQ_INIT(name)                                                         \
  GQ_INIT_LINKAGE_ int32_t gq_handler_init_##name(const gq_context *ctx);     \
  GQ_INIT_ENTRY_(name)                                                        \
  GQ_INIT_LINKAGE_ int32_t gq_handler_init_##name(GQ_UNUSED_ const gq_context *ctx)

/** The arguments, as a struct with a field for each. A helper function that wants it is declared before the handler and
 * defined behind it. */
#define GQ_ARGS(name, ctx) ((const name##_args *)(ctx)->args)

/** A handler that is linked into a program: GQ_HANDLER() defines `gq_linked_<name>`, for gq_options.handler_linked. */
typedef struct gq_linked_handler {
  uint32_t abi;         /**< GQ_HANDLER_ABI */
  uint32_t reserved;
  const char *manifest;
  int32_t (*function)(const gq_msg *msg, gq_reply *reply, const gq_context *ctx);
  int32_t (*init)(const gq_context *ctx); /**< NULL if there is none */
} gq_linked_handler;

#define GQ_TEXT_(...) GQ_TEXT_2_(__VA_ARGS__)
#define GQ_TEXT_2_(...) #__VA_ARGS__
#define GQ_ARG_FIELD_(type, name, value, help) gq_arg_##type name;
#define GQ_ARG_LINE_(type, name, value, help) "arg " #type " " #name " " GQ_TEXT_(value) " " help "\n"
#define GQ_UNUSED_ __attribute__((unused))

/* Three forms: inside the library (GQ_BUILTIN; several handlers in one translation unit), for the device, and for the
 * host. The last two define gq_manifest, gq_handler_entry and, with GQ_INIT(), gq_handler_init_entry; on the host they
 * are weak, so that several handlers can be linked into one program. */
#if defined(__cplusplus)
#define GQ_C_ extern "C"
#else
#define GQ_C_ extern
#endif
#if defined(GQ_BUILTIN)
#define GQ_INIT_LINKAGE_ GQ_DEVICE
#define GQ_ENTRY_(name)
#define GQ_INIT_ENTRY_(name)
#if defined(__CUDACC__)
#define GQ_MANIFEST_(name, text) [[maybe_unused]] static constexpr char gq_manifest_##name[] = text;
#else
#define GQ_MANIFEST_(name, text) static GQ_UNUSED_ const char gq_manifest_##name[] = text;
#endif
#elif defined(__CUDACC__)
#define GQ_INIT_LINKAGE_ GQ_DEVICE
#define GQ_MANIFEST_(name, text)              \
  extern "C" {                                \
  extern __device__ const char gq_manifest[]; \
  __device__ const char gq_manifest[] = text; \
  }
#define GQ_ENTRY_(name)                                                                                          \
  extern "C" __device__ int32_t gq_handler_entry(const gq_msg *msg, gq_reply *reply, const gq_context *ctx)      \
  {                                                                                                              \
    return gq_handler_##name(msg, reply, ctx);                                                                   \
  }
/* What compiles for run-time linking appends the definition of gq_handler_init_entry() to the source: it returns
 * gq_init_hook_(ctx, 0), which is the second of these where there is a GQ_INIT(). (A weak default does not link.) */
GQ_UNUSED_ static __device__ __forceinline__ int32_t gq_init_hook_(const gq_context *, long) { return 0; }
#define GQ_INIT_ENTRY_(name)                                                              \
  GQ_UNUSED_ static __device__ __forceinline__ int32_t gq_init_hook_(const gq_context *ctx, int) \
  {                                                                                       \
    return gq_handler_init_##name(ctx);                                                   \
  }
#else
#define GQ_EXPORT_ __attribute__((weak, visibility("default")))
#define GQ_INIT_LINKAGE_ __attribute__((weak))
#define GQ_MANIFEST_(name, text)                  \
  static const char gq_manifest_##name[] = text;  \
  GQ_C_ GQ_EXPORT_ const char gq_manifest[];      \
  const char gq_manifest[] = text;
#define GQ_ENTRY_(name)                                                                                    \
  GQ_C_ GQ_EXPORT_ int32_t gq_handler_entry(const gq_msg *msg, gq_reply *reply, const gq_context *ctx);    \
  int32_t gq_handler_entry(const gq_msg *msg, gq_reply *reply, const gq_context *ctx)                      \
  {                                                                                                        \
    return gq_handler_##name(msg, reply, ctx);                                                             \
  }                                                                                                        \
  GQ_C_ GQ_INIT_LINKAGE_ int32_t gq_handler_init_##name(const gq_context *ctx);                            \
  GQ_C_ __attribute__((visibility("default"))) const gq_linked_handler gq_linked_##name;                   \
  const gq_linked_handler gq_linked_##name = {GQ_HANDLER_ABI, 0, gq_manifest_##name, gq_handler_##name,    \
                                              gq_handler_init_##name};
#define GQ_INIT_ENTRY_(name)                                             \
  GQ_C_ GQ_EXPORT_ int32_t gq_handler_init_entry(const gq_context *ctx); \
  int32_t gq_handler_init_entry(const gq_context *ctx)                   \
  {                                                                      \
    return gq_handler_init_##name(ctx);                                  \
  }
#endif

/* --------------------------------------------------------------------------------------------- working together */

/** This thread's number among the threads of the message, and how many there are. */
GQ_DEVICE uint32_t gq_rank(const gq_context *ctx) { return ctx->rank; }
GQ_DEVICE uint32_t gq_ranks(const gq_context *ctx) { return ctx->ranks; }

/** Wait for the other threads of this message, and see what they wrote. All call. */
GQ_DEVICE void gq_sync(const gq_context *ctx)
{
#if defined(__CUDA_ARCH__)
  if (ctx->scope == 3) __syncthreads();
  else if (ctx->scope == 2) __syncwarp();
#else
  (void)ctx;
#endif
}

/** Copy \p size bytes, 16-byte aligned at both ends, with all threads of the message. All call; no barrier is
 * implied. */
GQ_DEVICE void gq_copy(const gq_context *ctx, void *to, const void *from, uint32_t size)
{
#if defined(__CUDA_ARCH__)
  const uint32_t words = size / 4, quads = size / 16, step = ctx->ranks;
  const uint4 *f = (const uint4 *)from;
  uint32_t i = ctx->rank;
  uint4 *t = (uint4 *)to;

  if (step > 1)
    for (; i + 7 * step < quads; i += 8 * step) { /* memory is far: eight loads under way at once */
      uint4 q[8];

#pragma unroll
      for (uint32_t k = 0; k < 8; k++) q[k] = f[i + k * step];
#pragma unroll
      for (uint32_t k = 0; k < 8; k++) t[i + k * step] = q[k];
    }
  for (; i + 3 * step < quads; i += 4 * step) {
    uint4 q[4];

#pragma unroll
    for (uint32_t k = 0; k < 4; k++) q[k] = f[i + k * step];
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) t[i + k * step] = q[k];
  }
  for (; i < quads; i += step) t[i] = f[i];
  for (i = quads * 4 + ctx->rank; i < words; i += step) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i];
  for (i = words * 4 + ctx->rank; i < size; i += step) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
#else
  (void)ctx;
  if (size) __builtin_memcpy(to, from, size);
#endif
}

/* Fold `value` over the threads of the message: within warps by exchange, then over the warps in the order of their
 * numbers. The order is always the same, so sums of floats are repeatable on one backend. */
#if defined(__CUDA_ARCH__)
#define GQ_REDUCTION_(function, type, fold)                                          \
  GQ_DEVICE type function(const gq_context *ctx, type value)                         \
  {                                                                                  \
    if (ctx->scope == 1) return value;                                               \
    for (int gap = 16; gap > 0; gap >>= 1) {                                         \
      const type a = value, b = __shfl_xor_sync(0xffffffffu, value, gap);            \
      value = fold;                                                                  \
    }                                                                                \
    if (ctx->scope == 3) {                                                           \
      __shared__ type of_warp[32];                                                   \
      if ((ctx->rank & 31) == 0) of_warp[ctx->rank >> 5] = value;                    \
      __syncthreads();                                                               \
      value = of_warp[0];                                                            \
      for (uint32_t w = 1; w < ctx->ranks >> 5; w++) {                               \
        const type a = value, b = of_warp[w];                                        \
        value = fold;                                                                \
      }                                                                              \
      __syncthreads();                                                               \
    }                                                                                \
    return value;                                                                    \
  }
#else
#define GQ_REDUCTION_(function, type, fold) \
  GQ_DEVICE type function(const gq_context *ctx, type value) { (void)ctx; return value; }
#endif

/** The sum, smallest or largest of the threads' values, the same to all. All call. */
GQ_REDUCTION_(gq_sum_u32, uint32_t, a + b)
GQ_REDUCTION_(gq_sum_u64, uint64_t, a + b)
GQ_REDUCTION_(gq_sum_f32, float, a + b)
GQ_REDUCTION_(gq_min_u32, uint32_t, a < b ? a : b)
GQ_REDUCTION_(gq_max_u32, uint32_t, a > b ? a : b)

/** Whether \p condition (not 0) holds for some or for all threads of the message, the same to all. All call. */
GQ_DEVICE int gq_any(const gq_context *ctx, int condition)
{
#if defined(__CUDA_ARCH__)
  if (ctx->scope == 3) return __syncthreads_or(condition) != 0;
  if (ctx->scope == 2) return __any_sync(0xffffffffu, condition) != 0;
#endif
  (void)ctx;
  return condition != 0;
}
GQ_DEVICE int gq_all(const gq_context *ctx, int condition) { return !gq_any(ctx, !condition); }

/** Change a word of the state that other messages change too. \return what it was before. No order is implied. */
#if defined(__CUDA_ARCH__)
GQ_DEVICE uint32_t gq_atomic_add_u32(uint32_t *word, uint32_t by) { return atomicAdd(word, by); }
GQ_DEVICE uint64_t gq_atomic_add_u64(uint64_t *word, uint64_t by)
{
  return (uint64_t)atomicAdd((unsigned long long *)word, (unsigned long long)by);
}
GQ_DEVICE uint32_t gq_atomic_or_u32(uint32_t *word, uint32_t bits) { return atomicOr(word, bits); }
#elif defined(__CUDACC__) /* nvcc's host pass, which compiles none of this */
GQ_DEVICE uint32_t gq_atomic_add_u32(uint32_t *, uint32_t) { return 0; }
GQ_DEVICE uint64_t gq_atomic_add_u64(uint64_t *, uint64_t) { return 0; }
GQ_DEVICE uint32_t gq_atomic_or_u32(uint32_t *, uint32_t) { return 0; }
#else
GQ_DEVICE uint32_t gq_atomic_add_u32(uint32_t *word, uint32_t by)
{
  return __atomic_fetch_add(word, by, __ATOMIC_RELAXED);
}
GQ_DEVICE uint64_t gq_atomic_add_u64(uint64_t *word, uint64_t by)
{
  return __atomic_fetch_add(word, by, __ATOMIC_RELAXED);
}
GQ_DEVICE uint32_t gq_atomic_or_u32(uint32_t *word, uint32_t bits)
{
  return __atomic_fetch_or(word, bits, __ATOMIC_RELAXED);
}
#endif

/* ------------------------------------------------------------------------------------------- bytes and numbers */

/** Numbers at any address, least (le) or most (be) significant byte first. */
GQ_DEVICE uint32_t gq_load_u32_le(const uint8_t *at)
{
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
GQ_DEVICE uint32_t gq_load_u32_be(const uint8_t *at)
{
  return at[3] | (uint32_t)at[2] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[0] << 24;
}
GQ_DEVICE uint64_t gq_load_u64_le(const uint8_t *at)
{
  return gq_load_u32_le(at) | (uint64_t)gq_load_u32_le(at + 4) << 32;
}
GQ_DEVICE uint64_t gq_load_u64_be(const uint8_t *at)
{
  return gq_load_u32_be(at + 4) | (uint64_t)gq_load_u32_be(at) << 32;
}
GQ_DEVICE void gq_store_u32_le(uint8_t *at, uint32_t n)
{
  at[0] = (uint8_t)n, at[1] = (uint8_t)(n >> 8), at[2] = (uint8_t)(n >> 16), at[3] = (uint8_t)(n >> 24);
}
GQ_DEVICE void gq_store_u32_be(uint8_t *at, uint32_t n)
{
  at[3] = (uint8_t)n, at[2] = (uint8_t)(n >> 8), at[1] = (uint8_t)(n >> 16), at[0] = (uint8_t)(n >> 24);
}
GQ_DEVICE void gq_store_u64_le(uint8_t *at, uint64_t n)
{
  gq_store_u32_le(at, (uint32_t)n), gq_store_u32_le(at + 4, (uint32_t)(n >> 32));
}
GQ_DEVICE void gq_store_u64_be(uint8_t *at, uint64_t n)
{
  gq_store_u32_be(at + 4, (uint32_t)n), gq_store_u32_be(at, (uint32_t)(n >> 32));
}

/** Numbers at an address that is a multiple of their size, as in a payload: one access on the device, not one a byte. */
GQ_DEVICE uint32_t gq_load_aligned_u32_le(const uint8_t *at)
{
#if defined(__CUDACC__)
  return *(const uint32_t *)at;
#else
  return gq_load_u32_le(at); /* a compiler for a CPU sees through it */
#endif
}
GQ_DEVICE uint64_t gq_load_aligned_u64_le(const uint8_t *at)
{
#if defined(__CUDACC__)
  return *(const uint64_t *)at;
#else
  return gq_load_u64_le(at);
#endif
}

/** Make the result the decimal digits of \p value, up to 20. Each thread of the message gives the same value. */
GQ_DEVICE void gq_reply_decimal(const gq_context *ctx, gq_reply *reply, uint64_t value)
{
  uint32_t size = 1, i;
  uint64_t rest;

  for (rest = value; rest >= 10; rest /= 10) size++;
  reply->size = size;
  if (ctx->rank != 0 || size > reply->capacity) return;
  for (i = size; i > 0; i--, value /= 10) reply->data[i - 1] = (uint8_t)('0' + value % 10);
}

#endif
