/* SPDX-License-Identifier: Apache-2.0 */
/* Loops over many messages for peers.py, so that it is the CPU that is timed and not Python: each applies what somebody
 * else's library or the processor offers to `count` messages of `size` bytes, `stride` bytes apart. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*start_function)(void *);
typedef int (*update_function)(void *, const void *, size_t);
typedef int (*finish_function)(unsigned char *, void *);
typedef uint64_t (*xxh64_function)(const void *, size_t, uint64_t);

/* libcrypto's SHA256_Init and so on, or SHA512_Init: their contexts have 112 and 216 bytes. */
void digests(start_function start, update_function update, finish_function finish, const uint8_t *in, size_t size,
             size_t stride, size_t count, uint8_t *out, size_t digest)
{
  uint64_t context[64];
  size_t i;
  for (i = 0; i < count; i++) {
    start(context);
    update(context, in + i * stride, size);
    finish(out + i * digest, context);
  }
}

void xxh64(xxh64_function hash, const uint8_t *in, size_t size, size_t stride, size_t count, uint8_t *out)
{
  size_t i;
  for (i = 0; i < count; i++) {
    const uint64_t value = __builtin_bswap64(hash(in + i * stride, size, 0));
    memcpy(out + i * 8, &value, 8);
  }
}

#if defined(__SSE4_2__)
/* The processor's instruction, in one chain. */
int crc32c(const uint8_t *in, size_t size, size_t stride, size_t count, uint8_t *out)
{
  size_t i, at;
  for (i = 0; i < count; i++) {
    const uint8_t *message = in + i * stride;
    uint64_t crc = 0xffffffffu, word;
    uint32_t value;
    for (at = 0; at + 8 <= size; at += 8) {
      memcpy(&word, message + at, 8);
      crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; at < size; at++) crc = __builtin_ia32_crc32qi((uint32_t)crc, message[at]);
    value = __builtin_bswap32(~(uint32_t)crc);
    memcpy(out + i * 4, &value, 4);
  }
  return 1;
}
#else
int crc32c(const uint8_t *in, size_t size, size_t stride, size_t count, uint8_t *out)
{
  (void)in, (void)size, (void)stride, (void)count, (void)out;
  return 0;
}
#endif

/* Type (0 call, 1 put), spot, strike, rate, volatility, years: price, delta, gamma, vega, theta, rho (J. Hull, Options,
 * Futures and Other Derivatives, with no dividend). */
static void price_one(const double *in, double *out)
{
  const double w = in[0] == 0 ? 1 : -1, s = in[1], k = in[2], r = in[3], v = in[4], t = in[5];
  const double d1 = (log(s / k) + (r + v * v / 2) * t) / (v * sqrt(t)), d2 = d1 - v * sqrt(t);
  const double nd1 = erfc(-w * d1 * M_SQRT1_2) / 2, nd2 = erfc(-w * d2 * M_SQRT1_2) / 2;
  const double density = exp(-d1 * d1 / 2) / sqrt(2 * M_PI), cash = k * exp(-r * t);
  out[0] = w * (s * nd1 - cash * nd2);
  out[1] = w * nd1;
  out[2] = density / (s * v * sqrt(t));
  out[3] = s * density * sqrt(t);
  out[4] = -s * density * v / (2 * sqrt(t)) - w * r * cash * nd2;
  out[5] = w * cash * t * nd2;
}

void prices(const double *in, size_t count, double *out)
{
  size_t i;
  for (i = 0; i < count; i++) price_one(in + i * 6, out + i * 6);
}

/* The same for lines of text that begin with "call" or "put". \return the bytes written, at most 160 a line. */
size_t prices_of_lines(const char *in, size_t bytes, char *out)
{
  const char *const end = in + bytes;
  char *to = out;
  while (in < end) {
    double values[6], results[6];
    char *next = strchr(in, ',');
    int i;
    values[0] = *in == 'p';
    for (i = 1; i < 6; i++) values[i] = strtod(next + 1, &next);
    price_one(values, results);
    to += sprintf(to, "%.8f,%.8f,%.8f,%.8f,%.8f,%.8f\n", results[0], results[1], results[2], results[3], results[4],
                  results[5]);
    in = next + 1;
  }
  return (size_t)(to - out);
}
