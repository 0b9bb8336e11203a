/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "protocol.h"

#define NONE UINT32_MAX
#define GQ_BLOCK_FREE 0x80

/* Slots are mostly of one size, and one that was just freed is soon asked for again: joining it with its neighbours, to
 * take it apart again, would be most of what a slot costs. So free blocks are joined when there is no room otherwise;
 * after that, this many of them at once, so that an arena that stays scarce is not gone through again and again. */
#define EAGER_PUTS 4096u

static unsigned order_of(uint64_t size)
{
  unsigned order = 0;

  while (((uint64_t)GQ_SLOT_BYTES << order) < size) order++;
  return order;
}

uint64_t gq_arena_rounded(uint64_t size)
{
  return (uint64_t)GQ_SLOT_BYTES << order_of(size);
}

static void push(gq_arena *a, uint32_t block, unsigned order)
{
  a->order[block] = (uint8_t)((order + 1) | GQ_BLOCK_FREE);
  a->previous[block] = NONE;
  a->next[block] = a->free_head[order];
  if (a->free_head[order] != NONE) a->previous[a->free_head[order]] = block;
  a->free_head[order] = block;
}

static void unlink_block(gq_arena *a, uint32_t block, unsigned order)
{
  if (a->previous[block] != NONE) a->next[a->previous[block]] = a->next[block];
  else a->free_head[order] = a->next[block];
  if (a->next[block] != NONE) a->previous[a->next[block]] = a->previous[block];
}

int gq_arena_init(gq_arena *a, uint64_t bytes)
{
  const uint64_t blocks = bytes / GQ_SLOT_BYTES;

  memset(a, 0, sizeof *a);
  pthread_mutex_init(&a->lock, NULL);
  for (unsigned i = 0; i < GQ_ARENA_ORDERS; i++) a->free_head[i] = NONE;
  a->returned = a->kept = NONE;
  if (bytes == 0) return 0;
  a->bytes = bytes;
  a->top = order_of(bytes);
  a->next = malloc(blocks * sizeof *a->next);
  a->previous = malloc(blocks * sizeof *a->previous);
  a->order = calloc(blocks, 1);
  if (!a->next || !a->previous || !a->order) {
    gq_arena_free_all(a);
    return -1;
  }
  push(a, 0, a->top);
  return 0;
}

void gq_arena_clear(gq_arena *a)
{
  if (a->bytes == 0) return;
  pthread_mutex_lock(&a->lock);
  memset(a->order, 0, a->bytes / GQ_SLOT_BYTES);
  a->unmerged = false;
  a->returned = a->kept = NONE;
  for (unsigned i = 0; i < GQ_ARENA_ORDERS; i++) a->free_head[i] = NONE;
  push(a, 0, a->top);
  pthread_mutex_unlock(&a->lock);
}

void gq_arena_free_all(gq_arena *a)
{
  free(a->next);
  free(a->previous);
  free(a->order);
  pthread_mutex_destroy(&a->lock);
}

/* Free \p block, which is in no list, joined with its buddy as long as that is free too. */
static void free_merged(gq_arena *a, uint32_t block, unsigned order)
{
  for (; order < a->top; order++) {
    const uint32_t buddy = block ^ (1u << order);

    if (a->order[buddy] != ((order + 1) | GQ_BLOCK_FREE)) break;
    unlink_block(a, buddy, order);
    a->order[block > buddy ? block : buddy] = 0;
    if (buddy < block) block = buddy;
  }
  push(a, block, order);
}

/* Join all free blocks that can be joined. */
static void merge(gq_arena *a)
{
  for (unsigned order = 0; order < a->top; order++) {
    uint32_t block = a->free_head[order];

    while (block != NONE) {
      uint32_t following = a->next[block];

      if (a->order[block ^ (1u << order)] == ((order + 1) | GQ_BLOCK_FREE)) {
        if (following == (block ^ (1u << order))) following = a->next[following];
        unlink_block(a, block, order);
        free_merged(a, block, order);
      }
      block = following;
    }
  }
  a->unmerged = false;
}

/* The block that is kept, for the caller alone; or NONE. */
static uint32_t take_kept(gq_arena *a)
{
  if (__atomic_load_n(&a->kept, __ATOMIC_RELAXED) == NONE) return NONE;
  return __atomic_exchange_n(&a->kept, NONE, __ATOMIC_ACQUIRE);
}

/* Take in the blocks that have been put back since the last time, and the one that is kept. */
static void collect(gq_arena *a)
{
  const uint32_t kept = take_kept(a);
  uint32_t block;

  if (kept != NONE) gq_arena_put(a, (uint64_t)kept * GQ_SLOT_BYTES);
  block = __atomic_exchange_n(&a->returned, NONE, __ATOMIC_ACQUIRE);
  while (block != NONE) {
    const uint32_t following = a->next[block];
    const unsigned order = (unsigned)(a->order[block] & ~GQ_BLOCK_FREE) - 1;

    if (a->eager) {
      a->eager--;
      free_merged(a, block, order);
    } else {
      push(a, block, order);
      a->unmerged = true;
    }
    block = following;
  }
}

/* The smallest order of which a block is free and that is \p want or more; above `top` if there is none. */
static unsigned find_order(const gq_arena *a, unsigned want)
{
  unsigned order = want;

  while (order <= a->top && a->free_head[order] == NONE) order++;
  return order;
}

uint64_t gq_arena_get(gq_arena *a, uint64_t size)
{
  const unsigned want = order_of(size);
  unsigned order;
  uint32_t block;

  if (size > a->bytes) return UINT64_MAX;
  if (want == 0 && (block = take_kept(a)) != NONE) return (uint64_t)block * GQ_SLOT_BYTES;
  pthread_mutex_lock(&a->lock);
  if (a->free_head[want] == NONE) collect(a);
  order = find_order(a, want);
  if (order > a->top && a->unmerged) {
    merge(a);
    a->eager = EAGER_PUTS;
    order = find_order(a, want);
  }
  if (order > a->top) {
    pthread_mutex_unlock(&a->lock);
    return UINT64_MAX;
  }
  block = a->free_head[order];
  unlink_block(a, block, order);
  while (order > want) { /* keep the lower half, free the upper */
    order--;
    push(a, block + (1u << order), order);
  }
  a->order[block] = (uint8_t)(want + 1);
  pthread_mutex_unlock(&a->lock);
  return (uint64_t)block * GQ_SLOT_BYTES;
}

void gq_arena_put(gq_arena *a, uint64_t offset)
{
  const uint32_t block = (uint32_t)(offset / GQ_SLOT_BYTES);
  uint32_t first = __atomic_load_n(&a->returned, __ATOMIC_RELAXED);

  /* A stack that is only ever pushed to and taken as a whole, so that there is no ABA. */
  do a->next[block] = first;
  while (!__atomic_compare_exchange_n(&a->returned, &first, block, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void gq_arena_keep(gq_arena *a, uint64_t offset)
{
  uint32_t block = (uint32_t)(offset / GQ_SLOT_BYTES);

  if (a->order[block] == 1) block = __atomic_exchange_n(&a->kept, block, __ATOMIC_ACQ_REL);
  if (block != NONE) gq_arena_put(a, (uint64_t)block * GQ_SLOT_BYTES);
}
