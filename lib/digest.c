/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <string.h>

/* FIPS 180-4, 6.2. */
static const uint32_t round_constants[64] = {
  0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
  0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
  0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
  0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
  0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
  0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
  0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
  0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u
};

static uint32_t rotate(uint32_t word, int right)
{
  return word >> right | word << (32 - right);
}

static void compress(uint32_t *state, const uint8_t *block)
{
  uint32_t w[64], s[8];

  for (int t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
           block[4 * t + 3];
  for (int t = 16; t < 64; t++)
    w[t] = w[t - 16] + w[t - 7] + (rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3) +
           (rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10);
  memcpy(s, state, sizeof s);
  for (int t = 0; t < 64; t++) {
    const uint32_t sum1 = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25);
    const uint32_t sum0 = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22);
    const uint32_t first = s[7] + sum1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[t] + w[t];
    const uint32_t second = sum0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += first;
    s[0] = first + second;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

void gq_digest_begin(gq_digest *d)
{
  static const uint32_t initial[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                      0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};

  memcpy(d->state, initial, sizeof initial);
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
    if (waiting + now == 64) compress(d->state, d->block);
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
  for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(d->state[i / 4] >> (24 - i % 4 * 8));
}
