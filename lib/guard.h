/* SPDX-License-Identifier: Apache-2.0 */
/* The guard of the CPU backend: a handler that crashes is left behind where it is, and the process lives. It needs
 * signal handlers, which are the application's business, so it is an option (`guard`), and off unless asked for. */
#ifndef GQ_GUARD_H
#define GQ_GUARD_H
#include <stdbool.h>
#include <stddef.h>

#include "handlers.h"

#define GQ_GUARD_STACK_BYTES 65536u

/** How a handler crashed. */
typedef struct gq_crash {
  int signal;
  const void *address;  /* with SIGSEGV and SIGBUS: what it touched; else where it was */
  bool is_stack;        /* it ran out of stack */
} gq_crash;

/** Install the guard's signal handlers, in front of what is there; counted, so each call needs a gq_guard_remove().
 * With AddressSanitizer in the process nothing is installed: its report says more, and it wants to end the process. */
void gq_guard_install(void);
/** Put back what was there before, unless somebody has put another handler over the guard's since. */
void gq_guard_remove(void);

/** What the signal handlers know of a thread. */
typedef struct gq_guarded {
  struct gq_guard_place *back;             /* where gq_guard_run() was called; NULL outside its body */
  struct gq_guard_place *volatile running; /* the same while a handler runs, else NULL; a signal handler reads it */
  const uint8_t *stack_end;
} gq_guarded;

/** In a thread that is going to call gq_guard_run(). \param stack  GQ_GUARD_STACK_BYTES for the signal handler, which
 * cannot use the thread's own when that has run over; lives until the thread ends
 * \return for gq_guard_run(); lives as long. NULL: nothing is guarded, as there is no memory or a sanitizer */
gq_guarded *gq_guard_enter(void *stack);

/** Run \p body, which calls handlers by gq_guard_call(): one place to come back to serves as many as it calls. Not to be
 * called in a body.
 * \return true if it came to its end, or false with how a handler crashed, in which case it was left at that call. */
bool gq_guard_run(gq_guarded *thread, void (*body)(void *argument), void *argument, gq_crash *crash);

/** Call a handler, in a body; outside one it is not guarded. Faults of anything else in a body are not the guard's. */
static inline int32_t gq_guard_call(gq_guarded *thread, gq_handler_function *function, const gq_msg *msg,
                                    gq_reply *reply, const gq_context *context)
{
  int32_t code;

  if (!thread) return function(msg, reply, context);
  thread->running = thread->back;
  code = function(msg, reply, context);
  thread->running = NULL;
  return code;
}

/** "it crashed (SIGSEGV at address 0x8)", or that its stack ran over. */
void gq_crash_say(const gq_crash *crash, char *text, size_t size);

#endif
