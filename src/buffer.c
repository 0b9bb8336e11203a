/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include "cli.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_BYTES = 4096 };

char *buffer_grow(struct buffer *buffer, size_t size)
{
  size_t capacity = buffer->capacity ? buffer->capacity : FIRST_BYTES;

  while (capacity - buffer->used < size) capacity *= 2;
  buffer->data = reallocate(buffer->data, capacity);
  buffer->capacity = capacity;
  return buffer->data + buffer->used;
}

void buffer_free(struct buffer *buffer)
{
  free(buffer->data);
  memset(buffer, 0, sizeof *buffer);
}

/** Four bytes to eight digits at once, as a byte at a time costs more than some handlers do. */
static inline void put_digits(char *to, const unsigned char *from)
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
  memcpy(to, &digits, sizeof digits); /* the first digit is in the lowest byte: a loop over bytes would be eight stores */
}

void buffer_add_hex(struct buffer *buffer, const unsigned char *data, size_t size)
{
  static const char digits[] = "0123456789abcdef";
  char *to = buffer_room(buffer, 2 * size);
  size_t i;

  for (i = 0; i + 4 <= size; i += 4) put_digits(to + 2 * i, data + i);
  for (; i < size; i++) {
    to[2 * i] = digits[data[i] >> 4];
    to[2 * i + 1] = digits[data[i] & 15];
  }
  buffer->used += 2 * size;
}
