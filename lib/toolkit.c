/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "toolkit.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "error.h"
#include "linked_kernel.h"

#define COMPILE_SECONDS 120 /* what takes longer is given up */
#define MOST_FLAGS 64
#define MOST_KERNELS 8

enum { NVRTC_INVALID_OPTION = 5, NVRTC_CANCELLED = 13 };   /* nvrtcResult */
enum { NVJITLINK_LTOIR = 3, NVJITLINK_FATBIN = 4 };        /* nvJitLinkInputType */

gq_status gq_toolkit_is_of_use(void)
{
  if (gq_linked_kernel_bytes() > 0) return GQ_OK;
  return gq_fail(GQ_NO_BACKEND, "this gpuqueue was built without nvcc and has no GPU code to link handlers with: they run "
                                "on the CPU only");
}

static gq_status missing(const char *what, const char *only, const char *other_version)
{
  char elsewhere[PATH_MAX + 64] = "";

  if (only && *only) snprintf(elsewhere, sizeof elsewhere, " in or below %s (option toolkit)", only);
  else if (*other_version) snprintf(elsewhere, sizeof elsewhere, " (%s is another version)", other_version);
  return gq_fail(GQ_NO_BACKEND, "%s of CUDA %d, with which a handler's source is compiled for the GPU, was not found%s. "
                                "Install it: pip install \"nvidia-cuda-nvrtc==%d.*\" \"nvidia-nvjitlink==%d.*\", or of "
                                "NVIDIA's packages for Debian and Ubuntu cuda-nvrtc-%d-%d and libnvjitlink-%d-%d, or a "
                                "CUDA toolkit, and say CUDA_HOME=DIR where it is not found. A handler compiled on "
                                "another machine (gpuqueue compile) needs none of it",
                 what, GQ_NVCC_MAJOR, elsewhere, GQ_NVCC_MAJOR, GQ_NVCC_MAJOR, GQ_NVCC_MAJOR, GQ_NVCC_MINOR,
                 GQ_NVCC_MAJOR, GQ_NVCC_MINOR);
}

static gq_status find_one(const char *library, const char *what, const char *only, gq_library_file *file)
{
  char name[64];

  snprintf(name, sizeof name, "%s.so.%d", library, GQ_NVCC_MAJOR);
  if (gq_library_find(name, only, file)) return GQ_OK;
  snprintf(name, sizeof name, "%s.so.[0-9]*", library);
  return missing(what, only, gq_library_find(name, only, file) ? file->path : "");
}

gq_status gq_toolkit_find(gq_toolkit *t, const char *only)
{
  gq_status status = gq_toolkit_is_of_use();

  memset(t, 0, sizeof *t);
  if (status == GQ_OK) status = find_one("libnvrtc", "NVRTC", only, &t->nvrtc_file);
  if (status == GQ_OK) status = find_one("libnvJitLink", "nvJitLink", only, &t->nvjitlink_file);
  return status;
}

static gq_status check_versions(const gq_toolkit *t)
{
  const int link = (int)t->nvjitlink_major * 1000 + (int)t->nvjitlink_minor;

  if ((int)t->nvjitlink_major != GQ_NVCC_MAJOR || link < GQ_NVCC_MAJOR * 1000 + GQ_NVCC_MINOR)
    return gq_fail(GQ_NO_BACKEND, "%s is of CUDA %u.%u and cannot read this gpuqueue's kernel, which CUDA %d.%d made: "
                                  "install nvJitLink %d.%d or a later %d.x", t->nvjitlink_file.path, t->nvjitlink_major,
                   t->nvjitlink_minor, GQ_NVCC_MAJOR, GQ_NVCC_MINOR, GQ_NVCC_MAJOR, GQ_NVCC_MINOR, GQ_NVCC_MAJOR);
  if (t->nvrtc_major * 1000 + t->nvrtc_minor > link)
    return gq_fail(GQ_NO_BACKEND, "%s is of CUDA %d.%d and %s of %u.%u, which cannot read what the first one writes: "
                                  "install both in one version", t->nvrtc_file.path, t->nvrtc_major, t->nvrtc_minor,
                   t->nvjitlink_file.path, t->nvjitlink_major, t->nvjitlink_minor);
  return GQ_OK;
}

/* The libraries stay loaded: they keep threads and tables. */
static gq_status load(gq_toolkit *t)
{
  char why[512];
  void *nvrtc, *nvjitlink, *entry;

  if (t->loaded) return GQ_OK;
  nvrtc = gq_library_open(&t->nvrtc_file, "libnvrtc-builtins", why, sizeof why);
  nvjitlink = nvrtc ? gq_library_open(&t->nvjitlink_file, NULL, why, sizeof why) : NULL;
  if (!nvjitlink)
    return gq_fail(GQ_NO_BACKEND, "%s cannot be loaded: %s", nvrtc ? t->nvjitlink_file.path : t->nvrtc_file.path, why);
  /* POSIX promises that a data pointer from dlsym() can be read as one to a function */
#define GQ_TOOLKIT_LOAD(library, name, parameters) \
  entry = dlsym(library, #name); \
  if (!entry) \
    return gq_fail(GQ_NO_BACKEND, "%s has no function " #name ": it is broken, or older than CUDA 12.3", \
                   library == nvrtc ? t->nvrtc_file.path : t->nvjitlink_file.path); \
  memcpy(&t->name, &entry, sizeof entry);
  GQ_TOOLKIT_ENTRIES(GQ_TOOLKIT_LOAD)
#undef GQ_TOOLKIT_LOAD
  entry = dlsym(nvrtc, "nvrtcSetFlowCallback"); /* since 12.8 */
  memcpy(&t->nvrtcSetFlowCallback, &entry, sizeof entry);
  if (t->nvrtcVersion(&t->nvrtc_major, &t->nvrtc_minor) || t->nvJitLinkVersion(&t->nvjitlink_major, &t->nvjitlink_minor))
    return gq_fail(GQ_NO_BACKEND, "%s or %s does not say its version", t->nvrtc_file.path, t->nvjitlink_file.path);
  t->loaded = check_versions(t) == GQ_OK;
  return t->loaded ? GQ_OK : GQ_NO_BACKEND;
}

static int takes_too_long(void *deadline, void *unused)
{
  (void)unused;
  return gq_now() > *(const uint64_t *)deadline;
}

/* What the compiler said, from malloc(), or NULL. */
static char *log_of_program(gq_toolkit *t, gq_nvrtc_program program)
{
  size_t size = 0;
  char *log;

  if (t->nvrtcGetProgramLogSize(program, &size) || size == 0) return NULL;
  log = calloc(1, size + 1);
  if (log && t->nvrtcGetProgramLog(program, log)) log[0] = '\0';
  return log;
}

static gq_status not_compiled(gq_toolkit *t, const gq_gpu_job *job, gq_nvrtc_program program, int error)
{
  char *log = log_of_program(t, program);
  gq_status status;

  if (error == NVRTC_INVALID_OPTION)
    status = gq_fail(GQ_NO_BACKEND, "NVRTC %d.%d (%s) does not take the flags to compile %s for sm_%u: is the GPU newer than "
                                    "it, or handler_flags wrong?\n%s", t->nvrtc_major, t->nvrtc_minor, t->nvrtc_file.path,
                     job->name, job->arch, log ? log : "");
  else if (error == NVRTC_CANCELLED)
    status = gq_fail(GQ_BAD_HANDLER, "%s: compiling it for the GPU took longer than %d s", job->name, COMPILE_SECONDS);
  else
    status = gq_fail(GQ_BAD_HANDLER, "%s does not compile for the GPU (NVRTC %d.%d):\n%s", job->name, t->nvrtc_major,
                     t->nvrtc_minor, log && *log ? log : "NVRTC does not say why");
  free(log);
  return status;
}

static gq_status take_ltoir(gq_toolkit *t, gq_nvrtc_program program, gq_bytes *ltoir)
{
  size_t size = 0;
  uint8_t *code;

  if (t->nvrtcGetLTOIRSize(program, &size) || size == 0) return gq_fail(GQ_NO_BACKEND, "NVRTC made no LTO-IR");
  code = malloc(size);
  if (!code) return gq_fail(GQ_NO_MEMORY, "no memory for %zu bytes of LTO-IR", size);
  if (t->nvrtcGetLTOIR(program, (char *)code)) {
    free(code);
    return gq_fail(GQ_NO_BACKEND, "NVRTC does not hand its LTO-IR out");
  }
  ltoir->data = code;
  ltoir->size = size;
  return GQ_OK;
}

/* The source (its last line may end in a backslash) with what the kernel expects of every handler and no macro can define: a function that prepares it, be
 * there a GQ_INIT() or not. NULL if there is no memory. */
static char *complete_source(const char *source)
{
  static const char end[] = "\n\n#line 1 \"gpuqueue's end of the handler\"\n"
                            "#ifdef GPUQUEUE_HANDLER_H\n"
                            "extern \"C\" __device__ int32_t gq_handler_init_entry(const gq_context *ctx)\n"
                            "{ return gq_init_hook_(ctx, 0); }\n"
                            "#endif\n";
  char *text = malloc(strlen(source) + sizeof end);

  if (text) strcat(strcpy(text, source), end);
  return text;
}

gq_status gq_toolkit_compile(gq_toolkit *t, const gq_gpu_job *job, gq_bytes *ltoir)
{
  static const char *const header_names[] = {"gpuqueue/handler.h"};
  const char *const header_texts[] = {gq_handler_header()};
  const char *flags[MOST_FLAGS] = {NULL, "-dlto", "--std=c++17", "--device-as-default-execution-space"};
  uint64_t deadline = gq_now() + COMPILE_SECONDS * 1000000000ull;
  gq_status status = load(t);
  gq_nvrtc_program program;
  char arch[32], *source;
  int count = 4, error;

  if (status != GQ_OK) return status;
  snprintf(arch, sizeof arch, "--gpu-architecture=sm_%u", job->arch);
  flags[0] = arch;
  for (size_t i = 0; job->flags && job->flags[i]; i++) {
    if (count == MOST_FLAGS) return gq_fail(GQ_INVALID, "handler_flags: more than %d flags", MOST_FLAGS - 4);
    flags[count++] = job->flags[i];
  }
  source = complete_source(job->source);
  if (!source) return gq_fail(GQ_NO_MEMORY, "no memory for the source of %s", job->name);
  error = t->nvrtcCreateProgram(&program, source, job->name, 1, header_texts, header_names);
  free(source);
  if (error) return gq_fail(GQ_NO_BACKEND, "NVRTC refuses to begin a program (error %d)", error);
  if (t->nvrtcSetFlowCallback) t->nvrtcSetFlowCallback(program, takes_too_long, &deadline);
  error = t->nvrtcCompileProgram(program, count, flags);
  status = error ? not_compiled(t, job, program, error) : take_ltoir(t, program, ltoir);
  t->nvrtcDestroyProgram(&program);
  return status;
}

static gq_status not_linked(gq_toolkit *t, gq_nvjitlink link, const gq_link_job *job, int error, const char *doing)
{
  size_t size = 0;
  char *log = NULL;
  gq_status status;

  if (t->nvJitLinkGetErrorLogSize(link, &size) == 0 && size > 0 && (log = calloc(1, size + 1)) != NULL)
    if (t->nvJitLinkGetErrorLog(link, log)) log[0] = '\0';
  status = gq_fail(GQ_BAD_HANDLER, "%s cannot be linked for sm_%u (nvJitLink %u.%u, %s: error %d):\n%s", job->name,
                   job->arch, t->nvjitlink_major, t->nvjitlink_minor, doing, error,
                   log && *log ? log : "nvJitLink does not say why");
  free(log);
  return status;
}

static gq_status take_linked(gq_toolkit *t, gq_nvjitlink link, bool as_ptx, gq_bytes *code)
{
  size_t size = 0;
  uint8_t *data;

  if ((as_ptx ? t->nvJitLinkGetLinkedPtxSize(link, &size) : t->nvJitLinkGetLinkedCubinSize(link, &size)) || size == 0)
    return gq_fail(GQ_NO_BACKEND, "nvJitLink made no code");
  data = calloc(1, size + 1);
  if (!data) return gq_fail(GQ_NO_MEMORY, "no memory for %zu bytes of GPU code", size);
  if (as_ptx ? t->nvJitLinkGetLinkedPtx(link, (char *)data) : t->nvJitLinkGetLinkedCubin(link, data)) {
    free(data);
    return gq_fail(GQ_NO_BACKEND, "nvJitLink does not hand its code out");
  }
  code->data = data;
  code->size = as_ptx ? strlen((const char *)data) + 1 : size;
  return GQ_OK;
}

gq_status gq_toolkit_link(gq_toolkit *t, const gq_link_job *job, gq_bytes *code)
{
  char arch[32], used[2 * MOST_KERNELS][96];
  const char *flags[2 * MOST_KERNELS + 4] = {arch, "-lto", "-O3"};
  gq_status status = load(t);
  uint32_t count = 3, names = 0;
  gq_nvjitlink link;
  int error;

  if (status != GQ_OK) return status;
  snprintf(arch, sizeof arch, job->as_ptx ? "-arch=compute_%u" : "-arch=sm_%u", job->arch);
  if (job->as_ptx) flags[count++] = "-ptx";
  for (uint32_t i = 0; job->kernels && job->kernels[i] && i < MOST_KERNELS; i++)
    snprintf(used[names++], sizeof *used, "-kernels-used=%s", job->kernels[i]);
  for (uint32_t i = 0; job->kernels && job->variables[i] && i < MOST_KERNELS; i++)
    snprintf(used[names++], sizeof *used, "-variables-used=%s", job->variables[i]);
  for (uint32_t i = 0; i < names; i++) flags[count++] = used[i];
  error = t->nvJitLinkCreate(&link, count, flags);
  if (error)
    return gq_fail(GQ_NO_BACKEND, "nvJitLink %u.%u does not link for sm_%u (error %d)", t->nvjitlink_major,
                   t->nvjitlink_minor, job->arch, error);
  /* each input's answer counts: Complete may succeed without an input that was refused */
  if (job->kernels && (error = t->nvJitLinkAddData(link, NVJITLINK_FATBIN, gq_linked_kernel(), gq_linked_kernel_bytes(),
                                                   "resident kernel")) != 0)
    status = not_linked(t, link, job, error, "taking the resident kernel");
  else if ((error = t->nvJitLinkAddData(link, NVJITLINK_LTOIR, job->ltoir, job->size, job->name)) != 0)
    status = not_linked(t, link, job, error, "taking the handler");
  else if ((error = t->nvJitLinkComplete(link)) != 0)
    status = not_linked(t, link, job, error, "linking");
  else
    status = take_linked(t, link, job->as_ptx, code);
  t->nvJitLinkDestroy(&link);
  return status;
}
