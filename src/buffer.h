/* SPDX-License-Identifier: Apache-2.0 */
/** \file buffer.h
 * Bytes that grow at their end. */
#ifndef GPUQUEUE_BUFFER_H
#define GPUQUEUE_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
  char *data;
  size_t used, capacity;
};

/** The slow half of buffer_room(). */
char *buffer_grow(struct buffer *buffer, size_t size);

void buffer_free(struct buffer *buffer);

/** Make room for \p size more bytes. \return where they go; add what was written to \ref buffer.used. */
static inline char *buffer_room(struct buffer *buffer, size_t size)
{
  if (buffer->capacity - buffer->used < size) return buffer_grow(buffer, size);
  return buffer->data + buffer->used;
}

static inline void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
  if (size == 0) return;
  memcpy(buffer_room(buffer, size), data, size);
  buffer->used += size;
}

/** Four bytes to eight digits at once, as a byte at a time costs more than some handlers do. */
static inline void write_eight_digits(char *to, const unsigned char *from)
{
  const uint64_t ones = 0x0101010101010101u;
  uint64_t digits = (uint64_t)from[0] | (uint64_t)from[1] << 16 | (uint64_t)from[2] << 32 | (uint64_t)from[3] << 48;
  uint64_t is_letter;

  digits = (digits >> 4 & 0x000f000f000f000fu) | (digits & 0x000f000f000f000fu) << 8;
  is_letter = (digits + 6 * ones) >> 4 & ones;
  digits += '0' * ones + is_letter * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  digits = __builtin_bswap64(digits);
#endif
  memcpy(to, &digits, sizeof digits); /* the first digit is in the lowest byte; a loop over bytes is eight stores */
}

/** Write \p size bytes as hexadecimal digits. */
static inline void write_hex(char *to, const unsigned char *data, size_t size)
{
  static const char digits[] = "0123456789abcdef";
  size_t i;

  for (i = 0; i + 4 <= size; i += 4) write_eight_digits(to + 2 * i, data + i);
  for (; i < size; i++) {
    to[2 * i] = digits[data[i] >> 4];
    to[2 * i + 1] = digits[data[i] & 15];
  }
}

static inline void buffer_add_hex(struct buffer *buffer, const unsigned char *data, size_t size)
{
  write_hex(buffer_room(buffer, 2 * size), data, size);
  buffer->used += 2 * size;
}

#endif
