/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of many sizes through one lane; and small ones while large ones flow through the same queue. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "content.h"
#include "crew.h"
#include "flow.h"
#include "roundtrip.h"
#include "scenarios.h"
#include "session.h"
#include "trial.h"

enum { LARGE = 16 << 20, SMALL = 64, SIZES = 8, CAPACITY = 4096, BATCH = 64 };

static bool measure_sizes(struct bench *bench)
{
  static const size_t sizes[SIZES] = {0, 16, 64, 200, 1000, 4000, 16000, 64000};
  struct content contents[SIZES];
  const struct content *pointers[SIZES];
  struct point *point = point_new("mixed", "gpuqueue");
  const unsigned threads = trial_threads(bench, 64);
  struct trial trial;
  unsigned made;
  bool fine = true;

  for (made = 0; fine && made < SIZES; made++) {
    fine = content_init(bench, &contents[made], sizes[made], NULL, CAPACITY);
    pointers[made] = &contents[made];
    if (!fine) break;
  }
  if (fine) {
    point_word(point, "payload", "0-64000");
    point_number(point, "threads", threads);
    trial_init(&trial, bench, pointers, sizes[SIZES - 1], threads, CAPACITY);
    trial.traffic.content_count = SIZES;
    trial.traffic.batch = BATCH;
    trial.rate = true;
    fine = trial_run(bench, &trial, point);
  } else {
    point_drop(point);
  }
  while (made > 0) content_free(&contents[--made]);
  return fine;
}

/** A thread that keeps two large messages on their way. */
struct stream {
  gq_queue *lane;
  const struct content *content;
  struct trouble trouble;
  atomic_bool over;
  uint64_t received;
};

static bool stream_take(struct stream *s, uint64_t id, unsigned char *result)
{
  size_t size = s->content->result_bytes;
  const gq_status status = gq_dequeue_result(s->lane, id, result, &size, PATIENCE_NS);

  if (status != GQ_OK && status != GQ_TOO_SMALL) /* a result that is too large is a wrong one */
    trouble_tell(&s->trouble, EXIT_SYSTEM, "large message %llu: %s: %s", (unsigned long long)s->received,
                 gq_status_name((int)status), gq_last_error());
  else if (status != GQ_OK || !content_matches(s->content, s->received, result, size))
    trouble_tell(&s->trouble, EXIT_MESSAGES_FAILED, "large message %llu: its result of %zu bytes is wrong",
                 (unsigned long long)s->received, size);
  s->received++;
  return atomic_load(&s->trouble.status) == 0;
}

static void stream_main(void *argument)
{
  struct stream *s = argument;
  unsigned char *result = allocate(s->content->result_bytes + 1);
  uint64_t ids[2], sent = 0;
  bool fine = true;

  while (fine && !atomic_load(&s->over)) {
    const gq_message message = {content_payload(s->content, sent), s->content->size, 0, 0, 0};
    gq_status status;

    if (sent - s->received == 2) fine = stream_take(s, ids[s->received % 2], result);
    if (!fine) break;
    /* A result that is not taken holds up the lane, once the small messages are a capacity ahead: never wait with one. */
    status = gq_enqueue(s->lane, &message, sent > s->received ? 0 : PATIENCE_NS, &ids[sent % 2]);
    if (status == GQ_FULL && sent > s->received) {
      fine = stream_take(s, ids[s->received % 2], result);
      continue;
    }
    if (status != GQ_OK) {
      trouble_tell(&s->trouble, EXIT_SYSTEM, "large message %llu: %s: %s", (unsigned long long)sent,
                   gq_status_name((int)status), gq_last_error());
      break;
    }
    sent++;
  }
  while (fine && s->received < sent) fine = stream_take(s, ids[s->received % 2], result);
  free(result);
}

enum beside { BESIDE_NOTHING, BESIDE_OTHER_LANE, BESIDE_SAME_LANE };

static bool measure_beside(struct bench *bench, struct session *session, enum beside beside,
                           const struct content *small, const struct content *large, struct figures *figures)
{
  struct stream stream;
  struct crew crew;
  bool fine = true;

  memset(&stream, 0, sizeof stream);
  stream.lane = session->lanes[beside == BESIDE_OTHER_LANE];
  stream.content = large;
  crew_init(&crew, 1);
  if (beside != BESIDE_NOTHING) fine = crew_add(bench, &crew, stream_main, &stream);
  if (fine) {
    const struct roundtrip roundtrip = {small, session->lanes, 1, 0, bench->settings.seconds};

    crew_go(&crew);
    fine = roundtrip_measure(bench, &roundtrip, figures);
  }
  atomic_store(&stream.over, true);
  crew_end(&crew);
  if (fine && atomic_load(&stream.trouble.status))
    fine = bench_fail(bench, atomic_load(&stream.trouble.status), "%s", stream.trouble.text);
  return fine;
}

static bool measure_small(struct bench *bench, const struct content *small, const struct content *large)
{
  static const char *const names[] = {"nothing", "other-lane", "same-lane"};
  const struct point *alone = NULL;
  bool fine = true;
  int beside;

  for (beside = BESIDE_NOTHING; fine && beside <= BESIDE_SAME_LANE; beside++) {
    struct point *point = point_new("mixed", "gpuqueue");
    struct session session;

    point_number(point, "payload", (double)small->size);
    point_word(point, "beside", names[beside]);
    point_number(point, "large", (double)large->size);
    point->beside = alone;
    point->beside_name = "alone";
    bench_expect(bench, "scenario mixed", bench->settings.seconds);
    fine = session_start(bench, &session, large->size, 2, CAPACITY);
    if (fine) {
      session_tell(&session, point);
      fine = measure_beside(bench, &session, (enum beside)beside, small, large, &point->figures);
      session_close(&session);
    }
    if (!fine) return point_drop(point), false;
    fine = point_done(bench, point);
    if (beside == BESIDE_NOTHING && fine) alone = point_latest(bench);
  }
  return fine;
}

bool scenario_mixed(struct bench *bench)
{
  struct content small, large;
  bool fine;

  if (!measure_sizes(bench)) return false;
  if (!content_init(bench, &small, SMALL, NULL, CAPACITY)) return false;
  fine = content_init(bench, &large, LARGE, NULL, CAPACITY);
  if (fine) {
    fine = measure_small(bench, &small, &large);
    content_free(&large);
  }
  content_free(&small);
  return fine;
}
