/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `xxh64`: the 64-bit xxHash of the message, 8 bytes, most significant first, so that their hex is what
 * xxhsum -H64 prints. After "xxHash fast digest algorithm", version 0.2.0, by Yann Collet
 * (doc/xxhash_spec.md of https://github.com/Cyan4973/xxHash).
 *
 * Four sums each take every fourth 8 bytes of the message, so that they do not wait for one another; what does not
 * fill 32 bytes is taken in ever smaller pieces at the end. */
#ifndef GPUQUEUE_HANDLERS_XXH64_H
#define GPUQUEUE_HANDLERS_XXH64_H

#include <gpuqueue/handler.h>

#define XXH64_PRIME_1 0x9e3779b185ebca87ull
#define XXH64_PRIME_2 0xc2b2ae3d27d4eb4full
#define XXH64_PRIME_3 0x165667b19e3779f9ull
#define XXH64_PRIME_4 0x85ebca77c2b2ae63ull
#define XXH64_PRIME_5 0x27d4eb2f165667c5ull

GQ_DEVICE uint64_t xxh64_rotate(uint64_t word, int left) { return word << left | word >> (64 - left); }

/* One sum takes 8 more bytes. */
GQ_DEVICE uint64_t xxh64_round(uint64_t sum, uint64_t input)
{
  return xxh64_rotate(sum + input * XXH64_PRIME_2, 31) * XXH64_PRIME_1;
}

GQ_DEVICE uint64_t xxh64_merge(uint64_t hash, uint64_t sum)
{
  return (hash ^ xxh64_round(0, sum)) * XXH64_PRIME_1 + XXH64_PRIME_4;
}

/* All whole 32 bytes of the message. */
GQ_DEVICE uint64_t xxh64_stripes(const uint8_t *data, uint32_t stripes, uint64_t seed)
{
  uint64_t a = seed + XXH64_PRIME_1 + XXH64_PRIME_2, b = seed + XXH64_PRIME_2, c = seed, d = seed - XXH64_PRIME_1;
  uint64_t hash;
  uint32_t i;
  for (i = 0; i < stripes; i++, data += 32) {
    a = xxh64_round(a, gq_load_aligned_u64_le(data));
    b = xxh64_round(b, gq_load_aligned_u64_le(data + 8));
    c = xxh64_round(c, gq_load_aligned_u64_le(data + 16));
    d = xxh64_round(d, gq_load_aligned_u64_le(data + 24));
  }
  hash = xxh64_rotate(a, 1) + xxh64_rotate(b, 7) + xxh64_rotate(c, 12) + xxh64_rotate(d, 18);
  hash = xxh64_merge(hash, a);
  hash = xxh64_merge(hash, b);
  hash = xxh64_merge(hash, c);
  return xxh64_merge(hash, d);
}

/* The up to 31 bytes behind them. */
GQ_DEVICE uint64_t xxh64_tail(const uint8_t *data, uint32_t left, uint64_t hash)
{
  for (; left >= 8; left -= 8, data += 8) {
    hash ^= xxh64_round(0, gq_load_aligned_u64_le(data));
    hash = xxh64_rotate(hash, 27) * XXH64_PRIME_1 + XXH64_PRIME_4;
  }
  if (left >= 4) {
    hash ^= gq_load_aligned_u32_le(data) * XXH64_PRIME_1;
    hash = xxh64_rotate(hash, 23) * XXH64_PRIME_2 + XXH64_PRIME_3;
    left -= 4, data += 4;
  }
  for (; left > 0; left--, data++) {
    hash ^= *data * XXH64_PRIME_5;
    hash = xxh64_rotate(hash, 11) * XXH64_PRIME_1;
  }
  return hash;
}

/* Let every bit of the input reach every bit of the hash. */
GQ_DEVICE uint64_t xxh64_avalanche(uint64_t hash)
{
  hash = (hash ^ hash >> 33) * XXH64_PRIME_2;
  hash = (hash ^ hash >> 29) * XXH64_PRIME_3;
  return hash ^ hash >> 32;
}

#define XXH64_ARGS(ARG) \
  ARG(uint, seed, 0, "another seed gives another, independent hash")

GQ_HANDLER(xxh64, XXH64_ARGS,
  GQ_SUMMARY("xxHash (XXH64) of the message")
  GQ_SCOPES(thread)
  GQ_OUTPUT(hex)
  GQ_RESULT(0, 8)
  GQ_SHORT
  GQ_EXAMPLE("gpuqueue run --handler xxh64 --input-format files --with-input *.c"))
{
  const xxh64_args *args = GQ_ARGS(xxh64, ctx);
  const uint32_t stripes = msg->size / 32;
  uint64_t hash;

  reply->size = 8;
  if (reply->capacity < 8) return 0;
  hash = stripes ? xxh64_stripes(msg->data, stripes, args->seed) : args->seed + XXH64_PRIME_5;
  hash = xxh64_tail(msg->data + (uint64_t)stripes * 32, msg->size % 32, hash + msg->size);
  gq_store_u64_be(reply->data, xxh64_avalanche(hash));
  return 0;
}

#endif
