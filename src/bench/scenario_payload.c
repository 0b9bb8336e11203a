/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "content.h"
#include "peers.h"
#include "scenarios.h"
#include "trial.h"

/* A batch is not to be more than this many bytes; the messages that a lane can hold not more than a share of memory. */
#define BATCH_BYTES ((size_t)1 << 20)
enum {
  BATCH = 256, CAPACITY = 4096, MESSAGES_HELD = 8, MEMORY_SHARE = 8, PEER_BYTES = 1 << 20,
  BLOCK_BYTES = 256 << 10 /* from here on a block is faster than a warp */
};

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

/** A block for what a warp takes long over, if the user has chosen no scope and the handler runs in blocks. */
static uint32_t scope_of(const struct bench *bench, const char *handler, size_t payload)
{
  gq_options options = bench->settings.queue;
  const gq_handler_info *info;
  bool runs_in_blocks;

  if (bench_is_given(&bench->settings, "scope") || payload < BLOCK_BYTES || bench->backend != GQ_BACKEND_CUDA)
    return options.scope;
  options.handler = handler;
  if (gq_handler_inspect(&options, &info) != GQ_OK) return options.scope;
  runs_in_blocks = strstr(info->scopes, "block") != NULL;
  gq_handler_info_free(info);
  return runs_in_blocks ? GQ_SCOPE_BLOCK : options.scope;
}

static bool measure(struct bench *bench, const char *handler, size_t payload)
{
  const unsigned threads = threads_of(bench, payload), batch = batch_of(bench, payload);
  struct content content, *contents = &content;
  struct point *point;
  struct trial trial;
  bool fine;

  if (!content_init(bench, &content, payload, handler, CAPACITY)) return false;
  fine = payload > PEER_BYTES || peers_rate(bench, "payload", handler, contents, threads, true, batch);
  if (fine) {
    point = point_new("payload", "gpuqueue");
    point_word(point, "handler", handler);
    point_rate_parameters(point, payload, threads, true, batch == 1 ? "single" : "batch", batch);
    trial_init(&trial, bench, (const struct content *const *)&contents, payload, threads, CAPACITY);
    trial.options.handler = handler;
    trial.options.scope = scope_of(bench, handler, payload);
    if (trial.options.scope == GQ_SCOPE_BLOCK) point_word(point, "scope", "block");
    trial.traffic.batch = batch;
    trial.rate = true;
    fine = trial_run(bench, &trial, point);
  }
  content_free(&content);
  return fine;
}

/** What comes back is as much as what went in, or 4 bytes; or what the user's handler gives. */
bool scenario_payload(struct bench *bench)
{
  static const uint64_t payloads[] = {0, 8, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20,
                                      16 << 20, 64 << 20};
  static const uint64_t quick_payloads[] = {64, 4 << 10, 1 << 20};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.payloads, payloads, quick_payloads);
  const char *const both[] = {"echo", "crc32c"}, *const given[] = {bench->settings.queue.handler};
  const bool is_given = bench_is_given(&bench->settings, "handler");
  size_t i, k;

  if (!cuda_peers_bandwidth(bench, "payload", sizes.values[sizes.count - 1])) return false;
  for (i = 0; i < (is_given ? 1 : 2); i++)
    for (k = 0; k < sizes.count; k++)
      if (!measure(bench, (is_given ? given : both)[i], sizes.values[k])) return false;
  return true;
}
