/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_STACK_BYTES (1u << 20) /* a fault this far below a thread's stack is taken for one of the stack */

static const struct { int number; const char *name; } faults[] = {
  {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"},
};
#define FAULTS (sizeof faults / sizeof *faults)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned installed;                /* under `lock` */
static struct sigaction before[FAULTS];   /* written when there is no guard yet */

typedef struct gq_guard_place {
  sigjmp_buf environment;
  volatile gq_crash *crash;
} place;

/* A worker thread's gq_guarded is found by a key, which glibc and musl look up without allocating. A thread-local variable
 * may be allocated when it is first touched, here in the midst of malloc(); to have it allocated beforehand makes the
 * library one that Python cannot load at run time. */
static pthread_key_t guarded_key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool has_key;

static void make_key(void)
{
  has_key = pthread_key_create(&guarded_key, free) == 0;
}

static gq_guarded *this_thread(void)
{
  return has_key ? pthread_getspecific(guarded_key) : NULL;
}

extern void __asan_init(void) __attribute__((weak));

static bool is_sanitized(void)
{
  return __asan_init != NULL;
}

/* What would have happened without the guard. */
static void pass_on(int number, siginfo_t *info, void *context, const struct sigaction *next)
{
  const bool was_sent = info->si_code <= 0; /* by kill() or the like, and not brought about by what the thread does */

  if (next->sa_flags & SA_SIGINFO) {
    next->sa_sigaction(number, info, context);
    return;
  }
  if (next->sa_handler != SIG_DFL && next->sa_handler != SIG_IGN) {
    next->sa_handler(number);
    return;
  }
  if (was_sent && next->sa_handler == SIG_IGN) return;
  signal(number, SIG_DFL);
  if (was_sent) raise(number); /* else it happens again as soon as this returns */
}

static void on_fault(int number, siginfo_t *info, void *context)
{
  gq_guarded *thread = this_thread();
  place *at = thread ? thread->running : NULL;
  size_t i = 0;

  if (at && info->si_code > 0) {
    const uint8_t *address = info->si_addr;

    thread->running = NULL;
    at->crash->signal = number;
    at->crash->address = address;
    at->crash->is_stack = number == SIGSEGV && address < thread->stack_end &&
                          address + NEAR_STACK_BYTES > thread->stack_end;
    siglongjmp(at->environment, 1);
  }
  while (faults[i].number != number) i++;
  pass_on(number, info, context, &before[i]);
}

void gq_guard_install(void)
{
  struct sigaction action;

  if (is_sanitized()) return;
  pthread_once(&key_once, make_key);
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  /* Nothing is blocked while it runs, so that it can be left by a jump that restores no mask. */
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  pthread_mutex_lock(&lock);
  if (installed++ == 0)
    for (size_t i = 0; i < FAULTS; i++) {
      sigaction(faults[i].number, NULL, &before[i]); /* known before the first fault can need it */
      sigaction(faults[i].number, &action, NULL);
    }
  pthread_mutex_unlock(&lock);
}

void gq_guard_remove(void)
{
  if (is_sanitized()) return;
  pthread_mutex_lock(&lock);
  if (--installed == 0)
    for (size_t i = 0; i < FAULTS; i++) {
      struct sigaction now;

      if (sigaction(faults[i].number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)
        sigaction(faults[i].number, &before[i], NULL);
    }
  pthread_mutex_unlock(&lock);
}

gq_guarded *gq_guard_enter(void *stack)
{
  const stack_t alternative = {.ss_sp = stack, .ss_size = GQ_GUARD_STACK_BYTES};
  gq_guarded *thread = has_key ? calloc(1, sizeof *thread) : NULL;
  pthread_attr_t attributes;
  stack_t given;
  size_t size;
  void *low;

  /* A sanitizer gives every thread such a stack, and wants to find it again. */
  if (sigaltstack(NULL, &given) == 0 && (given.ss_flags & SS_DISABLE)) sigaltstack(&alternative, NULL);
  if (!thread) return NULL;
  if (pthread_setspecific(guarded_key, thread) != 0) {
    free(thread);
    return NULL;
  }
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return thread;
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) thread->stack_end = (const uint8_t *)low + 4096;
  pthread_attr_destroy(&attributes);
  return thread;
}

bool gq_guard_run(gq_guarded *thread, void (*body)(void *argument), void *argument, gq_crash *crash)
{
  place here;

  here.crash = crash;
  if (!thread) {
    body(argument);
    return true;
  }
  if (sigsetjmp(here.environment, 0)) {
    thread->back = NULL;
    return false;
  }
  thread->back = &here;
  body(argument);
  thread->back = NULL;
  return true;
}

void gq_crash_say(const gq_crash *crash, char *text, size_t size)
{
  const char *name = "a signal";

  for (size_t i = 0; i < FAULTS; i++)
    if (faults[i].number == crash->signal) name = faults[i].name;
  if (crash->is_stack) snprintf(text, size, "its stack ran over (%s at address %p)", name, crash->address);
  else snprintf(text, size, "it crashed (%s at address %p)", name, crash->address);
}
