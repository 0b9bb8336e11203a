/* SPDX-License-Identifier: Apache-2.0 */
/** \file cells.h
 * Which cells take messages of a size that is known beforehand. */
#ifndef GPUQUEUE_CELLS_H
#define GPUQUEUE_CELLS_H

#include <stdint.h>

#define CELL_TAG_BYTES 24u /**< of a cell, for a tag and what stands beside it */

/** The smallest cell of at least \p smallest bytes that takes a message of \p bytes. \return 0, the library's choice, if
 * none does. Where the CPU cannot store 16 bytes in one piece cells take less (see gq_system_info), and some sizes go
 * the slower way in spite of it. */
uint32_t cell_that_takes(uint64_t bytes, uint32_t smallest);

#endif
