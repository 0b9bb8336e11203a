/* SPDX-License-Identifier: Apache-2.0 */
/** \file buffer.h
 * Bytes that grow at their end. */
#ifndef GPUQUEUE_BUFFER_H
#define GPUQUEUE_BUFFER_H

#include <stddef.h>
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

/** Add \p size bytes as hexadecimal digits. */
void buffer_add_hex(struct buffer *buffer, const unsigned char *data, size_t size);

#endif
