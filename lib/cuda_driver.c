/* SPDX-License-Identifier: Apache-2.0 */
#include "cuda_driver.h"
#include "error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void entry_point(void);
typedef gq_cuda_result get_proc_address_v1(const char *name, void **entry, int version, uint64_t flags);
typedef gq_cuda_result get_proc_address_v2(const char *name, void **entry, int version, uint64_t flags,
                                           unsigned *found);

enum { NOT_TRIED, LOADED, FAILED };

/* Written by the one thread that holds the lock, before it stores the outcome. */
static gq_cuda_driver the_driver;
static char failure[640];
static pid_t loaded_by;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static atomic_int outcome = NOT_TRIED;

/* cuInit()'s errors that say something about the machine, and what can be done about them. */
static const struct { gq_cuda_result error; const char *advice; } init_advice[] = {
  { GQ_CUDA_STUB_LIBRARY, "the libcuda.so.1 found is the CUDA toolkit's stub, which is for linking only: "
                          "take its directory out of LD_LIBRARY_PATH and install the NVIDIA driver" },
  { GQ_CUDA_NO_DEVICE, "the driver finds no GPU" },
  { GQ_CUDA_OPERATING_SYSTEM, "the driver cannot open its devices: are there /dev/nvidia* files that this user may "
                              "open, and was the container started with the GPU?" },
  { GQ_CUDA_SYSTEM_NOT_READY, "the GPUs are not ready yet: is the fabric manager (nvidia-fabricmanager) running?" },
  { GQ_CUDA_SYSTEM_DRIVER_MISMATCH, "libcuda.so.1 and the loaded kernel module are of different driver versions: "
                                    "restart the machine after a driver update, and take any directory with another "
                                    "libcuda.so.1 (such as CUDA's compat) out of LD_LIBRARY_PATH" },
  { GQ_CUDA_COMPAT_NOT_SUPPORTED_ON_DEVICE, "the libcuda.so.1 found is a forward-compatibility one, which this GPU "
                                            "does not support: take its directory out of LD_LIBRARY_PATH" },
  { GQ_CUDA_UNKNOWN, "the driver does not answer as it should: `nvidia-smi` and `dmesg` may say why" },
};

/* dlsym() gives a data pointer; POSIX promises that it can be read as one to a function. */
static entry_point *as_function(void *pointer)
{
  entry_point *function;
  _Static_assert(sizeof function == sizeof pointer, "function and data pointers differ");
  memcpy(&function, &pointer, sizeof function);
  return function;
}

const char *gq_cuda_error_text(const gq_cuda_driver *driver, gq_cuda_result error, char *text, size_t size)
{
  const char *name = NULL, *sentence = NULL;
  if (driver->cuGetErrorName && driver->cuGetErrorName(error, &name) != GQ_CUDA_SUCCESS) name = NULL;
  if (driver->cuGetErrorString && driver->cuGetErrorString(error, &sentence) != GQ_CUDA_SUCCESS) sentence = NULL;
  snprintf(text, size, "%s (%u)%s%s", name ? name : "CUDA error", error, sentence ? ": " : "",
           sentence ? sentence : "");
  return text;
}

static gq_status open_library(void **library)
{
  const char *message;
  *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (*library) return GQ_OK;
  message = dlerror();
  if (!message) message = "no reason given";
  if (strncmp(message, "libcuda.so.1:", 13) == 0 && strstr(message, "No such file"))
    return gq_fail(GQ_NO_BACKEND, "libcuda.so.1 not found: install the NVIDIA driver (in a container: start it with "
                                  "the GPU) or set LD_LIBRARY_PATH to where it is");
  return gq_fail(GQ_NO_BACKEND, "libcuda.so.1 cannot be loaded: %s", message);
}

static gq_status too_old(int version)
{
  return gq_fail(GQ_NO_BACKEND, "the NVIDIA driver supports CUDA %d.%d, which is too old: gpuqueue needs one that "
                                "supports CUDA %d.%d or newer", version / 1000, version % 1000 / 10,
                 GQ_CUDA_DRIVER_MINIMUM / 1000, GQ_CUDA_DRIVER_MINIMUM % 1000 / 10);
}

/* Exported by every driver, with or without cuGetProcAddress(). Not an error if it does not answer: cuInit() will
 * say why in better words. */
static void read_version(void *library, gq_cuda_driver *driver)
{
  gq_cuda_result (*get_version)(int *) = (gq_cuda_result (*)(int *))as_function(dlsym(library, "cuDriverGetVersion"));
  int version = 0;
  if (get_version && get_version(&version) == GQ_CUDA_SUCCESS) driver->version = version;
}

static gq_status resolve(void *library, gq_cuda_driver *driver)
{
  get_proc_address_v2 *get2 = (get_proc_address_v2 *)as_function(dlsym(library, "cuGetProcAddress_v2"));
  get_proc_address_v1 *get1 = (get_proc_address_v1 *)as_function(dlsym(library, "cuGetProcAddress"));
  if (!get1 && !get2)
    return gq_fail(GQ_NO_BACKEND, "libcuda.so.1 has no cuGetProcAddress: it is no NVIDIA driver, or one older than "
                                  "CUDA 11.3");
  /* No flags: the entry points that use the legacy default stream, which gpuqueue never does. A stub's
   * cuGetProcAddress fails too, which must not be taken for a missing entry point. */
#define GQ_CUDA_ENTRY(name, wanted, required, parameters) \
  { \
    void *entry = NULL; \
    unsigned found; \
    gq_cuda_result result = get2 ? get2(#name, &entry, wanted, 0, &found) : get1(#name, &entry, wanted, 0); \
    if (result == GQ_CUDA_STUB_LIBRARY) return gq_fail(GQ_NO_BACKEND, "%s", init_advice[0].advice); \
    if (result != GQ_CUDA_SUCCESS) entry = NULL; \
    if (!entry && required) \
      return gq_fail(GQ_NO_BACKEND, "the NVIDIA driver (CUDA %d.%d) has no entry point %s of CUDA %d.%d: " \
                                    "install a newer driver", driver->version / 1000, driver->version % 1000 / 10, \
                     #name, wanted / 1000, wanted % 1000 / 10); \
    driver->name = (gq_cuda_result (*) parameters)as_function(entry); \
  }
  GQ_CUDA_ENTRIES(GQ_CUDA_ENTRY)
#undef GQ_CUDA_ENTRY
  return GQ_OK;
}

static gq_status check_environment(void)
{
  const char *blocking = getenv("CUDA_LAUNCH_BLOCKING"), *loading_mode = getenv("CUDA_MODULE_LOADING");
  if (blocking && *blocking && strcmp(blocking, "0") != 0)
    return gq_fail(GQ_NO_BACKEND, "CUDA_LAUNCH_BLOCKING is \"%s\": every launch would wait for its kernel to end, and "
                                  "gpuqueue's stays; unset it or set it to 0", blocking);
  if ((!loading_mode || strcmp(loading_mode, "EAGER") != 0) && setenv("CUDA_MODULE_LOADING", "EAGER", 1) != 0)
    return gq_fail(GQ_NO_BACKEND, "cannot set CUDA_MODULE_LOADING=EAGER in the environment: out of memory");
  return GQ_OK;
}

static gq_status initialise(const gq_cuda_driver *driver)
{
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  gq_cuda_result result = driver->cuInit(0);
  char text[256];
  size_t i;
  if (result == GQ_CUDA_SUCCESS) return GQ_OK;
  gq_cuda_error_text(driver, result, text, sizeof text);
  if (result == GQ_CUDA_NO_DEVICE && visible)
    return gq_fail(GQ_NO_BACKEND, "the driver finds no GPU among those that CUDA_VISIBLE_DEVICES=\"%s\" allows; "
                                  "cuInit: %s", visible, text);
  if (result >= GQ_CUDA_MPS_CONNECTION_FAILED && result <= GQ_CUDA_MPS_CLIENT_TERMINATED)
    return gq_fail(GQ_NO_BACKEND, "the MPS server does not serve this process; cuInit: %s", text);
  for (i = 0; i < sizeof init_advice / sizeof *init_advice; i++)
    if (init_advice[i].error == result) return gq_fail(GQ_NO_BACKEND, "%s; cuInit: %s", init_advice[i].advice, text);
  return gq_fail(GQ_NO_BACKEND, "the NVIDIA driver cannot be initialised; cuInit: %s", text);
}

/* The library stays loaded even if it is of no use: unloading a driver that has begun to work is not safe. */
static gq_status load(gq_cuda_driver *driver)
{
  void *library;
  gq_status status = open_library(&library);
  if (status != GQ_OK) return status;
  read_version(library, driver);
  if (driver->version && driver->version < GQ_CUDA_DRIVER_MINIMUM) return too_old(driver->version);
  status = resolve(library, driver);
  if (status == GQ_OK) status = check_environment();
  if (status == GQ_OK) status = initialise(driver);
  return status;
}

gq_status gq_cuda_driver_load(const gq_cuda_driver **driver)
{
  /* [D1] acquire: licenses reading what load() wrote; pairs with release [D1] below */
  int now = atomic_load_explicit(&outcome, memory_order_acquire);
  if (now == NOT_TRIED) {
    pthread_mutex_lock(&loading);
    now = atomic_load_explicit(&outcome, memory_order_relaxed);
    if (now == NOT_TRIED) {
      now = load(&the_driver) == GQ_OK ? LOADED : FAILED;
      if (now == FAILED) snprintf(failure, sizeof failure, "%s", gq_last_error());
      loaded_by = getpid();
      /* [D1] release: the entry points, the text and the process that they belong to are written */
      atomic_store_explicit(&outcome, now, memory_order_release);
    }
    pthread_mutex_unlock(&loading);
  }
  if (now == FAILED) return gq_fail(GQ_NO_BACKEND, "%s", failure);
  if (loaded_by != getpid())
    return gq_fail(GQ_NO_BACKEND, "CUDA was initialised by process %ld before it forked this one, where it cannot be "
                                  "used: start a new program instead (Python's multiprocessing: \"spawn\")",
                   (long)loaded_by);
  *driver = &the_driver;
  return GQ_OK;
}

int32_t gq_cuda_driver_version(void)
{
  /* [D1] acquire, as above */
  return atomic_load_explicit(&outcome, memory_order_acquire) == NOT_TRIED ? 0 : the_driver.version;
}

const char *gq_cuda_driver_reason(void)
{
  /* [D1] acquire, as above */
  return atomic_load_explicit(&outcome, memory_order_acquire) == FAILED ? failure : "";
}
