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
  const uint32_t crashed = gq_ld32(&state->crashed, GQ_ACQUIRE, GQ_SYS); /* [W2] */
  gq_status status = GQ_OK;
  uint32_t idle = 0;

  if (crashed) {
    char how[128];

    gq_crash_say(&state->workers[crashed - 1].crash, how, sizeof how);
    return gq_fail(GQ_DEVICE_LOST, "%s", how);
  }
  if (!limit || !gq_cas32(&state->watching, &idle, 1, GQ_ACQUIRE)) return GQ_OK; /* [W1] */
  for (uint32_t i = 0; i < state->worker_count; i++) {
    worker *w = &state->workers[i];
    const uint64_t ns = gq_sight(&w->sighting, gq_ld64(&w->busy_id, GQ_RELAXED, GQ_SYS), now);

    if (ns > limit)
      status = gq_fail(GQ_DEVICE_LOST, "it has not come back for %.0f ms; the limit is stall_ms, %u ms",
                       (double)ns * 1e-6, state->c->stall_ms);
  }
  gq_st32(&state->watching, 0, GQ_RELEASE, GQ_SYS); /* [W1] release: licenses the next to use the sightings */
  return status;
}

/* The one whose handler crashed, or those that have run for too long. */
static void cpu_suspect(gq_backend_state *state, gq_suspects *suspects)
{
  const uint64_t limit = (uint64_t)state->c->stall_ms * 1000000u, now = gq_now();
  const uint32_t crashed = gq_ld32(&state->crashed, GQ_ACQUIRE, GQ_SYS);
  uint32_t idle = 0;

  for (; !gq_cas32(&state->watching, &idle, 1, GQ_ACQUIRE); idle = 0) gq_pause(); /* [W1] */
  for (uint32_t i = 0; i < state->worker_count; i++) {
    const worker *w = &state->workers[i];
    const uint64_t id = gq_ld64(&w->busy_id, GQ_RELAXED, GQ_SYS);

    if (crashed ? i + 1 == crashed : id && id == w->sighting.id && now - w->sighting.since > limit)
      gq_suspect(suspects, state->c->lanes, state->c->lane_count, id, 1);
  }
  gq_st32(&state->watching, 0, GQ_RELEASE, GQ_SYS);
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
  counters->host_bytes = gq_supplies_host_bytes(&state->c->supplies) + state->scratch_bytes;
  counters->parks = gq_ld64(&state->parks, GQ_RELAXED, GQ_SYS);
  counters->relaunches = gq_ld64(&state->relaunches, GQ_RELAXED, GQ_SYS);
}

static void free_state(gq_backend_state *state)
{
  for (uint32_t l = 0; state->sources && l < state->c->lane_count; l++) free(state->sources[l].keys);
  if (state->guard_stacks) gq_guard_remove();
  free(state->guard_stacks);
  free(state->sources);
  free(state->workers);
  free(state->scratch);
  free(state->ring);
  free(state->ring_cells);
  free(state->ring_origins);
  free(state->ring_free);
  free(state);
}

/* The time of day that pthread_timedjoin_np() wants. */
static void deadline_in(struct timespec *until, uint64_t ns)
{
  uint64_t at;

  clock_gettime(CLOCK_REALTIME, until);
  at = (uint64_t)until->tv_sec * 1000000000u + (uint64_t)until->tv_nsec + ns;
  until->tv_sec = (time_t)(at / 1000000000u);
  until->tv_nsec = (long)(at % 1000000000u);
}

static gq_status cpu_stop(gq_backend_state *state)
{
  struct timespec until;
  uint32_t left = 0;

  gq_st32(&state->stop, 1, GQ_RELEASE, GQ_SYS);
  gq_wake(&state->bell, 0x7fffffff);
  deadline_in(&until, STOP_NS);
  for (uint32_t i = 0; i < state->started; i++) {
    if (pthread_timedjoin_np(state->workers[i].thread, NULL, &until) == 0) continue;
    pthread_detach(state->workers[i].thread);
    left++;
  }
  if (left)
    return gq_fail(GQ_DEVICE_LOST, "%u handler%s still running; %s and the queue's memory are left behind", left,
                   left == 1 ? " is" : "s are", left == 1 ? "its thread" : "their threads");
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
  if (c->guard) {
    state->guard_stacks = malloc((size_t)state->worker_count * GQ_GUARD_STACK_BYTES);
    if (!state->guard_stacks)
      return gq_fail(GQ_NO_MEMORY, "no memory for the guards of %u workers", state->worker_count);
    gq_guard_install();
  }
  return GQ_OK;
}

/* What the messages of each worker run in. */
static gq_status prepare_contexts(gq_backend_state *state)
{
  const gq_supplies *s = &state->c->supplies;
  const uint64_t each = ((uint64_t)s->scratch_bytes + s->shared_bytes + 127) / 128 * 128;

  state->scratch_bytes = each * state->worker_count;
  state->scratch = each ? aligned_alloc(128, state->scratch_bytes) : NULL;
  if (each && !state->scratch)
    return gq_fail(GQ_NO_MEMORY, "no memory for %u workers with %llu bytes of scratch memory each", state->worker_count,
                   (unsigned long long)each);
  gq_args_rebase(state->c->handler->declared, s->args.bytes, (uint64_t)(uintptr_t)s->args.bytes);
  for (uint32_t i = 0; i < state->worker_count; i++) {
    gq_context *context = &state->workers[i].context;

    context->ranks = 1;
    context->scope = state->c->scope;
    context->args = s->args.bytes;
    context->state = s->state;
    context->state_bytes = s->state_bytes;
    context->scratch_bytes = s->scratch_bytes;
    context->shared_bytes = s->shared_bytes;
    if (s->scratch_bytes) context->scratch = state->scratch + i * each;
    if (s->shared_bytes) context->shared = state->scratch + i * each + s->scratch_bytes;
  }
  return GQ_OK;
}

static void *run_init(void *argument)
{
  gq_backend_state *state = argument;

  state->init_code = state->c->handler->init(&state->workers[0].context);
  return NULL;
}

/* Run the handler's init, for up to stall_ms: in a thread of its own, which can be left behind. */
static gq_status init_handler(gq_backend_state *state)
{
  const uint64_t limit = (uint64_t)state->c->stall_ms * 1000000u;
  const gq_declaration *declared = state->c->handler->declared;
  struct timespec until = {0, 0};
  char reason[128];
  pthread_t thread;
  int error;

  if (!state->c->handler->init) return GQ_OK;
  error = gq_start_thread(&thread, run_init, state);
  if (error) return gq_fail(GQ_SYSTEM, "a thread for the handler's init: %s", strerror_r(error, reason, sizeof reason));
  deadline_in(&until, limit);
  if (!limit) {
    pthread_join(thread, NULL);
  } else if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
    pthread_detach(thread);
    return gq_init_stalled(declared, state->c->stall_ms);
  }
  return state->init_code ? gq_init_refused(declared, state->init_code) : GQ_OK;
}

static gq_status cpu_start(gq_backend_state **out, const gq_consumption *c, char *text, size_t size)
{
  gq_backend_state *state = zeroed(sizeof *state);
  gq_status status;

  if (!state) return gq_fail(GQ_NO_MEMORY, "no memory for the CPU backend");
  status = allocate(state, c);
  if (status == GQ_OK) status = prepare_contexts(state);
  if (status == GQ_OK) status = init_handler(state);
  if (status != GQ_OK) {
    if (status != GQ_TIMEOUT) free_state(state); /* else the init is still using it */
    return status;
  }
  gq_st32(&state->awake, state->worker_count, GQ_RELAXED, GQ_GPU);
  for (; state->started < state->worker_count; state->started++) {
    worker *w = &state->workers[state->started];
    int error;

    w->state = state;
    if (state->guard_stacks) w->guard_stack = state->guard_stacks + (size_t)state->started * GQ_GUARD_STACK_BYTES;
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

const gq_backend_ops gq_cpu_backend = {cpu_check, cpu_start, cpu_kick, cpu_health, cpu_suspect, cpu_count, cpu_stop};
