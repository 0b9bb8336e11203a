/* SPDX-License-Identifier: Apache-2.0 */
/* A lane: one submission ring and one completion ring with their arena, in one piece of shared memory that holds
 * offsets and no pointers. The client half of the protocol is here; no backend is known. */
#ifndef GQ_LANE_H
#define GQ_LANE_H
#include <gpuqueue/gpuqueue.h>
#include <pthread.h>
#include <stdbool.h>

#include "arena.h"
#include "cell.h"

#define GQ_LINE __attribute__((aligned(128)))

/** Where a lane's clients sleep: `wanted` is 1 if somebody may have gone to sleep since `woken` was last counted up. */
typedef struct gq_sleeping {
  gq_a32 wanted; /* set by who is about to sleep, cleared by who wakes */
  gq_a32 woken;  /* counted up with a futex wake */
} gq_sleeping;

/** The first page of a lane. What is constant after creation comes first; then a line a writer. */
typedef struct gq_lane_head {
  char magic[8]; /* "gqlane\0" and the ABI number */
  uint32_t index, capacity;
  uint32_t ring_log2, cell_bytes, unit_bytes, pad;
  uint64_t owner_epoch;
  uint64_t arena_bytes, total_bytes;
  uint64_t submissions, completions, endings, state, start_stamps, enqueue_stamps, arena; /* offsets */

  GQ_LINE gq_a64 claimed;   /* client: positions claimed by producers */
  GQ_LINE gq_a64 polled;    /* client: entries of the completion order that pollers have claimed, and two flags */
  GQ_LINE gq_a32 parked;    /* consumer: 1 if nobody looks at this lane until the owner is kicked */
  GQ_LINE gq_sleeping for_results; /* client; woken by the consumer (CPU backend only) when something completes */
  gq_sleeping for_room;     /* client; woken by clients when they release something */
  gq_a64 clock_offset;      /* owner: what to add to the consumer's stamps for CLOCK_MONOTONIC */
  gq_a32 watched;           /* client: 1 if the thread behind gq_event_fd() sleeps until something is enqueued */
} gq_lane_head;

/** Consumer-written times of a sampled message, ns of CLOCK_MONOTONIC. */
typedef struct gq_stamp { gq_a64 start, end; } gq_stamp;

/* state[i] is p while position p (p mod N = i) is free or in use, p | GQ_TAKEN while a reader holds its result, and
 * p + N once it has been released. gq_poll() adds GQ_SLOTTED, so that gq_release() need not look at any other cell;
 * gq_lane_cancel() sets GQ_PINNED for the moment that it needs. */
#define GQ_TAKEN (1ull << 63)
#define GQ_PINNED (1ull << 62) /* gq_lane_cancel() is rewriting the submission */
#define GQ_SLOTTED (1ull << 61) /* there are slots to free */

/* `polled` counts in its low bits, as positions do. While nobody takes a result by its id, nor cancels a message, an
 * entry of the completion order that a poller has claimed is its own, and state[] need not be exchanged to say so. One
 * poller at a time does without, by claiming with GQ_TAKING; it takes the flag back once it has marked what it took.
 * Who comes by an id sets GQ_BY_ID, for good, and waits for that: from then on each message is taken by an exchange. */
#define GQ_BY_ID (1ull << 63)
#define GQ_TAKING (1ull << 62)
static inline uint64_t gq_entries_polled(uint64_t polled) { return polled & ~(GQ_BY_ID | GQ_TAKING); }

#define GQ_KEY_SLOTS 65536u

/** A client's view of a lane: pointers into the mapping, and what only this process needs. What is written while
 * messages flow has lines apart from what every call reads. */
typedef struct gq_lane {
  gq_lane_head *head;
  gq_unit *submissions, *completions;
  gq_a64 *endings;                      /* the completion order: see gq_ending_word() */
  gq_a64 *state;
  gq_stamp *start_stamps;
  gq_a64 *enqueue_stamps;
  uint8_t *arena_base;
  uint32_t units, unit_bytes, ring_log2, capacity, index;
  uint64_t ring_mask;
  uint64_t max_message_bytes, max_result_bytes;
  uint32_t closed, ended;               /* atomic: its handle is ending; its unfinished messages are given up */
  uint64_t total_bytes;                 /* of the mapping */
  uint32_t handler_multiplier;          /* the handler's bound of the result: multiplier * size + constant */
  uint32_t handler_constant;
  uint64_t plain_below;                 /* shorter messages fit a cell, and so do their results; 0: none is sure to */
  uint8_t *unpacked;                    /* by ring index: inline results taken apart for gq_poll() */
  uint32_t unpacked_bytes;
  pthread_mutex_t unpacked_lock;

  GQ_LINE uint32_t waiters;             /* atomic: calls that wait, or have waited and are still in here */
  GQ_LINE pthread_mutex_t key_lock;
  uint64_t *key_last;                   /* by key hash: position + 1 of the latest message with it */
  GQ_LINE gq_arena arena;
} gq_lane;

/** How a lane is laid out, decided once per queue from its options. */
typedef struct gq_lane_shape {
  uint32_t capacity, cell_bytes, unit_bytes, ring_log2;
  uint64_t arena_bytes, max_message_bytes, max_result_bytes;
  uint32_t handler_multiplier, handler_constant;
} gq_lane_shape;

/** Bytes of shared memory that a lane of this shape takes: documented in doc/architecture.md. */
uint64_t gq_lane_bytes(const gq_lane_shape *shape);

gq_status gq_lane_create(gq_lane *lane, uint32_t index, const gq_lane_shape *shape);
void gq_lane_destroy(gq_lane *lane);

/** Bytes of room that the result of a message of \p size bytes needs, if the sender does not say. */
uint64_t gq_lane_result_bound(const gq_lane *lane, uint64_t size);

/** A message on its way into the lane: its slots are there, its cell is not. */
typedef struct gq_outgoing {
  const gq_message *message;
  uint64_t slot, result_slot;     /* offsets into the arena; GQ_NO_SLOT where inline */
  uint64_t room;                  /* of the result slot; 0: none */
  uint32_t dependency;            /* distance back to the message with the same key, or 0 */
  bool has_ext;
} gq_outgoing;
#define GQ_NO_SLOT UINT64_MAX

/** Decide what goes inline and allocate the slots that \p message needs, without copying. \p reserved is a slot that
 * holds the payload already, or GQ_NO_SLOT. \return GQ_OK; GQ_FULL if the arena has no room now (nothing is held). */
gq_status gq_lane_prepare(gq_lane *lane, const gq_message *message, uint64_t reserved, gq_outgoing *out);

/** Give back the slots of a message that was not sent; \p reserved stays. */
void gq_lane_unprepare(gq_lane *lane, gq_outgoing *out, uint64_t reserved);

/** Claim up to \p max consecutive positions. \return how many, 0 if the ring is full. */
size_t gq_lane_claim(gq_lane *lane, size_t max, uint64_t *first);

/** gq_lane_claim() for prepared messages of which some have a key: each gets its place among those with its key. */
size_t gq_lane_claim_keyed(gq_lane *lane, gq_outgoing *out, size_t max, uint64_t *first);

/** A finished message as its client sees it. */
typedef struct gq_finished {
  uint32_t size, in_slot, status, attempts;
  int32_t code;
  uint64_t key, tag;
  uint64_t slot, result_slot; /* arena offsets, GQ_NO_SLOT if none */
} gq_finished;

/** Read key, tag and slots back from the submission of \p position, which must be held or not released. */
void gq_lane_recall(const gq_lane *lane, uint64_t position, gq_finished *finished);

/** What \p position is to a reader now. */
typedef enum gq_standing { GQ_STANDING_UNKNOWN, GQ_STANDING_HELD, GQ_STANDING_LIVE } gq_standing;
gq_standing gq_lane_standing(const gq_lane *lane, uint64_t position);

/* What every message passes through, publishing, taking and releasing, is in lane_path.h. */

/** Before gq_lane_take() and gq_lane_cancel(): see to it that pollers do not do without exchanging the state. The first
 * call for a lane may find one who does, and waits for it a little. \return false if it is still at it: try later. */
bool gq_lane_allow_ids(gq_lane *lane);

/** Take up to \p max completed positions, in the lane's order. \return how many; 0 if there is none now. */
size_t gq_lane_take_next(gq_lane *lane, uint64_t *positions, size_t max);

/** Whether gq_lane_take_next() would find something now. */
bool gq_lane_is_ready(gq_lane *lane);
/** With gq_lane_is_ready() false: whether some message has not finished. */
bool gq_lane_is_unfinished(gq_lane *lane);

/** Copy the payload of \p position, which must be held. \p size as in gq_completion_payload(). */
gq_status gq_lane_payload(const gq_lane *lane, uint64_t position, void *data, size_t *size);

/** Mark the submission of \p position as not to be run; after gq_lane_allow_ids(). \return false if it has finished, or
 * is not live. */
bool gq_lane_cancel(gq_lane *lane, uint64_t position);

/** Ids: the lane's index in the top 12 bits, the position + 1 below. */
#define GQ_POSITION_BITS 52
static inline uint64_t gq_id_make(uint32_t lane, uint64_t position)
{
  return (uint64_t)lane << GQ_POSITION_BITS | (position + 1);
}
static inline uint32_t gq_id_lane(uint64_t id) { return (uint32_t)(id >> GQ_POSITION_BITS); }
static inline uint64_t gq_id_position(uint64_t id) { return (id & ((1ull << GQ_POSITION_BITS) - 1)) - 1; }

#endif
