/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with keys that fail and are tried again stay in their order. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_keys",
    .kind = { .max_message_bytes = 1024, .large_percent = 5, .keys = 3, .attempts = 3 },
    .capacity = 128, .lanes = 2, .workers = 4,
    .producers = 4, .pollers = 2, .batch = 16, .reserve_percent = 5,
  };
  return stress_main(argc, argv, &plan);
}
