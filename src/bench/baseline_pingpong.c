/* SPDX-License-Identifier: Apache-2.0 */
/* Raw limit: one cell to a resident kernel and back, over and over. One read over the bus finds the whole message. */
#include <string.h>

#include "baseline_cells.h"
#include "baseline_gpu.h"

#define WARM_UP 200u
#define REPLY_AT 4096u /* the cells lie in pages of their own */
#define LOOKS 4096u    /* fruitless looks between two at the clock */

typedef struct pingpong {
  gq_baseline_gpu *gpu;
  gq_vector *message, *reply;
  uint32_t units;
  gq_vector expected[GQ_BASELINE_MOST_UNITS];
} pingpong;

static bool is_answered(const pingpong *p)
{
  gq_vector differences = {0, 0, 0, 0};

  for (uint32_t k = 0; k < p->units; k++) differences |= gq_vector_load(&p->reply[k]) ^ p->expected[k];
  return gq_vector_is_zero(differences);
}

/* \return false if the reply is there and wrong, or has taken too long. */
static bool may_wait(const pingpong *p, uint32_t tag, uint64_t begin)
{
  uint32_t there = 0;

  for (uint32_t k = 0; k < p->units; k++) there += gq_vector_load(&p->reply[k])[3] == tag;
  if (there == p->units && !is_answered(p))
    return gq_baseline_fail(p->gpu, "the answer to message %u is wrong", tag);
  return gq_baseline_now() - begin < GQ_BASELINE_PATIENCE_NS || gq_baseline_no_answer(p->gpu, "a resident kernel");
}

/* Send message number `tag`, and wait for its answer. */
static bool exchange(pingpong *p, uint32_t tag, uint64_t *ns)
{
  const gq_vector mark = {GQ_BASELINE_MARK, GQ_BASELINE_MARK, GQ_BASELINE_MARK, 0};
  gq_vector sent[GQ_BASELINE_MOST_UNITS];
  uint32_t looks = 0;
  uint64_t begin;

  for (uint32_t k = 0; k < p->units; k++) {
    sent[k] = (gq_vector){tag * 17 + k, tag + 0x10000 * k, ~tag - k, tag};
    p->expected[k] = sent[k] ^ mark;
  }
  begin = gq_baseline_now();
  for (uint32_t k = 0; k < p->units; k++) gq_vector_store(&p->message[k], sent[k]);
  while (!is_answered(p))
    if (++looks % LOOKS == 0 && !may_wait(p, tag, begin)) return false;
  *ns = gq_baseline_now() - begin;
  return true;
}

static bool play(pingpong *p, const gq_baseline_task *task, gq_baseline_samples *samples)
{
  uint64_t end = 0, ns;
  uint32_t tag = 1;

  for (; tag <= WARM_UP; tag++)
    if (!exchange(p, tag, &ns)) return false;
  end = gq_baseline_now() + (uint64_t)(task->seconds * 1e9);
  do {
    if (!exchange(p, tag++, &ns)) return false;
  } while (gq_baseline_samples_add(samples, ns) && gq_baseline_now() < end);
  return true;
}

bool gq_baseline_pingpong(const gq_baseline_task *task, unsigned warps, gq_baseline_result *result)
{
  gq_baseline_gpu *gpu = task->gpu;
  pingpong p = {.gpu = gpu, .units = gq_baseline_units(task->payload)};
  gq_baseline_samples samples;
  gq_cuda_address cells, replies;
  gq_cuda_function kernel;
  void *parameters[] = {&cells, &replies, &p.units, &gpu->life};
  gq_cuda_result launched;
  uint8_t *memory;
  bool ok;

  if (!gq_baseline_kernel(gpu, warps == 2 ? "gq_baseline_pingpong2" : "gq_baseline_pingpong", &kernel)) return false;
  memory = gq_baseline_host(gpu, 2 * REPLY_AT, &cells);
  if (!memory || !gq_baseline_samples_open(&samples, task)) return false;
  p.message = (gq_vector *)(void *)memory;
  p.reply = (gq_vector *)(void *)(memory + REPLY_AT);
  replies = cells + REPLY_AT;
  launched = gpu->driver.cuLaunchKernel(kernel, 1, 1, 1, 32 * warps, 1, 1, 0, gpu->stream, parameters, NULL);
  ok = gq_baseline_called(gpu, launched, "cuLaunchKernel") && play(&p, task, &samples);
  gq_baseline_samples_close(&samples, task->payload, result);
  return ok;
}
