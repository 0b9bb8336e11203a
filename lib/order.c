/* SPDX-License-Identifier: Apache-2.0 */
/* A lane's completions in the order in which they are given out: the one in which they ended, or in an ordered lane the
 * one in which they were enqueued. In both the entries of the order say what has ended, and in an ordered lane entry d
 * is that of position d. A poller that waits reads entries and no results, of which the consumer still writes some:
 * eight entries are one line, and each line that is read then has to be taken away again for its next piece, one after
 * the other, as a bus's writes go in order. Reading results instead held all lanes at 3 M messages a second where
 * capacities were small.
 *
 * A message's order entry, state and cell lie in lines that others have written last, so each is a cache miss; they are
 * looked up for many messages at once, with nothing in between that waits for one of them. */
#include "lane_path.h"

/* The position of order entry \p d, from its low 32 bits. Both are counted from 0, and when the message of position p
 * ended, all but a capacity of those before it had, and at most a capacity of those after it: d is less than 2^31 away
 * from p. (So is `claimed`, but that is in the sender's line, which would go back and forth with each message.) */
static uint64_t widen(uint64_t d, uint32_t low)
{
  return d + (uint64_t)(int64_t)(int32_t)(low - (uint32_t)d);
}

static inline void prefetch(gq_cells completions, uint64_t position)
{
#if !defined(GQ_MODEL)
  const gq_unit *cell = gq_cells_at(completions, position);

  gq_prefetch_write(&completions.state[position & completions.mask]);
  __builtin_prefetch(cell);
  if (completions.units > 4) __builtin_prefetch(cell + 4); /* a longer result is as slow as it is */
#else
  (void)completions, (void)position;
#endif
}

/* Key, tag and slots of a message stand in its submission, which its sender wrote: whoever takes the result looks them up
 * there. */
static inline void prefetch_recalled(const gq_lane *lane, gq_cells completions, uint64_t position)
{
#if !defined(GQ_MODEL)
  if (gq_head_flags(gq_cells_at(completions, position), completions.unit_bytes) & GQ_CELL_RECALL)
    __builtin_prefetch(gq_lane_submission(lane, position));
#else
  (void)lane, (void)completions, (void)position;
#endif
}

/* Read up to \p max entries of the completion order, from entry d on. \return how many are there; 0 with \p *newer set
 * if d is out of date, and *newer is where the entries that are left begin. */
static size_t read_entries(const gq_lane *lane, uint64_t d, uint64_t *positions, size_t max, uint64_t *newer)
{
  const unsigned ring_log2 = lane->ring_log2;
  const gq_cells completions = gq_lane_cells(lane, lane->completions);
  gq_a64 *const endings = lane->endings;
  size_t n;

  for (n = 0; n < max; n++) {
    /* [O1] acquire: the completion that it names is seldom far behind. No more hangs on it: the cell's tags say whether
     * it is there, and the state's position whether it is still to come or over. */
    const uint64_t entry = gq_ld64(&endings[gq_ending_index(d + n, ring_log2)], GQ_ACQUIRE, GQ_SYS);
    const int32_t laps = (int32_t)((uint32_t)(entry >> 32) - gq_ending_tag(d + n, ring_log2));

    if (laps != 0) {
      if (laps > 0 && n == 0) /* more than 2N messages finished since anybody polled; that of d was taken by id */
        *newer = d + 1 + (uint64_t)(laps - 1) * 2 * (lane->ring_mask + 1);
      break;
    }
    positions[n] = widen(d + n, (uint32_t)entry);
    prefetch(completions, positions[n]);
  }
  return n;
}

#define FURTHER 8u /* messages */

/* Who takes messages one at a time would wait for the lines of each: fetch those of one that will be asked for soon, if
 * it has ended already. */
static inline void look_further(const gq_lane *lane, gq_cells completions, uint64_t d)
{
  uint64_t entry;

  d += FURTHER;
  /* Relaxed: nothing is read by it. */
  entry = gq_ld64(&lane->endings[gq_ending_index(d, lane->ring_log2)], GQ_RELAXED, GQ_SYS);
  if ((uint32_t)(entry >> 32) == gq_ending_tag(d, lane->ring_log2)) prefetch(completions, widen(d, (uint32_t)entry));
}

#define NONE UINT64_MAX /* in place of a position that was taken by id */

/* How many of the first \p n positions have ended. One that was even taken by id since becomes NONE. */
static size_t count_ended(const gq_lane *lane, uint64_t *positions, size_t n)
{
  const gq_cells completions = gq_lane_cells(lane, lane->completions);
  size_t ended;

  for (ended = 0; ended < n; ended++) {
    if (gq_cells_have(completions, positions[ended])) {
      prefetch_recalled(lane, completions, positions[ended]);
      continue;
    }
    if (!gq_lane_is_over(lane, positions[ended])) break;
    positions[ended] = NONE;
  }
  return ended;
}

/* How many of the next positions in order have ended, up to \p max. \p *word is `polled`, which names the first. */
static size_t look_ahead(gq_lane *lane, uint64_t *word, uint64_t *positions, size_t max)
{
  for (;;) {
    const uint64_t d = gq_entries_polled(*word);
    uint64_t newer = 0;
    const size_t n = read_entries(lane, d, positions, max, &newer);

    /* A cell may arrive after its entry: nothing orders the two on the bus. */
    if (!newer) return count_ended(lane, positions, n);
    if (gq_cas64(&lane->head->polled, word, *word + (newer - d), GQ_RELAXED)) *word += newer - d;
  }
}

/* Claim the next \p n entries after \p *word, `polled`. \return whether they were still the next; \p *alone is whether
 * their messages are this thread's thereby, until it takes GQ_TAKING back, or have to be taken by an exchange each. */
static bool claim(gq_lane *lane, uint64_t *word, size_t n, bool *alone)
{
  const uint64_t d = gq_entries_polled(*word);

  do {
    *alone = !(*word & (GQ_BY_ID | GQ_TAKING));
    if (gq_cas64(&lane->head->polled, word, *word + n + (*alone ? GQ_TAKING : 0), GQ_RELAXED)) return true;
  } while (gq_entries_polled(*word) == d);
  return false;
}

size_t gq_lane_take_next(gq_lane *lane, uint64_t *positions, size_t max)
{
  const gq_cells completions = gq_lane_cells(lane, lane->completions);
  uint64_t word = gq_ld64(&lane->head->polled, GQ_RELAXED, GQ_SYS);

  for (;;) {
    const size_t ended = look_ahead(lane, &word, positions, max);
    size_t taken = 0;
    bool alone;

    if (ended == 0) return 0;
    if (max == 1) look_further(lane, completions, gq_entries_polled(word));
    if (!claim(lane, &word, ended, &alone)) continue;
    for (size_t i = 0; i < ended; i++)
      if (alone ? gq_cells_mark_taken(completions, positions[i])
                : positions[i] != NONE && gq_cells_hold(completions, positions[i], GQ_TAKEN))
        positions[taken++] = positions[i];
    /* [O2] release: who comes by an id finds the marks; pairs with gq_lane_allow_ids() */
    if (alone) gq_add64(&lane->head->polled, -GQ_TAKING, GQ_RELEASE);
    if (taken > 0) return taken;
    word = gq_ld64(&lane->head->polled, GQ_RELAXED, GQ_SYS);
  }
}

bool gq_lane_is_ready(gq_lane *lane)
{
  uint64_t word = gq_ld64(&lane->head->polled, GQ_RELAXED, GQ_SYS), position;

  while (look_ahead(lane, &word, &position, 1) > 0) {
    if (position != NONE && !gq_lane_is_over(lane, position)) return true;
    if (gq_cas64(&lane->head->polled, &word, word + 1, GQ_RELAXED)) word++; /* it was taken by id */
  }
  return false;
}
