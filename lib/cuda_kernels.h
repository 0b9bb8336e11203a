/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GQ_CUDA_KERNELS_H
#define GQ_CUDA_KERNELS_H

/** The embedded fatbin; see gq_cuda_build_archs in info.h for what is in it. */
extern const unsigned char gq_cuda_fatbin[] __attribute__((visibility("hidden")));

#endif
