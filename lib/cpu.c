/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend: worker threads that consume the lanes with the protocol that the resident kernel uses, and run the
 * same handler source. A worker takes turns at every role: it fetches from a lane (one worker at a time), keeps one
 * message for itself and puts the others into the resident ring for whoever is idle, or takes one from there. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "error.h"
#include "ring.h"

#ifndef GQ_MODEL             /* the model checker takes small ones */
#define FETCH 16u            /* messages fetched in one turn */
#define RING_LOG2 10u
#endif
#define SPIN_NS 50000u       /* how long an idle worker looks around before it sleeps */
#define STOP_NS 2000000000ull
#define DEFAULT_WORKERS_MAX 16

/* A message off a lane. The payload is aligned as handlers are promised. */
typedef struct fetched {
  uint64_t position;
  uint32_t lane;
  gq_cell_view view;
  uint8_t payload[528] __attribute__((aligned(16)));
} fetched;

typedef struct source {
  GQ_LINE gq_a32 turn;       /* 1 while a worker fetches */
  gq_a64 next;               /* the position to fetch next; written by whoever has the turn */
  GQ_LINE gq_a64 ended;      /* entries of the completion order given out */
  gq_key_word *keys;         /* by ring index: see gq_key_start() */
} source;

typedef struct worker {
  GQ_LINE gq_backend_state *state;
  pthread_t thread;
  gq_consumed counters;      /* written by this worker, read by gq_stats() */
  gq_a64 busy_since, busy_id; /* what it runs, 0: nothing */
  fetched batch[FETCH];
  uint8_t reply[528] __attribute__((aligned(16)));
} worker;

struct gq_backend_state {
  const gq_consumption *c;
  worker *workers;
  uint32_t worker_count, started;
  source *sources;
  gq_ring_counts *ring;
  gq_unit *ring_cells, *ring_origins;
  gq_a32 *ring_free;
  GQ_LINE gq_a32 bell;       /* sleeping workers wait here */
  gq_a32 stop;
  GQ_LINE gq_a32 awake;
  gq_a64 parks, relaunches;
};

static void bump(uint64_t *counter, uint64_t by)
{
  __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

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

/* ------------------------------------------------------------------------------------------------ running */

typedef struct outcome {
  uint32_t status, attempts, size;
  int32_t code;
  const uint8_t *result;
} outcome;

static void complete(worker *w, const fetched *f, const gq_job *job, const outcome *o)
{
  const gq_consumption *c = w->state->c;
  gq_lane *lane = &c->lanes[f->lane];
  source *s = &w->state->sources[f->lane];
  const uint32_t inline_room = gq_inline_bytes(c->limits.units, c->limits.unit_bytes, 0);
  const uint32_t in_slot = o->status == GQ_OK && o->size > inline_room;
  const uint32_t bytes = o->status == GQ_OK && !in_slot ? o->size : 0;
  gq_cell_view view;

  bump(o->status == GQ_OK ? &w->counters.completed :
       o->status == GQ_CANCELLED ? &w->counters.cancelled : &w->counters.failed, 1);
  if (o->attempts > 1) bump(&w->counters.retried, o->attempts - 1);
  bump(&w->counters.finished, 1);
  gq_completion_head(view.head, o->size, (in_slot ? GQ_CELL_SLOT : 0u) | job->recall, o->status, o->attempts, o->code);
  if (o->status != GQ_OK) view.head[1] |= GQ_CELL_SLOT; /* no inline bytes, whatever the size says */
  if (!c->limits.ordered) {
    const uint64_t d = gq_add64(&s->ended, 1, GQ_RELAXED);

    /* [O1] release: licenses a poller to look at the position that it names. Before the cell, because this thread may
     * be preempted between the two: see gq_ending_word(). */
    gq_st64(&lane->endings[gq_ending_index(d, lane->ring_log2)], gq_ending_word(d, f->position, lane->ring_log2),
            GQ_RELEASE, GQ_SYS);
  }
  /* [C1] release: licenses the client to read the result, and [C2] the result slot */
  gq_cell_put(lane->completions + (f->position & lane->ring_mask) * lane->units, lane->unit_bytes,
              gq_tag(f->position, lane->ring_log2), &view, o->result, bytes);
  /* No fence: a sleeper that is missed here wakes up by itself within 1 ms. */
  if (gq_ld32(&lane->head->sleepers, GQ_RELAXED, GQ_SYS)) gq_wake(&lane->head->woken, 0x7fffffff);
}

static void stamp(const worker *w, const fetched *f, bool at_end, uint64_t now)
{
  const gq_lane *lane = &w->state->c->lanes[f->lane];
  gq_stamp *stamps = &lane->start_stamps[(f->position & lane->ring_mask) / GQ_SAMPLE];

  if (f->position % GQ_SAMPLE == 0) gq_st64(at_end ? &stamps->end : &stamps->start, now, GQ_RELAXED, GQ_SYS);
}

static outcome run(worker *w, const fetched *f, const gq_job *job)
{
  const gq_consumption *c = w->state->c;
  gq_lane *lane = &c->lanes[f->lane];
  const gq_context context = {.ranks = 1, .scope = c->scope};
  const uint64_t id = gq_id_make(f->lane, f->position);
  gq_msg msg = {job->has_slot ? lane->arena_base + job->slot_offset : f->payload, job->size, 1, id, job->key, job->tag};
  gq_reply reply = {job->has_result_slot ? lane->arena_base + job->result_offset : w->reply, job->room, 0};
  const bool timed = !c->is_short || job->has_slot || f->position % GQ_SAMPLE == 0;
  outcome o = {job->malformed ? GQ_MALFORMED : GQ_CANCELLED, 0, 0, 0, NULL};

  if (job->malformed || job->cancelled) return o;
  if (timed) {
    const uint64_t now = gq_now();

    gq_st64(&w->busy_id, id, GQ_RELAXED, GQ_SYS);
    gq_st64(&w->busy_since, now, GQ_RELEASE, GQ_SYS);
    stamp(w, f, false, now);
  }
  for (;;) {
    o.code = c->handler->function(&msg, &reply, &context);
    if (o.code == 0 || msg.attempt >= c->limits.attempts) break;
    msg.attempt++;
    reply.size = 0;
  }
  if (timed) {
    stamp(w, f, true, gq_now());
    gq_st64(&w->busy_since, 0, GQ_RELAXED, GQ_SYS);
  }
  o.status = o.code ? GQ_FAILED : reply.size > job->room ? GQ_RESULT_TOO_LARGE : GQ_OK;
  o.attempts = msg.attempt;
  o.size = reply.size;
  o.result = reply.data;
  return o;
}

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
    outcome o;
    gq_job job;

    gq_job_decode(&job, position, f->view.head, f->view.ext, &c->limits);
    if (first && job.dependency && job.dependency <= position) {
      const uint64_t d = position - job.dependency;
      gq_key_word *before = &keys[d & lane->ring_mask];

      if (!gq_key_start(before, d, position, lane->ring_mask + 1)) return;
      while (!gq_key_is_posted(before, d)) sched_yield(); /* a few instructions away, unless its thread was stopped */
    }
    may_take_long = !c->is_short || job.has_slot;
    if (may_take_long) {
      job.cancelled |= cancelled_since(lane, position);
      step_aside(w->state);
    }
    o = run(w, f, &job);
    if (may_take_long) step_back(w->state);
    if (job.key) next = gq_key_finish(word, position);
    complete(w, f, &job, &o);
    if (job.key) gq_key_posted(word, position);
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

static uint32_t fetch(worker *w, uint32_t index)
{
  gq_backend_state *state = w->state;
  gq_lane *lane = &state->c->lanes[index];
  source *s = &state->sources[index];
  const uint32_t words = gq_cell_words(lane->units, lane->unit_bytes);
  uint32_t idle = 0, n = 0, max = FETCH;
  uint64_t next;

  if (gq_ld32(&s->turn, GQ_RELAXED, GQ_GPU) || !gq_cas32(&s->turn, &idle, 1, GQ_ACQUIRE)) return 0; /* [T1] */
  if (state->worker_count > 1) {
    max = 1 + gq_ring_room(state->ring, 1u << RING_LOG2, FETCH * state->worker_count);
    if (max > FETCH) max = FETCH;
  }
  next = gq_ld64(&s->next, GQ_RELAXED, GQ_GPU);
  for (; n < max; n++, next++) {
    fetched *f = &w->batch[n];

    /* [S1] acquire: licenses reading the cell, and [S2] the slot it names */
    if (!gq_cell_get(lane->submissions + (next & lane->ring_mask) * lane->units, lane->units, lane->unit_bytes,
                     gq_tag(next, lane->ring_log2), &f->view, f->payload))
      break;
    f->lane = index;
    f->position = next;
    if (gq_used_words(f->view.head[0], f->view.head[1]) > words) { /* malformed: no inline bytes, surely too large */
      f->view.head[0] = UINT32_MAX;
      f->view.head[1] |= GQ_CELL_SLOT;
    }
  }
  gq_st64(&s->next, next, GQ_RELAXED, GQ_GPU);
  bump(&w->counters.taken, n);
  gq_st32(&s->turn, 0, GQ_RELEASE, GQ_GPU); /* [T1] release: licenses the next to use `next` */
  return n;
}

static void wake_one(gq_backend_state *state)
{
  if (gq_ld32(&state->awake, GQ_RELAXED, GQ_GPU) < state->worker_count) gq_wake(&state->bell, 1);
}

/* Fetch from every lane in turn. \return whether anything was done. */
static bool serve_lanes(worker *w)
{
  gq_backend_state *state = w->state;
  bool any = false;

  for (uint32_t l = 0; l < state->c->lane_count; l++) {
    const uint32_t n = fetch(w, l);
    uint32_t keep = 1;

    if (n == 0) continue;
    any = true;
    /* Messages known to be short are run here, which beats handing them on. Others go to whoever is idle, so that
     * none waits behind a long one. */
    while (keep < n && (state->worker_count == 1 ||
                        (state->c->is_short && !(w->batch[keep].view.head[1] & GQ_CELL_SLOT))))
      keep++;
    if (keep < n) {
      uint32_t entry = gq_ring_reserve(state->ring, n - keep);

      for (uint32_t i = keep; i < n; i++) ring_put(state, entry++, &w->batch[i]);
    }
    if (keep < n || n == FETCH) wake_one(state);
    for (uint32_t i = 0; i < keep && !gq_ld32(&state->stop, GQ_ACQUIRE, GQ_SYS); i++) serve(w, &w->batch[i]);
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

static void *work(void *argument)
{
  worker *w = argument;
  gq_backend_state *state = w->state;
  uint64_t idle_since = 0;

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

/* ------------------------------------------------------------------------------------------------- backend */

static gq_status cpu_check(const gq_consumption *c)
{
  (void)c;
  return GQ_OK;
}

static gq_status cpu_kick(gq_backend_state *state)
{
  gq_wake(&state->bell, 1);
  return GQ_OK;
}

static gq_status cpu_health(gq_backend_state *state)
{
  const uint64_t limit = (uint64_t)state->c->stall_ms * 1000000u, now = gq_now();

  for (uint32_t i = 0; limit && i < state->worker_count; i++) {
    const uint64_t since = gq_ld64(&state->workers[i].busy_since, GQ_ACQUIRE, GQ_SYS);

    if (since && now > since && now - since > limit)
      return gq_fail(GQ_DEVICE_LOST, "the handler has been running on message %#llx for more than stall_ms, %u ms",
                     (unsigned long long)gq_ld64(&state->workers[i].busy_id, GQ_RELAXED, GQ_SYS), state->c->stall_ms);
  }
  return GQ_OK;
}

static void cpu_count(gq_backend_state *state, gq_consumed *counters)
{
  for (uint32_t i = 0; i < state->worker_count; i++) {
    const gq_consumed *from = &state->workers[i].counters;

    counters->taken += __atomic_load_n(&from->taken, __ATOMIC_RELAXED);
    counters->finished += __atomic_load_n(&from->finished, __ATOMIC_RELAXED);
    counters->completed += __atomic_load_n(&from->completed, __ATOMIC_RELAXED);
    counters->failed += __atomic_load_n(&from->failed, __ATOMIC_RELAXED);
    counters->cancelled += __atomic_load_n(&from->cancelled, __ATOMIC_RELAXED);
    counters->retried += __atomic_load_n(&from->retried, __ATOMIC_RELAXED);
  }
  counters->parks = gq_ld64(&state->parks, GQ_RELAXED, GQ_SYS);
  counters->relaunches = gq_ld64(&state->relaunches, GQ_RELAXED, GQ_SYS);
}

static void free_state(gq_backend_state *state)
{
  for (uint32_t l = 0; state->sources && l < state->c->lane_count; l++) free(state->sources[l].keys);
  free(state->sources);
  free(state->workers);
  free(state->ring);
  free(state->ring_cells);
  free(state->ring_origins);
  free(state->ring_free);
  free(state);
}

static gq_status cpu_stop(gq_backend_state *state)
{
  struct timespec until;
  uint64_t at;

  gq_st32(&state->stop, 1, GQ_RELEASE, GQ_SYS);
  gq_wake(&state->bell, 0x7fffffff);
  clock_gettime(CLOCK_REALTIME, &until);
  at = (uint64_t)until.tv_sec * 1000000000u + (uint64_t)until.tv_nsec + STOP_NS;
  until.tv_sec = (time_t)(at / 1000000000u);
  until.tv_nsec = (long)(at % 1000000000u);
  while (state->started > 0) {
    if (pthread_timedjoin_np(state->workers[state->started - 1].thread, NULL, &until) != 0)
      return gq_fail(GQ_DEVICE_LOST, "a handler is still running; its thread and the queue's memory are left behind");
    state->started--;
  }
  free_state(state);
  return GQ_OK;
}

static void *zeroed(size_t bytes)
{
  void *p = aligned_alloc(128, (bytes + 127) / 128 * 128);

  if (p) memset(p, 0, bytes);
  return p;
}

static gq_status allocate(gq_backend_state *state, const gq_consumption *c)
{
  const size_t entries = (size_t)1 << RING_LOG2;

  state->c = c;
  state->worker_count = c->workers;
  if (state->worker_count == 0) {
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    state->worker_count = cpus < 1 ? 1 : cpus > DEFAULT_WORKERS_MAX ? DEFAULT_WORKERS_MAX : (uint32_t)cpus;
  }
  state->workers = zeroed(state->worker_count * sizeof *state->workers);
  state->sources = zeroed(c->lane_count * sizeof *state->sources);
  state->ring = zeroed(sizeof *state->ring);
  state->ring_cells = zeroed(entries * c->limits.units * sizeof(gq_unit));
  state->ring_origins = zeroed(entries * 2 * sizeof(gq_unit));
  state->ring_free = zeroed(entries * sizeof(gq_a32));
  if (!state->workers || !state->sources || !state->ring || !state->ring_cells || !state->ring_origins ||
      !state->ring_free)
    return gq_fail(GQ_NO_MEMORY, "no memory for %u workers", state->worker_count);
  for (uint32_t l = 0; l < c->lane_count; l++) {
    state->sources[l].keys = calloc(c->lanes[l].ring_mask + 1, sizeof(gq_key_word));
    if (!state->sources[l].keys) return gq_fail(GQ_NO_MEMORY, "no memory for a lane's key order");
  }
  return GQ_OK;
}

static gq_status cpu_start(gq_backend_state **out, const gq_consumption *c, char *text, size_t size)
{
  gq_backend_state *state = zeroed(sizeof *state);
  gq_status status;

  if (!state) return gq_fail(GQ_NO_MEMORY, "no memory for the CPU backend");
  status = allocate(state, c);
  if (status != GQ_OK) {
    free_state(state);
    return status;
  }
  gq_st32(&state->awake, state->worker_count, GQ_RELAXED, GQ_GPU);
  for (; state->started < state->worker_count; state->started++) {
    worker *w = &state->workers[state->started];
    int error;

    w->state = state;
    error = gq_start_thread(&w->thread, work, w);
    if (error) {
      char reason[128];

      snprintf(reason, sizeof reason, "%s", strerror(error));
      status = gq_fail(GQ_SYSTEM, "worker thread %u of %u: %s", state->started + 1, state->worker_count, reason);
      cpu_stop(state);
      return gq_fail(status, "a worker thread: %s", reason);
    }
  }
  snprintf(text, size, "cpu: %u thread%s", state->worker_count, state->worker_count == 1 ? "" : "s");
  *out = state;
  return GQ_OK;
}

const gq_backend_ops gq_cpu_backend = {cpu_check, cpu_start, cpu_kick, cpu_health, cpu_count, cpu_stop};
