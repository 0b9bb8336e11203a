/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

extern char **environ;

enum kind { KIND_size, KIND_count, KIND_integer, KIND_choice, KIND_string, KIND_flag };

/* A row of options.def with where its field is. */
typedef struct row {
  gq_option_info info;
  enum kind kind;
  size_t offset, bytes;
  int64_t min, max;
} row;

#define FIELD(field) offsetof(gq_options, field), sizeof(((gq_options *)0)->field)

static const row rows[] = {
#define NUM(field, type, value, text, min, max, range, help) \
  {{#field, #type, range, text, help}, KIND_##type, FIELD(field), min, max},
#define FLAG(field, value, help) {{#field, "flag", "0, 1", #value, help}, KIND_flag, FIELD(field), 0, 1},
#define CHOICE(field, value, choices, help) {{#field, "choice", choices, value, help}, KIND_choice, FIELD(field), 0, 0},
#define STR(field, value, text, range, help) {{#field, "string", range, text, help}, KIND_string, FIELD(field), 0, 0},
#include "options.def"
#undef NUM
#undef FLAG
#undef CHOICE
#undef STR
};
#define ROWS (sizeof rows / sizeof *rows)

/* Variables of this prefix that are not options: those of the build and of the tests. */
static const char *const other_variables[] = {"CUDA_ARCHS", "TEST_BACKENDS", "TEST_REQUIRE", "TEST_SECONDS",
                                              "TEST_LIMIT_S"};

const gq_option_info *gq_option_describe(size_t index)
{
  return index < ROWS ? &rows[index].info : NULL;
}

static bool same_name(const char *name, const char *other)
{
  for (; *name && *other; name++, other++) {
    const int a = *name == '-' ? '_' : tolower((unsigned char)*name);

    if (a != *other) return false;
  }
  return *name == *other;
}

static const row *find(const char *name)
{
  for (size_t i = 0; i < ROWS; i++)
    if (same_name(name, rows[i].info.name)) return &rows[i];
  return NULL;
}

static void store(gq_options *options, const row *r, int64_t value)
{
  uint8_t *field = (uint8_t *)options + r->offset;

  if (r->bytes == 8) memcpy(field, &value, 8);
  else {
    const int32_t small = (int32_t)value;

    memcpy(field, &small, 4);
  }
}

static int64_t load(const gq_options *options, const row *r)
{
  const uint8_t *field = (const uint8_t *)options + r->offset;
  int64_t value;
  int32_t small;

  if (r->bytes == 8) {
    memcpy(&value, field, 8);
    return value;
  }
  memcpy(&small, field, 4);
  return r->kind == KIND_integer ? small : (int64_t)(uint32_t)small;
}

static gq_status refuse(const row *r, const char *value)
{
  return gq_fail(GQ_INVALID, "%s: '%s' is not in its range: %s", r->info.name, value, r->info.range);
}

/* The place of `value` in "a, b, c", or -1. */
static int64_t choice(const char *choices, const char *value)
{
  const size_t length = strlen(value);

  for (int64_t i = 0; length > 0; i++) {
    const char *comma = strchr(choices, ',');
    const size_t n = comma ? (size_t)(comma - choices) : strlen(choices);

    if (n == length && strncmp(choices, value, n) == 0) return i;
    if (!comma) break;
    choices = comma + 2;
  }
  return -1;
}

/* Values inside a row's range that are not allowed all the same. */
static bool is_hole(const row *r, int64_t value)
{
  if (r->offset == offsetof(gq_options, cell_bytes))
    return value != 0 && value != 64 && value != 128 && value != 256 && value != 512;
  return r->offset == offsetof(gq_options, sms) && value == 1; /* one block fetches, another works */
}

static gq_status parse_number(const row *r, const char *value, int64_t *number)
{
  char *end;
  int shift = 0;
  long long n;

  errno = 0;
  n = strtoll(value, &end, 10);
  if (end == value || errno) return refuse(r, value);
  if (r->kind == KIND_size && *end) {
    const char *suffix = strchr("KMG", toupper((unsigned char)*end));

    if (!suffix) return refuse(r, value);
    shift = 10 * (int)(suffix - "KMG" + 1);
    end++;
  }
  if (*end || n < r->min || n > r->max >> shift || is_hole(r, n * ((int64_t)1 << shift))) return refuse(r, value);
  *number = n * ((int64_t)1 << shift);
  return GQ_OK;
}

gq_status gq_option_set(gq_options *options, const char *name, const char *value)
{
  const row *r = name ? find(name) : NULL;
  int64_t number = 0;
  gq_status status = GQ_OK;

  if (!options || !name || !value) return gq_fail(GQ_INVALID, "gq_option_set: an argument is NULL");
  if (!r) return gq_fail(GQ_INVALID, "there is no option '%s' (gpuqueue run --help lists them)", name);
  switch (r->kind) {
  case KIND_string:
    memcpy((uint8_t *)options + r->offset, &value, sizeof value);
    return GQ_OK;
  case KIND_choice:
    number = choice(r->info.range, value);
    if (number < 0) return refuse(r, value);
    break;
  case KIND_flag:
    number = choice("0, 1", value);
    if (number < 0) number = choice("no, yes", value);
    if (number < 0) number = choice("false, true", value);
    if (number < 0) return refuse(r, value);
    break;
  default:
    status = parse_number(r, value, &number);
  }
  if (status == GQ_OK) store(options, r, number);
  return status;
}

static void set_defaults(gq_options *options)
{
  memset(options, 0, sizeof *options);
  options->size = sizeof *options;
#define NUM(field, type, value, text, min, max, range, help) options->field = value;
#define FLAG(field, value, help) options->field = value;
#define CHOICE(field, value, choices, help) gq_option_set(options, #field, value);
#define STR(field, value, text, range, help) options->field = value;
#include "options.def"
#undef NUM
#undef FLAG
#undef CHOICE
#undef STR
}

static void warn_unknown(const char *name, size_t length)
{
  for (size_t i = 0; i < sizeof other_variables / sizeof *other_variables; i++)
    if (strlen(other_variables[i]) == length && strncmp(name, other_variables[i], length) == 0) return;
  fprintf(stderr, "gpuqueue: the environment variable GPUQUEUE_%.*s names no option and is ignored\n", (int)length,
          name);
}

static gq_status set_from_environment(gq_options *options, const row *r)
{
  char variable[64] = "GPUQUEUE_", text[512];
  const char *value;

  for (size_t i = 0; r->info.name[i] && i < sizeof variable - sizeof "GPUQUEUE_"; i++)
    variable[strlen("GPUQUEUE_") + i] = (char)toupper((unsigned char)r->info.name[i]);
  value = getenv(variable);
  if (!value || gq_option_set(options, r->info.name, value) == GQ_OK) return GQ_OK;
  snprintf(text, sizeof text, "%s", gq_last_error());
  return gq_fail(GQ_INVALID, "environment variable %s: %s", variable, text);
}

gq_status gq_options_init(gq_options *options)
{
  static char looked; /* the warnings come once a process */

  if (!options) return gq_fail(GQ_INVALID, "gq_options_init: options is NULL");
  set_defaults(options);
  for (char **v = __atomic_exchange_n(&looked, 1, __ATOMIC_RELAXED) ? NULL : environ; v && *v; v++) {
    const char *name = *v + strlen("GPUQUEUE_"), *equals;
    char plain[64];
    size_t length;

    if (strncmp(*v, "GPUQUEUE_", strlen("GPUQUEUE_")) != 0 || !(equals = strchr(name, '='))) continue;
    length = (size_t)(equals - name) < sizeof plain ? (size_t)(equals - name) : sizeof plain - 1;
    memcpy(plain, name, length);
    plain[length] = '\0';
    if (!find(plain)) warn_unknown(name, length);
  }
  for (size_t i = 0; i < ROWS; i++) {
    const gq_status status = set_from_environment(options, &rows[i]);

    if (status != GQ_OK) return status;
  }
  return GQ_OK;
}

gq_status gq_options_check(const gq_options *options)
{
  for (size_t i = 0; i < ROWS; i++) {
    const row *r = &rows[i];
    const int64_t value = r->kind == KIND_string ? 0 : load(options, r);
    int64_t max = r->max;

    if (r->kind == KIND_string) continue;
    if (r->kind == KIND_choice) {
      max = 0;
      for (const char *c = r->info.range; *c; c++) max += *c == ',';
    }
    if (value < r->min || value > max || is_hole(r, value))
      return gq_fail(GQ_INVALID, "%s: %lld is not in its range: %s", r->info.name, (long long)value, r->info.range);
  }
  if (!options->handler || !*options->handler)
    return gq_fail(GQ_INVALID, "handler: '' is not in its range: a name that gpuqueue handlers lists, or the path of a .cu, .c or "
                               ".gqh file");
  return GQ_OK;
}

gq_status gq_options_complete(gq_options *o, const gq_options *given)
{
  gq_status status = gq_options_init(o);

  if (status != GQ_OK) return status;
  if (!given) return GQ_OK;
  if (given->size < offsetof(gq_options, handler) || given->size > 4096)
    return gq_fail(GQ_INVALID, "options.size is %zu; call gq_options_init() first", given->size);
  memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
  o->size = sizeof *o;
  return gq_options_check(o);
}
