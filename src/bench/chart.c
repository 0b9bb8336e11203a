/* SPDX-License-Identifier: Apache-2.0 */
#include "chart.h"

#include <math.h>
#include <string.h>

#include "../progress.h"
#include "bench.h"

/* Within a chart: where its lines are, and where its legend is below. */
enum { PLOT_LEFT = 76, PLOT_TOP = 40, PLOT_WIDTH = CHART_WIDTH - PLOT_LEFT - 24, PLOT_HEIGHT = 270,
       LEGEND_TOP = PLOT_TOP + PLOT_HEIGHT + 58, LEGEND_ROW = 15, LEGEND_COLUMN = 310, TICKS_MAX = 8 };

/* Told apart by most people with colour blindness: M. Okabe and K. Ito, "Color Universal Design", and greys. */
static const char *const colours[SERIES_MAX] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
                                                "#7a6a00", "#000000", "#888888", "#8c3b00", "#004d36", "#5b2a86",
                                                "#b80058", "#00a5a5", "#4a4a9c", "#a0a000"};

struct axis {
  double least, most;       /* logarithms, to base */
  double base;
};

struct series *chart_series(struct chart *chart, const char *name, bool dashed)
{
  struct series *series;
  size_t i;

  for (i = 0; i < chart->series_count; i++)
    if (strcmp(chart->series[i].name, name) == 0) return &chart->series[i];
  if (chart->series_count == SERIES_MAX) return NULL;
  series = &chart->series[chart->series_count++];
  memset(series, 0, sizeof *series);
  snprintf(series->name, sizeof series->name, "%s", name);
  series->dashed = dashed;
  return series;
}

void series_add(struct series *series, double x, double y)
{
  size_t at;

  if (x <= 0 || y <= 0 || series->count == SERIES_POINTS_MAX) return;
  for (at = series->count++; at > 0 && series->x[at - 1] > x; at--) {
    series->x[at] = series->x[at - 1];
    series->y[at] = series->y[at - 1];
  }
  series->x[at] = x;
  series->y[at] = y;
}

bool chart_is_worth_drawing(struct chart *chart)
{
  size_t i, kept = 0;

  for (i = 0; i < chart->series_count; i++)
    if (chart->series[i].count > 1) chart->series[kept++] = chart->series[i];
  chart->series_count = kept;
  return kept > 0;
}

void svg_text(FILE *file, int x, int y, const char *attributes, const char *text)
{
  fprintf(file, "<text x=\"%d\" y=\"%d\" %s>", x, y, attributes);
  for (; *text; text++) {
    switch (*text) {
    case '<': fputs("&lt;", file); break;
    case '>': fputs("&gt;", file); break;
    case '&': fputs("&amp;", file); break;
    default:
      if ((unsigned char)*text >= 0x20) fputc(*text, file);
    }
  }
  fputs("</text>\n", file);
}

void svg_begin(FILE *file, int width, int height)
{
  fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
          "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
          width, height, width, height);
}

void svg_end(FILE *file)
{
  fputs("</svg>\n", file);
}

/** Room for all values, to the next power of the base where that is near. */
static struct axis axis_for(const struct chart *chart, bool of_x, double base)
{
  struct axis axis = {INFINITY, -INFINITY, base};
  size_t i, k;

  for (i = 0; i < chart->series_count; i++) {
    const struct series *s = &chart->series[i];

    for (k = 0; k < s->count; k++) {
      const double value = log(of_x ? s->x[k] : s->y[k]) / log(base);

      axis.least = fmin(axis.least, value);
      axis.most = fmax(axis.most, value);
    }
  }
  if (!of_x) {
    axis.least = floor(axis.least);
    axis.most = ceil(axis.most);
  }
  if (axis.most - axis.least < 1e-9) {
    axis.least -= 0.5;
    axis.most += 0.5;
  }
  return axis;
}

static double place(const struct axis *axis, double value, double from, double to)
{
  return from + (log(value) / log(axis->base) - axis->least) / (axis->most - axis->least) * (to - from);
}

static const char *tick_label(double value, double base, char *text, size_t size)
{
  char scaled[32];
  size_t length;

  if (base == 2) return short_number(value, text, size);
  if (value < 1000) {
    snprintf(text, size, "%g", value);
    return text;
  }
  /* "10.0 k" is written as 10k */
  progress_scaled(value, scaled, sizeof scaled);
  length = strcspn(scaled, ".");
  snprintf(text, size, "%.*s%s", (int)length, scaled, strchr(scaled, ' ') ? strchr(scaled, ' ') + 1 : "");
  return text;
}

static void draw_tick(FILE *file, const struct axis *axis, bool of_x, double value, int left, int top, bool labelled)
{
  const int bottom = top + PLOT_HEIGHT;
  char text[32];

  tick_label(value, axis->base, text, sizeof text);
  if (of_x) {
    const double x = place(axis, value, left, left + PLOT_WIDTH);

    fprintf(file, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\"/>\n", x, top, x, bottom,
            labelled ? "#dddddd" : "#f2f2f2");
    if (labelled) svg_text(file, (int)lround(x), bottom + 16, "text-anchor=\"middle\"", text);
  } else {
    const double y = place(axis, value, bottom, top);

    fprintf(file, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\"/>\n", left, y, left + PLOT_WIDTH, y,
            labelled ? "#dddddd" : "#f2f2f2");
    if (labelled) svg_text(file, left - 6, (int)lround(y) + 4, "text-anchor=\"end\"", text);
  }
}

/** A line and a number at powers of the base; where there are few of 10, also at 2 and 5 times these. */
static void draw_axis(FILE *file, const struct axis *axis, bool of_x, int left, int top)
{
  static const int between[] = {1, 2, 5};
  const double span = axis->most - axis->least;
  const double step = fmax(1, ceil(span / TICKS_MAX));
  const bool few = axis->base == 10 && span <= 2.01;
  double power;
  int i;

  for (power = floor(axis->least); power <= axis->most + 1e-9; power += step) {
    for (i = 0; i < (axis->base == 10 ? 3 : 1); i++) {
      const double value = pow(axis->base, power) * between[i], at = log(value) / log(axis->base);

      if (at >= axis->least - 1e-9 && at <= axis->most + 1e-9)
        draw_tick(file, axis, of_x, value, left, top, i == 0 || few);
    }
  }
}

static void draw_series(FILE *file, const struct series *s, const char *colour, const struct axis *x_axis,
                        const struct axis *y_axis, int left, int top)
{
  size_t i;

  fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%d\"%s points=\"", colour,
          s->dashed ? 2 : 3, s->dashed ? " stroke-dasharray=\"6 4\"" : "");
  for (i = 0; i < s->count; i++)
    fprintf(file, "%.1f,%.1f ", place(x_axis, s->x[i], left, left + PLOT_WIDTH),
            place(y_axis, s->y[i], top + PLOT_HEIGHT, top));
  fputs("\"/>\n", file);
  for (i = 0; i < s->count; i++)
    fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>%g: %.4g</title></circle>\n",
            place(x_axis, s->x[i], left, left + PLOT_WIDTH), place(y_axis, s->y[i], top + PLOT_HEIGHT, top), colour,
            s->x[i], s->y[i]);
}

static void draw_legend(FILE *file, const struct chart *chart, int left, int top)
{
  size_t i;

  for (i = 0; i < chart->series_count; i++) {
    const int x = left + (int)(i % 2) * LEGEND_COLUMN, y = top + (int)(i / 2) * LEGEND_ROW;

    fprintf(file, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"2\"%s/>\n", x, y - 4,
            x + 22, y - 4, colours[i], chart->series[i].dashed ? " stroke-dasharray=\"6 4\"" : "");
    svg_text(file, x + 28, y, "font-size=\"11\"", chart->series[i].name);
  }
}

void chart_draw(FILE *file, const struct chart *chart, int left, int top)
{
  const struct axis x_axis = axis_for(chart, true, chart->x_by_2 ? 2 : 10), y_axis = axis_for(chart, false, 10);
  const int plot_left = left + PLOT_LEFT, plot_top = top + PLOT_TOP, middle = plot_top + PLOT_HEIGHT / 2;
  char turned[96];
  size_t i;

  svg_text(file, plot_left, top + 24, "font-size=\"14\" font-weight=\"bold\"", chart->title);
  draw_axis(file, &x_axis, true, plot_left, plot_top);
  draw_axis(file, &y_axis, false, plot_left, plot_top);
  fprintf(file, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#666666\"/>\n", plot_left,
          plot_top, (int)PLOT_WIDTH, (int)PLOT_HEIGHT);
  svg_text(file, plot_left + PLOT_WIDTH / 2, plot_top + PLOT_HEIGHT + 34, "text-anchor=\"middle\"", chart->x_label);
  snprintf(turned, sizeof turned, "text-anchor=\"middle\" transform=\"rotate(-90 %d %d)\"", left + 16, middle);
  svg_text(file, left + 16, middle, turned, chart->y_label);
  for (i = 0; i < chart->series_count; i++)
    draw_series(file, &chart->series[i], colours[i], &x_axis, &y_axis, plot_left, plot_top);
  draw_legend(file, chart, left + 20, top + LEGEND_TOP);
}
