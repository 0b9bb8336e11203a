/* SPDX-License-Identifier: Apache-2.0 */
/* A handler in a file of its own, which check_numbers.c links into the program, and which runs by itself too:
 *
 *     printf '4111 1111 1111 1111\n' | gpuqueue run --handler ./luhn.c
 *
 * The Luhn check (ISO/IEC 7812-1, annex B) of a number such as a payment card's: from the right, every second digit is
 * doubled, the digits of all that are added, and the sum of a valid number is a multiple of 10. */
#include <gpuqueue/handler.h>

#define LUHN_ARGS(ARG) ARG(uint, least, 2, "how many digits a valid number has at least")

GQ_HANDLER(luhn, LUHN_ARGS,
  GQ_SUMMARY("1 if the check digit of a number is right, else 0 (code 1: not digits, blanks and hyphens)")
  GQ_SCOPES(thread)
  GQ_OUTPUT(text)
  GQ_RESULT(0, 1)
  GQ_SHORT
  GQ_EXAMPLE("gpuqueue run --handler ./luhn.c --arg least=12 --with-input numbers.txt"))
{
  const luhn_args *args = GQ_ARGS(luhn, ctx);
  uint32_t sum = 0, digits = 0, i;

  for (i = msg->size; i > 0; i--) {
    const uint32_t c = msg->data[i - 1], digit = c - '0';

    if (c == ' ' || c == '-') continue;
    if (digit > 9) return 1; /* a dead letter: this message can never be right */
    sum += digits++ % 2 == 0 ? digit : digit < 5 ? 2 * digit : 2 * digit - 9;
  }
  reply->size = 1;
  if (reply->capacity >= 1) reply->data[0] = digits >= args->least && sum % 10 == 0 ? '1' : '0';
  return 0;
}
