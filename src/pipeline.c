/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline.h"

#include "cli.h"
#include "result.h"
#include "stop.h"
#include "timing.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  RECEIVE_MOST = 64,         /* completions a call */
  YIELDS = 16,               /* looks without a sleep between them */
  LITTLE_BYTES = 1024,       /* pieces of no more than this are copied to the right size */
  NAP_NS = 50 * 1000,        /* short enough not to be noticed, long enough for some hundred results */
  LINGER_NS = 500 * 1000,    /* how long results wait for more: people do not notice, and writes are larger */
  SLOW_NS = 2 * 1000 * 1000, /* from here on results are few, and the queue wakes whoever waits for one */
  LOOK_NS = 5 * 1000 * 1000  /* how often somebody who waits for results looks for input */
};

void pipeline_init(struct pipeline *p, struct run *run, struct chunks *chunks, struct outlet *outlet, gq_queue *lane)
{
  uint64_t cells = 1;

  memset(p, 0, sizeof *p);
  p->run = run;
  p->chunks = chunks;
  p->outlet = outlet;
  p->lane = lane;
  p->hex_lines = result_is_hex_line(run);
  /* the newest message sent is less than capacity behind the oldest; as many more are noted and may be refused */
  while (cells < 2 * (uint64_t)run->settings->queue.capacity) cells *= 2;
  p->mask = cells - 1;
  p->pending = allocate(cells * sizeof *p->pending);
}

void pipeline_free(struct pipeline *p)
{
  if (p->piece) outlet_put_back(p->outlet, p->piece);
  free(p->pending);
}

/* ------------------------------------------------------------------------------------------------- output */

static void hand_over(struct pipeline *p, bool last)
{
  struct piece *piece = p->piece;

  p->piece = NULL;
  if (piece->text.used <= LITTLE_BYTES) piece = outlet_copy(p->outlet, piece); /* it may wait with thousands like it */
  outlet_put(p->outlet, p->piece_chunk, piece, last, &p->waits.output);
}

static void finish_chunk(struct pipeline *p, struct chunk *chunk)
{
  if (p->outlet->ordered) {
    if (p->piece && p->piece_chunk == chunk->sequence) hand_over(p, true);
    else outlet_put(p->outlet, chunk->sequence, NULL, true, &p->waits.output);
  }
  if (chunk == p->chunk) p->chunk = NULL;
  chunks_put_back(p->chunks, chunk);
}

static inline void finish_record(struct pipeline *p, struct chunk *chunk)
{
  if (--chunk->left == 0) finish_chunk(p, chunk);
}

/* ------------------------------------------------------------------------------------------------- sending */

static uint64_t number_of(const struct chunk *chunk, const struct chunk_record *record)
{
  return chunk->first_number + record->number;
}

static struct failure failure_of(const struct chunk *chunk, const struct chunk_record *record)
{
  const uint64_t number = number_of(chunk, record);
  const uint8_t *payload = chunk->data ? chunk->data + record->at : NULL; /* it is there if anybody wants it */

  return (struct failure){.number = number, .tag = number, .payload = payload, .size = record->size};
}

/** The queue does not take the next message: report it and go on. */
static void refuse(struct pipeline *p, gq_status status)
{
  struct chunk *chunk = p->chunk;
  struct failure failure = failure_of(chunk, &chunk->records[p->next]);

  failure.reason = gq_last_error();
  failure.status = status;
  report_failure(p->run, &failure);
  p->next++;
  finish_record(p, chunk);
}

static void judge(struct pipeline *p, gq_status status)
{
  switch (status) {
  case GQ_OK:
    return;
  case GQ_FULL:
  case GQ_TIMEOUT:
  case GQ_AGAIN:
    if (p->sent == p->received) { /* it will not fit later either */
      refuse(p, status);
      return;
    }
    p->has_no_room = true;
    p->refused_at = p->received;
    return;
  case GQ_DEVICE_LOST:
  case GQ_SHUT_DOWN:
    report_device_lost(p->run, "enqueue");
    p->cannot_send = true;
    return;
  default:
    refuse(p, status);
  }
}

static bool may_send(struct pipeline *p, uint64_t *room)
{
  const uint64_t in_flight = p->sent - p->received;

  *room = p->run->settings->queue.capacity > in_flight ? p->run->settings->queue.capacity - in_flight : 0;
  if (p->has_no_room && p->refused_at == p->received) return false;
  p->has_no_room = false;
  if (*room == 0 || p->cannot_send) return false;
  if (!p->chunk && !p->input_ended) {
    p->chunk = chunks_take(p->chunks, 0, &p->input_ended);
    p->next = 0;
  }
  return p->chunk != NULL;
}

/** Describe and note the next \p count messages. */
static void prepare(struct pipeline *p, size_t count)
{
  struct pending *const pending = p->pending;
  const uint64_t mask = p->mask, sent = p->sent;
  struct chunk *chunk = p->chunk;
  const struct chunk_record *records = &chunk->records[p->next];
  const uint8_t *data = chunk->data;
  size_t i;

  for (i = 0; i < count; i++) {
    p->messages[i].data = data + records[i].at;
    p->messages[i].size = records[i].size;
    pending[(sent + i) & mask] = (struct pending){chunk, &records[i]};
  }
  if (!p->run->settings->tags) return;
  for (i = 0; i < count; i++) p->messages[i].tag = number_of(chunk, &records[i]);
}

/** Send some of the chunk at hand. \return whether anything was done. */
static bool send_some(struct pipeline *p)
{
  uint64_t ids[SEND_MOST];
  uint64_t room;
  size_t count, done = 0;
  gq_status status;

  if (!may_send(p, &room)) return false;
  count = p->chunk->count - p->next;
  if (count > room) count = (size_t)room;
  if (count > SEND_MOST) count = SEND_MOST;
  prepare(p, count);
  status = gq_enqueue_batch(p->lane, p->messages, count, 0, p->sent ? NULL : ids, &done);
  if (p->sent == 0 && done) p->first_id = ids[0];
  p->sent += done;
  p->next += (uint32_t)done;
  atomic_fetch_add_explicit(&p->run->sent, done, memory_order_relaxed);
  judge(p, status);
  if (p->chunk && p->next == p->chunk->count) {
    chunks_all_sent(p->chunks, p->chunk);
    p->chunk = NULL; /* its last completion lets it go */
  }
  return done > 0 || status != GQ_FULL;
}

/* ----------------------------------------------------------------------------------------------- receiving */

/** Anything but a line of digits. */
static void print_or_report(struct pipeline *p, const gq_completion *completion, const struct pending *pending)
{
  const struct chunk_record *record = pending->record;
  struct chunk *chunk = pending->chunk;

  if (completion->status == GQ_OK) {
    const struct origin origin = {NULL, chunk->data ? chunk->data + record->at : NULL, record->size};

    result_print(&p->piece->text, p->run, completion, p->run->settings->with_input ? &origin : NULL);
  } else {
    struct failure failure = failure_of(chunk, record);

    result_fail(p->run, completion, &failure);
  }
}

static inline void take_completion(struct pipeline *p, const gq_completion *completion, const struct pending *pending)
{
  struct piece *piece = p->piece;

  if (!piece) {
    piece = p->piece = outlet_get(p->outlet);
    p->piece_chunk = pending->chunk->sequence;
  }
  piece->messages++;
  piece->result_bytes += completion->size; /* 0 without a result */
  if (p->hex_lines && completion->status == GQ_OK) result_print_hex_line(&piece->text, completion);
  else print_or_report(p, completion, pending);
  if (piece->text.used >= PIECE_BYTES) hand_over(p, false);
  finish_record(p, pending->chunk);
}

/** \param wait_ns  for the first; 0: take what is there \return whether there was any. */
static bool receive_some(struct pipeline *p, int64_t wait_ns)
{
  gq_completion completions[RECEIVE_MOST];
  const bool in_order = p->run->settings->queue.ordered;
  size_t count = 0, i;
  gq_status status;

  if (p->sent == p->received) return false;
  status = wait_ns ? gq_wait(p->lane, completions, RECEIVE_MOST, wait_ns, &count)
                   : gq_poll(p->lane, completions, RECEIVE_MOST, &count);
  if (status == GQ_AGAIN || status == GQ_TIMEOUT) return false;
  if (status != GQ_OK) {
    report_device_lost(p->run, "wait for results");
    p->lost = true;
    return false;
  }
  for (i = 0; i < count; i++) {
    const uint64_t number = in_order ? p->received + i : completions[i].id - p->first_id;

    take_completion(p, &completions[i], &p->pending[number & p->mask]);
    p->pending[number & p->mask].chunk = NULL; /* which may be gone */
  }
  gq_release(p->lane, completions, count);
  p->received += count;
  return true;
}

/* ------------------------------------------------------------------------------------------------- the loop */

/** Nothing could be sent and no result is there: wait, the longer the less has come of late. */
static void wait_for_results(struct pipeline *p)
{
  const struct timespec nap = {.tv_nsec = NAP_NS};
  const int64_t now_ns = clock_ns();
  int64_t idle_ns;

  if (!p->idle_since_ns) p->idle_since_ns = now_ns;
  idle_ns = now_ns - p->idle_since_ns;
  if (p->idle_turns++ < YIELDS) {
    sched_yield();
  } else {
    if (idle_ns >= LINGER_NS && p->piece) hand_over(p, false); /* results must not wait for further ones */
    if (idle_ns < SLOW_NS) nanosleep(&nap, NULL);
    else if (receive_some(p, p->input_ended ? WAIT_SLICE_NS : LOOK_NS)) p->idle_since_ns = p->idle_turns = 0;
  }
  p->waits.results += clock_ns() - now_ns;
}

/** Nothing is under way. \return false at the end of the input. */
static bool wait_for_input(struct pipeline *p)
{
  const int64_t begun_ns = clock_ns();

  if (p->piece) hand_over(p, false);
  if (!p->input_ended) {
    p->chunk = chunks_take(p->chunks, WAIT_SLICE_NS, &p->input_ended);
    p->next = 0;
  }
  p->waits.input += clock_ns() - begun_ns;
  return p->chunk || !p->input_ended;
}

void *pipeline_main(void *argument)
{
  struct pipeline *p = argument;
  bool go_on = true;

  p->begun_ns = clock_ns();
  while (go_on && !p->lost && !atomic_load_explicit(&p->run->writer_done, memory_order_relaxed)) {
    const bool has_sent = send_some(p), has_received = receive_some(p, 0);

    if (has_sent || has_received) {
      p->idle_since_ns = 0;
      p->idle_turns = 0;
    } else if (p->sent != p->received) {
      wait_for_results(p);
    } else if (p->cannot_send) {
      go_on = false;
    } else if (!p->chunk) {
      go_on = wait_for_input(p);
    }
  }
  if (p->piece) hand_over(p, false);
  p->ended_ns = clock_ns();
  outlet_leave(p->outlet);
  return NULL;
}

bool pipeline_fail_suspect(struct pipeline *p, const gq_completion *suspect)
{
  const uint64_t number = suspect->id - p->first_id;
  const struct pending *pending = &p->pending[number & p->mask];
  struct failure failure;

  if (p->sent == 0 || suspect->id < p->first_id || number >= p->sent) return false;
  if (!pending->chunk) return true; /* its result came all the same, and was printed */
  failure = failure_of(pending->chunk, pending->record);
  result_fail(p->run, suspect, &failure);
  return true;
}
