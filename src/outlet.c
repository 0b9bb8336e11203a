/* SPDX-License-Identifier: Apache-2.0 */
#include "outlet.h"

#include "cli.h"
#include "run.h"
#include "timing.h"

#include <stdlib.h>
#include <string.h>

enum {
  BULK_BYTES = 16 * 1024,   /* where that much came at a time, more will */
  MUCH_BYTES = 256 * 1024,  /* is written at once */
  WRITER_LINGER_NS = 1000 * 1000 /* for the writer of a crowded outlet to sleep while it comes */
};

void outlet_init(struct outlet *outlet, bool ordered, bool crowded, size_t chunks, unsigned sources)
{
  size_t i;

  memset(outlet, 0, sizeof *outlet);
  pthread_mutex_init(&outlet->lock, NULL);
  condition_init(&outlet->filled);
  condition_init(&outlet->drained);
  outlet->ordered = ordered;
  outlet->crowded = crowded;
  outlet->sources = sources;
  outlet->lineup_count = ordered ? chunks : 1;
  outlet->lineups = allocate(outlet->lineup_count * sizeof *outlet->lineups);
  for (i = 0; i < outlet->lineup_count; i++)
    outlet->lineups[i] = (struct lineup){.first = NULL, .last = &outlet->lineups[i].first};
}

static void free_pieces(struct piece *piece)
{
  while (piece) {
    struct piece *next = piece->next;
    buffer_free(&piece->text);
    free(piece);
    piece = next;
  }
}

void outlet_free(struct outlet *outlet)
{
  size_t i;

  for (i = 0; i < outlet->lineup_count; i++) free_pieces(outlet->lineups[i].first);
  free_pieces(outlet->spare);
  free(outlet->lineups);
  pthread_cond_destroy(&outlet->filled);
  pthread_cond_destroy(&outlet->drained);
  pthread_mutex_destroy(&outlet->lock);
}

/** What was made for more than the usual, or for less, is not kept. \p pieces is a list. */
void outlet_put_back(struct outlet *outlet, struct piece *pieces)
{
  while (pieces) {
    struct piece *next = pieces->next;

    if (pieces->text.capacity < PIECE_BYTES || pieces->text.capacity > 2 * PIECE_BYTES) {
      buffer_free(&pieces->text);
      free(pieces);
    } else {
      pthread_mutex_lock(&outlet->lock);
      pieces->next = outlet->spare;
      outlet->spare = pieces;
      pthread_mutex_unlock(&outlet->lock);
    }
    pieces = next;
  }
}

struct piece *outlet_get(struct outlet *outlet)
{
  struct piece *piece;

  pthread_mutex_lock(&outlet->lock);
  piece = outlet->spare;
  if (piece) outlet->spare = piece->next;
  pthread_mutex_unlock(&outlet->lock);
  if (!piece) {
    piece = allocate(sizeof *piece);
    memset(piece, 0, sizeof *piece);
    buffer_room(&piece->text, PIECE_BYTES + PIECE_BYTES / 2); /* what is handed over may be a little larger */
  }
  piece->next = NULL;
  piece->text.used = 0;
  piece->messages = piece->result_bytes = 0;
  return piece;
}

struct piece *outlet_copy(struct outlet *outlet, struct piece *piece)
{
  struct piece *copy = allocate(sizeof *copy);

  *copy = *piece;
  copy->text.capacity = piece->text.used;
  copy->text.data = allocate(copy->text.capacity);
  memcpy(copy->text.data, piece->text.data, piece->text.used);
  outlet_put_back(outlet, piece);
  return copy;
}

/** A chunk whose turn it is may be ahead of the writer by a little, whatever waits behind it: nothing would move
 * otherwise. */
static bool must_wait(const struct outlet *outlet, uint64_t sequence)
{
  if (outlet->closed) return false;
  if (!outlet->ordered || sequence == outlet->turn) return outlet->turn_bytes > TURN_BYTES;
  return outlet->bytes > OUTLET_BYTES;
}

void outlet_put(struct outlet *outlet, uint64_t sequence, struct piece *piece, bool last, int64_t *waited_ns)
{
  struct lineup *lineup = &outlet->lineups[sequence % outlet->lineup_count];

  pthread_mutex_lock(&outlet->lock);
  if (piece && must_wait(outlet, sequence)) {
    const int64_t begun_ns = clock_ns();
    while (must_wait(outlet, sequence)) condition_wait(&outlet->drained, &outlet->lock, WAIT_SLICE_NS);
    *waited_ns += clock_ns() - begun_ns;
  }
  if (piece) {
    piece->next = NULL;
    *lineup->last = piece;
    lineup->last = &piece->next;
    outlet->bytes += piece->text.used;
    if (!outlet->ordered || sequence == outlet->turn) outlet->turn_bytes += piece->text.used;
  }
  if (last && outlet->ordered) lineup->ended = true;
  if (outlet->writer_waits && outlet->bytes >= outlet->worth_waking &&
      (!outlet->ordered || sequence == outlet->turn)) pthread_cond_signal(&outlet->filled);
  pthread_mutex_unlock(&outlet->lock);
}

void outlet_leave(struct outlet *outlet)
{
  pthread_mutex_lock(&outlet->lock);
  outlet->sources--;
  pthread_cond_signal(&outlet->filled);
  pthread_mutex_unlock(&outlet->lock);
}

void outlet_close(struct outlet *outlet)
{
  pthread_mutex_lock(&outlet->lock);
  outlet->closed = true;
  pthread_cond_broadcast(&outlet->drained);
  pthread_mutex_unlock(&outlet->lock);
}

/** Take what is there of the chunk whose turn it is, and of those behind it while each is whole. */
static struct piece *take_in_turn(struct outlet *outlet)
{
  struct piece *first = NULL, **last = &first;

  for (;;) {
    struct lineup *lineup = &outlet->lineups[outlet->turn % outlet->lineup_count];
    struct piece *piece;

    if (lineup->first) {
      *last = lineup->first;
      last = lineup->last;
      lineup->first = NULL;
      lineup->last = &lineup->first;
    }
    if (!lineup->ended) break;
    lineup->ended = false;
    outlet->turn++;
    lineup = &outlet->lineups[outlet->turn % outlet->lineup_count];
    outlet->turn_bytes = 0;
    for (piece = lineup->first; piece; piece = piece->next) outlet->turn_bytes += piece->text.used;
  }
  outlet->turn_bytes = 0;
  return first;
}

/** The lock is held. */
static void wait_for_pieces(struct outlet *outlet, size_t worth_waking, int64_t wait_ns)
{
  outlet->writer_waits = true;
  outlet->worth_waking = worth_waking;
  condition_wait(&outlet->filled, &outlet->lock, wait_ns);
  outlet->writer_waits = false;
}

struct piece *outlet_take(struct outlet *outlet, int64_t wait_ns, bool *ended)
{
  const uint64_t turn = outlet->turn; /* only this thread changes it */
  struct piece *pieces, *piece;
  size_t bytes = 0;

  pthread_mutex_lock(&outlet->lock);
  if (outlet->is_bulk && outlet->bytes < MUCH_BYTES && outlet->sources > 0)
    wait_for_pieces(outlet, MUCH_BYTES, WRITER_LINGER_NS);
  pieces = take_in_turn(outlet);
  if (!pieces && outlet->sources > 0) {
    wait_for_pieces(outlet, 0, wait_ns);
    pieces = take_in_turn(outlet);
  }
  for (piece = pieces; piece; piece = piece->next) bytes += piece->text.used;
  outlet->bytes -= bytes;
  outlet->is_bulk = outlet->crowded && bytes >= BULK_BYTES;
  *ended = !pieces && outlet->sources == 0;
  if (pieces || turn != outlet->turn) pthread_cond_broadcast(&outlet->drained);
  pthread_mutex_unlock(&outlet->lock);
  return pieces;
}
