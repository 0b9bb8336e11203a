/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, draining and ending a queue. */
#include "lane_path.h"
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "info.h"
#include "loader.h"
#include "options.h"

#define SMALLEST_RING_LOG2 7u /* the device fetches ring cells in windows: see cuda/ingress.cuh */
#define SMALLEST_ARENA (16ull << 20)
#define USUAL_CELL 128u
#define LARGEST_CELL 512u

const char *gq_version(void)
{
  return GQ_VERSION;
}

/* ------------------------------------------------------------------------------------------------ opening */

static uint64_t power_of_two(uint64_t at_least)
{
  uint64_t p = 1;

  while (p < at_least) p <<= 1;
  return p;
}

/* Where the user leaves it open: the smallest cell from the usual one on that takes every message and every result, so
 * that none needs a slot; the usual one where there are messages that no cell takes. */
static uint32_t choose_cell(const gq_lane_shape *shape)
{
  const uint64_t most = shape->max_message_bytes > shape->max_result_bytes ? shape->max_message_bytes
                                                                           : shape->max_result_bytes;

  for (uint32_t bytes = USUAL_CELL; bytes <= LARGEST_CELL; bytes *= 2)
    if (most <= gq_inline_bytes(bytes / 16, shape->unit_bytes, 0)) return bytes;
  return USUAL_CELL;
}

static gq_status choose_shape(gq_lane_shape *shape, gq_consumption *c, const gq_options *o)
{
  const gq_declaration *h = c->handler->declared;
  uint64_t need;

  memset(shape, 0, sizeof *shape);
  shape->capacity = o->capacity;
  shape->unit_bytes = gq_host_unit_bytes();
  shape->ring_log2 = SMALLEST_RING_LOG2;
  while ((1u << shape->ring_log2) < o->capacity) shape->ring_log2++;
  shape->max_message_bytes = o->max_message_bytes;
  shape->max_result_bytes = o->max_result_bytes ? o->max_result_bytes
                                                : h->multiplier * o->max_message_bytes + h->constant;
  if (shape->max_result_bytes > GQ_MOST_RESULT) shape->max_result_bytes = GQ_MOST_RESULT;
  shape->cell_bytes = o->cell_bytes ? o->cell_bytes : choose_cell(shape);
  if (shape->unit_bytes == 8 && shape->cell_bytes == 64) shape->cell_bytes = 128; /* head and extension need 72 */
  shape->handler_multiplier = h->multiplier;
  shape->handler_constant = h->constant;
  need = gq_arena_rounded(shape->max_message_bytes) + gq_arena_rounded(shape->max_result_bytes);
  shape->arena_bytes = power_of_two(2 * need > SMALLEST_ARENA ? 2 * need : SMALLEST_ARENA);
  if (o->arena_bytes) {
    shape->arena_bytes = power_of_two(o->arena_bytes);
    if (shape->arena_bytes < power_of_two(need))
      return gq_fail(GQ_INVALID, "arena_bytes: %llu does not hold the largest message with its result: at least %llu",
                     (unsigned long long)o->arena_bytes, (unsigned long long)power_of_two(need));
  }
  c->limits.units = shape->cell_bytes / 16;
  c->limits.unit_bytes = shape->unit_bytes;
  c->limits.ring_log2 = shape->ring_log2;
  c->limits.attempts = o->attempts;
  c->limits.max_message_bytes = shape->max_message_bytes;
  c->limits.max_result_bytes = shape->max_result_bytes;
  c->limits.arena_bytes = shape->arena_bytes;
  c->limits.ordered = o->ordered != 0;
  c->limits.handler = c->handler->id;
  return GQ_OK;
}

static gq_status choose_backend(gq_core *core, const gq_options *o, char *why_not, size_t size)
{
  why_not[0] = '\0';
  if (o->backend != GQ_BACKEND_CPU) {
    const gq_status status = gq_cuda_backend.check(&core->consumption);

    core->backend = &gq_cuda_backend;
    core->running = GQ_BACKEND_CUDA;
    if (status == GQ_OK || o->backend == GQ_BACKEND_CUDA) return status;
    snprintf(why_not, size, "%s", gq_last_error());
  }
  core->backend = &gq_cpu_backend;
  core->running = GQ_BACKEND_CPU;
  return core->backend->check(&core->consumption);
}

static gq_status make_lanes(gq_core *core, const gq_lane_shape *shape, uint32_t count)
{
  core->lanes = aligned_alloc(_Alignof(gq_lane), count * sizeof *core->lanes);
  core->handles = calloc(count, sizeof *core->handles);
  if (!core->lanes || !core->handles) return gq_fail(GQ_NO_MEMORY, "no memory for %u lanes", count);
  while (core->lane_count < count) {
    const gq_status status = gq_lane_create(&core->lanes[core->lane_count], core->lane_count, shape);

    if (status != GQ_OK) return status;
    core->handles[core->lane_count].core = core;
    core->handles[core->lane_count].lane = &core->lanes[core->lane_count];
    core->lane_count++;
  }
  return GQ_OK;
}

static void free_core(gq_core *core)
{
  for (uint32_t i = 0; i < core->lane_count; i++) gq_lane_destroy(&core->lanes[i]);
  free(core->lanes);
  free(core->handles);
  gq_supplies_free(&core->consumption.supplies);
  gq_loader_free(core->loaded);
  pthread_mutex_destroy(&core->lock);
  free(core);
}

/* Start the backend that was chosen, with lanes if there are none. */
static gq_status start_backend(gq_core *core, const gq_lane_shape *shape, const gq_options *o, char *text, size_t size)
{
  gq_status status = core->lanes ? GQ_OK : make_lanes(core, shape, o->lanes);

  if (status != GQ_OK) return status;
  core->consumption.lanes = core->lanes;
  core->consumption.lane_count = core->lane_count;
  status = core->backend->start(&core->state, &core->consumption, text, size);
  if (status != GQ_DEVICE_LOST) return status;
  core->lanes = NULL; /* they were left to a kernel that may start yet */
  core->handles = NULL;
  core->lane_count = 0;
  return GQ_NO_BACKEND;
}

static gq_status start(gq_core *core, const gq_options *o)
{
  char text[512], why_not[400];
  gq_lane_shape shape;
  gq_status status;

  core->default_timeout_ns = o->timeout_ms < 0 ? -1 : o->timeout_ms * 1000000;
  core->consumption.device = o->device;
  core->consumption.sms = o->sms;
  core->consumption.workers = o->workers;
  core->consumption.park_us = o->park_us;
  core->consumption.stall_ms = o->stall_ms;
  core->consumption.guard = o->guard;
  status = gq_loader_find(&core->loaded, o);
  if (status != GQ_OK) return status;
  status = choose_backend(core, o, why_not, sizeof why_not);
  if (status != GQ_OK) return status;
  status = gq_prepare_handler(core, o, why_not, sizeof why_not);
  if (status != GQ_OK) return status;
  status = choose_shape(&shape, &core->consumption, o);
  if (status != GQ_OK) return status;
  status = start_backend(core, &shape, o, text, sizeof text);
  if (status != GQ_OK && status != GQ_FAILED && status != GQ_TIMEOUT && o->backend == GQ_BACKEND_AUTO &&
      core->running == GQ_BACKEND_CUDA) {
    snprintf(why_not, sizeof why_not, "%s", gq_last_error());
    core->backend = &gq_cpu_backend;
    core->running = GQ_BACKEND_CPU;
    status = gq_prepare_handler(core, o, why_not, sizeof why_not);
    if (status == GQ_OK) status = start_backend(core, &shape, o, text, sizeof text);
  }
  if (status != GQ_OK) return status;
  if (core->running == GQ_BACKEND_CUDA) gq_supplies_free(&core->consumption.supplies); /* they are on the device */
  snprintf(core->text, sizeof core->text, "%s%s%s%s", text, *why_not ? " (no cuda: " : "", why_not,
           *why_not ? ")" : "");
  gq_describe_handler(core);
  return GQ_OK;
}

gq_status gq_init(gq_queue **queue, const gq_options *options)
{
  gq_core *core;
  gq_options o;
  gq_status status;

  if (!queue) return gq_fail(GQ_INVALID, "gq_init: queue is NULL");
  status = gq_options_complete(&o, options);
  if (status != GQ_OK) return status;
  core = aligned_alloc(128, (sizeof *core + 127) / 128 * 128);
  if (!core) return gq_fail(GQ_NO_MEMORY, "no memory for a queue");
  memset(core, 0, sizeof *core);
  pthread_mutex_init(&core->lock, NULL);
  status = start(core, &o);
  if (status != GQ_OK) {
    if (status != GQ_TIMEOUT) free_core(core); /* else the handler's init is still using it */
    return status;
  }
  core->handles[0].open = true;
  *queue = &core->handles[0];
  return GQ_OK;
}

/* Throw away the results of a lane whose messages have all finished, also those that were given out and not released,
 * and take back what was reserved. \return false if somebody is just taking some: try again later. */
static bool discard_results(gq_core *core, gq_lane *lane)
{
  const uint64_t end = gq_ld64(&lane->head->claimed, GQ_ACQUIRE, GQ_SYS);
  uint64_t p = end > lane->ring_mask ? end - lane->ring_mask - 1 : 0, position;
  gq_finished f;

  /* As a poller while there are any, so that the lane's next client may poll as one who is alone. */
  while (gq_lane_take_next(lane, &position, 1) > 0) {
    gq_lane_slots(lane, position, &f);
    gq_lane_release(lane, position, &f);
    gq_count(core, GQ_RESULTS_TAKEN, 1);
  }
  for (; p < end; p++) {
    const gq_standing standing = gq_lane_standing(lane, p);

    if (standing == GQ_STANDING_UNKNOWN) continue;
    if (standing == GQ_STANDING_LIVE) { /* its entry in the completion order has not come yet */
      if (!gq_lane_allow_ids(lane)) return false;
      if (!gq_lane_take(lane, p)) continue;
      gq_count(core, GQ_RESULTS_TAKEN, 1);
    }
    gq_lane_slots(lane, p, &f);
    gq_lane_release(lane, p, &f);
  }
  gq_arena_clear(&lane->arena);
  return true;
}

/* Whether a lane that was given up on has got rid of its messages. The caller holds the core's lock. */
static bool is_free_again(gq_core *core, gq_queue *handle)
{
  if (!handle->given_up || gq_lane_drain(core, handle->lane, 0, GQ_THROUGH_END) != GQ_OK) return false;
  if (!discard_results(core, handle->lane)) return false;
  handle->given_up = handle->open = false;
  return true;
}

gq_status gq_open_lane(gq_queue *queue, gq_queue **lane)
{
  gq_status status = gq_handle_usable(queue);
  gq_core *core;

  if (status != GQ_OK) return status;
  if (!lane) return gq_fail(GQ_INVALID, "gq_open_lane: lane is NULL");
  core = queue->core;
  pthread_mutex_lock(&core->lock);
  status = GQ_FULL;
  for (uint32_t i = 1; i < core->lane_count && status != GQ_OK; i++) {
    gq_queue *handle = &core->handles[i];

    if (handle->open && !is_free_again(core, handle)) continue;
    handle->open = true;
    __atomic_store_n(&handle->lane->closed, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&handle->lane->ended, 0, __ATOMIC_RELEASE);
    *lane = handle;
    status = GQ_OK;
  }
  pthread_mutex_unlock(&core->lock);
  return status == GQ_OK ? GQ_OK : gq_fail(GQ_FULL, "all %u lanes of the queue are open (option lanes)",
                                           core->lane_count);
}

/* ----------------------------------------------------------------------------------------------- watching */

const char *gq_describe(const gq_queue *queue)
{
  return queue->core->text;
}

gq_backend gq_running_backend(const gq_queue *queue)
{
  return queue->core->running;
}

gq_output gq_handler_output(const gq_queue *queue)
{
  return queue->core->consumption.handler->declared->info.output;
}

int gq_event_fd(gq_queue *queue)
{
  int fd = -1;

  if (!queue) {
    gq_fail(GQ_INVALID, "gq_event_fd: queue is NULL");
    return -1;
  }
  return gq_watch_start(queue, &fd) == GQ_OK ? fd : -1;
}

/* ------------------------------------------------------------------------------------------------- ending */

gq_status gq_lane_drain(gq_core *core, gq_lane *lane, int64_t timeout_ns, enum gq_until until)
{
  const uint64_t end = gq_ld64(&lane->head->claimed, GQ_ACQUIRE, GQ_SYS);
  uint64_t p = end > lane->ring_mask ? end - lane->ring_mask - 1 : 0;
  gq_status status = GQ_OK;
  gq_waiting w;

  gq_wait_begin(&w, core, timeout_ns);
  while (p < end && status == GQ_OK) {
    const bool unfinished = gq_lane_standing(lane, p) == GQ_STANDING_LIVE && !gq_lane_is_completed(lane, p) &&
                            gq_lane_standing(lane, p) == GQ_STANDING_LIVE;

    if (unfinished) status = gq_wait_turn(&w, core, lane, until);
    else p++;
  }
  gq_wait_end(&w, lane);
  return status;
}

gq_status gq_drain(gq_queue *queue, int64_t timeout_ns)
{
  if (!queue) return gq_fail(GQ_INVALID, "the queue's handle is NULL");
  return gq_lane_drain(queue->core, queue->lane, timeout_ns, GQ_UNTIL_ENDED);
}

void gq_close(gq_queue *queue)
{
  if (queue) __atomic_store_n(&queue->core->closed, 1, __ATOMIC_RELEASE);
}

/* Wait for calls that wait on a lane that has ended: each leaves within 1 ms. */
static void wait_for_waiters(gq_lane *lane)
{
  const struct timespec nap = {0, 100000};

  gq_wake_all(&lane->head->for_results);
  gq_wake_all(&lane->head->for_room);
  while (__atomic_load_n(&lane->waiters, __ATOMIC_ACQUIRE)) nanosleep(&nap, NULL);
}

/* Give a closed lane back: wait for its messages, throw their results away. */
static gq_status close_lane(gq_queue *queue, int64_t timeout_ns)
{
  gq_core *core = queue->core;
  gq_lane *lane = queue->lane;
  gq_status status;
  bool is_free;

  __atomic_store_n(&lane->closed, 1, __ATOMIC_RELEASE);
  status = gq_lane_drain(core, lane, timeout_ns, GQ_THROUGH_END);
  __atomic_store_n(&lane->ended, 1, __ATOMIC_RELEASE);
  gq_watch_stop(queue->watch);
  queue->watch = NULL;
  wait_for_waiters(lane);
  is_free = status == GQ_OK && discard_results(core, lane); /* else somebody is still at its messages */
  pthread_mutex_lock(&core->lock);
  queue->open = queue->given_up = !is_free;
  pthread_mutex_unlock(&core->lock);
  return status;
}


gq_status gq_shutdown(gq_queue *queue, int64_t timeout_ns)
{
  gq_core *core;
  gq_status status = GQ_OK, stopped;
  uint64_t begin = gq_now();

  if (!queue) return GQ_OK;
  core = queue->core;
  if (timeout_ns == GQ_DEFAULT_TIMEOUT) timeout_ns = core->default_timeout_ns;
  if (queue != &core->handles[0]) return close_lane(queue, timeout_ns);
  gq_close(queue);
  for (uint32_t i = 0; i < core->lane_count && (status == GQ_OK || status == GQ_TIMEOUT); i++) {
    int64_t left = timeout_ns;

    if (timeout_ns > 0) {
      const uint64_t spent = gq_now() - begin;

      left = spent < (uint64_t)timeout_ns ? timeout_ns - (int64_t)spent : 0;
    }
    stopped = gq_lane_drain(core, &core->lanes[i], left, GQ_THROUGH_END);
    if (stopped != GQ_OK) status = stopped;
  }
  __atomic_store_n(&core->ended, 1, __ATOMIC_RELEASE);
  for (uint32_t i = 0; i < core->lane_count; i++) gq_watch_stop(core->handles[i].watch);
  for (uint32_t i = 0; i < core->lane_count; i++) wait_for_waiters(&core->lanes[i]); /* they use the backend */
  stopped = core->backend->stop(core->state);
  if (stopped != GQ_OK) return stopped; /* the consumer may still write to the lanes: they stay mapped */
  free_core(core);
  return status;
}
