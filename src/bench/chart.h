/* SPDX-License-Identifier: Apache-2.0 */
/** \file chart.h
 * Line charts with axes, grid and legend, written as SVG. */
#ifndef GPUQUEUE_BENCH_CHART_H
#define GPUQUEUE_BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SERIES_MAX = 16, SERIES_POINTS_MAX = 64, CHART_WIDTH = 640, CHART_HEIGHT = 500 };

struct series {
  char name[96];
  bool dashed;
  double x[SERIES_POINTS_MAX], y[SERIES_POINTS_MAX]; /**< more than 0: both axes are logarithmic */
  size_t count;
};

struct chart {
  const char *title, *x_label, *y_label;
  bool x_by_2;            /**< the x axis counts in powers of 2, otherwise of 10 */
  struct series series[SERIES_MAX];
  size_t series_count;
};

/** The series of that name, made if need be; NULL if there is no room for it. */
struct series *chart_series(struct chart *chart, const char *name, bool dashed);

/** Add a point, unless it has no place on a logarithmic axis. */
void series_add(struct series *series, double x, double y);

/** Forget the series that are no lines. \return whether any is left. */
bool chart_is_worth_drawing(struct chart *chart);

void svg_begin(FILE *file, int width, int height);
void svg_text(FILE *file, int x, int y, const char *attributes, const char *text);
void chart_draw(FILE *file, const struct chart *chart, int left, int top);
void svg_end(FILE *file);

#endif
