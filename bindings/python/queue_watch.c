/* SPDX-License-Identifier: Apache-2.0 */
/* What can be read about a queue, the library and the machine: stats(), info() and handlers(). */
#include "binding.h"

#include <stddef.h>

typedef struct counter {
  const char *name;
  size_t offset;
} counter;

#define COUNTER(field) {#field, offsetof(gq_statistics, field)}
static const counter counters[] = {
  COUNTER(enqueued), COUNTER(completed), COUNTER(failed), COUNTER(cancelled), COUNTER(retried),
  COUNTER(dead_lettered), COUNTER(rejected_full), COUNTER(depth), COUNTER(in_flight), COUNTER(unread),
  COUNTER(bytes_in), COUNTER(bytes_out), COUNTER(parks), COUNTER(relaunches), COUNTER(host_bytes),
  COUNTER(device_bytes),
};
static const counter stages[] = {COUNTER(wait), COUNTER(handler), COUNTER(deliver), COUNTER(total)};
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Takes the reference to value; NULL means that making it failed. */
static int put(PyObject *dict, const char *name, PyObject *value)
{
  const int result = value ? PyDict_SetItemString(dict, name, value) : -1;
  Py_XDECREF(value);
  return result;
}

static PyObject *latency_dict(const gq_latency *latency)
{
  return Py_BuildValue("{sKsKsKsKsKsK}", "samples", (unsigned long long)latency->samples,
                       "p50_ns", (unsigned long long)latency->p50, "p90_ns", (unsigned long long)latency->p90,
                       "p99_ns", (unsigned long long)latency->p99, "p999_ns", (unsigned long long)latency->p999,
                       "max_ns", (unsigned long long)latency->max);
}

PyObject *queue_stats(queue_object *self, PyObject *unused)
{
  (void)unused;
  gq_statistics statistics = {.size = sizeof statistics};
  if (!require_open(self)) return NULL;
  const gq_status status = gq_stats(self->queue, &statistics);
  if (status != GQ_OK) {
    raise_status(self->state, status);
    return NULL;
  }
  /* A wait for room is many waits of the library, each of which it counts as refused. */
  const uint64_t hidden = self->hidden_refusals;
  statistics.rejected_full -= hidden < statistics.rejected_full ? hidden : statistics.rejected_full;
  PyObject *dict = PyDict_New();
  if (!dict) return NULL;
  for (size_t i = 0; i < COUNT_OF(counters); i++) {
    const uint64_t *value = (const void *)((const char *)&statistics + counters[i].offset);
    if (put(dict, counters[i].name, PyLong_FromUnsignedLongLong(*value)) < 0) goto fail;
  }
  for (size_t i = 0; i < COUNT_OF(stages); i++) {
    const gq_latency *value = (const void *)((const char *)&statistics + stages[i].offset);
    if (put(dict, stages[i].name, latency_dict(value)) < 0) goto fail;
  }
  return dict;
fail:
  Py_DECREF(dict);
  return NULL;
}

static PyObject *device_dict(int number, const gq_device_info *device)
{
  return Py_BuildValue("{siss s(ii)si sKsOss}", "device", number, "name", device->name,
                       "capability", (int)device->capability_major, (int)device->capability_minor,
                       "sms", (int)device->sms, "memory_bytes", (unsigned long long)device->memory_bytes,
                       "usable", device->usable ? Py_True : Py_False, "reason", device->reason);
}

static PyObject *devices_list(module_state *state, int count)
{
  PyObject *list = PyList_New(0);
  for (int i = 0; list && i < count; i++) {
    gq_device_info device = {.size = sizeof device};
    gq_status status;
    Py_BEGIN_ALLOW_THREADS
    status = gq_get_device_info(i, &device);
    Py_END_ALLOW_THREADS
    if (status != GQ_OK) raise_status(state, status);
    PyObject *dict = status == GQ_OK ? device_dict(i, &device) : NULL;
    if (!dict || PyList_Append(list, dict) < 0) Py_CLEAR(list);
    Py_XDECREF(dict);
  }
  return list;
}

static PyObject *driver_text(int version)
{
  if (version <= 0) Py_RETURN_NONE;
  return PyUnicode_FromFormat("%d.%d", version / 1000, version % 1000 / 10);
}

PyObject *info_dict(PyObject *module, PyObject *unused)
{
  (void)unused;
  module_state *state = PyModule_GetState(module);
  gq_system_info info = {.size = sizeof info};
  gq_status status;
  Py_BEGIN_ALLOW_THREADS
  status = gq_get_system_info(&info); /* may load and start the CUDA driver */
  Py_END_ALLOW_THREADS
  if (status != GQ_OK) {
    raise_status(state, status);
    return NULL;
  }
  PyObject *dict = Py_BuildValue(
    "{ssss sOss sOss sisi}", "version", gq_version(), "build_archs", info.build_archs,
    "cuda_usable", info.cuda_usable ? Py_True : Py_False, "cuda_reason", info.cuda_reason,
    "cpu_usable", info.cpu_usable ? Py_True : Py_False, "cpu_reason", info.cpu_reason,
    "cpus", (int)info.cpus, "unit_bytes", (int)info.unit_bytes);
  if (!dict) return NULL;
  if (put(dict, "driver_version", driver_text(info.driver_version)) < 0 ||
      put(dict, "devices", devices_list(state, info.devices)) < 0)
    Py_CLEAR(dict);
  return dict;
}

PyObject *handlers_list(PyObject *module, PyObject *unused)
{
  (void)module, (void)unused;
  static const char *const outputs[] = {"raw", "hex", "text"};
  const gq_handler_info *handler;
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && (handler = gq_handler_describe(i)); i++) {
    const unsigned output = handler->output;
    PyObject *row = Py_BuildValue("{ssssssss}", "name", handler->name, "summary", handler->summary, "scopes",
                                  handler->scopes, "output", output < COUNT_OF(outputs) ? outputs[output] : "raw");
    if (!row || PyList_Append(list, row) < 0) Py_CLEAR(list);
    Py_XDECREF(row);
  }
  return list;
}
