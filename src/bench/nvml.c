/* SPDX-License-Identifier: Apache-2.0 */
#include "nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of NVIDIA's nvml.h, declared here so that a build without a toolkit can use it. */
typedef struct nvmlDevice_st *nvmlDevice_t;
enum { NVML_SUCCESS = 0, NVML_CLOCK_SM = 1, NVML_CLOCK_MEM = 2 };

struct nvml {
  int (*init)(void);
  int (*shutdown)(void);
  int (*device)(unsigned, nvmlDevice_t *);
  int (*clock)(nvmlDevice_t, int, unsigned *);
  int (*max_clock)(nvmlDevice_t, int, unsigned *);
  int (*link_generation)(nvmlDevice_t, unsigned *);
  int (*link_width)(nvmlDevice_t, unsigned *);
};

static int load(void *library, struct nvml *nvml)
{
  const struct { const char *name; void **to; } wanted[] = {
    {"nvmlInit_v2", (void **)&nvml->init},
    {"nvmlShutdown", (void **)&nvml->shutdown},
    {"nvmlDeviceGetHandleByIndex_v2", (void **)&nvml->device},
    {"nvmlDeviceGetClockInfo", (void **)&nvml->clock},
    {"nvmlDeviceGetMaxClockInfo", (void **)&nvml->max_clock},
    {"nvmlDeviceGetCurrPcieLinkGeneration", (void **)&nvml->link_generation},
    {"nvmlDeviceGetCurrPcieLinkWidth", (void **)&nvml->link_width},
  };
  size_t i;

  for (i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if ((*wanted[i].to = dlsym(library, wanted[i].name)) == NULL) return 0;
  return 1;
}

static void describe(const struct nvml *nvml, int number, char *text, size_t size)
{
  unsigned sm = 0, memory = 0, sm_max = 0, memory_max = 0, generation = 0, width = 0;
  nvmlDevice_t device;

  if (nvml->device((unsigned)number, &device) != NVML_SUCCESS) return;
  if (nvml->clock(device, NVML_CLOCK_SM, &sm) != NVML_SUCCESS) return;
  nvml->clock(device, NVML_CLOCK_MEM, &memory);
  nvml->max_clock(device, NVML_CLOCK_SM, &sm_max);
  nvml->max_clock(device, NVML_CLOCK_MEM, &memory_max);
  nvml->link_generation(device, &generation);
  nvml->link_width(device, &width);
  snprintf(text, size, "SM %u of %u MHz, memory %u of %u MHz, PCIe generation %u x%u", sm, sm_max, memory, memory_max,
           generation, width);
}

void nvml_describe(int number, char *text, size_t size)
{
  void *library;
  struct nvml nvml;

  *text = '\0';
  /* The two count alike only where every device is visible. */
  if (getenv("CUDA_VISIBLE_DEVICES")) return;
  library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  if (load(library, &nvml) && nvml.init() == NVML_SUCCESS) {
    describe(&nvml, number, text, size);
    nvml.shutdown();
  }
  dlclose(library);
}
