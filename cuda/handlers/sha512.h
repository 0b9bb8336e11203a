/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `sha512`: SHA-512 (FIPS 180-4) of the message, 64 bytes, one thread per message.
 *
 * As in `sha256`, the message schedule is the rolling one of 16 words and every index into an array is known when
 * compiling: on the device all of them are registers. The rounds are a loop, for 80 in a row would not fit the
 * instruction cache, so their constants are read: from constant memory, which is 1.8 times as fast as a table in the
 * device's. Not declared short: a GPU adds and rotates 64 bits in two and more steps of 32, and a block of 80 rounds
 * keeps a thread busy for long enough to hold up the messages behind it. */
#ifndef GPUQUEUE_HANDLERS_SHA512_H
#define GPUQUEUE_HANDLERS_SHA512_H

#include <gpuqueue/handler.h>

#if defined(__CUDACC__)
#define SHA512_UNROLL _Pragma("unroll")
#else
#define SHA512_UNROLL
#endif

/* Fractional parts of the cube roots of the first 80 primes, and of the square roots of the first 8. */
GQ_UNIFORM_TABLE uint64_t sha512_round_constant[80] = {
  0x428a2f98d728ae22ull, 0x7137449123ef65cdull, 0xb5c0fbcfec4d3b2full, 0xe9b5dba58189dbbcull,
  0x3956c25bf348b538ull, 0x59f111f1b605d019ull, 0x923f82a4af194f9bull, 0xab1c5ed5da6d8118ull,
  0xd807aa98a3030242ull, 0x12835b0145706fbeull, 0x243185be4ee4b28cull, 0x550c7dc3d5ffb4e2ull,
  0x72be5d74f27b896full, 0x80deb1fe3b1696b1ull, 0x9bdc06a725c71235ull, 0xc19bf174cf692694ull,
  0xe49b69c19ef14ad2ull, 0xefbe4786384f25e3ull, 0x0fc19dc68b8cd5b5ull, 0x240ca1cc77ac9c65ull,
  0x2de92c6f592b0275ull, 0x4a7484aa6ea6e483ull, 0x5cb0a9dcbd41fbd4ull, 0x76f988da831153b5ull,
  0x983e5152ee66dfabull, 0xa831c66d2db43210ull, 0xb00327c898fb213full, 0xbf597fc7beef0ee4ull,
  0xc6e00bf33da88fc2ull, 0xd5a79147930aa725ull, 0x06ca6351e003826full, 0x142929670a0e6e70ull,
  0x27b70a8546d22ffcull, 0x2e1b21385c26c926ull, 0x4d2c6dfc5ac42aedull, 0x53380d139d95b3dfull,
  0x650a73548baf63deull, 0x766a0abb3c77b2a8ull, 0x81c2c92e47edaee6ull, 0x92722c851482353bull,
  0xa2bfe8a14cf10364ull, 0xa81a664bbc423001ull, 0xc24b8b70d0f89791ull, 0xc76c51a30654be30ull,
  0xd192e819d6ef5218ull, 0xd69906245565a910ull, 0xf40e35855771202aull, 0x106aa07032bbd1b8ull,
  0x19a4c116b8d2d0c8ull, 0x1e376c085141ab53ull, 0x2748774cdf8eeb99ull, 0x34b0bcb5e19b48a8ull,
  0x391c0cb3c5c95a63ull, 0x4ed8aa4ae3418acbull, 0x5b9cca4f7763e373ull, 0x682e6ff3d6b2b8a3ull,
  0x748f82ee5defb2fcull, 0x78a5636f43172f60ull, 0x84c87814a1f0ab72ull, 0x8cc702081a6439ecull,
  0x90befffa23631e28ull, 0xa4506cebde82bde9ull, 0xbef9a3f7b2c67915ull, 0xc67178f2e372532bull,
  0xca273eceea26619cull, 0xd186b8c721c0c207ull, 0xeada7dd6cde0eb1eull, 0xf57d4f7fee6ed178ull,
  0x06f067aa72176fbaull, 0x0a637dc5a2c898a6ull, 0x113f9804bef90daeull, 0x1b710b35131c471bull,
  0x28db77f523047d84ull, 0x32caab7b40c72493ull, 0x3c9ebe0a15c9bebcull, 0x431d67c49c100d4cull,
  0x4cc5d4becb3e42b6ull, 0x597f299cfc657e2aull, 0x5fcb6fab3ad6faecull, 0x6c44198c4a475817ull
};

GQ_TABLE uint64_t sha512_initial_state[8] = {
  0x6a09e667f3bcc908ull, 0xbb67ae8584caa73bull, 0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull,
  0x510e527fade682d1ull, 0x9b05688c2b3e6c1full, 0x1f83d9abfb41bd6bull, 0x5be0cd19137e2179ull
};

/* Word \p index of the message, all of it message: most significant byte first. */
GQ_DEVICE uint64_t sha512_load(const uint8_t *data, uint32_t index)
{
  uint64_t word = gq_load_aligned_u64_le(data + (uint64_t)index * 8);
  word = (word & 0x00ff00ff00ff00ffull) << 8 | (word >> 8 & 0x00ff00ff00ff00ffull);
  word = (word & 0x0000ffff0000ffffull) << 16 | (word >> 16 & 0x0000ffff0000ffffull);
  return word << 32 | word >> 32;
}

/* Word \p index of the message with its padding, but for the length: a bit of 1, then zeros. */
GQ_DEVICE uint64_t sha512_padded(const gq_msg *msg, uint32_t index)
{
  const uint32_t whole = msg->size / 8, rest = msg->size % 8;
  uint64_t word = 0;
  uint32_t i;
  if (index < whole) return sha512_load(msg->data, index);
  if (index > whole) return 0;
  for (i = 0; i < rest; i++) word |= (uint64_t)msg->data[(uint64_t)whole * 8 + i] << (56 - 8 * i);
  return word | 0x80ull << (56 - 8 * rest);
}

GQ_DEVICE uint64_t sha512_rotate(uint64_t word, int right) { return word >> right | word << (64 - right); }

/* One round; the caller rotates the names of the eight variables, so that none has to be moved. */
GQ_DEVICE void sha512_round(uint64_t a, uint64_t b, uint64_t c, uint64_t *d, uint64_t e, uint64_t f, uint64_t g,
                            uint64_t *h, uint64_t input)
{
  const uint64_t sum1 = sha512_rotate(e, 14) ^ sha512_rotate(e, 18) ^ sha512_rotate(e, 41);
  const uint64_t sum0 = sha512_rotate(a, 28) ^ sha512_rotate(a, 34) ^ sha512_rotate(a, 39);
  const uint64_t first = *h + sum1 + ((e & f) ^ (~e & g)) + input;
  *d += first;
  *h = first + sum0 + ((a & b) ^ (a & c) ^ (b & c));
}

/* Replace word t of the schedule by word t + 16. */
GQ_DEVICE uint64_t sha512_next(const uint64_t *w, int t)
{
  const uint64_t early = w[(t + 1) & 15], late = w[(t + 14) & 15];
  return w[t] + w[(t + 9) & 15]
       + (sha512_rotate(early, 1) ^ sha512_rotate(early, 8) ^ early >> 7)
       + (sha512_rotate(late, 19) ^ sha512_rotate(late, 61) ^ late >> 6);
}

/* Put the block \p w into \p state; \p w is used up. */
GQ_DEVICE void sha512_compress(uint64_t *state, uint64_t *w)
{
  uint64_t s[8];
  int t, i, j;
  SHA512_UNROLL
  for (i = 0; i < 8; i++) s[i] = state[i];
  for (t = 0; t < 80; t += 16) {
    SHA512_UNROLL
    for (i = 0; i < 16; i += 8) {
#define SHA512_INPUT(n) (w[i + n] + sha512_round_constant[t + i + n])
      sha512_round(s[0], s[1], s[2], &s[3], s[4], s[5], s[6], &s[7], SHA512_INPUT(0));
      sha512_round(s[7], s[0], s[1], &s[2], s[3], s[4], s[5], &s[6], SHA512_INPUT(1));
      sha512_round(s[6], s[7], s[0], &s[1], s[2], s[3], s[4], &s[5], SHA512_INPUT(2));
      sha512_round(s[5], s[6], s[7], &s[0], s[1], s[2], s[3], &s[4], SHA512_INPUT(3));
      sha512_round(s[4], s[5], s[6], &s[7], s[0], s[1], s[2], &s[3], SHA512_INPUT(4));
      sha512_round(s[3], s[4], s[5], &s[6], s[7], s[0], s[1], &s[2], SHA512_INPUT(5));
      sha512_round(s[2], s[3], s[4], &s[5], s[6], s[7], s[0], &s[1], SHA512_INPUT(6));
      sha512_round(s[1], s[2], s[3], &s[4], s[5], s[6], s[7], &s[0], SHA512_INPUT(7));
#undef SHA512_INPUT
    }
    if (t < 64) {
      SHA512_UNROLL
      for (j = 0; j < 16; j++) w[j] = sha512_next(w, j);
    }
  }
  SHA512_UNROLL
  for (i = 0; i < 8; i++) state[i] += s[i];
}

GQ_HANDLER(sha512, GQ_NO_ARGS,
  GQ_SUMMARY("SHA-512 of the message")
  GQ_SCOPES(thread)
  GQ_OUTPUT(hex)
  GQ_RESULT(0, 64)
  GQ_EXAMPLE("gpuqueue run --handler sha512 --input-format files --with-input *.c"))
{
  uint64_t state[8], w[16];
  uint32_t block, blocks;
  int i;

  reply->size = 64;
  if (reply->capacity < 64) return 0;
  /* 17 bytes of padding at least: the marker and the length. Counted in words, as size + 17 may pass 2^32. */
  blocks = (msg->size / 8 + 3 + 15) / 16;
  SHA512_UNROLL
  for (i = 0; i < 8; i++) state[i] = sha512_initial_state[i];
  for (block = 0; block < blocks; block++) {
    if (block < msg->size / 128) {
      SHA512_UNROLL
      for (i = 0; i < 16; i++) w[i] = sha512_load(msg->data, block * 16 + (uint32_t)i);
    } else {
      SHA512_UNROLL
      for (i = 0; i < 16; i++) w[i] = sha512_padded(msg, block * 16 + (uint32_t)i);
      if (block == blocks - 1) w[15] = (uint64_t)msg->size << 3;
    }
    sha512_compress(state, w);
  }
  SHA512_UNROLL
  for (i = 0; i < 8; i++) gq_store_u64_be(reply->data + 8 * i, state[i]);
  return 0;
}

#undef SHA512_UNROLL
#endif
