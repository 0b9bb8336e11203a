/* SPDX-License-Identifier: Apache-2.0 */
/** \file result.h
 * How a finished message looks to the user. */
#ifndef GPUQUEUE_RESULT_H
#define GPUQUEUE_RESULT_H

#include "buffer.h"
#include "run.h"

/** What is printed beside a result with --with-input: the message, or its file's name. */
struct origin {
  const char *name;      /**< NULL: the message itself */
  const void *payload;
  size_t size;
};

/** Whether results are lines of digits and nothing else, as most are. */
bool result_is_hex_line(const struct run *run);

/** Add the result to \p text if result_is_hex_line(). Inline, for it costs as much as some handlers do. */
static inline void result_print_hex_line(struct buffer *text, const gq_completion *completion)
{
  char *to = buffer_room(text, 2 * completion->size + 1);

  write_hex(to, completion->data, completion->size);
  to[2 * completion->size] = '\n';
  text->used += 2 * completion->size + 1;
}

/** Add the result to \p text, framed as the settings say. \param origin  NULL without --with-input */
void result_print(struct buffer *text, const struct run *run, const gq_completion *completion,
                  const struct origin *origin);

/** Report a completion without a result. \p failure holds number, name and payload, and gets the rest. */
void result_fail(struct run *run, const gq_completion *completion, struct failure *failure);

#endif
