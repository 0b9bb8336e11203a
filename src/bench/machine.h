/* SPDX-License-Identifier: Apache-2.0 */
/** \file machine.h
 * What a figure was measured on, and with what build. */
#ifndef GPUQUEUE_BENCH_MACHINE_H
#define GPUQUEUE_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct machine {
  char cpu[128], kernel[256], governor[64], vendor[64];
  unsigned cores;               /**< that this process may use */
  double cpu_mhz;               /**< as the kernel says now; 0: it does not */
  uint64_t memory_bytes, available_bytes;
  char gpu[256];                /**< empty: none is used */
  int32_t gpu_sms;
  uint64_t gpu_memory_bytes;
  char driver[256];             /**< of NVIDIA, as the kernel module says */
  int32_t cuda_version;         /**< of the driver: 13000 for 13.0 */
  char gpu_clocks[160];         /**< as NVML says; empty: not known */
  char gpu_code[256];           /**< that this build has */
  const char *compiler, *flags;
};

/** \param device  the GPU to describe, or -1 for none */
void machine_describe(struct machine *machine, int device);

#endif
