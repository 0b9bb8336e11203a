/* SPDX-License-Identifier: Apache-2.0 */
/* Bursts between which the consumer parks, is about to park, or has just been woken. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_park",
    .kind = { .max_message_bytes = 1024, .large_percent = 5 },
    .capacity = 64, .lanes = 2, .park_us = 20,
    .producers = 2, .takers = 1, .pollers = 2, .batch = 8, .burst = 6, .pause_us = 1500,
  };
  return stress_main(argc, argv, &plan);
}
