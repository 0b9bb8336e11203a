/* SPDX-License-Identifier: Apache-2.0 */
/* Queue.enqueue(), enqueue_batch() and cancel(). */
#include "binding.h"

/* What the messages of one call have in common, from its keywords. */
typedef struct send_options {
  uint64_t key, tag, result_bytes;
  int64_t timeout_ns;
} send_options;

/* Messages on their way. The first `sent` of them have been enqueued. */
typedef struct sending {
  gq_message messages[CHUNK];
  Py_buffer views[CHUNK];
  uint64_t ids[CHUNK];
  size_t count, sent;
  size_t bytes;
  uint64_t refusals;  /* GQ_FULL answers so far */
} sending;

enum { SEND_DATA, SEND_KEY, SEND_TAG, SEND_TIMEOUT, SEND_RESULT_BYTES, SEND_PARAMETERS };

static int parse_send_options(queue_object *self, PyObject *const *values, send_options *options)
{
  *options = (send_options){0, 0, 0, 0};
  if (values[SEND_KEY] && to_uint64("key", values[SEND_KEY], &options->key) < 0) return -1;
  if (values[SEND_TAG] && to_uint64("tag", values[SEND_TAG], &options->tag) < 0) return -1;
  if (values[SEND_RESULT_BYTES] && to_uint64("result_bytes", values[SEND_RESULT_BYTES], &options->result_bytes) < 0)
    return -1;
  return to_timeout(values[SEND_TIMEOUT], self->default_timeout_ns, &options->timeout_ns);
}

static gq_status send_slice(gq_queue *queue, void *argument, int64_t timeout_ns)
{
  sending *send = argument;
  size_t done = 0;
  const gq_status status =
    send->count == 1 ? gq_enqueue(queue, send->messages, timeout_ns, send->ids)
                     : gq_enqueue_batch(queue, send->messages + send->sent, send->count - send->sent, timeout_ns,
                                        send->ids + send->sent, &done);
  send->sent += send->count == 1 ? status == GQ_OK : done;
  send->refusals += status == GQ_FULL;
  return status;
}

static int send_all(queue_object *self, sending *send, int64_t timeout_ns)
{
  gq_status status = GQ_OK;
  send->refusals = 0;
  const int result = run_in_slices(self, send_slice, send, timeout_ns, send->bytes <= COPY_WITH_GIL_BYTES, &status);
  const bool refused = result == 0 && status == GQ_FULL;
  self->hidden_refusals += send->refusals - (refused ? 1 : 0);
  if (result < 0) return -1;
  if (status != GQ_OK) raise_status(self->state, status);
  return status == GQ_OK ? 0 : -1;
}

static int add_message(sending *send, PyObject *data, const send_options *options)
{
  Py_buffer *view = &send->views[send->count];
  if (to_payload(data, view) < 0) return -1;
  send->messages[send->count++] = (gq_message){.data = view->buf, .size = (size_t)view->len, .key = options->key,
                                               .tag = options->tag, .result_bytes = (size_t)options->result_bytes};
  send->bytes += (size_t)view->len;
  return 0;
}

static void release_messages(sending *send)
{
  for (size_t i = 0; i < send->count; i++) PyBuffer_Release(&send->views[i]);
  send->count = send->sent = send->bytes = 0;
}

PyObject *queue_enqueue(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"data", "key", "tag", "timeout", "result_bytes", NULL};
  static const parameters expected = {"enqueue", names, 1, 1};
  PyObject *values[SEND_PARAMETERS + 1], *id = NULL;
  send_options options;
  sending send;
  send.count = send.sent = send.bytes = 0;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (parse_send_options(self, values, &options) < 0) return NULL;
  if (add_message(&send, values[SEND_DATA], &options) < 0) return NULL;
  if (send_all(self, &send, options.timeout_ns) == 0) id = PyLong_FromUnsignedLongLong(send.ids[0]);
  release_messages(&send);
  return id;
}

/* An item of a batch: a payload, or a tuple (payload, key, tag), whose tail may be left out. */
static int add_item(sending *send, PyObject *item, const send_options *common)
{
  send_options options = *common;
  if (!PyTuple_Check(item)) return add_message(send, item, &options);
  const Py_ssize_t parts = PyTuple_GET_SIZE(item);
  if (parts < 1 || parts > 3) {
    PyErr_Format(PyExc_TypeError, "a message must be bytes-like or a tuple (data, key, tag), not a tuple of %zd",
                 parts);
    return -1;
  }
  if (parts > 1 && to_uint64("key", PyTuple_GET_ITEM(item, 1), &options.key) < 0) return -1;
  if (parts > 2 && to_uint64("tag", PyTuple_GET_ITEM(item, 2), &options.tag) < 0) return -1;
  return add_message(send, PyTuple_GET_ITEM(item, 0), &options);
}

/* Take up to CHUNK messages from the iterator. 0 with count 0: there are no more. */
static int gather(sending *send, PyObject *iterator, const send_options *options)
{
  while (send->count < CHUNK) {
    PyObject *item = PyIter_Next(iterator);
    if (!item) return PyErr_Occurred() ? -1 : 0;
    const int added = add_item(send, item, options); /* the view holds what it needs of the item */
    Py_DECREF(item);
    if (added < 0) return -1;
    if (send->bytes > COPY_WITH_GIL_BYTES) return 0; /* do not hold a whole list of large items at a time */
  }
  return 0;
}

static int append_ids(PyObject *ids, const sending *send)
{
  for (size_t i = 0; i < send->sent; i++) {
    PyObject *id = PyLong_FromUnsignedLongLong(send->ids[i]);
    const int failed = !id || PyList_Append(ids, id) < 0;
    Py_XDECREF(id);
    if (failed) return -1;
  }
  return 0;
}

static int send_iterator(queue_object *self, PyObject *iterator, const send_options *options, PyObject *ids)
{
  sending send;
  send.count = send.sent = send.bytes = 0;
  const int64_t deadline = options->timeout_ns < 0 ? INT64_MAX : now_ns() + options->timeout_ns;
  for (;;) {
    const int gathered = gather(&send, iterator, options);
    if (gathered < 0 || send.count == 0) {
      release_messages(&send);
      return gathered;
    }
    const int64_t left = deadline == INT64_MAX ? GQ_FOREVER : deadline - now_ns();
    const int sent = send_all(self, &send, left < 0 && left != GQ_FOREVER ? 0 : left);
    const int appended = sent == 0 ? append_ids(ids, &send) : -1;
    if (sent < 0) {
      /* What was sent before the error has to be known too; a list that cannot grow now is worth a MemoryError. */
      PyObject *type, *error, *traceback;
      PyErr_Fetch(&type, &error, &traceback);
      if (append_ids(ids, &send) < 0) PyErr_Clear();
      PyErr_Restore(type, error, traceback);
    }
    release_messages(&send);
    if (appended < 0) return -1;
  }
}

PyObject *queue_enqueue_batch(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"messages", "key", "tag", "timeout", "result_bytes", NULL};
  static const parameters expected = {"enqueue_batch", names, 1, 1};
  PyObject *values[SEND_PARAMETERS + 1];
  send_options options;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (parse_send_options(self, values, &options) < 0) return NULL;
  if (!require_open(self)) return NULL;
  if (PyObject_CheckBuffer(values[SEND_DATA]) || PyUnicode_Check(values[SEND_DATA])) {
    PyErr_Format(PyExc_TypeError, "enqueue_batch() takes an iterable of messages, not one %.200s; "
                 "enqueue() sends one message", Py_TYPE(values[SEND_DATA])->tp_name);
    return NULL;
  }
  PyObject *ids = PyList_New(0), *iterator = ids ? PyObject_GetIter(values[SEND_DATA]) : NULL;
  if (iterator && send_iterator(self, iterator, &options, ids) < 0) {
    annotate_error("ids", ids);
    ids = NULL;
  } else if (!iterator) {
    Py_CLEAR(ids);
  }
  Py_XDECREF(iterator);
  return ids;
}

PyObject *queue_cancel(queue_object *self, PyObject *id)
{
  uint64_t number;
  if (to_uint64("id", id, &number) < 0 || !require_open(self)) return NULL;
  const gq_status status = gq_cancel(self->queue, number);
  if (status == GQ_OK) Py_RETURN_TRUE;
  if (status == GQ_AGAIN) Py_RETURN_FALSE;
  raise_status(self->state, status);
  return NULL;
}
