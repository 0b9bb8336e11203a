/* SPDX-License-Identifier: Apache-2.0 */
/** \file stop.h
 * How a run is ended before its input: by a signal, which lets what was enqueued finish, or by an error, after
 * which nothing more is wanted. */
#ifndef GPUQUEUE_STOP_H
#define GPUQUEUE_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** From now on SIGINT and SIGTERM stop the reading of input; a second one ends the process at once. Signals that
 * the parent had set to be ignored stay ignored. SIGPIPE becomes an error of write(). \return false after a
 * complaint. */
bool stop_prepare(void);

/** Stop the reader, which forgets what it has not yet enqueued: the signal's work, or that of a part that cannot
 * go on. Any thread. */
void stop_reading(void);

bool stop_requested(void);

/** The signal that asked for the stop, or 0. */
int stop_signal(void);

/** End the process as \p signal would have, so that a shell sees the usual status. Returns only if the signal
 * is ignored or blocked. */
void stop_die_of(int signal);

/** The result of stoppable_read() when the stop came first. */
#define READ_STOPPED ((ssize_t)-2)

/** read() that gives way to a stop.
 * \param may_block  false for a regular file, which needs no poll() first
 * \return as read(), or READ_STOPPED. */
ssize_t stoppable_read(int fd, bool may_block, void *to, size_t size);

#endif
