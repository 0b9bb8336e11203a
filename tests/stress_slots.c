/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads in slots of an arena that is always short of room, many of them written in place. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_slots",
    .kind = { .max_message_bytes = 1 << 20, .large_percent = 30 },
    .capacity = 64, .lanes = 1, .arena_bytes = 8 << 20,
    .producers = 3, .takers = 2, .pollers = 2, .batch = 8, .reserve_percent = 40, .abort_percent = 30,
  };
  return stress_main(argc, argv, &plan);
}
