/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the CUDA driver. Knows nothing of the rest of the library, so that the command's measurements of CUDA itself
 * can have it too. */
#include "cuda_driver.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void entry_point(void);
typedef gq_cuda_result get_proc_address_v1(const char *name, void **entry, int version, uint64_t flags);
typedef gq_cuda_result get_proc_address_v2(const char *name, void **entry, int version, uint64_t flags,
                                           unsigned *found);

/* Where the reason of a failure goes. */
typedef struct gq_why {
  char *text;
  size_t size;
} gq_why;

static bool refuse(const gq_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(const gq_why *why, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(why->text, why->size, format, arguments);
  va_end(arguments);
  return false;
}

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

static bool open_library(void **library, const gq_why *why)
{
  const char *message;
  *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (*library) return true;
  message = dlerror();
  if (!message) message = "no reason given";
  if (strncmp(message, "libcuda.so.1:", 13) == 0 && strstr(message, "No such file"))
    return refuse(why, "libcuda.so.1 not found: install the NVIDIA driver (in a container: start it with "
                       "the GPU) or set LD_LIBRARY_PATH to where it is");
  return refuse(why, "libcuda.so.1 cannot be loaded: %s", message);
}

static bool too_old(int version, const gq_why *why)
{
  return refuse(why, "the NVIDIA driver supports CUDA %d.%d, which is too old: gpuqueue needs one that "
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

static bool resolve(void *library, gq_cuda_driver *driver, const gq_why *why)
{
  get_proc_address_v2 *get2 = (get_proc_address_v2 *)as_function(dlsym(library, "cuGetProcAddress_v2"));
  get_proc_address_v1 *get1 = (get_proc_address_v1 *)as_function(dlsym(library, "cuGetProcAddress"));
  if (!get1 && !get2)
    return refuse(why, "libcuda.so.1 has no cuGetProcAddress: it is no NVIDIA driver, or one older than "
                       "CUDA 11.3");
  /* No flags: the entry points that use the legacy default stream, which gpuqueue never does. A stub's
   * cuGetProcAddress fails too, which must not be taken for a missing entry point. */
#define GQ_CUDA_ENTRY(name, wanted, required, parameters) \
  { \
    void *entry = NULL; \
    unsigned found; \
    gq_cuda_result result = get2 ? get2(#name, &entry, wanted, 0, &found) : get1(#name, &entry, wanted, 0); \
    if (result == GQ_CUDA_STUB_LIBRARY) return refuse(why, "%s", init_advice[0].advice); \
    if (result != GQ_CUDA_SUCCESS) entry = NULL; \
    if (!entry && required) \
      return refuse(why, "the NVIDIA driver (CUDA %d.%d) has no entry point %s of CUDA %d.%d: " \
                         "install a newer driver", driver->version / 1000, driver->version % 1000 / 10, \
                    #name, wanted / 1000, wanted % 1000 / 10); \
    driver->name = (gq_cuda_result (*) parameters)as_function(entry); \
  }
  GQ_CUDA_ENTRIES(GQ_CUDA_ENTRY)
#undef GQ_CUDA_ENTRY
  return true;
}

static bool check_environment(const gq_why *why)
{
  const char *blocking = getenv("CUDA_LAUNCH_BLOCKING"), *loading_mode = getenv("CUDA_MODULE_LOADING");
  if (blocking && *blocking && strcmp(blocking, "0") != 0)
    return refuse(why, "CUDA_LAUNCH_BLOCKING is \"%s\": every launch would wait for its kernel to end, and "
                       "gpuqueue's stays; unset it or set it to 0", blocking);
  if ((!loading_mode || strcmp(loading_mode, "EAGER") != 0) && setenv("CUDA_MODULE_LOADING", "EAGER", 1) != 0)
    return refuse(why, "cannot set CUDA_MODULE_LOADING=EAGER in the environment: out of memory");
  return true;
}

static bool initialise(const gq_cuda_driver *driver, const gq_why *why)
{
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  gq_cuda_result result = driver->cuInit(0);
  char text[256];
  size_t i;
  if (result == GQ_CUDA_SUCCESS) return true;
  gq_cuda_error_text(driver, result, text, sizeof text);
  if (result == GQ_CUDA_NO_DEVICE && visible)
    return refuse(why, "the driver finds no GPU among those that CUDA_VISIBLE_DEVICES=\"%s\" allows; "
                       "cuInit: %s", visible, text);
  if (result >= GQ_CUDA_MPS_CONNECTION_FAILED && result <= GQ_CUDA_MPS_CLIENT_TERMINATED)
    return refuse(why, "the MPS server does not serve this process; cuInit: %s", text);
  for (i = 0; i < sizeof init_advice / sizeof *init_advice; i++)
    if (init_advice[i].error == result) return refuse(why, "%s; cuInit: %s", init_advice[i].advice, text);
  return refuse(why, "the NVIDIA driver cannot be initialised; cuInit: %s", text);
}

/* The library stays loaded even if it is of no use: unloading a driver that has begun to work is not safe. */
bool gq_cuda_driver_open(gq_cuda_driver *driver, char *failure, size_t size)
{
  const gq_why why = {failure, size};
  void *library;

  memset(driver, 0, sizeof *driver);
  if (!open_library(&library, &why)) return false;
  read_version(library, driver);
  if (driver->version && driver->version < GQ_CUDA_DRIVER_MINIMUM) return too_old(driver->version, &why);
  return resolve(library, driver, &why) && check_environment(&why) && initialise(driver, &why);
}
