/* SPDX-License-Identifier: Apache-2.0 */
/** \file bench.h
 * What the parts of `gpuqueue bench` share. A scenario (scenario_*.c, listed in scenarios.c) makes points: a setting of
 * its parameters, and the figures measured with it. Points are printed as they come and kept for JSON and charts.
 *
 * Functions that return bool return false after a complaint, with bench.status set; a scenario then ends. */
#ifndef GPUQUEUE_BENCH_H
#define GPUQUEUE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <gpuqueue/gpuqueue.h>

#include "machine.h"
#include "noise.h"

enum { LIST_MAX = 64, PARAMETERS_MAX = 8, RATIOS_MAX = 16, REPEATS = 3, QUEUE_OPTIONS_MAX = 64 };

/** No queue answers for this long: the run ends. */
#define PATIENCE_NS ((int64_t)10 * 1000 * 1000 * 1000)

/** Numbers given on the command line, or a scenario's own. */
struct list {
  uint64_t values[LIST_MAX];
  size_t count;
};

static inline bool list_has(const struct list *list, uint64_t number)
{
  size_t i;

  for (i = 0; i < list->count; i++)
    if (list->values[i] == number) return true;
  return false;
}

struct bench_settings {
  gq_options queue;
  const char *given[QUEUE_OPTIONS_MAX]; /**< by row of the option table: what the user said; no scenario chooses it */
  const char **args;
  size_t arg_count;
  struct list payloads, threads, batches, lanes, rates, keys; /**< empty: the scenario's own */
  double seconds;                 /**< a point's measuring time */
  bool quick, list;
  const char *json, *plot;        /**< file names, or NULL; "-" is standard output */
  char **scenarios;               /**< operands, in argv */
  size_t scenario_count;
};

/** What was measured; 0 where it was not. */
struct figures {
  uint64_t samples;               /**< of the latencies that follow */
  double p50_us, p90_us, p99_us, p999_us, max_us; /**< 0 as well: too few samples for this percentile */
  uint64_t messages;
  double seconds;
  double messages_per_s, bytes_in_per_s, bytes_out_per_s;
  double spread;                  /**< how far the repeats are apart: (largest - least) / median */
  bool spread_known;
  struct disturbance disturbance;
  uint64_t host_bytes, device_bytes;
  double cpu_share;               /**< CPU time of this process over time passed; 1: one core */
  bool cpu_share_known;
};

/** A parameter's value is a number, or a word where \ref word is set. */
struct parameter {
  const char *name, *word;
  double number;
};

struct ratio {
  const char *baseline;
  double times;                   /**< how many times better than it: below 1 is worse. Latencies by their median */
  double times_p99;               /**< the same of the 99th percentile; 0: there is none */
  double times_rate;              /**< the same of the rate, where there are latencies too; 0: there is none */
  bool noisy;                     /**< the baseline's figures have a warning */
};

struct point {
  const char *scenario, *subject; /**< "gpuqueue" or a baseline's name */
  bool is_baseline;
  bool is_raw_limit;              /**< of a baseline: what the hardware allows, not what a user would write */
  struct parameter parameters[PARAMETERS_MAX];
  size_t parameter_count;
  gq_options queue;               /**< of a queue's point: what it was opened with; 0 is the library's choice */
  bool has_queue;
  struct figures figures;
  struct ratio ratios[RATIOS_MAX];
  size_t ratio_count;
  const struct point *beside;     /**< another point to compare with, as if it were a baseline; or NULL */
  const char *beside_name;
};

struct bench {
  struct bench_settings settings;
  struct machine machine;
  struct stillness stillness;
  time_t began;
  FILE *table;                    /**< where the points are printed */
  struct point **points;
  size_t point_count;
  size_t noisy_count;             /**< points with a warning beside them */
  char backend_text[512];         /**< what gq_describe() said */
  gq_backend backend;             /**< what runs */
  int status;                     /**< exit status so far */
  bool reader_left;               /**< nobody reads the table any more */
};

struct scenario {
  const char *name, *summary;
  bool (*run)(struct bench *bench);
};

/** Ends with a row whose name is NULL. */
extern const struct scenario scenarios[];

/** In place of an exit status: go on. */
enum { BENCH_READY = -1 };

/** Read the arguments after the subcommand's name. \return BENCH_READY, or the exit status with which to end. */
int bench_settings_parse(struct bench_settings *settings, int argc, char **argv);
void bench_settings_free(struct bench_settings *settings);
void bench_print_help(void);

/** What the user said that the queue's option \p name is, in the arguments or the environment; NULL: nothing. */
const char *bench_given(const struct bench_settings *settings, const char *name);
bool bench_is_given(const struct bench_settings *settings, const char *name);

/** \p given, or where it is empty the list of \p count values \p otherwise; with --quick the \p quick_count values of
 * \p quickly. */
struct list bench_list(const struct bench *bench, const struct list *given, const uint64_t *otherwise, size_t count,
                       const uint64_t *quickly, size_t quick_count);
#define BENCH_LIST(bench, given, otherwise, quickly) \
  bench_list(bench, given, otherwise, sizeof(otherwise) / sizeof *(otherwise), quickly, \
             sizeof(quickly) / sizeof *(quickly))

/** Complain and end the run with \p status. Main thread. \return false. */
bool bench_fail(struct bench *bench, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Begin a point: after this the process ends, with a complaint, unless another point or the end comes in time. */
void bench_expect(const struct bench *bench, const char *what, double seconds);

/** What the queues of this bench are compared with: row \p index, or false past the end. The strings are static. */
bool bench_baseline(const struct bench *bench, size_t index, const char **name, const char **summary);

/* ---------------------------------------------------------------------------------------------------- points */

struct point *point_new(const char *scenario, const char *subject);
void point_number(struct point *point, const char *name, double number);
void point_word(struct point *point, const char *name, const char *word);
const struct parameter *point_parameter(const struct point *point, const char *name);

/** Keep the point, which is the bench's from now on, and print it. \return false if nobody reads the output. */
bool point_done(struct bench *bench, struct point *point);

/** The point that was done last. */
const struct point *point_latest(const struct bench *bench);

/** Give it up instead: a scenario that was interrupted. */
void point_drop(struct point *point);

/** Print what stands above a scenario's points. */
void points_print_head(struct bench *bench, const struct scenario *scenario);

/** Write a number as people do: 64, 4K, 1M. Powers of 1024 where it is a multiple of one. */
const char *short_number(double number, char *text, size_t size);

/** What is to be said beside the figures because they are not to be trusted; "" if nothing is. */
const char *figures_warning(const struct figures *figures, char *text, size_t size);

/* ---------------------------------------------------------------------------------------------------- reports */

/** Whether the files of the reports can be written: better known before measuring than after. */
bool report_check(struct bench *bench);
bool report_json(struct bench *bench, bool complete);
bool report_plot(struct bench *bench);

#endif
