/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "bench.h"

#define SMALLEST_SLOT ((uint64_t)256)
#define LARGE_MESSAGE ((uint64_t)1 << 20)
#define UNDER_WAY ((uint64_t)64 << 20) /* of much more in all, what is measured is host memory, not the bus */

/** What the arena hands out for \p bytes; tags, which are counted, lie in cells. */
static uint64_t slot_for(uint64_t bytes)
{
  uint64_t slot = SMALLEST_SLOT;

  while (slot + CELL_TAG_BYTES < bytes) slot *= 2;
  return slot;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

/** Memory of a lane: for capacity messages with their results where that is not much, for four always, and for two of
 * the largest that \p options allow. */
static uint64_t plan_arena(const gq_options *options, uint64_t payload)
{
  const uint64_t most = UNDER_WAY / options->lanes, all = options->capacity * 2 * slot_for(payload);
  const uint64_t least = larger(8 * slot_for(payload),
                                4 * slot_for(larger(options->max_message_bytes, options->max_result_bytes)));

  return larger(all < most ? all : most, least);
}

void session_plan(const struct bench *bench, gq_options *options, size_t payload, unsigned lanes, uint32_t capacity)
{
  const struct bench_settings *settings = &bench->settings;

  options->lanes = lanes;
  if (!bench_is_given(settings, "capacity")) options->capacity = capacity;
  if (!bench_is_given(settings, "cell_bytes")) options->cell_bytes = cell_that_takes(payload, 0);
  if (!bench_is_given(settings, "max_message_bytes") || options->max_message_bytes < payload)
    options->max_message_bytes = payload > 64 ? payload : 64;
  if (!bench_is_given(settings, "arena_bytes")) options->arena_bytes = plan_arena(options, payload);
}

bool session_check(struct bench *bench, gq_status status, const char *call)
{
  if (status == GQ_OK) return true;
  return bench_fail(bench, EXIT_SYSTEM, "%s: %s: %s", call, gq_status_name((int)status), gq_last_error());
}

static int failure_status(gq_status status)
{
  return status == GQ_INVALID || status == GQ_NO_HANDLER || status == GQ_BAD_HANDLER || status == GQ_FAILED
           ? EXIT_USAGE : EXIT_SYSTEM;
}

/** Memory that is not there would be taken from other processes, or end this one without a word. */
static bool has_memory(struct bench *bench, const gq_options *options)
{
  const uint64_t all = options->lanes * options->arena_bytes, available = bench->machine.available_bytes;

  /* smaller messages hardly use what is set aside for them */
  if (options->max_message_bytes < LARGE_MESSAGE || available == 0 || all <= available) return true;
  return bench_fail(bench, EXIT_SYSTEM, "%u lane%s for messages of %.4g MiB take %.4g MiB of memory, and only %.4g are "
                    "free: take fewer --threads, a smaller --payload or --arena-bytes", options->lanes,
                    options->lanes == 1 ? "" : "s", (double)options->max_message_bytes / (1 << 20),
                    (double)all / (1 << 20), (double)available / (1 << 20));
}

/** Open the queue with the memory that was planned, or with what the library takes: a plan does not know how large a
 * handler's results may be. */
static gq_status open_queue(const struct bench *bench, struct session *session)
{
  const gq_status status = gq_init(&session->lanes[0], &session->options);

  if (status != GQ_INVALID || bench_is_given(&bench->settings, "arena_bytes")) return status;
  session->options.arena_bytes = 0;
  return gq_init(&session->lanes[0], &session->options);
}

bool session_open(struct bench *bench, struct session *session, const gq_options *options)
{
  gq_status status;

  if (!has_memory(bench, options)) return false;
  session->lanes = allocate(options->lanes * sizeof *session->lanes);
  session->lane_count = 1;
  session->options = *options;
  status = open_queue(bench, session);
  if (status != GQ_OK) {
    free(session->lanes);
    return bench_fail(bench, failure_status(status), "%s", gq_last_error());
  }
  while (session->lane_count < options->lanes) {
    if (!session_check(bench, gq_open_lane(session->lanes[0], &session->lanes[session->lane_count]), "gq_open_lane")) {
      session_close(session);
      return false;
    }
    session->lane_count++;
  }
  return true;
}

bool session_start(struct bench *bench, struct session *session, size_t payload, unsigned lanes, uint32_t capacity)
{
  gq_options options = bench->settings.queue;

  session_plan(bench, &options, payload, lanes, capacity);
  return session_open(bench, session, &options);
}

void session_close(struct session *session)
{
  gq_shutdown(session->lanes[0], PATIENCE_NS);
  free(session->lanes);
  session->lanes = NULL;
}

void session_tell(const struct session *session, struct point *point)
{
  point->queue = session->options;
  point->has_queue = true;
}

void session_memory(const struct session *session, struct figures *figures)
{
  gq_statistics statistics;

  memset(&statistics, 0, sizeof statistics);
  statistics.size = sizeof statistics;
  if (gq_stats(session->lanes[0], &statistics) != GQ_OK) return;
  figures->host_bytes = statistics.host_bytes;
  figures->device_bytes = statistics.device_bytes;
}
