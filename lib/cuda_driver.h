/* SPDX-License-Identifier: Apache-2.0 */
/** \file cuda_driver.h
 * The CUDA driver, loaded when it is first needed, so that the library links nothing from NVIDIA and can say what
 * is missing. The types and constants of the driver API that are used are declared here (a build without a toolkit
 * has the same ABI); tests/test_driver.c compares them with cuda.h where there is one. */
#ifndef GQ_CUDA_DRIVER_H
#define GQ_CUDA_DRIVER_H

#include <gpuqueue/gpuqueue.h>
#include <stdbool.h>

/** The oldest CUDA version of a driver that will do: 11.4. */
#define GQ_CUDA_DRIVER_MINIMUM 11040

typedef unsigned gq_cuda_result;            /* CUresult; 0 is success */
typedef int gq_cuda_device;                 /* CUdevice */
typedef unsigned long long gq_cuda_address; /* CUdeviceptr */
typedef struct CUctx_st *gq_cuda_context;
typedef struct CUmod_st *gq_cuda_module;
typedef struct CUfunc_st *gq_cuda_function;
typedef struct CUstream_st *gq_cuda_stream;
typedef struct CUgraph_st *gq_cuda_graph;
typedef struct CUgraphExec_st *gq_cuda_graph_exec;

/* CUresult */
enum {
  GQ_CUDA_SUCCESS = 0,
  GQ_CUDA_INVALID_VALUE = 1,
  GQ_CUDA_OUT_OF_MEMORY = 2,
  GQ_CUDA_NOT_INITIALIZED = 3,
  GQ_CUDA_STUB_LIBRARY = 34,
  GQ_CUDA_NO_DEVICE = 100,
  GQ_CUDA_INVALID_DEVICE = 101,
  GQ_CUDA_INVALID_IMAGE = 200,
  GQ_CUDA_NO_BINARY_FOR_GPU = 209,
  GQ_CUDA_OPERATING_SYSTEM = 304,
  GQ_CUDA_NOT_FOUND = 500,
  GQ_CUDA_NOT_READY = 600,
  GQ_CUDA_ILLEGAL_ADDRESS = 700,
  GQ_CUDA_LAUNCH_TIMEOUT = 702,
  GQ_CUDA_HOST_MEMORY_ALREADY_REGISTERED = 712,
  GQ_CUDA_LAUNCH_FAILED = 719,
  GQ_CUDA_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
  GQ_CUDA_SYSTEM_NOT_READY = 802,
  GQ_CUDA_SYSTEM_DRIVER_MISMATCH = 803,
  GQ_CUDA_COMPAT_NOT_SUPPORTED_ON_DEVICE = 804,
  GQ_CUDA_MPS_CONNECTION_FAILED = 805,
  GQ_CUDA_MPS_CLIENT_TERMINATED = 810,
  GQ_CUDA_UNKNOWN = 999
};

/* CUdevice_attribute */
enum {
  GQ_CUDA_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  GQ_CUDA_ATTRIBUTE_KERNEL_EXEC_TIMEOUT = 17,
  GQ_CUDA_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
  GQ_CUDA_ATTRIBUTE_COMPUTE_MODE = 20,
  GQ_CUDA_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  GQ_CUDA_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  GQ_CUDA_ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
  GQ_CUDA_ATTRIBUTE_SHARED_OPTIN = 97 /* bytes of shared memory that a block may ask for */
};

enum { GQ_CUDA_COMPUTEMODE_PROHIBITED = 2, GQ_CUDA_COMPUTEMODE_EXCLUSIVE_PROCESS = 3 };
enum { GQ_CUDA_LAZY_LOADING = 2 };                                             /* CUmoduleLoadingMode */
enum { GQ_CUDA_CTX_SCHED_SPIN = 1, GQ_CUDA_CTX_SCHED_YIELD = 2, GQ_CUDA_CTX_SCHED_BLOCKING_SYNC = 4,
       GQ_CUDA_CTX_MAP_HOST = 8 };
enum { GQ_CUDA_STREAM_NON_BLOCKING = 1 };
enum { GQ_CUDA_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
enum { GQ_CUDA_MEMHOSTALLOC_PORTABLE = 1, GQ_CUDA_MEMHOSTALLOC_DEVICEMAP = 2, GQ_CUDA_MEMHOSTALLOC_WRITECOMBINED = 4 };
enum { GQ_CUDA_MEMHOSTREGISTER_PORTABLE = 1, GQ_CUDA_MEMHOSTREGISTER_DEVICEMAP = 2 };
/* CUfunction_attribute */
enum { GQ_CUDA_FUNC_MAX_THREADS_PER_BLOCK = 0, GQ_CUDA_FUNC_SHARED_SIZE_BYTES = 1, GQ_CUDA_FUNC_LOCAL_SIZE_BYTES = 3,
       GQ_CUDA_FUNC_NUM_REGS = 4, GQ_CUDA_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };

/** Every entry point that is used: ENTRY(name, CUDA version, required, parameters).
 * cuGetProcAddress() gives the newest form that is not newer than the version, so the version fixes the signature
 * whatever driver there is. 11040 is the oldest driver supported; cuCtxCreate is asked for at 11000, as its form
 * of 11040 has other parameters. What is not required may be NULL. */
#define GQ_CUDA_ENTRIES(ENTRY) \
  ENTRY(cuInit, 11040, 1, (unsigned flags)) \
  ENTRY(cuDriverGetVersion, 11040, 1, (int *version)) \
  ENTRY(cuGetErrorName, 11040, 1, (gq_cuda_result error, const char **name)) \
  ENTRY(cuGetErrorString, 11040, 1, (gq_cuda_result error, const char **text)) \
  ENTRY(cuDeviceGetCount, 11040, 1, (int *count)) \
  ENTRY(cuDeviceGet, 11040, 1, (gq_cuda_device *device, int number)) \
  ENTRY(cuDeviceGetName, 11040, 1, (char *name, int size, gq_cuda_device device)) \
  ENTRY(cuDeviceGetAttribute, 11040, 1, (int *value, unsigned attribute, gq_cuda_device device)) \
  ENTRY(cuDeviceTotalMem, 11040, 1, (size_t *bytes, gq_cuda_device device)) \
  ENTRY(cuCtxCreate, 11000, 1, (gq_cuda_context *context, unsigned flags, gq_cuda_device device)) \
  ENTRY(cuCtxDestroy, 11040, 1, (gq_cuda_context context)) \
  ENTRY(cuCtxSetCurrent, 11040, 1, (gq_cuda_context context)) \
  ENTRY(cuCtxGetCurrent, 11040, 1, (gq_cuda_context *context)) \
  ENTRY(cuCtxPushCurrent, 11040, 1, (gq_cuda_context context)) \
  ENTRY(cuCtxPopCurrent, 11040, 1, (gq_cuda_context *context)) \
  ENTRY(cuModuleLoadData, 11040, 1, (gq_cuda_module *module, const void *image)) \
  ENTRY(cuModuleLoadDataEx, 11040, 1, (gq_cuda_module *module, const void *image, unsigned count, unsigned *options, \
                                       void **values)) \
  ENTRY(cuModuleUnload, 11040, 1, (gq_cuda_module module)) \
  ENTRY(cuModuleGetFunction, 11040, 1, (gq_cuda_function *function, gq_cuda_module module, const char *name)) \
  ENTRY(cuModuleGetGlobal, 11040, 1, (gq_cuda_address *address, size_t *bytes, gq_cuda_module module, \
                                      const char *name)) \
  ENTRY(cuModuleGetLoadingMode, 11070, 0, (unsigned *mode)) \
  ENTRY(cuFuncSetAttribute, 11040, 1, (gq_cuda_function function, unsigned attribute, int value)) \
  ENTRY(cuFuncGetAttribute, 11040, 1, (int *value, unsigned attribute, gq_cuda_function function)) \
  ENTRY(cuFuncLoad, 12040, 0, (gq_cuda_function function)) \
  ENTRY(cuOccupancyMaxActiveBlocksPerMultiprocessor, 11040, 1, (int *blocks, gq_cuda_function function, \
                                                                int block_threads, size_t dynamic_shared_bytes)) \
  ENTRY(cuLaunchKernel, 11040, 1, (gq_cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, \
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes, \
                                   gq_cuda_stream stream, void **parameters, void **extra)) \
  ENTRY(cuLaunchCooperativeKernel, 11040, 1, (gq_cuda_function function, unsigned grid_x, unsigned grid_y, \
                                              unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, \
                                              unsigned shared_bytes, gq_cuda_stream stream, void **parameters)) \
  ENTRY(cuStreamCreate, 11040, 1, (gq_cuda_stream *stream, unsigned flags)) \
  ENTRY(cuStreamDestroy, 11040, 1, (gq_cuda_stream stream)) \
  ENTRY(cuStreamQuery, 11040, 1, (gq_cuda_stream stream)) \
  ENTRY(cuStreamSynchronize, 11040, 1, (gq_cuda_stream stream)) \
  ENTRY(cuMemAlloc, 11040, 1, (gq_cuda_address *address, size_t bytes)) \
  ENTRY(cuMemFree, 11040, 1, (gq_cuda_address address)) \
  ENTRY(cuMemHostAlloc, 11040, 1, (void **memory, size_t bytes, unsigned flags)) \
  ENTRY(cuMemFreeHost, 11040, 1, (void *memory)) \
  ENTRY(cuMemHostRegister, 11040, 1, (void *memory, size_t bytes, unsigned flags)) \
  ENTRY(cuMemHostUnregister, 11040, 1, (void *memory)) \
  ENTRY(cuMemHostGetDevicePointer, 11040, 1, (gq_cuda_address *address, void *memory, unsigned flags)) \
  ENTRY(cuMemsetD8Async, 11040, 1, (gq_cuda_address to, unsigned char value, size_t count, gq_cuda_stream stream)) \
  ENTRY(cuMemsetD32Async, 11040, 1, (gq_cuda_address to, unsigned value, size_t count, gq_cuda_stream stream)) \
  ENTRY(cuMemcpyHtoDAsync, 11040, 1, (gq_cuda_address to, const void *from, size_t bytes, gq_cuda_stream stream)) \
  ENTRY(cuMemcpyDtoHAsync, 11040, 1, (void *to, gq_cuda_address from, size_t bytes, gq_cuda_stream stream)) \
  ENTRY(cuMemGetInfo, 11040, 1, (size_t *free_bytes, size_t *total_bytes)) \
  GQ_CUDA_GRAPH_ENTRIES(ENTRY)

/** For measuring what a program without queues would do; queues use none of them. */
#define GQ_CUDA_GRAPH_ENTRIES(ENTRY) \
  ENTRY(cuStreamBeginCapture, 11040, 0, (gq_cuda_stream stream, unsigned mode)) \
  ENTRY(cuStreamEndCapture, 11040, 0, (gq_cuda_stream stream, gq_cuda_graph *graph)) \
  ENTRY(cuGraphInstantiateWithFlags, 11040, 0, (gq_cuda_graph_exec *made, gq_cuda_graph graph, \
                                                unsigned long long flags)) \
  ENTRY(cuGraphLaunch, 11040, 0, (gq_cuda_graph_exec graph, gq_cuda_stream stream)) \
  ENTRY(cuGraphExecDestroy, 11040, 0, (gq_cuda_graph_exec graph)) \
  ENTRY(cuGraphDestroy, 11040, 0, (gq_cuda_graph graph))

typedef struct gq_cuda_driver {
#define GQ_CUDA_ENTRY(name, version, required, parameters) gq_cuda_result (*name) parameters;
  GQ_CUDA_ENTRIES(GQ_CUDA_ENTRY)
#undef GQ_CUDA_ENTRY
  int32_t version; /**< CUDA version of the driver, 13000 for 13.0 */
} gq_cuda_driver;

/** Load the driver and initialise it, whether or not this was done before: for gq_cuda_driver_load(), which does it
 * once for the library, and for the command, which has a copy of this function. Sets CUDA_MODULE_LOADING, as below.
 * \return false with the reason in \p failure. */
bool gq_cuda_driver_open(gq_cuda_driver *driver, char *failure, size_t size);

/** Load the driver and initialise it, once a process; what came of it, good or bad, stays.
 *
 * Sets CUDA_MODULE_LOADING=EAGER in the environment, over any other value: a module loaded lazily takes the
 * context's lock at a kernel's first use and waits for the resident kernel. setenv() races with getenv() in other
 * threads of the program; who cannot have that sets the variable before starting threads, and then it is left alone.
 * \param driver  out: the entry points; static
 * \return GQ_OK; GQ_NO_BACKEND, with the reason in gq_last_error(): no driver, a toolkit's stub, too old, no device,
 *         CUDA_LAUNCH_BLOCKING set, called after fork() in a child of a process that had loaded it.
 * Any thread; may take seconds the first time. */
gq_status gq_cuda_driver_load(const gq_cuda_driver **driver);

/** The CUDA version of the driver found by gq_cuda_driver_load(), even if it could not be initialised; 0: none found
 * or not tried yet. */
int32_t gq_cuda_driver_version(void);

/** Why gq_cuda_driver_load() failed, the same to every thread; empty if it did not, or was not called. */
const char *gq_cuda_driver_reason(void);

/** Write "CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device is detected" to \p text and return it.
 * \param driver  may lack entry points: the number is enough */
const char *gq_cuda_error_text(const gq_cuda_driver *driver, gq_cuda_result error, char *text, size_t size);

#endif
