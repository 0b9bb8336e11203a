/* SPDX-License-Identifier: Apache-2.0 */
/* What the host makes of the notes that the warps of a kernel write: whom it suspects, and whom it finds stalled. The
 * notes are written here; the lanes they speak of are those of a queue on the CPU. */
#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "cuda/device.h"
#include "cuda_begun.h"
#include "queue.h"

#define WARPS 3
#define MS UINT64_C(1000000)

static gq_unit notes[WARPS * GQ_BEGUN_RUNS];
static gq_sighting sightings[WARPS];
static gq_suspects suspects;
static gq_begun begun;
static gq_consumption consumption;

static void forget_all(gq_queue *queue, uint32_t stall_ms)
{
  memset(notes, 0, sizeof notes);
  memset(sightings, 0, sizeof sightings);
  memset(&suspects, 0, sizeof suspects);
  begun = (gq_begun){ .notes = notes, .warps = WARPS, .sightings = sightings };
  consumption = (gq_consumption){ .lanes = queue->core->lanes, .lane_count = queue->core->lane_count,
                                  .stall_ms = stall_ms };
}

static void note(uint32_t warp, uint32_t i, uint64_t id, uint32_t length)
{
  notes[warp * GQ_BEGUN_RUNS + i] = (gq_unit){ { (uint32_t)id, (uint32_t)(id >> 32), length, 0 } };
}

static gq_queue *open_slow_queue(void)
{
  gq_options options = suite_options("test_sleep");
  options.backend = GQ_BACKEND_CPU;
  options.workers = 1;
  return suite_open(&options);
}

START_TEST(what_was_begun_and_has_not_finished_is_suspect)
{
  gq_queue *queue = open_slow_queue();
  uint64_t ids[8];
  for (int i = 0; i < 3; i++) ids[i] = suite_enqueue_sleep(queue, 0, 0, 0);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  for (int i = 3; i < 8; i++) ids[i] = suite_enqueue_sleep(queue, 100000, 0, 0);
  forget_all(queue, 0);
  note(0, 0, ids[1], 4);   /* two that have finished, two that have not */
  note(0, 5, ids[0], 1);   /* left over from earlier */
  note(2, 0, ids[6], 1);
  gq_begun_suspect(&begun, &consumption, &suspects);
  ck_assert_uint_eq(suspects.count, 3);
  ck_assert_uint_eq(suspects.ids[0], ids[3]);
  ck_assert_uint_eq(suspects.ids[1], ids[4]);
  ck_assert_uint_eq(suspects.ids[2], ids[6]);
  char text[128];
  gq_suspects_say(&suspects, text, sizeof text);
  ck_assert_str_eq(text, "messages 0x4, 0x5 and 0x7");
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  forget_all(queue, 0);
  note(0, 0, ids[1], 7);
  gq_begun_suspect(&begun, &consumption, &suspects);
  ck_assert_uint_eq(suspects.count, 0);
  suite_close(queue);
}
END_TEST

START_TEST(notes_that_make_no_sense_name_nobody)
{
  gq_queue *queue = open_slow_queue();
  suite_enqueue_sleep(queue, 100000, 0, 0);
  forget_all(queue, 1);
  note(0, 0, UINT64_MAX, UINT32_MAX);
  note(0, 1, UINT64_C(1) << 52 | 1, 1);    /* a lane that is not there */
  note(1, 0, 2, UINT32_MAX);               /* messages that were never sent */
  note(1, 1, 0, 1);
  gq_begun_suspect(&begun, &consumption, &suspects);
  ck_assert_uint_eq(suspects.count, 0);
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, MS), 0);
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, 1000 * MS), 0);
  suite_close(queue);
}
END_TEST

START_TEST(a_warp_is_stalled_once_it_has_been_seen_at_it_for_too_long)
{
  gq_queue *queue = open_slow_queue();
  const uint64_t done = suite_enqueue_sleep(queue, 0, 0, 0);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  const uint64_t slow = suite_enqueue_sleep(queue, 300000, 0, 0), other = suite_enqueue_sleep(queue, 0, 0, 0);
  forget_all(queue, 50);
  note(0, 0, done, 1);
  note(1, 0, done, 2);   /* together with the slow one */
  note(2, 0, other, 1);
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, 1000 * MS), 0);
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, 1040 * MS), 0);
  note(2, 0, done, 1);   /* something else now */
  const uint64_t ns = gq_begun_watch(&begun, &consumption, 1060 * MS);
  ck_assert_uint_eq(ns, 60 * MS);
  ck_assert_uint_eq(begun.stalled, 2);
  gq_begun_suspect(&begun, &consumption, &suspects);
  ck_assert_uint_eq(suspects.count, 1);
  ck_assert_uint_eq(suspects.ids[0], slow);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  forget_all(queue, 50);
  note(1, 0, done, 2);
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, 1000 * MS), 0);
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, 2000 * MS), 0);   /* it has finished: idle, not stalled */
  consumption.stall_ms = 0;
  ck_assert_uint_eq(gq_begun_watch(&begun, &consumption, 9000 * MS), 0);
  suite_close(queue);
}
END_TEST

START_TEST(a_long_list_is_cut)
{
  gq_queue *queue = open_slow_queue();
  for (int i = 0; i < 40; i++) suite_enqueue_sleep(queue, 20000, 0, 0);
  forget_all(queue, 0);
  gq_suspect_all(&suspects, queue->core->lanes, queue->core->lane_count);
  ck_assert_uint_gt(suspects.count, 8);
  char text[256], more[32];
  gq_suspects_say(&suspects, text, sizeof text);
  snprintf(more, sizeof more, " and %u more", (unsigned)suspects.count - 8);
  ck_assert_msg(strstr(text, more), "%s", text);
  gq_suspects_say(&suspects, text, 20);
  ck_assert_uint_lt(strlen(text), 20);
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(what_was_begun_and_has_not_finished_is_suspect),
    SUITE_TEST_ONCE(notes_that_make_no_sense_name_nobody),
    SUITE_TEST_ONCE(a_warp_is_stalled_once_it_has_been_seen_at_it_for_too_long),
    SUITE_TEST_ONCE(a_long_list_is_cut),
  };
  return suite_main("test_begun", tests, SUITE_COUNT(tests));
}
