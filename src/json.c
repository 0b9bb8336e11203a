/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdint.h>

size_t json_utf8_sequence(const char *string)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned char *text = (const unsigned char *)string;
  const size_t size = *text < 0x80 ? 1 : *text >= 0xf0 && *text < 0xf5 ? 4 : *text >= 0xe0 ? 3 : *text >= 0xc2 ? 2 : 0;
  uint32_t point = size < 2 ? *text : *text & (0x7fu >> size);
  size_t i;

  if (*text >= 0xf5) return 0;
  for (i = 1; i < size; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
    point = point << 6 | (text[i] & 0x3f);
  }
  if (size > 1 && (point < least[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))) return 0;
  return size;
}

void json_string(FILE *file, const char *text)
{
  putc('"', file);
  while (*text) {
    const unsigned char c = (unsigned char)text[0], next = (unsigned char)text[1];
    const size_t size = json_utf8_sequence(text);

    if (size == 0) fputs("\\ufffd", file);
    else if (c == '"' || c == '\\') fprintf(file, "\\%c", c);
    else if (c < 0x20 || c == 0x7f) fprintf(file, "\\u%04x", c);
    else if (c == 0xc2 && next < 0xa0) fprintf(file, "\\u%04x", next); /* U+0080 to U+009F */
    else fwrite(text, 1, size, file);
    text += size ? size : 1;
  }
  putc('"', file);
}
