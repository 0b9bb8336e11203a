/* SPDX-License-Identifier: Apache-2.0 */
/* The type gpuqueue.Queue: its methods and attributes, and how an object is made and freed. */
#include "binding.h"

/* The module of the type or of the first of its bases that the extension made. PyType_GetModuleByDef() does this,
 * from Python 3.11 on. Borrowed. */
static PyObject *module_of_type(PyTypeObject *type)
{
  for (; type; type = type->tp_base) {
    PyObject *module = type->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject *)type)->ht_module : NULL;
    if (module && PyModule_GetDef(module) == &gpuqueue_module) return module;
  }
  PyErr_SetString(PyExc_SystemError, "a Queue of no gpuqueue module");
  return NULL;
}

static PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
  (void)args, (void)keywords;
  PyObject *module = module_of_type(type);
  queue_object *self = module ? (queue_object *)type->tp_alloc(type, 0) : NULL;
  if (!self) return NULL;
  Py_INCREF(module);
  self->module = module;
  self->state = PyModule_GetState(module);
  self->life = QUEUE_NEW;
  self->event_fd = -1;
  self->default_timeout_ns = GQ_FOREVER;
  return (PyObject *)self;
}

static void queue_dealloc(PyObject *object)
{
  queue_object *self = (queue_object *)object;
  PyTypeObject *type = Py_TYPE(object);
  if (PyObject_CallFinalizerFromDealloc(object) < 0) return; /* a finalizer kept it alive */
  Py_CLEAR(self->describe);
  Py_CLEAR(self->backend);
  Py_CLEAR(self->module);
  type->tp_free(object);
  Py_DECREF(type);
}

static PyObject *queue_drain(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
  static const char *const names[] = {"timeout", NULL};
  static const parameters expected = {"drain", names, 1, 0};
  PyObject *values[2];
  int64_t timeout_ns;
  gq_status status = GQ_OK;
  if (bind_arguments(&expected, args, count, keywords, values) < 0) return NULL;
  if (to_timeout(values[0], self->default_timeout_ns, &timeout_ns) < 0) return NULL;
  if (run_in_slices(self, drain_slice, NULL, timeout_ns, false, &status) < 0) return NULL;
  if (status == GQ_OK) Py_RETURN_NONE;
  if (status == GQ_TIMEOUT) raise_timeout(self->state, "the queue was not drained", timeout_ns);
  else raise_status(self->state, status);
  return NULL;
}

static PyObject *queue_repr(PyObject *object)
{
  const queue_object *self = (const queue_object *)object;
  static const char *const lives[] = {"not open", "opening", "open", "closing", "shut down"};
  const char *type = Py_TYPE(object)->tp_name, *life = lives[self->life];
  return self->describe ? PyUnicode_FromFormat("<%s: %U, %s>", type, self->describe, life)
                        : PyUnicode_FromFormat("<%s: %s>", type, life);
}

static PyObject *text_or_none(PyObject *text)
{
  if (!text) Py_RETURN_NONE;
  Py_INCREF(text);
  return text;
}

static PyObject *get_describe(PyObject *self, void *unused)
{
  (void)unused;
  return text_or_none(((queue_object *)self)->describe);
}

static PyObject *get_backend(PyObject *self, void *unused)
{
  (void)unused;
  return text_or_none(((queue_object *)self)->backend);
}

static PyObject *get_closed(PyObject *self, void *unused)
{
  (void)unused;
  return PyBool_FromLong(((queue_object *)self)->life != QUEUE_OPEN);
}

static PyGetSetDef attributes[] = {
  {"describe", get_describe, NULL, "The backend that runs, and why not another, as one line.", NULL},
  {"backend", get_backend, NULL, "What runs: 'cuda' or 'cpu'.", NULL},
  {"closed", get_closed, NULL, "Whether the queue is shut down, or shutting down.", NULL},
  {NULL, NULL, NULL, NULL, NULL},
};

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS
#define PLAIN(function, flags) (PyCFunction)(void (*)(void))(function), (flags)

static PyMethodDef methods[] = {
  {"enqueue", FAST(queue_enqueue),
   "enqueue($self, /, data, *, key=0, tag=0, timeout=None, result_bytes=0)\n--\n\n"
   "Enqueue one message and return its id.\n\nWaits for room; raises Full if there is none in time. The room is made "
   "by\nreading results: a thread that only enqueues fills the queue."},
  {"enqueue_batch", FAST(queue_enqueue_batch),
   "enqueue_batch($self, /, messages, *, key=0, tag=0, timeout=None, result_bytes=0)\n--\n\n"
   "Enqueue the messages of an iterable in order and return their ids.\n\nA message is bytes-like, or a tuple (data, "
   "key, tag) whose tail may be left\nout. What is raised has an attribute ids: the ids of those enqueued before."},
  {"try_dequeue_result", PLAIN(queue_try_dequeue_result, METH_O),
   "try_dequeue_result($self, id, /)\n--\n\n"
   "The result of message id, or None if the handler has not finished.\n\nAn empty result is b''. Each result is given "
   "out once."},
  {"result", FAST(queue_result),
   "result($self, /, id, timeout=None)\n--\n\n"
   "Wait for the result of message id.\n\nRaises Timeout, Failed, Cancelled, ResultTooLarge, UnknownId."},
  {"poll", FAST(queue_poll),
   "poll($self, /, max=256)\n--\n\nTake up to max completions that are there, oldest first."},
  {"wait", FAST(queue_wait),
   "wait($self, /, max=256, timeout=None)\n--\n\nLike poll(), but wait for the first; raises Timeout."},
  {"cancel", PLAIN(queue_cancel, METH_O),
   "cancel($self, id, /)\n--\n\n"
   "Ask that message id not be run. False: too late, its result is there."},
  {"drain", FAST(queue_drain),
   "drain($self, /, timeout=None)\n--\n\n"
   "Wait until every message enqueued so far has finished. Results stay to be read.\n\nWhile other threads go on "
   "enqueueing, a long wait is for their messages too."},
  {"stats", PLAIN(queue_stats, METH_NOARGS),
   "stats($self, /)\n--\n\nThe queue's counters and latency percentiles."},
  {"shutdown", FAST(queue_shutdown),
   "shutdown($self, /, timeout=None)\n--\n\n"
   "End the queue: refuse new messages, give those accepted until the timeout to\nfinish, drop results not read. "
   "Raises Timeout if messages were given up; the\nqueue is ended all the same. Calling it again does nothing."},
  {"fileno", PLAIN(queue_fileno, METH_NOARGS),
   "fileno($self, /)\n--\n\n"
   "A descriptor that is readable while completions may be there.\n\nFor select, selectors and asyncio; poll() and "
   "wait() take its readiness back.\nDo not close it: it is the queue's."},
  {"__enter__", PLAIN(queue_enter, METH_NOARGS), NULL},
  {"__exit__", PLAIN(queue_exit, METH_VARARGS), NULL},
  {NULL, NULL, 0, NULL},
};

static const char queue_doc[] =
  "Queue(handler='echo', *, args=None, **options)\n--\n\n"
  "A message queue whose consumer runs handler on the GPU, or on CPU threads.\n\n"
  "args: handler arguments, as a dict. The options are those of gpuqueue.options(),\n"
  "among them backend ('auto', 'cuda' or 'cpu'), capacity, max_message_bytes and\n"
  "timeout_ms, which is what timeout=None stands for (no limit unless it is set).\n"
  "Any number of threads may use one Queue. A forked child cannot use its parent's.";

static PyType_Slot slots[] = {
  {Py_tp_doc, (void *)(uintptr_t)queue_doc},
  {Py_tp_new, (void *)queue_new},
  {Py_tp_init, (void *)queue_init},
  {Py_tp_dealloc, (void *)queue_dealloc},
  {Py_tp_finalize, (void *)queue_finalize},
  {Py_tp_repr, (void *)queue_repr},
  {Py_tp_methods, methods},
  {Py_tp_getset, attributes},
  {0, NULL},
};

PyType_Spec queue_type_spec = {
  .name = "gpuqueue.Queue",
  .basicsize = sizeof(queue_object),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
  .slots = slots,
};
