/* SPDX-License-Identifier: Apache-2.0 */
/** \file shipped.h
 * What the tests of the handlers that ship have in common: messages are sent through a queue, many at a time, and
 * each result is compared with what a reference made of the same message. */
#ifndef TESTS_SHIPPED_H
#define TESTS_SHIPPED_H

#include "suite.h"

#define SHIPPED_UNDER_WAY 64

/** A queue, and what is expected of the messages that are under way. */
typedef struct shipped {
  gq_queue *queue;
  size_t begun, ended;
  struct shipped_message {
    uint64_t id;
    size_t size;              /**< of the message, to be told */
    unsigned char *expected;  /**< the result */
    size_t expected_bytes;
    int32_t code;             /**< not 0: the message fails with it */
  } messages[SHIPPED_UNDER_WAY];
} shipped;

/** Open a queue with \p handler in \p scope (a gq_scope) and \p args, NULL-terminated or NULL, or fail the test. */
void shipped_open(shipped *test, const char *handler, uint32_t scope, const char *const *args);
/** The same with options of the caller's. */
void shipped_open_with(shipped *test, const gq_options *options);
/** Check what is under way, and end the queue. */
void shipped_close(shipped *test);

/** Send a message whose result is \p expected. What was sent SHIPPED_UNDER_WAY messages ago is checked now. */
void shipped_send(shipped *test, const void *data, size_t size, const void *expected, size_t expected_bytes);
/** Send one whose result is a text. */
void shipped_send_text(shipped *test, const void *data, size_t size, const char *expected);
/** Send one that fails with \p code. */
void shipped_send_bad(shipped *test, const void *data, size_t size, int32_t code);
/** Check everything that is under way. */
void shipped_check(shipped *test);

/** Send one and wait for its result, of up to \p capacity bytes. \return its size. */
size_t shipped_call(shipped *test, const void *data, size_t size, void *result, size_t capacity);

/** Expect that the handler refuses what \p options give it: its init function fails with \p code. */
void shipped_refuses(const gq_options *options, int32_t code);
/** The same with one argument. */
void shipped_refuses_argument(const char *handler, const char *argument, int32_t code);

#endif
