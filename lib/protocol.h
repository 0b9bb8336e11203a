/* SPDX-License-Identifier: Apache-2.0 */
/* The words that producers and consumers share: what a cell holds, and how positions, laps and ids relate.
 * Compiled for the host, the device and the model checker.
 *
 * A lane has N ring cells each way (a power of two). Message number p of a lane, its *position*, has the submission
 * cell and the completion cell p mod N; positions run free in 64 bits. Each access-sized piece of a cell carries
 * the lap's tag, (p / N) + 1 in 32 bits, so a cell is complete exactly when all the pieces that it uses carry the
 * tag expected, and nothing need be cleared between laps (the idea is NCCL's LL protocol's; the lap tag is that of
 * Vyukov's bounded MPMC queue).
 *
 * A cell is a stream of 32-bit data words, three to a 16-byte unit {word, word, word, tag} or one to an 8-byte
 * unit {word, tag}: 3 head words, 6 extension words if GQ_CELL_EXT is set, then the inline payload. */
#ifndef GQ_PROTOCOL_H
#define GQ_PROTOCOL_H
#include "atomics.h"

#define GQ_ABI 1u

/* ---- head word 0: size of the payload or result in bytes.
 * ---- head word 1 of a submission: flags in bits 0-7, distance back to the message that must finish before this
 *      one in bits 8-31 (0: none). Of a completion: flags in bits 0-7, gq_status in 8-15, attempts in 16-23.
 * ---- head word 2 of a submission: slot of the payload if GQ_CELL_SLOT. Of a completion: the handler's code. */
#define GQ_HEAD_WORDS 3u
#define GQ_EXT_WORDS 6u

#define GQ_CELL_SLOT 1u      /* the payload (result) is in the arena, not in the cell */
#define GQ_CELL_EXT 2u       /* the six extension words are there */
#define GQ_CELL_CANCELLED 4u /* submission only: set late, in place; do not run it */
#define GQ_CELL_RECALL 8u    /* completion only: the submission has slots or extension words to look up */

/* Extension words: key low, key high, bytes of room for the result, tag low, tag high, slot of the result.
 * The order keeps each 16-byte unit's three words together. Room 0 means that the result has no slot. */
enum { GQ_EXT_KEY = 0, GQ_EXT_ROOM = 2, GQ_EXT_TAG = 3, GQ_EXT_RESULT_SLOT = 5 };

#define GQ_SLOT_BYTES 256u /* slots are counted in this unit from the start of the arena */
#define GQ_MAX_DEPENDENCY 0xffffffu

/* One message in 256 is timed: its position is a multiple of this. The clocks of both sides and four words over the bus
 * cost such a message a microsecond, and with what else comes late now and then it must not be one in a hundred that
 * does: p99 would show it. */
#define GQ_SAMPLE 256u

/** Messages of a ring of \p cells cells that are timed at once, at most. */
GQ_CONSUMER uint64_t gq_samples(uint64_t cells) { return cells > GQ_SAMPLE ? cells / GQ_SAMPLE : 1; }

/** The tag of position \p p in a ring of 2^\p ring_log2 cells. */
GQ_CONSUMER uint32_t gq_tag(uint64_t p, unsigned ring_log2) { return (uint32_t)(p >> ring_log2) + 1u; }

/** Data words in a cell of \p units 16-byte units. */
GQ_CONSUMER uint32_t gq_cell_words(uint32_t units, uint32_t unit_bytes) { return units * (unit_bytes == 16 ? 3u : 2u); }

/** Payload bytes that fit a cell beside its head. */
GQ_CONSUMER uint32_t gq_inline_bytes(uint32_t units, uint32_t unit_bytes, uint32_t has_ext)
{
  return 4u * (gq_cell_words(units, unit_bytes) - GQ_HEAD_WORDS - (has_ext ? GQ_EXT_WORDS : 0u));
}

/** Data words that a cell with this head uses. More than the cell has means that the head is malformed. */
GQ_CONSUMER uint32_t gq_used_words(uint32_t size, uint32_t flags)
{
  const uint32_t fixed = GQ_HEAD_WORDS + (flags & GQ_CELL_EXT ? GQ_EXT_WORDS : 0u);

  return flags & GQ_CELL_SLOT ? fixed : fixed + (size >> 2) + ((size & 3u) != 0);
}

/** What a queue allows: the owner's own copy, against which everything read from a lane is checked. */
typedef struct gq_limits {
  uint32_t units;            /* 16-byte units in a cell */
  uint32_t unit_bytes;
  uint32_t ring_log2;        /* N = 2^ring_log2 */
  uint32_t attempts;
  uint64_t max_message_bytes, max_result_bytes;
  uint64_t arena_bytes;
  uint32_t ordered;          /* completions are given out by position: entry d of their order is position d's */
  uint32_t handler;          /* row of the handler table */
} gq_limits;

/** A submission, decoded and checked. */
typedef struct gq_job {
  uint64_t position, key, tag;
  uint64_t slot_offset, result_offset; /* bytes into the arena, where has_slot or room_in_slot */
  uint32_t size, dependency;
  uint32_t room;                       /* bytes of room for the result */
  uint32_t has_slot, has_result_slot;
  uint32_t recall;                     /* GQ_CELL_RECALL if the client has to look at the submission again */
  uint32_t cancelled;
  uint32_t malformed;
} gq_job;

/** Decode \p head and, where its flags say so, \p ext, checking every size and offset against \p limits. A job that
 * is malformed has nothing else that may be used but its position. */
GQ_CONSUMER void gq_job_decode(gq_job *job, uint64_t position, const uint32_t *head, const uint32_t *ext,
                               const gq_limits *limits)
{
  const uint32_t flags = head[1] & 0xffu, has_ext = flags & GQ_CELL_EXT;
  uint64_t result_slot_bytes = 0;

  job->position = position;
  job->size = head[0];
  job->dependency = head[1] >> 8;
  job->has_slot = flags & GQ_CELL_SLOT;
  job->recall = flags & (GQ_CELL_SLOT | GQ_CELL_EXT) ? GQ_CELL_RECALL : 0u;
  job->slot_offset = (uint64_t)head[2] * GQ_SLOT_BYTES;
  job->cancelled = flags & GQ_CELL_CANCELLED;
  job->key = has_ext ? ext[GQ_EXT_KEY] | (uint64_t)ext[GQ_EXT_KEY + 1] << 32 : 0;
  job->tag = has_ext ? ext[GQ_EXT_TAG] | (uint64_t)ext[GQ_EXT_TAG + 1] << 32 : 0;
  job->room = gq_inline_bytes(limits->units, limits->unit_bytes, 0);
  job->has_result_slot = has_ext && ext[GQ_EXT_ROOM] != 0;
  job->result_offset = 0;
  if (job->has_result_slot) {
    job->room = ext[GQ_EXT_ROOM];
    result_slot_bytes = job->room;
    job->result_offset = (uint64_t)ext[GQ_EXT_RESULT_SLOT] * GQ_SLOT_BYTES;
  } else if (job->room > limits->max_result_bytes) {
    job->room = (uint32_t)limits->max_result_bytes;
  }
  job->malformed = job->size > limits->max_message_bytes || result_slot_bytes > limits->max_result_bytes ||
                   gq_used_words(job->size, flags) > gq_cell_words(limits->units, limits->unit_bytes) ||
                   (job->has_slot && job->slot_offset + job->size > limits->arena_bytes) ||
                   job->result_offset + result_slot_bytes > limits->arena_bytes ||
                   (uint64_t)job->dependency > position;
}

/** Head words of a completion whose result is \p size bytes. \p flags: GQ_CELL_SLOT and GQ_CELL_RECALL. */
GQ_CONSUMER void gq_completion_head(uint32_t *head, uint32_t size, uint32_t flags, uint32_t status, uint32_t attempts,
                                    int32_t code)
{
  head[0] = size;
  head[1] = flags | status << 8 | attempts << 16;
  head[2] = (uint32_t)code;
}

/* ----------------------------------------------------------------------------------------- completion order
 * A ring of 2N words says which message ended d-th, for those who poll, or in an ordered lane that that of position d
 * has ended. N would not do: while the message of entry d waits to be taken, those that were claimed before it and not
 * yet done (less than capacity), and those claimed after it (less than capacity too) may all end and be taken by id. */

/** Index of entry \p d of the completion order. */
GQ_CONSUMER uint64_t gq_ending_index(uint64_t d, unsigned ring_log2) { return d & ((2ull << ring_log2) - 1); }

/** Lap tag of entry \p d. */
GQ_CONSUMER uint32_t gq_ending_tag(uint64_t d, unsigned ring_log2) { return gq_tag(d, ring_log2 + 1); }

/** Entry \p d: the low half of \p position, and the lap. A thread of the host writes it before the completion's cell:
 * it may be stopped between the two, and meanwhile the message be taken by id, and 2N others end, so that its entry
 * would overwrite a newer one. The warps of a kernel are only ever stopped all together, and write it after. */
GQ_CONSUMER uint64_t gq_ending_word(uint64_t d, uint64_t position, unsigned ring_log2)
{
  return (uint32_t)position | (uint64_t)gq_ending_tag(d, ring_log2) << 32;
}

/* ------------------------------------------------------------------------------------------------ key order
 * A message with a key names the message before it with the same key hash (its dependency d). Per position there is
 * a link: position * 2 + 1 once that position has finished, or m * 2 while message m waits for it. Whoever finishes d
 * takes over m, so nobody ever waits with a worker in hand.
 *
 * The link must be closed before the completion of d is there for all to see: after that the client may let position
 * d + N have the word. What comes in between, a message that finds the link closed before d's completion is posted,
 * would complete before d; it waits for `posted`, which follows within a few instructions. */

typedef struct gq_key_word {
  gq_a64 link;
  gq_a64 posted; /* 1 more than the latest position whose completion has been posted */
} gq_key_word;

/** When a message may run that depends on another one. */
enum gq_key_turn {
  GQ_KEY_LATER, /* whoever finishes the other one will run it */
  GQ_KEY_SOON,  /* once gq_key_is_posted() says so, in a few instructions */
  GQ_KEY_NOW
};

/** Message \p m is about to start and depends on \p d, whose word is \p word; \p ring_cells is N. */
GQ_CONSUMER enum gq_key_turn gq_key_start(gq_key_word *word, uint64_t d, uint64_t m, uint64_t ring_cells)
{
  for (;;) {
    /* [K1] acquire: what the handler of d did is visible to the handler of m; pairs with [K1] in gq_key_finish().
     * Loaded again after a failed exchange, which acquires nothing. */
    uint64_t v = gq_ld64(&word->link, GQ_ACQUIRE, GQ_GPU);

    if (v == (d << 1 | 1)) return GQ_KEY_SOON;
    /* Later laps reuse the word only after d has finished and its client has seen that, so there is nothing to wait for;
     * nor may anybody wait, for the word of a client that lies may belong to a d that was never posted. A waiter beyond
     * d + N waits for a later lap. */
    if (v & 1 ? v >> 1 > d : v >> 1 > d + ring_cells) return GQ_KEY_NOW;
    /* [K2] release: m's claim; pairs with gq_key_finish() */
    if (gq_cas64(&word->link, &v, m << 1, GQ_ACQ_REL)) return GQ_KEY_LATER;
  }
}

/** Whether the completion of \p d has been posted. */
GQ_CONSUMER int gq_key_is_posted(gq_key_word *word, uint64_t d)
{
  /* [K3] acquire: pairs with gq_key_posted() */
  return gq_ld64(&word->posted, GQ_ACQUIRE, GQ_GPU) > d;
}

/** Position \p d, which has a key, has run; its completion is about to be posted. \return the position that waited for
 * it and that the caller must run after that, or 0. */
GQ_CONSUMER uint64_t gq_key_finish(gq_key_word *word, uint64_t d)
{
  /* [K1] release, [K2] acquire */
  const uint64_t v = gq_xchg64(&word->link, d << 1 | 1, GQ_ACQ_REL);

  return !(v & 1) && v >> 1 > d ? v >> 1 : 0;
}

/** The completion of \p d has been posted. May come after a later lap has used the word: it never goes back. */
GQ_CONSUMER void gq_key_posted(gq_key_word *word, uint64_t d)
{
  uint64_t v = gq_ld64(&word->posted, GQ_RELAXED, GQ_GPU);

  /* [K3] release: d's completion comes before that of whoever sees this */
  while (v <= d && !gq_cas64(&word->posted, &v, d + 1, GQ_ACQ_REL)) continue;
}

#endif
