/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to what fails: it is told, counted and kept. */
#include "cli.h"
#include "dead_letters.h"
#include "run.h"
#include "stop.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void report_failure(struct run *run, const struct failure *failure)
{
  atomic_fetch_add(&run->failed, 1);
  if (failure->name) complain_about(failure->name, "%s", failure->reason);
  else complain("message %" PRIu64 ": %s", failure->number, failure->reason);
  if (!run->dead_letters || dead_letters_add(run->dead_letters, failure)) return;
  stop_reading(); /* going on would lose messages; how it failed was said */
}

void fail_message(struct run *run, uint64_t number, const char *name, gq_status status, const char *format, ...)
{
  char reason[512];
  struct failure failure = {.number = number, .name = name, .reason = reason, .status = status};
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  report_failure(run, &failure);
}

void fail_too_large(struct run *run, uint64_t number, const char *name, uint64_t size)
{
  fail_message(run, number, name, GQ_TOO_LARGE, "%" PRIu64 " bytes are more than --max-message-bytes %" PRIu64, size,
               run->settings->queue.max_message_bytes);
}

void report_device_lost(struct run *run, const char *doing)
{
  if (!atomic_exchange(&run->device_lost, true)) complain("cannot %s: %s", doing, gq_last_error());
  stop_reading();
}
