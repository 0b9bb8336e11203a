/* SPDX-License-Identifier: Apache-2.0 */
/* Raw limit: how many bytes a second cross the bus, moved by the copy engines or by multiprocessors that read and write
 * host memory. What arrived is compared with what was sent, after the clock has stopped. */
#include <string.h>

#include "baseline_gpu.h"

#define BYTES ((size_t)64 << 20) /* of a pass, each way */
#define UNITS ((uint64_t)BYTES / 16)
#define BATCH 8u                 /* passes between two looks at the clock: some 10 ms */
#define TRIAL_SECONDS 0.02

typedef struct bandwidth {
  gq_baseline_gpu *gpu;
  gq_baseline_way way;
  uint32_t *in, *out; /* host memory of BYTES, that the device reads and writes */
  gq_cuda_address in_address, out_address;
  gq_cuda_address to, from; /* device memory that copies go to and come from */
  gq_cuda_stream back;      /* copies to the host, beside gpu->stream */
  gq_cuda_function kernel;
  gq_cuda_address sum;
  unsigned blocks;
  uint32_t pass;            /* passes that were asked for */
} bandwidth;

static uint32_t word_in(size_t j)
{
  return (uint32_t)j * 2654435761u + 12345u;
}

static bool prepare(bandwidth *b)
{
  b->in = gq_baseline_host(b->gpu, BYTES, &b->in_address);
  b->out = b->in ? gq_baseline_host(b->gpu, BYTES, &b->out_address) : NULL;
  if (!b->out) return false;
  for (size_t j = 0; j < BYTES / 4; j++) b->in[j] = word_in(j);
  return true;
}

/* Ask for passes until the time is over. */
static bool measure(bandwidth *b, bool (*ask)(bandwidth *), double seconds, gq_baseline_result *result)
{
  uint64_t begin, now, passes = 0;
  double rate;

  if (!ask(b) || !gq_baseline_wait(b->gpu, b->gpu->stream)) return false;
  if (b->back && !gq_baseline_wait(b->gpu, b->back)) return false;
  begin = gq_baseline_now();
  do {
    for (unsigned n = 0; n < BATCH; n++, passes++)
      if (!ask(b)) return false;
    if (!gq_baseline_wait(b->gpu, b->gpu->stream)) return false;
    if (b->back && !gq_baseline_wait(b->gpu, b->back)) return false;
    now = gq_baseline_now();
  } while ((double)(now - begin) < seconds * 1e9);
  rate = (double)(passes * BYTES) * 1e9 / (double)(now - begin);
  result->messages = passes;
  result->bytes_in_per_s = b->way & GQ_WAY_IN ? rate : 0;
  result->bytes_out_per_s = b->way & GQ_WAY_OUT ? rate : 0;
  return true;
}

/* Compare what came back with what went in, each word with `mark`. */
static bool check_out(bandwidth *b, uint32_t mark, const char *what)
{
  for (size_t j = 0; j < BYTES / 4; j++)
    if (b->out[j] != (word_in(j) ^ mark))
      return gq_baseline_fail(b->gpu, "%s: word %zu is 0x%08x instead of 0x%08x", what, j, b->out[j],
                              word_in(j) ^ mark);
  return true;
}

/* ------------------------------------------------------------------------------------------------ copy engines */

static bool ask_copies(bandwidth *b)
{
  gq_baseline_gpu *gpu = b->gpu;

  if ((b->way & GQ_WAY_IN) &&
      !gq_baseline_called(gpu, gpu->driver.cuMemcpyHtoDAsync(b->to, b->in, BYTES, gpu->stream), "cuMemcpyHtoDAsync"))
    return false;
  return !(b->way & GQ_WAY_OUT) ||
         gq_baseline_called(gpu, gpu->driver.cuMemcpyDtoHAsync(b->out, b->from, BYTES, b->back), "cuMemcpyDtoHAsync");
}

static bool check_copies(bandwidth *b)
{
  gq_baseline_gpu *gpu = b->gpu;

  if ((b->way & GQ_WAY_OUT) && !check_out(b, 0, "copies from the device")) return false;
  if (!(b->way & GQ_WAY_IN)) return true;
  memset(b->out, 0, BYTES);
  return gq_baseline_called(gpu, gpu->driver.cuMemcpyDtoHAsync(b->out, b->to, BYTES, gpu->stream),
                            "cuMemcpyDtoHAsync") &&
         gq_baseline_wait(gpu, gpu->stream) && check_out(b, 0, "copies to the device");
}

bool gq_baseline_copy_engines(const gq_baseline_task *task, gq_baseline_way way, gq_baseline_result *result)
{
  gq_baseline_gpu *gpu = task->gpu;
  const gq_cuda_driver *d = &gpu->driver;
  bandwidth b = {.gpu = gpu, .way = way};

  if (!prepare(&b)) return false;
  if (!gq_baseline_memory(gpu, BYTES, &b.to) || !gq_baseline_memory(gpu, BYTES, &b.from)) return false;
  if (!gq_baseline_called(gpu, d->cuStreamCreate(&b.back, GQ_CUDA_STREAM_NON_BLOCKING), "cuStreamCreate"))
    return false;
  if (!gq_baseline_called(gpu, d->cuMemcpyHtoDAsync(b.from, b.in, BYTES, gpu->stream), "cuMemcpyHtoDAsync"))
    return false;
  return gq_baseline_wait(gpu, gpu->stream) && measure(&b, ask_copies, task->seconds, result) && check_copies(&b);
}

/* -------------------------------------------------------------------------------------------- multiprocessors */

static bool ask_kernel(bandwidth *b)
{
  gq_baseline_gpu *gpu = b->gpu;
  uint64_t units = UNITS;
  uint32_t pass = ++b->pass;
  void *of_load[] = {&b->in_address, &units, &b->sum}, *of_store[] = {&b->out_address, &units, &pass};
  void *of_both[] = {&b->in_address, &b->out_address, &units};
  void **parameters = b->way == GQ_WAY_IN ? of_load : b->way == GQ_WAY_OUT ? of_store : of_both;

  return gq_baseline_called(gpu, gpu->driver.cuLaunchKernel(b->kernel, b->blocks, 1, 1, GQ_BASELINE_THREADS, 1, 1, 0,
                                                            gpu->stream, parameters, NULL), "cuLaunchKernel");
}

/* The sum of everything that was read in all passes. */
static bool check_sum(bandwidth *b)
{
  gq_baseline_gpu *gpu = b->gpu;
  uint32_t expected = 0;

  for (size_t j = 0; j < BYTES / 4; j++) expected += word_in(j);
  expected *= b->pass;
  if (!gq_baseline_called(gpu, gpu->driver.cuMemcpyDtoHAsync(b->out, b->sum, sizeof *b->out, gpu->stream),
                          "cuMemcpyDtoHAsync") || !gq_baseline_wait(gpu, gpu->stream)) return false;
  return b->out[0] == expected || gq_baseline_fail(gpu, "loads of host memory: the sum of all words is 0x%08x instead "
                                                        "of 0x%08x", b->out[0], expected);
}

static bool check_stored(bandwidth *b)
{
  for (size_t j = 0; j < BYTES / 4; j++) {
    const uint32_t expected = GQ_BASELINE_STORED(j / 4, (uint32_t)(j % 4), b->pass);

    if (b->out[j] != expected)
      return gq_baseline_fail(b->gpu, "stores to host memory: word %zu is 0x%08x instead of 0x%08x", j, b->out[j],
                              expected);
  }
  return true;
}

bool gq_baseline_multiprocessors(const gq_baseline_task *task, gq_baseline_way way, gq_baseline_result *result)
{
  static const char *const names[] = {"", "gq_baseline_load", "gq_baseline_store", "gq_baseline_echo"};
  static const unsigned blocks[] = {8, 16, 24, 32, 64, 128};
  gq_baseline_gpu *gpu = task->gpu;
  bandwidth b = {.gpu = gpu, .way = way};
  unsigned best = blocks[0];
  double best_rate = 0;

  if (!gq_baseline_kernel(gpu, names[way], &b.kernel) || !prepare(&b)) return false;
  if (!gq_baseline_memory(gpu, sizeof(gq_a32), &b.sum)) return false;
  /* The limit is what the best number of blocks gives; more than needed may get in one another's way. */
  for (size_t n = 0; n < sizeof blocks / sizeof *blocks; n++) {
    gq_baseline_result trial;

    b.blocks = blocks[n];
    if (!measure(&b, ask_kernel, TRIAL_SECONDS, &trial)) return false;
    if (trial.bytes_in_per_s + trial.bytes_out_per_s <= best_rate) continue;
    best_rate = trial.bytes_in_per_s + trial.bytes_out_per_s;
    best = blocks[n];
  }
  b.blocks = best;
  memset(b.out, 0, BYTES); /* the last run fills it again */
  if (!measure(&b, ask_kernel, task->seconds, result)) return false;
  return way == GQ_WAY_IN ? check_sum(&b) : way == GQ_WAY_OUT ? check_stored(&b)
                                                              : check_out(&b, GQ_BASELINE_MARK, "loads and stores");
}
