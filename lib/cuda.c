/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend's host half: it prepares device memory, launches the resident kernel and launches it again when it
 * has parked. Everything that CUDA has to do is done before the kernel is resident: while it runs, the only calls are
 * launches, stream queries and context switches, which do not wait for it (doc/architecture.md has the table). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda_backend.h"
#include "error.h"
#include "info.h"

#define HELLO_NS 10000000000ull  /* how long a launched kernel may take to say hello */
#define STOP_NS 2000000000ull
#define ANSWER_NS 50000000ull    /* how long the kernel may take to answer for counters */
#define LEAVING_TURNS 1024u      /* looks at a kernel that is leaving between two questions to its stream */

/* Make the queue's context current on this thread, and give the thread's own back after. */
static bool enter(gq_backend_state *s)
{
  return s->d->cuCtxPushCurrent(s->context) == GQ_CUDA_SUCCESS;
}

static void leave(gq_backend_state *s)
{
  gq_cuda_context dropped;

  s->d->cuCtxPopCurrent(&dropped);
}

/* What the device has become for this process: CUDA offers no way back from a fault, and a new context waits for a
 * kernel that does not end. Atomic. */
static uint32_t faulted, stuck_kernels;

void gq_cuda_note_fault(void)
{
  __atomic_store_n(&faulted, 1, __ATOMIC_RELEASE);
}

static gq_status cuda_check(const gq_consumption *c)
{
  const gq_cuda_driver *driver;
  gq_device_info info;
  gq_status status = gq_cuda_driver_load(&driver);

  if (__atomic_load_n(&faulted, __ATOMIC_ACQUIRE))
    return gq_fail(GQ_NO_BACKEND, "an earlier queue of this process lost the GPU to a fault; CUDA works again in a new "
                                  "process only");
  if (__atomic_load_n(&stuck_kernels, __ATOMIC_ACQUIRE))
    return gq_fail(GQ_NO_BACKEND, "a handler of another queue of this process is stuck on the GPU, and a further queue "
                                  "would wait for it");
  info.size = sizeof info;
  return status == GQ_OK ? gq_cuda_check_device(driver, c->device, &info) : status;
}

/* ------------------------------------------------------------------------------------------------ the kernel */

static void set_parked(const gq_consumption *c, uint32_t parked)
{
  for (uint32_t i = 0; i < c->lane_count; i++)
    gq_st32(&c->lanes[i].head->parked, parked, GQ_RELEASE, GQ_SYS);
}

/* Launch the kernel; the caller holds `launching`, or is alone, and has entered the context. */
static gq_status launch(gq_backend_state *s)
{
  void *parameters[] = {&s->queue};
  gq_cuda_result error;

  s->queue.epoch++;
  s->launched = s->beat_seen = gq_now();
  set_parked(s->c, 0); /* before the launch: a message enqueued from here on will be looked for */
  error = s->d->cuLaunchCooperativeKernel(s->kernel, s->blocks, 1, 1, s->threads, 1, 1, s->shared_bytes, s->stream,
                                          parameters);
  if (error == GQ_CUDA_SUCCESS) return GQ_OK;
  __atomic_store_n(&s->failed, 1, __ATOMIC_RELEASE);
  return gq_cuda_failed(s->d, GQ_DEVICE_LOST, error,
                     error == GQ_CUDA_COOPERATIVE_LAUNCH_TOO_LARGE
                       ? "launching the resident kernel: its blocks do not all fit the GPU at once (option sms)"
                       : "launching the resident kernel");
}

static gq_status await_hello(gq_backend_state *s)
{
  const uint64_t begin = gq_now();

  while (gq_ld32(&s->control->hello, GQ_ACQUIRE, GQ_SYS) != s->queue.epoch) {
    const gq_cuda_result error = s->d->cuStreamQuery(s->stream);

    if (error != GQ_CUDA_SUCCESS && error != GQ_CUDA_NOT_READY)
      return gq_cuda_failed(s->d, GQ_NO_BACKEND, error, "the resident kernel did not start");
    if (gq_now() - begin > HELLO_NS)
      return gq_fail(GQ_NO_BACKEND, "the resident kernel has not said hello for %llu s: is the GPU busy with other "
                                    "kernels, or are fewer than %u multiprocessors free (option sms)?",
                     HELLO_NS / 1000000000ull, s->blocks);
  }
  return GQ_OK;
}

/* The device's clock runs from some other zero; client and statistics use the host's. */
static void set_clock_offset(gq_backend_state *s)
{
  const uint64_t offset = gq_now() - gq_ld64(&s->control->clock, GQ_RELAXED, GQ_SYS);

  for (uint32_t i = 0; i < s->c->lane_count; i++)
    gq_st64(&s->c->lanes[i].head->clock_offset, offset, GQ_RELAXED, GQ_SYS);
}

static bool is_parked(const gq_consumption *c)
{
  return gq_ld32(&c->lanes[0].head->parked, GQ_ACQUIRE, GQ_SYS) != 0;
}

static gq_status gone(gq_backend_state *s, gq_cuda_result error)
{
  __atomic_store_n(&s->failed, 1, __ATOMIC_RELEASE);
  gq_cuda_note_fault();
  return gq_cuda_failed(s->d, GQ_DEVICE_LOST, error, "the GPU stopped it, and this process cannot use the GPU again");
}

/* \return GQ_OK, or that a handler is taking too long. The caller holds `launching`. */
static gq_status check_stall(gq_backend_state *s)
{
  const uint64_t ns = gq_begun_watch(&s->begun, s->c, gq_now());

  if (!ns) return GQ_OK;
  if (!s->stuck) __atomic_fetch_add(&stuck_kernels, 1, __ATOMIC_ACQ_REL);
  s->stuck = true;
  return gq_fail(GQ_DEVICE_LOST, "it has not come back for %.0f ms; the limit is stall_ms, %u ms", (double)ns * 1e-6,
                 s->c->stall_ms);
}

/* What had been begun; if a fault was so quick that no note of it arrived, all that has not finished. */
static void cuda_suspect(gq_backend_state *s, gq_suspects *suspects)
{
  pthread_mutex_lock(&s->launching);
  gq_begun_suspect(&s->begun, s->c, suspects);
  if (suspects->count == 0) gq_suspect_all(suspects, s->c->lanes, s->c->lane_count);
  pthread_mutex_unlock(&s->launching);
}

/* Has the kernel decided to leave? It says so after its last look, and nothing takes it back: whatever of it still runs
 * touches no message, and what is launched behind it, in the same stream, begins once it has gone. */
static bool has_left(const gq_backend_state *s)
{
  return gq_ld32(&s->control->left, GQ_ACQUIRE, GQ_SYS) == s->queue.epoch;
}

static gq_status relaunch(gq_backend_state *s)
{
  gq_cuda_result error;
  gq_status status;

  s->parks++;
  s->relaunches++;
  status = launch(s);
  if (status == GQ_OK) return GQ_OK;
  error = s->d->cuStreamQuery(s->stream); /* a fault of the kernel before it is told to whoever calls next */
  return error == GQ_CUDA_SUCCESS || error == GQ_CUDA_NOT_READY ? status : gone(s, error);
}

/* The lanes say parked: launch the kernel again, unless it stays after all. The context is entered. It is the control
 * page that is watched; the stream costs a call into the driver, and is asked only in case the kernel never says. */
static gq_status wake(gq_backend_state *s)
{
  uint64_t begin = 0;

  for (uint32_t turns = 0; is_parked(s->c); turns++) {
    gq_cuda_result error;
    uint64_t now;

    if (has_left(s)) return relaunch(s);
    gq_pause();
    if (turns % LEAVING_TURNS != LEAVING_TURNS - 1) continue;
    now = gq_now();
    if (!begin) begin = now;
    error = s->d->cuStreamQuery(s->stream);
    if (error == GQ_CUDA_SUCCESS) return relaunch(s);
    if (error != GQ_CUDA_NOT_READY) return gone(s, error);
    if (now - begin > STOP_NS) {
      __atomic_store_n(&s->failed, 1, __ATOMIC_RELEASE);
      return gq_fail(GQ_DEVICE_LOST, "the resident kernel parked and did not end");
    }
  }
  return GQ_OK;
}

/* A message was enqueued while the lanes said parked. The kernel is leaving, or has left, or has seen the message at
 * its last look and stays; or another thread has just launched it again. */
static gq_status cuda_kick(gq_backend_state *s)
{
  gq_status status = GQ_OK;

  pthread_mutex_lock(&s->launching);
  if (s->stopping) {
    status = gq_fail(GQ_DEVICE_LOST, "the resident kernel is being stopped");
  } else if (is_parked(s->c)) {
    if (enter(s)) {
      status = wake(s);
      leave(s);
    } else {
      status = gq_fail(GQ_DEVICE_LOST, "the CUDA context is gone");
    }
  }
  pthread_mutex_unlock(&s->launching);
  return status;
}

/* The kernel has been launched and has not ended: has it said hello, and does its heart beat? */
static gq_status check_pulse(gq_backend_state *s)
{
  const uint64_t now = gq_now(), beat = gq_ld64(&s->control->heartbeat, GQ_RELAXED, GQ_SYS);

  if (gq_ld32(&s->control->hello, GQ_ACQUIRE, GQ_SYS) != s->queue.epoch)
    return now - s->launched < HELLO_NS ? GQ_OK : gq_fail(GQ_DEVICE_LOST, "the resident kernel was launched again and "
                                                                          "has not started for 10 s: is the GPU busy?");
  if (beat != s->beat || is_parked(s->c)) {
    s->beat = beat;
    s->beat_seen = now;
  }
  return now - s->beat_seen < HELLO_NS ? GQ_OK : gq_fail(GQ_DEVICE_LOST, "the resident kernel has not answered for 10 s");
}

static gq_status cuda_health(gq_backend_state *s)
{
  gq_cuda_result error;
  gq_status status = GQ_OK;

  if (pthread_mutex_trylock(&s->launching) != 0) return GQ_OK; /* somebody is launching */
  if (__atomic_load_n(&s->failed, __ATOMIC_ACQUIRE)) {
    status = gq_fail(GQ_DEVICE_LOST, "the resident kernel is gone; this process cannot use the GPU again");
  } else if (enter(s)) {
    const bool was_parked = is_parked(s->c);

    error = s->d->cuStreamQuery(s->stream);
    leave(s);
    if (error != GQ_CUDA_SUCCESS && error != GQ_CUDA_NOT_READY) status = gone(s, error);
    else if (error == GQ_CUDA_SUCCESS && !was_parked && !is_parked(s->c))
      status = gq_fail(GQ_DEVICE_LOST, "the resident kernel left without being asked to");
    else if (error == GQ_CUDA_NOT_READY) status = check_pulse(s);
  } else {
    status = gq_fail(GQ_DEVICE_LOST, "the CUDA context is gone");
  }
  if (status == GQ_OK) status = check_stall(s);
  pthread_mutex_unlock(&s->launching);
  return status;
}

/* The counters are in device memory; the kernel copies them out when asked, and before it leaves. */
static void cuda_count(gq_backend_state *s, gq_consumed *counters)
{
  const uint64_t begin = gq_now();
  const gq_dev_counters *from = &s->control->counters;
  uint32_t ask;

  pthread_mutex_lock(&s->launching);
  ask = gq_add32(&s->control->ask, 1, GQ_ACQ_REL) + 1;
  while (gq_ld32(&s->control->answered, GQ_ACQUIRE, GQ_SYS) != ask &&
         !has_left(s) && gq_now() - begin < ANSWER_NS && !__atomic_load_n(&s->failed, __ATOMIC_ACQUIRE))
    gq_pause();
  counters->taken = gq_ld64(&from->taken, GQ_RELAXED, GQ_SYS);
  counters->finished = gq_ld64(&from->finished, GQ_RELAXED, GQ_SYS);
  counters->completed = gq_ld64(&from->completed, GQ_RELAXED, GQ_SYS);
  counters->failed = gq_ld64(&from->failed, GQ_RELAXED, GQ_SYS);
  counters->cancelled = gq_ld64(&from->cancelled, GQ_RELAXED, GQ_SYS);
  counters->retried = gq_ld64(&from->retried, GQ_RELAXED, GQ_SYS);
  counters->parks = s->parks + (is_parked(s->c) ? 1 : 0);
  counters->relaunches = s->relaunches;
  counters->device_bytes = s->memory_bytes;
  pthread_mutex_unlock(&s->launching);
}

/* ------------------------------------------------------------------------------------------- start and stop */

/* Undo everything; the kernel is not running. The context is current. */
static void tear_down(gq_backend_state *s)
{
  const gq_cuda_driver *d = s->d;

  if (!s->context) goto free_state;
  while (s->registered > 0) d->cuMemHostUnregister(s->c->lanes[--s->registered].head);
  if (s->memory) d->cuMemFree(s->memory);
  if (s->control) d->cuMemFreeHost(s->control);
  if (s->module) d->cuModuleUnload(s->module);
  if (s->stream) d->cuStreamDestroy(s->stream);
  d->cuCtxDestroy(s->context); /* also pops it */
  if (s->stuck) __atomic_fetch_sub(&stuck_kernels, 1, __ATOMIC_ACQ_REL); /* it came back after all */
free_state:
  free(s->begun.sightings);
  pthread_mutex_destroy(&s->launching);
  free(s);
}

static gq_status cuda_start(gq_backend_state **out, const gq_consumption *c, char *text, size_t size)
{
  gq_backend_state *s = calloc(1, sizeof *s);
  gq_device_info info;
  gq_status status;

  if (!s) return gq_fail(GQ_NO_MEMORY, "no memory for the CUDA backend");
  s->c = c;
  s->queue.limits = c->limits;
  pthread_mutex_init(&s->launching, NULL);
  status = gq_cuda_driver_load(&s->d);
  if (status == GQ_OK) status = gq_cuda_load(s);
  if (status == GQ_OK) status = gq_cuda_prepare_memory(s);
  if (status == GQ_OK) status = gq_cuda_init_handler(s);
  if (status == GQ_TIMEOUT) { /* the kernel of its init still runs, on this memory */
    __atomic_fetch_add(&stuck_kernels, 1, __ATOMIC_ACQ_REL);
    leave(s);
    return status;
  }
  if (status == GQ_OK) status = launch(s);
  if (status == GQ_OK) {
    status = await_hello(s);
    if (status != GQ_OK) { /* it may yet start: its memory must stay */
      gq_st32(&s->control->stop, 1, GQ_RELEASE, GQ_SYS);
      leave(s);
      return GQ_DEVICE_LOST;
    }
  }
  if (status != GQ_OK) {
    tear_down(s);
    return status == GQ_DEVICE_LOST ? GQ_NO_BACKEND : status;
  }
  set_clock_offset(s);
  leave(s);
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  gq_get_device_info(c->device, &info);
  snprintf(text, size, "cuda: %s, sm_%d%d, %u of %u SMs%s%s", info.name, info.capability_major, info.capability_minor,
           s->blocks, s->sms, info.reason[0] ? "; warning: " : "", info.reason);
  *out = s;
  return GQ_OK;
}

static gq_status cuda_stop(gq_backend_state *s)
{
  const struct timespec nap = {0, 20000};
  const uint64_t begin = gq_now();
  gq_cuda_result error;

  pthread_mutex_lock(&s->launching);
  s->stopping = 1;
  pthread_mutex_unlock(&s->launching);
  gq_st32(&s->control->stop, 1, GQ_RELEASE, GQ_SYS);
  if (!enter(s)) return gq_fail(GQ_DEVICE_LOST, "the CUDA context is gone");
  while ((error = s->d->cuStreamQuery(s->stream)) == GQ_CUDA_NOT_READY && gq_now() - begin < STOP_NS)
    nanosleep(&nap, NULL);
  if (error == GQ_CUDA_NOT_READY) {
    if (!s->stuck) __atomic_fetch_add(&stuck_kernels, 1, __ATOMIC_ACQ_REL);
    leave(s);
    return gq_fail(GQ_DEVICE_LOST, "a handler is still running on the GPU; it ends with the process, and the queue's "
                                   "memory is left behind");
  }
  tear_down(s); /* after an error too: nothing runs any more, whatever the calls return */
  return error ? gq_fail(GQ_DEVICE_LOST, "the resident kernel had ended with an error; this process cannot use the GPU "
                                         "again") : GQ_OK;
}

const gq_backend_ops gq_cuda_backend = {cuda_check,   cuda_start, cuda_kick, cuda_health,
                                        cuda_suspect, cuda_count, cuda_stop};
