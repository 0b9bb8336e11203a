/* SPDX-License-Identifier: Apache-2.0 */
/* Tiny capacities, lapped as far as the time lets it: by one producer and one consumer, and by several. */
#include "stress.h"


static const stress_plan plans[] = {
  { .name = "stress_laps of 2", .kind = { .max_message_bytes = 120 }, .capacity = 2, .lanes = 1, .cell_bytes = 128,
    .producers = 2, .pollers = 2, .batch = 2 },
  { .name = "stress_laps of 3", .kind = { .max_message_bytes = 300 }, .capacity = 3, .lanes = 1, .cell_bytes = 64,
    .producers = 3, .takers = 2, .batch = 5 },
  { .name = "stress_laps of 64", .kind = { .max_message_bytes = 40, .keys = 1 }, .capacity = 64, .lanes = 1,
    .cell_bytes = 64, .producers = 1, .pollers = 1, .batch = 64 },
  { .name = "stress_laps of 128", .kind = { .max_message_bytes = 60 }, .capacity = 128, .lanes = 1,
    .producers = 2, .pollers = 1, .batch = 64 },
};

int main(int argc, char **argv)
{
  int worst = 0;
  for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
    const int rc = stress_main(argc, argv, &plans[i]);
    if (rc == 2) return rc;
    if (rc && worst != 1) worst = rc;
  }
  return worst;
}
