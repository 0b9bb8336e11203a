/* SPDX-License-Identifier: Apache-2.0 */
#include "repeats.h"

#include <stdlib.h>

#include "bench.h"

static int by_size(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

double median(double *values, size_t count)
{
  qsort(values, count, sizeof *values, by_size);
  return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void repeats_spread(double *values, size_t count, struct figures *figures)
{
  const double middle = median(values, count);

  double spread;

  if (count < 2 || middle <= 0) return;
  spread = (values[count - 1] - values[0]) / middle;
  figures->spread_known = true;
  if (spread > figures->spread) figures->spread = spread;
}
