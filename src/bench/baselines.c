/* SPDX-License-Identifier: Apache-2.0 */
#include "baselines.h"

#include <stdio.h>

#include "baseline_cells.h"
#include "baseline_gpu.h"

static const gq_baseline baselines[] = {
  {"pingpong", "one cell to a resident kernel and back; one warp looks for it", GQ_BASELINE_LATENCY, true},
  {"pingpong-2-warps", "the same with two warps looking in turn", GQ_BASELINE_LATENCY, true},
  {"resident-ring", "cells streaming through the smallest resident queue", GQ_BASELINE_RATE, true},
  {"copy-in", "copy engine, host to device", GQ_BASELINE_BANDWIDTH, true},
  {"copy-out", "copy engine, device to host", GQ_BASELINE_BANDWIDTH, true},
  {"copy-both", "copy engines, both ways at once", GQ_BASELINE_BANDWIDTH, true},
  {"sm-in", "multiprocessors reading host memory", GQ_BASELINE_BANDWIDTH, true},
  {"sm-out", "multiprocessors writing host memory", GQ_BASELINE_BANDWIDTH, true},
  {"sm-both", "multiprocessors reading and writing host memory at once", GQ_BASELINE_BANDWIDTH, true},
  {"copy-launch-copy", "copy, launch, copy, synchronise", GQ_BASELINE_LATENCY, false},
  {"mapped-launch", "launch on mapped host memory, synchronise", GQ_BASELINE_LATENCY, false},
  {"graph", "the same as a CUDA graph", GQ_BASELINE_LATENCY, false},
  {"pipelined-mapped", "a launch a message on mapped host memory, many on several streams", GQ_BASELINE_RATE, false},
  {"pipelined-copies", "the same with a copy each way", GQ_BASELINE_RATE, false},
};

/* In the order of the table. */
enum { PINGPONG, PINGPONG_2, RING, COPY_IN, COPY_OUT, COPY_BOTH, SM_IN, SM_OUT, SM_BOTH, COPY_LAUNCH_COPY,
       MAPPED_LAUNCH, GRAPH, PIPELINED_MAPPED, PIPELINED_COPIES, COUNT };
_Static_assert(COUNT == sizeof baselines / sizeof *baselines, "a name for each row");

_Static_assert(GQ_BASELINE_MOST_CELL_PAYLOAD == 4 * (GQ_BASELINE_MOST_UNITS * 3 - GQ_HEAD_WORDS), "what a cell holds");

const gq_baseline *gq_cuda_baselines(size_t *count)
{
  *count = gq_baseline_have_kernels() ? COUNT : 0;
  return baselines;
}

static bool measure(unsigned which, const gq_baseline_task *task, gq_baseline_result *result)
{
  switch (which) {
  case PINGPONG: return gq_baseline_pingpong(task, 1, result);
  case PINGPONG_2: return gq_baseline_pingpong(task, 2, result);
  case RING: return gq_baseline_stream_ring(task, result);
  case COPY_IN: return gq_baseline_copy_engines(task, GQ_WAY_IN, result);
  case COPY_OUT: return gq_baseline_copy_engines(task, GQ_WAY_OUT, result);
  case COPY_BOTH: return gq_baseline_copy_engines(task, GQ_WAY_BOTH, result);
  case SM_IN: return gq_baseline_multiprocessors(task, GQ_WAY_IN, result);
  case SM_OUT: return gq_baseline_multiprocessors(task, GQ_WAY_OUT, result);
  case SM_BOTH: return gq_baseline_multiprocessors(task, GQ_WAY_BOTH, result);
  case COPY_LAUNCH_COPY: return gq_baseline_launch_and_wait(task, GQ_LAUNCH_COPIES, result);
  case MAPPED_LAUNCH: return gq_baseline_launch_and_wait(task, GQ_LAUNCH_MAPPED, result);
  case GRAPH: return gq_baseline_launch_and_wait(task, GQ_LAUNCH_GRAPH, result);
  case PIPELINED_MAPPED: return gq_baseline_pipelined(task, GQ_LAUNCH_MAPPED, result);
  default: return gq_baseline_pipelined(task, GQ_LAUNCH_COPIES, result);
  }
}

/* \return whether what was asked for can be measured. */
static bool check_arguments(unsigned which, size_t payload, unsigned threads, double seconds, char *error, size_t size)
{
  const bool cells = which <= RING;
  const size_t most = cells ? GQ_BASELINE_MOST_CELL_PAYLOAD : GQ_BASELINE_MOST_PAYLOAD;

  if (!gq_baseline_have_kernels())
    snprintf(error, size, "this build has no GPU code: it was configured without nvcc");
  else if (cells && !GQ_BASELINE_HAS_CELLS)
    snprintf(error, size, "%s: only x86-64 and 64-bit Arm hosts write 16 bytes at once", baselines[which].name);
  else if (baselines[which].kind != GQ_BASELINE_BANDWIDTH && payload > most)
    snprintf(error, size, "%s: a payload of %zu bytes is too large (0 to %zu)", baselines[which].name, payload, most);
  else if (threads < 1 || threads > GQ_BASELINE_MOST_THREADS)
    snprintf(error, size, "%s: %u threads are out of range (1 to %u)", baselines[which].name, threads,
             GQ_BASELINE_MOST_THREADS);
  else if (!(seconds > 0 && seconds <= GQ_BASELINE_MOST_SECONDS))
    snprintf(error, size, "%s: %g seconds are out of range (more than 0, up to %g)", baselines[which].name, seconds,
             GQ_BASELINE_MOST_SECONDS);
  else
    return true;
  return false;
}

int gq_cuda_baseline_run(const gq_baseline *b, int device, size_t payload, unsigned threads, double seconds,
                         gq_baseline_result *result, char *error, size_t error_size)
{
  const unsigned which = (unsigned)(b - baselines);
  gq_baseline_result found = {0};
  gq_baseline_gpu gpu;
  const gq_baseline_task task = {&gpu, payload, threads, seconds};

  if (!check_arguments(which, payload, threads, seconds, error, error_size)) return -1;
  if (!gq_baseline_open(&gpu, device, seconds, error, error_size)) return -1;
  measure(which, &task, &found);
  gq_baseline_close(&gpu);
  if (gpu.failed) return -1;
  *result = found;
  return 0;
}
