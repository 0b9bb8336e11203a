/* SPDX-License-Identifier: Apache-2.0 */
#include "noise.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../timing.h"

/* A gap in a thread that only reads the clock: an interrupt, another process, or the host of this machine. */
#define GAP_NS 5000

void stillness_measure(struct stillness *stillness, double seconds)
{
  const int64_t begin = clock_ns(), length = (int64_t)(seconds * 1e9);
  int64_t now = begin, last = begin, lost = 0, longest = 0;
  uint64_t readings = 0;

  while (now - begin < length) {
    now = clock_ns();
    readings++;
    if (now - last > GAP_NS) lost += now - last;
    if (now - last > longest) longest = now - last;
    last = now;
  }
  stillness->clock_ns = (double)(now - begin - lost) / (double)readings;
  stillness->longest_gap_us = (double)longest / 1e3;
  stillness->lost_share = (double)lost / (double)(now - begin);
}

double own_cpu_seconds(void)
{
  struct rusage usage;

  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

void disturbance_mark(struct disturbance_mark *mark)
{
  unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
  const double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
  FILE *file = fopen("/proc/stat", "re");

  memset(mark, 0, sizeof *mark);
  if (!file) return;
  if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq, &softirq,
             &steal) == 8) {
    mark->known = true;
    mark->busy = (double)(user + nice + system + irq + softirq) * tick;
    mark->stolen = (double)steal * tick;
    mark->total = mark->busy + mark->stolen + (double)(idle + iowait) * tick;
    mark->own = own_cpu_seconds();
  }
  fclose(file);
}

void disturbance_since(const struct disturbance_mark *mark, struct disturbance *disturbance)
{
  struct disturbance_mark now;
  double total, stolen, others;

  disturbance_mark(&now);
  total = now.total - mark->total;
  if (!mark->known || !now.known || total <= 0) return;
  stolen = (now.stolen - mark->stolen) / total;
  others = (now.busy - mark->busy - (now.own - mark->own)) / total;
  disturbance->known = true;
  if (stolen > disturbance->stolen) disturbance->stolen = stolen;
  if (others > disturbance->others) disturbance->others = others; /* both count in ticks: it can be a little below 0 */
}
