/* SPDX-License-Identifier: Apache-2.0 */
/* By hand: a kernel launched for each message, one message at a time, with its result awaited. The message is in
 * page-locked memory before the clock starts; the result is compared after it has stopped. */
#include "baseline_gpu.h"
#include "baseline_payload.h"

#define WARM_UP 20u

typedef struct launching {
  gq_baseline_gpu *gpu;
  gq_baseline_launch how;
  gq_baseline_shape shape;
  uint32_t *in, *out;
  gq_cuda_address in_address, out_address;       /* as the device sees them */
  gq_cuda_address device_in, device_out;         /* where copies go, and come from */
  gq_cuda_function kernel;
  gq_cuda_graph graph;
  gq_cuda_graph_exec ready;
} launching;

static bool launch(launching *l, gq_cuda_address *in, gq_cuda_address *out)
{
  gq_baseline_gpu *gpu = l->gpu;
  void *parameters[] = {in, out, &l->shape.units};

  return gq_baseline_called(gpu, gpu->driver.cuLaunchKernel(l->kernel, l->shape.blocks, 1, 1, l->shape.threads, 1, 1, 0,
                                                            gpu->stream, parameters, NULL), "cuLaunchKernel");
}

static bool submit(launching *l)
{
  gq_baseline_gpu *gpu = l->gpu;
  const gq_cuda_driver *d = &gpu->driver;
  gq_cuda_result result;

  if (l->how == GQ_LAUNCH_GRAPH)
    return gq_baseline_called(gpu, d->cuGraphLaunch(l->ready, gpu->stream), "cuGraphLaunch");
  if (l->how == GQ_LAUNCH_MAPPED) return launch(l, &l->in_address, &l->out_address);
  result = d->cuMemcpyHtoDAsync(l->device_in, l->in, l->shape.bytes, gpu->stream);
  if (!gq_baseline_called(gpu, result, "cuMemcpyHtoDAsync") || !launch(l, &l->device_in, &l->device_out)) return false;
  result = d->cuMemcpyDtoHAsync(l->out, l->device_out, l->shape.bytes, gpu->stream);
  return gq_baseline_called(gpu, result, "cuMemcpyDtoHAsync");
}

/* A graph of one kernel on mapped memory. */
static bool make_graph(launching *l)
{
  gq_baseline_gpu *gpu = l->gpu;
  const gq_cuda_driver *d = &gpu->driver;
  bool ok;

  if (!d->cuStreamBeginCapture || !d->cuStreamEndCapture || !d->cuGraphInstantiateWithFlags || !d->cuGraphLaunch)
    return gq_baseline_fail(gpu, "the NVIDIA driver (CUDA %d.%d) has no entry points for graphs: install a newer one",
                            d->version / 1000, d->version % 1000 / 10);
  if (!gq_baseline_called(gpu, d->cuStreamBeginCapture(gpu->stream, GQ_CUDA_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                          "cuStreamBeginCapture")) return false;
  ok = launch(l, &l->in_address, &l->out_address);
  return gq_baseline_called(gpu, d->cuStreamEndCapture(gpu->stream, &l->graph), "cuStreamEndCapture") && ok &&
         gq_baseline_called(gpu, d->cuGraphInstantiateWithFlags(&l->ready, l->graph, 0),
                            "cuGraphInstantiateWithFlags");
}

static bool prepare(launching *l)
{
  gq_baseline_gpu *gpu = l->gpu;

  if (!gq_baseline_kernel(gpu, "gq_baseline_echo", &l->kernel)) return false;
  l->in = gq_baseline_host(gpu, l->shape.bytes, &l->in_address);
  l->out = l->in ? gq_baseline_host(gpu, l->shape.bytes, &l->out_address) : NULL;
  if (!l->out) return false;
  if (l->how == GQ_LAUNCH_COPIES)
    return gq_baseline_memory(gpu, l->shape.bytes, &l->device_in) &&
           gq_baseline_memory(gpu, l->shape.bytes, &l->device_out);
  return l->how != GQ_LAUNCH_GRAPH || make_graph(l);
}

/* One message. The first ones are awaited with patience, for the GPU may turn out to be busy; then as a user would. */
static bool exchange(launching *l, uint32_t number, bool patient, uint64_t *ns)
{
  gq_baseline_gpu *gpu = l->gpu;
  uint64_t begin;

  gq_baseline_fill(l->in, &l->shape, number);
  begin = gq_baseline_now();
  if (!submit(l)) return false;
  if (patient) {
    if (!gq_baseline_wait(gpu, gpu->stream)) return false;
  } else if (!gq_baseline_called(gpu, gpu->driver.cuStreamSynchronize(gpu->stream), "cuStreamSynchronize")) {
    return false;
  }
  *ns = gq_baseline_now() - begin;
  return gq_baseline_check(l->out, &l->shape, number) ||
         gq_baseline_fail(gpu, "the answer to message %u is wrong", number);
}

bool gq_baseline_launch_and_wait(const gq_baseline_task *task, gq_baseline_launch how, gq_baseline_result *result)
{
  launching l = {.gpu = task->gpu, .how = how, .shape = gq_baseline_shape_of(task)};
  const gq_cuda_driver *d = &task->gpu->driver;
  gq_baseline_samples samples;
  uint32_t number = 0;
  uint64_t end = 0, ns;
  bool ok;

  if (!gq_baseline_samples_open(&samples, task)) return false;
  for (ok = prepare(&l); ok && number < WARM_UP; number++) ok = exchange(&l, number, true, &ns);
  end = gq_baseline_now() + (uint64_t)(task->seconds * 1e9);
  while (ok) {
    ok = exchange(&l, number++, false, &ns);
    if (ok && (!gq_baseline_samples_add(&samples, ns) || gq_baseline_now() >= end)) break;
  }
  gq_baseline_samples_close(&samples, task->payload, result);
  if (l.ready && d->cuGraphExecDestroy) d->cuGraphExecDestroy(l.ready);
  if (l.graph && d->cuGraphDestroy) d->cuGraphDestroy(l.graph);
  return ok;
}
