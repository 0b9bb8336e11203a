/* SPDX-License-Identifier: Apache-2.0 */
/** \file suite.h
 * The frame of a unit test program: one body of tests, run on every backend that GPUQUEUE_TEST_BACKENDS names. A
 * backend that cannot run is skipped with its reason, or fails the program if GPUQUEUE_TEST_REQUIRE names it.
 *
 * Tests run in this process, one after another, each under a watchdog: a CUDA context does not survive fork().
 * A test is chosen with CK_RUN_CASE=name. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include "support.h"

/** A test and its name. */
typedef struct suite_test {
  const char *name;
  const TTest **test;  /**< what START_TEST() declared */
  bool once;           /**< needs no backend: run once and not for each */
} suite_test;

#define SUITE_TEST(function) { #function, &function, false }
#define SUITE_TEST_ONCE(function) { #function, &function, true }
#define SUITE_COUNT(array) (sizeof(array) / sizeof *(array))

/** Run \p tests and say what ran. \return what main() returns: 0; 1 if a test failed; 77 if nothing could run. */
int suite_main(const char *program, const suite_test *tests, size_t count);

/** The backend under test; NULL in a test that needs none. */
const support_backend *suite_backend(void);
bool suite_on_cuda(void);

/** Default options with the backend under test and \p handler. */
gq_options suite_options(const char *handler);

/** Whether \p handler opens without arguments and without a state. */
bool suite_opens_bare(const gq_handler_info *handler);
/** Open a queue, or fail the test. It is ended after the test, at the latest. */
gq_queue *suite_open(const gq_options *options);
/** Open a lane of \p queue, which is a first handle, or fail the test. */
gq_queue *suite_open_lane(gq_queue *queue);
/** gq_shutdown() with time enough, expecting GQ_OK. */
void suite_close(gq_queue *queue);
/** gq_shutdown() with \p timeout_ns. */
gq_status suite_shutdown(gq_queue *queue, int64_t timeout_ns);

/* ------------------------------------------------------------------------------------------ in the test itself */

/** Fail the test unless \p call gives \p expected. */
#define assert_status(call, expected) suite_assert_status(#call, (call), (expected), __FILE__, __LINE__)
void suite_assert_status(const char *call, gq_status got, gq_status expected, const char *file, int line);

/** Fail the test unless the thread's last error mentions \p part. */
#define assert_error_says(part) suite_assert_error_says(part, __FILE__, __LINE__)
void suite_assert_error_says(const char *part, const char *file, int line);

/** Enqueue \p size bytes with nothing special; \return the id. Fails the test if that takes long. */
uint64_t suite_enqueue(gq_queue *queue, const void *data, size_t size);
/** Enqueue the \p size bytes that support_fill() makes of \p seed. */
uint64_t suite_enqueue_pattern(gq_queue *queue, size_t size, uint64_t seed);
/** Enqueue a message for `test_sleep` that runs for \p us microseconds. */
uint64_t suite_enqueue_sleep(gq_queue *queue, uint32_t us, uint64_t key, uint64_t tag);
/** Enqueue a message for `test_fail` that returns \p code in its first \p failures attempts; SUITE_RETRY: GQ_RETRY. */
#define SUITE_RETRY 255
uint64_t suite_enqueue_fail(gq_queue *queue, uint8_t code, uint8_t failures, uint64_t key, uint64_t tag);
/** Wait for the result of \p id and compare it with what suite_enqueue_pattern() sent. */
void suite_take_pattern(gq_queue *queue, uint64_t id, size_t size, uint64_t seed);
/** Wait for the end of \p id, whatever its result. */
gq_status suite_take(gq_queue *queue, uint64_t id);
/** Counters, or fail the test. */
gq_statistics suite_stats(gq_queue *queue);

/* ---------------------------------------------------------------------------------------------------- threads */

/** Start a thread that suite_join() waits for. A thread must not use ck_assert: see suite_blame(). */
void suite_start(void *(*body)(void *), void *argument);
/** Wait for all threads and fail the test if one of them blamed something. */
void suite_join(void);

/** In a thread: note a failure; the first one is reported. */
void suite_blame(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool suite_is_blamed(void);
/** In a thread: true if \p call gave \p expected, else the failure is noted. */
#define thread_status(call, expected) suite_thread_status(#call, (call), (expected), __LINE__)
bool suite_thread_status(const char *call, gq_status got, gq_status expected, int line);

#endif
