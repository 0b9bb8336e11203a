/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "content.h"
#include "openloop.h"
#include "scenarios.h"
#include "session.h"
#include "trial.h"

enum { CAPACITY = 32768 };

static bool measure(struct bench *bench, const struct content *content, double rate)
{
  struct point *point = point_new("load", "gpuqueue");
  struct session session;
  bool fine;

  point_number(point, "payload", (double)content->size);
  point_number(point, "offered", rate);
  bench_expect(bench, "scenario load", bench->settings.seconds);
  fine = session_start(bench, &session, content->size + CELL_TAG_BYTES, 1, CAPACITY);
  if (fine) {
    session_tell(&session, point);
    fine = openloop_measure(bench, session.lanes[0], content, rate, bench->settings.seconds, &point->figures);
    session_close(&session);
  }
  if (fine) return point_done(bench, point);
  point_drop(point);
  return false;
}

/** Two digits of \p value. */
static double rounded(double value)
{
  const double unit = pow(10, floor(log10(value)) - 1);

  return floor(value / unit) * unit;
}

/** Without rates of the user's: shares of what goes through at most, which is measured first. */
static bool choose_rates(struct bench *bench, const struct content *content, struct list *rates)
{
  static const double shares[] = {0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.7, 0.8, 0.9}, quick_shares[] = {0.01, 0.25};
  const size_t count = bench->settings.quick ? 2 : sizeof shares / sizeof *shares;
  struct point *point = point_new("load", "gpuqueue");
  struct trial trial;
  size_t i;

  *rates = bench->settings.rates;
  if (rates->count) return point_drop(point), true;
  point_number(point, "payload", (double)content->size);
  point_word(point, "offered", "all");
  trial_init(&trial, bench, &content, content->size + CELL_TAG_BYTES, 1, CAPACITY);
  trial.traffic.timed = true; /* as in what follows */
  trial.rate = true;
  if (!trial_run(bench, &trial, point)) return false;
  for (i = 0; i < count; i++) {
    const double share = bench->settings.quick ? quick_shares[i] : shares[i];

    rates->values[i] = (uint64_t)fmax(1, rounded(share * point_latest(bench)->figures.messages_per_s));
  }
  rates->count = count;
  return true;
}

bool scenario_load(struct bench *bench)
{
  static const uint64_t payloads[] = {64};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.payloads, payloads, payloads);
  bool fine = true;
  size_t i, k;

  for (i = 0; fine && i < sizes.count; i++) {
    struct content content;
    struct list rates;

    if (!content_init(bench, &content, sizes.values[i], NULL, CAPACITY)) return false;
    fine = choose_rates(bench, &content, &rates);
    for (k = 0; fine && k < rates.count; k++) fine = measure(bench, &content, (double)rates.values[k]);
    content_free(&content);
  }
  return fine;
}
