/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include <stddef.h>

uint32_t cell_that_takes(uint64_t bytes, uint32_t smallest)
{
  static const struct { uint32_t bytes, holds; } cells[] = {{64, 36}, {128, 84}, {256, 180}, {512, 372}};

  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
    if (cells[i].bytes >= smallest && bytes <= cells[i].holds) return cells[i].bytes;
  return 0;
}
