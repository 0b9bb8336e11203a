/* SPDX-License-Identifier: Apache-2.0 */
/* `gpuqueue bench`: finds out what it runs on, lets the scenarios measure, and reports. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../stop.h"
#include "bench.h"
#include "channel.h"
#include "peers.h"
#include "session.h"
#include "watchdog.h"

/* What a point may take beside its measuring: a context, a handler that is compiled, 64 MiB messages on the way. */
#define MARGIN_S 120
#define STILLNESS_S 0.2

bool bench_fail(struct bench *bench, int status, const char *format, ...)
{
  char text[1024];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (bench->status == EXIT_FINE) complain("bench: %s", text);
  if (bench->status == EXIT_FINE) bench->status = status;
  return false;
}

void bench_expect(const struct bench *bench, const char *what, double seconds)
{
  (void)bench;
  watchdog_expect(what, 4 * seconds + MARGIN_S);
}

struct list bench_list(const struct bench *bench, const struct list *given, const uint64_t *otherwise, size_t count,
                       const uint64_t *quickly, size_t quick_count)
{
  struct list list;

  if (given->count) return *given;
  list.count = bench->settings.quick ? quick_count : count;
  memcpy(list.values, bench->settings.quick ? quickly : otherwise, list.count * sizeof *list.values);
  return list;
}

bool bench_baseline(const struct bench *bench, size_t index, const char **name, const char **summary)
{
  if (bench->backend == GQ_BACKEND_CUDA) return cuda_peers_describe(index, name, summary);
  *name = channel_kinds[index].name;
  *summary = channel_kinds[index].summary;
  return *name != NULL;
}

static void print_list(void)
{
  const struct scenario *row;

  for (row = scenarios; row->name; row++) printf("%-12s %s\n", row->name, row->summary);
}

/** Open a queue once: to see that the options are right, and what runs. */
static bool look_around(struct bench *bench)
{
  struct session session;

  bench_expect(bench, "opening a queue", 0);
  if (!session_start(bench, &session, 64, 1, 4096)) return false;
  snprintf(bench->backend_text, sizeof bench->backend_text, "%s", gq_describe(session.lanes[0]));
  bench->backend = gq_running_backend(session.lanes[0]);
  session_close(&session);
  machine_describe(&bench->machine, bench->backend == GQ_BACKEND_CUDA ? (int)bench->settings.queue.device : -1);
  stillness_measure(&bench->stillness, STILLNESS_S);
  return true;
}

static void print_surroundings(struct bench *bench)
{
  const struct machine *m = &bench->machine;
  const char *name, *summary;
  FILE *file = bench->table;
  size_t i;

  fprintf(file, "gpuqueue %s, compiled by %s%s%s\n", gq_version(), m->compiler, *m->flags ? " with " : "", m->flags);
  fprintf(file, "runs on %s\n", bench->backend_text);
  fprintf(file, "machine: %s, %u cores, %.1f GiB, %s%s%s\n", m->cpu, m->cores,
          (double)m->memory_bytes / (1 << 30), m->kernel, *m->vendor ? ", " : "", m->vendor);
  if (*m->gpu) fprintf(file, "GPU: %s, %d SMs%s%s\n", m->gpu, m->gpu_sms, *m->gpu_clocks ? ", " : "", m->gpu_clocks);
  if (*m->driver) fprintf(file, "driver: %s\n", m->driver);
  fprintf(file, "clock: %.0f ns a reading; a thread that only reads it lost %.2f %% of its time, %.0f us at most\n",
          bench->stillness.clock_ns, 100 * bench->stillness.lost_share, bench->stillness.longest_gap_us);
  if (bench->stillness.lost_share > 0.01)
    fputs("! this machine is not still: figures will vary, the highest latencies most\n", file);
  for (i = 0; bench_baseline(bench, i, &name, &summary); i++) fprintf(file, "baseline %s: %s\n", name, summary);
  fprintf(file, "each point: %.3g s, in %d parts; x: times better than a baseline (below 1: worse; with !: than one "
          "that has a warning)\n", bench->settings.seconds, (int)REPEATS);
}

static bool is_wanted(const struct bench_settings *settings, const char *name)
{
  size_t i;

  for (i = 0; i < settings->scenario_count; i++)
    if (strcmp(settings->scenarios[i], name) == 0) return true;
  return settings->scenario_count == 0;
}

/** \return whether all scenarios came to their end. */
static bool run_scenarios(struct bench *bench)
{
  const struct scenario *row;

  for (row = scenarios; row->name; row++) {
    if (!is_wanted(&bench->settings, row->name)) continue;
    points_print_head(bench, row);
    if (!row->run(bench) || stop_requested()) return false;
  }
  return true;
}

static void print_end(struct bench *bench, bool complete)
{
  if (bench->noisy_count)
    fprintf(bench->table, "\n! %zu of %zu points have a warning beside them: they are not to be quoted\n",
            bench->noisy_count, bench->point_count);
  if (!complete && stop_signal())
    complain("bench: stopped by %s after %zu points", stop_signal() == SIGINT ? "SIGINT" : "SIGTERM",
             bench->point_count);
}

static int run_bench(struct bench *bench)
{
  bool complete;

  if (!report_check(bench)) return bench->status;
  if (!stop_prepare()) return EXIT_SYSTEM;
  bench->began = time(NULL);
  if (!look_around(bench)) return bench->status;
  print_surroundings(bench);
  complete = run_scenarios(bench);
  print_end(bench, complete);
  bench_expect(bench, "writing the report", 0);
  report_json(bench, complete);
  report_plot(bench);
  watchdog_rest();
  return bench->status;
}

static bool is_standard_output(const char *name)
{
  return name && strcmp(name, "-") == 0;
}

int bench_command(int argc, char **argv)
{
  struct bench bench;
  size_t i;

  memset(&bench, 0, sizeof bench);
  bench.status = bench_settings_parse(&bench.settings, argc, argv);
  if (bench.status != BENCH_READY) goto free_settings;
  bench.status = EXIT_FINE;
  bench.table = is_standard_output(bench.settings.json) || is_standard_output(bench.settings.plot) ? stderr : stdout;
  if (bench.settings.list) print_list();
  else bench.status = run_bench(&bench);
  for (i = 0; i < bench.point_count; i++) free(bench.points[i]);
  free(bench.points);

free_settings:
  bench_settings_free(&bench.settings);
  fflush(stdout);
  if (bench.reader_left) stop_die_of(SIGPIPE); /* as who reads no signals would */
  if (stop_signal()) stop_die_of(stop_signal());
  return bench.status;
}
