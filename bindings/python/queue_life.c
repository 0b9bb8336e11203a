/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and ending a Queue. */
#include "binding.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------- opening */

static int64_t default_timeout(const gq_options *options)
{
  return options->timeout_ms < 0 ? GQ_FOREVER : options->timeout_ms * 1000000;
}

/* What is asked once, so that it can be told after the shutdown too. */
static int remember_backend(queue_object *self, const gq_queue *queue)
{
  const char *text = gq_describe(queue);
  self->describe = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
  self->backend = PyUnicode_FromString(gq_running_backend(queue) == GQ_BACKEND_CUDA ? "cuda" : "cpu");
  return self->describe && self->backend ? 0 : -1;
}

static int open_queue(queue_object *self, const gq_options *options)
{
  gq_queue *queue = NULL;
  gq_status status;
  Py_BEGIN_ALLOW_THREADS
  status = gq_init(&queue, options);
  Py_END_ALLOW_THREADS
  if (status != GQ_OK) {
    if (status == GQ_FAILED) raise_failed(self->state); /* by the handler's init */
    else raise_status(self->state, status);
    return -1;
  }
  if (remember_backend(self, queue) < 0) {
    Py_BEGIN_ALLOW_THREADS
    gq_shutdown(queue, 0);
    Py_END_ALLOW_THREADS
    return -1;
  }
  self->queue = queue;
  self->owner = getpid();
  self->default_timeout_ns = default_timeout(options);
  return 0;
}

int queue_init(queue_object *self, PyObject *args, PyObject *keywords)
{
  gq_options options;
  if (self->life != QUEUE_NEW) {
    raise_text(self->state, GQ_INVALID, "this Queue was opened before; make a new one");
    return -1;
  }
  self->life = QUEUE_OPENING; /* another thread that comes here while gq_init() runs is refused */
  PyObject *keep = options_from_arguments(self->state, args, keywords, &options);
  const int result = keep ? open_queue(self, &options) : -1;
  self->life = result == 0 ? QUEUE_OPEN : QUEUE_NEW;
  if (result < 0) {
    Py_CLEAR(self->describe);
    Py_CLEAR(self->backend);
  }
  Py_XDECREF(keep);
  return result;
}

PyObject *queue_enter(queue_object *self, PyObject *unused)
{
  (void)unused;
  if (!require_open(self)) return NULL;
  Py_INCREF(self);
  return (PyObject *)self;
}

/* ------------------------------------------------------------------------------------------------- ending */

static void nap(void)
{
  const struct timespec millisecond = {0, 1000000};
  Py_BEGIN_ALLOW_THREADS
  nanosleep(&millisecond, NULL);
  Py_END_ALLOW_THREADS
}

gq_status drain_slice(gq_queue *queue, void *unused, int64_t timeout_ns)
{
  (void)unused;
  return gq_drain(queue, timeout_ns);
}

/* Refuse new messages, and let every call under way leave, which takes a slice at most. Messages that those calls have
 * sent are in the queue then, and a drain that begins now waits for them too. */
static void close_to_users(queue_object *self)
{
  gq_close(self->queue);
  while (self->users > 0) nap();
}

/* Give the handle back; nobody uses it. */
static gq_status give_up_handle(queue_object *self)
{
  gq_queue *queue = self->queue;
  gq_status status;
  self->queue = NULL;
  self->event_fd = -1;
  Py_BEGIN_ALLOW_THREADS
  status = gq_shutdown(queue, 0);
  Py_END_ALLOW_THREADS
  self->life = QUEUE_CLOSED;
  return status;
}

/* End an open queue. It is ended whatever is raised: a signal handler's exception cuts only the draining short.
 * \return 0 with \p status, or -1 raised */
static int end_queue(queue_object *self, int64_t timeout_ns, gq_status *status)
{
  PyObject *type, *error, *traceback;
  gq_status drained = GQ_OK;
  self->life = QUEUE_CLOSING;
  self->closer = PyThread_get_thread_ident();
  close_to_users(self);
  const int result = run_in_slices_closing(self, drain_slice, NULL, timeout_ns, &drained);
  PyErr_Fetch(&type, &error, &traceback);
  *status = give_up_handle(self);
  PyErr_Restore(type, error, traceback);
  return result;
}

/* Another thread is ending the queue: wait until it has, so that it is ended when any shutdown() returns. */
static int await_closer(queue_object *self, int64_t timeout_ns)
{
  const int64_t deadline = timeout_ns < 0 ? INT64_MAX : now_ns() + timeout_ns;
  /* A signal handler that interrupted the shutdown in this very thread would wait for itself. */
  while (self->life == QUEUE_CLOSING && self->closer != PyThread_get_thread_ident()) {
    if (now_ns() >= deadline) {
      raise_timeout(self->state, "the shutdown by another thread did not end", timeout_ns);
      return -1;
    }
    nap();
    if (PyErr_CheckSignals() < 0) return -1;
  }
  return 0;
}

static int shut_down(queue_object *self, int64_t timeout_ns)
{
  gq_status status = GQ_OK;
  if (self->life == QUEUE_NEW) self->life = QUEUE_CLOSED;
  if (self->life == QUEUE_CLOSED) return 0;
  if (self->life == QUEUE_CLOSING && self->owner == getpid()) return await_closer(self, timeout_ns);
  if (!require_open(self) || end_queue(self, timeout_ns, &status) < 0) return -1;
  if (status == GQ_TIMEOUT) raise_timeout(self->state, "messages were given up: they did not finish", timeout_ns);
  else if (status != GQ_OK) raise_status(self->state, status);
  return status == GQ_OK ? 0 : -1;
}

PyObject *queue_shutdown(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"timeout", NULL};
  static const parameters expected = {"shutdown", names, 1, 0};
  PyObject *values[2];
  int64_t timeout_ns;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (to_timeout(values[0], self->default_timeout_ns, &timeout_ns) < 0) return NULL;
  if (shut_down(self, timeout_ns) < 0) return NULL;
  Py_RETURN_NONE;
}

/* Leaving a with block by an exception gives unfinished messages up, so that the exception is seen at once and
 * not hidden by another. In a forked child the queue is the parent's to end. */
PyObject *queue_exit(queue_object *self, PyObject *args)
{
  PyObject *type = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : Py_None;
  if (self->life == QUEUE_CLOSED || self->owner != getpid()) Py_RETURN_NONE;
  if (shut_down(self, type == Py_None ? self->default_timeout_ns : 0) < 0) {
    if (type == Py_None || !PyErr_ExceptionMatches(self->state->error)) return NULL;
    PyErr_Clear();
  }
  Py_RETURN_NONE;
}

/* Nobody uses the object any more, so nobody waits on the handle either. A forked child leaves it alone: the
 * threads behind it exist only in the parent. */
void queue_finalize(queue_object *self)
{
  PyObject *type, *error, *traceback;
  if (self->life != QUEUE_OPEN || self->owner != getpid()) return;
  PyErr_Fetch(&type, &error, &traceback);
  if (PyErr_ResourceWarning((PyObject *)self, 1, "unclosed %R", self) < 0) PyErr_WriteUnraisable((PyObject *)self);
  if (self->life == QUEUE_OPEN) {
    self->life = QUEUE_CLOSING;
    self->closer = PyThread_get_thread_ident();
    give_up_handle(self);
  }
  PyErr_Restore(type, error, traceback);
}
