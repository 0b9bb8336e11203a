/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `edit_distance`: how many bytes have to be inserted, deleted or replaced to turn the message into the
 * argument `query` (Levenshtein distance), as decimal text. Bytes are compared, not characters: in UTF-8 an accented
 * letter counts for its bytes.
 *
 * After G. Myers, "A fast bit-vector algorithm for approximate string matching based on dynamic programming" (JACM
 * 46, 1999), in the form for whole strings of H. Hyyrö, "Explaining and extending the bit-parallel approximate string
 * matching algorithm of Myers" (2001). Neighbouring entries of the table of the classic algorithm differ by -1, 0 or
 * 1: one column of it, over 64 bytes of the query, is two words of 64 bits, and the next column follows from it in a
 * dozen operations. A longer query is cut into blocks of 64 bytes; each hands the difference in its last row to the
 * block below.
 *
 * The init function finds out, once, where in the query each byte stands; messages only look it up.
 *
 * Init fails with code 1 if the query is longer than 1024 bytes. No message fails. */
#ifndef GPUQUEUE_HANDLERS_EDIT_DISTANCE_H
#define GPUQUEUE_HANDLERS_EDIT_DISTANCE_H

#include <gpuqueue/handler.h>

#define EDIT_DISTANCE_BLOCKS 16 /* at most, of 64 bytes of the query each */

#define EDIT_DISTANCE_ARGS(ARG) \
  ARG(string, query, required, "the text to compare with, up to 1024 bytes") \
  ARG(uint, limit, 4294967295, "what is further away is given as limit + 1, which takes less time")

/* One block of a column: where an entry is one more, or one less, than the entry above it. */
typedef struct edit_distance_column {
  uint64_t more, less;
} edit_distance_column;

/* Go on to the next column; the names in the papers are Eq, Xv, Xh, Ph and Mh.
 * \param equal  where the block's part of the query has the message's byte
 * \param above  by how much the entry above the block grows from column to column: -1, 0 or 1
 * \param last   the bit of the block's last row
 * \return by how much that row's entry grows */
GQ_DEVICE int edit_distance_step(edit_distance_column *column, uint64_t equal, int above, uint64_t last)
{
  const uint64_t more = column->more, less = column->less;
  const uint64_t vertical = equal | less, first = equal | (above < 0);
  const uint64_t horizontal = (((first & more) + more) ^ more) | first;
  uint64_t grows = less | ~(horizontal | more), shrinks = more & horizontal;
  const int below = (grows & last) != 0 ? 1 : (shrinks & last) != 0 ? -1 : 0;

  grows = grows << 1 | (above > 0);
  shrinks = shrinks << 1 | (above < 0);
  column->more = shrinks | ~(vertical | grows);
  column->less = grows & vertical;
  return below;
}

/* A query of up to 64 bytes: the column stays in registers. \return the distance, or more than \p limit. */
GQ_DEVICE uint64_t edit_distance_short(const gq_msg *msg, const uint64_t *places, uint64_t query_bytes, uint64_t limit)
{
  const uint64_t last = 1ull << (query_bytes - 1);
  edit_distance_column column = {~0ull, 0};
  int64_t distance = (int64_t)query_bytes;
  uint32_t i, word = 0;

  for (i = 0; i < msg->size; i++, word >>= 8) {
    if (i % 4 == 0) {
      word = gq_load_aligned_u32_le(msg->data + i);
      /* What is left of the message can bring the distance down by one a byte. */
      if (distance > (int64_t)(msg->size - i) && (uint64_t)distance - (msg->size - i) > limit) break;
    }
    distance += edit_distance_step(&column, places[word & 255], 1, last);
  }
  return (uint64_t)distance;
}

/* A longer one, of \p blocks blocks. */
GQ_DEVICE uint64_t edit_distance_long(const gq_msg *msg, const uint64_t *places, uint64_t query_bytes, uint32_t blocks,
                                      uint64_t limit)
{
  const uint64_t last = 1ull << (query_bytes - 1) % 64;
  edit_distance_column columns[EDIT_DISTANCE_BLOCKS];
  int64_t distance = (int64_t)query_bytes;
  uint32_t i, b;

  for (b = 0; b < blocks; b++) columns[b].more = ~0ull, columns[b].less = 0;
  for (i = 0; i < msg->size; i++) {
    const uint64_t *equal = places + (uint64_t)msg->data[i] * blocks;
    int grows = 1;
    if (distance > (int64_t)(msg->size - i) && (uint64_t)distance - (msg->size - i) > limit) break;
    for (b = 0; b < blocks; b++)
      grows = edit_distance_step(&columns[b], equal[b], grows, b == blocks - 1 ? last : 1ull << 63);
    distance += grows;
  }
  return (uint64_t)distance;
}

GQ_HANDLER(edit_distance, EDIT_DISTANCE_ARGS,
  GQ_SUMMARY("Levenshtein distance of the message to a query, in bytes")
  GQ_SCOPES(thread)
  GQ_OUTPUT(text)
  GQ_RESULT(0, 10)
  GQ_STATE_BYTES(32K) /* 256 bytes can stand in EDIT_DISTANCE_BLOCKS blocks */
  GQ_EXAMPLE("gpuqueue run --handler edit_distance --arg query=hello words.txt"))
{
  const edit_distance_args *args = GQ_ARGS(edit_distance, ctx);
  const uint64_t *places = (const uint64_t *)ctx->state;
  const uint64_t n = msg->size, m = args->query.size;
  uint64_t distance = n > m ? n - m : m - n; /* it is no less than that */

  if (distance <= args->limit && m > 0) {
    if (m <= 64) distance = edit_distance_short(msg, places, m, args->limit);
    else distance = edit_distance_long(msg, places, m, (uint32_t)((m + 63) / 64), args->limit);
  }
  if (distance > args->limit) distance = args->limit + 1;
  gq_reply_decimal(ctx, reply, distance);
  return 0;
}

/* The state: bit i of word [byte * blocks + b] is set if the query has that byte at 64 b + i. */
GQ_INIT(edit_distance)
{
  const edit_distance_args *args = GQ_ARGS(edit_distance, ctx);
  const uint64_t blocks = (args->query.size + 63) / 64;
  uint64_t *places = (uint64_t *)ctx->state, i;

  if (blocks > EDIT_DISTANCE_BLOCKS) return 1;
  if (gq_rank(ctx) != 0) return 0;
  for (i = 0; i < args->query.size; i++) places[args->query.data[i] * blocks + i / 64] |= 1ull << i % 64;
  return 0;
}

#endif
