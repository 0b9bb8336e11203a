/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `sha256`: SHA-256 (FIPS 180-4) of the message, 32 bytes, one thread per message.
 *
 * The message schedule is the rolling one of 16 words, and every index into an array is known when compiling, so
 * that on the device the schedule, the state and the constants are registers and immediates and no memory but the
 * message is read. */
#ifndef GPUQUEUE_HANDLERS_SHA256_H
#define GPUQUEUE_HANDLERS_SHA256_H

#include <gpuqueue/handler.h>

#if defined(__CUDACC__)
#define GQ_SHA256_UNROLL _Pragma("unroll")
#else
#define GQ_SHA256_UNROLL
#endif

GQ_TABLE uint32_t gq_sha256_round_constant[64] = {
  0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
  0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
  0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
  0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
  0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
  0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
  0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
  0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u
};

GQ_TABLE uint32_t gq_sha256_initial_state[8] = {
  0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u
};

/* Word \p index of the message, most significant byte first. */
GQ_DEVICE uint32_t gq_sha256_load(const uint8_t *data, uint32_t index)
{
#if defined(__CUDA_ARCH__)
  return __byte_perm(((const uint32_t *)data)[index], 0, 0x0123);
#else
  uint32_t word;
  __builtin_memcpy(&word, data + (uint64_t)index * 4, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return word;
#else
  return __builtin_bswap32(word);
#endif
#endif
}

/* The words of block \p block, all of it message: on the device in four reads instead of sixteen. */
GQ_DEVICE void gq_sha256_load_block(const uint8_t *data, uint32_t block, uint32_t *w)
{
  int i;
#if defined(__CUDA_ARCH__)
  GQ_SHA256_UNROLL
  for (i = 0; i < 4; i++) {
    const uint4 quad = ((const uint4 *)data)[block * 4 + i];
    w[4 * i] = __byte_perm(quad.x, 0, 0x0123), w[4 * i + 1] = __byte_perm(quad.y, 0, 0x0123);
    w[4 * i + 2] = __byte_perm(quad.z, 0, 0x0123), w[4 * i + 3] = __byte_perm(quad.w, 0, 0x0123);
  }
#else
  for (i = 0; i < 16; i++) w[i] = gq_sha256_load(data, block * 16 + (uint32_t)i);
#endif
}

/* Word \p index of the message with its padding, but for the length: a bit of 1, then zeros. */
GQ_DEVICE uint32_t gq_sha256_padded(const gq_msg *msg, uint32_t index)
{
  const uint32_t whole = msg->size / 4, rest = msg->size & 3;
  const uint32_t marker = 0x80000000u >> 8 * rest;
  if (index < whole) return gq_sha256_load(msg->data, index);
  if (index > whole) return 0;
  /* The bytes up to a multiple of 4 may be read, but what is in them is not the message. */
  return rest ? (gq_sha256_load(msg->data, index) & ~(0xffffffffu >> 8 * rest)) | marker : marker;
}

/* Write the digest, in whole words: the result may be memory that is a bus away. */
GQ_DEVICE void gq_sha256_store(uint8_t *data, const uint32_t *state)
{
#if defined(__CUDA_ARCH__)
  ((uint4 *)data)[0] = make_uint4(__byte_perm(state[0], 0, 0x0123), __byte_perm(state[1], 0, 0x0123),
                                  __byte_perm(state[2], 0, 0x0123), __byte_perm(state[3], 0, 0x0123));
  ((uint4 *)data)[1] = make_uint4(__byte_perm(state[4], 0, 0x0123), __byte_perm(state[5], 0, 0x0123),
                                  __byte_perm(state[6], 0, 0x0123), __byte_perm(state[7], 0, 0x0123));
#else
  int i;
  for (i = 0; i < 32; i++) data[i] = (uint8_t)(state[i / 4] >> (24 - i % 4 * 8));
#endif
}

GQ_DEVICE uint32_t gq_sha256_rotate(uint32_t word, int right) { return word >> right | word << (32 - right); }

/* One round; the caller rotates the names of the eight variables, so that none has to be moved. */
GQ_DEVICE void gq_sha256_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g,
                               uint32_t *h, uint32_t input)
{
  const uint32_t sum1 = gq_sha256_rotate(e, 6) ^ gq_sha256_rotate(e, 11) ^ gq_sha256_rotate(e, 25);
  const uint32_t sum0 = gq_sha256_rotate(a, 2) ^ gq_sha256_rotate(a, 13) ^ gq_sha256_rotate(a, 22);
  const uint32_t first = *h + sum1 + ((e & f) ^ (~e & g)) + input;
  *d += first;
  *h = first + sum0 + ((a & b) ^ (a & c) ^ (b & c));
}

/* Replace word t of the schedule by word t + 16. */
GQ_DEVICE uint32_t gq_sha256_next(const uint32_t *w, int t)
{
  const uint32_t early = w[(t + 1) & 15], late = w[(t + 14) & 15];
  return w[t] + w[(t + 9) & 15]
       + (gq_sha256_rotate(early, 7) ^ gq_sha256_rotate(early, 18) ^ early >> 3)
       + (gq_sha256_rotate(late, 17) ^ gq_sha256_rotate(late, 19) ^ late >> 10);
}

/* Put the block \p w into \p state; \p w is used up. */
GQ_DEVICE void gq_sha256_compress(uint32_t *state, uint32_t *w)
{
  uint32_t s[8];
  int t, i, j;
  GQ_SHA256_UNROLL
  for (i = 0; i < 8; i++) s[i] = state[i];
  GQ_SHA256_UNROLL
  for (t = 0; t < 64; t += 16) {
    GQ_SHA256_UNROLL
    for (i = 0; i < 16; i += 8) {
#define GQ_SHA256_INPUT(n) (w[i + n] + gq_sha256_round_constant[t + i + n])
      gq_sha256_round(s[0], s[1], s[2], &s[3], s[4], s[5], s[6], &s[7], GQ_SHA256_INPUT(0));
      gq_sha256_round(s[7], s[0], s[1], &s[2], s[3], s[4], s[5], &s[6], GQ_SHA256_INPUT(1));
      gq_sha256_round(s[6], s[7], s[0], &s[1], s[2], s[3], s[4], &s[5], GQ_SHA256_INPUT(2));
      gq_sha256_round(s[5], s[6], s[7], &s[0], s[1], s[2], s[3], &s[4], GQ_SHA256_INPUT(3));
      gq_sha256_round(s[4], s[5], s[6], &s[7], s[0], s[1], s[2], &s[3], GQ_SHA256_INPUT(4));
      gq_sha256_round(s[3], s[4], s[5], &s[6], s[7], s[0], s[1], &s[2], GQ_SHA256_INPUT(5));
      gq_sha256_round(s[2], s[3], s[4], &s[5], s[6], s[7], s[0], &s[1], GQ_SHA256_INPUT(6));
      gq_sha256_round(s[1], s[2], s[3], &s[4], s[5], s[6], s[7], &s[0], GQ_SHA256_INPUT(7));
#undef GQ_SHA256_INPUT
    }
    if (t < 48) {
      GQ_SHA256_UNROLL
      for (j = 0; j < 16; j++) w[j] = gq_sha256_next(w, j);
    }
  }
  GQ_SHA256_UNROLL
  for (i = 0; i < 8; i++) state[i] += s[i];
}

GQ_HANDLER(sha256, GQ_NO_ARGS,
  GQ_SUMMARY("SHA-256 of the message")
  GQ_SCOPES(thread)
  GQ_OUTPUT(hex)
  GQ_RESULT(0, 32)
  GQ_SHORT
  GQ_EXAMPLE("gpuqueue run --handler sha256 --input-format files *.txt"))
{
  uint32_t state[8], w[16];
  uint32_t block, blocks;
  int i;
  (void)ctx;
  reply->size = 32;
  if (reply->capacity < 32) return 0;
  /* 9 bytes of padding at least: the marker and the length. Counted in words, as size + 9 may pass 2^32. */
  blocks = (msg->size / 4 + 2) / 16 + 1;
  GQ_SHA256_UNROLL
  for (i = 0; i < 8; i++) state[i] = gq_sha256_initial_state[i];
  for (block = 0; block < blocks; block++) {
    if (block < msg->size / 64) {
      gq_sha256_load_block(msg->data, block, w);
    } else {
      GQ_SHA256_UNROLL
      for (i = 0; i < 16; i++) w[i] = gq_sha256_padded(msg, block * 16 + (uint32_t)i);
      if (block == blocks - 1) w[14] = msg->size >> 29, w[15] = msg->size << 3;
    }
    gq_sha256_compress(state, w);
  }
  gq_sha256_store(reply->data, state);
  return 0;
}

#undef GQ_SHA256_UNROLL
#endif
