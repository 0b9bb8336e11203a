/* SPDX-License-Identifier: Apache-2.0 */
/** \file stress.h
 * The body of the stress tests: producers and consumers on one queue until the time is over, every byte verified,
 * every message ended once. A mode is a plan and a main() that hands it over.
 *
 *     stress_NAME [--backend cpu|cuda] [--seconds N] [--seed N]
 *
 * Without --backend it runs on those that GPUQUEUE_TEST_BACKENDS names, without --seconds for GPUQUEUE_TEST_SECONDS
 * (1 unless set) on each. Exit status 0; 1 on a wrong result or a hang; 2 on usage; 77 if no backend could run. */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include "traffic.h"

typedef struct stress_plan {
  const char *name;
  traffic_kind kind;
  uint32_t capacity, cell_bytes, lanes;
  uint64_t arena_bytes;
  uint32_t workers;                /* of the CPU backend; 0: its default */
  uint32_t park_us;                /* 0: the default */
  bool ordered;                    /* with one producer and one poller per lane */
  unsigned producers;              /* producer i uses lane i modulo lanes */
  unsigned takers;                 /* consumers by id, in any order, on any handle */
  unsigned pollers;                /* consumers in completion order; poller i uses lane i modulo lanes */
  unsigned drainers;               /* threads that call gq_drain() all the while */
  unsigned batch;                  /* most messages of one gq_enqueue_batch(); 0: no batches */
  unsigned reserve_percent;        /* messages written in place */
  unsigned abort_percent;          /* of those, given back and reserved anew */
  unsigned cancel_percent;
  unsigned burst;                  /* a pause of 0 to pause_us after that many messages of a producer; 0: none */
  uint32_t pause_us;
} stress_plan;

/** Run \p plan as the command line says. \return the exit status. */
int stress_main(int argc, char **argv, const stress_plan *plan);

/** What the command line says, for stress tests with a body of their own. */
typedef struct stress_arguments {
  uint64_t seed;
  double seconds;
} stress_arguments;

/** A body: \return NULL, or what went wrong; \p text is for the result line. */
typedef const char *stress_body(const void *plan, gq_backend backend, const stress_arguments *arguments, char *text,
                                size_t text_size);

/** Run \p body on each backend. \return the exit status. */
int stress_run(int argc, char **argv, const char *name, stress_body *body, const void *plan);

#endif
