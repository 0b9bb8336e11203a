/* SPDX-License-Identifier: Apache-2.0 */
/* Enqueueing: one message, a batch, or in place. */
#include <string.h>

#include "error.h"
#include "lane_path.h"
#include "queue.h"

#define BATCH 64u
#define AHEAD 12u /* messages: how far ahead of the one that is written cells are fetched */

static gq_status check_message(const gq_queue *queue, const gq_message *m, bool in_place)
{
  const gq_lane *lane = queue->lane;

  if (m->size > lane->max_message_bytes)
    return gq_fail(GQ_TOO_LARGE, "a message of %zu bytes is larger than max_message_bytes, %llu", m->size,
                   (unsigned long long)lane->max_message_bytes);
  if (m->result_bytes > lane->max_result_bytes)
    return gq_fail(GQ_INVALID, "result_bytes %zu is larger than max_result_bytes, %llu", m->result_bytes,
                   (unsigned long long)lane->max_result_bytes);
  if (!in_place && m->size && !m->data) return gq_fail(GQ_INVALID, "a message of %zu bytes has no data", m->size);
  return GQ_OK;
}

/* Does the message need no more than its cell, and is nothing wrong with it? */
static bool is_plain(const gq_lane *lane, const gq_message *m)
{
  return gq_lane_is_plain(lane, m) && (m->data || !m->size);
}

/* Prepare and claim; no waiting. */
static gq_status try_claim(gq_lane *lane, const gq_message *m, uint64_t reserved, gq_outgoing *out, uint64_t *position)
{
  if (gq_lane_prepare(lane, m, reserved, out) != GQ_OK) return GQ_FULL;
  if ((m->key ? gq_lane_claim_keyed(lane, out, 1, position) : gq_lane_claim(lane, 1, position)) == 1) return GQ_OK;
  gq_lane_unprepare(lane, out, reserved);
  return GQ_FULL;
}

static gq_status full(gq_core *core, const gq_lane *lane, int64_t timeout_ns)
{
  gq_count(core, GQ_REJECTED_FULL, 1);
  if (gq_check_now_and_then(core) != GQ_OK) return GQ_DEVICE_LOST;
  return gq_fail(GQ_FULL, "no room: capacity %u messages, arena %llu bytes%s", lane->capacity,
                 (unsigned long long)lane->arena.bytes, timeout_ns == 0 ? "" : "; the time to wait for room ran out");
}

/* Claim, waiting for room if there is time. The caller ends the wait once it is done with the queue. */
static gq_status claim(gq_queue *queue, const gq_message *m, uint64_t reserved, int64_t timeout_ns, gq_outgoing *out,
                       uint64_t *position, gq_waiting *w)
{
  gq_core *core = queue->core;
  gq_status status = try_claim(queue->lane, m, reserved, out, position);

  gq_wait_begin(w, core, timeout_ns);
  if (status == GQ_OK) return GQ_OK;
  if (timeout_ns == 0) return full(core, queue->lane, 0);
  while (status == GQ_FULL) {
    const gq_status turn = gq_wait_turn(w, core, queue->lane, GQ_UNTIL_CLOSED);

    status = turn == GQ_OK ? try_claim(queue->lane, m, reserved, out, position) : turn;
  }
  return status == GQ_TIMEOUT ? full(core, queue->lane, timeout_ns) : status;
}

static uint64_t stamp_time(uint64_t first, uint64_t n)
{
  return (first + GQ_SAMPLE - 1) / GQ_SAMPLE * GQ_SAMPLE < first + n ? gq_now() : 0;
}

/* What remains to be done for a message that was published. */
static void finish_sending(gq_queue *queue, size_t size, uint64_t position, uint64_t *id)
{
  gq_wake_consumer(queue->core, queue->lane);
  gq_count(queue->core, GQ_BYTES_IN, size);
  if (id) *id = gq_id_make(queue->lane->index, position);
}

static void send_claimed(gq_queue *queue, const gq_outgoing *out, bool copy, uint64_t position, uint64_t *id)
{
  gq_lane_publish(queue->lane, position, out, copy, stamp_time(position, 1));
  finish_sending(queue, out->message->size, position, id);
}

/* The next line to be written was last read by the consumer: fetch it while others are written. */
static inline void prefetch_cell(gq_cells cells, uint64_t position)
{
#if !defined(GQ_MODEL)
  const gq_unit *cell = gq_cells_at(cells, position);

  gq_prefetch_write(cell);
  if (cells.units > 4) gq_prefetch_write(cell + 4);
#else
  (void)cells, (void)position;
#endif
}

/* Send the message if it is plain and there is room. */
static bool send_plain(gq_queue *queue, const gq_message *message, uint64_t *id)
{
  uint64_t position;

  if (is_plain(queue->lane, message) && gq_lane_claim(queue->lane, 1, &position) == 1) {
    const gq_cells cells = gq_lane_cells(queue->lane, queue->lane->submissions);

    prefetch_cell(cells, position + AHEAD);
    gq_lane_publish_plain(queue->lane, cells, position, message, stamp_time(position, 1));
    finish_sending(queue, message->size, position, id);
    return true;
  }
  return false;
}

gq_status gq_enqueue(gq_queue *queue, const gq_message *message, int64_t timeout_ns, uint64_t *id)
{
  gq_outgoing out;
  uint64_t position;
  gq_status status = gq_handle_usable(queue);
  gq_waiting w;

  if (status != GQ_OK) return status;
  if (!message) return gq_fail(GQ_INVALID, "gq_enqueue: message is NULL");
  if (send_plain(queue, message, id)) return GQ_OK;
  status = check_message(queue, message, false);
  if (status != GQ_OK) return status;
  status = claim(queue, message, GQ_NO_SLOT, timeout_ns, &out, &position, &w);
  if (status == GQ_OK) send_claimed(queue, &out, true, position, id);
  gq_wait_end(&w, queue->lane);
  return status;
}

/* Send the plain messages that come first, up to BATCH and as many as there is room for. \p plain: how many they are. */
static size_t send_plain_run(gq_queue *queue, const gq_message *messages, size_t count, uint64_t *ids, uint64_t *bytes,
                             size_t *plain)
{
  gq_lane *lane = queue->lane;
  const gq_cells cells = gq_lane_cells(lane, lane->submissions);
  size_t run = 0, sent;
  uint64_t first = 0, now, total = 0;

  while (run < count && run < BATCH && is_plain(lane, &messages[run])) run++;
  *plain = run;
  sent = run ? gq_lane_claim(lane, run, &first) : 0;
  now = stamp_time(first, sent);
  for (size_t i = 0; i < sent; i++) {
    prefetch_cell(cells, first + i + AHEAD);
    gq_lane_publish_plain(lane, cells, first + i, &messages[i], now);
    total += messages[i].size;
  }
  for (size_t i = 0; ids && i < sent; i++) ids[i] = gq_id_make(lane->index, first + i);
  *bytes += total;
  return sent;
}

/* Send what is ready of the messages that come first, up to BATCH. \p sent: how many those were; messages that are wrong
 * are not among them. \return what is wrong with the first, or GQ_OK. */
static gq_status send_prepared_run(gq_queue *queue, const gq_message *messages, size_t count, uint64_t *ids,
                                   uint64_t *bytes, size_t *sent)
{
  gq_lane *lane = queue->lane;
  const gq_cells cells = gq_lane_cells(lane, lane->submissions);
  gq_outgoing out[BATCH];
  size_t ready = 0;
  uint64_t first = 0, now;
  bool keyed = false;

  for (*sent = 0; ready < count && ready < BATCH; ready++) {
    const gq_status status = check_message(queue, &messages[ready], false);

    if (status != GQ_OK && ready == 0) return status;
    if (status != GQ_OK || gq_lane_prepare(lane, &messages[ready], GQ_NO_SLOT, &out[ready]) != GQ_OK) break;
    keyed |= messages[ready].key != 0;
  }
  if (ready) *sent = keyed ? gq_lane_claim_keyed(lane, out, ready, &first) : gq_lane_claim(lane, ready, &first);
  for (size_t i = *sent; i < ready; i++) gq_lane_unprepare(lane, &out[i], GQ_NO_SLOT);
  now = stamp_time(first, *sent);
  for (size_t i = 0; i < *sent; i++) {
    prefetch_cell(cells, first + i + AHEAD);
    gq_lane_publish(lane, first + i, &out[i], true, now);
    if (ids) ids[i] = gq_id_make(lane->index, first + i);
    *bytes += messages[i].size;
  }
  return GQ_OK;
}

/* What is left of a time limit that began at \p begin. */
static int64_t time_left(int64_t timeout_ns, uint64_t begin)
{
  uint64_t spent;

  if (timeout_ns <= 0) return timeout_ns;
  spent = gq_now() - begin;
  return spent < (uint64_t)timeout_ns ? timeout_ns - (int64_t)spent : 0;
}

gq_status gq_enqueue_batch(gq_queue *queue, const gq_message *messages, size_t count, int64_t timeout_ns,
                           uint64_t *ids, size_t *done)
{
  gq_status status = gq_handle_usable(queue);
  uint64_t bytes = 0, begin;
  size_t at = 0;
  gq_core *core;

  if (done) *done = 0;
  if (status != GQ_OK) return status;
  if (!messages && count) return gq_fail(GQ_INVALID, "gq_enqueue_batch: messages is NULL, count is %zu", count);
  core = queue->core;
  if (timeout_ns == GQ_DEFAULT_TIMEOUT) timeout_ns = core->default_timeout_ns;
  begin = timeout_ns > 0 ? gq_now() : 0;
  /* One of its messages may wait: until the end, gq_shutdown() waits for this call. */
  __atomic_fetch_add(&queue->lane->waiters, 1, __ATOMIC_ACQ_REL);
  while (status == GQ_OK && at < count) {
    size_t plain, sent = send_plain_run(queue, messages + at, count - at, ids ? ids + at : NULL, &bytes, &plain);

    if (plain == 0) status = send_prepared_run(queue, messages + at, count - at, ids ? ids + at : NULL, &bytes, &sent);
    at += sent;
    if (status != GQ_OK || sent > 0) continue;
    /* No room: one message the long way, waking the consumer so that room can come. */
    gq_wake_consumer(core, queue->lane);
    status = gq_enqueue(queue, &messages[at], time_left(timeout_ns, begin), ids ? &ids[at] : NULL);
    if (status == GQ_OK) at++;
  }
  gq_wake_consumer(core, queue->lane);
  gq_count(core, GQ_BYTES_IN, bytes);
  if (done) *done = at;
  __atomic_fetch_sub(&queue->lane->waiters, 1, __ATOMIC_ACQ_REL);
  return status;
}

/* ---------------------------------------------------------------------------------------------- in place
 * A reservation is a slot: internal_[0] its offset, [1] whether it is held. */

gq_status gq_reserve(gq_queue *queue, size_t size, int64_t timeout_ns, gq_reservation *reservation)
{
  gq_status status = gq_handle_usable(queue);
  const gq_message probe = {NULL, size, 0, 0, 0};
  gq_core *core;
  gq_lane *lane;
  uint64_t slot;
  gq_waiting w;

  if (status != GQ_OK) return status;
  if (!reservation) return gq_fail(GQ_INVALID, "gq_reserve: reservation is NULL");
  core = queue->core;
  lane = queue->lane;
  status = check_message(queue, &probe, true);
  if (status != GQ_OK) return status;
  slot = gq_arena_get(&lane->arena, size ? size : 1);
  if (slot == GQ_NO_SLOT && timeout_ns == 0) return full(core, lane, 0);
  gq_wait_begin(&w, core, timeout_ns);
  while (slot == GQ_NO_SLOT && (status = gq_wait_turn(&w, core, lane, GQ_UNTIL_CLOSED)) == GQ_OK)
    slot = gq_arena_get(&lane->arena, size ? size : 1);
  if (status == GQ_OK) {
    reservation->data = lane->arena_base + slot;
    reservation->size = size;
    reservation->internal_[0] = slot;
    reservation->internal_[1] = 1;
  } else if (status == GQ_TIMEOUT) {
    status = full(core, lane, timeout_ns);
  }
  gq_wait_end(&w, lane);
  return status;
}

static void end_reservation(gq_reservation *reservation)
{
  reservation->internal_[1] = 0;
  reservation->data = NULL;
}

gq_status gq_commit(gq_queue *queue, gq_reservation *reservation, const gq_message *message, int64_t timeout_ns,
                    uint64_t *id)
{
  gq_status status = gq_handle_usable(queue);
  gq_outgoing out;
  uint64_t position, slot;
  gq_message m;
  gq_waiting w;

  if (status != GQ_OK) return status;
  if (!reservation || !message) return gq_fail(GQ_INVALID, "gq_commit: an argument is NULL");
  m = *message;
  slot = reservation->internal_[0];
  if (!reservation->internal_[1]) return gq_fail(GQ_INVALID, "the reservation was committed or aborted already");
  if (m.size > reservation->size)
    return gq_fail(GQ_INVALID, "committing %zu bytes of a reservation of %zu", m.size, reservation->size);
  m.data = reservation->data;
  if (send_plain(queue, &m, id)) {
    gq_arena_keep(&queue->lane->arena, slot);
    end_reservation(reservation);
    return GQ_OK;
  }
  status = check_message(queue, &m, true);
  if (status != GQ_OK) return status;
  status = claim(queue, &m, slot, timeout_ns, &out, &position, &w);
  if (status == GQ_OK) {
    send_claimed(queue, &out, false, position, id);
    if (out.slot == GQ_NO_SLOT) gq_arena_keep(&queue->lane->arena, slot); /* it went inline */
    end_reservation(reservation);
  }
  gq_wait_end(&w, queue->lane);
  return status;
}

void gq_abort(gq_queue *queue, gq_reservation *reservation)
{
  if (!queue || !reservation || !reservation->internal_[1]) return;
  gq_arena_put(&queue->lane->arena, reservation->internal_[0]);
  gq_wake_sleepers(&queue->lane->head->for_room);
  end_reservation(reservation);
}
