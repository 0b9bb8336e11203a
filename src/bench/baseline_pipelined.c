/* SPDX-License-Identifier: Apache-2.0 */
/* By hand: a kernel launched for each message, many under way on several streams. Each thread has two halves of slots
 * with streams of their own: while the GPU works on one half, the thread compares and refills the other. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "baseline_gpu.h"
#include "baseline_payload.h"

#define STREAMS 4u /* of a half */
#define MOST_SLOTS 512u
#define HALF_BYTES ((size_t)8 << 20) /* of the messages in a half, unless one is larger */
#define MOST_BYTES ((size_t)4 << 30) /* of page-locked memory in all */

typedef struct pipeline {
  gq_baseline_gpu *gpu;
  gq_baseline_launch how;
  gq_baseline_shape shape;
  gq_cuda_function kernel;
  unsigned slots; /* of a half */
  uint64_t end;
  atomic_bool failed;
} pipeline;

typedef struct pipeline_thread {
  pipeline *p;
  uint8_t *in, *out; /* slots, half after half */
  gq_cuda_address in_address, out_address, device_in, device_out;
  gq_cuda_stream streams[2 * STREAMS];
  uint32_t first[2]; /* number of the first message in a half */
  uint64_t messages; /* that were answered */
  pthread_t thread;
} pipeline_thread;

static bool submit(pipeline_thread *t, unsigned slot, gq_cuda_stream stream)
{
  gq_baseline_gpu *gpu = t->p->gpu;
  const gq_cuda_driver *d = &gpu->driver;
  const gq_baseline_shape *shape = &t->p->shape;
  const size_t at = slot * shape->bytes;
  const bool copies = t->p->how == GQ_LAUNCH_COPIES;
  gq_cuda_address in = (copies ? t->device_in : t->in_address) + at;
  gq_cuda_address out = (copies ? t->device_out : t->out_address) + at;
  uint64_t units = shape->units;
  void *parameters[] = {&in, &out, &units};

  if (copies && !gq_baseline_called(gpu, d->cuMemcpyHtoDAsync(in, t->in + at, shape->bytes, stream),
                                    "cuMemcpyHtoDAsync")) return false;
  if (!gq_baseline_called(gpu, d->cuLaunchKernel(t->p->kernel, shape->blocks, 1, 1, shape->threads, 1, 1, 0, stream,
                                                 parameters, NULL), "cuLaunchKernel")) return false;
  return !copies || gq_baseline_called(gpu, d->cuMemcpyDtoHAsync(t->out + at, out, shape->bytes, stream),
                                       "cuMemcpyDtoHAsync");
}

static bool submit_half(pipeline_thread *t, unsigned half, uint32_t number)
{
  const pipeline *p = t->p;

  t->first[half] = number;
  for (unsigned s = 0; s < p->slots; s++) {
    const unsigned slot = half * p->slots + s;

    gq_baseline_fill((uint32_t *)(void *)(t->in + slot * p->shape.bytes), &p->shape, number + s);
    if (!submit(t, slot, t->streams[half * STREAMS + s % STREAMS])) return false;
  }
  return true;
}

static bool await_half(pipeline_thread *t, unsigned half)
{
  const pipeline *p = t->p;

  for (unsigned n = 0; n < STREAMS; n++)
    if (!gq_baseline_wait(p->gpu, t->streams[half * STREAMS + n])) return false;
  for (unsigned s = 0; s < p->slots; s++)
    if (!gq_baseline_check((const uint32_t *)(void *)(t->out + (half * p->slots + s) * p->shape.bytes), &p->shape,
                           t->first[half] + s))
      return gq_baseline_fail(p->gpu, "the answer to message %u of a thread is wrong", t->first[half] + s);
  t->messages += p->slots;
  return true;
}

static bool stream_messages(pipeline_thread *t)
{
  pipeline *p = t->p;
  uint32_t number = 0;
  unsigned half = 0;

  if (!gq_baseline_called(p->gpu, p->gpu->driver.cuCtxSetCurrent(p->gpu->context), "cuCtxSetCurrent")) return false;
  if (!submit_half(t, half, number)) return false;
  while (gq_baseline_now() < p->end && !atomic_load_explicit(&p->failed, memory_order_relaxed)) {
    number += p->slots;
    if (!submit_half(t, !half, number) || !await_half(t, half)) return false;
    half = !half;
  }
  return await_half(t, half);
}

static void *run_thread(void *argument)
{
  pipeline_thread *t = argument;

  if (!stream_messages(t)) atomic_store_explicit(&t->p->failed, true, memory_order_relaxed);
  return NULL;
}

/* Give each thread its slots and its streams. */
static bool prepare(pipeline *p, pipeline_thread *threads, unsigned count)
{
  gq_baseline_gpu *gpu = p->gpu;
  const size_t share = 2 * p->slots * p->shape.bytes, bytes = count * share;
  gq_cuda_address in_address, out_address, device_in = 0, device_out = 0;
  uint8_t *in, *out;

  if (2 * bytes > MOST_BYTES)
    return gq_baseline_fail(gpu, "payload, threads: %u threads with messages of %zu bytes want %zu bytes of page-"
                                 "locked memory; at most %zu are taken", count, p->shape.bytes, 2 * bytes, MOST_BYTES);
  if (!gq_baseline_kernel(gpu, "gq_baseline_echo", &p->kernel)) return false;
  in = gq_baseline_host(gpu, bytes, &in_address);
  out = in ? gq_baseline_host(gpu, bytes, &out_address) : NULL;
  if (!out) return false;
  if (p->how == GQ_LAUNCH_COPIES &&
      (!gq_baseline_memory(gpu, bytes, &device_in) || !gq_baseline_memory(gpu, bytes, &device_out))) return false;
  for (unsigned i = 0; i < count; i++) {
    pipeline_thread *t = &threads[i];

    *t = (pipeline_thread){.p = p, .in = in + i * share, .out = out + i * share,
                           .in_address = in_address + i * share, .out_address = out_address + i * share,
                           .device_in = device_in + i * share, .device_out = device_out + i * share};
    for (unsigned n = 0; n < 2 * STREAMS; n++)
      if (!gq_baseline_called(gpu, gpu->driver.cuStreamCreate(&t->streams[n], GQ_CUDA_STREAM_NON_BLOCKING),
                              "cuStreamCreate")) return false;
  }
  return true;
}

static bool run_threads(pipeline *p, pipeline_thread *threads, const gq_baseline_task *task, gq_baseline_result *result)
{
  const uint64_t begin = gq_baseline_now();
  uint64_t messages = 0;
  unsigned started = 0;
  double elapsed;

  p->end = begin + (uint64_t)(task->seconds * 1e9);
  while (started < task->threads && pthread_create(&threads[started].thread, NULL, run_thread, &threads[started]) == 0)
    started++;
  if (started < task->threads) {
    gq_baseline_fail(p->gpu, "pthread_create: no more than %u of %u threads", started, task->threads);
    atomic_store_explicit(&p->failed, true, memory_order_relaxed);
  }
  for (unsigned i = 0; i < started; i++) pthread_join(threads[i].thread, NULL);
  elapsed = (double)(gq_baseline_now() - begin) * 1e-9;
  if (atomic_load_explicit(&p->failed, memory_order_relaxed)) return false;
  for (unsigned i = 0; i < started; i++) messages += threads[i].messages;
  result->messages = messages;
  result->messages_per_s = (double)messages / elapsed;
  result->bytes_in_per_s = result->bytes_out_per_s = result->messages_per_s * (double)task->payload;
  return true;
}

bool gq_baseline_pipelined(const gq_baseline_task *task, gq_baseline_launch how, gq_baseline_result *result)
{
  pipeline p = {.gpu = task->gpu, .how = how, .shape = gq_baseline_shape_of(task)};
  pipeline_thread *threads = calloc(task->threads, sizeof *threads);
  bool ok;

  if (!threads) return gq_baseline_fail(task->gpu, "no memory for %u threads", task->threads);
  p.slots = (unsigned)(HALF_BYTES / p.shape.bytes < MOST_SLOTS ? HALF_BYTES / p.shape.bytes : MOST_SLOTS);
  if (p.slots == 0) p.slots = 1;
  ok = prepare(&p, threads, task->threads) && run_threads(&p, threads, task, result);
  free(threads);
  return ok;
}
