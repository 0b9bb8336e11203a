/* SPDX-License-Identifier: Apache-2.0 */
/* All figures for machines: one JSON object. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "../cli.h"
#include "../json.h"
#include "bench.h"

/** The version of this format: members may be added to it, none is taken away. */
enum { FORMAT = 1 };

static void member(FILE *file, const char *name, const char *value)
{
  fprintf(file, ",\"%s\":", name);
  json_string(file, value);
}

static void print_machine(FILE *file, const struct bench *bench)
{
  const struct machine *m = &bench->machine;

  fprintf(file, ",\n\"machine\":{\"cores\":%u", m->cores);
  member(file, "cpu", m->cpu);
  member(file, "kernel", m->kernel);
  member(file, "governor", m->governor);
  member(file, "vendor", m->vendor);
  fprintf(file, ",\"cpu_mhz\":%.0f,\"memory_bytes\":%" PRIu64 ",\"available_bytes\":%" PRIu64, m->cpu_mhz,
          m->memory_bytes, m->available_bytes);
  member(file, "gpu", m->gpu);
  fprintf(file, ",\"gpu_sms\":%" PRId32 ",\"gpu_memory_bytes\":%" PRIu64 ",\"cuda_version\":%" PRId32, m->gpu_sms,
          m->gpu_memory_bytes, m->cuda_version);
  member(file, "gpu_clocks", m->gpu_clocks);
  member(file, "driver", m->driver);
  fprintf(file, "},\n\"build\":{\"version\":");
  json_string(file, gq_version());
  member(file, "compiler", m->compiler);
  member(file, "flags", m->flags);
  member(file, "gpu_code", m->gpu_code);
  fprintf(file, "}");
}

/** A list that was given; one that was not is the scenarios' own. */
static void print_list(FILE *file, const char *name, const struct list *list)
{
  size_t i;

  if (!list->count) return;
  fprintf(file, ",\"%s\":", name);
  for (i = 0; i < list->count; i++) fprintf(file, "%c%" PRIu64, i ? ',' : '[', list->values[i]);
  fputc(']', file);
}

static void print_words(FILE *file, const char *name, const char *const *words, size_t count)
{
  size_t i;

  fprintf(file, ",\"%s\":[", name);
  for (i = 0; i < count; i++) {
    if (i) fputc(',', file);
    json_string(file, words[i]);
  }
  fputc(']', file);
}

/** What was said by the user; the rest each scenario chooses. */
static void print_options(FILE *file, const struct bench *bench)
{
  const struct bench_settings *s = &bench->settings;
  const gq_option_info *row;
  size_t i, printed = 0;

  fprintf(file, ",\n\"options\":{\"seconds\":%g,\"quick\":%s,\"repeats\":%d,\"handler\":", s->seconds,
          s->quick ? "true" : "false", (int)REPEATS);
  json_string(file, s->queue.handler);
  print_words(file, "args", s->args, s->arg_count);
  print_words(file, "scenarios", (const char *const *)s->scenarios, s->scenario_count);
  print_list(file, "payload", &s->payloads);
  print_list(file, "threads", &s->threads);
  print_list(file, "batch", &s->batches);
  print_list(file, "lanes", &s->lanes);
  print_list(file, "rate", &s->rates);
  print_list(file, "keys", &s->keys);
  fprintf(file, ",\"given\":{");
  for (i = 0; (row = gq_option_describe(i)) != NULL; i++) {
    if (!bench_is_given(s, row->name)) continue;
    if (printed++) fputc(',', file);
    json_string(file, row->name);
    fputc(':', file);
    json_string(file, bench_given(s, row->name));
  }
  fprintf(file, "}}");
}

/** A percentile, or null if there are too few samples for it. */
static void print_percentile(FILE *file, const char *name, double us)
{
  if (us > 0) fprintf(file, ",\"%s\":%.3f", name, us);
  else fprintf(file, ",\"%s\":null", name);
}

static void print_figures(FILE *file, const struct figures *f)
{
  char text[256];

  fprintf(file, "\"messages\":%" PRIu64 ",\"messages_per_s\":%.6g,\"bytes_in_per_s\":%.6g,\"bytes_out_per_s\":%.6g",
          f->messages, f->messages_per_s, f->bytes_in_per_s, f->bytes_out_per_s);
  if (f->p50_us > 0) {
    fprintf(file, ",\"latency_us\":{\"samples\":%" PRIu64, f->samples);
    print_percentile(file, "p50", f->p50_us);
    print_percentile(file, "p90", f->p90_us);
    print_percentile(file, "p99", f->p99_us);
    print_percentile(file, "p99.9", f->p999_us);
    print_percentile(file, "max", f->max_us);
    fputc('}', file);
  }
  if (f->spread_known) fprintf(file, ",\"spread\":%.4f", f->spread);
  if (f->disturbance.known)
    fprintf(file, ",\"stolen\":%.4f,\"others\":%.4f", f->disturbance.stolen, f->disturbance.others);
  if (f->host_bytes)
    fprintf(file, ",\"host_bytes\":%" PRIu64 ",\"device_bytes\":%" PRIu64, f->host_bytes, f->device_bytes);
  if (f->cpu_share_known) fprintf(file, ",\"cpu_share\":%.6f", f->cpu_share);
  if (*figures_warning(f, text, sizeof text)) member(file, "warning", text);
}

static void print_point(FILE *file, const struct point *point)
{
  size_t i;

  fprintf(file, "{\"scenario\":");
  json_string(file, point->scenario);
  member(file, "subject", point->subject);
  fprintf(file, ",\"baseline\":%s,\"raw_limit\":%s,\"parameters\":{", point->is_baseline ? "true" : "false",
          point->is_raw_limit ? "true" : "false");
  for (i = 0; i < point->parameter_count; i++) {
    const struct parameter *p = &point->parameters[i];

    if (i) fputc(',', file);
    json_string(file, p->name);
    fputc(':', file);
    if (p->word) json_string(file, p->word);
    else fprintf(file, "%.17g", p->number);
  }
  fprintf(file, "},");
  if (point->has_queue)
    fprintf(file, "\"queue\":{\"lanes\":%" PRIu32 ",\"capacity\":%" PRIu32 ",\"cell_bytes\":%" PRIu32
            ",\"max_message_bytes\":%" PRIu64 ",\"arena_bytes\":%" PRIu64 "},", point->queue.lanes,
            point->queue.capacity, point->queue.cell_bytes, point->queue.max_message_bytes, point->queue.arena_bytes);
  print_figures(file, &point->figures);
  fprintf(file, ",\"times_better\":{");
  for (i = 0; i < point->ratio_count; i++) {
    const struct ratio *ratio = &point->ratios[i];

    if (i) fputc(',', file);
    json_string(file, ratio->baseline);
    fprintf(file, ":{\"times\":%.5g", ratio->times);
    if (ratio->times_p99 > 0) fprintf(file, ",\"p99\":%.5g", ratio->times_p99);
    if (ratio->times_rate > 0) fprintf(file, ",\"rate\":%.5g", ratio->times_rate);
    if (ratio->noisy) fputs(",\"noisy\":true", file);
    fputc('}', file);
  }
  fprintf(file, "}}");
}

static bool can_write(struct bench *bench, const char *name, const char *what)
{
  struct stat status;
  FILE *file;

  if (!name || strcmp(name, "-") == 0) return true;
  if (stat(name, &status) == 0 && S_ISFIFO(status.st_mode)) return true; /* it can be opened once, and that may wait */
  file = fopen(name, "ae"); /* to append: what is there already stays until there is something better */
  if (!file) return bench_fail(bench, EXIT_SYSTEM, "%s: cannot write %s: %s", name, what, strerror(errno));
  fclose(file);
  return true;
}

bool report_check(struct bench *bench)
{
  return can_write(bench, bench->settings.json, "JSON") && can_write(bench, bench->settings.plot, "charts");
}

static void print_baselines(FILE *file, const struct bench *bench)
{
  const char *name, *summary;
  size_t i;

  fprintf(file, ",\n\"baselines\":{");
  for (i = 0; bench_baseline(bench, i, &name, &summary); i++) {
    if (i) fputc(',', file);
    json_string(file, name);
    fputc(':', file);
    json_string(file, summary);
  }
  fputc('}', file);
}

bool report_json(struct bench *bench, bool complete)
{
  const char *name = bench->settings.json;
  struct tm began;
  char date[32];
  FILE *file;
  size_t i;
  bool written;

  if (!name) return true;
  file = strcmp(name, "-") == 0 ? stdout : fopen(name, "we");
  if (!file) return bench_fail(bench, EXIT_SYSTEM, "%s: cannot write JSON: %s", name, strerror(errno));
  gmtime_r(&bench->began, &began);
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &began);
  fprintf(file, "{\"format\":%d,\"complete\":%s,\"date\":\"%s\",\"backend\":", FORMAT, complete ? "true" : "false",
          date);
  json_string(file, bench->backend_text);
  print_machine(file, bench);
  print_options(file, bench);
  print_baselines(file, bench);
  fprintf(file, ",\n\"clock\":{\"reading_ns\":%.1f,\"lost_share\":%.5f,\"longest_gap_us\":%.1f},\n\"points\":[\n",
          bench->stillness.clock_ns, bench->stillness.lost_share, bench->stillness.longest_gap_us);
  for (i = 0; i < bench->point_count; i++) {
    if (i) fputs(",\n", file);
    print_point(file, bench->points[i]);
  }
  fputs("\n]}\n", file);
  written = fflush(file) == 0 && !ferror(file);
  if (file != stdout && fclose(file) != 0) written = false;
  return written ? true : bench_fail(bench, EXIT_SYSTEM, "%s: cannot write JSON: %s", name, strerror(errno));
}
