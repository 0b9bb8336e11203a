/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the harnesses, then each of them with one place of the source weakened at a time, which has to be noticed.
 *   model             the check itself and the mutations; exit status 0 if all is as it should be
 *   model -l          the check itself and what the mutations came to, one by one
 *   model NAME [N]    N rounds of one harness, with relacy's account of a failure */
#include "harnesses.h"
#include "expected.h"

#include <ostream>

struct harness {
  const char *name;
  bool (*run)(rl::test_params &);
  unsigned rounds, mutated_rounds;
  bool stalls;
};

static const harness harnesses[] = {
  {"by_id_full_ring", rl::simulate<by_id_full_ring>, 5000, 1000, false},
  {"by_id_part_of_ring", rl::simulate<by_id_part_of_ring>, 5000, 1000, false},
  {"slots", rl::simulate<slots_test<false>>, 5000, 1000, false},
  {"slots_polled", rl::simulate<slots_test<true>>, 5000, 1000, false},
  {"poll_unordered", rl::simulate<poll_unordered>, 5000, 1000, false},
  {"poll_two_workers", rl::simulate<poll_two_workers>, 5000, 3000, false},
  {"poll_rarely", rl::simulate<poll_rarely>, 12000, 2000, true},
  {"poll_short", rl::simulate<poll_short>, 5000, 3000, false},
  {"poll_rarely_short", rl::simulate<poll_rarely_short>, 12000, 2000, true},
  {"poll_ordered", rl::simulate<poll_ordered>, 5000, 2000, false},
  {"poll_ordered_rarely", rl::simulate<poll_ordered_rarely>, 12000, 2000, true},
  {"poll_part_of_ring", rl::simulate<poll_part_of_ring>, 5000, 2000, false},
  {"ids_come_later", rl::simulate<ids_come_later>, 10000, 5000, false},
  {"ids_come_later_ordered", rl::simulate<ids_come_later_ordered>, 10000, 5000, false},
  {"two_pollers_ordered", rl::simulate<two_pollers<true>>, 5000, 3000, false},
  {"two_pollers_unordered", rl::simulate<two_pollers<false>>, 5000, 3000, false},
  {"resident_ring", rl::simulate<ring_test>, 10000, 3000, false},
  {"keys", rl::simulate<keys_test<false>>, 10000, 10000, false},
  {"keys_stalling", rl::simulate<keys_test<false>>, 8000, 1000, true},
  {"keys_polled", rl::simulate<keys_test<true>>, 10000, 10000, false},
  {"park_one_worker", rl::simulate<park_test<1, 1, 3>>, 5000, 1000, false},
  {"park_two_workers", rl::simulate<park_test<1, 2, 3>>, 5000, 3000, false},
  {"park_two_clients", rl::simulate<park_test<2, 1, 4>>, 5000, 5000, true},
  {"park_two_of_each", rl::simulate<park_test<2, 2, 4>>, 10000, 10000, true},
  {"park_one_cell", rl::simulate<park_test<1, 2, 4, 0, true>>, 10000, 3000, true},
  {"busy_one_of_two", rl::simulate<busy_test<1, 1, 2>>, 10000, 10000, true},
  {"busy_two_of_three", rl::simulate<busy_test<2, 2, 2>>, 10000, 3000, true},
};

static bool passes(const harness &h, unsigned rounds, bool tell, rl::test_params *result)
{
  std::ostream quiet(NULL); /* no string stream: relacy owns what is allocated while it runs */
  rl::test_params p;

  p.search_type = rl::sched_random;
  p.iteration_count = rounds;
  p.execution_depth_limit = 30000;
  p.output_stream = p.progress_stream = tell ? &std::cout : &quiet;
  p.progress_output_period = 1000000;
  p.collect_history = p.output_history = tell;
  memset(gq_edges.used, 0, sizeof gq_edges.used);
  gq_edges.stalls = h.stalls;
  const bool ok = h.run(p);
  *result = p;
  return ok;
}

/* ------------------------------------------------------------------------------------------------- mutations */

static bool noticed[GQ_MOST_EDGES][GQ_MUTATIONS], tried[GQ_MOST_EDGES][GQ_MUTATIONS];

static void print_edge(int i, gq_mutation m)
{
  const gq_edge *e = &gq_edges.edge[i];

  printf("%s: %s, %s %s\n", e->function, gq_mutation_names[m], e->operation, e->object);
}

/* Weaken every place that \p h came by, one at a time, unless another harness has noticed it. */
static void mutate(const harness &h, bool list)
{
  const int count = gq_edges.count;
  bool used[GQ_MOST_EDGES];
  rl::test_params result;

  memcpy(used, gq_edges.used, sizeof used);
  for (int i = 0; i < count; i++) {
    for (int m = 0; m < GQ_MUTATIONS; m++) {
      const gq_mutation mutation = (gq_mutation)m;

      if (!used[i] || noticed[i][m] || !gq_edge_can(&gq_edges.edge[i], mutation)) continue;
      tried[i][m] = true;
      if (gq_excuse(&gq_edges.edge[i], mutation)) continue;
      gq_edges.mutated = i, gq_edges.mutation = mutation;
      noticed[i][m] = !passes(h, h.mutated_rounds, false, &result);
      gq_edges.mutated = -1;
      if (!list || !noticed[i][m]) continue;
      printf("  %s in round %u: ", rl::test_result_str(result.test_result), (unsigned)result.stop_iteration);
      print_edge(i, mutation);
    }
  }
}

/* A completion order of N entries, which lost messages once. \return 1 if that goes unnoticed. */
static int mutate_endings(bool list)
{
  rl::test_params result;

  gq_model_short_endings = true;
  for (const harness &h : harnesses) {
    if (strcmp(h.name, "poll_rarely") || passes(h, h.rounds, false, &result)) continue;
    if (list) printf("  %s in round %u: ", rl::test_result_str(result.test_result), (unsigned)result.stop_iteration);
    if (list) printf("a completion order of N entries\n");
    gq_model_short_endings = false;
    return 0;
  }
  gq_model_short_endings = false;
  printf("UNNOTICED: a completion order of N entries\n");
  return 1;
}

static int sum_up(bool list)
{
  unsigned seen = 0, excused = 0;
  int bad = 0;

  for (int i = 0; i < gq_edges.count; i++) {
    for (int m = 0; m < GQ_MUTATIONS; m++) {
      const char *why = gq_excuse(&gq_edges.edge[i], (gq_mutation)m);

      if (!tried[i][m]) continue;
      if (noticed[i][m]) {
        seen++;
      } else if (why) {
        excused++;
        if (list) printf("  excused (%s): ", why), print_edge(i, (gq_mutation)m);
      } else {
        bad = 1;
        printf("UNNOTICED: ");
        print_edge(i, (gq_mutation)m);
      }
    }
  }
  printf("model: %u weakenings noticed, %u excused (tests/model/expected.h)\n", seen, excused);
  return bad;
}

int main(int argc, char **argv)
{
  const bool list = argc > 1 && !strcmp(argv[1], "-l"), one = argc > 1 && !list;
  rl::test_params result;
  bool found = false;
  int bad = 0;

  setvbuf(stdout, NULL, _IOLBF, 0);
  for (const harness &h : harnesses) {
    if (one && strcmp(argv[1], h.name)) continue;
    const unsigned rounds = one && argc > 2 ? (unsigned)atoi(argv[2]) : h.rounds;
    found = true;
    if (!passes(h, rounds, false, &result)) {
      printf("FAILED: %s in round %u: %s\n", h.name, (unsigned)result.stop_iteration,
             rl::test_result_str(result.test_result));
      if (one) passes(h, rounds, true, &result);
      bad = 1;
      continue;
    }
    printf("ok: %s, %u rounds\n", h.name, rounds);
    if (!one) mutate(h, list);
  }
  if (!found) return fprintf(stderr, "model: no harness is called %s\n", argv[1]), 2;
  if (one) return bad;
  bad |= mutate_endings(list);
  return sum_up(list) || bad;
}
