/* SPDX-License-Identifier: Apache-2.0 */
/* Charts of the points, by a table of what is drawn over what. */
#include <errno.h>
#include <string.h>

#include "../cli.h"
#include "bench.h"
#include "chart.h"

enum metric { P50, P99, P999, RATE, BYTES_IN, HOST_MEMORY, DEVICE_MEMORY, METRICS };

static const char *const metric_names[METRICS] = {"p50", "p99", "p99.9", "", "", "host", "device"};

static double metric_of(const struct figures *f, enum metric metric)
{
  switch (metric) {
  case P50: return f->p50_us;
  case P99: return f->p99_us;
  case P999: return f->p999_us;
  case RATE: return f->messages_per_s;
  case BYTES_IN: return f->bytes_in_per_s / 1e9;
  case HOST_MEMORY: return (double)f->host_bytes / (1 << 20);
  default: return (double)f->device_bytes / (1 << 20);
  }
}

enum { BY_MAX = 3, METRICS_MAX = 3, FIXED_MAX = 2 };

/** A chart: \ref metrics of the points of \ref scenario over its parameter \ref x. Points that differ in one of the
 * parameters \ref by are in series of their own; of the parameters \ref fixed, only the value of a queue's
 * first point counts. */
struct drawing {
  const char *scenario, *title, *x, *x_label, *y_label;
  bool x_by_10;
  enum metric metrics[METRICS_MAX];
  size_t metric_count;
  const char *by[BY_MAX];
  const char *fixed[FIXED_MAX];
};

#define LATENCY "microseconds"
#define MESSAGES "messages a second"
#define MEMORY "MiB"

static const struct drawing drawings[] = {
  {"load", "Latency at fixed rates of offered load", "offered", "messages offered a second", LATENCY, true,
   {P50, P99, P999}, 3, {"payload"}, {NULL}},
  {"latency", "Round trip, one message in flight", "payload", "payload, bytes", LATENCY, false, {P50}, 1, {NULL},
   {NULL}},
  {"throughput", "Throughput against threads, batched", "threads", "producer threads", MESSAGES, false, {RATE}, 1,
   {"payload", "reader"}, {"calls", "batch"}},
  {"throughput", "Throughput against messages a call, one producer", "batch", "messages a call", MESSAGES, false,
   {RATE}, 1, {"payload", "calls"}, {"threads", "reader"}},
  {"threads", "Round trips of several threads at once", "threads", "threads", LATENCY, false, {P50, P99}, 2, {NULL},
   {NULL}},
  {"payload", "Bytes a second against payload", "payload", "payload, bytes", "GB/s in", false, {BYTES_IN}, 1,
   {"handler"}, {NULL}},
  {"payload", "Messages a second against payload", "payload", "payload, bytes", MESSAGES, false, {RATE}, 1, {"handler"},
   {NULL}},
  {"keys", "Round trip against keys", "keys", "keys", LATENCY, true, {P50, P99}, 2, {NULL}, {NULL}},
  {"keys", "Throughput against keys", "keys", "keys", MESSAGES, true, {RATE}, 1, {NULL}, {NULL}},
  {"lanes", "Round trip against lanes", "lanes", "lanes", LATENCY, false, {P50, P99}, 2, {NULL}, {NULL}},
  {"lanes", "Throughput against lanes", "lanes", "lanes", MESSAGES, false, {RATE}, 1, {NULL}, {NULL}},
  {"lanes", "Memory against lanes", "lanes", "lanes", MEMORY, false, {HOST_MEMORY, DEVICE_MEMORY}, 2, {NULL}, {NULL}},
  {"capacity", "Round trip against capacity", "capacity", "capacity", LATENCY, false, {P50, P99}, 2, {NULL}, {NULL}},
  {"capacity", "Throughput against capacity", "capacity", "capacity", MESSAGES, false, {RATE}, 1, {NULL}, {NULL}},
  {"capacity", "Memory against capacity", "capacity", "capacity", MEMORY, false, {HOST_MEMORY, DEVICE_MEMORY}, 2,
   {NULL}, {NULL}},
  {"workers", "Round trip against workers", "workers", "threads of the CPU backend", LATENCY, false, {P50, P99}, 2,
   {NULL}, {NULL}},
  {"workers", "Throughput against workers", "workers", "threads of the CPU backend", MESSAGES, false, {RATE}, 1, {NULL},
   {NULL}},
  {"workers", "Round trip against multiprocessors", "sms", "multiprocessors", LATENCY, false, {P50, P99}, 2,
   {NULL}, {NULL}},
  {"workers", "Throughput against multiprocessors", "sms", "multiprocessors", MESSAGES, false, {RATE}, 1,
   {NULL}, {NULL}},
};
enum { DRAWINGS = sizeof drawings / sizeof *drawings };

static void name_series(char *name, size_t size, const struct drawing *drawing, const struct point *point,
                        enum metric metric)
{
  size_t used = (size_t)snprintf(name, size, "%s", point->subject), i;
  char number[32];

  for (i = 0; i < BY_MAX && drawing->by[i] && used < size; i++) {
    const struct parameter *p = point_parameter(point, drawing->by[i]);

    if (p)
      used += (size_t)snprintf(name + used, size - used, " %s=%s", p->name,
                               p->word ? p->word : short_number(p->number, number, sizeof number));
  }
  if (used < size && *metric_names[metric]) snprintf(name + used, size - used, " %s", metric_names[metric]);
}

static bool same_value(const struct parameter *a, const struct parameter *b)
{
  if (!a || !b) return !a && !b;
  if (a->word || b->word) return a->word && b->word && strcmp(a->word, b->word) == 0;
  return a->number == b->number;
}

/** Whether the drawing is of \p point; \p first: the first of its scenario that is a queue's. What a baseline has no
 * parameter for does not matter. */
static bool shows(const struct drawing *drawing, const struct point *point, const struct point *first)
{
  size_t i;

  for (i = 0; i < FIXED_MAX && drawing->fixed[i]; i++) {
    const struct parameter *value = point_parameter(point, drawing->fixed[i]);

    if (!value && point->is_baseline) continue;
    if (!same_value(value, point_parameter(first, drawing->fixed[i]))) return false;
  }
  return true;
}

/** The first point of a queue that has what \p drawing is drawn over, or NULL. */
static const struct point *first_of(const struct bench *bench, const struct drawing *drawing)
{
  size_t i;

  for (i = 0; i < bench->point_count; i++) {
    const struct point *point = bench->points[i];

    if (!point->is_baseline && strcmp(point->scenario, drawing->scenario) == 0 && point_parameter(point, drawing->x))
      return point;
  }
  return NULL;
}

static void gather(const struct bench *bench, const struct drawing *drawing, struct chart *chart)
{
  const struct point *first = first_of(bench, drawing);
  size_t i, k;

  memset(chart, 0, sizeof *chart);
  chart->title = drawing->title;
  chart->x_label = drawing->x_label;
  chart->y_label = drawing->y_label;
  chart->x_by_2 = !drawing->x_by_10;
  for (i = 0; first && i < bench->point_count; i++) {
    const struct point *point = bench->points[i];
    const struct parameter *x = point_parameter(point, drawing->x);

    if (strcmp(point->scenario, drawing->scenario) != 0 || !x || x->word) continue;
    if (!shows(drawing, point, first)) continue;
    for (k = 0; k < drawing->metric_count; k++) {
      const double y = metric_of(&point->figures, drawing->metrics[k]);
      struct series *series;
      char name[96];

      if (y <= 0) continue;
      name_series(name, sizeof name, drawing, point, drawing->metrics[k]);
      series = chart_series(chart, name, point->is_baseline);
      if (series) series_add(series, x->number, y);
    }
  }
}

static void draw_all(FILE *file, const struct bench *bench)
{
  enum { COLUMNS = 2, HEAD = 70 };
  struct chart chart;
  char line[700];
  size_t i, count = 0, drawn = 0;

  for (i = 0; i < DRAWINGS; i++) {
    gather(bench, &drawings[i], &chart);
    count += chart_is_worth_drawing(&chart);
  }
  svg_begin(file, COLUMNS * CHART_WIDTH, HEAD + (int)((count + COLUMNS - 1) / COLUMNS) * CHART_HEIGHT);
  snprintf(line, sizeof line, "gpuqueue %s on %.*s", gq_version(), (int)strcspn(bench->backend_text, "("),
           bench->backend_text);
  svg_text(file, 20, 28, "font-size=\"16\" font-weight=\"bold\"", line);
  snprintf(line, sizeof line, "%.100s, %u cores, %.200s%s%.200s; %.3g s a point%s", bench->machine.cpu,
           bench->machine.cores, bench->machine.kernel, *bench->machine.gpu ? ", " : "", bench->machine.gpu,
           bench->settings.seconds,
           bench->noisy_count ? "; some points have warnings, see the table" : "");
  svg_text(file, 20, 50, "", line);
  for (i = 0; i < DRAWINGS; i++) {
    gather(bench, &drawings[i], &chart);
    if (!chart_is_worth_drawing(&chart)) continue;
    chart_draw(file, &chart, (int)(drawn % COLUMNS) * CHART_WIDTH, HEAD + (int)(drawn / COLUMNS) * CHART_HEIGHT);
    drawn++;
  }
  if (count == 0) {
    svg_text(file, 20, HEAD, "", "no scenario that was run has a chart with two points");
    complain("bench: %s has no chart: no scenario that was run has one with two points", bench->settings.plot);
  }
  svg_end(file);
}

bool report_plot(struct bench *bench)
{
  const char *name = bench->settings.plot;
  FILE *file;
  bool written;

  if (!name) return true;
  file = strcmp(name, "-") == 0 ? stdout : fopen(name, "we");
  if (!file) return bench_fail(bench, EXIT_SYSTEM, "%s: cannot write charts: %s", name, strerror(errno));
  draw_all(file, bench);
  written = fflush(file) == 0 && !ferror(file);
  if (file != stdout && fclose(file) != 0) written = false;
  return written ? true : bench_fail(bench, EXIT_SYSTEM, "%s: cannot write charts: %s", name, strerror(errno));
}
