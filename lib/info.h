/* SPDX-License-Identifier: Apache-2.0 */
/* What this build and this machine can do. */
#ifndef GQ_INFO_H
#define GQ_INFO_H

#include "cuda_driver.h"

/** The GPU code in the library, such as "sm_75 sm_80 sm_90 ptx_121"; empty: built without nvcc. */
extern const char gq_cuda_build_archs[];

/** How many bytes this CPU stores and loads in one piece when they are aligned: 16 or 8.
 * 16 on x86-64 with AVX (Intel SDM vol. 3A 9.1.1; AMD APM vol. 2 7.3.2) and on Arm with LSE2 (FEAT_LSE2, Arm ARM
 * B2.2.1). GQ_UNIT_BYTES_FORCED sets it when building, for checkers that do not see 16-byte accesses. */
unsigned gq_host_unit_bytes(void);

/** Whether code for one of \p archs runs on a GPU of capability \p major.\p minor: machine code (sm_NN) of the same
 * major and not a later minor, or PTX (ptx_NN) of no later capability. 1 or 0. */
int gq_cuda_archs_run_on(const char *archs, int major, int minor);

/** Whether a queue can run on CUDA device \p device with the GPU code in \p archs.
 * \param driver  from gq_cuda_driver_load()
 * \param info    out, also with GQ_NO_BACKEND: all but `size`, which is left alone
 * \return GQ_OK, perhaps with a warning in \p info->reason; GQ_NO_BACKEND if it cannot (the reason is there and in
 *         gq_last_error()); GQ_NO_DEVICE if there is no such device. */
gq_status gq_cuda_check_device_for(const gq_cuda_driver *driver, int32_t device, const char *archs,
                                   gq_device_info *info);

/** The same for the GPU code in this library. */
gq_status gq_cuda_check_device(const gq_cuda_driver *driver, int32_t device, gq_device_info *info);

#endif
