/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU for fake_driver.c, in mode "gpu": memory is the host's, a stream is a thread, and whatever kernel is launched
 * cooperatively is an echo that drains lanes, parks and leaves as the resident kernel does. Other kernels do nothing.
 *
 * FAKE_GPU=fault: the first kernel to park faults while it leaves, and every call after that says so.
 * FAKE_GPU=linger: the first one takes 2.5 s to end after it has said that it leaves.
 * FAKE_GPU=stay: a kernel that has parked does not leave until it is told to stop. */
#ifndef GQ_TEST_FAKE_GPU_H
#define GQ_TEST_FAKE_GPU_H

typedef void fake_entry(void);

/** The entry point called \p name, or NULL if this GPU has none. */
fake_entry *fake_gpu_find(const char *name);

#endif
