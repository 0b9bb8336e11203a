/* SPDX-License-Identifier: Apache-2.0 */
/* Raw limit: cells streaming through the smallest resident queue there can be. For each lane one thread sends and one
 * receives; every answer is compared, all of it, with what it must be. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline_cells.h"
#include "baseline_gpu.h"

#define MOST_CELLS (1u << 15)
#define LANE_BYTES (4u << 20) /* a lane's ring at most */
#define MARGIN 1024u          /* cells that are never in use: those that both sides are about to touch */
#define STEP 64u              /* messages between two looks at the other thread */
#define LOOKS (1u << 14)
#define NOT_YET UINT64_MAX
#define INGRESS_WARPS 64u     /* 16 of each for a single lane, which one thread fills: more would only look */
#define WORK_WARPS 128u
#define INLINE inline __attribute__((always_inline))

typedef struct ring_run {
  gq_baseline_gpu *gpu;
  uint64_t end; /* when to stop sending */
  uint32_t units, cells, lanes;
  atomic_bool failed;
} ring_run;

typedef struct ring_lane {
  _Alignas(128) _Atomic uint64_t taken; /* answers that have been read */
  _Alignas(128) _Atomic uint64_t sent;  /* NOT_YET, and in the end how many were sent */
  _Alignas(128) ring_run *run;
  gq_vector *submissions, *completions;
  uint64_t received;
  pthread_t producer, consumer;
} ring_lane;

/* The words of message 0, and by how much they grow from one to the next, and from unit to unit. */
static const gq_vector first_words = {1, 2, 3, 1}, growth = {1, 1, 1, 0}, next_unit = {3, 3, 3, 0};

/* What the handler makes of the first unit of message 0: its third word is the sum of all words. */
static gq_vector first_answer(uint32_t units)
{
  return (gq_vector){1, 2, 6 * units + 9 * units * (units - 1) / 2, 1};
}

/* ------------------------------------------------------------------------------------------------- two threads */

/* Wait until `i` and the messages after it have room. */
static bool await_room(ring_lane *lane, uint64_t i)
{
  const uint64_t begin = gq_baseline_now(), window = lane->run->cells - MARGIN;
  uint32_t looks = 0;

  /* [B1] acquire: the answers that stood in the cells have been read; pairs with [B1] in receive_answers() */
  while (i + STEP > atomic_load_explicit(&lane->taken, memory_order_acquire) + window) {
    if (++looks % LOOKS) continue;
    if (atomic_load_explicit(&lane->run->failed, memory_order_relaxed)) return false;
    if (gq_baseline_now() - begin > GQ_BASELINE_PATIENCE_NS) return false; /* the receiver will say why */
  }
  return true;
}

static INLINE void send_messages(ring_lane *lane, uint32_t units)
{
  const uint64_t end = lane->run->end;
  const uint32_t mask = lane->run->cells - 1;
  gq_vector *const ring = lane->submissions;
  gq_vector words = first_words;
  uint64_t i = 0;

  for (; gq_baseline_now() < end && await_room(lane, i);) {
    for (uint32_t n = 0; n < STEP; n++, i++) {
      gq_vector *cell = &ring[(i & mask) * units], unit = words;

      for (uint32_t k = 0; k < units; k++, unit += next_unit) gq_vector_store(&cell[k], unit);
      words += growth;
      if (((i + 1) & mask) == 0) words[3]++;
    }
  }
  atomic_store_explicit(&lane->sent, i, memory_order_relaxed);
}

static INLINE bool is_answered(const gq_vector *cell, gq_vector words, gq_vector first, uint32_t units)
{
  gq_vector differences = gq_vector_load(&cell[0]) ^ first, unit = words;

  for (uint32_t k = 1; k < units; k++) {
    unit += next_unit;
    differences |= gq_vector_load(&cell[k]) ^ unit;
  }
  return gq_vector_is_zero(differences);
}

/* Answer `i`, whose units should be these, has not been there for long. \return false if it is not to be waited for:
 * nothing more was sent, it is wrong, or it has taken too long. */
static bool may_wait(ring_lane *lane, uint64_t i, gq_vector words, gq_vector first, uint64_t *since)
{
  ring_run *run = lane->run;
  const gq_vector *cell = &lane->completions[(i & (run->cells - 1)) * run->units];
  const uint64_t now = gq_baseline_now();
  uint32_t there = 0;

  if (atomic_load_explicit(&lane->sent, memory_order_relaxed) == i) return false;
  if (atomic_load_explicit(&run->failed, memory_order_relaxed)) return false;
  if (*since == 0) *since = now;
  for (uint32_t k = 0; k < run->units; k++) there += gq_vector_load(&cell[k])[3] == words[3];
  if (there == run->units && !is_answered(cell, words, first, run->units))
    gq_baseline_fail(run->gpu, "the resident ring: the answer to message %llu of a lane is wrong",
                     (unsigned long long)i);
  else if (now - *since < GQ_BASELINE_PATIENCE_NS)
    return true;
  else if (gq_baseline_called(run->gpu, run->gpu->driver.cuCtxSetCurrent(run->gpu->context), "cuCtxSetCurrent"))
    gq_baseline_no_answer(run->gpu, "the resident ring");
  atomic_store_explicit(&run->failed, true, memory_order_relaxed);
  return false;
}

static INLINE void receive_answers(ring_lane *lane, uint32_t units)
{
  const gq_vector first_growth = {1, 1, 3 * units, 0};
  const uint32_t mask = lane->run->cells - 1;
  const gq_vector *const ring = lane->completions;
  gq_vector words = first_words, first = first_answer(units);
  uint64_t i = 0;

  for (;;) {
    const gq_vector *cell = &ring[(i & mask) * units];
    uint64_t since = 0;
    uint32_t looks = 0;

    while (!is_answered(cell, words, first, units))
      if (++looks % 256 == 0 && !may_wait(lane, i, words, first, &since)) goto end;
    words += growth;
    first += first_growth;
    if ((++i & mask) == 0) words[3]++, first[3]++;
    /* [B1] release: the answers have been read; pairs with acquire [B1] in await_room() */
    if (i % STEP == 0) atomic_store_explicit(&lane->taken, i, memory_order_release);
  }
end:
  lane->received = i;
}

/* One copy for each size of cell, so that the loops over its units are unrolled. */
static void *produce(void *argument)
{
  ring_lane *lane = argument;

  switch (lane->run->units) {
  case 4: send_messages(lane, 4); break;
  case 8: send_messages(lane, 8); break;
  case 16: send_messages(lane, 16); break;
  default: send_messages(lane, 32); break;
  }
  return NULL;
}

static void *consume(void *argument)
{
  ring_lane *lane = argument;

  switch (lane->run->units) {
  case 4: receive_answers(lane, 4); break;
  case 8: receive_answers(lane, 8); break;
  case 16: receive_answers(lane, 16); break;
  default: receive_answers(lane, 32); break;
  }
  return NULL;
}

/* Run all lanes. \return false if something went wrong in one. */
static bool run_lanes(ring_run *run, ring_lane *lanes, double seconds, gq_baseline_result *result)
{
  const uint64_t begin = gq_baseline_now();
  uint32_t producers = 0, consumers = 0;
  uint64_t received = 0;
  double elapsed;

  run->end = begin + (uint64_t)(seconds * 1e9);
  while (consumers < run->lanes && pthread_create(&lanes[consumers].consumer, NULL, consume, &lanes[consumers]) == 0)
    consumers++;
  while (producers < consumers && pthread_create(&lanes[producers].producer, NULL, produce, &lanes[producers]) == 0)
    producers++;
  if (producers < run->lanes) {
    gq_baseline_fail(run->gpu, "pthread_create: no more than %u of %u threads", producers + consumers, 2 * run->lanes);
    atomic_store_explicit(&run->failed, true, memory_order_relaxed);
  }
  for (uint32_t l = 0; l < producers; l++) pthread_join(lanes[l].producer, NULL);
  for (uint32_t l = 0; l < consumers; l++) pthread_join(lanes[l].consumer, NULL);
  elapsed = (double)(gq_baseline_now() - begin) * 1e-9;
  if (atomic_load_explicit(&run->failed, memory_order_relaxed)) return false;
  for (uint32_t l = 0; l < run->lanes; l++) received += lanes[l].received;
  result->messages = received;
  result->messages_per_s = (double)received / elapsed;
  return true;
}

/* ----------------------------------------------------------------------------------------------------- the kernel */

/* How many blocks take messages in, and how many work: all must be resident at once. */
static bool choose_blocks(const ring_run *run, gq_cuda_function kernel, uint32_t *ingress, uint32_t *all)
{
  gq_baseline_gpu *gpu = run->gpu;
  const uint32_t warps = GQ_BASELINE_WARPS(run->units), least = (run->lanes + warps - 1) / warps;
  const uint32_t of_64 = run->lanes == 1 ? 16 : INGRESS_WARPS, of_128 = run->lanes == 1 ? 64 : WORK_WARPS;
  uint32_t in = of_64 / warps, work = of_128 / warps;
  int fit = 0;
  gq_cuda_result result =
    gpu->driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(&fit, kernel, (int)(32 * warps), 0);

  if (!gq_baseline_called(gpu, result, "cuOccupancyMaxActiveBlocksPerMultiprocessor")) return false;
  while (in + work > (uint32_t)fit * gpu->multiprocessors && work > 1) {
    in = in > 1 ? in / 2 : 1;
    work /= 2;
  }
  if (in < least || work < least || in + work > (uint32_t)fit * gpu->multiprocessors)
    return gq_baseline_fail(gpu, "threads: %u lanes are too many for this GPU's %u multiprocessors", run->lanes,
                            gpu->multiprocessors);
  *ingress = in;
  *all = in + work;
  return true;
}

static bool launch(ring_run *run, gq_baseline_ring *ring)
{
  gq_baseline_gpu *gpu = run->gpu;
  void *parameters[] = {ring};
  gq_cuda_function kernel;
  gq_cuda_result result;
  uint32_t blocks = 0;
  char name[32];

  snprintf(name, sizeof name, "gq_baseline_ring_%u", run->units);
  if (!gq_baseline_kernel(gpu, name, &kernel)) return false;
  if (!choose_blocks(run, kernel, &ring->ingress_blocks, &blocks)) return false;
  /* Cooperative, so that the driver refuses what would wait for itself. */
  result = gpu->driver.cuLaunchCooperativeKernel(kernel, blocks, 1, 1, 32 * GQ_BASELINE_WARPS(run->units), 1, 1, 0,
                                                 gpu->stream, parameters);
  return gq_baseline_called(gpu, result, "cuLaunchCooperativeKernel");
}

static uint32_t log2_of(uint32_t power)
{
  return (uint32_t)__builtin_ctz(power);
}

bool gq_baseline_stream_ring(const gq_baseline_task *task, gq_baseline_result *result)
{
  gq_baseline_gpu *gpu = task->gpu;
  ring_run run = {.gpu = gpu, .units = gq_baseline_units(task->payload), .lanes = task->threads};
  gq_baseline_ring ring = {.lanes = run.lanes, .life = gpu->life};
  gq_cuda_address submissions, completions, resident, tickets;
  size_t lane_bytes, bytes;
  ring_lane *lanes;
  uint8_t *in, *out;
  bool ok;

  run.cells = LANE_BYTES / (run.units * 16) < MOST_CELLS ? LANE_BYTES / (run.units * 16) : MOST_CELLS;
  ring.units_log2 = log2_of(run.cells) + log2_of(run.units);
  lane_bytes = (size_t)run.cells * run.units * 16;
  bytes = run.lanes * lane_bytes;
  in = gq_baseline_host(gpu, bytes, &submissions);
  out = in ? gq_baseline_host(gpu, bytes, &completions) : NULL;
  if (!out || !gq_baseline_memory(gpu, bytes, &resident)) return false;
  if (!gq_baseline_memory(gpu, run.lanes * GQ_BASELINE_TICKET_BYTES, &tickets)) return false;
  ring.submissions = submissions, ring.completions = completions;
  ring.resident = resident, ring.tickets = tickets;
  lanes = aligned_alloc(128, run.lanes * sizeof *lanes);
  if (!lanes) return gq_baseline_fail(gpu, "no memory for %u lanes", run.lanes);
  memset(lanes, 0, run.lanes * sizeof *lanes);
  for (uint32_t l = 0; l < run.lanes; l++) {
    lanes[l].run = &run;
    atomic_init(&lanes[l].sent, NOT_YET);
    lanes[l].submissions = (gq_vector *)(void *)(in + l * lane_bytes);
    lanes[l].completions = (gq_vector *)(void *)(out + l * lane_bytes);
  }
  ok = launch(&run, &ring) && run_lanes(&run, lanes, task->seconds, result);
  result->bytes_in_per_s = result->bytes_out_per_s = result->messages_per_s * (double)task->payload;
  free(lanes);
  return ok;
}
