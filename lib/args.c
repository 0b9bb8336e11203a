/* SPDX-License-Identifier: Apache-2.0 */
/* A handler's arguments: from text to the struct that it reads. */
#include "manifest.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gpuqueue/handler.h>

#include "error.h"

#define MOST_STRING (16u << 20)

/* ------------------------------------------------------------------------------------------------- values */

static bool parse_whole(const char *text, uint64_t *value, const char **end)
{
  const int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
  char *rest;

  if (!isdigit((unsigned char)*text)) return false;
  errno = 0;
  *value = strtoull(text, &rest, base);
  *end = rest;
  return errno == 0;
}

bool gq_parse_size(const char *text, uint64_t max, uint64_t *value)
{
  const char *end;
  unsigned shift = 0;
  uint64_t n;

  if (!parse_whole(text, &n, &end)) return false;
  switch (*end) {
  case 'K': case 'k': shift = 10, end++; break;
  case 'M': case 'm': shift = 20, end++; break;
  case 'G': case 'g': shift = 30, end++; break;
  default: while (*end && strchr("uUlL", *end)) end++;
  }
  if (*end || n > max >> shift) return false;
  *value = n << shift;
  return true;
}

static bool parse_int(const char *text, uint64_t *bits)
{
  const bool negative = *text == '-';
  uint64_t n;

  if (!gq_parse_size(text + (negative || *text == '+'), negative ? 1ull << 63 : INT64_MAX, &n)) return false;
  *bits = negative ? 0 - n : n;
  return true;
}

/* As C spells it, whatever the program's locale. */
static bool parse_real(const char *text, uint64_t *bits)
{
  const locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  double value = 0;
  char *end;

  if (!c_locale) return false;
  value = strtod_l(text, &end, c_locale);
  freelocale(c_locale);
  if (end == text || isspace((unsigned char)*text) || !isfinite(value)) return false;
  if (*end == 'f' || *end == 'F') end++;
  memcpy(bits, &value, sizeof *bits);
  return !*end;
}

static bool parse_flag(const char *text, uint64_t *bits)
{
  static const char *const words[] = {"0", "1", "no", "yes", "false", "true"};

  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasecmp(text, words[i]) == 0) { /* "True" is what Python says */
      *bits = i & 1;
      return true;
    }
  return false;
}

bool gq_parse_argument(gq_arg_type type, const char *text, uint64_t *bits)
{
  switch (type) {
  case GQ_ARG_INT: return parse_int(text, bits);
  case GQ_ARG_UINT: return gq_parse_size(text, UINT64_MAX, bits);
  case GQ_ARG_REAL: return parse_real(text, bits);
  case GQ_ARG_FLAG: return parse_flag(text, bits);
  default: return false;
  }
}

static const char *what_is_right(gq_arg_type type)
{
  switch (type) {
  case GQ_ARG_INT: return "a whole number from -2^63 to 2^63 - 1, such as -5, 0x1f or 64K";
  case GQ_ARG_UINT: return "a whole number from 0 to 2^64 - 1, such as 5, 0x1f or 64K";
  case GQ_ARG_REAL: return "a number such as -1.5 or 2e-3";
  default: return "0, 1, no, yes, false or true";
  }
}

/* ------------------------------------------------------------------------------------------------- layout */

/* What an argument was given. */
typedef struct value {
  const char *text;     /* NULL: not given */
  uint64_t bits;        /* of a string its size */
  const char *string;
} value;

/* "a (int), b (string)" */
static void list_keys(const gq_declaration *m, char *text, size_t size)
{
  size_t used = 0;

  text[0] = '\0';
  for (uint32_t i = 0; i < m->arg_count && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%s (%s)", i ? ", " : "", m->args[i].info.name,
                             m->args[i].info.type);
}

static bool same_key(const char *given, size_t length, const char *name)
{
  for (size_t i = 0; i < length; i++)
    if (name[i] != (given[i] == '-' ? '_' : given[i])) return false; /* also at the end of name */
  return !name[length];
}

static gq_status take_one(value *values, const gq_declaration *m, const char *given)
{
  const char *equals = strchr(given, '=');
  const size_t length = equals ? (size_t)(equals - given) : strlen(given);
  const gq_arg *arg = NULL;
  char keys[512];
  value *v;

  for (uint32_t i = 0; i < m->arg_count && !arg; i++)
    if (same_key(given, length, m->args[i].info.name)) arg = &m->args[i];
  if (m->arg_count == 0)
    return gq_fail(GQ_INVALID, "handler %s takes no arguments, but was given '%s'", m->info.name, given);
  list_keys(m, keys, sizeof keys);
  if (!equals)
    return gq_fail(GQ_INVALID, "handler %s: argument '%s' has no value: write KEY=VALUE; the keys are: %s",
                   m->info.name, given, keys);
  if (!arg)
    return gq_fail(GQ_INVALID, "handler %s has no argument '%.*s'; there are: %s", m->info.name, (int)length, given,
                   keys);
  v = &values[arg - m->args];
  if (v->text)
    return gq_fail(GQ_INVALID, "handler %s: argument %s is given twice: '%s' and '%s'", m->info.name, arg->info.name,
                   v->text, equals + 1);
  v->text = equals + 1;
  if (arg->type == GQ_ARG_STRING) {
    v->string = v->text;
    v->bits = strlen(v->text);
    if (v->bits <= MOST_STRING) return GQ_OK;
    return gq_fail(GQ_INVALID, "handler %s: argument %s is %llu bytes long; up to %u are allowed", m->info.name,
                   arg->info.name, (unsigned long long)v->bits, MOST_STRING);
  }
  if (!gq_parse_argument(arg->type, v->text, &v->bits))
    return gq_fail(GQ_INVALID, "handler %s: argument %s is of type %s, and '%s' is not: it takes %s", m->info.name,
                   arg->info.name, arg->info.type, v->text, what_is_right(arg->type));
  return GQ_OK;
}

static gq_status take_all(value *values, const gq_declaration *m, const char *const *given)
{
  for (; given && *given; given++) {
    const gq_status status = take_one(values, m, *given);

    if (status != GQ_OK) return status;
  }
  for (uint32_t i = 0; i < m->arg_count; i++) {
    const gq_arg *arg = &m->args[i];

    if (values[i].text) continue;
    if (!arg->info.def)
      return gq_fail(GQ_INVALID, "handler %s needs the argument %s=... (%s): %s", m->info.name, arg->info.name,
                     arg->info.type, arg->info.help);
    values[i].bits = arg->bits;
    values[i].string = arg->string;
  }
  return GQ_OK;
}

static size_t string_bytes(uint64_t size)
{
  return (size + 1 + 15) / 16 * 16;
}

gq_status gq_args_lay_out(gq_arg_block *block, const gq_declaration *m, const char *const *given)
{
  value values[GQ_MANIFEST_MOST_ARGS];
  size_t fields = sizeof(uint64_t), size, at = 0, end; /* the struct has a last field of its own */
  gq_status status;
  uint8_t *bytes;

  memset(values, 0, sizeof values);
  status = take_all(values, m, given);
  if (status != GQ_OK) return status;
  for (uint32_t i = 0; i < m->arg_count; i++)
    fields += m->args[i].type == GQ_ARG_STRING ? sizeof(gq_string) : sizeof(uint64_t);
  size = end = (fields + 15) / 16 * 16;
  for (uint32_t i = 0; i < m->arg_count; i++)
    if (m->args[i].type == GQ_ARG_STRING) size += string_bytes(values[i].bits);
  bytes = aligned_alloc(16, size);
  if (!bytes) return gq_fail(GQ_NO_MEMORY, "no memory for %zu bytes of arguments", size);
  memset(bytes, 0, size);
  for (uint32_t i = 0; i < m->arg_count; i++) {
    if (m->args[i].type == GQ_ARG_STRING) {
      memcpy(bytes + at, &(uint64_t){end}, sizeof(uint64_t));
      memcpy(bytes + at + 8, &values[i].bits, sizeof(uint64_t));
      if (values[i].bits) memcpy(bytes + end, values[i].string, values[i].bits);
      at += sizeof(gq_string);
      end += string_bytes(values[i].bits);
    } else {
      memcpy(bytes + at, &values[i].bits, sizeof(uint64_t));
      at += sizeof(uint64_t);
    }
  }
  block->bytes = bytes;
  block->size = size;
  return GQ_OK;
}

void gq_args_rebase(const gq_declaration *m, uint8_t *bytes, uint64_t base)
{
  for (uint32_t i = 0; i < m->arg_count; i++) {
    uint64_t offset;

    if (m->args[i].type == GQ_ARG_STRING) {
      memcpy(&offset, bytes, sizeof offset);
      offset += base;
      memcpy(bytes, &offset, sizeof offset);
    }
    bytes += m->args[i].type == GQ_ARG_STRING ? sizeof(gq_string) : sizeof(uint64_t);
  }
}

void gq_args_free(gq_arg_block *block)
{
  free(block->bytes);
  block->bytes = NULL;
  block->size = 0;
}
