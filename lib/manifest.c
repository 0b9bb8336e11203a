/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpuqueue/handler.h>

#include "error.h"

#define FIRST_WORD "gpuqueue-handler "

/* What is being taken apart. */
typedef struct parse {
  gq_declaration *m;
  const char *from;
  uint32_t seen; /* a bit an item */
} parse;

enum item { ITEM_NAME, ITEM_SUMMARY, ITEM_SCOPES, ITEM_OUTPUT, ITEM_RESULT, ITEM_SHORT, ITEM_STATE, ITEM_STATE_BYTES,
            ITEM_SCRATCH, ITEM_SHARED, ITEM_EXAMPLE, ITEM_ARG, ITEMS };
static const char *const item_names[] = {"name", "summary", "scopes", "output", "result", "short", "state",
                                         "state_bytes", "scratch", "shared", "example", "arg"};

static gq_status refuse(const parse *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static gq_status refuse(const parse *p, const char *format, ...)
{
  const char *name = p->m->info.name;
  char what[400];
  va_list list;

  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  return gq_fail(GQ_INVALID, "%s: its manifest%s%s is not right: %s", p->from, name ? " of handler " : "",
                 name ? name : "", what);
}

/* Cut the first word off. \return it, or NULL if nothing is left. */
static char *next_word(char **text)
{
  char *word = *text + strspn(*text, " ,"), *end = word + strcspn(word, " ,");

  *text = *end ? end + 1 : end;
  *end = '\0';
  return *word ? word : NULL;
}

static bool is_name(const char *text)
{
  const size_t length = strlen(text);

  return length > 0 && length <= 64 && !isdigit((unsigned char)*text) &&
         strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == length;
}

/* The bytes of the character at `at`, if it is one in UTF-8 and none that commands a terminal; else 0. */
static size_t printable(const unsigned char *at)
{
  static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
  const size_t size = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
  uint32_t point = size < 2 ? *at : *at & (0x7fu >> size);

  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    point = point << 6 | (at[i] & 0x3f);
  }
  return point >= least[size] && point != 0x7f && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? size : 0;
}

static bool is_printable(const char *text)
{
  while (*text) {
    const size_t size = printable((const unsigned char *)text);

    if (size == 0) return false;
    text += size;
  }
  return true;
}

/* ------------------------------------------------------------------------------------------------- items */

static gq_status read_scopes(const parse *p, char *text)
{
  static const char *const names[] = {"thread", "warp", "block"};
  gq_declaration *m = p->m;
  char *word;

  while ((word = next_word(&text)) != NULL) {
    uint32_t scope = 0;

    while (scope < 3 && strcmp(word, names[scope]) != 0) scope++;
    if (scope == 3 || (m->scopes >> scope & 1))
      return refuse(p, "scope '%s' is %s; scopes are one or more of thread, warp, block", word,
                    scope == 3 ? "unknown" : "named twice");
    if (!m->scopes) m->default_scope = scope + 1;
    snprintf(m->scopes_text + strlen(m->scopes_text), sizeof m->scopes_text - strlen(m->scopes_text), "%s%s",
             m->scopes ? ", " : "", names[scope]);
    m->scopes |= 1u << scope;
  }
  return m->scopes ? GQ_OK : refuse(p, "no scope is named; scopes are one or more of thread, warp, block");
}

static gq_status read_output(const parse *p, const char *text)
{
  static const char *const names[] = {"raw", "hex", "text"};

  for (int i = 0; i < 3; i++)
    if (strcmp(text, names[i]) == 0) {
      p->m->info.output = (gq_output)i;
      return GQ_OK;
    }
  return refuse(p, "output '%s' is none of raw, hex, text", text);
}

static gq_status read_number(const parse *p, const char *item, const char *text, uint64_t max, uint64_t *value)
{
  if (text && gq_parse_size(text, max, value)) return GQ_OK;
  return refuse(p, "%s '%s' is not a plain number from 0 to %llu", item, text ? text : "", (unsigned long long)max);
}

static gq_status read_small(const parse *p, const char *item, const char *text, uint32_t max, uint32_t *value)
{
  uint64_t n;
  const gq_status status = read_number(p, item, text, max, &n);

  if (status == GQ_OK) *value = (uint32_t)n;
  return status;
}

static gq_status read_result(const parse *p, char *text)
{
  const char *multiplier = next_word(&text), *constant = next_word(&text);
  gq_status status = read_small(p, "result multiplier", multiplier, GQ_MOST_MULTIPLIER, &p->m->multiplier);

  if (status == GQ_OK) status = read_small(p, "result constant", constant, GQ_MOST_RESULT, &p->m->constant);
  return status == GQ_OK && *text ? refuse(p, "something follows the two numbers of result: '%s'", text) : status;
}

static gq_status read_state(const parse *p, const char *text)
{
  const bool optional = strcmp(text, "optional") == 0;

  if (!optional && strcmp(text, "required") != 0)
    return refuse(p, "state '%s' is neither optional nor required", text);
  p->m->state = optional ? GQ_STATE_IS_OPTIONAL : GQ_STATE_IS_REQUIRED;
  return GQ_OK;
}

/* --------------------------------------------------------------------------------------------- arguments */

/* One character of a C string, in place. \return false if it is not understood. */
static bool read_escape(char **text, char *c)
{
  static const char plain[] = "\\\"'?abfnrtv", means[] = "\\\"'?\a\b\f\n\r\t\v";
  const char *found = **text ? strchr(plain, **text) : NULL;
  unsigned value = 0;
  int digits = 0;

  if (found) {
    *c = means[found - plain];
    ++*text;
    return true;
  }
  if (**text == 'x') {
    for (++*text; isxdigit((unsigned char)**text) && digits < 2; digits++, ++*text)
      value = value * 16 + (unsigned)(isdigit((unsigned char)**text) ? **text - '0' : (**text | 32) - 'a' + 10);
    if (isxdigit((unsigned char)**text)) return false;
  } else {
    for (; **text >= '0' && **text <= '7' && digits < 3; digits++, ++*text)
      value = value * 8 + (unsigned)(**text - '0');
  }
  *c = (char)value;
  return digits > 0 && value > 0 && value < 256;
}

/* A default that is one C string: decoded where it lies. \return its end, or NULL. */
static char *read_string(char *text, gq_arg *arg)
{
  char *to = text;

  if (*text++ != '"') return NULL;
  arg->string = to;
  while (*text != '"') {
    char c = *text++;

    if (!c || (c == '\\' && !read_escape(&text, &c))) return NULL;
    *to++ = c;
  }
  *to = '\0';
  arg->bits = (uint64_t)(to - arg->string);
  arg->info.def = arg->string;
  text += 1 + strspn(text + 1, " "); /* over the closing quote */
  return *text == '"' ? NULL : text;
}

/* A number or flag, perhaps in the parentheses of the macro that it came from. */
static char *read_plain(char *text, gq_arg *arg)
{
  char *word = text + (*text == '('), *end = word + strcspn(word, " )");

  if (*end) *end++ = '\0';
  arg->info.def = word;
  return gq_parse_argument(arg->type, word, &arg->bits) ? end + strspn(end, " )") : NULL;
}

static gq_status read_arg(const parse *p, char *text)
{
  static const char *const types[] = {"int", "uint", "real", "flag", "string"};
  gq_arg *arg = &p->m->args[p->m->arg_count];
  const char *type = next_word(&text), *name = next_word(&text);
  char *rest = text;
  int t = 0;

  while (t < 5 && (!type || strcmp(type, types[t]) != 0)) t++;
  if (t == 5) return refuse(p, "argument type '%s' is none of int, uint, real, flag, string", type ? type : "");
  if (!name || !is_name(name)) return refuse(p, "'%s' cannot be an argument's name", name ? name : "");
  for (uint32_t i = 0; i < p->m->arg_count; i++)
    if (strcmp(p->m->args[i].info.name, name) == 0) return refuse(p, "argument %s is declared twice", name);
  arg->type = (gq_arg_type)t;
  arg->info.name = name;
  arg->info.type = types[t];
  if (strncmp(text, "required ", 9) == 0) rest = text + 9;
  else if (t == GQ_ARG_STRING) rest = read_string(text, arg);
  else rest = read_plain(text, arg);
  if (!rest)
    return refuse(p, t == GQ_ARG_STRING ? "the default of argument %s is not one C string without zero bytes, followed "
                                          "by a help that begins with no quote"
                                        : "the default of argument %s, '%s', is not a plain value of its type",
                  name, arg->info.def);
  arg->info.help = rest + strspn(rest, " ");
  if (!*arg->info.help) return refuse(p, "argument %s has no help", name);
  if (!is_printable(arg->info.help)) return refuse(p, "the help of argument %s has control characters, or is not UTF-8", name);
  p->m->arg_count++;
  return GQ_OK;
}

/* --------------------------------------------------------------------------------------------- the whole */

static gq_status read_item(parse *p, enum item item, char *text)
{
  gq_declaration *m = p->m;

  if (item != ITEM_ARG && (p->seen >> item & 1)) return refuse(p, "%s is declared twice", item_names[item]);
  if (item != ITEM_SHORT && !*text) return refuse(p, "%s is empty", item_names[item]);
  p->seen |= 1u << item;
  switch (item) {
  case ITEM_NAME:
    if (!is_name(text)) return refuse(p, "'%s' cannot be a handler's name", text);
    m->info.name = text;
    return GQ_OK;
  case ITEM_SUMMARY: m->info.summary = text; return GQ_OK;
  case ITEM_EXAMPLE: m->info.example = text; return GQ_OK;
  case ITEM_SCOPES: return read_scopes(p, text);
  case ITEM_OUTPUT: return read_output(p, text);
  case ITEM_RESULT: return read_result(p, text);
  case ITEM_SHORT: m->is_short = 1; return *text ? refuse(p, "something follows short: '%s'", text) : GQ_OK;
  case ITEM_STATE: return read_state(p, text);
  case ITEM_STATE_BYTES: return read_number(p, "state_bytes", text, GQ_MOST_STATE, &m->state_bytes);
  case ITEM_SCRATCH: return read_small(p, "scratch", text, GQ_MOST_SCRATCH, &m->scratch_bytes);
  case ITEM_SHARED: return read_small(p, "shared", text, GQ_MOST_SHARED, &m->shared_bytes);
  default: return read_arg(p, text);
  }
}

static gq_status read_line(parse *p, char *line)
{
  size_t length = strcspn(line, " ");
  int item = 0;

  while (item < ITEMS && (strlen(item_names[item]) != length || strncmp(line, item_names[item], length) != 0)) item++;
  if (!is_printable(line)) return refuse(p, "it has control characters, or is not UTF-8");
  if (item == ITEMS) return refuse(p, "'%.64s' begins no line that this library knows", line);
  if (item == ITEM_ARG && p->m->arg_count == GQ_MANIFEST_MOST_ARGS)
    return refuse(p, "it has more than %u arguments", GQ_MANIFEST_MOST_ARGS);
  return read_item(p, (enum item)item, line + length + (line[length] == ' '));
}

static gq_status read_lines(parse *p)
{
  static const enum item needed[] = {ITEM_NAME, ITEM_SUMMARY, ITEM_SCOPES, ITEM_RESULT};
  char *line = p->m->text, *newline;
  uint64_t version = 0;

  for (unsigned number = 0; line < p->m->end; number++, line = newline + 1) {
    gq_status status = GQ_OK;

    newline = memchr(line, '\n', (size_t)(p->m->end - line));
    if (!newline) return refuse(p, "its last line has no end: it is cut off");
    *newline = '\0';
    if (number > 0) status = read_line(p, line);
    else if (strncmp(line, FIRST_WORD, strlen(FIRST_WORD)) != 0 ||
             !gq_parse_size(line + strlen(FIRST_WORD), UINT32_MAX, &version))
      status = refuse(p, "it does not begin with '%s%d'", FIRST_WORD, GQ_HANDLER_ABI);
    else if (version != GQ_HANDLER_ABI)
      status = gq_fail(GQ_INVALID, "%s is made for version %llu of the handler interface, and this library (gpuqueue "
                       "%s) knows version %d: compile it again", p->from, (unsigned long long)version, GQ_VERSION,
                       GQ_HANDLER_ABI);
    if (status != GQ_OK) return status;
  }
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (!(p->seen >> needed[i] & 1)) return refuse(p, "it does not say its %s", item_names[needed[i]]);
  return GQ_OK;
}

gq_status gq_manifest_parse(gq_declaration **manifest, const char *text, size_t size, const char *from)
{
  const size_t length = strnlen(text, size < GQ_MANIFEST_MOST_BYTES ? size : GQ_MANIFEST_MOST_BYTES);
  gq_declaration *m = calloc(1, sizeof *m);
  parse p = {m, from, 0};
  gq_status status = GQ_NO_MEMORY;

  if (m) m->text = malloc(length + 1);
  if (m) m->args = calloc(GQ_MANIFEST_MOST_ARGS, sizeof *m->args);
  if (!m || !m->text || !m->args) {
    gq_fail(status, "no memory for a manifest of %zu bytes", length);
    goto failed;
  }
  memcpy(m->text, text, length);
  m->text[length] = '\0';
  m->end = m->text + length;
  status = length == GQ_MANIFEST_MOST_BYTES ? refuse(&p, "it is longer than %u bytes", GQ_MANIFEST_MOST_BYTES)
                                            : read_lines(&p);
  if (status != GQ_OK) goto failed;
  if (m->state_bytes && m->state == GQ_STATE_IS_NONE) m->state = GQ_STATE_IS_OPTIONAL;
  m->info.scopes = m->scopes_text;
  m->info.state = m->state == GQ_STATE_IS_NONE ? "none" : m->state == GQ_STATE_IS_OPTIONAL ? "optional" : "required";
  m->info.state_bytes = m->state_bytes;
  m->info.internal_ = m;
  *manifest = m;
  return GQ_OK;
failed:
  gq_manifest_free(m);
  return status;
}

void gq_manifest_free(gq_declaration *manifest)
{
  if (!manifest) return;
  free(manifest->args);
  free(manifest->text);
  free(manifest);
}

const gq_argument_info *gq_handler_argument(const gq_handler_info *handler, size_t index)
{
  const gq_declaration *m = handler ? handler->internal_ : NULL;

  return m && index < m->arg_count ? &m->args[index].info : NULL;
}
