/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GQ_OPTIONS_H
#define GQ_OPTIONS_H
#include <gpuqueue/gpuqueue.h>
#include <stdbool.h>

/** Check every field of \p options against the option table, however it was set. */
gq_status gq_options_check(const gq_options *options);

/** The options in full, and checked: what a caller's smaller struct does not have keeps its default.
 * \param given  NULL for the defaults */
gq_status gq_options_complete(gq_options *options, const gq_options *given);

#endif
