/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <string.h>

/* The algorithm is that of the built-in handler. */
#define GQ_BUILTIN 1
#include "cuda/handlers/sha256.h"

static void compress(gq_digest *d)
{
  uint32_t words[16];

  gq_sha256_load_block(d->block, 0, words);
  gq_sha256_compress(d->state, words);
}

void gq_digest_begin(gq_digest *d)
{
  memcpy(d->state, gq_sha256_initial_state, sizeof d->state);
  d->bytes = 0;
}

void gq_digest_add(gq_digest *d, const void *data, size_t size)
{
  const uint8_t *from = data;

  while (size > 0) {
    const size_t waiting = d->bytes % 64, room = 64 - waiting, now = size < room ? size : room;

    memcpy(d->block + waiting, from, now);
    d->bytes += now;
    from += now;
    size -= now;
    if (waiting + now == 64) compress(d);
  }
}

void gq_digest_add_text(gq_digest *d, const char *text)
{
  if (!text) text = "";
  gq_digest_add(d, text, strlen(text) + 1);
}

void gq_digest_add_number(gq_digest *d, uint64_t number)
{
  uint8_t bytes[8];

  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> 8 * i);
  gq_digest_add(d, bytes, sizeof bytes);
}

void gq_digest_end(gq_digest *d, uint8_t digest[GQ_DIGEST_BYTES])
{
  static const uint8_t padding[64] = {0x80};
  const uint64_t bits = d->bytes * 8;
  uint8_t length[8];

  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
  gq_digest_add(d, padding, 1 + (119 - d->bytes % 64) % 64);
  gq_digest_add(d, length, sizeof length);
  gq_sha256_store(digest, d->state);
}
