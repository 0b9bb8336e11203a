/* SPDX-License-Identifier: Apache-2.0 */
/* Every baseline of `gpuqueue bench` gives a result whose messages were right, in a short run each; and refuses what it
 * cannot measure. Without a GPU only the refusals are looked at, and the rest is skipped (status 77). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/bench/baselines.h"
#include "support.h"

#define SECONDS 0.1
#define SKIPPED 77

static unsigned failures;

static void complain(const char *name, const char *what)
{
  fprintf(stderr, "%s: %s\n", name, what);
  failures++;
}

/* ------------------------------------------------------------------------------------------------- refusals */

static void expect_refusal(const gq_baseline *b, int device, size_t payload, unsigned threads, double seconds,
                           const char *why)
{
  gq_baseline_result result = {.messages = 4711};
  char error[512] = "";

  if (gq_cuda_baseline_run(b, device, payload, threads, seconds, &result, error, sizeof error) == 0)
    complain(b->name, "what cannot be measured was measured");
  else if (!strstr(error, why)) fprintf(stderr, "%s: expected \"%s\": %s\n", b->name, why, error), failures++;
  if (result.messages != 4711) complain(b->name, "a failure wrote a result");
}

static void try_refusals(const gq_baseline *b)
{
  const bool cells = b->raw_limit && b->kind != GQ_BASELINE_BANDWIDTH;

  if (cells) expect_refusal(b, 0, GQ_BASELINE_MOST_CELL_PAYLOAD + 1, 1, SECONDS, "373 bytes is too large (0 to 372)");
  if (!b->raw_limit) expect_refusal(b, 0, (size_t)GQ_BASELINE_MOST_PAYLOAD + 1, 1, SECONDS, "is too large (0 to ");
  expect_refusal(b, 0, 64, 0, SECONDS, "0 threads are out of range (1 to 64)");
  expect_refusal(b, 0, 64, GQ_BASELINE_MOST_THREADS + 1, SECONDS, "65 threads are out of range (1 to 64)");
  expect_refusal(b, 0, 64, 1, 0, "0 seconds are out of range");
  expect_refusal(b, 0, 64, 1, -1, "-1 seconds are out of range");
  expect_refusal(b, 0, 64, 1, NAN, "nan seconds are out of range");
  expect_refusal(b, 0, 64, 1, INFINITY, "inf seconds are out of range");
}

/* ----------------------------------------------------------------------------------------------- measurements */

static void judge(const gq_baseline *b, size_t payload, const gq_baseline_result *r)
{
  if (r->messages == 0) complain(b->name, "no message");
  if (b->kind == GQ_BASELINE_LATENCY &&
      !(r->p50_us > 0 && r->p50_us <= r->p90_us && r->p90_us <= r->p99_us && r->p99_us <= r->p999_us &&
        r->p999_us <= r->max_us)) complain(b->name, "the percentiles do not grow");
  if (b->kind != GQ_BASELINE_LATENCY && (r->p50_us != 0 || r->max_us != 0)) complain(b->name, "a latency of its own");
  if (b->kind == GQ_BASELINE_BANDWIDTH) {
    if (!(r->bytes_in_per_s > 1e6 || r->bytes_out_per_s > 1e6)) complain(b->name, "no bandwidth");
  } else if (!(r->messages_per_s > 0) || fabs(r->bytes_in_per_s - r->messages_per_s * (double)payload) > 1 ||
             r->bytes_in_per_s != r->bytes_out_per_s) {
    complain(b->name, "the rates do not fit one another");
  }
}

static void measure(const gq_baseline *b, size_t payload, unsigned threads)
{
  gq_baseline_result r;
  char error[512] = "";

  if (gq_cuda_baseline_run(b, 0, payload, threads, SECONDS, &r, error, sizeof error) != 0) {
    fprintf(stderr, "%s, %zu bytes, %u threads: %s\n", b->name, payload, threads, error);
    failures++;
    return;
  }
  printf("%-18s %8zu B %2u threads: p50 %8.2f p90 %8.2f p99 %8.2f p99.9 %8.2f max %8.2f us, %9.3f M msg/s, in %6.2f "
         "out %6.2f GB/s, %llu\n", b->name, payload, threads, r.p50_us, r.p90_us, r.p99_us, r.p999_us, r.max_us,
         r.messages_per_s * 1e-6, r.bytes_in_per_s * 1e-9, r.bytes_out_per_s * 1e-9, (unsigned long long)r.messages);
  fflush(stdout);
  judge(b, payload, &r);
}

/* Each size of cell; by hand less than a unit, and many. */
static void measure_all(const gq_baseline *b)
{
  static const size_t of_cells[] = {64, 0, 36, 85, 181};
  static const size_t by_hand[] = {64, 0, 17, 4096, 4 << 20};
  static const unsigned threads[] = {1, 2, 8};
  const size_t *payloads = b->raw_limit ? of_cells : by_hand;
  const size_t count = b->kind == GQ_BASELINE_BANDWIDTH ? 1
                     : b->raw_limit ? sizeof of_cells / sizeof *of_cells : sizeof by_hand / sizeof *by_hand;

  for (size_t i = 0; i < count; i++) measure(b, payloads[i], 1);
  for (size_t i = 1; b->kind == GQ_BASELINE_RATE && i < sizeof threads / sizeof *threads; i++) {
    measure(b, 64, threads[i]);
    measure(b, 32, threads[i]);
  }
}

int main(void)
{
  support_backend backends[SUPPORT_BACKENDS];
  const support_backend *cuda;
  size_t count;
  const gq_baseline *baselines = gq_cuda_baselines(&count);

  support_read_environment(backends);
  cuda = support_find_backend(backends, "cuda");
  watchdog_start("baselines", 200);
  for (size_t i = 0; i < count; i++) try_refusals(&baselines[i]);
  if (!cuda->usable || count == 0) {
    const char *why = cuda->usable ? "this build has no GPU code" : cuda->reason;

    fprintf(stderr, "baselines: %s: %s\n", cuda->required ? "FAILED" : "skipped", why);
    watchdog_stop();
    return failures || cuda->required ? EXIT_FAILURE : SKIPPED;
  }
  for (size_t i = 0; i < count; i++) {
    expect_refusal(&baselines[i], 4711, 64, 1, SECONDS, "device 4711: this machine has ");
    expect_refusal(&baselines[i], -1, 64, 1, SECONDS, "device -1: this machine has ");
    measure_all(&baselines[i]);
  }
  watchdog_stop();
  printf("%zu baselines, %u failures\n", count, failures);
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
