/* SPDX-License-Identifier: Apache-2.0 */
/* Half of all messages are cancelled, by their producers and by those who wait for them. */
#include "stress.h"

int main(int argc, char **argv)
{
  const stress_plan plan = {
    .name = "stress_cancel",
    .kind = { .max_message_bytes = 2048, .large_percent = 5, .keys = 2 },
    .capacity = 64, .lanes = 1,
    .producers = 3, .takers = 3, .batch = 8, .cancel_percent = 100,
  };
  return stress_main(argc, argv, &plan);
}
