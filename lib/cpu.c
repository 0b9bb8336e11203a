/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend: its memory, and its worker threads from start to end. What they do is in cpu_work.c. */
#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

#define STOP_NS 2000000000ull
#define DEFAULT_WORKERS_MAX 16

static gq_status cpu_check(const gq_consumption *c)
{
  (void)c;
  return GQ_OK;
}

static gq_status cpu_kick(gq_backend_state *state)
{
  gq_wake(&state->bell, 1);
  return GQ_OK;
}

static gq_status cpu_health(gq_backend_state *state)
{
  const uint64_t limit = (uint64_t)state->c->stall_ms * 1000000u, now = gq_now();

  for (uint32_t i = 0; limit && i < state->worker_count; i++) {
    const uint64_t since = gq_ld64(&state->workers[i].busy_since, GQ_ACQUIRE, GQ_SYS);

    if (since && now > since && now - since > limit)
      return gq_fail(GQ_DEVICE_LOST, "the handler has been running on message %#llx for more than stall_ms, %u ms",
                     (unsigned long long)gq_ld64(&state->workers[i].busy_id, GQ_RELAXED, GQ_SYS), state->c->stall_ms);
  }
  return GQ_OK;
}

static void cpu_count(gq_backend_state *state, gq_consumed *counters)
{
  for (uint32_t i = 0; i < state->worker_count; i++) {
    const gq_consumed *from = &state->workers[i].counters;

    counters->taken += __atomic_load_n(&from->taken, __ATOMIC_RELAXED);
    counters->finished += __atomic_load_n(&from->finished, __ATOMIC_RELAXED);
    counters->completed += __atomic_load_n(&from->completed, __ATOMIC_RELAXED);
    counters->failed += __atomic_load_n(&from->failed, __ATOMIC_RELAXED);
    counters->cancelled += __atomic_load_n(&from->cancelled, __ATOMIC_RELAXED);
    counters->retried += __atomic_load_n(&from->retried, __ATOMIC_RELAXED);
  }
  counters->parks = gq_ld64(&state->parks, GQ_RELAXED, GQ_SYS);
  counters->relaunches = gq_ld64(&state->relaunches, GQ_RELAXED, GQ_SYS);
}

static void free_state(gq_backend_state *state)
{
  for (uint32_t l = 0; state->sources && l < state->c->lane_count; l++) free(state->sources[l].keys);
  free(state->sources);
  free(state->workers);
  free(state->ring);
  free(state->ring_cells);
  free(state->ring_origins);
  free(state->ring_free);
  free(state);
}

static gq_status cpu_stop(gq_backend_state *state)
{
  struct timespec until;
  uint64_t at;

  gq_st32(&state->stop, 1, GQ_RELEASE, GQ_SYS);
  gq_wake(&state->bell, 0x7fffffff);
  clock_gettime(CLOCK_REALTIME, &until);
  at = (uint64_t)until.tv_sec * 1000000000u + (uint64_t)until.tv_nsec + STOP_NS;
  until.tv_sec = (time_t)(at / 1000000000u);
  until.tv_nsec = (long)(at % 1000000000u);
  while (state->started > 0) {
    if (pthread_timedjoin_np(state->workers[state->started - 1].thread, NULL, &until) != 0)
      return gq_fail(GQ_DEVICE_LOST, "a handler is still running; its thread and the queue's memory are left behind");
    state->started--;
  }
  free_state(state);
  return GQ_OK;
}

static void *zeroed(size_t bytes)
{
  void *p = aligned_alloc(128, (bytes + 127) / 128 * 128);

  if (p) memset(p, 0, bytes);
  return p;
}

static gq_status allocate(gq_backend_state *state, const gq_consumption *c)
{
  const size_t entries = (size_t)1 << RING_LOG2;

  state->c = c;
  state->worker_count = c->workers;
  if (state->worker_count == 0) {
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    state->worker_count = cpus < 1 ? 1 : cpus > DEFAULT_WORKERS_MAX ? DEFAULT_WORKERS_MAX : (uint32_t)cpus;
  }
  state->workers = zeroed(state->worker_count * sizeof *state->workers);
  state->sources = zeroed(c->lane_count * sizeof *state->sources);
  state->ring = zeroed(sizeof *state->ring);
  state->ring_cells = zeroed(entries * c->limits.units * sizeof(gq_unit));
  state->ring_origins = zeroed(entries * 2 * sizeof(gq_unit));
  state->ring_free = zeroed(entries * sizeof(gq_a32));
  if (!state->workers || !state->sources || !state->ring || !state->ring_cells || !state->ring_origins ||
      !state->ring_free)
    return gq_fail(GQ_NO_MEMORY, "no memory for %u workers", state->worker_count);
  for (uint32_t l = 0; l < c->lane_count; l++) {
    state->sources[l].keys = calloc(c->lanes[l].ring_mask + 1, sizeof(gq_key_word));
    if (!state->sources[l].keys) return gq_fail(GQ_NO_MEMORY, "no memory for a lane's key order");
  }
  return GQ_OK;
}

static gq_status cpu_start(gq_backend_state **out, const gq_consumption *c, char *text, size_t size)
{
  gq_backend_state *state = zeroed(sizeof *state);
  gq_status status;

  if (!state) return gq_fail(GQ_NO_MEMORY, "no memory for the CPU backend");
  status = allocate(state, c);
  if (status != GQ_OK) {
    free_state(state);
    return status;
  }
  gq_st32(&state->awake, state->worker_count, GQ_RELAXED, GQ_GPU);
  for (; state->started < state->worker_count; state->started++) {
    worker *w = &state->workers[state->started];
    int error;

    w->state = state;
    error = gq_start_thread(&w->thread, gq_cpu_work, w);
    if (error) {
      char reason[128];

      snprintf(reason, sizeof reason, "%s", strerror(error));
      status = gq_fail(GQ_SYSTEM, "worker thread %u of %u: %s", state->started + 1, state->worker_count, reason);
      cpu_stop(state);
      return gq_fail(status, "a worker thread: %s", reason);
    }
  }
  snprintf(text, size, "cpu: %u thread%s", state->worker_count, state->worker_count == 1 ? "" : "s");
  *out = state;
  return GQ_OK;
}

const gq_backend_ops gq_cpu_backend = {cpu_check, cpu_start, cpu_kick, cpu_health, cpu_count, cpu_stop};
