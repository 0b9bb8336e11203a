/* SPDX-License-Identifier: Apache-2.0 */
#include "crew.h"

#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../timing.h"
#include "bench.h"

static void *hand_main(void *argument)
{
  struct hand *hand = argument;
  struct crew *crew = hand->crew;
  bool goes;

  pthread_mutex_lock(&crew->lock);
  while (crew->gate == CREW_WAITS) pthread_cond_wait(&crew->opened, &crew->lock);
  goes = crew->gate == CREW_GOES;
  pthread_mutex_unlock(&crew->lock);
  if (goes) hand->work(hand->argument);
  return NULL;
}

void crew_init(struct crew *crew, unsigned capacity)
{
  memset(crew, 0, sizeof *crew);
  crew->hands = allocate(capacity * sizeof *crew->hands);
  crew->capacity = capacity;
  pthread_mutex_init(&crew->lock, NULL);
  pthread_cond_init(&crew->opened, NULL);
}

bool crew_add(struct bench *bench, struct crew *crew, void (*work)(void *), void *argument)
{
  struct hand *hand = &crew->hands[crew->count];
  int error;

  *hand = (struct hand){.crew = crew, .work = work, .argument = argument};
  error = pthread_create(&hand->thread, NULL, hand_main, hand);
  if (error) return bench_fail(bench, EXIT_SYSTEM, "cannot start thread %u: %s", crew->count + 1, strerror(error));
  crew->count++;
  return true;
}

static void open_gate(struct crew *crew, int gate)
{
  pthread_mutex_lock(&crew->lock);
  crew->gate = gate;
  pthread_cond_broadcast(&crew->opened);
  pthread_mutex_unlock(&crew->lock);
}

int64_t crew_go(struct crew *crew)
{
  const int64_t now = clock_ns();

  open_gate(crew, CREW_GOES);
  return now;
}

void crew_end(struct crew *crew)
{
  unsigned i;

  if (crew->gate == CREW_WAITS) open_gate(crew, CREW_LEAVES);
  for (i = 0; i < crew->count; i++) pthread_join(crew->hands[i].thread, NULL);
  pthread_cond_destroy(&crew->opened);
  pthread_mutex_destroy(&crew->lock);
  free(crew->hands);
}
