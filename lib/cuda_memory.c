/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend's memory: one piece on the device, some pages of mapped host memory, and the lanes. */
#include "cuda_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

gq_status gq_cuda_failed(const gq_cuda_driver *d, gq_status status, gq_cuda_result error, const char *what)
{
  char text[256];

  return gq_fail(status, "%s: %s", what, gq_cuda_error_text(d, error, text, sizeof text));
}

static uint64_t carve(uint64_t *at, uint64_t bytes)
{
  const uint64_t here = (*at + 255) / 256 * 256;

  *at = here + bytes;
  return here;
}

/* Lay device memory out from `base`; with base 0 only its size is found. The mirrors come last. */
static uint64_t lay_out(gq_backend_state *s, uint64_t base)
{
  gq_dev_queue *q = &s->queue;
  const uint64_t entries = 1ull << q->ring_log2, cells = 1ull << q->limits.ring_log2;
  const gq_supplies *supplies = &s->c->supplies;
  uint64_t at = base, of_lane = 0;

  q->shared = carve(&at, sizeof(gq_dev_shared));
  q->ring_cells = carve(&at, entries * q->limits.units * sizeof(gq_unit));
  q->ring_origins = carve(&at, entries * sizeof(gq_unit));
  q->ring_free = carve(&at, entries * sizeof(gq_a32));
  q->cursors = carve(&at, (uint64_t)q->lane_count * q->warps_per_lane * sizeof(gq_cursor));
  q->map.ended = carve(&of_lane, sizeof(gq_a64));
  q->map.front = carve(&of_lane, sizeof(gq_front));
  q->map.keys = carve(&of_lane, cells * sizeof(gq_key_word));
  q->map.stride = (of_lane + 255) / 256 * 256;
  q->args = carve(&at, supplies->args.size);
  q->state = supplies->state ? carve(&at, supplies->state_bytes) : 0;
  q->scratch = carve(&at, s->groups * q->scratch_stride);
  q->map.device = carve(&at, q->lane_count * q->map.stride);
  q->map.mirrors = carve(&at, q->lane_count * q->limits.arena_bytes);
  return at - base;
}

/* The handler's arguments, with the addresses that they have on the device, and what was given of its state. */
static gq_cuda_result fill_supplies(gq_backend_state *s)
{
  const gq_supplies *supplies = &s->c->supplies;
  uint8_t *args = malloc(supplies->args.size);
  gq_cuda_result error = GQ_CUDA_OUT_OF_MEMORY;

  if (!args) return error;
  memcpy(args, supplies->args.bytes, supplies->args.size);
  gq_args_rebase(s->c->handler->declared, args, s->queue.args);
  error = s->d->cuMemcpyHtoDAsync(s->queue.args, args, supplies->args.size, s->stream);
  if (!error && supplies->given_bytes)
    error = s->d->cuMemcpyHtoDAsync(s->queue.state, supplies->state, supplies->given_bytes, s->stream);
  if (!error) error = s->d->cuStreamSynchronize(s->stream);
  free(args);
  return error;
}

static gq_status register_lane(gq_backend_state *s, gq_lane *lane, uint64_t *base)
{
  const gq_cuda_driver *d = s->d;
  const gq_lane_head *h = lane->head;
  gq_cuda_address address;
  gq_cuda_result error = d->cuMemHostRegister(lane->head, h->total_bytes,
                                              GQ_CUDA_MEMHOSTREGISTER_PORTABLE | GQ_CUDA_MEMHOSTREGISTER_DEVICEMAP);

  if (error) return gq_cuda_failed(d, GQ_NO_MEMORY, error, "registering a lane's memory with the driver");
  s->registered++;
  error = d->cuMemHostGetDevicePointer(&address, lane->head, 0);
  if (error) return gq_cuda_failed(d, GQ_NO_BACKEND, error, "cuMemHostGetDevicePointer");
  *base = address;
  s->queue.map.submissions = h->submissions; /* the same for every lane */
  s->queue.map.completions = h->completions;
  s->queue.map.endings = h->endings;
  s->queue.map.stamps = h->start_stamps;
  s->queue.map.parked = offsetof(gq_lane_head, parked);
  s->queue.map.arena = h->arena;
  return GQ_OK;
}

/* Fill device memory: zero, but for the lanes' addresses, and the cursors: warp k of a lane begins with chunk k. */
static gq_cuda_result fill_memory(gq_backend_state *s, const uint64_t *bases)
{
  const gq_cuda_driver *d = s->d;
  const gq_dev_queue *q = &s->queue;
  const size_t cursors = (size_t)q->lane_count * q->warps_per_lane;
  const uint64_t mirrors = q->lane_count * q->limits.arena_bytes;
  gq_cursor *first = calloc(cursors, sizeof *first);
  gq_cuda_result error = GQ_CUDA_OUT_OF_MEMORY;
  gq_cuda_address constant;
  size_t size;

  if (!first) return error;
  for (size_t i = 0; i < cursors; i++) first[i].chunk = i % q->warps_per_lane;
  error = d->cuMemsetD8Async(s->memory, 0, s->memory_bytes - mirrors, s->stream);
  if (!error) error = d->cuModuleGetGlobal(&constant, &size, s->module, "gq_lane_bases");
  if (!error) error = d->cuMemcpyHtoDAsync(constant, bases, q->lane_count * sizeof *bases, s->stream);
  if (!error) error = d->cuMemcpyHtoDAsync(q->cursors, first, cursors * sizeof *first, s->stream);
  if (!error) error = d->cuStreamSynchronize(s->stream);
  if (!error) error = fill_supplies(s);
  free(first);
  return error;
}

/* The control page with the notes of what warps have begun. */
static gq_status map_control(gq_backend_state *s)
{
  const gq_cuda_driver *d = s->d;
  size_t bytes = sizeof *s->control;
  gq_cuda_address control = 0;
  gq_cuda_result error;

  s->begun.warps = s->blocks * s->threads / 32;
  s->begun.sightings = calloc(s->begun.warps, sizeof *s->begun.sightings);
  if (!s->begun.sightings) return gq_fail(GQ_NO_MEMORY, "no memory to watch %u warps", s->begun.warps);
  bytes += gq_begun_bytes(s->begun.warps);
  error = d->cuMemHostAlloc((void **)&s->control, bytes,
                            GQ_CUDA_MEMHOSTALLOC_PORTABLE | GQ_CUDA_MEMHOSTALLOC_DEVICEMAP);
  if (!error) {
    memset(s->control, 0, bytes);
    error = d->cuMemHostGetDevicePointer(&control, s->control, 0);
  }
  if (error) return gq_cuda_failed(d, GQ_NO_MEMORY, error, "a few pages of mapped host memory");
  s->queue.control = control;
  s->queue.begun = control + sizeof *s->control;
  s->begun.notes = (const gq_unit *)(const void *)(s->control + 1);
  return GQ_OK;
}

gq_status gq_cuda_prepare_memory(gq_backend_state *s)
{
  const gq_cuda_driver *d = s->d;
  uint64_t *bases = calloc(s->queue.lane_count, sizeof *bases);
  gq_cuda_result error;
  gq_status status;

  if (!bases) return gq_fail(GQ_NO_MEMORY, "no memory for %u lanes", s->queue.lane_count);
  status = map_control(s);
  for (uint32_t i = 0; i < s->queue.lane_count && status == GQ_OK; i++)
    status = register_lane(s, &s->c->lanes[i], &bases[i]);
  if (status != GQ_OK) goto free_bases;
  s->memory_bytes = lay_out(s, 0) + 256;
  error = d->cuMemAlloc(&s->memory, s->memory_bytes);
  if (error) {
    char what[256];

    snprintf(what, sizeof what, "%llu bytes of device memory (options arena_bytes, lanes, capacity, state; the "
             "handler's scratch memory)",
             (unsigned long long)s->memory_bytes);
    status = gq_cuda_failed(d, GQ_NO_MEMORY, error, what);
    goto free_bases;
  }
  lay_out(s, s->memory);
  error = fill_memory(s, bases);
  if (error) status = gq_cuda_failed(d, GQ_NO_BACKEND, error, "preparing device memory");
free_bases:
  free(bases);
  return status;
}
