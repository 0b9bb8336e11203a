/* SPDX-License-Identifier: Apache-2.0 */
/** \file toolkit.h
 * NVIDIA's run-time compiler (NVRTC) and device linker (nvJitLink), found and loaded when a handler has to be compiled
 * for the GPU. Neither needs a GPU or a driver. Their few types are declared here, as the driver's are in
 * cuda_driver.h. */
#ifndef GQ_TOOLKIT_H
#define GQ_TOOLKIT_H
#include "dynlib.h"
#include "files.h"

typedef struct nvrtc_program *gq_nvrtc_program; /* nvrtcProgram */
typedef struct nvjitlink_link *gq_nvjitlink;    /* nvJitLinkHandle */

/* ENTRY(library, name, parameters). All of them exist since CUDA 12.3; 0 is success. */
#define GQ_TOOLKIT_ENTRIES(ENTRY) \
  ENTRY(nvrtc, nvrtcVersion, (int *major, int *minor)) \
  ENTRY(nvrtc, nvrtcCreateProgram, (gq_nvrtc_program *program, const char *source, const char *name, int headers, \
                                    const char *const *texts, const char *const *names)) \
  ENTRY(nvrtc, nvrtcDestroyProgram, (gq_nvrtc_program *program)) \
  ENTRY(nvrtc, nvrtcCompileProgram, (gq_nvrtc_program program, int options, const char *const *texts)) \
  ENTRY(nvrtc, nvrtcGetLTOIRSize, (gq_nvrtc_program program, size_t *size)) \
  ENTRY(nvrtc, nvrtcGetLTOIR, (gq_nvrtc_program program, char *code)) \
  ENTRY(nvrtc, nvrtcGetProgramLogSize, (gq_nvrtc_program program, size_t *size)) \
  ENTRY(nvrtc, nvrtcGetProgramLog, (gq_nvrtc_program program, char *log)) \
  ENTRY(nvjitlink, nvJitLinkVersion, (unsigned *major, unsigned *minor)) \
  ENTRY(nvjitlink, nvJitLinkCreate, (gq_nvjitlink *link, uint32_t options, const char **texts)) \
  ENTRY(nvjitlink, nvJitLinkDestroy, (gq_nvjitlink *link)) \
  ENTRY(nvjitlink, nvJitLinkAddData, (gq_nvjitlink link, int type, const void *data, size_t size, const char *name)) \
  ENTRY(nvjitlink, nvJitLinkComplete, (gq_nvjitlink link)) \
  ENTRY(nvjitlink, nvJitLinkGetLinkedCubinSize, (gq_nvjitlink link, size_t *size)) \
  ENTRY(nvjitlink, nvJitLinkGetLinkedCubin, (gq_nvjitlink link, void *cubin)) \
  ENTRY(nvjitlink, nvJitLinkGetLinkedPtxSize, (gq_nvjitlink link, size_t *size)) \
  ENTRY(nvjitlink, nvJitLinkGetLinkedPtx, (gq_nvjitlink link, char *ptx)) \
  ENTRY(nvjitlink, nvJitLinkGetErrorLogSize, (gq_nvjitlink link, size_t *size)) \
  ENTRY(nvjitlink, nvJitLinkGetErrorLog, (gq_nvjitlink link, char *log))

typedef struct gq_toolkit {
  gq_library_file nvrtc_file, nvjitlink_file;
  bool loaded;
  int nvrtc_major, nvrtc_minor;
  unsigned nvjitlink_major, nvjitlink_minor;
  int (*nvrtcSetFlowCallback)(gq_nvrtc_program program, int (*goes_on)(void *, void *), void *argument); /* or NULL */
#define GQ_TOOLKIT_FIELD(library, name, parameters) int (*name) parameters;
  GQ_TOOLKIT_ENTRIES(GQ_TOOLKIT_FIELD)
#undef GQ_TOOLKIT_FIELD
} gq_toolkit;

/** Whether this build has a resident kernel that handlers can be linked with. \return GQ_OK, or GQ_NO_BACKEND. */
gq_status gq_toolkit_is_of_use(void);

/** Find the two libraries, without loading them: the version that made the kernel, which they must be able to read.
 * \param only  see gq_library_find()
 * \return GQ_OK; GQ_NO_BACKEND with what to install. */
gq_status gq_toolkit_find(gq_toolkit *toolkit, const char *only);

/** What to compile for the GPU. */
typedef struct gq_gpu_job {
  const char *source, *name;     /* text; its file's name */
  const char *const *flags;      /* further options for NVRTC, NULL-terminated */
  uint32_t arch;                 /* such as 90 */
} gq_gpu_job;

/** Compile to LTO-IR, loading the libraries if they are not.
 * \return GQ_OK; GQ_BAD_HANDLER with everything that the compiler said; GQ_NO_BACKEND; GQ_NO_MEMORY. */
gq_status gq_toolkit_compile(gq_toolkit *toolkit, const gq_gpu_job *job, gq_bytes *ltoir);

/** What to link. */
typedef struct gq_link_job {
  const char *name;              /* of the handler's file */
  const uint8_t *ltoir;
  size_t size;
  uint32_t arch;                 /* such as 90 */
  const char *const *kernels;    /* the resident kernels to link it with, NULL-terminated (each takes a second); NULL: none,
                                    to look at the handler alone */
  const char *const *variables;  /* with kernels: what the host looks up by name, NULL-terminated; others become local */
  bool as_ptx;                   /* PTX for that architecture and later ones, a text that ends in a NUL, and no cubin */
} gq_link_job;

/** Link a handler. \return as gq_toolkit_compile(). */
gq_status gq_toolkit_link(gq_toolkit *toolkit, const gq_link_job *job, gq_bytes *code);

#endif
