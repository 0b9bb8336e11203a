/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels of cuda/baselines.cu and the programs that launch them agree on. */
#ifndef GQ_CUDA_BASELINES_H
#define GQ_CUDA_BASELINES_H
#include "atomics.h"

/* The answer to a data word is the word combined with this by exclusive or, where a baseline echoes. */
#define GQ_BASELINE_MARK 0x5aa5c33cu

/* How a resident kernel ends: when the word in host memory is not 0, or after this time, whoever may have died. */
typedef struct gq_baseline_life {
  uint64_t stop; /* address of a gq_a32 */
  uint64_t limit_ns;
} gq_baseline_life;

/* The smallest resident queue. Each lane is a ring of 2^units_log2 units in host memory each way, and one of the same
 * size in device memory between them; a cell is complete when all its units carry the lap's tag, as in protocol.h. The
 * host keeps fewer messages under way than there are cells, so that nothing here can be overwritten unread. */
typedef struct gq_baseline_ring {
  uint64_t submissions, completions; /* host memory; the lanes lie one after the other */
  uint64_t resident;                 /* device memory, the same layout */
  uint64_t tickets;                  /* device memory: a counter of claimed batches for each lane */
  uint32_t units_log2, lanes;
  uint32_t ingress_blocks;           /* the first so many blocks of the grid; the others work */
  uint32_t unused;
  gq_baseline_life life;
} gq_baseline_ring;

/* The counters are this many bytes apart. */
#define GQ_BASELINE_TICKET_BYTES 128u

/* Warps in a block of the ring's kernel for cells of this many units: 32 KiB of shared memory at most. */
#define GQ_BASELINE_WARPS(units) ((units) <= 8 ? 8 : 64 / (units))

/* Threads in a block of every kernel that moves more than one cell. */
#define GQ_BASELINE_THREADS 256

/* What the store kernel writes as word k of unit i in pass number `pass`. */
#define GQ_BASELINE_STORED(i, k, pass) ((uint32_t)(i) * 4u + (k) + (uint32_t)(pass) * 0x9e3779b1u)

#endif
