/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU backend (cpu.c) and its workers (cpu_work.c) share. */
#ifndef GQ_CPU_H
#define GQ_CPU_H
#include "backend.h"
#include "guard.h"
#include "ring.h"

#ifndef GQ_MODEL             /* the model checker takes small ones */
#define FETCH 16u            /* messages fetched in one turn */
#define RING_LOG2 10u
#endif

/* A message off a lane. The payload is aligned as handlers are promised. */
typedef struct fetched {
  uint64_t position;
  uint32_t lane;
  gq_cell_view view;
  uint8_t payload[528] __attribute__((aligned(16)));
} fetched;

typedef struct source {
  GQ_LINE gq_a32 turn;       /* 1 while a worker fetches */
  gq_a64 next;               /* the position to fetch next; written by whoever has the turn */
  GQ_LINE gq_a64 ended;      /* entries of the completion order given out */
  gq_key_word *keys;         /* by ring index: see gq_key_start() */
} source;

typedef struct worker {
  GQ_LINE gq_backend_state *state;
  pthread_t thread;
  gq_consumed counters;      /* written by this worker, read by gq_stats() */
  gq_a64 busy_id;            /* what it runs, 0: nothing */
  gq_sighting sighting;      /* under `watching` */
  gq_crash crash;            /* how its handler crashed: see `crashed` */
  uint8_t *guard_stack;      /* NULL without the guard */
  fetched batch[FETCH];
  uint8_t reply[528] __attribute__((aligned(16)));
  gq_context context;        /* what its messages run in */
} worker;

struct gq_backend_state {
  const gq_consumption *c;
  worker *workers;
  uint32_t worker_count, started;
  source *sources;
  uint8_t *scratch;          /* scratch and fast memory of all workers, one after another */
  uint64_t scratch_bytes;
  gq_ring_counts *ring;
  gq_unit *ring_cells, *ring_origins;
  uint8_t *guard_stacks;     /* NULL without the guard */
  gq_a32 *ring_free;
  int32_t init_code;         /* what the handler's init gave */
  GQ_LINE gq_a32 bell;       /* sleeping workers wait here */
  gq_a32 stop;
  gq_a32 watching;           /* 1 while a thread looks at the workers */
  gq_a32 crashed;            /* the first worker whose handler has crashed, plus one */
  GQ_LINE gq_a32 awake;
  gq_a64 parks, relaunches;
};

/** A worker's thread: consume until the backend stops. \param argument  a worker */
void *gq_cpu_work(void *argument);

#endif
