/* SPDX-License-Identifier: Apache-2.0 */
/** \file content.h
 * What messages carry, and what must come back. Message i carries the bytes that begin at word i of a long row of
 * different 8-byte words, modulo \ref variety: no message has to be written before it is sent, and two that are near
 * each other are never the same. An echo's own first word says which it is; the result of another handler is known
 * beforehand, from a queue on the CPU that is given one message at a time. */
#ifndef GPUQUEUE_BENCH_CONTENT_H
#define GPUQUEUE_BENCH_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench;

struct content {
  size_t size;              /**< of a message */
  uint32_t variety;         /**< different messages; a power of two */
  unsigned char *bytes;
  bool echoes;              /**< the handler is echo */
  bool tells_number;        /**< which message it was can be seen in its result */
  struct { unsigned char *data; size_t size; } *results; /**< of another handler: what message i must give */
  size_t result_bytes;      /**< the largest of them */
};

/** Contents for messages of \p size bytes to the bench's handler, or to \p handler if it is not NULL. */
bool content_init(struct bench *bench, struct content *content, size_t size, const char *handler);
void content_free(struct content *content);

static inline const void *content_payload(const struct content *content, uint64_t number)
{
  return content->bytes + 8 * (number & (content->variety - 1));
}

/** What \ref tells_number promises: the message, modulo variety, that the result says it is; a larger number: none. */
uint64_t content_place(const void *result);

/** Whether \p data is what message \p number must give. */
bool content_matches(const struct content *content, uint64_t number, const void *data, size_t size);

#endif
