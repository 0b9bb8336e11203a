/* SPDX-License-Identifier: Apache-2.0 */
/* The resident ring: messages taken off the lanes wait here for a worker. On a GPU it lies in device memory.
 * Entries are reserved by ingress, claimed by workers and freed by them, each a step of a free-running 32-bit count:
 *
 *   head    next entry that ingress will reserve; reserved entries are filled at once, out of order
 *   tail    next entry that a worker will claim; never ahead of head
 *   tokens  entries reserved and not claimed; below 0 for a moment when workers ask for more than there are
 *   free[i] lap of entry i that may be filled next
 *
 * A worker claims only entries that are reserved, never entries to come, so a worker that is busy holds nothing that
 * others could run: it takes tokens first and then as many entries. Both are additions, which all succeed; exchanging
 * the tail on condition let one worker through each time the word went to the L2 cache and back (45 M messages/s).
 * After Vyukov's bounded MPMC queue, with the counts apart from the entries so that a warp claims many at once. */
#ifndef GQ_RING_H
#define GQ_RING_H
#include "protocol.h"

typedef struct gq_ring_counts {
  gq_a32 head; /* written by ingress */
  uint32_t pad0[31];
  gq_a32 tail; /* written by workers */
  uint32_t pad1[31];
  gq_a32 tokens; /* written by both */
  gq_a32 large;  /* about how much of them is large, in 8 KiB; only the GPU's workers ask */
  uint32_t pad2[30];
} gq_ring_counts;

/** Entries that may be reserved now. \p slack: as many as all ingress together reserve between asking and reserving,
 * so that nobody reserves an entry whose last reader has not even claimed it, and waiting for a free word is short. */
GQ_CONSUMER uint32_t gq_ring_room(gq_ring_counts *ring, uint32_t entries, uint32_t slack)
{
  const uint32_t tail = gq_ld32(&ring->tail, GQ_RELAXED, GQ_GPU); /* first: the room may only seem smaller */
  uint32_t used = gq_ld32(&ring->head, GQ_RELAXED, GQ_GPU) - tail;

  if (used > 0x7fffffffu) used = 0; /* nothing orders the loads: a stale head may lie behind a fresh tail */
  return used + slack < entries ? entries - slack - used : 0;
}

/** Reserve \p n entries; the first is returned. Each must be waited for with gq_ring_is_free() and then filled. */
GQ_CONSUMER uint32_t gq_ring_reserve(gq_ring_counts *ring, uint32_t n)
{
  /* Relaxed: an entry's own tags [Q1] license reading it, its free word [Q2] licenses filling it. */
  const uint32_t first = gq_add32(&ring->head, n, GQ_RELAXED);

  gq_add32(&ring->tokens, n, GQ_RELAXED);
  return first;
}

GQ_CONSUMER int gq_ring_is_free(gq_a32 *free_word, uint32_t entry, uint32_t ring_log2)
{
  /* [Q2] acquire: the worker that had this entry a lap ago has read it; pairs with gq_ring_free() */
  return gq_ld32(free_word, GQ_ACQUIRE, GQ_GPU) == entry >> ring_log2;
}

/** Entries that could be claimed now, for a worker that decides how many to ask for. */
GQ_CONSUMER uint32_t gq_ring_waiting(gq_ring_counts *ring)
{
  const uint32_t tokens = gq_ld32(&ring->tokens, GQ_RELAXED, GQ_GPU);

  return tokens < 0x80000000u ? tokens : 0;
}

/** Claim up to \p max reserved entries. \return how many; the first is \p *first. Their tags say when each is there,
 * which is soon: its ingress is writing it. */
GQ_CONSUMER uint32_t gq_ring_claim(gq_ring_counts *ring, uint32_t max, uint32_t *first)
{
  const uint32_t there = gq_ring_waiting(ring), want = there < max ? there : max;
  uint32_t before, got = want;

  if (want == 0) return 0;
  /* Relaxed: every token stands for an entry below head; [Q1] licenses reading it. */
  before = gq_add32(&ring->tokens, 0u - want, GQ_RELAXED);
  if (before >= 0x80000000u) before = 0; /* others took them, and more */
  if (before < want) {
    got = before;
    gq_add32(&ring->tokens, want - got, GQ_RELAXED);
    if (got == 0) return 0;
  }
  *first = gq_add32(&ring->tail, got, GQ_RELAXED);
  return got;
}

/** The entry has been read. Device entries wrap with the lap count of 32 bits less ring_log2. */
GQ_CONSUMER void gq_ring_free(gq_a32 *free_word, uint32_t entry, uint32_t ring_log2)
{
  const uint32_t laps = 0xffffffffu >> ring_log2;

  /* [Q2] release: licenses ingress to fill the entry again */
  gq_st32(free_word, ((entry >> ring_log2) + 1u) & laps, GQ_RELEASE, GQ_GPU);
}

#endif
