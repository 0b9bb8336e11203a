/* SPDX-License-Identifier: Apache-2.0 */
/* How latency, rate and memory grow with what a queue has many of: lanes, cells, workers. */
#include "content.h"
#include "scenarios.h"
#include "session.h"
#include "trial.h"

enum { CAPACITY = 4096 }; /* where it is not what grows */

/** What grows: the \ref name of the parameter, and how a trial is given \p value of it. */
struct growth {
  const char *scenario, *name;
  void (*set)(const struct bench *bench, struct trial *trial, size_t payload, uint64_t value);
  bool is_capacity;
};

static bool measure(struct bench *bench, const struct growth *growth, const struct list *values)
{
  const size_t payload = bench->settings.payloads.count ? bench->settings.payloads.values[0] : 64;
  struct content content, *contents = &content;
  bool fine = true;
  size_t i;

  for (i = 0; fine && i < values->count; i++) {
    struct point *point;
    struct trial trial;

    if (!content_init(bench, &content, payload, NULL, growth->is_capacity ? (uint32_t)values->values[i] : CAPACITY))
      return false;
    point = point_new(growth->scenario, "gpuqueue");
    trial_init(&trial, bench, (const struct content *const *)&contents, payload, 1, CAPACITY);
    growth->set(bench, &trial, payload, values->values[i]);
    trial.latency = trial.rate = trial.memory = true;
    point_number(point, growth->name, (double)values->values[i]);
    point_number(point, "payload", (double)payload);
    point_number(point, "threads", trial.traffic.threads);
    fine = trial_run(bench, &trial, point);
    content_free(&content);
  }
  return fine;
}

static void set_lanes(const struct bench *bench, struct trial *trial, size_t payload, uint64_t value)
{
  session_plan(bench, &trial->options, payload, (unsigned)value, 256);
  trial->traffic.lane_count = (unsigned)value;
  trial->traffic.threads = trial_threads(bench, (unsigned)value);
  trial->traffic.batch = 64;
}

bool scenario_lanes(struct bench *bench)
{
  static const struct growth growth = {"lanes", "lanes", set_lanes, false};
  static const uint64_t lanes[] = {1, 4, 16, 64, 256, 1024}, quick_lanes[] = {1, 16};
  const struct list list = BENCH_LIST(bench, &bench->settings.lanes, lanes, quick_lanes);

  return measure(bench, &growth, &list);
}

static void set_capacity(const struct bench *bench, struct trial *trial, size_t payload, uint64_t value)
{
  session_plan(bench, &trial->options, payload, 1, (uint32_t)value);
  trial->options.capacity = (uint32_t)value;
  if (trial->traffic.batch > value) trial->traffic.batch = (unsigned)value;
}

bool scenario_capacity(struct bench *bench)
{
  static const struct growth growth = {"capacity", "capacity", set_capacity, true};
  static const uint64_t cells[] = {2, 16, 128, 1024, 8192, 65536, 1 << 20}, quick_cells[] = {2, 4096};
  struct list list = {{0}, 0};

  if (bench_is_given(&bench->settings, "capacity")) list = (struct list){{bench->settings.queue.capacity}, 1};
  list = BENCH_LIST(bench, &list, cells, quick_cells);
  return measure(bench, &growth, &list);
}

static void set_workers(const struct bench *bench, struct trial *trial, size_t payload, uint64_t value)
{
  const unsigned threads = trial_threads(bench, 64);

  session_plan(bench, &trial->options, payload, threads, CAPACITY);
  trial->traffic.lane_count = trial->traffic.threads = threads;
  if (bench->backend == GQ_BACKEND_CUDA) trial->options.sms = (uint32_t)value;
  else trial->options.workers = (uint32_t)value;
}

bool scenario_workers(struct bench *bench)
{
  const bool cuda = bench->backend == GQ_BACKEND_CUDA;
  const struct growth growth = {"workers", cuda ? "sms" : "workers", set_workers, false};
  const uint64_t least = cuda ? 2 : 1, given = cuda ? bench->settings.queue.sms : bench->settings.queue.workers;
  const uint64_t all = cuda ? (uint64_t)bench->machine.gpu_sms : bench->machine.cores;
  struct list list = {{0}, 0};
  uint64_t value;

  if (given) list.values[list.count++] = given;
  for (value = least; !given && value < all && (value <= 2 || !bench->settings.quick); value *= 2)
    list.values[list.count++] = value;
  if (!given && !(bench->settings.quick && list.count)) list.values[list.count++] = all;
  return measure(bench, &growth, &list);
}
