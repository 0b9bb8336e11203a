/* SPDX-License-Identifier: Apache-2.0 */
#include "info.h"
#include "compile.h"
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_USCAT
#define HWCAP_USCAT (1 << 25) /* unaligned single-copy atomicity: LSE2 */
#endif
#endif

unsigned gq_host_unit_bytes(void)
{
#if defined(GQ_UNIT_BYTES_FORCED)
  return GQ_UNIT_BYTES_FORCED;
#elif defined(__x86_64__)
  return __builtin_cpu_supports("avx") ? 16 : 8; /* asks the operating system too */
#elif defined(__aarch64__)
  return getauxval(AT_HWCAP) & HWCAP_USCAT ? 16 : 8;
#else
  return 8;
#endif
}

/* ------------------------------------------------------------------------------------------ one CUDA device */

/* Machine code for the integrated GPUs of these capabilities and for the others does not run on one another. */
static int is_integrated(int capability)
{
  return capability == 72 || capability == 87 || capability == 101;
}

static int machine_code_runs_on(int arch, char suffix, int capability)
{
  if (suffix == 'a' || is_integrated(arch) || is_integrated(capability)) return arch == capability;
  return arch / 10 == capability / 10 && arch <= capability;
}

int gq_cuda_archs_run_on(const char *archs, int major, int minor)
{
  const int capability = major * 10 + minor;
  int arch, length;
  for (; *archs; archs += strcspn(archs, " "), archs += strspn(archs, " ")) {
    if (sscanf(archs, "sm_%d%n", &arch, &length) == 1 && machine_code_runs_on(arch, archs[length], capability))
      return 1;
    if (sscanf(archs, "ptx_%d%n", &arch, &length) == 1
        && (archs[length] == 'a' ? arch == capability : arch <= capability))
      return 1;
  }
  return 0;
}

static int attribute(const gq_cuda_driver *driver, gq_cuda_device device, unsigned which)
{
  int value = 0;
  return driver->cuDeviceGetAttribute(&value, which, device) == GQ_CUDA_SUCCESS ? value : 0;
}

/* Fill all but usable and reason. */
static gq_status describe_device(const gq_cuda_driver *driver, int32_t number, gq_device_info *info,
                                 gq_cuda_device *device)
{
  int count = 0;
  size_t bytes = 0;
  char text[256];
  gq_cuda_result result = driver->cuDeviceGetCount(&count);
  if (result == GQ_CUDA_SUCCESS && (number < 0 || number >= count))
    return count > 0 ? gq_fail(GQ_NO_DEVICE, "device %d does not exist: the CUDA devices here are 0 to %d", number,
                               count - 1)
                     : gq_fail(GQ_NO_DEVICE, "device %d does not exist: there is no CUDA device here", number);
  if (result == GQ_CUDA_SUCCESS) result = driver->cuDeviceGet(device, number);
  if (result == GQ_CUDA_SUCCESS) result = driver->cuDeviceGetName(info->name, (int)sizeof info->name, *device);
  if (result == GQ_CUDA_SUCCESS) result = driver->cuDeviceTotalMem(&bytes, *device);
  if (result != GQ_CUDA_SUCCESS)
    return gq_fail(GQ_NO_DEVICE, "device %d cannot be asked about: %s", number,
                   gq_cuda_error_text(driver, result, text, sizeof text));
  info->name[sizeof info->name - 1] = 0;
  info->memory_bytes = bytes;
  info->sms = attribute(driver, *device, GQ_CUDA_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  info->capability_major = attribute(driver, *device, GQ_CUDA_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  info->capability_minor = attribute(driver, *device, GQ_CUDA_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  return GQ_OK;
}

/* Write to info->reason why the device cannot be used, if it cannot. The strings that come from outside are given a
 * width, so that none pushes out what would be right. */
static void find_obstacle(const gq_cuda_driver *driver, gq_cuda_device device, const char *archs, gq_device_info *info)
{
  const size_t size = sizeof info->reason;
  char *reason = info->reason;
  if (!*archs)
    snprintf(reason, size, "this build of gpuqueue has no GPU code: configure it where nvcc is");
  else if (!gq_cuda_archs_run_on(archs, info->capability_major, info->capability_minor))
    snprintf(reason, size, "%.60s has compute capability %d.%d, and this build of gpuqueue has code for %.100s only",
             info->name, info->capability_major, info->capability_minor, archs);
  else if (gq_host_unit_bytes() != 16)
    snprintf(reason, size, "this CPU or build does not store 16 bytes in one piece (x86-64 with AVX or Arm with LSE2 "
                           "does), as the GPU reads them");
  else if (attribute(driver, device, GQ_CUDA_ATTRIBUTE_COMPUTE_MODE) == GQ_CUDA_COMPUTEMODE_PROHIBITED)
    snprintf(reason, size, "%.60s is in compute mode \"prohibited\": an administrator can allow it with "
                           "`nvidia-smi -c DEFAULT`", info->name);
  else if (!attribute(driver, device, GQ_CUDA_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
    snprintf(reason, size, "%.60s cannot read host memory in place", info->name);
  else if (!attribute(driver, device, GQ_CUDA_ATTRIBUTE_COOPERATIVE_LAUNCH))
    snprintf(reason, size, "%.60s cannot launch a kernel cooperatively (as it may be under MPS)", info->name);
}

static void warn(gq_device_info *info, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(gq_device_info *info, const char *format, ...)
{
  size_t used = strlen(info->reason);
  va_list arguments;
  if (used && used + 2 < sizeof info->reason) used += (size_t)sprintf(info->reason + used, "; ");
  va_start(arguments, format);
  vsnprintf(info->reason + used, sizeof info->reason - used, format, arguments);
  va_end(arguments);
}

/* The control daemon's pipe is there: CUDA programs of this machine then share one context. */
static int mps_is_there(void)
{
  const char *directory = getenv("CUDA_MPS_PIPE_DIRECTORY");
  char path[4096];
  if (!directory || !*directory) directory = "/tmp/nvidia-mps";
  snprintf(path, sizeof path, "%s/control", directory);
  return access(path, F_OK) == 0;
}

static void find_warnings(const gq_cuda_driver *driver, gq_cuda_device device, gq_device_info *info)
{
  unsigned mode = 0;
  if (mps_is_there()) warn(info, "MPS is running: a fault of one client ends the work of all");
  if (attribute(driver, device, GQ_CUDA_ATTRIBUTE_COMPUTE_MODE) == GQ_CUDA_COMPUTEMODE_EXCLUSIVE_PROCESS)
    warn(info, "the GPU takes one process at a time (compute mode exclusive)");
  if (attribute(driver, device, GQ_CUDA_ATTRIBUTE_KERNEL_EXEC_TIMEOUT))
    warn(info, "the driver ends kernels that run for seconds (kernel execution timeout, as on GPUs with a display)");
  if (driver->cuModuleGetLoadingMode && driver->cuModuleGetLoadingMode(&mode) == GQ_CUDA_SUCCESS
      && mode == GQ_CUDA_LAZY_LOADING)
    warn(info, "CUDA was initialised before gpuqueue, with lazy module loading: set CUDA_MODULE_LOADING=EAGER");
}

gq_status gq_cuda_check_device_for(const gq_cuda_driver *driver, int32_t number, const char *archs,
                                   gq_device_info *info)
{
  gq_device_info found;
  gq_cuda_device device;
  gq_status status;
  memset(&found, 0, sizeof found);
  status = describe_device(driver, number, &found, &device);
  if (status != GQ_OK) return status;
  find_obstacle(driver, device, archs, &found);
  found.usable = !*found.reason;
  if (found.usable) find_warnings(driver, device, &found);
  found.size = info->size;
  *info = found;
  return found.usable ? GQ_OK : gq_fail(GQ_NO_BACKEND, "device %d cannot be used: %s", number, found.reason);
}

gq_status gq_cuda_check_device(const gq_cuda_driver *driver, int32_t device, gq_device_info *info)
{
  return gq_cuda_check_device_for(driver, device, gq_cuda_build_archs, info);
}

/* ------------------------------------------------------------------------------------------ the public calls */

/* Give the caller as much of a struct as it knows of; what only it knows of becomes 0. */
static void give_out(void *to, size_t to_size, void *from, size_t from_size)
{
  memcpy(from, &to_size, sizeof to_size); /* `size` comes first and stays the caller's */
  memcpy(to, from, to_size < from_size ? to_size : from_size);
  if (to_size > from_size) memset((char *)to + from_size, 0, to_size - from_size);
}

gq_status gq_get_device_info(int32_t device, gq_device_info *info)
{
  const gq_cuda_driver *driver;
  gq_device_info found;
  gq_status status;
  if (!info || info->size < sizeof info->size)
    return gq_fail(GQ_INVALID, "gq_get_device_info: set info->size to sizeof(gq_device_info)");
  status = gq_cuda_driver_load(&driver);
  if (status != GQ_OK) return status;
  memset(&found, 0, sizeof found);
  status = gq_cuda_check_device(driver, device, &found);
  if (status == GQ_NO_DEVICE) return status;
  give_out(info, info->size, &found, sizeof found);
  return GQ_OK; /* that it is not usable is an answer */
}

/* What there is to say about CUDA here: of the first usable device, or else of the first. */
static void look_for_devices(const gq_cuda_driver *driver, gq_system_info *found)
{
  gq_device_info device;
  int count = 0;
  int32_t i;
  driver->cuDeviceGetCount(&count);
  found->devices = count;
  for (i = 0; i < count && !found->cuda_usable; i++) {
    memset(&device, 0, sizeof device);
    if (gq_cuda_check_device(driver, i, &device) == GQ_OK) found->cuda_usable = 1;
    if (found->cuda_usable || i == 0)
      snprintf(found->cuda_reason, sizeof found->cuda_reason, "%s", *device.reason || found->cuda_usable
                                                                    ? device.reason : gq_last_error());
  }
  if (count == 0) snprintf(found->cuda_reason, sizeof found->cuda_reason, "the driver finds no GPU");
}

/* What handlers from source would be compiled with: found, not tried. */
static void look_for_compilers(gq_system_info *found)
{
  char path[PATH_MAX], **words;
  gq_options options;
  gq_toolkit t;

  found->cpu_compiler_usable = gq_find_c_compiler(&words, path) == GQ_OK;
  snprintf(found->cpu_compiler, sizeof found->cpu_compiler, "%.511s",
           found->cpu_compiler_usable ? path : gq_last_error());
  if (found->cpu_compiler_usable) free(words);
  found->gpu_compiler_usable = gq_options_init(&options) == GQ_OK &&
                               gq_toolkit_find(&t, options.toolkit) == GQ_OK;
  if (found->gpu_compiler_usable)
    snprintf(found->gpu_compiler, sizeof found->gpu_compiler, "%.500s, %.500s", t.nvrtc_file.path, t.nvjitlink_file.path);
  else
    snprintf(found->gpu_compiler, sizeof found->gpu_compiler, "%.1023s", gq_last_error());
}

gq_status gq_get_system_info(gq_system_info *info)
{
  const gq_cuda_driver *driver;
  gq_system_info found;
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  if (!info || info->size < sizeof info->size)
    return gq_fail(GQ_INVALID, "gq_get_system_info: set info->size to sizeof(gq_system_info)");
  memset(&found, 0, sizeof found);
  snprintf(found.build_archs, sizeof found.build_archs, "%s", gq_cuda_build_archs);
  found.cpus = cpus > 0 ? (int32_t)cpus : 1;
  found.unit_bytes = (int32_t)gq_host_unit_bytes();
  found.cpu_usable = 1;
  if (found.unit_bytes == 8)
    snprintf(found.cpu_reason, sizeof found.cpu_reason, "messages are written in units of 8 bytes, as this CPU "
                                                        "or build does not store 16 in one piece");
  if (gq_cuda_driver_load(&driver) == GQ_OK) look_for_devices(driver, &found);
  else snprintf(found.cuda_reason, sizeof found.cuda_reason, "%s%s",
                *gq_cuda_build_archs ? "" : "this build of gpuqueue has no GPU code; besides, ", gq_last_error());
  found.driver_version = gq_cuda_driver_version();
  look_for_compilers(&found);
  give_out(info, info->size, &found, sizeof found);
  return GQ_OK;
}
