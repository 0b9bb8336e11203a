/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend's workers: they consume the lanes with the protocol that the resident kernel uses, and run the same
 * handler source. A worker takes turns at every role: it fetches from a lane (one worker at a time), keeps one message
 * for itself and puts the others into the resident ring for whoever is idle, or takes one from there. Messages of a
 * short handler it keeps. */
#include "cpu.h"
#include "lane_path.h"

#include <sched.h>

#define SPIN_NS 50000u       /* how long an idle worker looks around before it sleeps */

/* ----------------------------------------------------------------------------------------------- watching
 * `awake` counts the workers that look at the lanes now and then. When it falls to 0 the lanes say parked, and a client
 * that enqueues rings the bell. */

static void set_parked(gq_backend_state *state, uint32_t parked)
{
  for (uint32_t l = 0; l < state->c->lane_count; l++)
    gq_st32(&state->c->lanes[l].head->parked, parked, GQ_RELAXED, GQ_SYS);
}

static bool anything_waits(gq_backend_state *state)
{
  const uint32_t head = gq_ld32(&state->ring->head, GQ_RELAXED, GQ_GPU);

  if (head != gq_ld32(&state->ring->tail, GQ_RELAXED, GQ_GPU)) return true;
  for (uint32_t l = 0; l < state->c->lane_count; l++) {
    const gq_lane *lane = &state->c->lanes[l];
    const uint64_t next = gq_ld64(&state->sources[l].next, GQ_RELAXED, GQ_GPU);
    gq_cell_view view;

    if (gq_cell_get(lane->submissions + (next & lane->ring_mask) * lane->units, lane->units, lane->unit_bytes,
                    gq_tag(next, lane->ring_log2), &view, NULL)) return true;
  }
  return false;
}

/* Who runs a handler that may take long is not there for others: clients must ring when nobody else is. */
static void step_aside(gq_backend_state *state)
{
  if (gq_add32(&state->awake, (uint32_t)-1, GQ_ACQ_REL) != 1) return;
  set_parked(state, 1);
  gq_fence_sys(); /* [P1] pairs with gq_wake_consumer(): the word is set before the last look */
  if (anything_waits(state)) gq_wake(&state->bell, 1);
}

static void step_back(gq_backend_state *state)
{
  if (gq_add32(&state->awake, 1, GQ_ACQ_REL) == 0) set_parked(state, 0);
}

/* ------------------------------------------------------------------------------------------------ serving */

/* A message may wait in a batch or in the ring behind a long one: what was fetched may be out of date. */
static uint32_t cancelled_since(const gq_lane *lane, uint64_t position)
{
  gq_cell_view view;

  return gq_cell_get(lane->submissions + (position & lane->ring_mask) * lane->units, lane->units, lane->unit_bytes,
                     gq_tag(position, lane->ring_log2), &view, NULL) &&
         (view.head[1] & GQ_CELL_CANCELLED);
}

/* Run one message, then those that waited for it by key. */
static void serve(worker *w, fetched *f)
{
  const gq_consumption *c = w->state->c;
  gq_lane *lane = &c->lanes[f->lane];
  gq_key_word *keys = w->state->sources[f->lane].keys;
  bool first = true;

  for (;;) {
    gq_key_word *word = &keys[f->position & lane->ring_mask];
    const uint64_t position = f->position;
    uint64_t next = 0;
    bool may_take_long;
    gq_outcome o;
    gq_job job;

    gq_job_decode(&job, position, f->view.head, f->view.ext, &c->limits);
    if (first && job.dependency && job.dependency <= position) {
      const uint64_t d = position - job.dependency;
      gq_key_word *before = &keys[d & lane->ring_mask];
      const enum gq_key_turn turn = gq_key_start(before, d, position, lane->ring_mask + 1);

      if (turn == GQ_KEY_LATER) return;
      /* A few instructions away, unless its thread was stopped. */
      while (turn == GQ_KEY_SOON && !gq_key_is_posted(before, d)) sched_yield();
    }
    may_take_long = !c->is_short || job.has_slot;
    if (may_take_long) {
      job.cancelled |= cancelled_since(lane, position);
      step_aside(w->state);
    }
    o = gq_cpu_run(w, f, &job);
    if (o.status == GQ_DEVICE_LOST) return; /* the worker ends; its message has no result */
    if (may_take_long) step_back(w->state);
    if (job.key) next = gq_key_finish(word, position);
    gq_cpu_complete(w, f, &job, &o);
    if (job.key) gq_key_posted(word, position);
    /* No fence: a sleeper that is missed here wakes up by itself within 1 ms. After short ones the caller does it. */
    if (may_take_long || next) gq_wake_sleepers(&lane->head->for_results);
    if (!next || gq_ld32(&w->state->stop, GQ_ACQUIRE, GQ_SYS)) return;
    f->position = next;
    first = false;
    /* It was complete when its taker decided to wait, and nobody changes it but gq_lane_cancel(). */
    if (!gq_cell_get(lane->submissions + (next & lane->ring_mask) * lane->units, lane->units, lane->unit_bytes,
                     gq_tag(next, lane->ring_log2), &f->view, f->payload))
      return;
  }
}

/* --------------------------------------------------------------------------------------------------- ring */

static void ring_put(gq_backend_state *state, uint32_t entry, const fetched *f)
{
  const gq_limits *limits = &state->c->limits;
  const uint32_t i = entry & ((1u << RING_LOG2) - 1), has_slot = f->view.head[1] & GQ_CELL_SLOT;
  const uint32_t tag = gq_tag(entry, RING_LOG2);
  gq_cell_view origin;

  while (!gq_ring_is_free(&state->ring_free[i], entry, RING_LOG2)) gq_pause(); /* its reader is copying it out */
  origin.head[0] = 0, origin.head[1] = GQ_CELL_SLOT | f->lane << 8, origin.head[2] = (uint32_t)(f->position >> 32);
  origin.head[0] = (uint32_t)f->position;
  gq_cell_put(&state->ring_origins[i * 2], limits->unit_bytes, tag, &origin, NULL, 0);
  /* [Q1] release: the tags license the worker that claimed the entry to read it */
  gq_cell_put(&state->ring_cells[i * limits->units], limits->unit_bytes, tag, &f->view, f->payload,
              has_slot ? 0 : f->view.head[0]);
}

static void ring_get(gq_backend_state *state, uint32_t entry, fetched *f)
{
  const gq_limits *limits = &state->c->limits;
  const uint32_t i = entry & ((1u << RING_LOG2) - 1), tag = gq_tag(entry, RING_LOG2);
  gq_cell_view origin;

  /* [Q1] acquire; short: the entry is reserved, and whoever reserved it is writing it */
  while (!gq_cell_get(&state->ring_origins[i * 2], 2, limits->unit_bytes, tag, &origin, NULL)) gq_pause();
  while (!gq_cell_get(&state->ring_cells[i * limits->units], limits->units, limits->unit_bytes, tag, &f->view,
                      f->payload)) gq_pause();
  f->lane = origin.head[1] >> 8;
  f->position = origin.head[0] | (uint64_t)origin.head[2] << 32;
  gq_ring_free(&state->ring_free[i], entry, RING_LOG2);
}

/* ------------------------------------------------------------------------------------------------ fetching */

/* How many messages to fetch where FETCH wait and all of them are short. Every turn costs the other workers some cache
 * misses, so many at once; but no more than half of what would be each worker's. */
static uint32_t fair_share(const gq_backend_state *state, const gq_lane *lane, uint64_t next)
{
  const uint64_t waiting = gq_ld64(&lane->head->claimed, GQ_RELAXED, GQ_SYS) - next; /* a client's word: any value */
  const uint64_t share = waiting / 2 / state->worker_count;

  return share > FETCH_SHORT ? FETCH_SHORT : share < FETCH ? FETCH : (uint32_t)share;
}

static uint32_t fetch(worker *w, uint32_t index)
{
  gq_backend_state *state = w->state;
  const gq_lane *lane = &state->c->lanes[index];
  const gq_cells cells = gq_lane_cells(lane, lane->submissions);
  source *s = &state->sources[index];
  const uint32_t most = gq_inline_bytes(cells.units, cells.unit_bytes, 0);
  uint32_t idle = 0, n = 0, max = FETCH;
  bool is_short = state->c->is_short;
  uint64_t next;

  if (gq_ld32(&s->turn, GQ_RELAXED, GQ_GPU) || !gq_cas32(&s->turn, &idle, 1, GQ_ACQUIRE)) return 0; /* [T1] */
  if (state->worker_count > 1) {
    max = 1 + gq_ring_room(state->ring, 1u << RING_LOG2, FETCH * state->worker_count);
    if (max > FETCH) max = FETCH;
  }
  next = gq_ld64(&s->next, GQ_RELAXED, GQ_GPU);
  for (; n < max || (n == FETCH && is_short && n < (max = fair_share(state, lane, next - n))); n++, next++) {
    fetched *f = &w->batch[n];

    /* [S1] acquire: licenses reading the cell, and [S2] the slot it names */
    if (!gq_cell_get(gq_cells_at(cells, next), cells.units, cells.unit_bytes, gq_tag(next, cells.ring_log2), &f->view,
                     f->payload))
      break;
    f->lane = index;
    f->position = next;
    if (!(f->view.head[1] & GQ_CELL_SLOT) &&
        f->view.head[0] > most - (f->view.head[1] & GQ_CELL_EXT ? 4 * GQ_EXT_WORDS : 0)) {
      /* malformed: no inline bytes, surely too large */
      f->view.head[0] = UINT32_MAX;
      f->view.head[1] |= GQ_CELL_SLOT;
    }
    if (f->view.head[1] & GQ_CELL_SLOT) {
      is_short = false;
      if (n >= FETCH) max = n + 1; /* it is handed on, alone */
    }
  }
  gq_st64(&s->next, next, GQ_RELAXED, GQ_GPU);
  gq_bump(&w->counters.taken, n);
  gq_st32(&s->turn, 0, GQ_RELEASE, GQ_GPU); /* [T1] release: licenses the next to use `next` */
  return n;
}

static void wake_one(gq_backend_state *state)
{
  if (gq_ld32(&state->awake, GQ_RELAXED, GQ_GPU) < state->worker_count) gq_wake(&state->bell, 1);
}

/* Run or hand on the \p n messages in the worker's batch. */
static void serve_batch(worker *w, uint32_t n)
{
  gq_backend_state *state = w->state;
  uint32_t keep = 1;

  /* Messages known to be short are run here, which beats handing them on. Others go to whoever is idle, so that none
   * waits behind a long one. */
  while (keep < n &&
         (state->worker_count == 1 || (state->c->is_short && !(w->batch[keep].view.head[1] & GQ_CELL_SLOT))))
    keep++;
  if (keep < n) {
    uint32_t entry = gq_ring_reserve(state->ring, n - keep);

    for (uint32_t i = keep; i < n; i++) ring_put(state, entry++, &w->batch[i]);
  }
  if (keep < n || n >= FETCH) wake_one(state);
  for (uint32_t i = 0; i < keep && !gq_ld32(&state->stop, GQ_ACQUIRE, GQ_SYS);) {
    const uint32_t together = gq_cpu_run_plain(w, &w->batch[i], keep - i);

    if (together == 0 && !gq_ld32(&state->stop, GQ_ACQUIRE, GQ_SYS)) serve(w, &w->batch[i]);
    i += together ? together : 1;
  }
}

/* Fetch from every lane in turn. \return whether anything was done. */
static bool serve_lanes(worker *w)
{
  gq_backend_state *state = w->state;
  bool any = false;

  for (uint32_t l = 0; l < state->c->lane_count; l++) {
    const uint32_t n = fetch(w, l);

    if (n == 0) continue;
    any = true;
    serve_batch(w, n);
    gq_wake_sleepers(&state->c->lanes[l].head->for_results);
  }
  return any;
}

static bool serve_ring(worker *w)
{
  gq_backend_state *state = w->state;
  uint32_t entry;

  if (state->worker_count == 1 || gq_ring_claim(state->ring, 1, &entry) == 0) return false;
  ring_get(state, entry, &w->batch[0]);
  if (gq_ring_waiting(state->ring)) wake_one(state);
  serve(w, &w->batch[0]);
  gq_wake_sleepers(&state->c->lanes[w->batch[0].lane].head->for_results);
  return true;
}

/* Sleep until somebody rings. The last one awake tells the clients first, and looks once more. */
static void sleep_until_rung(worker *w)
{
  gq_backend_state *state = w->state;
  const uint32_t seen = gq_ld32(&state->bell, GQ_ACQUIRE, GQ_SYS);

  if (gq_add32(&state->awake, (uint32_t)-1, GQ_ACQ_REL) == 1) {
    set_parked(state, 1);
    gq_fence_sys(); /* [P1] pairs with gq_wake_consumer(): the word is set before the last look */
    if (anything_waits(state)) {
      gq_add32(&state->awake, 1, GQ_ACQ_REL);
      set_parked(state, 0);
      return;
    }
    gq_add64(&state->parks, 1, GQ_RELAXED);
  }
  while (gq_ld32(&state->bell, GQ_ACQUIRE, GQ_SYS) == seen && !gq_ld32(&state->stop, GQ_ACQUIRE, GQ_SYS))
    gq_sleep_on(&state->bell, seen, 1000000000u);
  if (gq_add32(&state->awake, 1, GQ_ACQ_REL) == 0) {
    gq_add64(&state->relaunches, 1, GQ_RELAXED);
    set_parked(state, 0);
  }
}

void *gq_cpu_work(void *argument)
{
  worker *w = argument;
  gq_backend_state *state = w->state;
  uint64_t idle_since = 0;

  if (w->guard_stack) w->guarded = gq_guard_enter(w->guard_stack);
  while (!gq_ld32(&state->stop, GQ_ACQUIRE, GQ_SYS)) {
    if (serve_ring(w) || serve_lanes(w)) {
      idle_since = 0;
      continue;
    }
    if (idle_since == 0) idle_since = gq_now();
    for (int i = 0; i < 64; i++) gq_pause();
    if (gq_now() - idle_since < SPIN_NS) {
      sched_yield();
      continue;
    }
    sleep_until_rung(w);
    idle_since = 0;
  }
  return NULL;
}
