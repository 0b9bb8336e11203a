/* SPDX-License-Identifier: Apache-2.0 */
/* gpuqueue.Status, and an exception class for each status that is an error. */
#include "binding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct error_class {
  gq_status status;
  const char *name;  /* with "gpuqueue." before it */
  PyObject **also;   /* a built-in exception that it is as well, or NULL */
  const char *doc;
} error_class;

static PyObject *status_dict(module_state *state, gq_status status)
{
  PyObject *dict = PyDict_New();
  if (dict && PyDict_SetItemString(dict, "status", state->statuses[status]) < 0) Py_CLEAR(dict);
  return dict;
}

/* KeyError shows the repr of its text; the text of an UnknownId is a sentence. */
static int use_plain_str(PyObject *dict)
{
  PyObject *plain = PyObject_GetAttrString(PyExc_Exception, "__str__");
  const int result = plain ? PyDict_SetItemString(dict, "__str__", plain) : -1;
  Py_XDECREF(plain);
  return result;
}

static int failed_defaults(PyObject *dict)
{
  const int result = PyDict_SetItemString(dict, "code", Py_None);
  return result < 0 ? result : PyDict_SetItemString(dict, "attempts", Py_None);
}

static PyObject *make_class(module_state *state, const error_class *class)
{
  PyObject *result = NULL, *bases = NULL, *dict = status_dict(state, class->status);
  if (!dict) return NULL;
  if (class->status == GQ_UNKNOWN_ID && use_plain_str(dict) < 0) goto done;
  if (class->status == GQ_FAILED && failed_defaults(dict) < 0) goto done;
  bases = class->also ? PyTuple_Pack(2, state->error, *class->also) : PyTuple_Pack(1, state->error);
  if (bases) result = PyErr_NewExceptionWithDoc(class->name, class->doc, bases, dict);
done:
  Py_XDECREF(bases);
  Py_DECREF(dict);
  return result;
}

static int add_class(PyObject *module, const char *dotted_name, PyObject *class)
{
  Py_INCREF(class);
  if (PyModule_AddObject(module, strchr(dotted_name, '.') + 1, class) == 0) return 0;
  Py_DECREF(class);
  return -1;
}

static int add_statuses(PyObject *module, module_state *state)
{
  PyObject *enumeration = PyImport_ImportModule("enum"), *members = PyList_New(0);
  int result = -1;
  if (!enumeration || !members) goto done;
  for (int i = 0; i < STATUS_COUNT; i++) {
    PyObject *member = Py_BuildValue("(si)", gq_status_name(i) + strlen("GQ_"), i);
    const int failed = !member || PyList_Append(members, member) < 0;
    Py_XDECREF(member);
    if (failed) goto done;
  }
  PyObject *base = PyObject_GetAttrString(enumeration, "IntEnum");
  PyObject *args = base ? Py_BuildValue("(sO)", "Status", members) : NULL;
  PyObject *keywords = args ? Py_BuildValue("{ss}", "module", "gpuqueue") : NULL;
  if (keywords) state->status_type = PyObject_Call(base, args, keywords);
  Py_XDECREF(keywords);
  Py_XDECREF(args);
  Py_XDECREF(base);
  if (!state->status_type) goto done;
  for (int i = 0; i < STATUS_COUNT; i++)
    if (!(state->statuses[i] = PyObject_CallFunction(state->status_type, "i", i))) goto done;
  result = add_class(module, "gpuqueue.Status", state->status_type);
done:
  Py_XDECREF(members);
  Py_XDECREF(enumeration);
  return result;
}

/* What no status stands for: these come from the binding itself. */
static int add_own_classes(PyObject *module, module_state *state)
{
  PyObject *bases = PyTuple_Pack(2, state->errors[GQ_INVALID], PyExc_TypeError);
  if (!bases) return -1;
  state->unknown_option =
    PyErr_NewExceptionWithDoc("gpuqueue.UnknownOption", "There is no option of that name.", bases, NULL);
  Py_DECREF(bases);
  if (!state->unknown_option || add_class(module, "gpuqueue.UnknownOption", state->unknown_option) < 0) return -1;
  state->wrong_process = PyErr_NewExceptionWithDoc(
    "gpuqueue.WrongProcess", "The queue was opened by the process that forked this one.", state->error, NULL);
  return state->wrong_process ? add_class(module, "gpuqueue.WrongProcess", state->wrong_process) : -1;
}

int errors_add(PyObject *module, module_state *state)
{
  const error_class classes[] = {
    {GQ_TIMEOUT, "gpuqueue.Timeout", &PyExc_TimeoutError, "The time given ran out; the call can be repeated."},
    {GQ_FULL, "gpuqueue.Full", NULL, "No room for the message in the time given; it was not enqueued."},
    {GQ_FAILED, "gpuqueue.Failed", NULL,
     "The handler gave up on the message.\n\ncode: what the handler returned last; attempts: how often it ran."},
    {GQ_CANCELLED, "gpuqueue.Cancelled", NULL, "The message was cancelled before its handler ran."},
    {GQ_UNKNOWN_ID, "gpuqueue.UnknownId", &PyExc_KeyError,
     "No such message: never enqueued, or its result was taken already."},
    {GQ_TOO_LARGE, "gpuqueue.TooLarge", &PyExc_ValueError, "The message exceeds max_message_bytes."},
    {GQ_RESULT_TOO_LARGE, "gpuqueue.ResultTooLarge", NULL, "The result exceeds what the message has room for."},
    {GQ_SHUT_DOWN, "gpuqueue.ShutDown", NULL, "The queue is shutting down or shut down."},
    {GQ_INVALID, "gpuqueue.InvalidOption", &PyExc_ValueError, "An argument or option is out of range or unknown."},
    {GQ_NO_HANDLER, "gpuqueue.NoHandler", &PyExc_ValueError, "No handler of that name, or not in that scope."},
    {GQ_NO_BACKEND, "gpuqueue.NoBackend", NULL, "The backend asked for cannot run here."},
    {GQ_NO_DEVICE, "gpuqueue.NoDevice", NULL, "No device of that number."},
    {GQ_DEVICE_LOST, "gpuqueue.DeviceLost", NULL, "The device faulted or stopped answering."},
    {GQ_NO_MEMORY, "gpuqueue.NoMemory", &PyExc_MemoryError, "Host or device memory ran out."},
    {GQ_SYSTEM, "gpuqueue.SystemCallFailed", &PyExc_OSError, "An operating system call failed."},
    {GQ_MALFORMED, "gpuqueue.Malformed", NULL, "The consumer refused the message's cell."},
    {GQ_BAD_HANDLER, "gpuqueue.BadHandler", &PyExc_ValueError,
     "The handler does not compile, or its file is damaged or of another version."},
  };
  if (add_statuses(module, state) < 0) return -1;
  state->error = PyErr_NewExceptionWithDoc("gpuqueue.Error", "What every error of gpuqueue is.\n\nstatus: its "
                                           "gpuqueue.Status, or None.", NULL, NULL);
  if (!state->error || PyObject_SetAttrString(state->error, "status", Py_None) < 0 ||
      add_class(module, "gpuqueue.Error", state->error) < 0)
    return -1;
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    PyObject *class = make_class(state, &classes[i]);
    if (!class) return -1;
    state->errors[classes[i].status] = class;
    if (add_class(module, classes[i].name, class) < 0) return -1;
  }
  return add_own_classes(module, state);
}

static PyObject *class_of(const module_state *state, gq_status status)
{
  PyObject *class = (int)status >= 0 && (int)status < STATUS_COUNT ? state->errors[status] : NULL;
  return class ? class : state->error;
}

void raise_status(module_state *state, gq_status status)
{
  const char *text = gq_last_error();
  if (!*text) text = gq_status_text(status);
  PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
  if (!message) return;
  PyErr_SetObject(class_of(state, status), message);
  Py_DECREF(message);
}

void raise_text(module_state *state, gq_status status, const char *format, ...)
{
  va_list values;
  va_start(values, format);
  PyErr_FormatV(class_of(state, status), format, values);
  va_end(values);
}

void raise_timeout(module_state *state, const char *what, int64_t timeout_ns)
{
  char seconds[32];
  snprintf(seconds, sizeof seconds, "%g", (double)timeout_ns / 1e9);
  raise_text(state, GQ_TIMEOUT, "%s within %s s", what, seconds);
}

void annotate_error(const char *name, PyObject *value)
{
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  /* The error itself is what the caller has to see; one that takes no attribute is raised as it is. */
  if (value && error && PyObject_SetAttrString(error, name, value) < 0) PyErr_Clear();
  Py_XDECREF(value);
  PyErr_Restore(type, error, traceback);
}

void raise_failed(module_state *state)
{
  int32_t code;
  uint32_t attempts;
  gq_last_failure(&code, &attempts);
  raise_status(state, GQ_FAILED);
  annotate_error("code", PyLong_FromLong(code));
  annotate_error("attempts", PyLong_FromUnsignedLong(attempts));
}
