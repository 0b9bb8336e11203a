/* SPDX-License-Identifier: Apache-2.0 */
/* A lane for each producer and its poller, in enqueue order, with others draining all the while. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_lanes",
    .kind = { .max_message_bytes = 16384, .large_percent = 2 },
    .capacity = 256, .lanes = 4, .ordered = true,
    .producers = 4, .pollers = 4, .drainers = 2, .batch = 32, .reserve_percent = 10,
  };
  return stress_main(argc, argv, &plan);
}
