/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include "stop.h"

#include <stdlib.h>
#include <string.h>

void sender_init(struct sender *sender, struct run *run)
{
  memset(sender, 0, sizeof *sender);
  sender->run = run;
}

static void report_refusal(struct run *run, const gq_message *message, uint64_t number, gq_status status,
                           const char *reason)
{
  struct record record = {number, NULL, false};
  struct failure failure = {
    .number = number, .reason = reason, .status = status, .key = message->key, .tag = message->tag,
    .payload = message->data, .size = message->size};

  if (run->records) records_take(run->records, number, &record);
  failure.name = record.name;
  report_failure(run, &failure);
  free(record.name);
}

/** What to do after a call that did not take a message. */
enum verdict { TRY_AGAIN, REFUSED, STOP };

/** \param idle_waits  counts the waits for room in a queue that held nothing of ours */
static enum verdict judge(struct run *run, gq_status status, unsigned *idle_waits)
{
  switch (status) {
  case GQ_FULL:
  case GQ_TIMEOUT:
  case GQ_AGAIN:
    if (stop_requested()) return STOP;
    if (atomic_load(&run->released) < atomic_load(&run->sent)) *idle_waits = 0;
    return ++*idle_waits > 5 ? REFUSED : TRY_AGAIN; /* it will not fit later either */
  case GQ_DEVICE_LOST:
  case GQ_SHUT_DOWN:
    report_device_lost(run, "enqueue");
    return STOP;
  default:
    return REFUSED;
  }
}

bool sender_flush(struct sender *sender)
{
  struct run *run = sender->run;
  unsigned idle_waits = 0;
  size_t at = 0;

  while (at < sender->count) {
    size_t done = 0;
    gq_status status;
    enum verdict verdict;

    if (stop_requested()) return false;
    status = gq_enqueue_batch(run->queue, sender->batch + at, sender->count - at, WAIT_SLICE_NS, NULL, &done);
    at += done;
    atomic_fetch_add(&run->sent, done);
    if (done) idle_waits = 0;
    if (status == GQ_OK) continue;
    verdict = judge(run, status, &idle_waits);
    if (verdict == STOP) return false;
    if (verdict == TRY_AGAIN) continue;
    report_refusal(run, &sender->batch[at], sender->numbers[at], status, gq_last_error());
    at++;
  }
  sender->count = 0;
  return true;
}

bool sender_reserve(struct sender *sender, const gq_message *message, uint64_t number, gq_reservation *reservation,
                    bool *refused)
{
  unsigned idle_waits = 0;

  *refused = false;
  if (!sender_flush(sender)) return false;
  for (;;) {
    const gq_status status = gq_reserve(sender->run->queue, message->size, WAIT_SLICE_NS, reservation);
    enum verdict verdict;
    if (status == GQ_OK) return true;
    verdict = judge(sender->run, status, &idle_waits);
    if (verdict == STOP) return false;
    if (verdict == TRY_AGAIN) continue;
    report_refusal(sender->run, message, number, status, gq_last_error());
    *refused = true;
    return true;
  }
}

bool sender_commit(struct sender *sender, gq_reservation *reservation, const gq_message *message, uint64_t number)
{
  struct run *run = sender->run;
  unsigned idle_waits = 0;

  for (;;) {
    gq_message kept = *message;
    uint64_t id;
    const gq_status status = gq_commit(run->queue, reservation, message, WAIT_SLICE_NS, &id);
    enum verdict verdict;
    if (status == GQ_OK) {
      atomic_fetch_add(&run->sent, 1);
      return true;
    }
    verdict = judge(run, status, &idle_waits);
    if (verdict == TRY_AGAIN) continue;
    if (verdict == REFUSED) {
      kept.data = reservation->data;
      report_refusal(run, &kept, number, status, gq_last_error());
    }
    gq_abort(run->queue, reservation);
    return verdict == REFUSED;
  }
}
