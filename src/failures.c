/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to what fails: it is told, counted and kept. */
#include "cli.h"
#include "dead_letters.h"
#include "run.h"
#include "stop.h"

#include <inttypes.h>

void report_failure(struct run *run, const struct failure *failure)
{
  atomic_fetch_add(&run->failed, 1);
  if (failure->name) complain_about(failure->name, "%s", failure->reason);
  else complain("message %" PRIu64 ": %s", failure->number, failure->reason);
  if (!run->dead_letters || dead_letters_add(run->dead_letters, failure)) return;
  stop_reading(); /* going on would lose messages; how it failed was said */
}

void report_device_lost(struct run *run, const char *doing)
{
  if (!atomic_exchange(&run->device_lost, true)) complain("cannot %s: %s", doing, gq_last_error());
  stop_reading();
}
