/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the CUDA backend's host half share: cuda.c, cuda_load.c and cuda_memory.c. */
#ifndef GQ_CUDA_BACKEND_H
#define GQ_CUDA_BACKEND_H
#include "backend.h"
#include "cuda/device.h"
#include "cuda_begun.h"
#include "cuda_driver.h"

struct gq_backend_state {
  const gq_consumption *c;
  const gq_cuda_driver *d;
  gq_cuda_context context;
  gq_cuda_stream stream;
  gq_cuda_module module;
  gq_cuda_function kernel, init_kernel;
  gq_control *control;          /* mapped host memory, with the notes of gq_begun behind it */
  gq_begun begun;               /* under `launching` */
  gq_cuda_address memory;       /* all device memory, in one piece */
  uint64_t memory_bytes;
  uint32_t registered;          /* lanes registered with the driver */
  gq_dev_queue queue;           /* the kernel's parameter */
  uint32_t blocks, threads, shared_bytes, sms;
  uint32_t groups;              /* messages under way at once: threads, warps or blocks */
  pthread_mutex_t launching;    /* launches, and looking at whether the kernel is there */
  uint64_t parks, relaunches;   /* under `launching` */
  uint64_t launched;            /* when the kernel was last launched; under `launching` */
  uint64_t beat, beat_seen;     /* latest heartbeat and when it was first seen; under `launching` */
  uint32_t stopping;            /* under `launching` */
  uint32_t failed;              /* atomic: a CUDA call has failed for good */
  bool stuck;                   /* counted in stuck_kernels; under `launching` */
};

/** Fail with what was being done and what the driver says of it. */
gq_status gq_cuda_failed(const gq_cuda_driver *d, gq_status status, gq_cuda_result error, const char *what);

/** Make a context, load the kernel and decide how large it is. The context stays current. */
gq_status gq_cuda_load(gq_backend_state *s);

/** The GPU has stopped a kernel: this process cannot use it again, and further queues are told so. */
void gq_cuda_note_fault(void);

/** Register the lanes with the driver, and allocate and fill device memory. The context is current. On failure, what
 * was done is undone when the backend's state is torn down. */
gq_status gq_cuda_prepare_memory(gq_backend_state *s);

/** Run the handler's init, for up to stall_ms. \return GQ_OK; GQ_FAILED; GQ_TIMEOUT: it is still running. */
gq_status gq_cuda_init_handler(gq_backend_state *s);

#endif
