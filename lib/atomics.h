/* SPDX-License-Identifier: Apache-2.0 */
/* Every atomic access of the protocol goes through this header. It has three halves: C11-style builtins for the
 * host, PTX for the device, and the model checker relacy (GQ_MODEL), so that one protocol source is compiled for all.
 *
 * Calls are gq_ld32(p, order, scope), gq_st64(p, v, order, scope), and so on. The order is one of GQ_RELAXED,
 * GQ_ACQUIRE, GQ_RELEASE, GQ_ACQ_REL; the scope is GQ_GPU for words in device memory that only the device
 * touches, and GQ_SYS for words that host and device share. The host ignores the scope.
 *
 * A gq_unit is the piece of a ring cell that is read and written in one access: 16 bytes where the host stores
 * 16 aligned bytes as one (x86-64 with AVX: Intel SDM vol. 3A 9.1.1 and AMD APM vol. 2 7.3.2; Armv8.4 LSE2), else 8.
 * On the device a 16-byte vector access of aligned memory is taken as one; PTX 8.3 names it .b128. */
#ifndef GQ_ATOMICS_H
#define GQ_ATOMICS_H

#if defined(GQ_MODEL)
#include "model_atomics.h" /* tests/model: the same calls over relacy's atomics */
#else

#include <gpuqueue/handler.h> /* fixed-width integers, also under NVRTC */

typedef struct gq_a32 { uint32_t v; } gq_a32;
typedef struct gq_a64 { uint64_t v; } gq_a64;

/** 16 bytes of a cell: three data words and a tag. In 8-byte units each half is {data word, tag}. */
typedef struct gq_unit { uint32_t w[4]; } __attribute__((aligned(16))) gq_unit;

#define GQ_RELAXED 0
#define GQ_ACQUIRE 2
#define GQ_RELEASE 3
#define GQ_ACQ_REL 4
#define GQ_GPU 0
#define GQ_SYS 1

#if defined(__CUDACC__) && !defined(GQ_HOST_SIDE)
/* ------------------------------------------------------------------------------------------------ device */
#define GQ_CONSUMER static __device__ __forceinline__

#define GQ_PTX_LOAD(bits, type, constraint)                                                                        \
  template <int order, int scope> GQ_CONSUMER type gq_dev_ld##bits(const void *p)                                   \
  {                                                                                                                 \
    type v;                                                                                                         \
    if (order == GQ_ACQUIRE && scope == GQ_SYS)                                                                     \
      asm volatile("ld.acquire.sys.u" #bits " %0,[%1];" : constraint(v) : "l"(p) : "memory");                      \
    else if (order == GQ_ACQUIRE)                                                                                   \
      asm volatile("ld.acquire.gpu.u" #bits " %0,[%1];" : constraint(v) : "l"(p) : "memory");                      \
    else if (scope == GQ_SYS)                                                                                       \
      asm volatile("ld.relaxed.sys.u" #bits " %0,[%1];" : constraint(v) : "l"(p) : "memory");                      \
    else                                                                                                            \
      asm volatile("ld.relaxed.gpu.u" #bits " %0,[%1];" : constraint(v) : "l"(p) : "memory");                      \
    return v;                                                                                                       \
  }
GQ_PTX_LOAD(32, uint32_t, "=r")
GQ_PTX_LOAD(64, uint64_t, "=l")

#define GQ_PTX_STORE(bits, type, constraint)                                                                       \
  template <int order, int scope> GQ_CONSUMER void gq_dev_st##bits(void *p, type v)                                 \
  {                                                                                                                 \
    if (order == GQ_RELEASE && scope == GQ_SYS)                                                                     \
      asm volatile("st.release.sys.u" #bits " [%0],%1;" ::"l"(p), constraint(v) : "memory");                       \
    else if (order == GQ_RELEASE)                                                                                   \
      asm volatile("st.release.gpu.u" #bits " [%0],%1;" ::"l"(p), constraint(v) : "memory");                       \
    else if (scope == GQ_SYS)                                                                                       \
      asm volatile("st.relaxed.sys.u" #bits " [%0],%1;" ::"l"(p), constraint(v) : "memory");                       \
    else                                                                                                            \
      asm volatile("st.relaxed.gpu.u" #bits " [%0],%1;" ::"l"(p), constraint(v) : "memory");                       \
  }
GQ_PTX_STORE(32, uint32_t, "r")
GQ_PTX_STORE(64, uint64_t, "l")

/* Read-modify-write exists for device memory only: PCIe gives none to host memory. */
#define GQ_PTX_RMW(name, op, bits, ptxtype, type, c)                                                               \
  template <int order> GQ_CONSUMER type name(void *p, type v)                                                       \
  {                                                                                                                 \
    type old;                                                                                                       \
    if (order == GQ_ACQ_REL)                                                                                        \
      asm volatile("atom.acq_rel.gpu.global." op "." ptxtype " %0,[%1],%2;" : "=" c(old) : "l"(p), c(v) : "memory"); \
    else if (order == GQ_RELEASE)                                                                                   \
      asm volatile("atom.release.gpu.global." op "." ptxtype " %0,[%1],%2;" : "=" c(old) : "l"(p), c(v) : "memory"); \
    else if (order == GQ_ACQUIRE)                                                                                   \
      asm volatile("atom.acquire.gpu.global." op "." ptxtype " %0,[%1],%2;" : "=" c(old) : "l"(p), c(v) : "memory"); \
    else                                                                                                            \
      asm volatile("atom.relaxed.gpu.global." op "." ptxtype " %0,[%1],%2;" : "=" c(old) : "l"(p), c(v) : "memory"); \
    return old;                                                                                                     \
  }
GQ_PTX_RMW(gq_dev_add32, "add", 32, "u32", uint32_t, "r")
GQ_PTX_RMW(gq_dev_add64, "add", 64, "u64", uint64_t, "l")
GQ_PTX_RMW(gq_dev_xchg64, "exch", 64, "b64", uint64_t, "l")

/** Add with nothing given back: the thread does not wait for it. */
GQ_CONSUMER void gq_dev_count(gq_a64 *p, uint64_t v)
{
  asm volatile("red.relaxed.gpu.global.add.u64 [%0],%1;" ::"l"(p), "l"(v) : "memory");
}

template <int order> GQ_CONSUMER int gq_dev_cas32(void *p, uint32_t *expected, uint32_t desired)
{
  uint32_t old;
  asm volatile("atom.acq_rel.gpu.global.cas.b32 %0,[%1],%2,%3;" : "=r"(old) : "l"(p), "r"(*expected), "r"(desired)
               : "memory");
  const int done = old == *expected;
  *expected = old;
  return done;
}
template <int order> GQ_CONSUMER int gq_dev_cas64(void *p, uint64_t *expected, uint64_t desired)
{
  uint64_t old;
  asm volatile("atom.acq_rel.gpu.global.cas.b64 %0,[%1],%2,%3;" : "=l"(old) : "l"(p), "l"(*expected), "l"(desired)
               : "memory");
  const int done = old == *expected;
  *expected = old;
  return done;
}

#define gq_ld32(p, order, scope) gq_dev_ld32<order, scope>(p)
#define gq_ld64(p, order, scope) gq_dev_ld64<order, scope>(p)
#define gq_st32(p, value, order, scope) gq_dev_st32<order, scope>(p, value)
#define gq_st64(p, value, order, scope) gq_dev_st64<order, scope>(p, value)
#define gq_add32(p, value, order) gq_dev_add32<order>(p, value)
#define gq_add64(p, value, order) gq_dev_add64<order>(p, value)
#define gq_xchg64(p, value, order) gq_dev_xchg64<order>(p, value)
#define gq_cas32(p, expected, desired, order) gq_dev_cas32<order>(p, expected, desired)
#define gq_cas64(p, expected, desired, order) gq_dev_cas64<order>(p, expected, desired)

/** Order earlier accesses before later ones, for everyone on the bus. */
GQ_CONSUMER void gq_fence_sys(void) { asm volatile("fence.sc.sys;" ::: "memory"); }

GQ_CONSUMER gq_unit gq_unit_ld_sys(const gq_unit *p)
{
  gq_unit u;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0,%1,%2,%3},[%4];"
               : "=r"(u.w[0]), "=r"(u.w[1]), "=r"(u.w[2]), "=r"(u.w[3]) : "l"(p) : "memory");
  return u;
}
GQ_CONSUMER gq_unit gq_unit_ld_gpu(const gq_unit *p)
{
  gq_unit u;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3},[%4];"
               : "=r"(u.w[0]), "=r"(u.w[1]), "=r"(u.w[2]), "=r"(u.w[3]) : "l"(p) : "memory");
  return u;
}
GQ_CONSUMER void gq_unit_st_sys(gq_unit *p, gq_unit u)
{
  asm volatile("st.relaxed.sys.global.v4.u32 [%0],{%1,%2,%3,%4};"
               ::"l"(p), "r"(u.w[0]), "r"(u.w[1]), "r"(u.w[2]), "r"(u.w[3]) : "memory");
}
GQ_CONSUMER void gq_unit_st_gpu(gq_unit *p, gq_unit u)
{
  asm volatile("st.relaxed.gpu.global.v4.u32 [%0],{%1,%2,%3,%4};"
               ::"l"(p), "r"(u.w[0]), "r"(u.w[1]), "r"(u.w[2]), "r"(u.w[3]) : "memory");
}

#else
/* -------------------------------------------------------------------------------------------------- host */
#define GQ_CONSUMER static inline __attribute__((unused))

#define gq_ld32(p, order, scope) __atomic_load_n(&(p)->v, order)
#define gq_ld64(p, order, scope) __atomic_load_n(&(p)->v, order)
#define gq_st32(p, value, order, scope) __atomic_store_n(&(p)->v, value, order)
#define gq_st64(p, value, order, scope) __atomic_store_n(&(p)->v, value, order)
#define gq_add32(p, value, order) __atomic_fetch_add(&(p)->v, value, order)
#define gq_add64(p, value, order) __atomic_fetch_add(&(p)->v, value, order)
#define gq_xchg64(p, value, order) __atomic_exchange_n(&(p)->v, value, order)
#define gq_cas32(p, expected, desired, order)                                                                      \
  __atomic_compare_exchange_n(&(p)->v, expected, desired, 0, order, __ATOMIC_RELAXED)
#define gq_cas64(p, expected, desired, order)                                                                      \
  __atomic_compare_exchange_n(&(p)->v, expected, desired, 0, order, __ATOMIC_RELAXED)

/** Tell the processor that this is a spin loop. */
#if defined(__x86_64__)
#define gq_pause() __builtin_ia32_pause()
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define gq_pause() __asm__ volatile("yield")
#else
#define gq_pause() ((void)0)
#endif

/** Order earlier stores before later loads too. */
#if defined(__SANITIZE_THREAD__)
GQ_CONSUMER void gq_fence_sys(void) /* ThreadSanitizer knows no fences; a locked instruction orders as well */
{
  uint32_t word = 0;

  __atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
}
#else
#define gq_fence_sys() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/* One aligned 16-byte access. Plain x86 loads acquire and plain stores release, also for vectors of this width. What is
 * only carried on, a payload's words, stays in vector registers: through memory, the vector would wait for the words'
 * stores, and through general registers it would take five instructions for one. */
typedef uint32_t gq_vec __attribute__((vector_size(16)));
#if defined(__x86_64__)
GQ_CONSUMER gq_vec gq_vec_ld(const gq_unit *p)
{
  gq_vec v;
  __asm__ volatile("movdqa %1,%0" : "=x"(v) : "m"(*p) : "memory");
  return v;
}
GQ_CONSUMER void gq_vec_st(gq_unit *p, gq_vec v)
{
  __asm__ volatile("movdqa %1,%0" : "=m"(*p) : "x"(v) : "memory");
}
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
typedef uint64_t gq_halves __attribute__((vector_size(16)));
GQ_CONSUMER gq_vec gq_vec_ld(const gq_unit *p)
{
  uint64_t lo, hi;
  __asm__ volatile("ldp %0,%1,%2\n\tdmb ishld" : "=r"(lo), "=r"(hi) : "Q"(*p) : "memory");
  return (gq_vec)(gq_halves){lo, hi};
}
GQ_CONSUMER void gq_vec_st(gq_unit *p, gq_vec v)
{
  const gq_halves h = (gq_halves)v;
  __asm__ volatile("dmb ish\n\tstp %1,%2,%0" : "=Q"(*p) : "r"(h[0]), "r"(h[1]) : "memory");
}
#else
#define GQ_NO_UNIT16 1
#endif

#if !defined(GQ_NO_UNIT16)
GQ_CONSUMER gq_unit gq_unit16_ld(const gq_unit *p)
{
  const gq_vec v = gq_vec_ld(p);
  const gq_unit u = {{v[0], v[1], v[2], v[3]}};

  return u;
}
GQ_CONSUMER void gq_unit16_st(gq_unit *p, gq_unit u)
{
  const gq_vec v = {u.w[0], u.w[1], u.w[2], u.w[3]};

  gq_vec_st(p, v);
}
#endif

/** One word of a unit that is written in one piece. */
GQ_CONSUMER uint32_t gq_unit_word_ld(const gq_unit *p, unsigned i)
{
  return __atomic_load_n(&p->w[i], __ATOMIC_ACQUIRE);
}

/** Bring the line of \p p here, to be written. Never faults. */
GQ_CONSUMER void gq_prefetch_write(const void *p)
{
#if defined(__x86_64__)
  /* GCC takes this instruction for a plain prefetch unless told which processor it is for; where a processor has it not,
   * it does nothing. */
  __asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
  __builtin_prefetch(p, 1);
#endif
}

/* One aligned 8-byte access: half a unit. */
GQ_CONSUMER uint64_t gq_unit8_ld(const gq_unit *p, unsigned half)
{
  return __atomic_load_n((const uint64_t *)(const void *)&p->w[half * 2], __ATOMIC_ACQUIRE);
}
GQ_CONSUMER void gq_unit8_st(gq_unit *p, unsigned half, uint64_t v)
{
  __atomic_store_n((uint64_t *)(void *)&p->w[half * 2], v, __ATOMIC_RELEASE);
}
#endif
#endif
#endif
