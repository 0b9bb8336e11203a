/* SPDX-License-Identifier: Apache-2.0 */
/* The library's sources as they ship, compiled over relacy: lanes, sending, receiving, waking and the CPU backend.
 * What the operating system does for them (locks, futexes, time, memory of slots) is modelled here. */
#ifndef GQ_MODEL_SHIPPED_H
#define GQ_MODEL_SHIPPED_H
/* Every system header that the sources use, before the names below become macros. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "edges.h"

/* ---------------------------------------------------------------------------------------------------- locks */

struct gq_model_mutex { rl::mutex *m; };
#define pthread_mutex_t gq_model_mutex
#define pthread_mutex_init(p, a) ((void)(p), 0)
#define pthread_mutex_destroy(p) ((void)(p), 0)
#define pthread_mutex_lock(p) (p)->m->lock($)
#define pthread_mutex_unlock(p) (p)->m->unlock($)

/* ------------------------------------------------------------------------------------------------ time, futex */

static void really_clock_gettime(struct timespec *t) { clock_gettime(CLOCK_MONOTONIC, t); }

static uint64_t gq_model_time; /* every look at the clock finds it later than an idle worker's patience */

static int gq_model_clock(int, struct timespec *t)
{
  gq_model_time += 30000;
  t->tv_sec = (time_t)(gq_model_time / 1000000000u), t->tv_nsec = (long)(gq_model_time % 1000000000u);
  return 0;
}

/* A sleeper may wake up at any time and without a reason, but never by a time limit: all code that sleeps looks at
 * its word again. A wake-up that is lost is a livelock to relacy. */
template <typename... rest> static long gq_model_syscall(int, rl::atomic<uint32_t> *, int operation, rest...)
{
  if (operation == FUTEX_WAIT) rl::yield(1, $);
  return 0;
}

#define clock_gettime gq_model_clock
#define syscall gq_model_syscall
#define sched_yield() (rl::yield(1, $), 0)

/* ------------------------------------------------------------------------------------------ the memory of slots
 * One variable for each slot stands for its bytes: relacy fails an access that nothing orders after the last write. */

#define GQ_MODEL_SLOTS 4
struct gq_model_slots {
  uint8_t *base;
  rl::var<uint32_t> content[GQ_MODEL_SLOTS];
};
static gq_model_slots *gq_model_arena;

/* The slot at \p address, or -1. */
static int gq_model_slot(const void *address)
{
  const uint8_t *p = (const uint8_t *)address;

  if (!gq_model_arena || p < gq_model_arena->base || p >= gq_model_arena->base + GQ_MODEL_SLOTS * 256) return -1;
  return (int)((p - gq_model_arena->base) / 256);
}

static void gq_model_copy(void *to, const void *from, size_t size)
{
  const int t = gq_model_slot(to), f = gq_model_slot(from);
  uint32_t value = 0;

  if (f >= 0) value = gq_model_arena->content[f]($);
  else __builtin_memcpy(&value, from, size < 4 ? size : 4);
  if (t >= 0) gq_model_arena->content[t]($) = value;
  else if (f >= 0) __builtin_memcpy(to, &value, size < 4 ? size : 4);
  else __builtin_memcpy(to, from, size);
}
#define memcpy gq_model_copy

/* ------------------------------------------------------------------------------------------------- the sources */

#define GQ_MODEL 1
#define _Static_assert static_assert
#define _Thread_local thread_local
#include "lane.h"
#include "queue.h"
#include "error.h"
#include "guard.h"
#include "ring.h"

/* One more mutation, of arithmetic: a completion order of N entries. */
static bool gq_model_short_endings;
static uint64_t gq_model_ending_index(uint64_t d, unsigned l) { return gq_ending_index(d, l - gq_model_short_endings); }
static uint32_t gq_model_ending_tag(uint64_t d, unsigned l) { return gq_ending_tag(d, l - gq_model_short_endings); }
static uint64_t gq_model_ending_word(uint64_t d, uint64_t p, unsigned l)
{
  return gq_ending_word(d, p, l - gq_model_short_endings);
}

/* relacy never lets a load see a store that comes later, nor lets stores to one word change places, so a cell that is
 * used again too early would go unnoticed. Where a writer has licence to write a whole cell, and a reader to keep
 * reading it, they touch its `content` too, and relacy sees whether something orders the two. Readers who only look
 * (gq_lane_completed() and the like, before they take) rely on the tags alone and do not. */
static void gq_model_cell_put(const char *function, gq_unit *cell, uint32_t unit_bytes, uint32_t tag,
                              const gq_cell_view *view, const void *payload, uint32_t size)
{
  (void)function;
  cell->content($) = tag;
  gq_cell_put(cell, unit_bytes, tag, view, payload, size);
}
static int gq_model_cell_get(const char *function, const gq_unit *cell, uint32_t units, uint32_t unit_bytes,
                             uint32_t tag, gq_cell_view *view, void *payload)
{
  if (!gq_cell_get(cell, units, unit_bytes, tag, view, payload)) return 0;
  if (!strcmp(function, "fetch") || !strcmp(function, "serve") || !strcmp(function, "ring_get"))
    RL_ASSERT(cell->content($) == tag);
  return 1;
}
#define gq_cell_put(...) gq_model_cell_put(__func__, __VA_ARGS__)
#define gq_cell_get(...) gq_model_cell_get(__func__, __VA_ARGS__)
#define gq_ending_index gq_model_ending_index
#define gq_ending_tag gq_model_ending_tag
#define gq_ending_word gq_model_ending_word

#include "lane_path.h"
/* Nor does relacy put another store to a state before an exchange of it. Who marks a state with a plain store, and who
 * exchanges it for an id, touch this, one for each state. */
static rl::var<uint32_t> *gq_model_marked;
static bool gq_model_mark_taken(gq_cells cells, uint64_t position)
{
  gq_model_marked[position & cells.mask]($) = 1;
  return gq_cells_mark_taken(cells, position);
}
static bool gq_model_hold(const char *function, gq_cells cells, uint64_t position, uint64_t mark)
{
  if (strcmp(function, "gq_lane_take_next")) (void)(uint32_t)gq_model_marked[position & cells.mask]($);
  return gq_cells_hold(cells, position, mark);
}
static bool gq_model_take(gq_lane *lane, uint64_t position)
{
  (void)(uint32_t)gq_model_marked[position & lane->ring_mask]($);
  return gq_lane_take(lane, position);
}
#define gq_cells_mark_taken gq_model_mark_taken
#define gq_cells_hold(...) gq_model_hold(__func__, __VA_ARGS__)
#define gq_lane_take gq_model_take

gq_status gq_fail(gq_status status, const char *, ...) { return status; }
void gq_set_failure(int32_t, uint32_t) {}
void gq_guard_install(void) {}
void gq_guard_remove(void) {}
gq_guarded *gq_guard_enter(void *) { return nullptr; }
bool gq_guard_run(gq_guarded *, void (*body)(void *), void *argument, gq_crash *)
{
  body(argument);
  return true; /* no handler crashes here */
}
void gq_crash_say(const gq_crash *, char *, size_t) {}
const char *gq_last_error(void) { return ""; }
thread_local uint32_t gq_my_stripe;
uint32_t gq_stripe_number(void) { return GQ_STRIPES - 1; }
void gq_record_stages(gq_core *, const gq_lane *, uint64_t) {}
uint64_t gq_supplies_host_bytes(const gq_supplies *) { return 0; }
void gq_args_rebase(const gq_declaration *, uint8_t *, uint64_t) {}
gq_status gq_init_refused(const gq_declaration *, int32_t) { return GQ_FAILED; }
gq_status gq_init_stalled(const gq_declaration *, uint32_t) { return GQ_TIMEOUT; }

/* An arena of a few slots behind its lock. */
uint64_t gq_arena_rounded(uint64_t size) { return size; }
int gq_arena_init(gq_arena *, uint64_t) { return 0; }
void gq_arena_free_all(gq_arena *) {}
uint64_t gq_arena_get(gq_arena *arena, uint64_t)
{
  uint64_t offset = UINT64_MAX;

  pthread_mutex_lock(&arena->lock);
  for (uint32_t i = 0; i < GQ_MODEL_SLOTS && offset == UINT64_MAX; i++)
    if (!arena->free_head[i]) arena->free_head[i] = 1, offset = i * 256u;
  pthread_mutex_unlock(&arena->lock);
  return offset;
}
void gq_arena_put(gq_arena *arena, uint64_t offset)
{
  pthread_mutex_lock(&arena->lock);
  RL_ASSERT(arena->free_head[offset / 256] == 1);
  arena->free_head[offset / 256] = 0;
  pthread_mutex_unlock(&arena->lock);
}
void gq_arena_keep(gq_arena *arena, uint64_t offset) { gq_arena_put(arena, offset); }

#define TURNS 2u
#include "../../lib/lane.c"
#undef TURNS
#include "../../lib/order.c"
#undef PAGE
#include "../../lib/send.c"
#include "../../lib/receive.c"
#include "../../lib/wait.c"
#include "../../lib/suspects.c"
#undef SPIN_NS
#define FETCH 2u
#define FETCH_SHORT 2u
#define TOGETHER 2u
#define RING_LOG2 gq_model_ring_log2
static uint32_t gq_model_ring_log2;
#include "../../lib/cpu_run.c"
#include "../../lib/cpu_work.c"
#include "../../lib/cpu.c"
#undef memcpy

#endif
