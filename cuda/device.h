/* SPDX-License-Identifier: Apache-2.0 */
/* What the host half of the CUDA backend and the resident kernel share: memory, not code. Addresses are
 * pointers to the device and plain 64-bit numbers to the host. */
#ifndef GQ_DEVICE_H
#define GQ_DEVICE_H
#include "ring.h"

#if defined(__CUDACC__)
#define GQ_AT(type) type *
#else
#define GQ_AT(type) uint64_t
#endif
#define GQ_LINE128 __attribute__((aligned(128)))

/* Ingress warps fetch chunks of this many windows; a window is 32 units, one a thread. */
#define GQ_WINDOWS 4u

/** How far ingress has come with a lane, in device memory. Highest chunk with a message in it plus one; the highest
 * that is worth polling because messages have been coming in bulk; and the last whose turn it is: see gq_await_turn(). */
typedef struct gq_front {
  gq_a64 seen, eager;
  gq_a64 turn;
} __attribute__((aligned(16))) gq_front;

/** Where an ingress warp stands in a lane; kept here while the kernel is parked. */
typedef struct gq_cursor {
  uint64_t chunk;
  uint32_t got;      /* cells of the chunk that have been taken, a bit each */
  uint32_t spare;
} gq_cursor;

#define GQ_MAX_LANES 1024u

/** Where the parts of a lane are. All lanes of a queue have the same shape, so a lane is known by two addresses: its
 * host memory, in the constant array gq_lane_bases, and its device memory, which lies in one row with the others'. */
typedef struct gq_lane_map {
  uint64_t submissions, completions, endings, stamps, parked, arena; /* offsets from the lane's host memory */
  uint64_t keys, ended, front;        /* offsets from its device memory: gq_key_start(), the completion order, ingress */
  GQ_AT(uint8_t) device;              /* device memory of lane 0 */
  uint64_t stride;                    /* to that of the next lane */
  GQ_AT(uint8_t) mirrors;             /* slots are worked on here, at the arena's offsets; arena_bytes a lane */
} gq_lane_map;

/** Counters of the consumer; device memory, copied to the control page when asked. */
typedef struct gq_dev_counters {
  gq_a64 taken, finished, completed, failed, cancelled, retried;
} gq_dev_counters;

/** What all warps of the kernel share; device memory. */
typedef struct gq_dev_shared {
  GQ_LINE128 gq_ring_counts ring;
  GQ_LINE128 gq_a32 phase;   /* see gq_phase_word(); of another epoch: GQ_RUN */
  GQ_LINE128 gq_a32 arrived; /* ingress warps that have done what the phase asks */
  gq_a32 found;              /* GQ_LOOK: some warp found a message */
  GQ_LINE128 gq_dev_counters counters;
} gq_dev_shared;

enum gq_phase {
  GQ_RUN = 0,
  GQ_QUIET = 1, /* ingress: fetch no more */
  GQ_LOOK = 2,  /* ingress: the lanes say parked; look at them once more */
  GQ_LEAVE = 3  /* everybody: leave the kernel */
};

/** Phases are numbered, so that nobody takes one for the last it saw: epoch, number in the epoch, gq_phase. */
GQ_CONSUMER uint32_t gq_phase_word(uint32_t epoch, uint32_t number, uint32_t phase)
{
  return epoch << 16 | (number & 0x3fffu) << 2 | phase;
}

/** The page through which host and kernel talk; host memory that the device reads and writes. A line a writer. */
typedef struct gq_control {
  GQ_LINE128 gq_a32 stop;      /* host: leave as soon as you can */
  gq_a32 ask;                  /* host: counted up to ask for counters */
  uint32_t pad[2];
  GQ_LINE128 gq_a32 hello;     /* device: the epoch that runs */
  gq_a32 left;                 /* device: the epoch that has ended */
  gq_a32 answered;             /* device: the `ask` that `counters` answers */
  uint32_t pad2;
  gq_a64 clock;                /* device: its clock when it said hello */
  gq_a64 heartbeat;            /* device: its clock, about once a ms */
  gq_a32 init_code;            /* device: what the handler's init gave */
  GQ_LINE128 gq_dev_counters counters; /* device */
} gq_control;

/** Every warp of the kernel has this many notes of what it has begun, in mapped host memory behind the control page:
 * {id low, id high, how many messages from there on, 0}. See cuda/begun.cuh. */
#define GQ_BEGUN_RUNS 32u

/** The kernel's parameter. */
typedef struct gq_dev_queue {
  gq_limits limits;
  gq_lane_map map;
  GQ_AT(gq_dev_shared) shared;
  GQ_AT(gq_control) control;
  GQ_AT(gq_unit) ring_cells;
  GQ_AT(gq_unit) ring_origins;   /* {lane, position low, position high, tag} */
  GQ_AT(gq_a32) ring_free;
  GQ_AT(gq_cursor) cursors;      /* by lane, then by warp of the lane */
  GQ_AT(gq_unit) begun;          /* by warp of the kernel, then GQ_BEGUN_RUNS each */
  uint64_t park_ns;
  uint32_t lane_count, ring_log2;
  uint32_t units_log2;           /* units in a cell */
  uint32_t heads;                /* threads that read the first unit of a cell of a window, a bit each */
  uint32_t ingress_blocks;       /* blocks 0 to this - 1 fetch, the others work; warp 0 of block 0 controls */
  uint32_t warps_per_lane;
  uint32_t is_short;             /* the handler may be run by ingress */
  uint32_t widens;               /* thread scope: large messages are run by a warp each */
  uint32_t may_take_long;        /* the handler is not known to be short: look for cancellations before running it */
  uint32_t epoch;
  uint32_t stage_in, stage_out;  /* bytes of shared memory a staged message and its reply take */
  GQ_AT(uint8_t) args;           /* the handler's arguments, state, and memory for each message under way */
  GQ_AT(uint8_t) state;
  GQ_AT(uint8_t) scratch;
  uint64_t state_bytes, scratch_stride;
  uint32_t scratch_bytes, shared_bytes;
  uint32_t shared_at;            /* where in a block's shared memory the handler's begins: warp and block scope */
} gq_dev_queue;

/** Bytes of shared memory for one staged message: head and lane; payload; extension and position. */
GQ_CONSUMER uint32_t gq_stage_payload_bytes(uint32_t units) { return (units * 12u - 12u + 15u) / 16u * 16u; }

#endif
