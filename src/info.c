/* SPDX-License-Identifier: Apache-2.0 */
/* `gpuqueue info`: what this build and this machine can do. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gpuqueue/gpuqueue.h>

static const char *const output_names[] = {[GQ_OUTPUT_RAW] = "raw", [GQ_OUTPUT_HEX] = "hex", [GQ_OUTPUT_TEXT] = "text"};

#if defined(__VERSION__)
#define COMPILER __VERSION__
#else
#define COMPILER "unknown"
#endif

static bool get_device(int32_t number, gq_device_info *device)
{
  memset(device, 0, sizeof *device);
  device->size = sizeof *device;
  if (gq_get_device_info(number, device) == GQ_OK) return true;
  snprintf(device->reason, sizeof device->reason, "%s", gq_last_error());
  return false;
}

static void print_driver(int32_t version)
{
  if (version) printf("driver: CUDA %d.%d\n", version / 1000, version % 1000 / 10);
  else puts("driver: none");
}

static void print_backend(const char *name, int usable, const char *reason)
{
  printf("backend %s: %s%s%s\n", name, usable ? "can run" : "cannot run", *reason ? ": " : "", reason);
}

static void print_compiler(const char *backend, int usable, const char *text)
{
  printf("compiler for handlers on %s: %s%s\n", backend, usable ? "" : "none: ", text);
}

static void print_text(const gq_system_info *system)
{
  const gq_handler_info *handler;
  gq_device_info device;
  int32_t i;
  size_t row;

  printf("gpuqueue %s\n", gq_version());
  printf("built: with compiler %s, GPU code: %s\n", COMPILER,
         *system->build_archs ? system->build_archs : "none (built without nvcc)");
  printf("host: %d CPUs online, ring units of %d bytes\n", system->cpus, system->unit_bytes);
  print_backend("cpu", system->cpu_usable, system->cpu_reason);
  print_backend("cuda", system->cuda_usable, system->cuda_reason);
  print_compiler("cpu", system->cpu_compiler_usable, system->cpu_compiler);
  print_compiler("cuda", system->gpu_compiler_usable, system->gpu_compiler);
  print_driver(system->driver_version);
  if (system->devices == 0) puts("devices: none");
  for (i = 0; i < system->devices; i++) {
    if (!get_device(i, &device)) {
      printf("device %d: %s\n", i, device.reason);
      continue;
    }
    printf("device %d: %s, compute capability %d.%d, %d SMs, %.1f GiB: %s%s%s\n", i, device.name,
           device.capability_major, device.capability_minor, device.sms, (double)device.memory_bytes / (1 << 30),
           device.usable ? "usable" : "not usable", *device.reason ? ": " : "", device.reason);
  }
  for (row = 0; (handler = gq_handler_describe(row)) != NULL; row++)
    printf("handler %s: %s (scopes: %s; prints %s)\n", handler->name, handler->summary, handler->scopes,
           output_names[handler->output]);
}

static void json_member(const char *name, const char *value)
{
  printf(",\"%s\":", name);
  json_string(stdout, value);
}

static void print_device_json(int32_t number)
{
  gq_device_info device;

  get_device(number, &device);
  printf("%s{\"device\":%d", number ? "," : "", number);
  json_member("name", device.name);
  printf(",\"capability\":\"%d.%d\",\"sms\":%d,\"memory_bytes\":%" PRIu64 ",\"usable\":%s", device.capability_major,
         device.capability_minor, device.sms, device.memory_bytes, device.usable ? "true" : "false");
  json_member("reason", device.reason);
  printf("}");
}

static void print_json(const gq_system_info *system)
{
  const gq_handler_info *handler;
  int32_t i;
  size_t row;

  printf("{\"version\":");
  json_string(stdout, gq_version());
  json_member("compiler", COMPILER);
  json_member("build_archs", system->build_archs);
  printf(",\"cpus\":%d,\"unit_bytes\":%d,\"driver_version\":%d,\"cpu_usable\":%s", system->cpus, system->unit_bytes,
         system->driver_version, system->cpu_usable ? "true" : "false");
  json_member("cpu_reason", system->cpu_reason);
  printf(",\"cuda_usable\":%s", system->cuda_usable ? "true" : "false");
  json_member("cuda_reason", system->cuda_reason);
  printf(",\"cpu_compiler_usable\":%s", system->cpu_compiler_usable ? "true" : "false");
  json_member("cpu_compiler", system->cpu_compiler);
  printf(",\"gpu_compiler_usable\":%s", system->gpu_compiler_usable ? "true" : "false");
  json_member("gpu_compiler", system->gpu_compiler);
  printf(",\"devices\":[");
  for (i = 0; i < system->devices; i++) print_device_json(i);
  printf("],\"handlers\":[");
  for (row = 0; (handler = gq_handler_describe(row)) != NULL; row++) {
    printf("%s{\"name\":", row ? "," : "");
    json_string(stdout, handler->name);
    json_member("summary", handler->summary);
    json_member("scopes", handler->scopes);
    json_member("output", output_names[handler->output]);
    printf("}");
  }
  puts("]}");
}

int info_command(int argc, char **argv)
{
  gq_system_info system;
  bool json = false;
  int i;

  for (i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      print_info_help();
      return EXIT_FINE;
    }
    if (strcmp(argv[i], "--json") != 0) {
      complain("info: unknown argument '%s'; try 'gpuqueue info --help'", argv[i]);
      return EXIT_USAGE;
    }
    json = true;
  }
  memset(&system, 0, sizeof system);
  system.size = sizeof system;
  if (gq_get_system_info(&system) != GQ_OK) {
    complain("%s", gq_last_error());
    return EXIT_SYSTEM;
  }
  if (json) print_json(&system);
  else print_text(&system);
  return system.cpu_usable || system.cuda_usable ? EXIT_FINE : EXIT_SYSTEM;
}
