/* SPDX-License-Identifier: Apache-2.0 */
/* The framings that know a message's size before its bytes: len32 and fixed:N. */
#include "reader.h"

#include <inttypes.h>
#include <string.h>

static void fail_truncated(struct reader *reader, uint64_t number, uint64_t start, uint64_t missing, uint64_t size,
                           const char *what)
{
  const struct input *input = &reader->input;

  if (input->broken) return; /* the read error was reported */
  fail_message(reader, number, input->name, GQ_INVALID,
               "message %" PRIu64 ", which begins at offset %" PRIu64 ", is truncated: %" PRIu64 " of the %" PRIu64
               " bytes of its %s are missing", number, start, missing, size, what);
}

/** Make \p size bytes available. FILL_END: the file ends before that. */
static enum fill need(struct reader *reader, size_t size)
{
  while (input_available(&reader->input) < size) {
    enum fill fill;
    if (!sender_flush(&reader->sender)) return FILL_STOPPED; /* the batch points into the buffer */
    fill = input_fill(&reader->input);
    if (fill != FILL_MORE) return fill;
  }
  return FILL_MORE;
}

/** A large message: straight from the file into the queue's memory. */
static enum fill send_direct(struct reader *reader, const gq_message *message, uint64_t number, uint64_t start)
{
  gq_reservation reservation;
  bool refused;
  size_t got;
  enum fill fill;

  if (!sender_reserve(&reader->sender, message, number, &reservation, &refused)) return FILL_STOPPED;
  if (refused) return input_skip(&reader->input, message->size);
  fill = input_copy(&reader->input, reservation.data, message->size, &got);
  if (fill == FILL_MORE)
    return sender_commit(&reader->sender, &reservation, message, number) ? FILL_MORE : FILL_STOPPED;
  gq_abort(reader->run->queue, &reservation);
  if (fill == FILL_END) fail_truncated(reader, number, start, message->size - got, message->size, "payload");
  return fill;
}

/** The message of \p size bytes that comes next, begun at offset \p start. */
static enum fill send_record(struct reader *reader, size_t size, uint64_t start)
{
  struct input *input = &reader->input;
  const uint64_t number = ++reader->number;
  gq_message message = {.size = size, .tag = number};
  enum fill fill;

  if (size >= DIRECT_BYTES) return send_direct(reader, &message, number, start);
  fill = need(reader, size);
  if (fill == FILL_END) fail_truncated(reader, number, start, size - input_available(input), size, "payload");
  if (fill != FILL_MORE) return fill;
  message.data = input_bytes(input);
  input->begin += size;
  return sender_add(&reader->sender, &message, number) ? FILL_MORE : FILL_STOPPED;
}

static enum fill read_len32_message(struct reader *reader)
{
  enum { PREFIX_BYTES = 4 };
  struct input *input = &reader->input;
  enum fill fill = need(reader, PREFIX_BYTES);
  const uint64_t start = input_offset(input);
  const uint8_t *prefix = input_bytes(input);
  uint32_t size;

  if (fill == FILL_END && input_available(input) > 0)
    fail_truncated(reader, ++reader->number, start, PREFIX_BYTES - input_available(input), PREFIX_BYTES, "length");
  if (fill != FILL_MORE) return fill;
  size = prefix[0] | (uint32_t)prefix[1] << 8 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 24;
  input->begin += PREFIX_BYTES;
  if (size <= reader->largest) return send_record(reader, size, start);
  fail_message(reader, ++reader->number, NULL, GQ_TOO_LARGE,
               "the length %" PRIu32 " at offset %" PRIu64 " is more than --max-message-bytes %" PRIu64, size, start,
               reader->largest);
  if (!sender_flush(&reader->sender)) return FILL_STOPPED;
  return input_skip(input, size);
}

bool read_len32(struct reader *reader)
{
  while (input_next(&reader->input)) {
    enum fill fill;
    do fill = read_len32_message(reader);
    while (fill == FILL_MORE);
    if (fill == FILL_STOPPED || !sender_flush(&reader->sender)) return false;
  }
  return true;
}

bool read_fixed(struct reader *reader, uint64_t record_bytes)
{
  while (input_next(&reader->input)) {
    enum fill fill;
    /* one byte is enough to know that there is a further record */
    while ((fill = need(reader, 1)) == FILL_MORE) {
      fill = send_record(reader, (size_t)record_bytes, input_offset(&reader->input));
      if (fill != FILL_MORE) break;
    }
    if (fill == FILL_STOPPED || !sender_flush(&reader->sender)) return false;
  }
  return true;
}
