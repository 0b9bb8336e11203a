/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels, as nvcc made them from cuda/resident.cu, in read-only memory. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cuda_kernels.h"

#include "info.h"

#ifdef GQ_FATBIN
const char gq_cuda_build_archs[] = GQ_CUDA_ARCHS;
__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        ".globl gq_cuda_fatbin\n"
        ".hidden gq_cuda_fatbin\n"
        ".type gq_cuda_fatbin, %object\n"
        "gq_cuda_fatbin:\n"
        ".incbin \"" GQ_FATBIN "\"\n"
        ".size gq_cuda_fatbin, . - gq_cuda_fatbin\n"
        ".popsection\n");
#else
const char gq_cuda_build_archs[] = "";
const unsigned char gq_cuda_fatbin[1] = {0};
#endif
