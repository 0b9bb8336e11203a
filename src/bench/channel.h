/* SPDX-License-Identifier: Apache-2.0 */
/** \file channel.h
 * What a program would pass messages between its threads with, if it had no gpuqueue: the baselines on the CPU. A
 * channel goes one way, from one thread to another, and carries messages of one size in order. */
#ifndef GPUQUEUE_BENCH_CHANNEL_H
#define GPUQUEUE_BENCH_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

struct channel {
  size_t size;          /**< of a message */
  size_t room;          /**< messages that it takes before the sender has to wait */
  /* between threads: a ring under a lock */
  struct ring *ring;
  /* through the kernel */
  int from, to;         /**< descriptors */
  unsigned char *buffer;
  size_t buffer_messages;
};

struct channel_kind {
  const char *name, *summary;

  /** \return false with errno set. */
  bool (*open)(struct channel *channel, size_t batch);

  /** Send \p count messages, which lie anywhere. May wait. \return false with errno set. */
  bool (*send)(struct channel *channel, const void *const *messages, size_t count);

  /** Receive up to \p count messages one after another; waits for the first. \return how many; 0 at the end of all
   * messages, or with errno set. */
  size_t (*receive)(struct channel *channel, void *messages, size_t count);

  /** The sender's last call: nothing will be sent any more. */
  void (*finish)(struct channel *channel);
  void (*close)(struct channel *channel);
};

/** Ends with a row whose name is NULL. */
extern const struct channel_kind channel_kinds[];

#endif
