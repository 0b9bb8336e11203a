/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU backend (cpu.c), its workers (cpu_work.c) and what they do with a message (cpu_run.c) share. */
#ifndef GQ_CPU_H
#define GQ_CPU_H
#include "backend.h"
#include "guard.h"
#include "ring.h"

#ifndef GQ_MODEL             /* the model checker takes small ones */
#define FETCH 16u            /* messages fetched in one turn, at most; */
#define FETCH_SHORT 64u      /* if they are short and many more wait, these */
#define TOGETHER 8u          /* of these, how many plain ones are run before their results are posted */
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
  gq_guarded *guarded;       /* what the guard knows of this thread */
  fetched batch[FETCH_SHORT];
  uint8_t replies[TOGETHER][528] __attribute__((aligned(16)));
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

/** What became of a message. */
typedef struct gq_outcome {
  uint32_t status, attempts, size;
  int32_t code;
  const uint8_t *result;
} gq_outcome;

static inline void gq_bump(uint64_t *counter, uint64_t by)
{
  __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

/** Run the handler on a message. \return its outcome; GQ_DEVICE_LOST if the handler crashed: the worker must end. */
gq_outcome gq_cpu_run(worker *w, const fetched *f, const gq_job *job);

/** Post its outcome. Whoever sleeps is left asleep. */
void gq_cpu_complete(worker *w, const fetched *f, const gq_job *job, const gq_outcome *o);

/** Of \p n messages of one lane, run and post those at the front that are plain (inline, without a key or a slot for
 * the result) if the handler is short: some or all. \return how many; 0: the first is to be run alone, or the handler
 * crashed on it. */
uint32_t gq_cpu_run_plain(worker *w, const fetched *first, uint32_t n);

/** A worker's thread: consume until the backend stops. \param argument  a worker */
void *gq_cpu_work(void *argument);

#endif
