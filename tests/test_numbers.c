/* SPDX-License-Identifier: Apache-2.0 */
/* saxpy and mlp give, bit for bit, what plain loops give; black_scholes what the formulas give in another form. In
 * every scope, for every size. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipped.h"

/* From \p low to \p high. */
static double between(support_random *random, double low, double high)
{
  return low + (high - low) * (double)(support_next(random) >> 11) / 9007199254740992.0;
}

static float *random_floats(support_random *random, size_t count)
{
  float *values = malloc(count * sizeof *values + 1);
  size_t i;
  ck_assert_ptr_nonnull(values);
  for (i = 0; i < count; i++) values[i] = (float)between(random, -2, 2);
  return values;
}

/* -------------------------------------------------------------------------------------------------------- saxpy */

static void send_saxpy(shipped *test, const float *x, size_t count)
{
  float *y = malloc(count * sizeof *y + 1);
  size_t i;
  ck_assert_ptr_nonnull(y);
  for (i = 0; i < count; i++) y[i] = fmaf(2.7f, x[i], -0.1f);
  shipped_send(test, x, count * sizeof *x, y, count * sizeof *y);
  free(y);
}

START_TEST(saxpy_scales_and_adds_in_each_scope)
{
  static const char *const args[] = { "a=2.7", "b=-0.1", NULL };
  static const size_t large[] = { 4096, 16383, 250001 };
  support_random random = { 6 };
  float *x = random_floats(&random, 250001);
  uint32_t scope;
  x[3] = INFINITY, x[5] = -INFINITY, x[7] = 3e38f, x[8] = 1e-45f, x[9] = -0.0f;
  for (scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    shipped test;
    size_t i;
    shipped_open(&test, "saxpy", scope, args);
    for (i = 0; i <= 300; i++) send_saxpy(&test, x, i);
    for (i = 0; i < SUITE_COUNT(large); i++) send_saxpy(&test, x, large[i]);
    for (i = 1; i < 40; i += 1 + (i % 4 == 3)) shipped_send_bad(&test, x, i, 1);
    shipped_close(&test);
  }
  free(x);
}
END_TEST

START_TEST(saxpy_without_arguments_changes_nothing)
{
  const float x[4] = { 1, -2.5f, 1e-40f, 3e38f };
  shipped test;
  shipped_open(&test, "saxpy", GQ_SCOPE_AUTO, NULL);
  shipped_send(&test, x, sizeof x, x, sizeof x);
  shipped_close(&test);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- mlp */

/* A network with random weights, as the handler's state lays it out. */
typedef struct {
  uint32_t layers, widths[17];
  unsigned char *state;
  size_t bytes;
} network;

static void make_network(network *net, support_random *random, uint32_t layers, const uint32_t *widths)
{
  const size_t head = 16 + layers * 4;
  size_t weights = 0;
  uint32_t i, version = 1;
  float *values;
  memset(net, 0, sizeof *net);
  net->layers = layers;
  memcpy(net->widths, widths, (layers + 1) * sizeof *widths);
  for (i = 0; i < layers; i++) weights += (widths[i] + (size_t)1) * widths[i + 1];
  net->bytes = head + weights * 4;
  net->state = malloc(net->bytes);
  values = random_floats(random, weights);
  ck_assert_ptr_nonnull(net->state);
  memcpy(net->state, "GQNN", 4);
  memcpy(net->state + 4, &version, 4);
  memcpy(net->state + 8, &layers, 4);
  memcpy(net->state + 12, widths, (layers + 1) * 4);
  memcpy(net->state + head, values, weights * 4);
  free(values);
}

/* The outputs for \p in: one sum after another. */
static void run_network(const network *net, const float *in, float *out)
{
  float here[1024], before[1024];
  const float *weights = (const float *)(net->state + 16 + net->layers * 4), *x = in;
  uint32_t layer, i, j;
  for (layer = 0; layer < net->layers; layer++) {
    const uint32_t inputs = net->widths[layer], outputs = net->widths[layer + 1];
    for (j = 0; j < outputs; j++) {
      float sum = weights[(size_t)inputs * outputs + j];
      for (i = 0; i < inputs; i++) sum = fmaf(x[i], weights[(size_t)i * outputs + j], sum);
      here[j] = layer + 1 < net->layers && sum < 0 ? 0 : sum;
    }
    memcpy(before, here, outputs * sizeof *here);
    x = before;
    weights += (inputs + (size_t)1) * outputs;
  }
  memcpy(out, here, net->widths[net->layers] * sizeof *out);
}

static const struct { uint32_t layers, widths[5]; } shapes[] = {
  { 1, { 1, 1 } }, { 1, { 3, 5 } }, { 2, { 4, 33, 2 } }, { 2, { 784, 128, 10 } }, { 4, { 31, 64, 129, 7, 1 } },
  { 1, { 2000, 1024 } }, { 2, { 1, 1024, 1024 } },
};

START_TEST(mlp_gives_the_sums_of_its_layers_in_each_scope)
{
  support_random random = { 7 };
  size_t s;
  for (s = 0; s < SUITE_COUNT(shapes); s++) {
    const uint32_t *widths = shapes[s].widths, outputs = widths[shapes[s].layers];
    uint32_t scope;
    network net;
    make_network(&net, &random, shapes[s].layers, widths);
    for (scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
      gq_options options = suite_options("mlp");
      float *in = random_floats(&random, widths[0]), out[1024];
      shipped test;
      unsigned i;
      options.scope = scope;
      options.state_data = net.state;
      options.state_data_bytes = net.bytes;
      shipped_open_with(&test, &options);
      for (i = 0; i < support_scaled(40); i++) {
        in[i % widths[0]] += 0.5f;
        run_network(&net, in, out);
        shipped_send(&test, in, widths[0] * 4, out, outputs * 4);
      }
      shipped_send_bad(&test, in, 0, 1);
      shipped_send_bad(&test, in, widths[0] * 4 - 1, 1);
      shipped_close(&test);
      free(in);
    }
    free(net.state);
  }
}
END_TEST

static void refuse_weights(const unsigned char *state, size_t bytes, int32_t code)
{
  gq_options options = suite_options("mlp");
  options.state_data = state;
  options.state_data_bytes = bytes;
  shipped_refuses(&options, code);
}

START_TEST(mlp_refuses_what_are_no_weights)
{
  static const uint32_t widths[] = { 4, 3, 2 };
  static const struct { size_t at; uint32_t value; int32_t code; } damages[] = {
    { 0, 0x30303030, 1 }, { 4, 2, 2 }, { 4, 0, 2 }, { 8, 0, 3 }, { 8, 17, 3 }, { 8, UINT32_MAX, 3 }, { 12, 0, 3 },
    { 12, 65537, 3 }, { 12, 5, 4 }, { 16, 1025, 3 }, { 16, UINT32_MAX, 3 }, { 20, 0, 3 }, { 20, 1, 4 }, { 8, 1, 4 },
    { 8, 16, 3 },
  };
  static const struct { size_t bytes; int32_t code; } sizes[] = { { 4, 1 }, { 19, 1 }, { 20, 4 }, { 24, 4 } };
  support_random random = { 8 };
  unsigned char more[512] = { 0 };
  network net;
  size_t i;
  make_network(&net, &random, 2, widths);
  for (i = 0; i < SUITE_COUNT(damages); i++) {
    memcpy(more, net.state, net.bytes);
    memcpy(more + damages[i].at, &damages[i].value, 4);
    refuse_weights(more, net.bytes, damages[i].code);
  }
  for (i = 0; i < SUITE_COUNT(sizes); i++) refuse_weights(net.state, sizes[i].bytes, sizes[i].code);
  memcpy(more, net.state, net.bytes);
  refuse_weights(more, net.bytes + 4, 4);
  refuse_weights(net.state, net.bytes - 4, 4);
  free(net.state);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- black_scholes */

/* The distribution function as an integral of the density, by Simpson's rule: nothing but exp() is shared. */
static double normal(double x)
{
  const int steps = 4000;
  const double from = -12, width = (x - from) / steps;
  double sum = 0;
  int i;
  if (x <= from) return 0;
  if (x > 12) return 1;
  for (i = 0; i <= steps; i++) {
    const double z = from + i * width;
    sum += (i == 0 || i == steps ? 1 : i % 2 ? 4 : 2) * exp(-z * z / 2);
  }
  return sum * width / 3 / sqrt(2 * acos(-1));
}

static double price_of(const double *v)
{
  const double spread = v[4] * sqrt(v[5]), d1 = (log(v[1] / v[2]) + (v[3] + v[4] * v[4] / 2) * v[5]) / spread;
  const double call = v[1] * normal(d1) - v[2] * exp(-v[3] * v[5]) * normal(d1 - spread);
  return v[0] == 0 ? call : call - v[1] + v[2] * exp(-v[3] * v[5]);   /* put-call parity */
}

/* The sensitivity to value \p which, by differences of prices of second order. */
static double slope(const double *v, int which, double step)
{
  double up[6], down[6];
  memcpy(up, v, sizeof up), memcpy(down, v, sizeof down);
  up[which] += step, down[which] -= step;
  return (price_of(up) - price_of(down)) / (2 * step);
}

static void expect_near(const char *what, double got, double expected, double tolerance)
{
  ck_assert_msg(fabs(got - expected) <= tolerance * fmax(1, fabs(expected)), "%s: %.12g instead of %.12g", what, got,
                expected);
}

static void check_greeks(const double *v, const double *out, double tolerance)
{
  double up[6], down[6];
  memcpy(up, v, sizeof up), memcpy(down, v, sizeof down);
  up[1] *= 1.001, down[1] *= 0.999;
  expect_near("price", out[0], price_of(v), tolerance);
  expect_near("delta", out[1], slope(v, 1, 1e-4 * v[1]), 1e-5);
  expect_near("gamma", out[2], (price_of(up) - 2 * price_of(v) + price_of(down)) / (1e-6 * v[1] * v[1]), 1e-4);
  expect_near("vega", out[3], slope(v, 4, 1e-4 * v[4]), 1e-5);
  expect_near("theta", out[4], -slope(v, 5, 1e-4 * v[5]), 1e-5);
  expect_near("rho", out[5], slope(v, 3, 1e-5), 1e-5);
}

static void random_option(support_random *random, double *v)
{
  v[0] = (double)support_below(random, 2);
  v[1] = between(random, 20, 200), v[2] = v[1] * between(random, 0.7, 1.4);
  v[3] = between(random, -0.02, 0.1), v[4] = between(random, 0.1, 0.8), v[5] = between(random, 0.1, 3);
}

START_TEST(black_scholes_prices_lines)
{
  static const char *const formats[] = { "%s,%.17g,%.17g,%.17g,%.17g,%.17g",
                                         "%s, %.17e ,\t%.17E,%.17f , %+.17f,%.17g\r" };
  support_random random = { 9 };
  shipped test;
  unsigned i;
  shipped_open(&test, "black_scholes", GQ_SCOPE_AUTO, NULL);
  for (i = 0; i < support_scaled(200); i++) {
    static const char *const types[] = { "call", "put", "c", "p" };
    double v[6], out[6];
    char line[256], result[256];
    size_t size;
    random_option(&random, v);
    snprintf(line, sizeof line, formats[i % 2], types[(int)v[0] + 2 * (i / 2 % 2)], v[1], v[2], v[3], v[4], v[5]);
    size = shipped_call(&test, line, strlen(line), result, sizeof result - 1);
    result[size] = 0;
    ck_assert_msg(sscanf(result, "%lf,%lf,%lf,%lf,%lf,%lf", &out[0], &out[1], &out[2], &out[3], &out[4], &out[5]) == 6,
                  "'%s'", result);
    check_greeks(v, out, 2e-8);
  }
  /* J. Hull, "Options, futures, and other derivatives", example 15.6: 4.76 and 0.81. */
  shipped_send_text(&test, "call,42,40,0.1,0.2,0.5", 22,
                    "4.75942239,0.77913129,0.04996267,8.81341506,-4.55909219,13.98204591");
  shipped_send_text(&test, "put,42,40,.1,2e-1,5e-1", 22,
                    "0.80859937,-0.22086871,0.04996267,8.81341506,-0.75417450,-5.04254258");
  shipped_close(&test);
}
END_TEST

START_TEST(black_scholes_prices_records)
{
  static const char *const args[] = { "packed=1", NULL };
  static const size_t counts[] = { 0, 1, 2, 3, 100 };
  support_random random = { 10 };
  double in[600], out[600], bad[12];
  shipped test;
  size_t c, i;
  shipped_open(&test, "black_scholes", GQ_SCOPE_AUTO, args);
  for (c = 0; c < SUITE_COUNT(counts); c++) {
    for (i = 0; i < counts[c]; i++) random_option(&random, in + 6 * i);
    ck_assert_uint_eq(shipped_call(&test, in, counts[c] * 48, out, sizeof out), counts[c] * 48);
    for (i = 0; i < counts[c]; i++) check_greeks(in + 6 * i, out + 6 * i, 1e-11);
  }
  memcpy(bad, in, sizeof bad);
  shipped_send_bad(&test, bad, 47, 9);
  shipped_send_bad(&test, bad, 49, 9);
  for (i = 0; i < 6; i++) {
    memcpy(bad, in, sizeof bad);
    bad[6 + i] = i == 3 ? NAN : i == 4 ? INFINITY : -1;
    shipped_send_bad(&test, bad, sizeof bad, (int32_t)i + 1);
  }
  shipped_close(&test);
}
END_TEST

START_TEST(black_scholes_says_which_value_is_bad)
{
  static const struct { const char *line; int32_t code; } lines[] = {
    { "", 1 }, { "x", 1 }, { "cal,1,1,0,.1,1", 1 }, { "callx,1,1,0,.1,1", 1 }, { ",1,1,0,.1,1", 1 }, { "call", 2 },
    { "call,", 2 }, { "call,1x,1,0,.1,1", 2 }, { "call,1e,1,0,.1,1", 2 }, { "call,.,1,0,.1,1", 2 },
    { "call,--1,1,0,.1,1", 2 }, { "call,0,1,0,.1,1", 2 }, { "call,100", 3 }, { "call,1,0,0.03,0.2,0.5", 3 },
    { "call,1,1,nan,0.2,0.5", 4 }, { "call,1,1,1e999,0.2,0.5", 4 }, { "call,1,1,0,0,1", 5 }, { "call,1,1,0,-1,1", 5 },
    { "call,1,1,0,.1,0", 6 }, { "call,100,95,0.03,0.2", 6 }, { "call,100,95,0.03,0.2,", 6 },
    { "call,100,95,0.03,0.2,0.5,1", 7 }, { "call,100,95,0.03,0.2,0.5 x", 7 }, { "call,100,95,0.03,0.2,0.5\n", 7 },
    { "call,1e20,1,0,.1,1", 8 }, { "call,1,1,-1e300,.1,1", 8 }, { "call,1,1,1e99999999999,.1,1", 4 },
  };
  shipped test;
  size_t i;
  shipped_open(&test, "black_scholes", GQ_SCOPE_AUTO, NULL);
  for (i = 0; i < SUITE_COUNT(lines); i++) shipped_send_bad(&test, lines[i].line, strlen(lines[i].line), lines[i].code);
  shipped_send_bad(&test, "call\0,1,1,0,.1,1", 16, 1);
  shipped_close(&test);
}
END_TEST

int main(void)
{
  static const suite_test tests[] = {
    SUITE_TEST(saxpy_scales_and_adds_in_each_scope),
    SUITE_TEST(saxpy_without_arguments_changes_nothing),
    SUITE_TEST(mlp_gives_the_sums_of_its_layers_in_each_scope),
    SUITE_TEST(mlp_refuses_what_are_no_weights),
    SUITE_TEST(black_scholes_prices_lines),
    SUITE_TEST(black_scholes_prices_records),
    SUITE_TEST(black_scholes_says_which_value_is_bad),
  };
  return suite_main("test_numbers", tests, SUITE_COUNT(tests));
}
