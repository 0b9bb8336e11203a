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
#include <string.h>

struct bench;

/* Word i of the row is (i + 1) * CONTENT_ODD, and i can be had back from it: CONTENT_ODD * CONTENT_INVERSE is 1, modulo
 * 2^64. */
#define CONTENT_ODD UINT64_C(0x9e3779b97f4a7c15)
#define CONTENT_INVERSE UINT64_C(0xf1de83e19937733d)

struct content {
  size_t size;              /**< of a message */
  uint32_t variety;         /**< different messages; a power of two */
  unsigned char *bytes;
  bool echoes;              /**< the handler is echo */
  bool tells_number;        /**< which message it was can be seen in its result */
  struct { unsigned char *data; size_t size; } *results; /**< of another handler: what message i must give */
  size_t result_bytes;      /**< the largest of them */
};

/** Contents for messages of \p size bytes to the bench's handler, or to \p handler if it is not NULL.
 * \param capacity  the queue's, unless the user says another: echoes repeat after twice as many messages at the earliest,
 *                  so that what was left in a cell by the message before cannot pass for the one that belongs there */
bool content_init(struct bench *bench, struct content *content, size_t size, const char *handler, uint32_t capacity);
void content_free(struct content *content);

static inline const void *content_payload(const struct content *content, uint64_t number)
{
  return content->bytes + 8 * (number & (content->variety - 1));
}

/** Whether \p data is what message \p number must give. */
bool content_matches(const struct content *content, uint64_t number, const void *data, size_t size);

/** Of an echo that \ref tells_number: whether \p data is one of its messages. What it must be is worked out from its
 * first word, in registers: to look it up would put the row into the cache of whoever reads results, in the messages'
 * place.
 * \param place  out: which message it is, below variety */
static inline bool content_is_echo(const struct content *content, const void *data, size_t size, uint64_t *place)
{
  typedef uint64_t pair __attribute__((vector_size(16)));
  const unsigned char *bytes = (const unsigned char *)data;
  uint64_t first = 0, differences;
  pair expected, wrong = {0, 0};
  size_t left = size;

  if (size != content->size) return false;
  memcpy(&first, bytes, 8);
  *place = first * CONTENT_INVERSE - 1;
  if (*place >= content->variety) return false;
  expected = (pair){first, first + CONTENT_ODD};
  for (; left >= 16; left -= 16, bytes += 16) {
    pair words;

    memcpy(&words, bytes, 16);
    wrong |= words ^ expected;
    expected += (pair){2 * CONTENT_ODD, 2 * CONTENT_ODD};
  }
  differences = wrong[0] | wrong[1];
  return differences == 0 && (left == 0 || memcmp(bytes, &expected, left) == 0);
}

#endif
