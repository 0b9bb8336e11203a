/* SPDX-License-Identifier: Apache-2.0 */
/* Slots in a lane's arena: a buddy allocator (Knowlton 1965) over offsets. Its book-keeping is the client's own
 * memory, so nothing that the owner or the device reads depends on it. Getting takes a short lock, O(1) as long as
 * sizes repeat; putting back takes none, so that those who send and those who receive do not meet. */
#ifndef GQ_ARENA_H
#define GQ_ARENA_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define GQ_ARENA_ORDERS 32

typedef struct gq_arena {
  pthread_mutex_t lock;
  uint64_t bytes;                     /* a power of two, or 0 */
  unsigned top;                       /* order of the whole arena; order 0 is GQ_SLOT_BYTES */
  uint32_t free_head[GQ_ARENA_ORDERS];
  uint32_t *next, *previous;          /* by block: free list of its order, or `returned` */
  uint8_t *order;                     /* by block: order + 1 of the block that begins here, | GQ_BLOCK_FREE */
  uint32_t returned;                  /* atomic: put back, and in no list yet */
  uint32_t kept;                      /* atomic: a block of order 0 that is soon asked for again, or none */
  bool unmerged;                      /* neighbours that are free may not have been joined */
  uint32_t eager;                     /* how many of the next blocks are joined as they are freed */
} gq_arena;

int gq_arena_init(gq_arena *arena, uint64_t bytes);
void gq_arena_free_all(gq_arena *arena);
/** \return the offset of \p size bytes, aligned to 256, or UINT64_MAX if there is no room. */
uint64_t gq_arena_get(gq_arena *arena, uint64_t size);
void gq_arena_put(gq_arena *arena, uint64_t offset);
/** gq_arena_put() for who is likely to ask for a small slot next: one is kept at hand, and got without the lock. */
void gq_arena_keep(gq_arena *arena, uint64_t offset);
/** Take every slot back. */
void gq_arena_clear(gq_arena *arena);
/** Bytes that a slot for \p size takes. */
uint64_t gq_arena_rounded(uint64_t size);

#endif
