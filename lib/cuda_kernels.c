/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels, as nvcc made them from cuda/resident.cu, one for each handler, in read-only memory. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cuda_kernels.h"

#include <stddef.h>

#include "info.h"

#ifdef GQ_HAVE_FATBINS
const char gq_cuda_build_archs[] = GQ_CUDA_ARCHS;

/* Relative to the build directory, where every compiler runs, so that no object depends on where that lies. */
#define EMBED(name)                                         \
  extern const unsigned char gq_fatbin_##name[];            \
  __asm__(".pushsection .rodata\n"                          \
          ".balign 64\n"                                    \
          ".globl gq_fatbin_" #name "\n"                    \
          ".hidden gq_fatbin_" #name "\n"                   \
          ".type gq_fatbin_" #name ", %object\n"            \
          "gq_fatbin_" #name ":\n"                          \
          ".incbin \"cuda/handlers/" #name ".fatbin\"\n"    \
          ".size gq_fatbin_" #name ", . - gq_fatbin_" #name "\n" \
          ".popsection\n")
#define HIDDEN __attribute__((visibility("hidden")))

#define HANDLER(id, name) HIDDEN EMBED(name);
#define HANDLER_INIT(id, name) HIDDEN EMBED(name);
#include "cuda/handlers/builtin.def"
#undef HANDLER
#undef HANDLER_INIT
HIDDEN EMBED(testing);

const unsigned char *gq_cuda_fatbin(uint32_t handler)
{
  switch (handler) {
#define HANDLER(id, name) case id: return gq_fatbin_##name;
#define HANDLER_INIT(id, name) HANDLER(id, name)
#include "cuda/handlers/builtin.def"
#undef HANDLER
#undef HANDLER_INIT
#define HANDLER(id, name) case id:
#define HANDLER_INIT(id, name) case id:
#include "cuda/handlers/testing.def"
    return gq_fatbin_testing;
  default: return NULL;
  }
}

#else
const char gq_cuda_build_archs[] = "";

const unsigned char *gq_cuda_fatbin(uint32_t handler)
{
  (void)handler;
  return NULL;
}
#endif
