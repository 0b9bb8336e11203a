/* SPDX-License-Identifier: Apache-2.0 */
/* Points: what they are made of, how they compare with the baselines of the same scenario, and how they are printed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../progress.h"
#include "../stop.h"
#include "bench.h"

/* From here on a figure has a warning beside it. */
#define SPREAD_LIMIT 0.10
#define STOLEN_LIMIT 0.01
#define OTHERS_LIMIT 0.05

struct point *point_new(const char *scenario, const char *subject)
{
  struct point *point = allocate(sizeof *point);

  memset(point, 0, sizeof *point);
  point->scenario = scenario;
  point->subject = subject;
  return point;
}

static struct parameter *add_parameter(struct point *point, const char *name)
{
  struct parameter *parameter = &point->parameters[point->parameter_count];

  if (point->parameter_count == PARAMETERS_MAX) abort(); /* a scenario with more needs a larger PARAMETERS_MAX */
  point->parameter_count++;
  parameter->name = name;
  return parameter;
}

void point_number(struct point *point, const char *name, double number)
{
  add_parameter(point, name)->number = number;
}

void point_word(struct point *point, const char *name, const char *word)
{
  add_parameter(point, name)->word = word;
}

const struct parameter *point_parameter(const struct point *point, const char *name)
{
  size_t i;

  for (i = 0; i < point->parameter_count; i++)
    if (strcmp(point->parameters[i].name, name) == 0) return &point->parameters[i];
  return NULL;
}

const struct point *point_latest(const struct bench *bench)
{
  return bench->points[bench->point_count - 1];
}

void point_drop(struct point *point)
{
  free(point);
}

/* ---------------------------------------------------------------------------------------------------- ratios */

/** Whether \p baseline was measured with the parameters of \p point. What it has no parameter for does not matter. */
static bool compares(const struct point *baseline, const struct point *point)
{
  size_t i;

  if (!baseline->is_baseline || point->is_baseline || strcmp(baseline->scenario, point->scenario) != 0) return false;
  for (i = 0; i < baseline->parameter_count; i++) {
    const struct parameter *theirs = &baseline->parameters[i], *ours = point_parameter(point, theirs->name);

    if (!ours || !ours->word != !theirs->word) return false;
    if (theirs->word ? strcmp(theirs->word, ours->word) != 0 : theirs->number != ours->number) return false;
  }
  return true;
}

/** How many times better \p ours is; 0: cannot be said. */
static double times_better(const struct figures *ours, const struct figures *theirs)
{
  if (ours->p50_us > 0 && theirs->p50_us > 0) return theirs->p50_us / ours->p50_us;
  if (ours->messages_per_s > 0 && theirs->messages_per_s > 0) return ours->messages_per_s / theirs->messages_per_s;
  if (ours->bytes_in_per_s > 0 && theirs->bytes_in_per_s > 0) return ours->bytes_in_per_s / theirs->bytes_in_per_s;
  if (ours->bytes_out_per_s > 0 && theirs->bytes_out_per_s > 0) return ours->bytes_out_per_s / theirs->bytes_out_per_s;
  return 0;
}

static struct ratio ratio_to(const char *name, const struct figures *ours, const struct figures *theirs)
{
  char text[256];
  struct ratio ratio = {.baseline = name, .times = times_better(ours, theirs),
                        .noisy = *figures_warning(theirs, text, sizeof text) != '\0'};

  if (ours->p99_us <= 0 || theirs->p99_us <= 0) return ratio;
  ratio.times_p99 = theirs->p99_us / ours->p99_us;
  if (ours->messages_per_s > 0 && theirs->messages_per_s > 0)
    ratio.times_rate = ours->messages_per_s / theirs->messages_per_s;
  return ratio;
}

/** A baseline that was measured twice with the same parameters counts as it was the last time. */
static void add_ratio(struct point *point, const struct ratio *ratio)
{
  size_t i;

  for (i = 0; i < point->ratio_count && strcmp(point->ratios[i].baseline, ratio->baseline) != 0; i++) continue;
  if (i == RATIOS_MAX) return;
  point->ratios[i] = *ratio;
  if (i == point->ratio_count) point->ratio_count++;
}

static void add_ratios(const struct bench *bench, struct point *point)
{
  const struct point *beside = point->beside;
  size_t i;

  if (beside) point->ratios[point->ratio_count++] = ratio_to(point->beside_name, &point->figures, &beside->figures);
  for (i = 0; i < bench->point_count; i++) {
    const struct point *baseline = bench->points[i];
    const struct ratio ratio = ratio_to(baseline->subject, &point->figures, &baseline->figures);

    if (compares(baseline, point) && ratio.times > 0) add_ratio(point, &ratio);
  }
}

/* --------------------------------------------------------------------------------------------------- printing */

const char *short_number(double number, char *text, size_t size)
{
  static const char suffixes[] = "KMG";
  size_t i = 0;

  while (i < 3 && number >= 1024 && number == 1024.0 * (double)(uint64_t)(number / 1024)) {
    number /= 1024;
    i++;
  }
  if (i) snprintf(text, size, "%.0f%c", number, suffixes[i - 1]);
  else snprintf(text, size, number >= 1e6 ? "%.0f" : "%.6g", number);
  return text;
}

const char *figures_warning(const struct figures *figures, char *text, size_t size)
{
  size_t used = 0;

  *text = '\0';
  if (figures->spread_known && figures->spread > SPREAD_LIMIT)
    used += (size_t)snprintf(text, size, "! repeats differ by %.0f %%", 100 * figures->spread);
  if (used < size && figures->disturbance.stolen > STOLEN_LIMIT)
    used += (size_t)snprintf(text + used, size - used, "%s%.0f %% of the CPU time was stolen by the host",
                             used ? ", " : "! ", 100 * figures->disturbance.stolen);
  if (used < size && figures->disturbance.others > OTHERS_LIMIT)
    snprintf(text + used, size - used, "%sother processes used %.0f %% of the CPU time", used ? ", " : "! ",
             100 * figures->disturbance.others);
  return text;
}

/** Three digits or so; "-" for what was not measured. */
static const char *digits(double value, char *text, size_t size)
{
  if (value <= 0) snprintf(text, size, "-");
  else if (value < 0.001) snprintf(text, size, "%.1e", value);
  else if (value < 0.1) snprintf(text, size, "%.3f", value);
  else snprintf(text, size, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
  return text;
}

static void print_label(FILE *file, const struct point *point)
{
  char label[256], number[32];
  size_t used, i;

  used = (size_t)snprintf(label, sizeof label, "%s", point->subject);
  for (i = 0; i < point->parameter_count && used < sizeof label; i++) {
    const struct parameter *p = &point->parameters[i];

    used += (size_t)snprintf(label + used, sizeof label - used, " %s=%s", p->name,
                             p->word ? p->word : short_number(p->number, number, sizeof number));
  }
  fprintf(file, "  %-78s", label);
}

static void print_notes(FILE *file, const struct point *point)
{
  const struct figures *f = &point->figures;
  char text[64];
  size_t i;

  for (i = 0; i < point->ratio_count; i++) {
    fprintf(file, "%s%sx %s%s", i ? ", " : "  ", digits(point->ratios[i].times, text, sizeof text),
            point->ratios[i].baseline, point->ratios[i].noisy ? "!" : "");
    if (point->ratios[i].times_p99 > 0)
      fprintf(file, " (p99 %sx", digits(point->ratios[i].times_p99, text, sizeof text));
    if (point->ratios[i].times_rate > 0)
      fprintf(file, ", rate %sx", digits(point->ratios[i].times_rate, text, sizeof text));
    if (point->ratios[i].times_p99 > 0) fputc(')', file);
  }
  if (f->cpu_share_known) fprintf(file, "  CPU %.2f %% of a core", 100 * f->cpu_share);
  if (f->host_bytes) fprintf(file, "  host %.3g MiB", (double)f->host_bytes / (1 << 20));
  if (f->device_bytes) fprintf(file, "  device %.3g MiB", (double)f->device_bytes / (1 << 20));
}

static void print_point(struct bench *bench, const struct point *point)
{
  const struct figures *f = &point->figures;
  const double columns[] = {f->p50_us, f->p90_us, f->p99_us, f->p999_us, f->max_us};
  const double gigabytes[] = {f->bytes_in_per_s / 1e9, f->bytes_out_per_s / 1e9};
  char text[256];
  size_t i;

  print_label(bench->table, point);
  for (i = 0; i < 5; i++) fprintf(bench->table, " %8s", digits(columns[i], text, sizeof text));
  if (f->messages_per_s > 0) progress_scaled(f->messages_per_s, text, sizeof text);
  else snprintf(text, sizeof text, "-");
  fprintf(bench->table, " %10s", text);
  for (i = 0; i < 2; i++) fprintf(bench->table, " %8s", digits(gigabytes[i], text, sizeof text));
  print_notes(bench->table, point);
  if (*figures_warning(f, text, sizeof text)) fprintf(bench->table, "  %s", text);
  fputc('\n', bench->table);
  fflush(bench->table);
}

void points_print_head(struct bench *bench, const struct scenario *scenario)
{
  fprintf(bench->table, "\n%s: %s\n", scenario->name, scenario->summary);
  fprintf(bench->table, "  %-78s %8s %8s %8s %8s %8s %10s %8s %8s\n", "", "p50 us", "p90 us", "p99 us", "p99.9 us",
          "max us", "msg/s", "GB/s in", "GB/s out");
}

bool point_done(struct bench *bench, struct point *point)
{
  char text[256];

  if (stop_requested()) { /* it was cut short */
    point_drop(point);
    return false;
  }
  add_ratios(bench, point);
  bench->points = reallocate(bench->points, (bench->point_count + 1) * sizeof(struct point *));
  bench->points[bench->point_count++] = point;
  bench->noisy_count += *figures_warning(&point->figures, text, sizeof text) != '\0';
  print_point(bench, point);
  if (!ferror(bench->table)) return true;
  bench->reader_left = errno == EPIPE;
  if (bench->reader_left) return false;
  return bench_fail(bench, EXIT_SYSTEM, "the table cannot be written: %s", strerror(errno));
}
