/* SPDX-License-Identifier: Apache-2.0 */
/** \file binding.h
 * What the source files of the CPython extension share.
 *
 * The GIL guards every field of a Queue object. A gq_ call that may sleep or copy much is made without the GIL, in
 * slices of at most SLICE_NS, each counted in queue_object.users; between slices the caller looks for signals and
 * for a shutdown. A handle is therefore given to gq_shutdown() only when users is 0, with the GIL held from that
 * test until the object has forgotten the handle. */
#ifndef GPUQUEUE_PYTHON_BINDING_H
#define GPUQUEUE_PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <gpuqueue/gpuqueue.h>

#if PY_VERSION_HEX < 0x03090000
#error "gpuqueue needs Python 3.9 or later"
#endif

enum {
  STATUS_COUNT = GQ_BAD_HANDLER + 1, /* a newer library may know more; they become plain gpuqueue.Error */
  CHUNK = 128,                     /* messages or completions handled at a time, on the stack */
  COPY_WITH_GIL_BYTES = 65536      /* larger copies are made without the GIL */
};
#define SLICE_NS INT64_C(100000000)

typedef struct module_state {
  PyObject *error;                  /* gpuqueue.Error */
  PyObject *errors[STATUS_COUNT];   /* the subclass for a status, or NULL */
  PyObject *unknown_option;
  PyObject *wrong_process;
  PyObject *statuses[STATUS_COUNT]; /* members of gpuqueue.Status */
  PyObject *status_type;
  PyTypeObject *queue_type;
  PyTypeObject *completion_type;
} module_state;

typedef enum queue_life { QUEUE_NEW, QUEUE_OPENING, QUEUE_OPEN, QUEUE_CLOSING, QUEUE_CLOSED } queue_life;

typedef struct queue_object {
  PyObject_HEAD
  PyObject *module;          /* keeps state alive */
  module_state *state;
  gq_queue *queue;           /* valid while life is QUEUE_OPEN or QUEUE_CLOSING */
  queue_life life;
  size_t users;              /* gq_ calls under way on the handle without the GIL */
  unsigned long closer;      /* the thread that is shutting down, while QUEUE_CLOSING */
  pid_t owner;               /* the process that opened it */
  int event_fd;              /* -1 until fileno() */
  int64_t default_timeout_ns;
  uint64_t hidden_refusals;  /* GQ_FULL answers that were retried here, so that no caller saw them */
  PyObject *describe;        /* str; these two outlive the handle */
  PyObject *backend;         /* str */
} queue_object;

/* errors.c */
int errors_add(PyObject *module, module_state *state);
/** Raise the exception of \p status with the text of gq_last_error(), which must be this thread's latest. */
void raise_status(module_state *state, gq_status status);
void raise_text(module_state *state, gq_status status, const char *format, ...);
/** Raise Timeout: \p what did not happen in time. */
void raise_timeout(module_state *state, const char *what, int64_t timeout_ns);
/** Set \p name on the exception that is being raised. Takes the reference to \p value, which may be NULL. */
void annotate_error(const char *name, PyObject *value);
/* GQ_FAILED, with the code and the attempts of gq_last_failure(). */
void raise_failed(module_state *state);

/* arguments.c */
typedef struct parameters {
  const char *function;
  const char *const *names; /* NULL-terminated */
  Py_ssize_t positional;    /* how many of them may be given without their name */
  Py_ssize_t required;
} parameters;
/** Sort the arguments of a vectorcall into \p values, borrowed, NULL where not given. \return 0, or -1 raised. */
int bind_arguments(const parameters *expected, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                   PyObject **values);
int to_uint64(const char *name, PyObject *value, uint64_t *number);
int to_timeout(PyObject *value, int64_t default_ns, int64_t *timeout_ns);
int to_maximum(PyObject *value, size_t *maximum);
/** Export the bytes of \p object, which PyBuffer_Release() gives back. */
int to_payload(PyObject *object, Py_buffer *view);

/* options.c */
/** The gq_options of Queue(handler, *, args, **options). The strings in \p options live as long as the list that
 * is returned. \return a new reference, or NULL raised. */
PyObject *options_from_arguments(module_state *state, PyObject *args, PyObject *keywords, gq_options *options);
PyObject *options_list(PyObject *module, PyObject *unused);

/* slices.c */
/** One bounded part of a call. Runs without the GIL, except for a first quick try. */
typedef gq_status (*slice_function)(gq_queue *queue, void *argument, int64_t timeout_ns);
int64_t now_ns(void);
/** Whether calls can be made on the handle; raises if not. */
bool require_open(queue_object *self);
/** Call \p slice until it answers with something final (not GQ_AGAIN, GQ_TIMEOUT or GQ_FULL) or the time is up.
 * \param quick  try once with the GIL held first: for calls that then neither sleep nor copy much
 * \return 0 with \p status, or -1 raised: a signal handler's exception, ShutDown, WrongProcess */
int run_in_slices(queue_object *self, slice_function slice, void *argument, int64_t timeout_ns, bool quick,
                  gq_status *status);
/** The same for the thread that is ending the queue. */
int run_in_slices_closing(queue_object *self, slice_function slice, void *argument, int64_t timeout_ns,
                          gq_status *status);

/* queue_send.c */
PyObject *queue_enqueue(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *queue_enqueue_batch(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *queue_cancel(queue_object *self, PyObject *id);

/* queue_receive.c */
PyObject *queue_try_dequeue_result(queue_object *self, PyObject *id);
PyObject *queue_result(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *queue_poll(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *queue_wait(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *queue_fileno(queue_object *self, PyObject *unused);
extern PyStructSequence_Desc completion_description;

/* queue_life.c */
int queue_init(queue_object *self, PyObject *args, PyObject *keywords);
void queue_finalize(queue_object *self);
gq_status drain_slice(gq_queue *queue, void *unused, int64_t timeout_ns);
PyObject *queue_shutdown(queue_object *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *queue_enter(queue_object *self, PyObject *unused);
PyObject *queue_exit(queue_object *self, PyObject *args);

/* queue_watch.c */
PyObject *queue_stats(queue_object *self, PyObject *unused);
PyObject *info_dict(PyObject *module, PyObject *unused);
PyObject *handlers_list(PyObject *module, PyObject *unused);

/* queue_type.c */
extern PyType_Spec queue_type_spec;

/* _gpuqueue.c */
extern struct PyModuleDef gpuqueue_module;

#endif
