/* SPDX-License-Identifier: Apache-2.0 */
/* A libcuda.so.1 for tests, found through LD_LIBRARY_PATH: as much of a driver as is asked about before any kernel
 * runs. FAKE_DRIVER_MODE says what kind of machine it is; see the table `modes`. Everything else that a queue needs
 * is there and fails with CUDA_ERROR_UNKNOWN, except in mode "gpu", in which fake_gpu.c has it. */
#include <stdlib.h>
#include <string.h>

#include "../lib/cuda_driver.h"
#include "fake_gpu.h"

/* One machine. Two devices if the second has a capability. */
static const struct machine {
  const char *mode;
  int version;                  /* 0: 13.0 */
  gq_cuda_result init;          /* what cuInit() returns */
  const char *missing;          /* an entry point that is not there */
  int capability[2];            /* 0: 9.0, and no second device */
  int compute_mode, timeout, no_mapping, no_cooperative, lazy, runs_kernels;
} modes[] = {
  { .mode = "fine" },
  { .mode = "old", .version = 11030 },
  { .mode = "stub", .init = GQ_CUDA_STUB_LIBRARY },
  { .mode = "no_device", .init = GQ_CUDA_NO_DEVICE },
  { .mode = "mismatch", .init = GQ_CUDA_SYSTEM_DRIVER_MISMATCH },
  { .mode = "compat", .init = GQ_CUDA_COMPAT_NOT_SUPPORTED_ON_DEVICE },
  { .mode = "no_permission", .init = GQ_CUDA_OPERATING_SYSTEM },
  { .mode = "mps_failed", .init = GQ_CUDA_MPS_CONNECTION_FAILED },
  { .mode = "unheard_of", .init = 12345 },
  { .mode = "missing", .missing = "cuLaunchCooperativeKernel" },
  { .mode = "missing_optional", .missing = "cuFuncLoad" },
  { .mode = "exclusive", .compute_mode = GQ_CUDA_COMPUTEMODE_EXCLUSIVE_PROCESS },
  { .mode = "prohibited", .compute_mode = GQ_CUDA_COMPUTEMODE_PROHIBITED },
  { .mode = "old_gpu", .capability = { 52 } },
  { .mode = "two", .capability = { 52, 90 } },
  { .mode = "timeout", .timeout = 1 },
  { .mode = "no_mapping", .no_mapping = 1 },
  { .mode = "no_cooperative", .no_cooperative = 1 },
  { .mode = "lazy", .lazy = 1 },
  { .mode = "gpu", .runs_kernels = 1 },
};

static const struct machine *machine(void)
{
  const char *mode = getenv("FAKE_DRIVER_MODE");
  size_t i;
  if (!mode) return &modes[0];
  for (i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(modes[i].mode, mode) == 0) return &modes[i];
  abort(); /* a misspelt mode must not pass for another */
}

static int capability_of(gq_cuda_device device)
{
  const int capability = machine()->capability[device];
  return capability ? capability : 90;
}

static int device_count(void) { return machine()->capability[1] ? 2 : 1; }

/* Initialised only if modules are loaded eagerly, as a queue needs it; else it fails. */
static gq_cuda_result init(unsigned flags)
{
  const char *loading = getenv("CUDA_MODULE_LOADING");
  if (flags != 0 || !loading || strcmp(loading, "EAGER") != 0) return GQ_CUDA_INVALID_VALUE;
  return machine()->init;
}

GQ_API gq_cuda_result cuDriverGetVersion(int *version);
gq_cuda_result cuDriverGetVersion(int *version)
{
  if (machine()->init == GQ_CUDA_STUB_LIBRARY) return GQ_CUDA_STUB_LIBRARY;
  *version = machine()->version ? machine()->version : 13000;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_error_name(gq_cuda_result error, const char **name)
{
  *name = error == GQ_CUDA_NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : NULL;
  return *name ? GQ_CUDA_SUCCESS : GQ_CUDA_INVALID_VALUE;
}

static gq_cuda_result get_error_string(gq_cuda_result error, const char **text)
{
  *text = error == GQ_CUDA_NO_DEVICE ? "no CUDA-capable device is detected" : NULL;
  return *text ? GQ_CUDA_SUCCESS : GQ_CUDA_INVALID_VALUE;
}

static gq_cuda_result get_count(int *count)
{
  *count = device_count();
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_device(gq_cuda_device *device, int number)
{
  if (number < 0 || number >= device_count()) return GQ_CUDA_INVALID_DEVICE;
  *device = number;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_name(char *name, int size, gq_cuda_device device)
{
  (void)device;
  strncpy(name, "Fake GPU", (size_t)size);
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_attribute(int *value, unsigned attribute, gq_cuda_device device)
{
  switch (attribute) {
  case GQ_CUDA_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
  case GQ_CUDA_ATTRIBUTE_KERNEL_EXEC_TIMEOUT: *value = machine()->timeout; break;
  case GQ_CUDA_ATTRIBUTE_CAN_MAP_HOST_MEMORY: *value = !machine()->no_mapping; break;
  case GQ_CUDA_ATTRIBUTE_COMPUTE_MODE: *value = machine()->compute_mode; break;
  case GQ_CUDA_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = capability_of(device) / 10; break;
  case GQ_CUDA_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = capability_of(device) % 10; break;
  case GQ_CUDA_ATTRIBUTE_COOPERATIVE_LAUNCH: *value = !machine()->no_cooperative; break;
  case GQ_CUDA_ATTRIBUTE_SHARED_OPTIN: *value = 227 << 10; break;
  default: return GQ_CUDA_INVALID_VALUE;
  }
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_total_memory(size_t *bytes, gq_cuda_device device)
{
  (void)device;
  *bytes = (size_t)80 << 30;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_loading_mode(unsigned *mode)
{
  *mode = machine()->lazy ? GQ_CUDA_LAZY_LOADING : 1;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result not_faked(void) { return GQ_CUDA_UNKNOWN; }

static const struct { const char *name; fake_entry *entry; } fakes[] = {
  { "cuInit", (fake_entry *)init },
  { "cuDriverGetVersion", (fake_entry *)cuDriverGetVersion },
  { "cuGetErrorName", (fake_entry *)get_error_name },
  { "cuGetErrorString", (fake_entry *)get_error_string },
  { "cuDeviceGetCount", (fake_entry *)get_count },
  { "cuDeviceGet", (fake_entry *)get_device },
  { "cuDeviceGetName", (fake_entry *)get_name },
  { "cuDeviceGetAttribute", (fake_entry *)get_attribute },
  { "cuDeviceTotalMem", (fake_entry *)get_total_memory },
  { "cuModuleGetLoadingMode", (fake_entry *)get_loading_mode },
};

/* Both exported forms call this and not one another, so that the test can take either away. */
static gq_cuda_result find(const char *name, void **found, int version, uint64_t flags)
{
  fake_entry *entry = (fake_entry *)not_faked;
  size_t i;
  if (flags != 0) return GQ_CUDA_INVALID_VALUE;
  if (machine()->missing && strcmp(name, machine()->missing) == 0) return GQ_CUDA_NOT_FOUND;
  /* From 11.4 on this is a function with other parameters. */
  if (strcmp(name, "cuCtxCreate") == 0 && version >= 11040) return GQ_CUDA_NOT_FOUND;
  for (i = 0; i < sizeof fakes / sizeof *fakes; i++)
    if (strcmp(fakes[i].name, name) == 0) entry = fakes[i].entry;
  if (machine()->runs_kernels && fake_gpu_find(name)) entry = fake_gpu_find(name);
  memcpy(found, &entry, sizeof entry);
  return GQ_CUDA_SUCCESS;
}

GQ_API gq_cuda_result cuGetProcAddress(const char *name, void **found, int version, uint64_t flags);
gq_cuda_result cuGetProcAddress(const char *name, void **found, int version, uint64_t flags)
{
  return find(name, found, version, flags);
}

GQ_API gq_cuda_result cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, unsigned *state);
gq_cuda_result cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, unsigned *state)
{
  gq_cuda_result result = find(name, found, version, flags);
  *state = result == GQ_CUDA_SUCCESS ? 0 : 1;
  return result;
}
