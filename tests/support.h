/* SPDX-License-Identifier: Apache-2.0 */
/** \file support.h
 * What the unit tests and the stress tests share: the backends to run on, reproducible payloads, time, and a
 * watchdog that turns a hang into a failure. It knows nothing of the Check library. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gpuqueue/gpuqueue.h>

#define SUPPORT_MILLISECOND INT64_C(1000000)
#define SUPPORT_SECOND INT64_C(1000000000)
/** A wait that no sound run reaches, so that a lost wake-up is an error and not a hang. */
#define SUPPORT_LONG (20 * SUPPORT_SECOND)

/* ------------------------------------------------------------------------------------------------ environment */

/** What a run may use. Read from GPUQUEUE_TEST_BACKENDS ("cpu cuda" unless set) and GPUQUEUE_TEST_REQUIRE;
 * GPUQUEUE_TEST_CHECKER, set to anything, says that the run is under a checker such as compute-sanitizer. */
typedef struct support_backend {
  const char *name;        /**< as the option `backend` spells it */
  gq_backend value;
  bool wanted, required;   /**< named by GPUQUEUE_TEST_BACKENDS, by GPUQUEUE_TEST_REQUIRE */
  bool usable;
  char reason[512];        /**< if not usable, why */
} support_backend;

#define SUPPORT_BACKENDS 2

/** Read the environment, then clear every GPUQUEUE_ variable, so that nobody's settings change what is tested.
 * Ends the process with status 2 on a backend that does not exist: a typing error must not pass as a skip. */
void support_read_environment(support_backend backends[SUPPORT_BACKENDS]);

/** Backend \p name, or NULL. */
support_backend *support_find_backend(support_backend backends[SUPPORT_BACKENDS], const char *name);

/** \p count made smaller where a checker makes every step slow. Never 0. */
size_t support_scaled(size_t count);

/** True in a build with a sanitizer, or under a checker: memory limits and leak counts then mean something else. */
bool support_is_instrumented(void);
bool support_is_valgrind(void);
/** True under the checker that GPUQUEUE_TEST_CHECKER tells of: it has descriptors and threads of its own. */
bool support_is_checked(void);

/* --------------------------------------------------------------------------------------------------- payloads */

/** Mix three numbers into one that looks random; the same in every run. */
uint64_t support_mix(uint64_t a, uint64_t b, uint64_t c);

/** A small reproducible generator. */
typedef struct support_random { uint64_t state; } support_random;
uint64_t support_next(support_random *random);
/** From 0 to \p bound - 1; \p bound is not 0. */
uint64_t support_below(support_random *random, uint64_t bound);

/** Fill \p data with the bytes that \p seed stands for. */
void support_fill(void *data, size_t size, uint64_t seed);

/** \return where \p data first differs from what support_fill() writes, or \p size if it does not. */
size_t support_compare(const void *data, size_t size, uint64_t seed);

/* ------------------------------------------------------------------------------------------------------- time */

int64_t support_now_ns(void);
void support_sleep_us(uint64_t us);

/* --------------------------------------------------------------------------------------------------- watchdog */

/** End the process with status 1 and a dump if watchdog_stop() is not called within \p seconds (made longer under
 * a checker). \p what is kept, not copied. */
void watchdog_start(const char *what, unsigned seconds);
void watchdog_stop(void);

/** Include \p queue in the dump until watchdog_forget(), which must come before gq_shutdown(). */
void watchdog_watch(gq_queue *queue, const char *name);
void watchdog_forget(gq_queue *queue);

/** Write the counters of \p queue to standard error. */
void support_dump_stats(gq_queue *queue, const char *name);

/** How many entries the directory \p path has, such as /proc/self/fd: for leaks. */
size_t support_count_entries(const char *path);

#endif
