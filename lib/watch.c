/* SPDX-License-Identifier: Apache-2.0 */
/* The thread behind gq_event_fd(): the device cannot write to a file descriptor, so somebody on the host has to look.
 * It looks only while messages are unfinished, and sleeps otherwise until one is enqueued. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "error.h"
#include "queue.h"

#define SHORTEST_NS 5000u
#define LONGEST_NS 1000000u
#define IDLE_NS 100000000u

struct gq_watch {
  gq_core *core;
  gq_lane *lane;
  pthread_t thread;
  int fd;
  uint32_t stop; /* atomic */
};

static bool is_readable(int fd)
{
  struct pollfd p = {fd, POLLIN, 0};

  return poll(&p, 1, 0) == 1;
}

static void signal_reader(int fd)
{
  const uint64_t one = 1;

  while (write(fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

/* Nothing is unfinished: sleep until an enqueue says otherwise. */
static void sleep_idle(gq_watch *w)
{
  gq_lane_head *head = w->lane->head;
  const uint32_t seen = gq_ld32(&head->for_results.woken, GQ_ACQUIRE, GQ_SYS);

  gq_st32(&head->watched, 1, GQ_RELAXED, GQ_SYS);
  gq_fence_sys(); /* [P1] as in gq_wake_consumer(): the flag before the last look */
  if (!gq_lane_is_unfinished(w->lane) && !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE))
    gq_sleep_on(&head->for_results.woken, seen, IDLE_NS);
  gq_st32(&head->watched, 0, GQ_RELAXED, GQ_SYS);
}

static void *watch(void *argument)
{
  gq_watch *w = argument;
  gq_sleeping *at = &w->lane->head->for_results;
  uint64_t nap = SHORTEST_NS;

  while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
    const uint32_t seen = gq_ld32(&at->woken, GQ_ACQUIRE, GQ_SYS);

    gq_st32(&at->wanted, 1, GQ_RELAXED, GQ_SYS); /* as a wait does: see gq_wait_turn() */
    gq_fence_sys();
    if (gq_lane_is_ready(w->lane)) {
      if (!is_readable(w->fd)) {
        signal_reader(w->fd);
        nap = SHORTEST_NS;
      }
    } else if (!gq_lane_is_unfinished(w->lane)) {
      sleep_idle(w);
      nap = SHORTEST_NS;
      continue;
    }
    if (gq_check_now_and_then(w->core) != GQ_OK && !is_readable(w->fd)) signal_reader(w->fd); /* let it find out */
    gq_sleep_on(&at->woken, seen, nap);
    nap = nap * 3 / 2 < LONGEST_NS ? nap * 3 / 2 : LONGEST_NS;
  }
  return NULL;
}

gq_status gq_watch_start(gq_queue *queue, int *fd)
{
  gq_core *core = queue->core;
  gq_status status = gq_handle_usable(queue);
  gq_watch *w = NULL;
  int error;

  if (status != GQ_OK) return status;
  pthread_mutex_lock(&core->lock);
  if (!queue->watch) {
    w = calloc(1, sizeof *w);
    if (!w) {
      status = gq_fail(GQ_NO_MEMORY, "no memory for an event file descriptor");
      goto unlock;
    }
    w->core = core;
    w->lane = queue->lane;
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd < 0) {
      status = gq_fail(GQ_SYSTEM, "eventfd: %s", strerror(errno));
      goto free_watch;
    }
    error = gq_start_thread(&w->thread, watch, w);
    if (error) {
      status = gq_fail(GQ_SYSTEM, "a thread for the event file descriptor: %s", strerror(error));
      goto close_fd;
    }
    queue->watch = w;
  }
  *fd = queue->watch->fd;
  goto unlock;
close_fd:
  close(w->fd);
free_watch:
  free(w);
unlock:
  pthread_mutex_unlock(&core->lock);
  return status;
}

void gq_watch_stop(gq_watch *w)
{
  if (!w) return;
  __atomic_store_n(&w->stop, 1, __ATOMIC_RELEASE);
  gq_wake_all(&w->lane->head->for_results);
  pthread_join(w->thread, NULL);
  close(w->fd);
  free(w);
}
