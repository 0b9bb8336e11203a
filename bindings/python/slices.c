/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting without the GIL, so that signals and a shutdown by another thread are seen in time. */
#include "binding.h"

#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool require_open(queue_object *self)
{
  if (self->life == QUEUE_NEW || self->life == QUEUE_OPENING) {
    raise_text(self->state, GQ_SHUT_DOWN, "the queue is not open: Queue.__init__() has not finished");
  } else if (self->owner != getpid()) {
    PyErr_Format(self->state->wrong_process, "the queue belongs to process %d, which forked this one (%d); "
                 "open a queue here", (int)self->owner, (int)getpid());
  } else if (self->life != QUEUE_OPEN) {
    raise_text(self->state, GQ_SHUT_DOWN, "the queue is shut down");
  } else {
    return true;
  }
  return false;
}

static bool is_pending(gq_status status)
{
  return status == GQ_AGAIN || status == GQ_TIMEOUT || status == GQ_FULL;
}

static gq_status run_slice(queue_object *self, slice_function slice, void *argument, int64_t timeout_ns)
{
  gq_status status;
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  status = slice(self->queue, argument, timeout_ns);
  Py_END_ALLOW_THREADS
  self->users--;
  return status;
}

static int run(queue_object *self, slice_function slice, void *argument, int64_t timeout_ns, bool closing,
               gq_status *status)
{
  const int64_t deadline = timeout_ns < 0 ? INT64_MAX : now_ns() + timeout_ns;
  for (;;) {
    /* Signals are handled outside of a slice: their handlers may shut this very queue down. */
    if (PyErr_CheckSignals() < 0 || (!closing && !require_open(self))) return -1;
    int64_t left = deadline - now_ns();
    if (left < 0) left = 0;
    *status = run_slice(self, slice, argument, left < SLICE_NS ? left : SLICE_NS);
    if (!is_pending(*status) || left <= SLICE_NS) return 0;
  }
}

int run_in_slices(queue_object *self, slice_function slice, void *argument, int64_t timeout_ns, bool quick,
                  gq_status *status)
{
  if (quick) {
    if (!require_open(self)) return -1;
    *status = slice(self->queue, argument, 0);
    if (!is_pending(*status) || timeout_ns == 0) return 0;
  }
  return run(self, slice, argument, timeout_ns, false, status);
}

int run_in_slices_closing(queue_object *self, slice_function slice, void *argument, int64_t timeout_ns,
                          gq_status *status)
{
  return run(self, slice, argument, timeout_ns, true, status);
}
