/* SPDX-License-Identifier: Apache-2.0 */
/* The framings that know a message's size before its bytes: len32 and fixed:N. */
#include "cutter.h"

#include <inttypes.h>

static void fail_truncated(struct cutter *c, uint64_t start, uint64_t size, const char *what)
{
  c->number++;
  if (c->input.broken) return; /* the read error was reported */
  fail_message(c->run, c->number, c->input.name, GQ_INVALID,
               "message %" PRIu64 ", which begins at offset %" PRIu64 ", is truncated: %" PRIu64 " of the %" PRIu64
               " bytes of its %s are missing", c->number, start, size - cutter_available(c), size, what);
}

static enum fill cut_record(struct cutter *c, size_t size, uint64_t start)
{
  const enum fill fill = cutter_need(c, size);

  if (fill == FILL_END) fail_truncated(c, start, size, "payload");
  if (fill != FILL_MORE) return fill;
  return cutter_take(c, size, 0) ? FILL_MORE : FILL_STOPPED;
}

static enum fill cut_len32_record(struct cutter *c)
{
  enum { PREFIX_BYTES = 4 };
  const enum fill fill = cutter_need(c, PREFIX_BYTES);
  const uint64_t start = cutter_offset(c);
  const uint8_t *prefix = cutter_bytes(c);
  uint32_t size;

  if (fill == FILL_END && cutter_available(c) > 0) fail_truncated(c, start, PREFIX_BYTES, "length");
  if (fill != FILL_MORE) return fill;
  size = prefix[0] | (uint32_t)prefix[1] << 8 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 24;
  c->begin += PREFIX_BYTES;
  if (size <= c->largest) return cut_record(c, size, start);
  fail_message(c->run, ++c->number, NULL, GQ_TOO_LARGE,
               "the length %" PRIu32 " at offset %" PRIu64 " is more than --max-message-bytes %" PRIu64, size, start,
               c->largest);
  return cutter_skip(c, size);
}

bool cut_len32(struct cutter *c)
{
  while (input_next(&c->input)) {
    enum fill fill;

    do fill = cut_len32_record(c);
    while (fill == FILL_MORE);
    if (fill == FILL_STOPPED) return false;
    c->used = c->begin; /* what is left of a file that ends within a message */
  }
  return true;
}

bool cut_fixed(struct cutter *c, uint64_t record_bytes)
{
  while (input_next(&c->input)) {
    enum fill fill;

    /* one byte is enough to know that there is a further record */
    while ((fill = cutter_need(c, 1)) == FILL_MORE) {
      fill = cut_record(c, (size_t)record_bytes, cutter_offset(c));
      if (fill != FILL_MORE) break;
    }
    if (fill == FILL_STOPPED) return false;
    c->used = c->begin;
  }
  return true;
}
