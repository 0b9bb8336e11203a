/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "cli.h"
#include "timing.h"

#include <inttypes.h>
#include <stdio.h>

#define INTERVAL_NS ((int64_t)300 * 1000 * 1000)

void progress_init(struct progress *progress)
{
  progress->started_ns = progress->shown_ns = clock_ns();
  progress->shown_count = 0;
}

const char *progress_scaled(double value, char *text, size_t size)
{
  static const char *const suffixes[] = {"", "k", "M", "G", "T"};
  size_t i = 0;

  while (value >= 1000 && i < 4) {
    value /= 1000;
    i++;
  }
  snprintf(text, size, i ? "%.1f %s" : "%.0f %s", value, suffixes[i]);
  return text;
}

/** The time left if the rest goes like what was done; "" if that cannot be said. */
static const char *time_left(const struct progress *progress, int64_t now, struct run *run, char *text, size_t size)
{
  const uint64_t done = atomic_load(&run->input_done), total = run->input_total;
  double seconds;

  if (total == 0 || done == 0 || done > total) return "";
  seconds = (double)(now - progress->started_ns) / 1e9 * (double)(total - done) / (double)done;
  if (seconds < 100) snprintf(text, size, ", %.0f s left", seconds);
  else snprintf(text, size, ", %.0f min left", seconds / 60);
  return text;
}

void progress_show(struct progress *progress, uint64_t count, struct run *run)
{
  char line[256], rate[32], input[32], left[48];
  const int64_t now = clock_ns();
  const double seconds = (double)(now - progress->shown_ns) / 1e9;
  const uint64_t done = atomic_load(&run->input_done), failed = atomic_load(&run->failed);
  const bool files = run->settings->framing == FRAMING_FILES;

  if (now - progress->shown_ns < INTERVAL_NS) return;
  snprintf(line, sizeof line, "%" PRIu64 " messages, %s/s, %s%s read, %" PRIu64 " failed%s", count,
           progress_scaled((double)(count - progress->shown_count) / seconds, rate, sizeof rate),
           progress_scaled((double)done, input, sizeof input), files ? "files" : "B", failed,
           time_left(progress, now, run, left, sizeof left));
  show_status_line(line);
  progress->shown_ns = now;
  progress->shown_count = count;
}

void progress_end(void)
{
  show_status_line(NULL);
}
