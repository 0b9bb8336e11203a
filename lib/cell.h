/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading one cell, on the host and in the model checker. The device moves whole windows of cells with a
 * warp and has code of its own for that (cuda/ingress.cuh, cuda/serve.cuh), over the same layout. */
#ifndef GQ_CELL_H
#define GQ_CELL_H
#include "protocol.h"

/* Inline wherever it is used: constant flags and sizes take most of it away. */
#define GQ_INLINE GQ_CONSUMER __attribute__((always_inline))

/** A cell's words, taken apart. */
typedef struct gq_cell_view {
  uint32_t head[GQ_HEAD_WORDS];
  uint32_t ext[GQ_EXT_WORDS];
} gq_cell_view;

/* -------------------------------------------------------------------------------------------- 8-byte units */

/** Store data word \p i of a cell with its tag. */
GQ_CONSUMER void gq_word_put(gq_unit *cell, uint32_t i, uint32_t word, uint32_t tag)
{
  gq_unit8_st(&cell[i >> 1], i & 1, word | (uint64_t)tag << 32); /* [S1] [C1] release */
}

/** Load data word \p i into \p *word. \return 0 if it does not carry \p tag yet. */
GQ_CONSUMER int gq_word_get(const gq_unit *cell, uint32_t i, uint32_t *word, uint32_t tag)
{
  const uint64_t v = gq_unit8_ld(&cell[i >> 1], i & 1); /* [S1] [C1] acquire */

  if ((uint32_t)(v >> 32) != tag) return 0;
  *word = (uint32_t)v;
  return 1;
}

GQ_CONSUMER uint32_t gq_load_whole_word(const void *from, uint32_t at)
{
  uint32_t word;

  __builtin_memcpy(&word, (const uint8_t *)from + at, 4);
  return word;
}

/* The word at byte \p at, zero beyond \p size, which is larger. */
GQ_CONSUMER uint32_t gq_load_word(const void *from, uint32_t at, uint32_t size)
{
  const uint8_t *bytes = (const uint8_t *)from + at;

  uint8_t rest[4] = {0, 0, 0, 0};
  uint32_t i;

  if (size - at >= 4) return gq_load_whole_word(from, at);
  for (i = 0; i < size - at; i++) rest[i] = bytes[i];
  return gq_load_whole_word(rest, 0);
}

GQ_CONSUMER void gq_cell_put8(gq_unit *cell, uint32_t tag, const gq_cell_view *view, const void *payload, uint32_t size)
{
  const uint32_t fixed = GQ_HEAD_WORDS + (view->head[1] & GQ_CELL_EXT ? GQ_EXT_WORDS : 0u);
  uint32_t i;

  for (i = 0; i < size; i += 4) gq_word_put(cell, fixed + i / 4, gq_load_word(payload, i, size), tag);
  for (i = GQ_HEAD_WORDS; i < fixed; i++) gq_word_put(cell, i, view->ext[i - GQ_HEAD_WORDS], tag);
  for (i = GQ_HEAD_WORDS; i-- > 0;) gq_word_put(cell, i, view->head[i], tag);
}

/* Head and extension words. \return how many there are; 0 if one is not there yet. */
GQ_CONSUMER uint32_t gq_fixed_get8(const gq_unit *cell, uint32_t tag, gq_cell_view *view)
{
  uint32_t i, fixed;

  for (i = 0; i < GQ_HEAD_WORDS; i++)
    if (!gq_word_get(cell, i, &view->head[i], tag)) return 0;
  fixed = GQ_HEAD_WORDS + (view->head[1] & GQ_CELL_EXT ? GQ_EXT_WORDS : 0u);
  for (; i < fixed; i++)
    if (!gq_word_get(cell, i, &view->ext[i - GQ_HEAD_WORDS], tag)) return 0;
  return fixed;
}

GQ_CONSUMER int gq_cell_get8(const gq_unit *cell, uint32_t units, uint32_t tag, gq_cell_view *view, void *payload)
{
  const uint32_t fixed = gq_fixed_get8(cell, tag, view);
  uint32_t i, used;

  if (fixed == 0) return 0;
  used = gq_used_words(view->head[0], view->head[1]);
  if (used > gq_cell_words(units, 8)) used = fixed; /* malformed: gq_job_decode() will say so */
  for (i = fixed; i < used; i++) {
    uint32_t word;

    if (!gq_word_get(cell, i, &word, tag)) return 0;
    if (payload) __builtin_memcpy((uint8_t *)payload + (i - fixed) * 4, &word, 4);
  }
  return 1;
}

/* ------------------------------------------------------------------------------------------- 16-byte units */
#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
GQ_INLINE void gq_triple_put(gq_unit *unit, const uint32_t *words, uint32_t tag)
{
  const gq_vec v = {words[0], words[1], words[2], tag};

  gq_vec_st(unit, v);
}

/* The last words of a payload, of which \p left bytes are left: 1 to 15. No byte beyond it is read. */
GQ_CONSUMER void gq_tail_put(gq_unit *unit, const uint8_t *from, uint32_t left, uint32_t tag)
{
  for (; left > 0; left -= left < 12 ? left : 12, from += 12, unit++) {
    const uint32_t words[3] = {gq_load_word(from, 0, left), left > 4 ? gq_load_word(from, 4, left) : 0,
                               left > 8 ? gq_load_word(from, 8, left) : 0};

    gq_triple_put(unit, words, tag);
  }
}

GQ_INLINE void gq_cell_put16(gq_unit *cell, uint32_t tag, const gq_cell_view *view, const void *payload, uint32_t size)
{
  const gq_vec words = {~0u, ~0u, ~0u, 0}, tags = {0, 0, 0, tag};
  const uint32_t has_ext = view->head[1] & GQ_CELL_EXT;
  gq_unit *unit = cell + (has_ext ? 3 : 1);
  const uint8_t *from = payload;
  uint32_t left = size;

#pragma GCC unroll 4
  for (; left >= 16; left -= 12, from += 12, unit++) {
    gq_vec v;

    __builtin_memcpy(&v, from, 16);
    gq_vec_st(unit, (v & words) | tags);
  }
  if (left == 4) { /* what messages of 16, 64, 256 and 1024 bytes leave */
    const gq_vec v = {gq_load_whole_word(from, 0), 0, 0, tag};

    gq_vec_st(unit, v);
  } else if (left > 0) {
    gq_tail_put(unit, from, left, tag);
  }
  if (has_ext) {
    gq_triple_put(cell + 2, view->ext + 3, tag);
    gq_triple_put(cell + 1, view->ext, tag);
  }
  gq_triple_put(cell, view->head, tag);
}

GQ_INLINE int gq_triple_get(const gq_unit *unit, uint32_t *words, uint32_t tag)
{
  const gq_vec v = gq_vec_ld(unit);

  words[0] = v[0], words[1] = v[1], words[2] = v[2];
  return v[3] == tag;
}

/* Head and extension words. \return how many units they are; 0 if one is not there yet. */
GQ_INLINE uint32_t gq_fixed_get16(const gq_unit *cell, uint32_t tag, gq_cell_view *view)
{
  if (!gq_triple_get(cell, view->head, tag)) return 0;
  if (!(view->head[1] & GQ_CELL_EXT)) return 1;
  return gq_triple_get(cell + 1, view->ext, tag) && gq_triple_get(cell + 2, view->ext + 3, tag) ? 3 : 0;
}

GQ_INLINE int gq_cell_get16(const gq_unit *cell, uint32_t units, uint32_t tag, gq_cell_view *view, void *payload)
{
  const uint32_t fixed = gq_fixed_get16(cell, tag, view), size = view->head[0];
  const gq_vec tags = {tag, tag, tag, tag};
  gq_vec wrong = {0, 0, 0, 0}; /* its last word: bits in which some unit's tag differs */
  const gq_unit *unit = cell + fixed, *end;
  uint8_t *to = payload;

  if (fixed == 0) return 0;
  if (view->head[1] & GQ_CELL_SLOT) return 1;
  if (size > (units - (uint32_t)(unit - cell)) * 12) return 1; /* malformed: gq_job_decode() will say so */
  for (end = unit + (size + 11) / 12; unit < end; unit++) {
    const gq_vec v = gq_vec_ld(unit);

    wrong |= v ^ tags;
    if (to) { /* the next three words go over the tag */
      __builtin_memcpy(to, &v, 16);
      to += 12;
    }
  }
  return wrong[3] == 0;
}

/* Whether a completion is there, of which nothing else is wanted yet. Of each unit the tag alone is looked at: a unit
 * is stored in one piece, so what is read of it after its tag is no older. Two at a time is fastest for results of a
 * few dozen bytes; 4, 8, and steps of 4, 2 and 1 were tried. */
GQ_INLINE int gq_cell_is_whole16(const gq_unit *cell, uint32_t units, uint32_t tag)
{
  const gq_unit *unit = cell + 1;
  uint32_t size, at;

  if (gq_unit_word_ld(cell, 3) != tag) return 0;
  size = gq_unit_word_ld(cell, 0);
  if (gq_unit_word_ld(cell, 1) & GQ_CELL_SLOT || size > (units - 1) * 12) return 1;
  for (at = 12; at < size; at += 24, unit += 2)
    if (gq_unit_word_ld(unit, 3) != tag || gq_unit_word_ld(unit + 1, 3) != tag) return 0;
  return at - size >= 12 || gq_unit_word_ld(unit, 3) == tag;
}

/* Read a completion whose tags have been looked at [C1], and that nobody writes to. */
GQ_INLINE void gq_cell_unpack16(const gq_unit *cell, uint32_t units, gq_cell_view *view, uint8_t *to)
{
  const uint32_t size = cell->w[0], flags = cell->w[1];
  const gq_unit *unit = cell + 1;
  uint32_t at;

  view->head[0] = size, view->head[1] = flags, view->head[2] = cell->w[2];
  if (flags & GQ_CELL_SLOT || size > (units - 1) * 12) return;
  for (at = 12; at < size; at += 24, unit += 2, to += 24) {
    __builtin_memcpy(to, unit, 16); /* the next three words go over the tag */
    __builtin_memcpy(to + 12, unit + 1, 16);
  }
  if (at - size < 12) __builtin_memcpy(to, unit, 16);
}
#endif

/* ----------------------------------------------------------------------------------------------- either */

/** Set a flag in the head of a published cell, in one access. */
GQ_CONSUMER void gq_head_flag(gq_unit *cell, uint32_t unit_bytes, uint32_t tag, uint32_t flag)
{
#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) {
    gq_vec v = gq_vec_ld(cell);

    v[1] |= flag;
    gq_vec_st(cell, v);
    return;
  }
#endif
  (void)unit_bytes;
  gq_word_put(cell, 1, (uint32_t)gq_unit8_ld(&cell[0], 1) | flag, tag);
}

/** The flags of a cell that is known to be complete. */
GQ_CONSUMER uint32_t gq_head_flags(const gq_unit *cell, uint32_t unit_bytes)
{
#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) return gq_vec_ld(cell)[1] & 0xffu;
#endif
  (void)unit_bytes;
  return (uint32_t)gq_unit8_ld(&cell[0], 1) & 0xffu;
}

/** Publish a cell: its payload first, its head last.
 * \param payload  \p size inline bytes, 0 where the payload is in a slot (which must be written before) */
GQ_INLINE void gq_cell_put(gq_unit *cell, uint32_t unit_bytes, uint32_t tag, const gq_cell_view *view,
                           const void *payload, uint32_t size)
{
#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) {
    gq_cell_put16(cell, tag, view, payload, size);
    return;
  }
#endif
  (void)unit_bytes;
  gq_cell_put8(cell, tag, view, payload, size);
}

/** Read a cell if all of it that counts carries \p tag. May write to \p view and \p payload before it finds out.
 * \param payload  room for the inline bytes rounded up to 12, and 4 more; or NULL
 * \return 1 if the cell was complete */
GQ_INLINE int gq_cell_get(const gq_unit *cell, uint32_t units, uint32_t unit_bytes, uint32_t tag, gq_cell_view *view,
                          void *payload)
{
#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) return gq_cell_get16(cell, units, tag, view, payload);
#endif
  (void)unit_bytes;
  return gq_cell_get8(cell, units, tag, view, payload);
}

/** gq_cell_get() for a submission whose payload is not wanted: its lines are not touched, nor its tags looked at. */
GQ_INLINE int gq_cell_get_fixed(const gq_unit *cell, uint32_t unit_bytes, uint32_t tag, gq_cell_view *view)
{
#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) return gq_fixed_get16(cell, tag, view) != 0;
#endif
  (void)unit_bytes;
  return gq_fixed_get8(cell, tag, view) != 0;
}

/** gq_cell_get() for a completion, of which no more is wanted to know than whether it is complete. */
GQ_INLINE int gq_cell_is_whole(const gq_unit *cell, uint32_t units, uint32_t unit_bytes, uint32_t tag)
{
  gq_cell_view view;

#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) return gq_cell_is_whole16(cell, units, tag);
#endif
  (void)unit_bytes;
  return gq_cell_get8(cell, units, tag, &view, NULL);
}

/** Read a completion that gq_cell_is_whole(), and that nobody can have reused since. */
GQ_INLINE void gq_cell_unpack(const gq_unit *cell, uint32_t units, uint32_t unit_bytes, uint32_t tag,
                              gq_cell_view *view, void *payload)
{
  gq_cell_view in_words; /* not *view, which this would keep from registers */

#if !defined(GQ_NO_UNIT16) && !defined(GQ_MODEL)
  if (unit_bytes == 16) {
    gq_cell_unpack16(cell, units, view, payload);
    return;
  }
#endif
  (void)unit_bytes;
  gq_cell_get8(cell, units, tag, &in_words, payload);
  *view = in_words;
}

#endif
