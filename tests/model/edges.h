/* SPDX-License-Identifier: Apache-2.0 */
/* The places of the source at which a memory order, a read-modify-write or a fence matters, found as they run, and the
 * mutation of one of them. relacy replaces operator new, hence the plain arrays. */
#ifndef GQ_MODEL_EDGES_H
#define GQ_MODEL_EDGES_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#define errno (*__errno_location())

#define GQ_MOST_EDGES 256

/** What a mutation does at its place. */
enum gq_mutation {
  GQ_NO_ACQUIRE,  /* the acquire half of the order is dropped */
  GQ_NO_RELEASE,  /* the release half is dropped */
  GQ_SPLIT,       /* a read-modify-write becomes two accesses; a cell's unit arrives in two pieces */
  GQ_NO_FENCE,
  GQ_MUTATIONS
};
static const char *const gq_mutation_names[GQ_MUTATIONS] = {"no acquire", "no release", "in two steps", "no fence"};

struct gq_edge {
  const char *function, *operation, *object;
  int order;
};

static struct {
  gq_edge edge[GQ_MOST_EDGES];
  bool used[GQ_MOST_EDGES]; /* by the harness that runs */
  int count;
  int mutated;              /* index, or -1 */
  gq_mutation mutation;
  bool stalls;              /* threads stop now and then for a long time */
} gq_edges = {{}, {}, 0, -1, GQ_NO_ACQUIRE, false};

/* relacy's random scheduler picks threads evenly, so that none is ever left behind for long. This one is. */
static void gq_edge_stall(void)
{
  if (gq_edges.stalls && rl::rand(300) == 0)
    for (int i = 0; i < 300; i++) rl::yield(1, $);
}

static int gq_edge_find(const char *function, const char *operation, const char *object, int order)
{
  for (int i = 0; i < gq_edges.count; i++) {
    const gq_edge *e = &gq_edges.edge[i];

    if (e->order == order && !strcmp(e->function, function) && !strcmp(e->operation, operation) &&
        !strcmp(e->object, object)) {
      gq_edges.used[i] = true;
      return i;
    }
  }
  if (gq_edges.count == GQ_MOST_EDGES) abort();
  gq_edges.edge[gq_edges.count] = {function, operation, object, order};
  gq_edges.used[gq_edges.count] = true;
  return gq_edges.count++;
}

/** The order to use now: the source's, or a weakened one. */
struct gq_edge_use {
  rl::memory_order order;
  bool split;

  operator rl::memory_order() const { return order; }
};

static gq_edge_use gq_edge_order(const char *function, const char *operation, const char *object, int order)
{
  const int i = gq_edge_find(function, operation, object, order);

  gq_edge_stall();
  bool acquire = order == 2 || order == 4, release = order == 3 || order == 4, split = false;

  if (i == gq_edges.mutated) {
    if (gq_edges.mutation == GQ_NO_ACQUIRE) acquire = false;
    if (gq_edges.mutation == GQ_NO_RELEASE) release = false;
    split = gq_edges.mutation == GQ_SPLIT;
  }
  return {acquire && release ? rl::mo_acq_rel : acquire ? rl::mo_acquire : release ? rl::mo_release : rl::mo_relaxed,
          split};
}

static bool gq_edge_is_dropped(const char *function, const char *operation, const char *object)
{
  return gq_edge_find(function, operation, object, 0) == gq_edges.mutated && gq_edges.mutation == GQ_NO_FENCE;
}

/** Whether \p mutation means something at \p e. */
static bool gq_edge_can(const gq_edge *e, gq_mutation mutation)
{
  const bool is_rmw = !strcmp(e->operation, "cas") || !strcmp(e->operation, "add") || !strcmp(e->operation, "exchange");
  const bool is_unit = !strcmp(e->operation, "store") && !strcmp(e->function, "gq_word_put");

  switch (mutation) {
  case GQ_NO_ACQUIRE: return e->order == 2 || e->order == 4;
  case GQ_NO_RELEASE: return e->order == 3 || e->order == 4;
  case GQ_SPLIT: return is_rmw || is_unit;
  case GQ_NO_FENCE: return !strcmp(e->operation, "fence");
  default: return false;
  }
}

#endif
