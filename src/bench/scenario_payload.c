/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "peers.h"
#include "scenarios.h"
#include "trial.h"

/* A batch is not to be more than this many bytes; the messages that a lane can hold not more than a share of memory. */
#define BATCH_BYTES ((size_t)1 << 20)
enum { BATCH = 256, CAPACITY = 4096, MESSAGES_HELD = 8, MEMORY_SHARE = 8, PEER_BYTES = 1 << 20 };

static unsigned batch_of(const struct bench *bench, size_t payload)
{
  const size_t fitting = payload ? BATCH_BYTES / payload : BATCH;

  if (bench->settings.batches.count) return (unsigned)bench->settings.batches.values[0];
  return fitting >= BATCH ? BATCH : fitting > 1 ? (unsigned)fitting : 1;
}

/** As many lanes as the machine has memory for. */
static unsigned threads_of(const struct bench *bench, size_t payload)
{
  const uint64_t each = MESSAGES_HELD * (uint64_t)(payload + 1), room = bench->machine.available_bytes / MEMORY_SHARE;
  const unsigned fitting = room / each < 256 ? (unsigned)(room / each) : 256;

  return trial_threads(bench, fitting ? fitting : 1);
}

static bool measure(struct bench *bench, const char *handler, size_t payload)
{
  const unsigned threads = threads_of(bench, payload), batch = batch_of(bench, payload);
  struct content content, *contents = &content;
  struct point *point;
  struct trial trial;
  bool fine;

  if (!content_init(bench, &content, payload, handler)) return false;
  fine = payload > PEER_BYTES || peers_rate(bench, "payload", handler, contents, threads, true, batch);
  if (fine) {
    point = point_new("payload", "gpuqueue");
    point_word(point, "handler", handler);
    point_rate_parameters(point, payload, threads, true, batch == 1 ? "single" : "batch", batch);
    trial_init(&trial, bench, (const struct content *const *)&contents, payload, threads, CAPACITY);
    trial.options.handler = handler;
    trial.traffic.batch = batch;
    trial.rate = true;
    fine = trial_run(bench, &trial, point);
  }
  content_free(&content);
  return fine;
}

/** What comes back is as much as what went in, or 8 bytes; or what the user's handler gives. */
bool scenario_payload(struct bench *bench)
{
  static const uint64_t payloads[] = {0, 8, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20,
                                      16 << 20, 64 << 20};
  static const uint64_t quick_payloads[] = {64, 4 << 10, 1 << 20};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.payloads, payloads, quick_payloads);
  const char *const both[] = {"echo", "xxh64"}, *const given[] = {bench->settings.queue.handler};
  const bool is_given = bench_is_given(&bench->settings, "handler");
  size_t i, k;

  if (!cuda_peers_bandwidth(bench, "payload", sizes.values[sizes.count - 1])) return false;
  for (i = 0; i < (is_given ? 1 : 2); i++)
    for (k = 0; k < sizes.count; k++)
      if (!measure(bench, (is_given ? given : both)[i], sizes.values[k])) return false;
  return true;
}
