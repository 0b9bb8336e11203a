/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include "cli.h"

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
