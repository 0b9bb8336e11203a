/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GPUQUEUE_BENCH_NVML_H
#define GPUQUEUE_BENCH_NVML_H

#include <stddef.h>

/** Say in \p text at what clocks device \p number, as CUDA counts, runs and may run, and how it is connected, as
 * NVIDIA's management library says, which is loaded for it; "" where it is missing or does not know. */
void nvml_describe(int number, char *text, size_t size);

#endif
