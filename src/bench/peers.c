/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../timing.h"
#include "../stop.h"
#include "bench.h"
#include "channel.h"
#include "content.h"
#include "crew.h"
#include "flow.h"
#include "repeats.h"
#include "samples.h"

/* Messages of which a batch is more are not measured: the channels and their threads have memory for several. */
#define BATCH_BYTES_MAX ((size_t)64 << 20)

/** A pair of channels: to the thread that answers, and back. */
struct line {
  const struct channel_kind *kind;
  const struct content *content;
  struct trouble *trouble;
  struct channel there, back;
  size_t batch;
  int64_t end, done;            /**< when to send no more; out: when all had come back */
  uint64_t sent, received;
};

static bool line_open(struct bench *bench, struct line *line, const struct channel_kind *kind,
                      const struct content *content, size_t batch, struct trouble *trouble)
{
  memset(line, 0, sizeof *line);
  line->kind = kind;
  line->content = content;
  line->batch = batch;
  line->trouble = trouble;
  line->there.size = line->back.size = content->size;
  if (!kind->open(&line->there, batch)) goto failed;
  if (kind->open(&line->back, batch)) return true;
  kind->close(&line->there);
failed:
  return bench_fail(bench, EXIT_SYSTEM, "cannot make a %s: %s", kind->name, strerror(errno));
}

static void line_close(struct line *line)
{
  line->kind->close(&line->there);
  line->kind->close(&line->back);
}

static void tell(struct line *line, const char *doing)
{
  trouble_tell(line->trouble, EXIT_SYSTEM, "%s: cannot %s: %s", line->kind->name, doing, strerror(errno));
}

static bool in_trouble(const struct line *line)
{
  return atomic_load_explicit(&line->trouble->status, memory_order_relaxed) != 0;
}

/** The thread at the other end: gives each message back. */
static void answer(void *argument)
{
  struct line *line = argument;
  const size_t size = line->content->size;
  unsigned char *in = allocate(line->batch * size), *out = allocate(line->batch * size);
  const void **answers = allocate(line->batch * sizeof *answers);
  size_t n, i;

  for (i = 0; i < line->batch; i++) answers[i] = out + i * size;
  while ((n = line->kind->receive(&line->there, in, line->batch)) > 0) {
    for (i = 0; i < n; i++) memcpy(out + i * size, in + i * size, size); /* the handler */
    if (!line->kind->send(&line->back, answers, n)) break;
  }
  if (n > 0 || errno) tell(line, "answer");
  line->kind->finish(&line->back);
  free(answers);
  free(out);
  free(in);
}

static bool send_batch(struct line *line, size_t count, const void **messages)
{
  size_t i;

  for (i = 0; i < count; i++) messages[i] = content_payload(line->content, line->sent + i);
  line->sent += count;
  if (line->kind->send(&line->there, messages, count)) return true;
  tell(line, "send");
  return false;
}

/** \return how many came back; 0 at the end or in trouble. */
static size_t receive_batch(struct line *line, unsigned char *results)
{
  const size_t size = line->content->size, n = line->kind->receive(&line->back, results, line->batch);
  size_t i;

  if (n == 0 && errno) tell(line, "receive");
  for (i = 0; i < n; i++, line->received++) {
    if (content_matches(line->content, line->received, results + i * size, size)) continue;
    trouble_tell(line->trouble, EXIT_MESSAGES_FAILED, "%s: message %" PRIu64 " came back wrong", line->kind->name,
                 line->received);
    return 0;
  }
  return n;
}

static void produce(void *argument)
{
  struct line *line = argument;
  const void **messages = allocate(line->batch * sizeof *messages);
  unsigned calls = 0;

  do {
    if (!send_batch(line, line->batch, messages)) break;
    calls++;
  } while ((line->batch < 32 && calls % 32) || (clock_ns() < line->end && !stop_requested() && !in_trouble(line)));
  line->kind->finish(&line->there);
  free(messages);
}

static void consume(void *argument)
{
  struct line *line = argument;
  unsigned char *results = allocate(line->batch * line->content->size);

  while (receive_batch(line, results) > 0) continue;
  while (in_trouble(line) && line->kind->receive(&line->back, results, line->batch) > 0) continue; /* nobody waits */
  line->done = clock_ns();
  free(results);
}

/** One thread sends and receives. It never sends what it would have to wait for. */
static void do_both(void *argument)
{
  struct line *line = argument;
  const void **messages = allocate(line->batch * sizeof *messages);
  unsigned char *results = allocate(line->batch * line->content->size);
  bool sending = true;

  for (;;) {
    while (sending && (line->sent == line->received || line->sent - line->received + line->batch <= line->there.room)) {
      sending = clock_ns() < line->end && !stop_requested() && !in_trouble(line);
      if (sending && !send_batch(line, line->batch, messages)) sending = false;
    }
    if (line->sent == line->received || receive_batch(line, results) == 0) break;
  }
  line->done = clock_ns();
  line->kind->finish(&line->there);
  free(results);
  free(messages);
}

static bool end_of_trouble(struct bench *bench, struct trouble *trouble)
{
  if (!atomic_load(&trouble->status)) return true;
  return bench_fail(bench, atomic_load(&trouble->status), "%s", trouble->text);
}

/** One run of \p threads lines for \p seconds. */
static bool run_once(struct bench *bench, const struct channel_kind *kind, const struct content *content,
                     unsigned threads, bool separate, unsigned batch, double seconds, double *rate, uint64_t *messages)
{
  struct line *lines = allocate(threads * sizeof *lines);
  struct trouble trouble;
  struct crew crew;
  int64_t begin, end = 0;
  unsigned opened = 0, i;
  bool fine = true;

  memset(&trouble, 0, sizeof trouble);
  crew_init(&crew, 3 * threads);
  while (fine && opened < threads) {
    struct line *line = &lines[opened];

    fine = line_open(bench, line, kind, content, batch, &trouble);
    if (!fine) break;
    opened++;
    fine = crew_add(bench, &crew, answer, line) && crew_add(bench, &crew, separate ? produce : do_both, line) &&
           (!separate || crew_add(bench, &crew, consume, line));
  }
  *messages = 0;
  if (fine) {
    begin = clock_ns();
    for (i = 0; i < threads; i++) lines[i].end = begin + (int64_t)(seconds * 1e9);
    begin = crew_go(&crew);
  }
  crew_end(&crew);
  for (i = 0; i < opened; i++) {
    *messages += lines[i].received;
    if (lines[i].done > end) end = lines[i].done;
    line_close(&lines[i]);
  }
  free(lines);
  *rate = fine ? (double)*messages / ((double)(end - begin) * 1e-9) : 0;
  return fine && end_of_trouble(bench, &trouble);
}

static bool measure_rate(struct bench *bench, const struct channel_kind *kind, const struct content *content,
                         unsigned threads, bool separate, unsigned batch, struct figures *figures)
{
  const double part = bench->settings.seconds / REPEATS;
  double rates[REPEATS], rate;
  struct disturbance_mark mark;
  uint64_t messages;
  int i;

  if (!run_once(bench, kind, content, threads, separate, batch, part / 3, &rate, &messages)) return false;
  disturbance_mark(&mark);
  for (i = 0; i < REPEATS; i++) {
    if (!run_once(bench, kind, content, threads, separate, batch, part, &rates[i], &messages)) return false;
    figures->messages += messages;
  }
  disturbance_since(&mark, &figures->disturbance);
  figures->messages_per_s = median(rates, REPEATS);
  figures->bytes_in_per_s = figures->bytes_out_per_s = figures->messages_per_s * (double)content->size;
  repeats_spread(rates, REPEATS, figures);
  return true;
}

static bool measure_latency(struct bench *bench, const struct channel_kind *kind, const struct content *content,
                            struct figures *figures)
{
  enum { SAMPLES_MAX = 1 << 20 };
  const int64_t turn = (int64_t)(bench->settings.seconds * 1e9 / REPEATS);
  unsigned char *result = allocate(content->size);
  struct disturbance_mark mark;
  struct trouble trouble;
  struct samples samples;
  double middles[REPEATS];
  const void *message;
  struct line line;
  struct crew crew;
  int64_t before, begin;
  bool fine;
  int i;

  memset(&trouble, 0, sizeof trouble);
  samples_init(&samples, SAMPLES_MAX);
  crew_init(&crew, 1);
  fine = line_open(bench, &line, kind, content, 1, &trouble);
  if (!fine) goto nothing;
  fine = crew_add(bench, &crew, answer, &line);
  if (!fine) goto no_thread;
  crew_go(&crew);
  for (begin = clock_ns(); fine && clock_ns() < begin + turn / 3;)
    fine = send_batch(&line, 1, &message) && receive_batch(&line, result) == 1;
  disturbance_mark(&mark);
  begin = clock_ns();
  for (i = 0; fine && i < REPEATS; i++) {
    const size_t first = samples.count;

    do {
      before = clock_ns();
      fine = send_batch(&line, 1, &message) && receive_batch(&line, result) == 1;
    } while (fine && samples_add(&samples, clock_ns() - before) && clock_ns() < begin + (i + 1) * turn &&
             !stop_requested());
    samples_sort(&samples, first);
    middles[i] = (double)sample_at(samples.ns + first, samples.count - first, 0.5);
  }
  disturbance_since(&mark, &figures->disturbance);
  figures->messages = samples.count;
  repeats_spread(middles, REPEATS, figures);
  samples_summarise(&samples, figures);
no_thread:
  line.kind->finish(&line.there);
  crew_end(&crew);
  line_close(&line);
  free(result);
  samples_free(&samples);
  return fine && end_of_trouble(bench, &trouble);

nothing:
  crew_end(&crew);
  free(result);
  samples_free(&samples);
  return false;
}

/* ------------------------------------------------------------------------------------------------------ points */

void point_rate_parameters(struct point *point, size_t payload, unsigned threads, bool separate, const char *calls,
                           unsigned batch)
{
  point_number(point, "payload", (double)payload);
  point_number(point, "threads", threads);
  point_word(point, "reader", separate ? "other" : "same");
  point_word(point, "calls", calls);
  point_number(point, "batch", batch);
}

/** They echo, on the CPU: they are nothing that could be used instead of a GPU. Each holds some batches. */
static bool are_wanted(const struct bench *bench, const struct content *content, unsigned batch)
{
  return bench->backend == GQ_BACKEND_CPU && content->echoes && content->size > 0 &&
         content->size <= BATCH_BYTES_MAX / batch;
}

bool peers_latency(struct bench *bench, const char *scenario, const struct content *content)
{
  const struct channel_kind *kind;

  if (!are_wanted(bench, content, 1)) return true;
  for (kind = channel_kinds; kind->name; kind++) {
    struct point *point = point_new(scenario, kind->name);

    point->is_baseline = true;
    point_number(point, "payload", (double)content->size);
    bench_expect(bench, kind->name, bench->settings.seconds);
    if (!measure_latency(bench, kind, content, &point->figures)) return point_drop(point), false;
    if (!point_done(bench, point)) return false;
  }
  return true;
}

bool peers_rate(struct bench *bench, const char *scenario, const char *handler, const struct content *content,
                unsigned threads, bool separate, unsigned batch)
{
  const struct channel_kind *kind;

  if (!are_wanted(bench, content, batch)) return true;
  for (kind = channel_kinds; kind->name; kind++) {
    struct point *point = point_new(scenario, kind->name);

    point->is_baseline = true;
    if (handler) point_word(point, "handler", handler);
    point_rate_parameters(point, content->size, threads, separate, batch == 1 ? "single" : "batch", batch);
    bench_expect(bench, kind->name, bench->settings.seconds);
    if (!measure_rate(bench, kind, content, threads, separate, batch, &point->figures)) return point_drop(point), false;
    if (!point_done(bench, point)) return false;
  }
  return true;
}
