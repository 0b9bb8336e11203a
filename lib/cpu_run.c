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

/* This worker's handler crashed: nothing more is begun. Who waits learns it from cpu_health(). */
static void note_crash(worker *w)
{
  gq_backend_state *state = w->state;
  uint32_t none = 0;

  gq_cas32(&state->crashed, &none, (uint32_t)(w - state->workers) + 1, GQ_RELEASE); /* [W2] its `crash` is written */
  gq_st32(&state->stop, 1, GQ_RELEASE, GQ_SYS);
  gq_wake(&state->bell, 0x7fffffff);
}

GQ_INLINE gq_outcome outcome_of(const gq_msg *msg, const gq_reply *reply, int32_t code)
{
  return (gq_outcome){
    .status = code ? GQ_FAILED : reply->size > reply->capacity ? GQ_RESULT_TOO_LARGE : GQ_OK,
    .attempts = msg->attempt, .size = reply->size, .code = code, .result = reply->data};
}

/* What of a worker and its queue each message needs, in variables that no handler's call makes the compiler load again. */
typedef struct setting {
  worker *w;
  const gq_lane *lane;
  gq_handler_function *function;
  uint32_t attempts, room; /* in a cell, for a result */
  uint64_t max_message_bytes;
} setting;

GQ_INLINE setting setting_of(worker *w, const gq_lane *lane, uint32_t unit_bytes)
{
  const gq_consumption *c = w->state->c;
  const uint32_t room = gq_inline_bytes(c->limits.units, unit_bytes, 0);

  return (setting){w, lane, c->handler->function, c->limits.attempts,
                   room < c->limits.max_result_bytes ? room : (uint32_t)c->limits.max_result_bytes,
                   c->limits.max_message_bytes};
}

/* Run the handler as often as it wants and may. The reply's capacity is the message's room. */
GQ_INLINE gq_outcome attempt(setting s, uint64_t position, gq_msg *msg, gq_reply *reply)
{
  int32_t code;

  if (position % GQ_SAMPLE == 0) stamp(s.lane, position, false);
  gq_st64(&s.w->busy_id, msg->id, GQ_RELAXED, GQ_SYS);
  for (;;) {
    code = gq_guard_call(s.w->guarded, s.function, msg, reply, &s.w->context);
    if (code != GQ_RETRY || msg->attempt >= s.attempts) break;
    msg->attempt++;
    reply->size = 0;
  }
  gq_st64(&s.w->busy_id, 0, GQ_RELAXED, GQ_SYS);
  if (position % GQ_SAMPLE == 0) stamp(s.lane, position, true);
  return outcome_of(msg, reply, code);
}

/* The handler crashed, and may have written anywhere before, unless it was SIGFPE, which is raised by an instruction
 * that writes nothing. \return what becomes of its message. */
static gq_outcome end_crashed(worker *w, const gq_lane *lane, const gq_msg *msg, const gq_reply *reply)
{
  const uint64_t position = gq_id_position(msg->id);

  if (w->crash.signal == SIGFPE) {
    gq_st64(&w->busy_id, 0, GQ_RELAXED, GQ_SYS);
    if (position % GQ_SAMPLE == 0) stamp(lane, position, true);
    return outcome_of(msg, reply, GQ_CODE_ARITHMETIC);
  }
  note_crash(w); /* busy_id stays, and names the message */
  return (gq_outcome){.status = GQ_DEVICE_LOST};
}

GQ_INLINE void count(worker *w, const gq_outcome *o)
{
  gq_bump(o->status == GQ_OK ? &w->counters.completed :
          o->status == GQ_CANCELLED ? &w->counters.cancelled : &w->counters.failed, 1);
  if (o->attempts > 1) gq_bump(&w->counters.retried, o->attempts - 1);
}

/* ---------------------------------------------------------------------------------------------- one message */

typedef struct lone {
  worker *w;
  const gq_lane *lane;
  gq_msg msg;
  gq_reply reply;
  gq_outcome outcome;
} lone;

static void run_lone(void *argument)
{
  lone *l = argument;

  l->outcome = attempt(setting_of(l->w, l->lane, l->lane->unit_bytes), gq_id_position(l->msg.id), &l->msg, &l->reply);
}

gq_outcome gq_cpu_run(worker *w, const fetched *f, const gq_job *job)
{
  const gq_lane *lane = &w->state->c->lanes[f->lane];
  lone l = {
    w, lane,
    {job->has_slot ? lane->arena_base + job->slot_offset : f->payload, job->size, 1, gq_id_make(f->lane, f->position),
     job->key, job->tag},
    {job->has_result_slot ? lane->arena_base + job->result_offset : w->replies[0], job->room, 0},
    {GQ_CANCELLED, 0, 0, 0, NULL}};

  /* One after the other: a single load of both would have to wait for the two stores just made. */
  if (job->malformed) {
    l.outcome.status = GQ_MALFORMED;
    return l.outcome;
  }
  if (job->cancelled) return l.outcome;
  if (!w->guard_stack) run_lone(&l);
  else if (!gq_guard_run(w->guarded, run_lone, &l, &w->crash)) return end_crashed(w, lane, &l.msg, &l.reply);
  return l.outcome;
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

/* One that is malformed is not: fetch() has said that it has a slot, or it is larger than it may be. */
static bool is_plain(const fetched *f, uint64_t max_bytes)
{
  const uint32_t flags = f->view.head[1] & ~GQ_CELL_CANCELLED; /* and the distance to the message before */
  const uint32_t *ext = f->view.ext;

  if (f->view.head[0] > max_bytes) return false;
  return flags == 0 || (flags == GQ_CELL_EXT && !(ext[GQ_EXT_KEY] | ext[GQ_EXT_KEY + 1] | ext[GQ_EXT_ROOM]));
}

/* Several of them: some of a worker's batch. */
typedef struct plain_run {
  worker *w;
  const gq_lane *lane;
  const fetched *first;
  uint32_t n, done;
  gq_msg msg;      /* of the one that is being run */
  gq_reply reply;
} plain_run;

GQ_INLINE gq_outcome run_plain(setting s, const fetched *f, gq_msg *msg, gq_reply *reply, uint8_t *result)
{
  const uint32_t *ext = f->view.ext;

  if (f->view.head[1] & GQ_CELL_CANCELLED) return (gq_outcome){GQ_CANCELLED, 0, 0, 0, NULL};
  *msg = (gq_msg){f->payload, f->view.head[0], 1, gq_id_make(f->lane, f->position), 0, 0};
  *reply = (gq_reply){result, s.room, 0};
  if (f->view.head[1] & GQ_CELL_EXT) msg->tag = ext[GQ_EXT_TAG] | (uint64_t)ext[GQ_EXT_TAG + 1] << 32;
  return attempt(s, f->position, msg, reply);
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

/* One after the other: an ordered lane has no count worth sharing, and what a crashing handler may write to must have
 * been posted. */
GQ_INLINE void run_singly(plain_run *run, uint32_t unit_bytes)
{
  const setting s = setting_of(run->w, run->lane, unit_bytes);
  const fetched *f = run->first, *end = f + run->n;

  for (; f < end && is_plain(f, s.max_message_bytes); f++, run->done++) {
    const gq_outcome o = run_plain(s, f, &run->msg, &run->reply, run->w->replies[0]);

    post_plain(run->w, run->lane, unit_bytes, f, 1, &o);
  }
}

static void run_singly16(void *argument) { run_singly(argument, 16); }
static void run_singly8(void *argument) { run_singly(argument, 8); }

/* The same, guarded. */
static void run_guarded(plain_run *run, uint32_t unit_bytes)
{
  worker *w = run->w;
  gq_outcome o;

  if (gq_guard_run(w->guarded, unit_bytes == 16 ? run_singly16 : run_singly8, run, &w->crash)) return;
  o = end_crashed(w, run->lane, &run->msg, &run->reply);
  if (o.status == GQ_DEVICE_LOST) return; /* it has no result */
  post_plain(w, run->lane, unit_bytes, &run->first[run->done++], 1, &o);
}

GQ_INLINE void run_together(plain_run *run, uint32_t unit_bytes)
{
  const setting s = setting_of(run->w, run->lane, unit_bytes);
  gq_outcome outcomes[TOGETHER];
  uint32_t done = 0;

  for (; done < run->n && done < TOGETHER && is_plain(&run->first[done], s.max_message_bytes); done++)
    outcomes[done] = run_plain(s, &run->first[done], &run->msg, &run->reply, run->w->replies[done]);
  if (done) post_plain(run->w, run->lane, unit_bytes, run->first, done, outcomes);
  run->done = done;
}

GQ_INLINE void run_plain_ones(plain_run *run, uint32_t unit_bytes)
{
  if (run->w->guard_stack) run_guarded(run, unit_bytes);
  else if (run->w->state->c->limits.ordered) run_singly(run, unit_bytes);
  else run_together(run, unit_bytes);
}

uint32_t gq_cpu_run_plain(worker *w, const fetched *first, uint32_t n)
{
  const gq_consumption *c = w->state->c;
  plain_run run = {.w = w, .lane = &c->lanes[first->lane], .first = first, .n = n};

  if (!c->is_short) return 0;
  /* Compiled for each, so that nothing in the loops depends on it. */
  if (c->limits.unit_bytes == 16) run_plain_ones(&run, 16);
  else run_plain_ones(&run, 8);
  return run.done;
}
