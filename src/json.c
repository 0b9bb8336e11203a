/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

void json_string(FILE *file, const char *text)
{
  putc('"', file);
  for (; *text; text++) {
    const unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') fprintf(file, "\\%c", c);
    else if (c < 0x20 || c == 0x7f) fprintf(file, "\\u%04x", c);
    else putc(c, file);
  }
  putc('"', file);
}
