/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU for one baseline: context, kernels, memory, and waits that end. */
#ifndef GQ_BENCH_BASELINE_GPU_H
#define GQ_BENCH_BASELINE_GPU_H
#include <pthread.h>

#include "baselines.h"
#include "cuda/baselines.h"
#include "cuda_driver.h"

/* How long a GPU that is in order may take for anything that was asked of it. */
#define GQ_BASELINE_PATIENCE_NS 10000000000ull

typedef struct gq_baseline_gpu {
  gq_cuda_driver driver;
  gq_cuda_context context;
  gq_cuda_module module;
  gq_cuda_stream stream;
  unsigned multiprocessors;
  gq_a32 *stop; /* asks resident kernels to leave */
  gq_baseline_life life;
  void *pinned[8];
  unsigned pinned_count;
  bool stuck; /* something asked of the GPU has not come to an end */
  pthread_mutex_t telling; /* guards what follows: the first failure is the one that is told */
  bool failed;
  char *error;
  size_t error_size;
} gq_baseline_gpu;

/* What every baseline is given, and what it returns: false after gq_baseline_fail(). */
typedef struct gq_baseline_task {
  gq_baseline_gpu *gpu;
  size_t payload;
  unsigned threads;
  double seconds;
} gq_baseline_task;

/** Whether this build has kernels. */
bool gq_baseline_have_kernels(void);

/** \param seconds  how long the measurement takes; resident kernels leave some time after it by themselves.
 * On failure nothing is left behind. */
bool gq_baseline_open(gq_baseline_gpu *gpu, int device, double seconds, char *error, size_t error_size);

/** Stop what is resident and give everything back. If a kernel does not leave, the context stays with it. */
void gq_baseline_close(gq_baseline_gpu *gpu);

/** Describe a failure, printf-like; any thread. \return false. */
bool gq_baseline_fail(gq_baseline_gpu *gpu, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** \return whether \p call succeeded, having described its failure. Any thread. */
bool gq_baseline_called(gq_baseline_gpu *gpu, gq_cuda_result result, const char *call);

/** Page-locked host memory, zeroed, and its address on the device. \return NULL on failure. */
void *gq_baseline_host(gq_baseline_gpu *gpu, size_t bytes, gq_cuda_address *device);

/** Device memory, zeroed. */
bool gq_baseline_memory(gq_baseline_gpu *gpu, size_t bytes, gq_cuda_address *address);

bool gq_baseline_kernel(gq_baseline_gpu *gpu, const char *name, gq_cuda_function *kernel);

/** Wait until all that was asked of \p stream is done, but not for ever. Any thread with the context. */
bool gq_baseline_wait(gq_baseline_gpu *gpu, gq_cuda_stream stream);

/** A resident kernel on gpu->stream has not answered: describe why, from what the stream says. \return false. */
bool gq_baseline_no_answer(gq_baseline_gpu *gpu, const char *what);

uint64_t gq_baseline_now(void);

/* ------------------------------------------------------------------------------------------------ latencies */

/** Latencies in nanoseconds, of all messages. */
typedef struct gq_baseline_samples {
  uint32_t *ns;
  size_t count, room;
  uint64_t total_ns;
} gq_baseline_samples;

/** Room for what \p seconds may bring. \return false, described, if there is no memory. */
bool gq_baseline_samples_open(gq_baseline_samples *samples, const gq_baseline_task *task);

/** \return false if there is room for no more: enough have been seen. */
bool gq_baseline_samples_add(gq_baseline_samples *samples, uint64_t ns);

/** Fill in latencies, and the rates of messages of \p payload bytes that follow at once. Frees the samples. */
void gq_baseline_samples_close(gq_baseline_samples *samples, size_t payload, gq_baseline_result *result);

/* ------------------------------------------------------------------------------------------------ baselines */

bool gq_baseline_pingpong(const gq_baseline_task *task, unsigned warps, gq_baseline_result *result);
bool gq_baseline_stream_ring(const gq_baseline_task *task, gq_baseline_result *result);

typedef enum gq_baseline_way { GQ_WAY_IN = 1, GQ_WAY_OUT = 2, GQ_WAY_BOTH = 3 } gq_baseline_way;
bool gq_baseline_copy_engines(const gq_baseline_task *task, gq_baseline_way way, gq_baseline_result *result);
bool gq_baseline_multiprocessors(const gq_baseline_task *task, gq_baseline_way way, gq_baseline_result *result);

typedef enum gq_baseline_launch { GQ_LAUNCH_COPIES, GQ_LAUNCH_MAPPED, GQ_LAUNCH_GRAPH } gq_baseline_launch;
bool gq_baseline_launch_and_wait(const gq_baseline_task *task, gq_baseline_launch how, gq_baseline_result *result);
bool gq_baseline_pipelined(const gq_baseline_task *task, gq_baseline_launch how, gq_baseline_result *result);

#endif
