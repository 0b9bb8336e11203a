/* SPDX-License-Identifier: Apache-2.0 */
/** \file dead_letters.h
 * The file of failed messages: one JSON object a line, described in gpuqueue(1), readable again with
 * --input-format dead-letters. */
#ifndef GPUQUEUE_DEAD_LETTERS_H
#define GPUQUEUE_DEAD_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dead_letters;
struct failure;
struct output;

/** Open the file for appending, so that no letter of an earlier run is lost. \return NULL after a complaint. */
struct dead_letters *dead_letters_open(const char *path, const char *handler);

/** Where the letters go. */
const struct output *dead_letters_output(const struct dead_letters *letters);

/** Append a letter. Any thread. \return false after a complaint. */
bool dead_letters_add(struct dead_letters *letters, const struct failure *failure);

/** \return false after a complaint if something could not be written; \p letters is gone in any case. */
bool dead_letters_close(struct dead_letters *letters);

/** A letter that was read. */
struct letter {
  uint64_t key, tag;
  char *name;           /**< NULL: none; in the line that was parsed */
  uint8_t *payload;     /**< NULL: none was kept; in the line that was parsed */
  size_t size;
};

/** Read one line, which is changed: strings are decoded in place. \p line[\p size] must be writable.
 * \return NULL, or what is wrong with the line (static). */
const char *letter_parse(struct letter *letter, char *line, size_t size);

#endif
