/* SPDX-License-Identifier: Apache-2.0 */
/* The text behind gq_last_error(). */
#ifndef GQ_ERROR_H
#define GQ_ERROR_H
#include <gpuqueue/gpuqueue.h>

/** Describe an error for the calling thread, printf-like, and give \p status back: `return gq_fail(...)`. */
gq_status gq_fail(gq_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Remember what gq_last_failure() tells the calling thread. */
void gq_set_failure(int32_t code, uint32_t attempts);

#endif
