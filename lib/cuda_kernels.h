/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GQ_CUDA_KERNELS_H
#define GQ_CUDA_KERNELS_H
#include <stdint.h>

/** The embedded fatbin with the kernels for \p handler, a number of builtin.def or testing.def; NULL if there is none.
 * See gq_cuda_build_archs in info.h for what is in it. */
const unsigned char *gq_cuda_fatbin(uint32_t handler);

#endif
