/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `blake3`: the BLAKE3 hash of the message, 32 bytes, as b3sum prints them. After "BLAKE3: one function,
 * fast everywhere" by O'Connor, Aumasson, Neves and Wilcox-O'Hearn (2021), sections 2.1 to 2.6.
 *
 * A message is cut into chunks of 1024 bytes, the leaves of a binary tree whose left subtrees are all complete. In
 * block scope the threads hash a chunk each and then merge their subtree, level by level, in shared memory; the first
 * thread keeps the roots of complete subtrees on a stack, as one thread does for the whole message in thread scope:
 * that is a group of one. Every index into an array of the compression is known when compiling, so that it works in
 * registers. */
#ifndef GPUQUEUE_HANDLERS_BLAKE3_H
#define GPUQUEUE_HANDLERS_BLAKE3_H

#include <gpuqueue/handler.h>

#if defined(__CUDACC__)
#define BLAKE3_UNROLL _Pragma("unroll")
#else
#define BLAKE3_UNROLL
#endif

#define BLAKE3_CHUNK 1024
#define BLAKE3_MOST_THREADS 256 /* of a block that hash chunks; each has 32 bytes of shared memory */
#define BLAKE3_DEPTH 23         /* 2^32 bytes are 2^22 chunks */

/* What a block is, in its flags word. */
#define BLAKE3_CHUNK_START 1u
#define BLAKE3_CHUNK_END 2u
#define BLAKE3_PARENT 4u
#define BLAKE3_ROOT 8u

GQ_TABLE uint32_t blake3_initial[8] = {
  0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u
};

/* Which word of the block each step takes: row r is the permutation of section 2.2 applied r times. */
GQ_TABLE uint8_t blake3_order[7][16] = {
  { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
  { 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 },
  { 3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1 },
  { 10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6 },
  { 12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4 },
  { 9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7 },
  { 11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13 }
};

GQ_DEVICE uint32_t blake3_rotate(uint32_t word, int right) { return word >> right | word << (32 - right); }

GQ_DEVICE void blake3_mix(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, uint32_t x, uint32_t y)
{
  *a += *b + x, *d = blake3_rotate(*d ^ *a, 16);
  *c += *d, *b = blake3_rotate(*b ^ *c, 12);
  *a += *b + y, *d = blake3_rotate(*d ^ *a, 8);
  *c += *d, *b = blake3_rotate(*b ^ *c, 7);
}

/* Put the block \p m of \p bytes bytes into the chaining value \p cv. */
GQ_DEVICE void blake3_compress(uint32_t *cv, const uint32_t *m, uint64_t chunk, uint32_t bytes, uint32_t flags)
{
  uint32_t v[16];
  int i, r;
  BLAKE3_UNROLL
  for (i = 0; i < 8; i++) v[i] = cv[i];
  BLAKE3_UNROLL
  for (i = 0; i < 4; i++) v[8 + i] = blake3_initial[i];
  v[12] = (uint32_t)chunk, v[13] = (uint32_t)(chunk >> 32), v[14] = bytes, v[15] = flags;
  BLAKE3_UNROLL
  for (r = 0; r < 7; r++) {
    const uint8_t *at = blake3_order[r];
    blake3_mix(&v[0], &v[4], &v[8], &v[12], m[at[0]], m[at[1]]);
    blake3_mix(&v[1], &v[5], &v[9], &v[13], m[at[2]], m[at[3]]);
    blake3_mix(&v[2], &v[6], &v[10], &v[14], m[at[4]], m[at[5]]);
    blake3_mix(&v[3], &v[7], &v[11], &v[15], m[at[6]], m[at[7]]);
    blake3_mix(&v[0], &v[5], &v[10], &v[15], m[at[8]], m[at[9]]);
    blake3_mix(&v[1], &v[6], &v[11], &v[12], m[at[10]], m[at[11]]);
    blake3_mix(&v[2], &v[7], &v[8], &v[13], m[at[12]], m[at[13]]);
    blake3_mix(&v[3], &v[4], &v[9], &v[14], m[at[14]], m[at[15]]);
  }
  BLAKE3_UNROLL
  for (i = 0; i < 8; i++) cv[i] = v[i] ^ v[8 + i];
}

/* The 16 words of a block of which \p left bytes are message; the others are zero. */
GQ_DEVICE void blake3_load(const uint8_t *data, uint32_t left, uint32_t *m)
{
  uint32_t i;
  BLAKE3_UNROLL
  for (i = 0; i < 16; i++) {
    if (left >= 4 * i + 4) m[i] = gq_load_aligned_u32_le(data + 4 * i);
    else if (left <= 4 * i) m[i] = 0;
    /* The bytes up to a multiple of 4 may be read, but what is in them is not the message. */
    else m[i] = gq_load_aligned_u32_le(data + 4 * i) & ~(0xffffffffu << 8 * (left % 4));
  }
}

/* The chaining value of chunk \p chunk of the message. \p flags: BLAKE3_ROOT if there is no other. */
GQ_DEVICE void blake3_chunk(const gq_msg *msg, uint32_t chunk, uint32_t flags, uint32_t *cv)
{
  const uint8_t *data = msg->data + (uint64_t)chunk * BLAKE3_CHUNK;
  const uint64_t behind = msg->size - (uint64_t)chunk * BLAKE3_CHUNK;
  uint32_t left = behind < BLAKE3_CHUNK ? (uint32_t)behind : BLAKE3_CHUNK, kind = BLAKE3_CHUNK_START;
  uint32_t m[16], bytes;
  int i;
  BLAKE3_UNROLL
  for (i = 0; i < 8; i++) cv[i] = blake3_initial[i];
  do { /* an empty message is one empty block */
    bytes = left < 64 ? left : 64;
    blake3_load(data, bytes, m);
    if (left <= 64) kind |= BLAKE3_CHUNK_END | flags;
    blake3_compress(cv, m, chunk, bytes, kind);
    kind = 0, data += 64, left -= bytes;
  } while (left > 0);
}

/* \p left becomes the node over \p left and \p right. */
GQ_DEVICE void blake3_parent(uint32_t *left, const uint32_t *right, uint32_t flags)
{
  uint32_t m[16];
  int i;
  BLAKE3_UNROLL
  for (i = 0; i < 8; i++) m[i] = left[i], m[8 + i] = right[i], left[i] = blake3_initial[i];
  blake3_compress(left, m, 0, 64, BLAKE3_PARENT | flags);
}

/* Merge the group's \p count chaining values, thread r's in cvs[r], into the node over them all, in cvs[0]: level by
 * level, where one without a neighbour moves up as it is. \p flags: for the node that is left. */
GQ_DEVICE void blake3_merge_group(const gq_context *ctx, uint32_t (*cvs)[8], uint32_t count, uint32_t flags)
{
  const uint32_t rank = gq_rank(ctx);
  uint32_t node[8];
  int i;
  for (; count > 1; count = (count + 1) / 2) {
    const uint32_t left = rank * 2;
    if (left < count) {
      BLAKE3_UNROLL
      for (i = 0; i < 8; i++) node[i] = cvs[left][i];
      if (left + 1 < count) blake3_parent(node, cvs[left + 1], count == 2 ? flags : 0);
    }
    gq_sync(ctx); /* all have read their children before any is overwritten */
    if (left < count) {
      BLAKE3_UNROLL
      for (i = 0; i < 8; i++) cvs[rank][i] = node[i];
    }
    gq_sync(ctx);
  }
}

/* The message's root, in cvs[0]. The group takes \p width chunks at a time, a power of two. */
GQ_DEVICE void blake3_root(const gq_msg *msg, const gq_context *ctx, uint32_t (*cvs)[8], uint32_t width)
{
  const uint32_t chunks = msg->size ? (msg->size - 1) / BLAKE3_CHUNK + 1 : 1, rank = gq_rank(ctx);
  uint32_t stack[BLAKE3_DEPTH][8]; /* the first thread's: roots of complete subtrees, ever smaller */
  uint32_t depth = 0, first, i;

  for (first = 0;; first += width) {
    const uint32_t left = chunks - first, count = left < width ? left : width;
    const uint32_t flags = chunks <= width ? BLAKE3_ROOT : 0;
    uint32_t merged = first / width + 1;
    if (rank < count) blake3_chunk(msg, first + rank, chunks == 1 ? BLAKE3_ROOT : 0, cvs[rank]);
    gq_sync(ctx);
    blake3_merge_group(ctx, cvs, count, flags);
    if (left <= width) break;
    if (rank == 0) {
      /* Not the last group, so it has another to its right: as many subtrees as end here can be closed. */
      for (; merged % 2 == 0; merged /= 2) {
        depth--;
        blake3_parent(stack[depth], cvs[0], 0);
        for (i = 0; i < 8; i++) cvs[0][i] = stack[depth][i];
      }
      for (i = 0; i < 8; i++) stack[depth][i] = cvs[0][i];
      depth++;
    }
    gq_sync(ctx);
  }
  if (rank == 0)
    for (; depth > 0; depth--) {
      blake3_parent(stack[depth - 1], cvs[0], depth == 1 ? BLAKE3_ROOT : 0);
      for (i = 0; i < 8; i++) cvs[0][i] = stack[depth - 1][i];
    }
}

GQ_HANDLER(blake3, GQ_NO_ARGS,
  GQ_SUMMARY("BLAKE3 of the message")
  GQ_SCOPES(thread, block)
  GQ_OUTPUT(hex)
  GQ_RESULT(0, 32)
  GQ_SHORT
  GQ_SHARED(8192) /* 32 bytes for each of BLAKE3_MOST_THREADS */
  GQ_EXAMPLE("gpuqueue run --handler blake3 --input-format files --with-input *.c"))
{
  uint32_t own[1][8], (*cvs)[8] = own;
  uint32_t width = 1;
  int i;

  reply->size = 32;
  if (reply->capacity < 32) return 0;
  if (gq_ranks(ctx) > 1) {
    cvs = (uint32_t (*)[8])ctx->shared;
    while (width * 2 <= gq_ranks(ctx) && width < BLAKE3_MOST_THREADS) width *= 2;
  }
  blake3_root(msg, ctx, cvs, width);
  if (gq_rank(ctx) == 0)
    for (i = 0; i < 8; i++) gq_store_u32_le(reply->data + 4 * i, cvs[0][i]);
  gq_sync(ctx); /* the next message must not overwrite cvs before the first thread has read it */
  return 0;
}

#undef BLAKE3_UNROLL
#endif
