/* SPDX-License-Identifier: Apache-2.0 */
/* The reader thread of items, names that have a delimiter, and dead letters. */
#include "reader.h"

#include "cli.h"
#include "dead_letters.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** A piece that has no end within the limit: find its end without keeping it. */
static enum fill skip_piece(struct reader *reader, int delimiter)
{
  struct input *input = &reader->input;
  uint64_t size = 0;
  enum fill fill;

  for (;;) {
    const uint8_t *found = memchr(input_bytes(input), delimiter, input_available(input));
    const size_t piece = found ? (size_t)(found - input_bytes(input)) : input_available(input);

    size += piece;
    input->begin += piece + (found != NULL);
    fill = FILL_MORE;
    if (found || (fill = input_fill(input)) != FILL_MORE) break;
  }
  if (fill != FILL_STOPPED) fail_too_large(reader->run, ++reader->number, NULL, size);
  return fill;
}

bool read_delimited(struct reader *reader, int delimiter, uint64_t limit, take_piece *take)
{
  struct input *input = &reader->input;
  size_t searched = 0; /* of the bytes available */
  enum fill fill;

  for (;;) {
    uint8_t *start = input_bytes(input), *found;
    while ((found = memchr(start + searched, delimiter, input_available(input) - searched)) != NULL) {
      input->begin += (size_t)(found - start) + 1;
      searched = 0;
      if (!take(reader, start, (size_t)(found - start))) return false;
      start = found + 1;
    }
    searched = input_available(input);
    if (!sender_flush(&reader->sender)) return false; /* results must not wait for input */
    if (searched > limit) {
      fill = skip_piece(reader, delimiter);
      searched = 0;
    } else {
      fill = input_fill(input);
    }
    if (fill == FILL_STOPPED) return false;
    if (fill == FILL_END) break;
  }
  searched = input_available(input);
  input->begin = input->end;
  return searched == 0 || input->broken || take(reader, input->buffer + input->end - searched, searched);
}

/** A letter's key and tag go with it again; its number is its place in this input. */
static bool take_letter(struct reader *reader, uint8_t *text, size_t size)
{
  const uint64_t number = ++reader->number;
  gq_message message;
  struct letter letter;
  const char *problem;

  memset(&message, 0, sizeof message);
  problem = letter_parse(&letter, (char *)text, size);
  if (problem || letter.size > reader->largest) {
    if (problem)
      fail_message(reader->run, number, letter.name, GQ_INVALID, "dead letter %" PRIu64 ": %s", number, problem);
    else fail_too_large(reader->run, number, letter.name, letter.size);
    return true;
  }
  if (records_full(reader->run->records) && !sender_flush(&reader->sender)) return false;
  if (!records_add(reader->run->records, number, letter.name)) return false;
  message.data = letter.payload;
  message.size = letter.size;
  message.key = letter.key;
  message.tag = letter.tag;
  return sender_add(&reader->sender, &message, number);
}

bool read_dead_letters(struct reader *reader)
{
  const uint64_t other_members = 1024 * 1024;

  while (input_next(&reader->input)) {
    if (!read_delimited(reader, '\n', reader->largest / 3 * 4 + other_members, take_letter)) return false;
    if (!sender_flush(&reader->sender)) return false;
  }
  return true;
}

/** Close the queue once everything has finished, so that the writer's wait ends with the last completion and not
 * with its slice. */
static void wake_writer_at_end(struct run *run)
{
  while (!atomic_load(&run->writer_done) && gq_drain(run->queue, WAIT_SLICE_NS) == GQ_TIMEOUT) continue;
  gq_close(run->queue);
}

void *reader_main(void *argument)
{
  struct run *run = argument;
  const bool is_files = run->settings->framing == FRAMING_FILES;
  struct reader *reader = allocate(sizeof *reader);

  memset(reader, 0, sizeof *reader);
  reader->run = run;
  reader->largest = run->settings->queue.max_message_bytes;
  sender_init(&reader->sender, run);
  if (is_files) input_init(&reader->input, run, NULL, 0);
  else input_init(&reader->input, run, run->settings->files, run->settings->file_count);

  if (is_files ? read_files(reader) : read_dead_letters(reader)) sender_flush(&reader->sender);

  input_free(&reader->input);
  free(reader->staging);
  free(reader);
  atomic_store(&run->reader_done, true); /* [R1] licenses the writer to take sent as final */
  wake_writer_at_end(run);
  return NULL;
}
