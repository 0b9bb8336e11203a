/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "baseline_gpu.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef GQ_HAVE_FATBINS
/* As in lib/cuda_kernels.c: the path is relative to the build directory, where every compiler runs. */
extern const unsigned char gq_fatbin_of_baselines[];
__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        ".globl gq_fatbin_of_baselines\n"
        ".hidden gq_fatbin_of_baselines\n"
        ".type gq_fatbin_of_baselines, %object\n"
        "gq_fatbin_of_baselines:\n"
        ".incbin \"cuda/baselines.fatbin\"\n"
        ".size gq_fatbin_of_baselines, . - gq_fatbin_of_baselines\n"
        ".popsection\n");
static const void *const fatbin = gq_fatbin_of_baselines;
#else
static const void *const fatbin = NULL;
#endif

bool gq_baseline_have_kernels(void)
{
  return fatbin != NULL;
}

uint64_t gq_baseline_now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool gq_baseline_fail(gq_baseline_gpu *gpu, const char *format, ...)
{
  va_list arguments;

  pthread_mutex_lock(&gpu->telling);
  if (!gpu->failed) {
    va_start(arguments, format);
    vsnprintf(gpu->error, gpu->error_size, format, arguments);
    va_end(arguments);
  }
  gpu->failed = true;
  pthread_mutex_unlock(&gpu->telling);
  return false;
}

bool gq_baseline_called(gq_baseline_gpu *gpu, gq_cuda_result result, const char *call)
{
  char text[256];

  if (result == GQ_CUDA_SUCCESS) return true;
  return gq_baseline_fail(gpu, "%s: %s", call, gq_cuda_error_text(&gpu->driver, result, text, sizeof text));
}

/* ------------------------------------------------------------------------------------------ opening and closing */

static bool find_device(gq_baseline_gpu *gpu, int number, gq_cuda_device *device)
{
  const gq_cuda_driver *d = &gpu->driver;
  int count = 0, multiprocessors = 0;

  if (!gq_baseline_called(gpu, d->cuDeviceGetCount(&count), "cuDeviceGetCount")) return false;
  if (number < 0 || number >= count)
    return gq_baseline_fail(gpu, "device %d: this machine has %d, numbered from 0", number, count);
  if (!gq_baseline_called(gpu, d->cuDeviceGet(device, number), "cuDeviceGet")) return false;
  if (!gq_baseline_called(gpu, d->cuDeviceGetAttribute(&multiprocessors, GQ_CUDA_ATTRIBUTE_MULTIPROCESSOR_COUNT,
                                                       *device), "cuDeviceGetAttribute")) return false;
  gpu->multiprocessors = (unsigned)multiprocessors;
  return true;
}

static bool fill_context(gq_baseline_gpu *gpu, double seconds)
{
  const gq_cuda_driver *d = &gpu->driver;
  gq_cuda_address stop;

  if (!gq_baseline_called(gpu, d->cuStreamCreate(&gpu->stream, GQ_CUDA_STREAM_NON_BLOCKING), "cuStreamCreate"))
    return false;
  if (!gq_baseline_called(gpu, d->cuModuleLoadData(&gpu->module, fatbin), "cuModuleLoadData, of the bench's kernels"))
    return false;
  gpu->stop = gq_baseline_host(gpu, sizeof *gpu->stop, &stop);
  if (!gpu->stop) return false;
  gpu->life.stop = stop;
  gpu->life.limit_ns = (uint64_t)(seconds * 1e9) + 2 * GQ_BASELINE_PATIENCE_NS;
  return true;
}

bool gq_baseline_open(gq_baseline_gpu *gpu, int device, double seconds, char *error, size_t error_size)
{
  gq_cuda_device handle = 0;
  gq_cuda_result result;

  memset(gpu, 0, sizeof *gpu);
  gpu->error = error;
  gpu->error_size = error_size;
  if (!gq_cuda_driver_open(&gpu->driver, error, error_size)) return false;
  pthread_mutex_init(&gpu->telling, NULL);
  if (!find_device(gpu, device, &handle)) goto destroy_mutex;
  /* Spinning is the quickest way to wait, so the hardest to beat. */
  result = gpu->driver.cuCtxCreate(&gpu->context, GQ_CUDA_CTX_SCHED_SPIN | GQ_CUDA_CTX_MAP_HOST, handle);
  if (!gq_baseline_called(gpu, result, "cuCtxCreate")) goto destroy_mutex;
  if (fill_context(gpu, seconds)) return true;
  gq_baseline_close(gpu);
  return false;
destroy_mutex:
  pthread_mutex_destroy(&gpu->telling);
  return false;
}

/* A fault is as good as an end: nothing runs any more. */
static bool has_left(const gq_baseline_gpu *gpu)
{
  const uint64_t begin = gq_baseline_now();
  const struct timespec nap = {0, 20000};

  while (gpu->driver.cuStreamQuery(gpu->stream) == GQ_CUDA_NOT_READY) {
    if (gq_baseline_now() - begin > GQ_BASELINE_PATIENCE_NS) return false;
    nanosleep(&nap, NULL);
  }
  return true;
}

void gq_baseline_close(gq_baseline_gpu *gpu)
{
  const gq_cuda_driver *d = &gpu->driver;
  gq_cuda_context dropped;

  if (gpu->stop) gq_st32(gpu->stop, 1, GQ_RELEASE, GQ_SYS);
  /* What waits in vain for the GPU would also make destroying the context wait. */
  if (gpu->stuck || (gpu->stream && !has_left(gpu))) {
    gq_baseline_fail(gpu, "a kernel did not leave the GPU when it was asked to; it ends with the process");
    d->cuCtxPopCurrent(&dropped);
    goto destroy_mutex;
  }
  while (gpu->pinned_count > 0) d->cuMemFreeHost(gpu->pinned[--gpu->pinned_count]);
  d->cuCtxDestroy(gpu->context); /* with its streams, modules and device memory; also pops it */
destroy_mutex:
  pthread_mutex_destroy(&gpu->telling);
}

/* ---------------------------------------------------------------------------------------- memory, kernels, waits */

void *gq_baseline_host(gq_baseline_gpu *gpu, size_t bytes, gq_cuda_address *device)
{
  const gq_cuda_driver *d = &gpu->driver;
  gq_cuda_result result;
  void *memory = NULL;
  char call[64];

  snprintf(call, sizeof call, "cuMemHostAlloc of %zu bytes", bytes);
  if (gpu->pinned_count == sizeof gpu->pinned / sizeof *gpu->pinned) {
    gq_baseline_fail(gpu, "%s: all %u places to remember it are taken", call, gpu->pinned_count);
    return NULL;
  }
  result = d->cuMemHostAlloc(&memory, bytes, GQ_CUDA_MEMHOSTALLOC_PORTABLE | GQ_CUDA_MEMHOSTALLOC_DEVICEMAP);
  if (!gq_baseline_called(gpu, result, call)) return NULL;
  gpu->pinned[gpu->pinned_count++] = memory;
  memset(memory, 0, bytes);
  result = d->cuMemHostGetDevicePointer(device, memory, 0);
  return gq_baseline_called(gpu, result, "cuMemHostGetDevicePointer") ? memory : NULL;
}

bool gq_baseline_memory(gq_baseline_gpu *gpu, size_t bytes, gq_cuda_address *address)
{
  const gq_cuda_driver *d = &gpu->driver;
  char call[64];

  snprintf(call, sizeof call, "cuMemAlloc of %zu bytes", bytes);
  return gq_baseline_called(gpu, d->cuMemAlloc(address, bytes), call) &&
         gq_baseline_called(gpu, d->cuMemsetD8Async(*address, 0, bytes, gpu->stream), "cuMemsetD8Async") &&
         gq_baseline_wait(gpu, gpu->stream);
}

bool gq_baseline_kernel(gq_baseline_gpu *gpu, const char *name, gq_cuda_function *kernel)
{
  char call[80];

  snprintf(call, sizeof call, "cuModuleGetFunction of %s", name);
  return gq_baseline_called(gpu, gpu->driver.cuModuleGetFunction(kernel, gpu->module, name), call);
}

bool gq_baseline_wait(gq_baseline_gpu *gpu, gq_cuda_stream stream)
{
  const uint64_t begin = gq_baseline_now();
  gq_cuda_result result;

  while ((result = gpu->driver.cuStreamQuery(stream)) == GQ_CUDA_NOT_READY) {
    if (gq_baseline_now() - begin > GQ_BASELINE_PATIENCE_NS) {
      __atomic_store_n(&gpu->stuck, true, __ATOMIC_RELAXED); /* read when all threads have ended */
      return gq_baseline_fail(gpu, "cuStreamQuery: the GPU has not come to an end for %llu s: is it busy with other "
                                   "kernels?", GQ_BASELINE_PATIENCE_NS / 1000000000u);
    }
  }
  return gq_baseline_called(gpu, result, "cuStreamQuery, after a kernel or a copy");
}

bool gq_baseline_no_answer(gq_baseline_gpu *gpu, const char *what)
{
  const gq_cuda_result result = gpu->driver.cuStreamQuery(gpu->stream);

  if (result == GQ_CUDA_NOT_READY)
    return gq_baseline_fail(gpu, "%s: no answer for %llu s: is the GPU busy with other kernels?", what,
                            GQ_BASELINE_PATIENCE_NS / 1000000000u);
  if (result == GQ_CUDA_SUCCESS) return gq_baseline_fail(gpu, "%s: the kernel left without being asked to", what);
  return gq_baseline_called(gpu, result, what);
}
