/* SPDX-License-Identifier: Apache-2.0 */
/* A handler whose source is a text in the program: it is compiled when the queue is opened, for the CPU or for the GPU,
 * whichever runs. Scores 10,000 packed records by a linear model whose weights are the handler's state, takes the
 * scores by the ids of their messages, and compares each with what plain C gives.
 *
 *     cc -O2 -o score score.c $(pkg-config --cflags --libs gpuqueue) -lm && ./score */
#include <gpuqueue/gpuqueue.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FEATURES 8
#define RECORDS 10000
#define BATCH 100
#define TIMEOUT_NS 10000000000 /* 10 s: more than any call here should take */

/* FEATURES comes from -DFEATURES, so that host and handler agree. A record is FEATURES float32, and its result one. */
static const char score_source[] =
  "#include <gpuqueue/handler.h>\n"
  "#define SCORE_ARGS(ARG) ARG(real, bias, 0, \"added to every score\")\n"
  "GQ_HANDLER(score, SCORE_ARGS,\n"
  "  GQ_SUMMARY(\"weights * features + bias (code 1: not FEATURES float32)\")\n"
  "  GQ_SCOPES(thread) GQ_RESULT(0, 4) GQ_SHORT GQ_STATE_REQUIRED)\n"
  "{\n"
  "  const score_args *args = GQ_ARGS(score, ctx);\n"
  "  const float *x = (const float *)msg->data, *w = (const float *)ctx->state;\n"
  "  float sum = (float)args->bias;\n"
  "  uint32_t i;\n"
  "\n"
  "  if (msg->size != FEATURES * 4) return 1;\n"
  "  for (i = 0; i < FEATURES; i++) sum = fmaf(w[i], x[i], sum);\n"
  "  reply->size = 4;\n"
  "  if (reply->capacity >= 4) *(float *)reply->data = sum;\n"
  "  return 0;\n"
  "}\n"
  "GQ_INIT(score)\n"
  "{\n"
  "  return ctx->state_bytes != FEATURES * 4;\n" /* weights of another model: gq_init() fails and says code 1 */
  "}\n";

static const float weights[FEATURES] = {0.5f, -1.25f, 2, 0.125f, -3, 0.75f, 1, -0.5f};

/* Feature `i` of record `r`: any numbers that can be made again. */
static float feature(unsigned r, unsigned i)
{
  return (float)((r * 2654435761u + i * 40503u) % 1000) / 250 - 2;
}

static float expected_score(unsigned r)
{
  float sum = 1.5f;

  for (unsigned i = 0; i < FEATURES; i++) sum = fmaf(weights[i], feature(r, i), sum);
  return sum;
}

/* Send records first .. first + BATCH - 1 in one call, and take their results by their ids. */
static gq_status score_batch(gq_queue *queue, unsigned first, unsigned *wrong)
{
  static float records[BATCH][FEATURES];
  gq_message messages[BATCH];
  uint64_t ids[BATCH];
  size_t done;
  gq_status status;

  memset(messages, 0, sizeof messages);
  for (unsigned m = 0; m < BATCH; m++) {
    for (unsigned i = 0; i < FEATURES; i++) records[m][i] = feature(first + m, i);
    messages[m].data = records[m];
    messages[m].size = sizeof records[m];
  }
  status = gq_enqueue_batch(queue, messages, BATCH, TIMEOUT_NS, ids, &done);
  for (unsigned m = 0; status == GQ_OK && m < BATCH; m++) {
    const float right = expected_score(first + m);
    float score;
    size_t size = sizeof score;

    status = gq_dequeue_result(queue, ids[m], &score, &size, TIMEOUT_NS);
    if (status != GQ_OK) break;
    if (size == sizeof score && score == right) continue;
    fprintf(stderr, "record %u: the score is %g, not %g\n", first + m, (double)score, (double)right);
    ++*wrong;
  }
  return status;
}

int main(void)
{
  static const char *const args[] = {"bias=1.5", NULL};
  gq_queue *queue = NULL;
  gq_options options;
  gq_status status = gq_options_init(&options);
  unsigned wrong = 0;
  char flags[32];

  if (status != GQ_OK) goto failed;
  snprintf(flags, sizeof flags, "-DFEATURES=%d", FEATURES);
  options.handler_source = score_source;
  options.handler_flags = flags;
  options.args = args;
  options.state_data = weights; /* copied by gq_init() */
  options.state_data_bytes = sizeof weights;
  status = gq_init(&queue, &options);
  if (status != GQ_OK) goto failed; /* also where the source has a mistake: the text is the compiler's */
  printf("%s\n", gq_describe(queue));
  for (unsigned r = 0; status == GQ_OK && r < RECORDS; r += BATCH) status = score_batch(queue, r, &wrong);
  if (status != GQ_OK) goto failed;
  printf("%d records scored, %u of them wrong\n", RECORDS, wrong);
  return gq_shutdown(queue, TIMEOUT_NS) != GQ_OK || wrong > 0;
failed:
  fprintf(stderr, "score: %s: %s\n", gq_status_name(status), gq_last_error());
  gq_shutdown(queue, 0);
  return 1;
}
