/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `seen`: whether the queue was given the same message before: "1" if it probably was, "0" if it surely
 * was not. An example of state that messages change.
 *
 * The state is a Bloom filter (B. H. Bloom, CACM 13, 1970): `hashes` bits for each message, all zero to begin with.
 * A message whose bits are all set already was seen, or others happen to have set them: of n messages in m bits, with
 * k hashes, the share (1 - exp(-k n / m))^k of new ones is called seen. 1 MiB, the default, has room for 875,000
 * messages with 7 hashes at one wrong answer in a hundred; the option `state_bytes` makes it larger. The k places come
 * from two hashes, as in Kirsch and Mitzenmacher, "Less hashing, same performance" (2006).
 *
 * Bits are set by atomic operations, so no message is forgotten. Two equal messages that are handled at the same time
 * may both be told "0"; give messages a key that follows from their content where that matters: of one key, one is
 * handled after the other.
 *
 * A state from a file goes on where another queue stopped, if `hashes` and its size are the same. Init fails with code
 * 1 if `hashes` is not from 1 to 32, with code 2 if the state is larger than 16 GiB. No message fails. */
#ifndef GPUQUEUE_HANDLERS_SEEN_H
#define GPUQUEUE_HANDLERS_SEEN_H

#include <gpuqueue/handler.h>

#define SEEN_ARGS(ARG) \
  ARG(uint, hashes, 7, "bits that a message sets, 1 to 32: more cost time and fill the filter sooner")

GQ_DEVICE uint64_t seen_mix(uint64_t hash, uint64_t input)
{
  hash = (hash ^ input) * 0x9e3779b97f4a7c15ull;
  return hash ^ hash >> 32;
}

/* 64 bits that depend on every byte of the message and on its size: the multiply and xor-shift steps of S. Vigna's
 * splitmix64 (2015) over 8 bytes at a time. Not for messages by which somebody may want to deceive the filter. */
GQ_DEVICE uint64_t seen_hash(const gq_msg *msg)
{
  const uint32_t words = msg->size / 8;
  uint64_t hash = seen_mix(0x2545f4914f6cdd1dull, msg->size), rest = 0;
  uint32_t i;

  for (i = 0; i < words; i++) hash = seen_mix(hash, gq_load_aligned_u64_le(msg->data + (uint64_t)i * 8));
  for (i = msg->size; i > words * 8; i--) rest = rest << 8 | msg->data[i - 1];
  hash = seen_mix(hash, rest);
  hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9ull;
  hash = (hash ^ hash >> 27) * 0x94d049bb133111ebull;
  return hash ^ hash >> 31;
}

GQ_HANDLER(seen, SEEN_ARGS,
  GQ_SUMMARY("1 if the same message was probably there before, 0 if surely not (Bloom filter)")
  GQ_SCOPES(thread)
  GQ_OUTPUT(text)
  GQ_RESULT(0, 1)
  GQ_SHORT
  GQ_STATE_OPTIONAL
  GQ_STATE_BYTES(1M)
  GQ_EXAMPLE("gpuqueue run --handler seen --state-bytes 64M access.log"))
{
  const seen_args *args = GQ_ARGS(seen, ctx);
  const uint64_t words = ctx->state_bytes / 4, hash = seen_hash(msg), step = seen_mix(hash, 0) | 1;
  uint32_t *filter = (uint32_t *)ctx->state;
  uint64_t place = hash;
  uint32_t missing = 0, i;

  for (i = 0; i < (uint32_t)args->hashes; i++, place += step) {
    /* The upper half chooses the word, in proportion rather than by a slow division; the lowest bits the bit. */
    const uint32_t bit = 1u << (place & 31);
    missing |= ~gq_atomic_or_u32(&filter[(place >> 32) * words >> 32], bit) & bit;
  }
  reply->size = 1;
  if (reply->capacity >= 1) reply->data[0] = missing ? '0' : '1';
  return 0;
}

GQ_INIT(seen)
{
  const seen_args *args = GQ_ARGS(seen, ctx);

  if (args->hashes < 1 || args->hashes > 32) return 1;
  if (ctx->state_bytes > 1ull << 34) return 2;
  return 0;
}

#endif
