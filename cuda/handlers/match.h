/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `match`: whether the argument `pattern` occurs in the message: "1" or "0". Where grep -E prints a line,
 * this says "1" to it.
 *
 * The pattern is a string (argument `fixed`), or a regular expression of this subset of POSIX extended ones:
 *
 *     a          the byte itself; \ before one of . [ ] ( ) * + ? | ^ $ { } \ - / takes a meaning away
 *     .          any byte
 *     [a-z_]     one of these bytes; [^a-z_] any other. The special characters mean themselves in it
 *     r*  r+  r?     any number of r, at least one, at most one
 *     rs  r|s  (r)   r, then s; r or s; r
 *     ^  $       the beginning and the end of the message
 *
 * Bytes are compared, so that what is not ASCII is matched byte by byte; with `ignore_case` ASCII letters match both
 * ways. The pattern may name 64 bytes, sets and anchors in all. The time a message takes depends on its size alone:
 * nothing is tried twice.
 *
 * How: V. M. Glushkov's automaton (1961), whose states are the places in the pattern where a byte was just matched,
 * one bit each, run as in G. Navarro and M. Raffinot, "Compact DFA representation for fast regular expression search"
 * (2001): from the set of states to those that may follow takes a look-up for each 8 states. The init function builds
 * the tables. Anchors are places that match a byte which only stands before and behind the message.
 *
 * Init fails with these codes; no message fails:
 *   1  more than 64 places                      5  a set without ], a range from z to a, [:names:]
 *   2  ( without ), or ) without (              6  a backslash before something else, or at the end
 *   3  more than 16 ( inside one another        7  { or }, which mean nothing here: write \{ or \}
 *   4  *, + or ? with nothing to repeat */
#ifndef GPUQUEUE_HANDLERS_MATCH_H
#define GPUQUEUE_HANDLERS_MATCH_H

#include <gpuqueue/handler.h>

#define MATCH_DEPTH 16
#define MATCH_BEGIN 256 /* what is before the message, and behind it */
#define MATCH_END 257

#define MATCH_ARGS(ARG) \
  ARG(string, pattern, required, "a regular expression: . [] * + ? | () ^ $ as in grep -E") \
  ARG(flag, fixed, 0, "the pattern is a string: no character is special") \
  ARG(flag, ignore_case, 0, "a matches A")

/* The state. A set of places is a word with a bit for each. */
typedef struct match_tables {
  uint64_t places[258];      /* where each byte stands in the pattern */
  uint64_t next[8][256];     /* [k][v]: what may follow the places whose bits are v << 8 k */
  uint64_t first, last;      /* with what a match may begin and end */
  uint64_t begun;            /* the places reached before the first byte */
  uint64_t follow[64];       /* what may follow each place: of this, next is made */
  uint32_t groups;           /* how many of next[] are needed */
  uint32_t always;           /* the pattern matches the empty string, and so everything */
} match_tables;

typedef char match_tables_fit[sizeof(match_tables) <= 20480 ? 1 : -1]; /* into GQ_STATE_BYTES() below */

GQ_DEVICE uint64_t match_next(const match_tables *tables, uint64_t set, uint32_t groups)
{
  uint64_t next = tables->next[0][set & 255];
  uint32_t k;

  for (k = 1; k < groups; k++) next |= tables->next[k][set >> 8 * k & 255];
  return next;
}

GQ_HANDLER(match, MATCH_ARGS,
  GQ_SUMMARY("1 if the pattern (a small regular expression or a string) occurs in the message, else 0")
  GQ_SCOPES(thread)
  GQ_OUTPUT(text)
  GQ_RESULT(0, 1)
  GQ_STATE_BYTES(20K) /* sizeof(match_tables), rounded up */
  GQ_EXAMPLE("gpuqueue run --handler match --arg 'pattern=^(GET|POST) .* 5[0-9]+$' access.log"))
{
  const match_tables *tables = (const match_tables *)ctx->state;
  const uint64_t first = tables->first, last = tables->last;
  const uint32_t groups = tables->groups;
  uint64_t set = tables->begun, ends = tables->places[MATCH_END], before;
  uint32_t i, word = 0;

  for (i = 0; i < msg->size && !(set & last) && !tables->always; i++, word >>= 8) {
    if (i % 4 == 0) word = gq_load_aligned_u32_le(msg->data + i);
    set = (match_next(tables, set, groups) | first) & tables->places[word & 255];
  }
  /* Anchors take no byte: several may be passed in the same place. Of an empty message, both ends are one. */
  if (msg->size == 0) ends |= tables->places[MATCH_BEGIN];
  do {
    before = set;
    set |= (match_next(tables, set, groups) | first) & ends;
  } while (set != before);
  reply->size = 1;
  if (reply->capacity >= 1) reply->data[0] = (set & last) || tables->always ? '1' : '0';
  return 0;
}

/* ------------------------------------------------------------------------------------------ reading the pattern */

/* A part of the pattern: its first and last places, and whether it matches the empty string. */
typedef struct match_part {
  uint64_t first, last;
  uint32_t empty;
} match_part;

typedef struct match_reader {
  match_tables *tables;
  const uint8_t *text;
  uint64_t size, at;
  uint32_t ignore_case, places;
} match_reader;

GQ_DEVICE int match_is_one_of(uint8_t c, const char *list)
{
  for (; *list; list++)
    if (c == (uint8_t)*list) return 1;
  return 0;
}

/* What may follow the places in \p last now includes \p first. */
GQ_DEVICE void match_link(match_reader *reader, uint64_t last, uint64_t first)
{
  uint32_t i;
  for (i = 0; i < reader->places; i++)
    if (last >> i & 1) reader->tables->follow[i] |= first;
}

GQ_DEVICE match_part match_sequence(match_reader *reader, match_part a, match_part b)
{
  match_part both;
  match_link(reader, a.last, b.first);
  both.first = a.first | (a.empty ? b.first : 0);
  both.last = b.last | (b.empty ? a.last : 0);
  both.empty = a.empty && b.empty;
  return both;
}

GQ_DEVICE match_part match_either(match_part a, match_part b)
{
  a.first |= b.first, a.last |= b.last, a.empty |= b.empty;
  return a;
}

/* A new place, which matches the symbols whose bits are in \p set. */
GQ_DEVICE int32_t match_add_place(match_reader *reader, const uint32_t *set, uint32_t symbols, match_part *part)
{
  const uint64_t place = 1ull << (reader->places & 63);
  uint32_t c;
  if (reader->places == 64) return 1;
  reader->places++;
  for (c = 0; c < symbols; c++)
    if (set[c / 32] >> c % 32 & 1) reader->tables->places[c] |= place;
  part->first = part->last = place;
  part->empty = 0;
  return 0;
}

GQ_DEVICE void match_include(match_reader *reader, uint32_t *set, uint32_t c)
{
  set[c / 32] |= 1u << c % 32;
  if (!reader->ignore_case) return;
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) c ^= 32, set[c / 32] |= 1u << c % 32;
}

/* A set, of which the [ has been read. */
GQ_DEVICE int32_t match_read_set(match_reader *reader, uint32_t *set)
{
  const uint8_t *text = reader->text;
  const uint64_t size = reader->size;
  const uint32_t others = reader->at < size && text[reader->at] == '^' ? 0xffffffffu : 0;
  uint64_t begin, at;
  uint32_t c, end;

  at = begin = reader->at + (others ? 1 : 0);
  for (; at < size && (text[at] != ']' || at == begin); at++) {
    c = end = text[at];
    if (c == '[' && at + 1 < size && match_is_one_of(text[at + 1], ":.=")) return 5;
    if (at + 2 < size && text[at + 1] == '-' && text[at + 2] != ']') at += 2, end = text[at];
    if (end < c) return 5;
    for (; c <= end; c++) match_include(reader, set, c);
  }
  if (at >= size) return 5;
  reader->at = at + 1;
  for (c = 0; c < 8; c++) set[c] ^= others;
  return 0;
}

/* One place, which begins with the character \p c that has been read. */
GQ_DEVICE int32_t match_read_place(match_reader *reader, uint8_t c, int fixed, match_part *part)
{
  uint32_t set[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0}; /* 256 bytes and two anchors */
  int32_t code = 0;
  uint32_t i;

  if (fixed) {
    match_include(reader, set, c);
  } else if (c == '.') {
    for (i = 0; i < 8; i++) set[i] = 0xffffffffu;
  } else if (c == '^' || c == '$') {
    set[8] = c == '^' ? 1 : 2;
    if (reader->at < reader->size && match_is_one_of(reader->text[reader->at], "*+?")) return 4;
  } else if (c == '[') {
    code = match_read_set(reader, set);
  } else if (c == '\\') {
    if (reader->at == reader->size || !match_is_one_of(reader->text[reader->at], ".[]()*+?|^$\\{}-/")) return 6;
    match_include(reader, set, reader->text[reader->at++]);
  } else {
    match_include(reader, set, c);
  }
  return code ? code : match_add_place(reader, set, 258, part);
}

/* The *, + and ? behind \p part. */
GQ_DEVICE void match_read_repeats(match_reader *reader, match_part *part)
{
  for (; reader->at < reader->size && match_is_one_of(reader->text[reader->at], "*+?"); reader->at++) {
    if (reader->text[reader->at] != '?') match_link(reader, part->last, part->first);
    if (reader->text[reader->at] != '+') part->empty = 1;
  }
}

/* The whole pattern. Each ( begins a level, which has the alternatives before its latest | and what follows that. */
GQ_DEVICE int32_t match_read_pattern(match_reader *reader, int fixed)
{
  const match_part nothing = {0, 0, 0}, empty = {0, 0, 1};
  match_part before[MATCH_DEPTH + 1], latest[MATCH_DEPTH + 1], part;
  uint32_t depth = 0;
  int32_t code;

  before[0] = nothing, latest[0] = empty;
  while (reader->at < reader->size) {
    const uint8_t c = reader->text[reader->at++];
    if (!fixed && c == '(') {
      if (depth == MATCH_DEPTH) return 3;
      depth++;
      before[depth] = nothing, latest[depth] = empty;
      continue;
    }
    if (!fixed && c == '|') {
      before[depth] = match_either(before[depth], latest[depth]);
      latest[depth] = empty;
      continue;
    }
    if (!fixed && match_is_one_of(c, "*+?")) return 4;
    if (!fixed && match_is_one_of(c, "{}")) return 7;
    if (!fixed && c == ')') {
      if (depth == 0) return 2;
      part = match_either(before[depth], latest[depth]);
      depth--;
    } else {
      code = match_read_place(reader, c, fixed, &part);
      if (code) return code;
    }
    if (!fixed) match_read_repeats(reader, &part);
    latest[depth] = match_sequence(reader, latest[depth], part);
  }
  if (depth != 0) return 2;
  part = match_either(before[0], latest[0]);
  reader->tables->first = part.first;
  reader->tables->last = part.last;
  reader->tables->always = part.empty;
  return 0;
}

/* The first thread reads the pattern, all fill the tables. */
GQ_INIT(match)
{
  const match_args *args = GQ_ARGS(match, ctx);
  match_tables *tables = (match_tables *)ctx->state;
  uint32_t code = 0, i, bit;
  uint64_t set = 0, before;

  if (gq_rank(ctx) == 0) {
    match_reader reader = {tables, args->pattern.data, args->pattern.size, 0, (uint32_t)args->ignore_case, 0};
    code = (uint32_t)match_read_pattern(&reader, args->fixed != 0);
    tables->groups = reader.places > 8 ? (reader.places + 7) / 8 : 1;
  }
  code = gq_max_u32(ctx, code);
  if (code) return (int32_t)code;
  gq_sync(ctx);
  for (i = gq_rank(ctx); i < tables->groups * 256; i += gq_ranks(ctx)) {
    uint64_t next = 0;
    for (bit = 0; bit < 8; bit++)
      if (i >> bit & 1) next |= tables->follow[i / 256 * 8 + bit];
    tables->next[i / 256][i % 256] = next;
  }
  gq_sync(ctx);
  if (gq_rank(ctx) != 0) return 0;
  do {
    before = set;
    set |= (match_next(tables, set, tables->groups) | tables->first) & tables->places[MATCH_BEGIN];
  } while (set != before);
  tables->begun = set;
  return 0;
}

#endif
