/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler is compiled and linked with: embedded in the library, so that it always fits the library. */
#ifndef GQ_LINKED_KERNEL_H
#define GQ_LINKED_KERNEL_H
#include <stddef.h>
#include "digest.h"

/** The resident kernel as LTO-IR in a fatbin, with gq_handler_entry() missing; 0 bytes in a build without nvcc. */
const unsigned char *gq_linked_kernel(void);
size_t gq_linked_kernel_bytes(void);

/** The text of <gpuqueue/handler.h>. */
const char *gq_handler_header(void);

/** Tells which resident kernel, and so which layout of what host and kernel share, this library goes with: a digest of
 * the kernel's sources. The same in every build of the same sources, also without nvcc. */
void gq_kernel_id(uint8_t id[GQ_DIGEST_BYTES]);

#endif
