/* SPDX-License-Identifier: Apache-2.0 */
/* The queue front: what is behind a gq_queue handle. */
#ifndef GQ_QUEUE_H
#define GQ_QUEUE_H
#include <pthread.h>
#include <stdbool.h>

#include "backend.h"
#include "lane.h"

/* Counters are striped by thread, so that counting costs no shared cache line. The first threads of the process have a
 * stripe each, for good, and add to it without a locked instruction; those that come later share the other stripes. */
#define GQ_OWN_STRIPES 32u
#define GQ_STRIPES (GQ_OWN_STRIPES + 16u)
enum gq_counter { GQ_BYTES_IN, GQ_BYTES_OUT, GQ_REJECTED_FULL, GQ_RESULTS_TAKEN, GQ_COUNTERS };
typedef struct gq_stripe { GQ_LINE uint64_t count[GQ_COUNTERS]; } gq_stripe;

/* A histogram of times, 8 buckets a power of two: 12.5 % resolution. */
#define GQ_BUCKETS 512u
typedef struct gq_histogram { uint64_t count[GQ_BUCKETS], max; } gq_histogram;
enum gq_stage { GQ_STAGE_WAIT, GQ_STAGE_HANDLER, GQ_STAGE_DELIVER, GQ_STAGE_TOTAL, GQ_STAGES };

typedef struct gq_loaded gq_loaded; /* loader.h */

/** A queue: its lanes, its backend and what all handles share. */
typedef struct gq_core {
  gq_consumption consumption;
  gq_loaded *loaded;          /* the handler */
  gq_lane *lanes;
  gq_queue *handles;          /* one a lane, in the order of the lanes */
  uint32_t lane_count;
  const gq_backend_ops *backend;
  gq_backend_state *state;
  gq_backend running;
  int64_t default_timeout_ns;
  uint32_t closed;            /* atomic: no new messages; gq_close() or gq_shutdown() was called */
  uint32_t ended;             /* atomic: unfinished messages have been given up; waits are over */
  uint32_t lost;              /* atomic: the device is gone */
  uint64_t health_asked;      /* atomic: when a call that did not wait last asked for the backend's health */
  pthread_mutex_t lock;       /* opening and closing lanes, the event thread, the reason of a loss */
  char lost_text[768];
  gq_suspects suspects;       /* set before `lost` */
  char text[1024];
  gq_stripe stripes[GQ_STRIPES];
  gq_histogram stages[GQ_STAGES];
} gq_core;

typedef struct gq_watch gq_watch;

struct gq_queue {
  gq_core *core;
  gq_lane *lane;
  bool open;
  bool given_up;              /* its handle was ended while messages were unfinished: free once they are done */
  gq_watch *watch;            /* the thread behind gq_event_fd(), if it was asked for */
};

/** 1 more than the number of this thread's stripe; 0 if it has none yet: gq_stripe_number(). */
extern _Thread_local uint32_t gq_my_stripe __attribute__((visibility("hidden")));
uint32_t gq_stripe_number(void);

/** Add to a counter of gq_stats(). */
static inline void gq_count(gq_core *core, enum gq_counter which, uint64_t by)
{
  const uint32_t number = gq_my_stripe ? gq_my_stripe - 1 : gq_stripe_number();
  uint64_t *counter = &core->stripes[number].count[which];

  if (number < GQ_OWN_STRIPES)
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
  else
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/** Record the stages of a sampled message that has just been taken. */
void gq_record_stages(gq_core *core, const gq_lane *lane, uint64_t position);

/** A wait under way. */
typedef struct gq_waiting {
  uint64_t begin, deadline; /* ns of gq_now(); deadline UINT64_MAX: none */
  uint64_t checked;         /* when the backend's health was last asked for */
  uint32_t turns;
  uint32_t seen;            /* `woken` when it last asked for a wake-up */
  bool spinning, counted, announced;
} gq_waiting;

void gq_wait_begin(gq_waiting *w, const gq_core *core, int64_t timeout_ns);

/** What ends a wait before its time: that new messages are refused; that unfinished ones have been given up; nothing. */
enum gq_until { GQ_UNTIL_CLOSED, GQ_UNTIL_ENDED, GQ_THROUGH_END };

/** Let some time pass: a pause at first, then ever longer sleeps of up to 1 ms that a completion, or room, may cut short.
 * \return GQ_OK: look again; GQ_TIMEOUT, GQ_SHUT_DOWN, GQ_DEVICE_LOST. */
gq_status gq_wait_turn(gq_waiting *w, gq_core *core, gq_lane *lane, enum gq_until until);
/** The last thing that the waiting call does with the queue: gq_shutdown() frees it once no call waits. */
void gq_wait_end(gq_waiting *w, gq_lane *lane);

/** A call found nothing, or no room, and will not wait: now and then, look whether the consumer is well.
 * \return GQ_OK or GQ_DEVICE_LOST. */
gq_status gq_check_now_and_then(gq_core *core);

/** The lanes say that the consumer is parked: see to it that it looks at them. */
void gq_kick_consumer(gq_core *core);

/** After publishing: wake the consumer if it is parked. */
static inline void gq_wake_consumer(gq_core *core, gq_lane *lane)
{
  /* [P1] the cell is published before the parked word is read; the consumer sets the word before it looks at the
   * cells for the last time. One of the two sees the other (Dekker). */
  gq_fence_sys();
  if (gq_ld32(&lane->head->parked, GQ_RELAXED, GQ_SYS)) gq_kick_consumer(core);
  if (gq_ld32(&lane->head->watched, GQ_RELAXED, GQ_SYS)) gq_wake_all(&lane->head->for_results);
}

gq_status gq_core_lost(gq_core *core);
/** Ask the backend whether the consumer is well; remember it if not. */
gq_status gq_check_health(gq_core *core);

/** Whether the queue or this lane of it takes no new messages. */
static inline bool gq_is_closed(const gq_core *core, const gq_lane *lane)
{
  return __atomic_load_n(&core->closed, __ATOMIC_ACQUIRE) || __atomic_load_n(&lane->closed, __ATOMIC_ACQUIRE);
}

/** GQ_INVALID for NULL, GQ_SHUT_DOWN or GQ_DEVICE_LOST, with the text set. */
gq_status gq_why_unusable(const gq_queue *queue);

/** GQ_OK, or why the handle cannot be used. */
static inline gq_status gq_handle_usable(const gq_queue *queue)
{
  if (queue && !__atomic_load_n(&queue->core->lost, __ATOMIC_ACQUIRE) && !gq_is_closed(queue->core, queue->lane))
    return GQ_OK;
  return gq_why_unusable(queue);
}

/** Wait until every message that the lane has now has finished. */
gq_status gq_lane_drain(gq_core *core, gq_lane *lane, int64_t timeout_ns, enum gq_until until);

gq_status gq_watch_start(gq_queue *queue, int *fd);
void gq_watch_stop(gq_watch *watch);

/** Get the handler ready for the backend that was chosen, with its arguments and state; with `auto`, for the CPU where it
 * cannot be had for the GPU. May be called again for another backend. The handler has been found.
 * \param why_not  in and out: why not on the GPU, "" if it is */
gq_status gq_prepare_handler(gq_core *core, const gq_options *o, char *why_not, size_t size);

/** Add to the queue's description where its handler comes from. */
void gq_describe_handler(gq_core *core);

#endif
