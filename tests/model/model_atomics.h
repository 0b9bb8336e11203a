/* SPDX-License-Identifier: Apache-2.0 */
/* The third half of lib/atomics.h: the same calls over relacy's atomics, 8-byte units only. Every call knows where it
 * stands in the source (function, operation, object), so that a run can weaken one place and see that it is missed. */
#ifndef GQ_MODEL_ATOMICS_H
#define GQ_MODEL_ATOMICS_H
#include "edges.h"

#define GQ_CONSUMER static inline __attribute__((unused))

#define GQ_RELAXED 0
#define GQ_ACQUIRE 2
#define GQ_RELEASE 3
#define GQ_ACQ_REL 4
#define GQ_GPU 0
#define GQ_SYS 1

/* Lanes are zeroed memory. Copies are made by code that the model compiles and never runs. */
template <typename T> struct gq_model_word {
  rl::atomic<T> v;

  gq_model_word() : v(T()) {}
  gq_model_word(const gq_model_word &) : v(T()) { abort(); }
  gq_model_word &operator=(const gq_model_word &) { abort(); }
};
typedef gq_model_word<uint32_t> gq_a32;
typedef gq_model_word<uint64_t> gq_a64;

/** 16 bytes of a cell as two 8-byte halves. `ring` says which ring it belongs to. `content`, in the first unit of a
 * cell, stands for all that the cell holds, as if it were plain memory: see gq_model_cell_put(). */
struct gq_unit {
  rl::atomic<uint64_t> half[2];
  const char *ring;
  mutable rl::var<uint32_t> content;

  gq_unit() : half(), ring("cell"), content(0)
  {
    half[0].store(0, rl::mo_relaxed, $), half[1].store(0, rl::mo_relaxed, $);
  }
};

#define GQ_EDGE(operation, object, order) gq_edge_order(__func__, operation, object, order)

#define gq_ld32(p, order, scope) (p)->v.load(GQ_EDGE("load", #p, order), $)
#define gq_ld64(p, order, scope) (p)->v.load(GQ_EDGE("load", #p, order), $)
#define gq_st32(p, value, order, scope) (p)->v.store(value, GQ_EDGE("store", #p, order), $)
#define gq_st64(p, value, order, scope) (p)->v.store(value, GQ_EDGE("store", #p, order), $)
#define gq_add32(p, value, order) gq_model_add(&(p)->v, (uint32_t)(value), GQ_EDGE("add", #p, order))
#define gq_add64(p, value, order) gq_model_add(&(p)->v, (uint64_t)(value), GQ_EDGE("add", #p, order))
#define gq_xchg64(p, value, order) gq_model_exchange(&(p)->v, (uint64_t)(value), GQ_EDGE("exchange", #p, order))
#define gq_cas32(p, expected, desired, order) \
  gq_model_cas(&(p)->v, expected, (uint32_t)(desired), GQ_EDGE("cas", #p, order))
#define gq_cas64(p, expected, desired, order) \
  gq_model_cas(&(p)->v, expected, (uint64_t)(desired), GQ_EDGE("cas", #p, order))
#define gq_fence_sys() gq_model_fence(__func__)
#define gq_pause() gq_model_pause(__func__)

/* A read-modify-write; under the mutation "split" a load and a store that others can get between. */
template <typename T> T gq_model_add(rl::atomic<T> *a, T by, gq_edge_use use)
{
  if (!use.split) return a->fetch_add(by, use, $);
  const T old = a->load(rl::mo_acquire, $);
  a->store(old + by, rl::mo_release, $);
  return old;
}

template <typename T> T gq_model_exchange(rl::atomic<T> *a, T value, gq_edge_use use)
{
  if (!use.split) return a->exchange(value, use, $);
  const T old = a->load(rl::mo_acquire, $);
  a->store(value, rl::mo_release, $);
  return old;
}

template <typename T> bool gq_model_cas(rl::atomic<T> *a, T *expected, T desired, gq_edge_use use)
{
  if (!use.split) return a->compare_exchange_strong(*expected, desired, use, $, rl::mo_relaxed, $);
  const T old = a->load(rl::mo_acquire, $);
  if (old != *expected) {
    *expected = old;
    return false;
  }
  a->store(desired, rl::mo_release, $);
  return true;
}

static inline void gq_model_fence(const char *function)
{
  if (!gq_edge_is_dropped(function, "fence", "")) rl::atomic_thread_fence(rl::mo_seq_cst, $);
}

/* The idle loop of a worker yields by itself after it has paused. */
static inline void gq_model_pause(const char *function)
{
  if (strcmp(function, "work") != 0) rl::yield(1, $);
}

static inline uint64_t gq_model_unit8_ld(const gq_unit *p, unsigned half, const char *function)
{
  return p->half[half].load(gq_edge_order(function, "load", p->ring, GQ_ACQUIRE), $);
}

/* Under the mutation "tear" the tag arrives before the data word that it vouches for. */
static inline void gq_model_unit8_st(gq_unit *p, unsigned half, uint64_t v, const char *function)
{
  const gq_edge_use use = gq_edge_order(function, "store", p->ring, GQ_RELEASE);

  if (use.split) {
    const uint64_t old = p->half[half].load(rl::mo_relaxed, $);
    p->half[half].store((uint32_t)old | (v >> 32 << 32), rl::mo_release, $);
  }
  p->half[half].store(v, use, $);
}

#define gq_unit8_ld(p, half) gq_model_unit8_ld(p, half, __func__)
#define gq_unit8_st(p, half, v) gq_model_unit8_st(p, half, v, __func__)

#endif
