/* SPDX-License-Identifier: Apache-2.0 */
/* Queue options by the names of the library's option table. */
#include "binding.h"

#include <string.h>

static const gq_option_info *find_option(PyObject *name)
{
  const gq_option_info *option;
  for (size_t i = 0; (option = gq_option_describe(i)); i++)
    if (PyUnicode_CompareWithASCIIString(name, option->name) == 0) return option;
  return NULL;
}

static void raise_unknown(module_state *state, PyObject *name)
{
  PyObject *known = PyUnicode_FromString("handler, args"), *longer;
  const gq_option_info *option;
  for (size_t i = 0; known && (option = gq_option_describe(i)); i++) {
    if (strcmp(option->name, "handler") == 0) continue;
    longer = PyUnicode_FromFormat("%U, %s", known, option->name);
    Py_DECREF(known);
    known = longer;
  }
  if (known) PyErr_Format(state->unknown_option, "Queue() has no option %R; there are %U", name, known);
  Py_XDECREF(known);
}

/* The text that gq_option_set() takes for a Python value: a new reference. */
static PyObject *value_text(PyObject *name, PyObject *value)
{
  if (PyUnicode_Check(value)) {
    Py_INCREF(value);
    return value;
  }
  if (PyBool_Check(value)) return PyUnicode_FromString(value == Py_True ? "1" : "0");
  if (PyIndex_Check(value)) {
    PyObject *integer = PyNumber_Index(value), *text = integer ? PyObject_Str(integer) : NULL;
    Py_XDECREF(integer);
    return text;
  }
  PyErr_Format(PyExc_TypeError, "option %U must be a str, int or bool, not %.200s", name, Py_TYPE(value)->tp_name);
  return NULL;
}

/* UTF-8 of a str without NUL characters, which would cut it short. Lives as long as text. */
static const char *to_c_string(PyObject *name, PyObject *text)
{
  Py_ssize_t size;
  const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
  if (bytes && strlen(bytes) != (size_t)size) {
    PyErr_Format(PyExc_ValueError, "%U contains a null character", name);
    return NULL;
  }
  return bytes;
}

static int set_option(module_state *state, PyObject *keep, PyObject *name, PyObject *value, gq_options *options)
{
  const gq_option_info *option = find_option(name);
  if (!option) {
    raise_unknown(state, name);
    return -1;
  }
  if (value == Py_None) return 0; /* the default */
  PyObject *text = value_text(name, value);
  if (!text) return -1;
  const int kept = PyList_Append(keep, text);
  Py_DECREF(text);
  if (kept < 0) return -1;
  const char *bytes = to_c_string(name, text);
  if (!bytes) return -1;
  const gq_status status = gq_option_set(options, option->name, bytes);
  if (status != GQ_OK) raise_status(state, status);
  return status == GQ_OK ? 0 : -1;
}

/* "KEY=VALUE" texts of a mapping, appended to keep. */
static int handler_arguments(PyObject *keep, PyObject *args, const char **texts)
{
  PyObject *label = PyUnicode_FromString("a handler argument"), *items = PyMapping_Items(args);
  int result = -1;
  if (!label || !items) goto done;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
    PyObject *pair = PyList_GET_ITEM(items, i), *text;
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyUnicode_Check(PyTuple_GET_ITEM(pair, 0))) {
      PyErr_Format(PyExc_TypeError, "args must map str keys to values, not hold %R", pair);
      goto done;
    }
    text = PyUnicode_FromFormat("%U=%S", PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    if (!text) goto done;
    const int kept = PyList_Append(keep, text);
    Py_DECREF(text);
    if (kept < 0 || !(texts[i] = to_c_string(label, text))) goto done;
  }
  result = 0;
done:
  Py_XDECREF(items);
  Py_XDECREF(label);
  return result;
}

static int set_handler_arguments(PyObject *keep, PyObject *args, gq_options *options)
{
  if (!args || args == Py_None) return 0;
  if (!PyMapping_Check(args) || !PyObject_HasAttrString(args, "items")) {
    PyErr_Format(PyExc_TypeError, "args must be a dict of handler arguments, not %.200s", Py_TYPE(args)->tp_name);
    return -1;
  }
  const Py_ssize_t count = PyMapping_Size(args);
  if (count < 0) return -1;
  /* The array of pointers lives in a bytearray of keep, so that one list owns all there is. */
  PyObject *array = PyByteArray_FromStringAndSize(NULL, (count + 1) * (Py_ssize_t)sizeof(char *));
  if (!array) return -1;
  const char **texts = (const char **)(void *)PyByteArray_AS_STRING(array);
  memset(texts, 0, (size_t)(count + 1) * sizeof *texts);
  const int kept = PyList_Append(keep, array);
  Py_DECREF(array);
  if (kept < 0 || handler_arguments(keep, args, texts) < 0) return -1;
  options->args = texts;
  return 0;
}

PyObject *options_from_arguments(module_state *state, PyObject *args, PyObject *keywords, gq_options *options)
{
  PyObject *handler = NULL, *name = NULL, *value, *handler_args = NULL;
  PyObject *label = PyUnicode_InternFromString("handler"), *keep = PyList_New(0);
  /* A copy, for a value's __index__() can be Python code that changes the caller's dict. */
  PyObject *named = keywords ? PyDict_Copy(keywords) : PyDict_New();
  Py_ssize_t position = 0;
  if (!keep || !label || !named) goto fail;
  if (PyTuple_GET_SIZE(args) > 1) {
    PyErr_Format(PyExc_TypeError, "Queue() takes at most 1 positional argument, the handler (%zd given)",
                 PyTuple_GET_SIZE(args));
    goto fail;
  }
  if (PyTuple_GET_SIZE(args) == 1) handler = PyTuple_GET_ITEM(args, 0);
  const gq_status status = gq_options_init(options);
  if (status != GQ_OK) {
    raise_status(state, status);
    goto fail;
  }
  if (handler && set_option(state, keep, label, handler, options) < 0) goto fail;
  while (PyDict_Next(named, &position, &name, &value)) {
    if (PyUnicode_CompareWithASCIIString(name, "args") == 0) {
      handler_args = value;
      continue;
    }
    if (handler && PyUnicode_CompareWithASCIIString(name, "handler") == 0) {
      PyErr_SetString(PyExc_TypeError, "Queue() got multiple values for argument 'handler'");
      goto fail;
    }
    if (set_option(state, keep, name, value, options) < 0) goto fail;
  }
  if (set_handler_arguments(keep, handler_args, options) < 0) goto fail;
  Py_DECREF(named);
  Py_DECREF(label);
  return keep;
fail:
  Py_XDECREF(named);
  Py_XDECREF(label);
  Py_XDECREF(keep);
  return NULL;
}

PyObject *options_list(PyObject *module, PyObject *unused)
{
  (void)module, (void)unused;
  const gq_option_info *option;
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && (option = gq_option_describe(i)); i++) {
    PyObject *row = Py_BuildValue("{ssssssssss}", "name", option->name, "type", option->type, "range", option->range,
                                  "default", option->def, "help", option->help);
    if (!row || PyList_Append(list, row) < 0) Py_CLEAR(list);
    Py_XDECREF(row);
  }
  return list;
}
