/* SPDX-License-Identifier: Apache-2.0 */
/** \file progress.h
 * A line on standard error that says how far the run is. */
#ifndef GPUQUEUE_PROGRESS_H
#define GPUQUEUE_PROGRESS_H

#include <stdint.h>

#include "run.h"

struct progress {
  int64_t started_ns, shown_ns;
  uint64_t shown_count;
};

void progress_init(struct progress *progress);

/** Show it if it was not shown for some tenths of a second. \param count  messages finished */
void progress_show(struct progress *progress, uint64_t count, struct run *run);

/** Take the line away. */
void progress_end(void);

/** Write \p value with a suffix k, M, G or T into \p text and return it. */
const char *progress_scaled(double value, char *text, size_t size);

#endif
