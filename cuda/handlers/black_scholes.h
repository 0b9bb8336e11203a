/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `black_scholes`: price and sensitivities of a European option on a share without dividends, after
 * F. Black and M. Scholes, "The pricing of options and corporate liabilities" (1973).
 *
 * A message is a line of comma-separated values, as in "call,100,95,0.03,0.2,0.5":
 *
 *     type     call or put, or c or p
 *     spot     price of the share, more than 0
 *     strike   more than 0
 *     rate     yearly, continuously compounded: 0.03 is 3 %
 *     vol      yearly volatility, more than 0: 0.2 is 20 %
 *     years    until expiry, more than 0
 *
 * Blanks around values and a carriage return at the end are skipped. The result is the line
 * "price,delta,gamma,vega,theta,rho", each with 8 digits after the point; vega and rho for a change of 1 (divide by
 * 100 for one percentage point), theta for a year (divide by 365 for a day).
 *
 * With the argument `packed`, message and result are any number of records of 6 doubles each, little-endian, in the
 * same order; the type is 0 for a call and 1 for a put. (The command prints them with --output-format raw.)
 *
 * A line of results may have 131 bytes, more than a cell of 128 has room for; most have some 60. The option
 * `max_result_bytes`, at 80 say, spares them the way through the arena, or `cell_bytes` at 256, which is also what
 * `max_message_bytes` up to 49 gives.
 *
 * All is computed in double. exp(), log() and erfc() may differ in their last bit between backends, and so may the
 * last digit of a result.
 *
 * A message fails with code 1 to 6 if value 1 to 6 is missing, not a number or out of its range (packed: in the first
 * record where one is), 7 if something follows the sixth, 8 if a result is not finite or, in text, not below
 * 90 thousand million, 9 if a packed message is not a whole number of records. */
#ifndef GPUQUEUE_HANDLERS_BLACK_SCHOLES_H
#define GPUQUEUE_HANDLERS_BLACK_SCHOLES_H

#include <gpuqueue/handler.h>

/* Values of an option, and of what comes out, by their place in the line. */
enum { BLACK_SCHOLES_TYPE, BLACK_SCHOLES_SPOT, BLACK_SCHOLES_STRIKE, BLACK_SCHOLES_RATE, BLACK_SCHOLES_VOL,
       BLACK_SCHOLES_YEARS, BLACK_SCHOLES_VALUES };

#define BLACK_SCHOLES_ARGS(ARG) \
  ARG(flag, packed, 0, "messages and results are records of 6 doubles instead of text")

/* ------------------------------------------------------------------------------------------------- the formulas */

/* \return 0, or the number of the value that is out of its range. */
GQ_DEVICE int32_t black_scholes_check(const double *in)
{
  if (!(in[0] == 0 || in[0] == 1)) return 1;
  if (!(in[1] > 0) || !isfinite(in[1])) return 2;
  if (!(in[2] > 0) || !isfinite(in[2])) return 3;
  if (!isfinite(in[3])) return 4;
  if (!(in[4] > 0) || !isfinite(in[4])) return 5;
  if (!(in[5] > 0) || !isfinite(in[5])) return 6;
  return 0;
}

/* \return 0, or 8 if a result is not finite. A put is a call whose d1 and d2 have the other sign. */
GQ_DEVICE int32_t black_scholes_price(const double *in, double *out)
{
  const double sign = in[BLACK_SCHOLES_TYPE] != 0 ? -1 : 1, spot = in[BLACK_SCHOLES_SPOT];
  const double rate = in[BLACK_SCHOLES_RATE], vol = in[BLACK_SCHOLES_VOL], years = in[BLACK_SCHOLES_YEARS];
  const double root = sqrt(years), spread = vol * root;
  const double d1 = (log(spot / in[BLACK_SCHOLES_STRIKE]) + (rate + 0.5 * vol * vol) * years) / spread;
  const double d2 = d1 - spread;
  const double cash = in[BLACK_SCHOLES_STRIKE] * exp(-rate * years);                /* the strike, today */
  const double n1 = 0.5 * erfc(-sign * d1 * 0.70710678118654752440);                /* normal distribution, at d1 */
  const double n2 = 0.5 * erfc(-sign * d2 * 0.70710678118654752440);
  const double density = 0.39894228040143267794 * exp(-0.5 * d1 * d1);              /* its derivative */
  int i;

  out[0] = sign * (spot * n1 - cash * n2);
  out[1] = sign * n1;
  out[2] = density / (spot * spread);
  out[3] = spot * density * root;
  out[4] = -spot * density * vol / (2 * root) - sign * rate * cash * n2;
  out[5] = sign * cash * years * n2;
  for (i = 0; i < BLACK_SCHOLES_VALUES; i++)
    if (!isfinite(out[i])) return 8;
  return 0;
}

/* --------------------------------------------------------------------------------------------- numbers as text */

/* Where in the message a value is read. */
typedef struct black_scholes_text {
  const uint8_t *data;
  uint32_t size, at;
} black_scholes_text;

/* The next character, or 0 at the end. */
GQ_DEVICE uint8_t black_scholes_peek(const black_scholes_text *text)
{
  return text->at < text->size ? text->data[text->at] : 0;
}

GQ_DEVICE int black_scholes_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

GQ_DEVICE void black_scholes_skip_blanks(black_scholes_text *text)
{
  while (black_scholes_peek(text) == ' ' || black_scholes_peek(text) == '\t') text->at++;
}

/* Skip a sign. \return -1 or 1. */
GQ_DEVICE int black_scholes_sign(black_scholes_text *text)
{
  const uint8_t c = black_scholes_peek(text);
  if (c == '-' || c == '+') text->at++;
  return c == '-' ? -1 : 1;
}

/* The e of a number and what follows it, if it is there. \return whether that is well-formed. */
GQ_DEVICE int black_scholes_exponent(black_scholes_text *text, int *power)
{
  int sign, e = 0;
  if ((black_scholes_peek(text) | 32) != 'e') return 1;
  text->at++;
  sign = black_scholes_sign(text);
  if (!black_scholes_is_digit(black_scholes_peek(text))) return 0;
  for (; black_scholes_is_digit(black_scholes_peek(text)); text->at++)
    if (e < 10000) e = e * 10 + (black_scholes_peek(text) - '0');
  *power += sign * e;
  return 1;
}

/* A decimal number: 100, -.5, 1.25e-3. Exact to the last bit where it has up to 15 digits and is not extremely large
 * or small; else off by a few units of the last bit. \return whether there is one. */
GQ_DEVICE int black_scholes_number(black_scholes_text *text, double *value)
{
  const int sign = black_scholes_sign(text);
  uint64_t digits = 0;
  int seen = 0, point = 0, power = 0;
  double scale = 1, factor = 10;
  uint32_t n;

  for (;; text->at++) {
    const uint8_t c = black_scholes_peek(text);
    if (c == '.' && !point) {
      point = 1;
      continue;
    }
    if (!black_scholes_is_digit(c)) break;
    seen = 1;
    if (digits < 100000000000000000ull) digits = digits * 10 + (c - '0'), power -= point;
    else power += !point; /* more digits than a double can hold */
    if (power < -100000 || power > 100000) return 0; /* nor can this be held */
  }
  if (!seen || !black_scholes_exponent(text, &power)) return 0;
  for (n = (uint32_t)(power < 0 ? -power : power); n > 0 && factor < 1e300; n >>= 1, factor *= factor)
    if (n & 1) scale *= factor;
  if (n > 0) scale = factor * factor; /* infinite */
  *value = sign * (power < 0 ? (double)digits / scale : digits ? (double)digits * scale : 0);
  return 1;
}

/* call, c, put or p. */
GQ_DEVICE int black_scholes_type(black_scholes_text *text, double *value)
{
  const uint8_t first = black_scholes_peek(text);
  const char *rest = first == 'c' ? "all" : "ut";
  if (first != 'c' && first != 'p') return 0;
  *value = first == 'p';
  text->at++;
  if (black_scholes_peek(text) != (uint8_t)*rest) return 1;
  for (; *rest; rest++, text->at++)
    if (black_scholes_peek(text) != (uint8_t)*rest) return 0;
  return 1;
}

/* The line's values. \return 0, or the code to fail with. */
GQ_DEVICE int32_t black_scholes_parse(const gq_msg *msg, double *in)
{
  black_scholes_text text = {msg->data, msg->size, 0};
  int i;

  for (i = 0; i < BLACK_SCHOLES_VALUES; i++) {
    black_scholes_skip_blanks(&text);
    if (!(i == BLACK_SCHOLES_TYPE ? black_scholes_type(&text, &in[i]) : black_scholes_number(&text, &in[i])))
      return i + 1;
    black_scholes_skip_blanks(&text);
    if (i == BLACK_SCHOLES_VALUES - 1) break;
    if (black_scholes_peek(&text) != ',') return text.at < text.size ? i + 1 : i + 2; /* the next one is missing */
    text.at++;
  }
  if (black_scholes_peek(&text) == '\r') text.at++;
  return text.at < text.size ? 7 : 0;
}

/* Append \p value, of less than 9e10, with 8 digits after the point, behind a comma if it is not the first. What has no
 * room is counted, not written. */
GQ_DEVICE void black_scholes_append(gq_reply *reply, double value)
{
  uint64_t scaled = (uint64_t)rint(fabs(value) * 1e8), rest;
  const int is_negative = value < 0 && scaled > 0, has_comma = reply->size > 0;
  uint32_t size = 10, i; /* a digit, the point, 8 digits */
  uint8_t *to = reply->data + reply->size;

  for (rest = scaled / 1000000000; rest > 0; rest /= 10) size++;
  reply->size += has_comma + is_negative + size;
  if (reply->size > reply->capacity) return;
  if (has_comma) *to++ = ',';
  if (is_negative) *to++ = '-';
  for (i = size; i > 0; i--) {
    if (i == size - 8) {
      to[i - 1] = '.';
    } else {
      to[i - 1] = (uint8_t)('0' + scaled % 10);
      scaled /= 10;
    }
  }
}

/* ------------------------------------------------------------------------------------------------- the handler */

/* \return 0, or the code to fail with. */
GQ_DEVICE int32_t black_scholes_records(const gq_msg *msg, gq_reply *reply)
{
  const double *in = (const double *)msg->data;
  double *out = (double *)reply->data;
  uint32_t left;
  int32_t code;

  if (msg->size % (BLACK_SCHOLES_VALUES * 8) != 0) return 9;
  reply->size = msg->size;
  if (reply->capacity < msg->size) return 0;
  for (left = msg->size / (BLACK_SCHOLES_VALUES * 8); left > 0; left--) {
    code = black_scholes_check(in);
    if (!code) code = black_scholes_price(in, out);
    if (code) return code;
    in += BLACK_SCHOLES_VALUES, out += BLACK_SCHOLES_VALUES;
  }
  return 0;
}

GQ_HANDLER(black_scholes, BLACK_SCHOLES_ARGS,
  GQ_SUMMARY("price,delta,gamma,vega,theta,rho of call|put,spot,strike,rate,vol,years (code: the bad value)")
  GQ_SCOPES(thread)
  GQ_OUTPUT(text)
  GQ_RESULT(1, 131) /* text: six numbers of up to 21 characters, and five commas */
  GQ_EXAMPLE("gpuqueue run --handler black_scholes options.csv"))
{
  double in[BLACK_SCHOLES_VALUES], out[BLACK_SCHOLES_VALUES];
  int32_t code;
  int i;

  if (GQ_ARGS(black_scholes, ctx)->packed) return black_scholes_records(msg, reply);
  code = black_scholes_parse(msg, in);
  if (!code) code = black_scholes_check(in);
  if (!code) code = black_scholes_price(in, out);
  if (code) return code;
  for (i = 0; i < BLACK_SCHOLES_VALUES; i++)
    if (fabs(out[i]) >= 9e10) return 8;
  reply->size = 0;
  for (i = 0; i < BLACK_SCHOLES_VALUES; i++) black_scholes_append(reply, out[i]);
  return 0;
}

#endif
