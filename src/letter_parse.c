/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a dead letter: one flat JSON object, its members in any order, unknown members passed over. */
#include "dead_letters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
  char *at;                /* the text ends in NUL */
  const char *problem;
};

/** A value: a string decoded in place, or the text of anything else. */
struct value {
  bool is_string;
  char *text;
  size_t size;
};

static void skip_blanks(struct cursor *cursor)
{
  while (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\r') cursor->at++;
}

static bool expect(struct cursor *cursor, char wanted, const char *problem)
{
  skip_blanks(cursor);
  if (*cursor->at != wanted) {
    cursor->problem = problem;
    return false;
  }
  cursor->at++;
  return true;
}

static bool hex_digits(const char *text, unsigned *code)
{
  size_t i;

  *code = 0;
  for (i = 0; i < 4; i++) {
    const char c = text[i];
    const unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a' + 10) : 16;
    if (digit > 15) return false;
    *code = *code << 4 | digit;
  }
  return true;
}

static char *put_utf8(char *to, unsigned long point)
{
  if (point < 0x80) {
    *to++ = (char)point;
  } else if (point < 0x800) {
    *to++ = (char)(0xc0 | point >> 6);
    *to++ = (char)(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    *to++ = (char)(0xe0 | point >> 12);
    *to++ = (char)(0x80 | (point >> 6 & 0x3f));
    *to++ = (char)(0x80 | (point & 0x3f));
  } else {
    *to++ = (char)(0xf0 | point >> 18);
    *to++ = (char)(0x80 | (point >> 12 & 0x3f));
    *to++ = (char)(0x80 | (point >> 6 & 0x3f));
    *to++ = (char)(0x80 | (point & 0x3f));
  }
  return to;
}

/** Decode the escape after a backslash; what it stands for is never longer than it. */
static bool parse_escape(struct cursor *cursor, char **to)
{
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  const char *found = *cursor->at ? strchr(letters, *cursor->at) : NULL;
  unsigned code, low;
  unsigned long point;

  if (found) {
    *(*to)++ = meanings[found - letters];
    cursor->at++;
    return true;
  }
  if (*cursor->at != 'u' || !hex_digits(cursor->at + 1, &code)) return false;
  cursor->at += 5;
  point = code;
  if (code >= 0xd800 && code <= 0xdbff && cursor->at[0] == '\\' && cursor->at[1] == 'u' &&
      hex_digits(cursor->at + 2, &low) && low >= 0xdc00 && low <= 0xdfff) {
    point = 0x10000 + ((code - 0xd800ul) << 10) + (low - 0xdc00);
    cursor->at += 6;
  }
  *to = put_utf8(*to, point);
  return true;
}

static bool parse_string(struct cursor *cursor, struct value *value)
{
  char *to;

  if (!expect(cursor, '"', "a string was expected")) return false;
  value->is_string = true;
  value->text = to = cursor->at;
  while (*cursor->at != '"') {
    if (*cursor->at == '\\') {
      cursor->at++;
      if (parse_escape(cursor, &to)) continue;
      cursor->problem = "a string has an escape that JSON does not know";
      return false;
    }
    if (!*cursor->at) {
      cursor->problem = "a string does not end";
      return false;
    }
    *to++ = *cursor->at++;
  }
  value->size = (size_t)(to - value->text);
  cursor->at++;
  *to = '\0'; /* at the closing quote or before it */
  return true;
}

static bool parse_value(struct cursor *cursor, struct value *value)
{
  skip_blanks(cursor);
  if (*cursor->at == '"') return parse_string(cursor, value);
  value->is_string = false;
  value->text = cursor->at;
  value->size = strspn(cursor->at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
  cursor->at += value->size;
  if (value->size == 0) cursor->problem = "a member's value is neither a string nor a number, true, false or null";
  return value->size != 0;
}

static bool is_null(const struct value *value)
{
  return !value->is_string && value->size == 4 && memcmp(value->text, "null", 4) == 0;
}

static bool to_number(const struct value *value, uint64_t *number)
{
  char *end;

  if (value->is_string || *value->text < '0' || *value->text > '9') return false;
  errno = 0;
  *number = strtoull(value->text, &end, 10);
  return !errno && end == value->text + value->size;
}

static unsigned sextet(char c)
{
  if (c >= 'A' && c <= 'Z') return (unsigned)(c - 'A');
  if (c >= 'a' && c <= 'z') return (unsigned)(c - 'a' + 26);
  if (c >= '0' && c <= '9') return (unsigned)(c - '0' + 52);
  return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/** Decode base64 in place. \return false if it is none. */
static bool decode_base64(struct value *value)
{
  const char *from = value->text;
  char *to = value->text;
  size_t left = value->size, padding = 0;

  if (left % 4) return false;
  while (padding < 2 && left > padding && from[left - 1 - padding] == '=') padding++;
  for (; left > 0; left -= 4, from += 4) {
    const size_t pad = left == 4 ? padding : 0;
    const unsigned a = sextet(from[0]), b = sextet(from[1]);
    const unsigned c = pad > 1 ? 0 : sextet(from[2]), d = pad > 0 ? 0 : sextet(from[3]);
    if ((a | b | c | d) > 63) return false;
    *to++ = (char)(a << 2 | b >> 4);
    if (pad < 2) *to++ = (char)(b << 4 | c >> 2);
    if (pad < 1) *to++ = (char)(c << 6 | d);
  }
  value->size = (size_t)(to - value->text);
  return true;
}

/** Keep the member if the letter has a place for it. \return NULL, or what is wrong with it. */
static const char *keep_member(struct letter *letter, const char *member, struct value *value)
{
  if (strcmp(member, "key") == 0) return to_number(value, &letter->key) ? NULL : "\"key\" is no 64-bit number";
  if (strcmp(member, "tag") == 0) return to_number(value, &letter->tag) ? NULL : "\"tag\" is no 64-bit number";
  if (strcmp(member, "name") == 0 || strcmp(member, "name_base64") == 0) {
    if (!value->is_string) return "the name is no string";
    if (member[4] && !decode_base64(value)) return "\"name_base64\" is not base64";
    value->text[value->size] = '\0';
    if (strlen(value->text) != value->size) return "the name holds a NUL";
    letter->name = value->text;
  } else if (strcmp(member, "payload") == 0 && !is_null(value)) {
    if (!value->is_string || !decode_base64(value)) return "\"payload\" is not a string in base64";
    letter->payload = (uint8_t *)value->text;
    letter->size = value->size;
  }
  return NULL;
}

const char *letter_parse(struct letter *letter, char *line, size_t size)
{
  struct cursor cursor = {line, NULL};
  struct value member, value;

  memset(letter, 0, sizeof *letter);
  line[size] = '\0';
  if (!expect(&cursor, '{', "the line is not a JSON object")) return cursor.problem;
  skip_blanks(&cursor);
  while (*cursor.at != '}') {
    if (!parse_string(&cursor, &member) || !expect(&cursor, ':', "a ':' is missing after a member's name") ||
        !parse_value(&cursor, &value))
      return cursor.problem;
    cursor.problem = keep_member(letter, member.text, &value);
    if (cursor.problem) return cursor.problem;
    skip_blanks(&cursor);
    if (*cursor.at == '}') break;
    if (!expect(&cursor, ',', "a ',' or '}' is missing after a member")) return cursor.problem;
    skip_blanks(&cursor);
  }
  cursor.at++;
  skip_blanks(&cursor);
  if (cursor.at != line + size) return "there is more after the JSON object";
  return letter->payload ? NULL : "the letter has no payload";
}
