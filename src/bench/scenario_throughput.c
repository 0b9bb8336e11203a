/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "peers.h"
#include "scenarios.h"
#include "trial.h"

/* More than can be under way at once; larger rings leave the caches, and one lane loses a third of its rate. */
enum { CAPACITY = 4096, BATCH = 256 };
/* Unless the user says otherwise, a batch is not to be more than this: it would take longer than the measuring. */
#define BATCH_BYTES ((size_t)4 << 20)

static const char *const call_names[] = {[CALLS_BATCH] = "batch", [CALLS_SINGLE] = "single",
                                          [CALLS_RESERVE] = "reserve"};

static bool measure(struct bench *bench, const struct content *content, unsigned threads, bool separate,
                    enum calls calls, unsigned batch)
{
  struct point *point = point_new("throughput", "gpuqueue");
  struct trial trial;

  if (calls == CALLS_SINGLE) batch = 1;
  point_rate_parameters(point, content->size, threads, separate, call_names[calls], batch);
  trial_init(&trial, bench, &content, content->size, threads, CAPACITY);
  trial.traffic.separate = separate;
  trial.traffic.calls = calls;
  trial.traffic.batch = batch;
  trial.rate = true;
  return trial_run(bench, &trial, point);
}

static unsigned batch_of(const struct bench *bench, size_t payload)
{
  const size_t fitting = payload ? BATCH_BYTES / payload : BATCH;

  if (bench->settings.batches.count) return (unsigned)bench->settings.batches.values[0];
  return fitting >= BATCH ? BATCH : fitting > 1 ? (unsigned)fitting : 1;
}

/** Whether a batch of \p size is to be measured with one producer: the sizes that scenarios choose are to fit the time,
 * and one has been measured with other numbers of producers. */
static bool is_batch_missing(const struct bench *bench, const struct list *threads, size_t payload, uint64_t size)
{
  if (list_has(threads, 1) && size == batch_of(bench, payload)) return false;
  return bench->settings.batches.count || size == 1 || payload <= BATCH_BYTES / size;
}

/** The ways to call, and the sizes of a batch, with one producer. */
static bool measure_calls(struct bench *bench, const struct content *content, const struct list *threads)
{
  static const uint64_t batches[] = {1, 4, 16, 64, 1024}, quick_batches[] = {16};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.batches, batches, quick_batches);
  bool fine;
  size_t i;

  fine = peers_rate(bench, "throughput", NULL, content, 1, true, 1);
  for (i = 0; fine && i < 2; i++) fine = measure(bench, content, 1, i == 0, CALLS_SINGLE, 1);
  for (i = 0; fine && i < 2; i++)
    fine = measure(bench, content, 1, i == 0, CALLS_RESERVE, batch_of(bench, content->size));
  for (i = 0; fine && i < sizes.count; i++)
    if (is_batch_missing(bench, threads, content->size, sizes.values[i]))
      fine = measure(bench, content, 1, true, CALLS_BATCH, (unsigned)sizes.values[i]);
  return fine;
}

static bool measure_payload(struct bench *bench, size_t payload)
{
  const struct list threads = trial_thread_counts(bench);
  const unsigned batch = batch_of(bench, payload);
  struct content content;
  bool fine = true;
  size_t i, k;

  if (!content_init(bench, &content, payload, NULL, CAPACITY)) return false;
  for (i = 0; fine && i < threads.count; i++) {
    fine = cuda_peers_rate(bench, "throughput", &content, (unsigned)threads.values[i]);
    for (k = 0; fine && k < 2; k++) {
      fine = peers_rate(bench, "throughput", NULL, &content, (unsigned)threads.values[i], k == 0, batch) &&
             measure(bench, &content, (unsigned)threads.values[i], k == 0, CALLS_BATCH, batch);
    }
  }
  if (fine) fine = measure_calls(bench, &content, &threads);
  content_free(&content);
  return fine;
}

bool scenario_throughput(struct bench *bench)
{
  static const uint64_t payloads[] = {32, 64}, quick_payloads[] = {64};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.payloads, payloads, quick_payloads);
  size_t i;

  for (i = 0; i < sizes.count; i++)
    if (!measure_payload(bench, sizes.values[i])) return false;
  return true;
}
