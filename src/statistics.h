/* SPDX-License-Identifier: Apache-2.0 */
/** \file statistics.h
 * What --stats prints on standard error at the end of a run. */
#ifndef GPUQUEUE_STATISTICS_H
#define GPUQUEUE_STATISTICS_H

#include <stdint.h>

#include "run.h"

void statistics_print(struct run *run, int64_t elapsed_ns);

#endif
