/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend: a handler runs on messages, and what became of them is posted. Any message alone, or a few
 * plain ones together. */
#include "cpu.h"

#include <signal.h>

#include "lane_path.h"

static void stamp(const gq_lane *lane, uint64_t position, bool at_end)
{
  gq_stamp *stamps = &lane->start_stamps[(position & lane->ring_mask) / GQ_SAMPLE];

  gq_st64(at_end ? &stamps->end : &stamps->start, gq_now(), GQ_RELAXED, GQ_SYS);
}

/* Call the handler, guarded if the queue is. \return false if it crashed, and may have written anywhere before. */
GQ_INLINE bool call(worker *w, const gq_msg *msg, gq_reply *reply, int32_t *code)
{
  gq_handler_function *function = w->state->c->handler->function;

  if (!w->guard_stack) {
    *code = function(msg, reply, &w->context);
    return true;
  }
  if (gq_guard_run(w->guarded, function, msg, reply, &w->context, code, &w->crash)) return true;
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

/* Run the handler as often as it wants and may. The reply's capacity is the message's room. */
GQ_INLINE gq_outcome attempt(worker *w, const gq_lane *lane, uint64_t position, gq_msg *msg, gq_reply *reply,
                             uint32_t attempts)
{
  gq_outcome o = {GQ_OK, 0, 0, 0, NULL};

  if (position % GQ_SAMPLE == 0) stamp(lane, position, false);
  gq_st64(&w->busy_id, msg->id, GQ_RELAXED, GQ_SYS);
  for (;;) {
    if (!call(w, msg, reply, &o.code)) { /* busy_id stays, and names the message */
      note_crash(w);
      o.status = GQ_DEVICE_LOST;
      return o;
    }
    if (o.code != GQ_RETRY || msg->attempt >= attempts) break;
    msg->attempt++;
    reply->size = 0;
  }
  gq_st64(&w->busy_id, 0, GQ_RELAXED, GQ_SYS);
  if (position % GQ_SAMPLE == 0) stamp(lane, position, true);
  o.status = o.code ? GQ_FAILED : reply->size > reply->capacity ? GQ_RESULT_TOO_LARGE : GQ_OK;
  o.attempts = msg->attempt;
  o.size = reply->size;
  o.result = reply->data;
  return o;
}

GQ_INLINE void count(worker *w, const gq_outcome *o)
{
  gq_bump(o->status == GQ_OK ? &w->counters.completed :
          o->status == GQ_CANCELLED ? &w->counters.cancelled : &w->counters.failed, 1);
  if (o->attempts > 1) gq_bump(&w->counters.retried, o->attempts - 1);
}

/* ---------------------------------------------------------------------------------------------- one message */

gq_outcome gq_cpu_run(worker *w, const fetched *f, const gq_job *job)
{
  const gq_lane *lane = &w->state->c->lanes[f->lane];
  gq_msg msg = {job->has_slot ? lane->arena_base + job->slot_offset : f->payload, job->size, 1,
                gq_id_make(f->lane, f->position), job->key, job->tag};
  gq_reply reply = {job->has_result_slot ? lane->arena_base + job->result_offset : w->replies[0], job->room, 0};
  gq_outcome o = {GQ_CANCELLED, 0, 0, 0, NULL};

  /* One after the other: a single load of both would have to wait for the two stores just made. */
  if (job->malformed) {
    o.status = GQ_MALFORMED;
    return o;
  }
  if (job->cancelled) return o;
  return attempt(w, lane, f->position, &msg, &reply, w->state->c->limits.attempts);
}

void gq_cpu_complete(worker *w, const fetched *f, const gq_job *job, const gq_outcome *o)
{
  const gq_consumption *c = w->state->c;
  gq_lane *lane = &c->lanes[f->lane];
  source *s = &w->state->sources[f->lane];
  const uint32_t inline_room = gq_inline_bytes(c->limits.units, c->limits.unit_bytes, 0);
  const uint32_t in_slot = o->status == GQ_OK && o->size > inline_room;
  const uint32_t bytes = o->status == GQ_OK && !in_slot ? o->size : 0;
  gq_cell_view view;
  uint64_t d;

  count(w, o);
  gq_bump(&w->counters.finished, 1);
  gq_completion_head(view.head, o->size, (in_slot ? GQ_CELL_SLOT : 0u) | job->recall, o->status, o->attempts, o->code);
  if (o->status != GQ_OK) view.head[1] |= GQ_CELL_SLOT; /* no inline bytes, whatever the size says */
  d = c->limits.ordered ? f->position : gq_add64(&s->ended, 1, GQ_RELAXED);
  /* [O1] release: licenses a poller to look at the position that it names. Before the cell, because this thread may be
   * preempted between the two: see gq_ending_word(). */
  gq_st64(&lane->endings[gq_ending_index(d, lane->ring_log2)], gq_ending_word(d, f->position, lane->ring_log2),
          GQ_RELEASE, GQ_SYS);
  /* [C1] release: licenses the client to read the result, and [C2] the result slot */
  gq_cell_put(lane->completions + (f->position & lane->ring_mask) * lane->units, lane->unit_bytes,
              gq_tag(f->position, lane->ring_log2), &view, o->result, bytes);
}

/* ------------------------------------------------------------------------------------------- plain messages
 * Short ones that need no more than their cell, and for which no other message waits. The results of a few are posted
 * together, so that what they share, the completion order's count above all, is touched once for them all. The first
 * waits for the others no longer than they take, which is little. */

/* One that is malformed is not: fetch_copies() has said that it has a slot, or it is larger than it may be. */
static bool is_plain(const fetched *f, uint64_t max_bytes)
{
  const uint32_t flags = f->view.head[1] & ~GQ_CELL_CANCELLED; /* and the distance to the message before */
  const uint32_t *ext = f->view.ext;

  if (f->view.head[0] > max_bytes) return false;
  return flags == 0 || (flags == GQ_CELL_EXT && !(ext[GQ_EXT_KEY] | ext[GQ_EXT_KEY + 1] | ext[GQ_EXT_ROOM]));
}

GQ_INLINE gq_outcome run_plain(worker *w, const gq_lane *lane, const fetched *f, uint8_t *result)
{
  const gq_limits *limits = &w->state->c->limits;
  const uint32_t *ext = f->view.ext, room = gq_inline_bytes(limits->units, limits->unit_bytes, 0);
  gq_msg msg = {f->payload, f->view.head[0], 1, gq_id_make(f->lane, f->position), 0, 0};
  gq_reply reply = {result, room < limits->max_result_bytes ? room : (uint32_t)limits->max_result_bytes, 0};

  if (f->view.head[1] & GQ_CELL_CANCELLED) return (gq_outcome){GQ_CANCELLED, 0, 0, 0, NULL};
  if (f->view.head[1] & GQ_CELL_EXT) msg.tag = ext[GQ_EXT_TAG] | (uint64_t)ext[GQ_EXT_TAG + 1] << 32;
  return attempt(w, lane, f->position, &msg, &reply, limits->attempts);
}

GQ_INLINE void post_plain(worker *w, const gq_lane *lane, uint32_t unit_bytes, const fetched *f, uint32_t n,
                          const gq_outcome *outcomes)
{
  const gq_cells completions = gq_lane_cells(lane, lane->completions);
  uint64_t d;

  for (uint32_t i = 0; i < n; i++) count(w, &outcomes[i]);
  gq_bump(&w->counters.finished, n);
  d = w->state->c->limits.ordered ? f->position : gq_add64(&w->state->sources[lane->index].ended, n, GQ_RELAXED);
  for (uint32_t i = 0; i < n; i++, d++, f++) {
    const gq_outcome *o = &outcomes[i];
    const bool is_ok = o->status == GQ_OK;
    const uint32_t recall = f->view.head[1] & GQ_CELL_EXT ? GQ_CELL_RECALL : 0;
    gq_cell_view view;

    gq_completion_head(view.head, o->size, is_ok ? recall : recall | GQ_CELL_SLOT, o->status, o->attempts, o->code);
    /* [O1] release: as in gq_cpu_complete() */
    gq_st64(&lane->endings[gq_ending_index(d, completions.ring_log2)],
            gq_ending_word(d, f->position, completions.ring_log2), GQ_RELEASE, GQ_SYS);
    /* [C1] release: licenses the client to read the result */
    gq_cell_put(gq_cells_at(completions, f->position), unit_bytes, gq_tag(f->position, completions.ring_log2), &view,
                o->result, is_ok ? o->size : 0);
  }
}

GQ_INLINE uint32_t run_plain_ones(worker *w, const gq_lane *lane, uint32_t unit_bytes, const fetched *f, uint32_t n)
{
  const gq_consumption *c = w->state->c;
  const uint64_t max_bytes = c->limits.max_message_bytes;
  gq_outcome outcomes[TOGETHER];
  uint32_t done = 0;

  /* An ordered lane has no count worth sharing, and what a crashing handler may write to must have been posted. */
  if (c->limits.ordered || w->guard_stack) {
    for (; done < n && is_plain(&f[done], max_bytes); done++) {
      const gq_outcome o = run_plain(w, lane, &f[done], w->replies[0]);

      if (o.status == GQ_DEVICE_LOST) break; /* it has no result */
      post_plain(w, lane, unit_bytes, &f[done], 1, &o);
    }
    return done;
  }
  for (; done < n && done < TOGETHER && is_plain(&f[done], max_bytes); done++) {
    outcomes[done] = run_plain(w, lane, &f[done], w->replies[done]);
    if (outcomes[done].status == GQ_DEVICE_LOST) break;
  }
  if (done) post_plain(w, lane, unit_bytes, f, done, outcomes);
  return done;
}

uint32_t gq_cpu_run_plain(worker *w, const fetched *first, uint32_t n)
{
  const gq_consumption *c = w->state->c;
  const gq_lane *lane = &c->lanes[first->lane];

  if (!c->is_short) return 0;
  /* Compiled for each, so that nothing in the loops depends on it. */
  return c->limits.unit_bytes == 16 ? run_plain_ones(w, lane, 16, first, n) : run_plain_ones(w, lane, 8, first, n);
}
