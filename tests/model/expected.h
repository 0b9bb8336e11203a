/* SPDX-License-Identifier: Apache-2.0 */
/* Places that can be weakened without a harness seeing a difference, and why. Any other that goes unnoticed fails. */
#ifndef GQ_MODEL_EXPECTED_H
#define GQ_MODEL_EXPECTED_H
#include "edges.h"

struct excuse {
  gq_mutation mutation;
  const char *function, *operation, *object;
  const char *why;
};

static const char one_of_two[] = "a second order covers it: the taker's exchange, or the tags of the completion [C1]";
static const char no_data[] = "the word carries no data; the fences of [P1] order it against the cells";
static const char only_ends[] = "the word only ends the worker, which reads nothing by it";
static const char statistics[] = "for statistics and diagnosis only";

static const char rare_bell[] = "NEEDED, but not met: two wakers lose a count just as the sleeper goes back to sleep";
/* The fence of the last look acquires what the count was released with. It also covers `next`: whoever sends a whole
 * lap later has seen that lap complete before its own fence. What is left is the order of two stores to `parked`. */
static const char parked_order[] =
  "NEEDED to order the stores to parked, which relacy never swaps; the fences of [P1] cover the look itself";

static const char by_id_or_tags[] =
  "who has an id has it from who claimed it; who has an entry looks at the tags and at the lap in the state";
static const char given_once[] = "ids are used, so gq_cells_hold() gives each message out once, if found twice";
static const char k1_k3[] = "of [K1] and [K3] either orders the handlers; [K1] was noticed where it stood alone";
static const char no_completions[] = "NOT CHECKED: no harness looks at the order of the completions of one key";

static const excuse excuses[] = {
  {GQ_NO_ACQUIRE, "gq_lane_claim", "cas", "&lane->head->claimed",
   "[R2] an exchange carries the release of the one before it along, so whoever reads the last acquires them all"},
  {GQ_NO_RELEASE, "gq_lane_claim", "cas", "&lane->head->claimed", by_id_or_tags},
  {GQ_NO_ACQUIRE, "gq_lane_standing", "load", "&lane->head->claimed", by_id_or_tags},
  {GQ_NO_ACQUIRE, "read_entries", "load", "&endings[gq_ending_index(d + n, ring_log2)]", by_id_or_tags},
  {GQ_NO_RELEASE, "gq_cpu_complete", "store", "&lane->endings[gq_ending_index(d, lane->ring_log2)]", by_id_or_tags},
  {GQ_NO_RELEASE, "post_plain", "store", "&lane->endings[gq_ending_index(d, completions.ring_log2)]", by_id_or_tags},
  {GQ_NO_ACQUIRE, "gq_lane_standing", "load", "&lane->state[position & lane->ring_mask]", one_of_two},
  {GQ_NO_ACQUIRE, "gq_cells_hold", "cas", "state", one_of_two},
  {GQ_NO_RELEASE, "gq_lane_cancel", "store", "&lane->state[position & lane->ring_mask]",
   "orders gq_lane_cancel()'s store before the next lap's to the same word; relacy never swaps stores to one word"},
  {GQ_NO_RELEASE, "gq_lane_note_slots", "store", "&lane->state[position & lane->ring_mask]",
   "[K4] follows a release of the same word by the same thread"},
  {GQ_NO_ACQUIRE, "gq_head_flag", "load", "submission", "the word is rewritten in place; nothing else is read"},
  {GQ_SPLIT, "look_ahead", "cas", "&lane->head->polled", given_once},
  {GQ_NO_ACQUIRE, "gq_head_flags", "load", "completion", "the position is held: its completion has been read before"},
  {GQ_NO_ACQUIRE, "gq_key_start", "cas", "word", "the waiter reads nothing by it; [K1] is the load"},
  {GQ_NO_ACQUIRE, "gq_key_start", "cas", "&word->link", "the waiter reads nothing by it; [K1] is the load"},
  {GQ_NO_ACQUIRE, "gq_key_start", "load", "&word->link", k1_k3},
  {GQ_NO_RELEASE, "gq_key_finish", "exchange", "&word->link", k1_k3},
  {GQ_NO_ACQUIRE, "gq_key_is_posted", "load", "&word->posted", k1_k3},
  {GQ_NO_RELEASE, "gq_key_posted", "cas", "&word->posted", k1_k3},
  {GQ_NO_ACQUIRE, "gq_key_posted", "cas", "&word->posted", "only the order of the completions is posted"},
  {GQ_SPLIT, "gq_key_posted", "cas", "&word->posted", no_completions},
  {GQ_NO_ACQUIRE, "gq_ring_claim", "cas", "&ring->tail", "the entry's tags license reading it [Q1]"},
  {GQ_NO_RELEASE, "gq_ring_claim", "cas", "&ring->tail", "the entry's free word licenses filling it [Q2]"},
  {GQ_NO_ACQUIRE, "gq_cpu_work", "load", "&state->stop", only_ends},
  {GQ_NO_ACQUIRE, "serve", "load", "&w->state->stop", only_ends},
  {GQ_NO_ACQUIRE, "serve_batch", "load", "&state->stop", only_ends},
  {GQ_NO_ACQUIRE, "sleep_until_rung", "load", "&state->stop", only_ends},
  {GQ_NO_ACQUIRE, "sleep_until_rung", "load", "&state->bell", no_data},
  {GQ_NO_ACQUIRE, "gq_wake", "add", "word", no_data},
  {GQ_NO_RELEASE, "gq_wake", "add", "word", no_data},
  {GQ_SPLIT, "gq_wake", "add", "word", rare_bell},
  {GQ_NO_ACQUIRE, "sleep_until_rung", "add", "&state->awake", parked_order},
  {GQ_NO_RELEASE, "sleep_until_rung", "add", "&state->awake", parked_order},
  {GQ_NO_ACQUIRE, "step_aside", "add", "&state->awake", parked_order},
  {GQ_NO_ACQUIRE, "step_back", "add", "&state->awake",
   "[T1] and the tags license what it reads next; a parked word that stays set costs bells only"},
  {GQ_NO_RELEASE, "step_back", "add", "&state->awake",
   "nobody is the last before this worker's next decrement, which releases all that it did"},
  {GQ_NO_ACQUIRE, "cpu_health", "load", "&state->crashed", "no handler crashes here [W2]"},
  {GQ_SPLIT, "sleep_until_rung", "add", "&state->parks", statistics},
  {GQ_SPLIT, "sleep_until_rung", "add", "&state->relaunches", statistics},
};

/** Why nobody notices \p mutation at \p e, or NULL. */
static const char *gq_excuse(const gq_edge *e, gq_mutation mutation)
{
  for (const excuse &x : excuses)
    if (x.mutation == mutation && !strcmp(x.function, e->function) && !strcmp(x.operation, e->operation) &&
        !strcmp(x.object, e->object))
      return x.why;
  return NULL;
}

#endif
