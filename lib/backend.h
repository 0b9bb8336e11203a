/* SPDX-License-Identifier: Apache-2.0 */
/* What a queue asks of its backend, and the shape in which it hands its lanes over. A backend knows lanes and limits,
 * no queue. */
#ifndef GQ_BACKEND_H
#define GQ_BACKEND_H
#include "handlers.h"
#include "lane.h"
#include "supplies.h"
#include "suspects.h"

/** Everything a backend needs to consume a queue's lanes. Owned by the queue, constant while the backend runs. */
typedef struct gq_consumption {
  gq_lane *lanes;
  uint32_t lane_count;
  gq_limits limits;
  const gq_handler *handler;
  gq_supplies supplies;      /* of the handler; the CPU backend uses them where they are */
  uint32_t scope;            /* a gq_scope, never auto */
  uint32_t is_short;         /* the handler takes little time for a message that fits a cell */
  uint32_t widens;           /* thread scope by the handler's choice, and it can run a large message with a warp */
  uint32_t sms, workers, park_us, stall_ms, guard;
  int32_t device;
} gq_consumption;

/** Counters that the consumer keeps. */
typedef struct gq_consumed {
  uint64_t taken, finished;            /* messages begun, ended */
  uint64_t completed, failed, cancelled, retried;
  uint64_t parks, relaunches;
  uint64_t host_bytes, device_bytes;   /* besides the lanes */
} gq_consumed;

typedef struct gq_backend_state gq_backend_state;

typedef struct gq_backend_ops {
  /** Check that it can run, before any lane exists. \return GQ_OK, or why not with the text set. */
  gq_status (*check)(const gq_consumption *c);
  /** Run the handler's init and start consuming. \param text  out: what runs, for gq_describe()
   * \return GQ_OK, or why not with the text set. GQ_FAILED: its init gave a code. GQ_DEVICE_LOST, GQ_TIMEOUT (its init
   * did not return): somebody may still use the lanes and supplies, and they must be left behind. */
  gq_status (*start)(gq_backend_state **state, const gq_consumption *c, char *text, size_t text_size);
  /** A lane whose parked word is set has got a message. Any thread. */
  gq_status (*kick)(gq_backend_state *state);
  /** Is the consumer well? Called now and then by threads that wait. \return GQ_OK or GQ_DEVICE_LOST. Any thread. */
  gq_status (*health)(gq_backend_state *state);
  /** After health() has said GQ_DEVICE_LOST, once: the messages that may have brought it about. */
  void (*suspect)(gq_backend_state *state, gq_suspects *suspects);
  void (*count)(gq_backend_state *state, gq_consumed *counters);
  /** End it. Messages not begun stay where they are. \return GQ_OK; GQ_DEVICE_LOST if it did not stop in time, and
   * then the lanes must not be unmapped. */
  gq_status (*stop)(gq_backend_state *state);
} gq_backend_ops;

extern const gq_backend_ops gq_cpu_backend, gq_cuda_backend;

/** pthread_create(), with all signals blocked in the new thread but those of faults: they are the application's. */
int gq_start_thread(pthread_t *thread, void *(*run)(void *), void *argument);

/** Time for stamps, in ns of CLOCK_MONOTONIC. */
uint64_t gq_now(void);

/** Sleep while \p word is \p seen, for up to \p ns. The word may be shared between processes. */
void gq_sleep_on(gq_a32 *word, uint32_t seen, uint64_t ns);
/** Count \p word up and wake up to \p threads that sleep on it. */
void gq_wake(gq_a32 *word, int threads);

void gq_wake_all(gq_sleeping *at);
/** Wake those who sleep there, if somebody does. Cheap: one load, unless somebody has gone to sleep since the last time. */
static inline void gq_wake_sleepers(gq_sleeping *at)
{
  if (gq_ld32(&at->wanted, GQ_RELAXED, GQ_SYS)) gq_wake_all(at);
}

#endif
