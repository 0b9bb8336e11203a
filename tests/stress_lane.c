/* SPDX-License-Identifier: Apache-2.0 */
/* Many producers and consumers on one lane, results taken by id in any order. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_lane",
    .kind = { .max_message_bytes = 16384, .large_percent = 2 },
    .capacity = 1024, .lanes = 1,
    .producers = 4, .takers = 4, .batch = 32,
  };
  return stress_main(argc, argv, &plan);
}
