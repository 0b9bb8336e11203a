/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of doc/performance.md: round trips with one message in flight, and batched rates from 1 and 8 lanes.
 * Every result is read and compared with what was sent. No test: `make tests/measure`, then
 *
 *   tests/measure [BACKEND [SCALE]]      BACKEND: cuda, cpu or auto (default); SCALE: 1 is some 30 s on a GPU
 */
#include <gpuqueue/gpuqueue.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 256u
#define WARM_UP 1000u
#define LANES_MAX 8u
#define PAYLOAD_MAX 64u
#define PATIENCE INT64_C(10000000000)

static void must(gq_status status, const char *what)
{
  if (status == GQ_OK) return;
  fprintf(stderr, "measure: %s: %s: %s\n", what, gq_status_name((int)status), gq_last_error());
  exit(1);
}

static double now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What message `number` of a lane carries: eight different bytes, again and again. */
static uint64_t pattern(uint64_t number, uint64_t lane)
{
  return (number + 1) * 0x9e3779b97f4a7c15ull ^ lane << 56;
}

static void fill(unsigned char *payload, size_t size, uint64_t word)
{
  for (size_t i = 0; i < size; i += 8) memcpy(payload + i, &word, 8);
}

static void check(const gq_completion *c, size_t size, uint64_t lane)
{
  unsigned char expected[PAYLOAD_MAX];

  fill(expected, size, pattern(c->tag, lane));
  if (c->status == GQ_OK && c->size == size && memcmp(c->data, expected, size) == 0) return;
  fprintf(stderr, "measure: message %llu came back wrong (%s, %zu bytes)\n", (unsigned long long)c->tag,
          gq_status_name((int)c->status), c->size);
  exit(1);
}

/* ---------------------------------------------------------------------------------------------- round trips */

static int by_size(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;

  return x < y ? -1 : x > y;
}

static void round_trips(const gq_options *base, uint32_t cell_bytes, size_t size, size_t count)
{
  double *times = malloc(count * sizeof *times), *from = times + WARM_UP;
  const size_t n = count - WARM_UP;
  gq_options options = *base;
  gq_queue *queue;

  if (!times) exit(1);
  options.cell_bytes = cell_bytes;
  must(gq_init(&queue, &options), "gq_init");
  for (size_t i = 0; i < count; i++) {
    unsigned char payload[PAYLOAD_MAX], result[PAYLOAD_MAX];
    const gq_message message = {payload, size, 0, 0, 0};
    size_t room = sizeof result;
    uint64_t id;

    fill(payload, size, pattern(i, 0));
    times[i] = now();
    must(gq_enqueue(queue, &message, PATIENCE, &id), "gq_enqueue");
    must(gq_dequeue_result(queue, id, result, &room, PATIENCE), "gq_dequeue_result");
    times[i] = now() - times[i];
    if (room != size || memcmp(result, payload, size) != 0) {
      fprintf(stderr, "measure: message %zu came back wrong\n", i);
      exit(1);
    }
  }
  qsort(from, n, sizeof *from, by_size);
  printf("round trip, %zu-byte payload, %u-byte cells: p50 %.2f  p99 %.2f  p99.9 %.2f  min %.2f us\n", size, cell_bytes,
         from[n / 2] * 1e6, from[n * 99 / 100] * 1e6, from[n * 999 / 1000] * 1e6, from[0] * 1e6);
  must(gq_shutdown(queue, PATIENCE), "gq_shutdown");
  free(times);
}

/* ---------------------------------------------------------------------------------------------------- rates */

typedef struct lane {
  gq_queue *queue;
  uint64_t index;
  size_t count, size;
} lane;

static size_t send_some(const lane *l, size_t sent, int64_t timeout_ns)
{
  unsigned char payloads[BATCH][PAYLOAD_MAX];
  gq_message messages[BATCH];
  const size_t n = l->count - sent < BATCH ? l->count - sent : BATCH;
  gq_status status;
  size_t done = 0;

  for (size_t i = 0; i < n; i++) {
    fill(payloads[i], l->size, pattern(sent + i, l->index));
    messages[i] = (gq_message){payloads[i], l->size, 0, 0, 0};
  }
  status = gq_enqueue_batch(l->queue, messages, n, timeout_ns, NULL, &done);
  if (status != GQ_FULL || timeout_ns != 0) must(status, "gq_enqueue_batch");
  return done;
}

static size_t receive_some(const lane *l, int64_t timeout_ns)
{
  gq_completion completions[BATCH];
  size_t n = 0;
  const gq_status status = timeout_ns == 0 ? gq_poll(l->queue, completions, BATCH, &n)
                                           : gq_wait(l->queue, completions, BATCH, timeout_ns, &n);

  if (status == GQ_AGAIN) return 0;
  must(status, "gq_wait");
  for (size_t i = 0; i < n; i++) {
    completions[i].tag = (completions[i].id & ((1ull << 52) - 1)) - 1; /* ids count up from a lane's first */
    check(&completions[i], l->size, l->index);
  }
  gq_release(l->queue, completions, n);
  return n;
}

static void *produce(void *argument)
{
  const lane *l = argument;

  for (size_t sent = 0; sent < l->count;) sent += send_some(l, sent, PATIENCE);
  return NULL;
}

static void *consume(void *argument)
{
  const lane *l = argument;

  for (size_t received = 0; received < l->count;) received += receive_some(l, PATIENCE);
  return NULL;
}

static void *do_both(void *argument)
{
  const lane *l = argument;
  size_t sent = 0, received = 0;

  while (received < l->count) {
    if (sent < l->count) sent += send_some(l, sent, 0);
    received += receive_some(l, 0);
  }
  return NULL;
}

static void rate(const gq_options *base, uint32_t cell_bytes, size_t size, uint32_t lanes, int threads, size_t count)
{
  pthread_t thread[LANES_MAX][2];
  lane l[LANES_MAX];
  gq_options options = *base;
  gq_queue *first;
  double begin;

  options.cell_bytes = cell_bytes;
  options.capacity = 32768;
  options.lanes = lanes;
  must(gq_init(&first, &options), "gq_init");
  begin = now();
  for (uint32_t i = 0; i < lanes; i++) {
    l[i] = (lane){first, i, count, size};
    if (i > 0) must(gq_open_lane(first, &l[i].queue), "gq_open_lane");
    if (pthread_create(&thread[i][0], NULL, threads == 2 ? produce : do_both, &l[i]) != 0) exit(1);
    if (threads == 2 && pthread_create(&thread[i][1], NULL, consume, &l[i]) != 0) exit(1);
  }
  for (uint32_t i = 0; i < lanes; i++)
    for (int t = 0; t < threads; t++) pthread_join(thread[i][t], NULL);
  printf("batched echo, %zu-byte payload, %u-byte cells, %u lane%s, %s: %.1f M msg/s\n", size, cell_bytes, lanes,
         lanes == 1 ? "" : "s", threads == 2 ? "a producer and a consumer thread each" : "one thread each",
         (double)lanes * (double)count / (now() - begin) * 1e-6);
  must(gq_shutdown(first, PATIENCE), "gq_shutdown");
}

int main(int argc, char **argv)
{
  const double scale = argc > 2 ? atof(argv[2]) : 1;
  gq_options options;
  gq_queue *queue;

  setvbuf(stdout, NULL, _IOLBF, 0);
  must(gq_options_init(&options), "gq_options_init");
  options.max_message_bytes = 4096;
  if (argc > 1) must(gq_option_set(&options, "backend", argv[1]), "backend");
  must(gq_init(&queue, &options), "gq_init");
  printf("%s\n", gq_describe(queue));
  must(gq_shutdown(queue, PATIENCE), "gq_shutdown");
  round_trips(&options, 64, 32, WARM_UP + (size_t)(30000 * scale));
  round_trips(&options, 128, 64, WARM_UP + (size_t)(30000 * scale));
  for (uint32_t cell_bytes = 64; cell_bytes <= 128; cell_bytes *= 2)
    for (uint32_t lanes = 1; lanes <= LANES_MAX; lanes *= LANES_MAX)
      for (int threads = 1; threads <= 2; threads++)
        rate(&options, cell_bytes, cell_bytes / 2, lanes, threads, 1 + (size_t)((lanes == 1 ? 16e6 : 8e6) * scale));
  return 0;
}
