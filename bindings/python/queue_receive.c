/* SPDX-License-Identifier: Apache-2.0 */
/* Queue.try_dequeue_result(), result(), poll(), wait() and fileno(). */
#include "binding.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SMALL_RESULT_BYTES = 1024, DEFAULT_MAX = 256 };

static PyStructSequence_Field completion_fields[] = {
  {"id", "what enqueue() returned"},
  {"tag", "the tag given to enqueue()"},
  {"key", "the key given to enqueue()"},
  {"status", "Status.OK, FAILED, CANCELLED, RESULT_TOO_LARGE or MALFORMED"},
  {"data", "the result as bytes; None unless status is Status.OK"},
  {"code", "with Status.FAILED: what the handler returned last"},
  {"attempts", "how often the handler ran"},
  {NULL, NULL},
};
PyStructSequence_Desc completion_description = {
  "gpuqueue.Completion", "A finished message.", completion_fields, 7,
};

/* ------------------------------------------------------------------------------------------- one result by id */

typedef struct dequeue {
  uint64_t id;
  void *data;
  size_t size;
} dequeue;

static gq_status dequeue_slice(gq_queue *queue, void *argument, int64_t timeout_ns)
{
  dequeue *wanted = argument;
  if (timeout_ns == 0) return gq_try_dequeue_result(queue, wanted->id, wanted->data, &wanted->size);
  return gq_dequeue_result(queue, wanted->id, wanted->data, &wanted->size, timeout_ns);
}

static void raise_result_error(queue_object *self, gq_status status, uint64_t id, int64_t timeout_ns)
{
  char what[64];
  snprintf(what, sizeof what, "no result of message %#llx", (unsigned long long)id);
  if (status == GQ_TIMEOUT || status == GQ_AGAIN) raise_timeout(self->state, what, timeout_ns);
  else if (status == GQ_FAILED) raise_failed(self->state);
  else raise_status(self->state, status);
}

/* The result as bytes, NULL raised, or NULL without an exception if it is not there in time. */
static PyObject *dequeue_bytes(queue_object *self, uint64_t id, int64_t timeout_ns, gq_status *status)
{
  char small[SMALL_RESULT_BYTES];
  dequeue wanted = {id, small, sizeof small};
  PyObject *bytes = NULL;
  if (run_in_slices(self, dequeue_slice, &wanted, timeout_ns, true, status) < 0) return NULL;
  while (*status == GQ_TOO_SMALL) {
    /* The bytes object is ours alone until it is returned, so it may be written without the GIL. */
    const size_t size = wanted.size;
    Py_XDECREF(bytes);
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!bytes) return NULL;
    wanted.data = PyBytes_AS_STRING(bytes);
    if (run_in_slices(self, dequeue_slice, &wanted, 0, size <= COPY_WITH_GIL_BYTES, status) < 0) goto fail;
  }
  if (*status != GQ_OK) goto fail;
  if (!bytes) return PyBytes_FromStringAndSize(small, (Py_ssize_t)wanted.size);
  if ((size_t)PyBytes_GET_SIZE(bytes) != wanted.size) _PyBytes_Resize(&bytes, (Py_ssize_t)wanted.size);
  return bytes;
fail:
  Py_XDECREF(bytes);
  return NULL;
}

PyObject *queue_try_dequeue_result(queue_object *self, PyObject *id)
{
  uint64_t number;
  gq_status status = GQ_OK;
  if (to_uint64("id", id, &number) < 0) return NULL;
  PyObject *bytes = dequeue_bytes(self, number, 0, &status);
  if (bytes || PyErr_Occurred()) return bytes;
  if (status == GQ_AGAIN) Py_RETURN_NONE;
  raise_result_error(self, status, number, 0);
  return NULL;
}

PyObject *queue_result(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"id", "timeout", NULL};
  static const parameters expected = {"result", names, 2, 1};
  PyObject *values[3];
  uint64_t id;
  int64_t timeout_ns;
  gq_status status = GQ_OK;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (to_uint64("id", values[0], &id) < 0) return NULL;
  if (to_timeout(values[1], self->default_timeout_ns, &timeout_ns) < 0) return NULL;
  PyObject *bytes = dequeue_bytes(self, id, timeout_ns, &status);
  if (!bytes && !PyErr_Occurred()) raise_result_error(self, status, id, timeout_ns);
  return bytes;
}

/* --------------------------------------------------------------------------------------------- completions */

typedef struct taking {
  gq_completion completions[CHUNK];
  PyObject *data[CHUNK];
  size_t max, count;
} taking;

static gq_status take_slice(gq_queue *queue, void *argument, int64_t timeout_ns)
{
  taking *take = argument;
  if (timeout_ns == 0) return gq_poll(queue, take->completions, take->max, &take->count);
  return gq_wait(queue, take->completions, take->max, timeout_ns, &take->count);
}

static void copy_results(const taking *take)
{
  for (size_t i = 0; i < take->count; i++)
    if (take->data[i] && take->completions[i].size)
      memcpy(PyBytes_AS_STRING(take->data[i]), take->completions[i].data, take->completions[i].size);
}

/* Copy the results out of the lane and let go of it. No Python code can run here while the handle is in use: a
 * finalizer that shut the queue down would take the completions from under us. Bytes are not tracked by the
 * garbage collector, so making them starts no collection. */
static int copy_and_release(queue_object *self, taking *take)
{
  size_t bytes = 0;
  int result = 0;
  for (size_t i = 0; i < take->count; i++) {
    const gq_completion *completion = &take->completions[i];
    take->data[i] = NULL;
    if (completion->status != GQ_OK || result < 0) continue;
    take->data[i] = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)completion->size);
    if (!take->data[i]) result = -1;
    bytes += completion->size;
  }
  if (bytes <= COPY_WITH_GIL_BYTES || result < 0) {
    if (result == 0) copy_results(take);
  } else {
    self->users++;
    Py_BEGIN_ALLOW_THREADS
    copy_results(take);
    Py_END_ALLOW_THREADS
    self->users--;
  }
  gq_release(self->queue, take->completions, take->count);
  return result;
}

static PyObject *status_member(module_state *state, gq_status status)
{
  if ((int)status < 0 || (int)status >= STATUS_COUNT) return PyLong_FromLong(status);
  Py_INCREF(state->statuses[status]);
  return state->statuses[status];
}

/* Takes the reference to data. */
static PyObject *make_completion(module_state *state, const gq_completion *completion, PyObject *data)
{
  PyObject *result = PyStructSequence_New(state->completion_type);
  if (!data) {
    data = Py_None;
    Py_INCREF(data);
  }
  if (!result) {
    Py_DECREF(data);
    return NULL;
  }
  PyObject *fields[] = {
    PyLong_FromUnsignedLongLong(completion->id), PyLong_FromUnsignedLongLong(completion->tag),
    PyLong_FromUnsignedLongLong(completion->key), status_member(state, completion->status), data,
    PyLong_FromLong(completion->code), PyLong_FromUnsignedLong(completion->attempts),
  };
  bool complete = true;
  for (Py_ssize_t i = 0; i < (Py_ssize_t)(sizeof fields / sizeof *fields); i++) {
    complete = complete && fields[i];
    PyStructSequence_SET_ITEM(result, i, fields[i]);
  }
  if (!complete) Py_CLEAR(result);
  return result;
}

static int append_completions(module_state *state, taking *take, PyObject *list)
{
  int result = 0;
  for (size_t i = 0; i < take->count; i++) {
    PyObject *completion = result == 0 ? make_completion(state, &take->completions[i], take->data[i]) : NULL;
    if (result < 0) Py_XDECREF(take->data[i]);
    else if (!completion || PyList_Append(list, completion) < 0) result = -1;
    Py_XDECREF(completion);
  }
  return result;
}

/* Take back the readiness of the event descriptor before looking for completions, so that one that comes later
 * sets it again. The descriptor may block: it is read only if poll() says that it has something. */
static void clear_event(queue_object *self)
{
  uint64_t events;
  struct pollfd wanted = {.fd = self->event_fd, .events = POLLIN};
  if (self->event_fd < 0 || poll(&wanted, 1, 0) != 1) return;
  if (read(self->event_fd, &events, sizeof events) < 0) return; /* another thread was faster: it is not readable */
}

/* There may be more completions than were asked for: the descriptor has to go on saying so. */
static void set_event(queue_object *self)
{
  const uint64_t one = 1;
  if (self->event_fd < 0 || self->life != QUEUE_OPEN) return;
  if (write(self->event_fd, &one, sizeof one) < 0) return; /* it is full: it is readable */
}

static PyObject *take_completions(queue_object *self, size_t max, int64_t timeout_ns, gq_status *status)
{
  PyObject *list = PyList_New(0);
  taking take;
  size_t taken = 0;
  if (!list) return NULL;
  if (!require_open(self)) goto fail;
  clear_event(self);
  while (taken < max) {
    if (taken && self->life != QUEUE_OPEN) break; /* shut down meanwhile: what was taken is still the caller's */
    take.max = max - taken < CHUNK ? max - taken : CHUNK;
    take.count = 0;
    if (run_in_slices(self, take_slice, &take, taken ? 0 : timeout_ns, true, status) < 0) goto fail;
    if (*status != GQ_OK) break;
    taken += take.count;
    if (copy_and_release(self, &take) < 0 || append_completions(self->state, &take, list) < 0) goto fail;
  }
  if (taken == max) set_event(self);
  if (taken) *status = GQ_OK; /* an error that came after them will be met by the next call */
  return list;
fail:
  Py_DECREF(list);
  return NULL;
}

PyObject *queue_poll(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"max", NULL};
  static const parameters expected = {"poll", names, 1, 0};
  PyObject *values[2];
  size_t max = DEFAULT_MAX;
  gq_status status = GQ_OK;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (values[0] && to_maximum(values[0], &max) < 0) return NULL;
  PyObject *list = take_completions(self, max, 0, &status);
  if (list && status != GQ_OK && status != GQ_AGAIN) {
    Py_CLEAR(list);
    raise_status(self->state, status);
  }
  return list;
}

PyObject *queue_wait(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"max", "timeout", NULL};
  static const parameters expected = {"wait", names, 2, 0};
  PyObject *values[3];
  size_t max = DEFAULT_MAX;
  int64_t timeout_ns;
  gq_status status = GQ_OK;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (values[0] && to_maximum(values[0], &max) < 0) return NULL;
  if (to_timeout(values[1], self->default_timeout_ns, &timeout_ns) < 0) return NULL;
  PyObject *list = take_completions(self, max, timeout_ns, &status);
  if (!list || status == GQ_OK) return list;
  if (status == GQ_TIMEOUT || status == GQ_AGAIN) raise_timeout(self->state, "no completion", timeout_ns);
  else raise_status(self->state, status);
  Py_DECREF(list);
  return NULL;
}

PyObject *queue_fileno(queue_object *self, PyObject *unused)
{
  (void)unused;
  if (!require_open(self)) return NULL;
  if (self->event_fd < 0) {
    const int descriptor = gq_event_fd(self->queue);
    if (descriptor < 0) {
      raise_status(self->state, GQ_SYSTEM);
      return NULL;
    }
    self->event_fd = descriptor;
  }
  return PyLong_FromLong(self->event_fd);
}
