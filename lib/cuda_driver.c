/* SPDX-License-Identifier: Apache-2.0 */
/* The library's one CUDA driver, opened at first use. */
#include "cuda_driver.h"
#include "error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { NOT_TRIED, LOADED, FAILED };

/* Written by the one thread that holds the lock, before it stores the outcome. */
static gq_cuda_driver the_driver;
static char failure[640];
static pid_t loaded_by;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static atomic_int outcome = NOT_TRIED;

gq_status gq_cuda_driver_load(const gq_cuda_driver **driver)
{
  /* [D1] acquire: licenses reading what load() wrote; pairs with release [D1] below */
  int now = atomic_load_explicit(&outcome, memory_order_acquire);
  if (now == NOT_TRIED) {
    pthread_mutex_lock(&loading);
    now = atomic_load_explicit(&outcome, memory_order_relaxed);
    if (now == NOT_TRIED) {
      now = gq_cuda_driver_open(&the_driver, failure, sizeof failure) ? LOADED : FAILED;
      loaded_by = getpid();
      /* [D1] release: the entry points, the text and the process that they belong to are written */
      atomic_store_explicit(&outcome, now, memory_order_release);
    }
    pthread_mutex_unlock(&loading);
  }
  if (now == FAILED) return gq_fail(GQ_NO_BACKEND, "%s", failure);
  if (loaded_by != getpid())
    return gq_fail(GQ_NO_BACKEND, "CUDA was initialised by process %ld before it forked this one, where it cannot be "
                                  "used: start a new program instead (Python's multiprocessing: \"spawn\")",
                   (long)loaded_by);
  *driver = &the_driver;
  return GQ_OK;
}

int32_t gq_cuda_driver_version(void)
{
  /* [D1] acquire, as above */
  return atomic_load_explicit(&outcome, memory_order_acquire) == NOT_TRIED ? 0 : the_driver.version;
}

const char *gq_cuda_driver_reason(void)
{
  /* [D1] acquire, as above */
  return atomic_load_explicit(&outcome, memory_order_acquire) == FAILED ? failure : "";
}
