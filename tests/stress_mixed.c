/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers by id and by polling on the same lanes, and messages cancelled at any time. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_mixed",
    .kind = { .max_message_bytes = 4096, .large_percent = 5 },
    .capacity = 128, .lanes = 2, .cell_bytes = 256,
    .producers = 4, .takers = 2, .pollers = 4, .batch = 16, .reserve_percent = 10, .abort_percent = 10,
    .cancel_percent = 20,
  };
  return stress_main(argc, argv, &plan);
}
