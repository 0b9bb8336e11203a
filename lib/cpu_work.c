/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend's workers: they consume the lanes with the protocol that the resident kernel uses, and run the same
 * handler source. A worker takes turns at every role: it fetches from a lane (one worker at a time), keeps one message
 * for itself and puts the others into the resident ring for whoever is idle, or takes one from there. */
#include "cpu.h"

#include <sched.h>
#include <signal.h>

#define SPIN_NS 50000u       /* how long an idle worker looks around before it sleeps */

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
  gq_wake_sleepers(&lane->head->for_results);
}

static void stamp(const worker *w, const fetched *f, bool at_end, uint64_t now)
{
  const gq_lane *lane = &w->state->c->lanes[f->lane];
  gq_stamp *stamps = &lane->start_stamps[(f->position & lane->ring_mask) / GQ_SAMPLE];

  gq_st64(at_end ? &stamps->end : &stamps->start, now, GQ_RELAXED, GQ_SYS);
}

/* Call the handler, guarded if the queue is. \return false if it crashed, and may have written anywhere before. */
static bool call(worker *w, const gq_msg *msg, gq_reply *reply, int32_t *code)
{
  gq_handler_function *function = w->state->c->handler->function;

  if (!w->guard_stack) {
    *code = function(msg, reply, &w->context);
    return true;
  }
  if (gq_guard_run(function, msg, reply, &w->context, code, &w->crash)) return true;
  *code = GQ_CODE_ARITHMETIC;
  return w->crash.signal == SIGFPE; /* raised by an instruction that writes nothing */
}

/* This worker's handler crashed: nothing more is begun. Who waits learns it from cpu_health(). */
static void note_crash(worker *w)
{
  gq_backend_state *state = w->state;
  uint32_t none = 0;

  gq_cas32(&state->crashed, &none, (uint32_t)(w - state->workers) + 1, GQ_RELEASE); /* [W2] its `crash` is written */
  gq_st32(&state->stop, 1, GQ_RELEASE, GQ_SYS);
  gq_wake(&state->bell, 0x7fffffff);
}

static outcome run(worker *w, const fetched *f, const gq_job *job)
{
  const gq_consumption *c = w->state->c;
  gq_lane *lane = &c->lanes[f->lane];
  const uint64_t id = gq_id_make(f->lane, f->position);
  gq_msg msg = {job->has_slot ? lane->arena_base + job->slot_offset : f->payload, job->size, 1, id, job->key, job->tag};
  gq_reply reply = {job->has_result_slot ? lane->arena_base + job->result_offset : w->reply, job->room, 0};
  outcome o = {GQ_CANCELLED, 0, 0, 0, NULL};

  /* One after the other: a single load of both would have to wait for the two stores just made. */
  if (job->malformed) {
    o.status = GQ_MALFORMED;
    return o;
  }
  if (job->cancelled) return o;
  if (f->position % GQ_SAMPLE == 0) stamp(w, f, false, gq_now());
  gq_st64(&w->busy_id, id, GQ_RELAXED, GQ_SYS);
  for (;;) {
    if (!call(w, &msg, &reply, &o.code)) { /* busy_id stays, and names the message */
      note_crash(w);
      o.status = GQ_DEVICE_LOST;
      return o;
    }
    if (o.code != GQ_RETRY || msg.attempt >= c->limits.attempts) break;
    msg.attempt++;
    reply.size = 0;
  }
  gq_st64(&w->busy_id, 0, GQ_RELAXED, GQ_SYS);
  if (f->position % GQ_SAMPLE == 0) stamp(w, f, true, gq_now());
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
    if (o.status == GQ_DEVICE_LOST) return; /* the worker ends; its message has no result */
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

void *gq_cpu_work(void *argument)
{
  worker *w = argument;
  gq_backend_state *state = w->state;
  uint64_t idle_since = 0;

  if (w->guard_stack) gq_guard_enter(w->guard_stack);
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
