/* SPDX-License-Identifier: Apache-2.0 */
/** \file crew.h
 * Threads that begin at the same moment, and none of them if one cannot be made. */
#ifndef GPUQUEUE_BENCH_CREW_H
#define GPUQUEUE_BENCH_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct bench;

struct hand {
  struct crew *crew;
  void (*work)(void *argument);
  void *argument;
  pthread_t thread;
};

struct crew {
  struct hand *hands;
  unsigned count, capacity;
  pthread_mutex_t lock;
  pthread_cond_t opened;
  enum { CREW_WAITS, CREW_GOES, CREW_LEAVES } gate;
};

void crew_init(struct crew *crew, unsigned capacity);

/** Add a thread that will run \p work. \return false after a complaint; the crew is then sent home by crew_end(). */
bool crew_add(struct bench *bench, struct crew *crew, void (*work)(void *), void *argument);

/** Let all begin. \return the time at which they did. */
int64_t crew_go(struct crew *crew);

/** Wait for all to end; those that never began leave. */
void crew_end(struct crew *crew);

#endif
