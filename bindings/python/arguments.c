/* SPDX-License-Identifier: Apache-2.0 */
/* From Python arguments to C values, with errors that name the argument. */
#include "binding.h"

#include <math.h>

static Py_ssize_t index_of_name(const parameters *expected, PyObject *name)
{
  for (Py_ssize_t i = 0; expected->names[i]; i++)
    if (PyUnicode_CompareWithASCIIString(name, expected->names[i]) == 0) return i;
  return -1;
}

int bind_arguments(const parameters *expected, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                   PyObject **values)
{
  const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; expected->names[i]; i++) values[i] = NULL;
  if (count > expected->positional) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %zd positional argument%s (%zd given)", expected->function,
                 expected->positional, expected->positional == 1 ? "" : "s", count);
    return -1;
  }
  for (Py_ssize_t i = 0; i < count; i++) values[i] = args[i];
  for (Py_ssize_t i = 0; i < named; i++) {
    PyObject *name = PyTuple_GET_ITEM(keywords, i);
    const Py_ssize_t index = index_of_name(expected, name);
    if (index < 0) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", expected->function, name);
      return -1;
    }
    if (values[index]) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument %R", expected->function, name);
      return -1;
    }
    values[index] = args[count + i];
  }
  for (Py_ssize_t i = 0; i < expected->required; i++) {
    if (values[i]) continue;
    PyErr_Format(PyExc_TypeError, "%s() misses its argument '%s'", expected->function, expected->names[i]);
    return -1;
  }
  return 0;
}

int to_uint64(const char *name, PyObject *value, uint64_t *number)
{
  PyObject *integer = PyNumber_Index(value);
  if (!integer) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "%s must be an int, not %.200s", name, Py_TYPE(value)->tp_name);
    return -1;
  }
  const unsigned long long result = PyLong_AsUnsignedLongLong(integer);
  if (result == (unsigned long long)-1 && PyErr_Occurred()) {
    PyErr_Format(PyExc_OverflowError, "%s must be from 0 to 2**64 - 1, not %S", name, integer);
    Py_DECREF(integer);
    return -1;
  }
  Py_DECREF(integer);
  *number = result;
  return 0;
}

int to_timeout(PyObject *value, int64_t default_ns, int64_t *timeout_ns)
{
  if (!value || value == Py_None) {
    *timeout_ns = default_ns;
    return 0;
  }
  const double seconds = PyFloat_AsDouble(value);
  if (seconds == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "timeout must be a number of seconds or None, not %.200s", Py_TYPE(value)->tp_name);
    return -1;
  }
  if (isnan(seconds) || seconds < 0) {
    PyErr_Format(PyExc_ValueError, "timeout must be at least 0 seconds, or None for the queue's own, not %R", value);
    return -1;
  }
  /* 9e9 s is near the end of int64_t nanoseconds: some 285 years, which nobody will see run out. */
  *timeout_ns = seconds > 9e9 ? GQ_FOREVER : (int64_t)ceil(seconds * 1e9);
  return 0;
}

int to_maximum(PyObject *value, size_t *maximum)
{
  uint64_t number;
  if (to_uint64("max", value, &number) < 0) return -1;
  if (number == 0) {
    PyErr_SetString(PyExc_ValueError, "max must be at least 1, not 0");
    return -1;
  }
  *maximum = number > SIZE_MAX ? SIZE_MAX : (size_t)number;
  return 0;
}

int to_payload(PyObject *object, Py_buffer *view)
{
  if (PyObject_GetBuffer(object, view, PyBUF_SIMPLE) == 0) return 0;
  /* Exporters disagree: a sliced memoryview raises BufferError, a sliced numpy array ValueError. */
  if (PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_ValueError)) {
    PyErr_Clear();
    PyErr_Format(PyExc_BufferError, "a message must be contiguous memory, which this %.200s is not; "
                 "bytes() makes a contiguous copy", Py_TYPE(object)->tp_name);
  }
  return -1;
}
