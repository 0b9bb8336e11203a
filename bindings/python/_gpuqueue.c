/* SPDX-License-Identifier: Apache-2.0 */
/* The extension module gpuqueue._gpuqueue, which the package gpuqueue re-exports. */
#include "binding.h"

static int add_type(PyObject *module, const char *name, PyTypeObject *type)
{
  Py_INCREF(type);
  if (PyModule_AddObject(module, name, (PyObject *)type) == 0) return 0;
  Py_DECREF(type);
  return -1;
}

static int module_exec(PyObject *module)
{
  module_state *state = PyModule_GetState(module);
  if (errors_add(module, state) < 0) return -1;
  state->completion_type = PyStructSequence_NewType(&completion_description);
  if (!state->completion_type || add_type(module, "Completion", state->completion_type) < 0) return -1;
  state->queue_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &queue_type_spec, NULL);
  if (!state->queue_type || add_type(module, "Queue", state->queue_type) < 0) return -1;
  return PyModule_AddStringConstant(module, "version", gq_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
  module_state *state = PyModule_GetState(module);
  if (!state) return 0;
  Py_VISIT(state->error);
  Py_VISIT(state->unknown_option);
  Py_VISIT(state->wrong_process);
  Py_VISIT(state->status_type);
  Py_VISIT(state->queue_type);
  Py_VISIT(state->completion_type);
  for (int i = 0; i < STATUS_COUNT; i++) {
    Py_VISIT(state->errors[i]);
    Py_VISIT(state->statuses[i]);
  }
  return 0;
}

static int module_clear(PyObject *module)
{
  module_state *state = PyModule_GetState(module);
  if (!state) return 0;
  Py_CLEAR(state->error);
  Py_CLEAR(state->unknown_option);
  Py_CLEAR(state->wrong_process);
  Py_CLEAR(state->status_type);
  Py_CLEAR(state->queue_type);
  Py_CLEAR(state->completion_type);
  for (int i = 0; i < STATUS_COUNT; i++) {
    Py_CLEAR(state->errors[i]);
    Py_CLEAR(state->statuses[i]);
  }
  return 0;
}

static void module_free(void *module)
{
  module_clear(module);
}

static PyMethodDef functions[] = {
  {"handlers", handlers_list, METH_NOARGS,
   "handlers($module, /)\n--\n\nThe built-in handlers: dicts with name, summary, scopes and output."},
  {"options", options_list, METH_NOARGS,
   "options($module, /)\n--\n\nThe options of Queue(): dicts with name, type, range, default and help."},
  {"info", info_dict, METH_NOARGS,
   "info($module, /)\n--\n\nHow the library was built, what devices there are, and what can run on them."},
  {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
  {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030C0000
  {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* nobody has tried */
#endif
  {0, NULL},
};

struct PyModuleDef gpuqueue_module = {
  PyModuleDef_HEAD_INIT,
  .m_name = "_gpuqueue",
  .m_doc = "The C half of the package gpuqueue.",
  .m_size = sizeof(module_state),
  .m_methods = functions,
  .m_slots = slots,
  .m_traverse = module_traverse,
  .m_clear = module_clear,
  .m_free = module_free,
};

PyMODINIT_FUNC PyInit__gpuqueue(void);
PyMODINIT_FUNC PyInit__gpuqueue(void)
{
  return PyModuleDef_Init(&gpuqueue_module);
}
