/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <gpuqueue/gpuqueue.h>

#include "config.h"
#include "nvml.h"

#if defined(__VERSION__)
#if defined(__clang__)
#define COMPILER __VERSION__ /* "Clang 14.0.6 (...)" */
#else
#define COMPILER "gcc " __VERSION__
#endif
#else
#define COMPILER "unknown"
#endif

/** The first line of \p path, or "" if it has none. */
static void first_line(const char *path, char *text, size_t size)
{
  FILE *file = fopen(path, "re");

  *text = '\0';
  if (!file) return;
  if (!fgets(text, (int)size, file)) *text = '\0';
  text[strcspn(text, "\n")] = '\0';
  fclose(file);
}

/** What follows "\p name :" in \p path the first time, into \p text. */
static void field(const char *path, const char *name, char *text, size_t size)
{
  char line[512];
  const size_t length = strlen(name);
  FILE *file = fopen(path, "re");

  *text = '\0';
  if (!file) return;
  while (!*text && fgets(line, sizeof line, file)) {
    const char *value = strchr(line, ':');

    if (strncmp(line, name, length) != 0 || !value || !strchr(" \t:", line[length])) continue;
    value += 1 + strspn(value + 1, " \t");
    snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
  }
  fclose(file);
}

static uint64_t memory_field(const char *name)
{
  char text[64];

  field("/proc/meminfo", name, text, sizeof text);
  return strtoull(text, NULL, 10) << 10;
}

static unsigned usable_cores(void)
{
  cpu_set_t set;

  if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
  return (unsigned)sysconf(_SC_NPROCESSORS_ONLN); /* more than a set holds */
}

static void describe_cpu(struct machine *machine)
{
  struct utsname name;
  char text[64];

  field("/proc/cpuinfo", "model name", machine->cpu, sizeof machine->cpu);
  if (!*machine->cpu) snprintf(machine->cpu, sizeof machine->cpu, "unknown");
  field("/proc/cpuinfo", "cpu MHz", text, sizeof text);
  machine->cpu_mhz = strtod(text, NULL);
  first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", machine->governor, sizeof machine->governor);
  first_line("/sys/class/dmi/id/sys_vendor", machine->vendor, sizeof machine->vendor);
  machine->cores = usable_cores();
  machine->memory_bytes = memory_field("MemTotal");
  machine->available_bytes = memory_field("MemAvailable");
  if (uname(&name) == 0)
    snprintf(machine->kernel, sizeof machine->kernel, "%.60s %.80s %.60s", name.sysname, name.release, name.machine);
}

/** The first word of \p line that looks like "580.159.04", in its place; else all of it stays. */
static void keep_version(char *line)
{
  char *word, *end;

  for (word = line; *word; word = end + strspn(end, " \t")) {
    end = word + strcspn(word, " \t");
    if (end > word && strspn(word, "0123456789.") == (size_t)(end - word) && memchr(word, '.', (size_t)(end - word))) {
      memmove(line, word, (size_t)(end - word));
      line[end - word] = '\0';
      return;
    }
  }
}

static void describe_gpu(struct machine *machine, int number)
{
  gq_device_info device;

  memset(&device, 0, sizeof device);
  device.size = sizeof device;
  if (gq_get_device_info(number, &device) != GQ_OK) return;
  snprintf(machine->gpu, sizeof machine->gpu, "%s, sm_%d%d", device.name, device.capability_major,
           device.capability_minor);
  machine->gpu_sms = device.sms;
  machine->gpu_memory_bytes = device.memory_bytes;
  first_line("/proc/driver/nvidia/version", machine->driver, sizeof machine->driver);
  keep_version(machine->driver);
  nvml_describe(number, machine->gpu_clocks, sizeof machine->gpu_clocks);
}

void machine_describe(struct machine *machine, int device)
{
  gq_system_info system;

  memset(machine, 0, sizeof *machine);
  describe_cpu(machine);
  memset(&system, 0, sizeof system);
  system.size = sizeof system;
  if (gq_get_system_info(&system) == GQ_OK) {
    machine->cuda_version = system.driver_version;
    snprintf(machine->gpu_code, sizeof machine->gpu_code, "%s", system.build_archs);
  }
  if (device >= 0) describe_gpu(machine, device);
  machine->compiler = COMPILER;
  machine->flags = GQ_BUILD_FLAGS;
}
