/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"
#include "cli.h"

#include <string.h>

/** Whether the \p size characters at \p text are \p name, '-' and '_' being the same. */
static bool is_name(const char *text, size_t size, const char *name)
{
  size_t i;

  for (i = 0; i < size && name[i]; i++)
    if ((text[i] == '_' ? '-' : text[i]) != name[i]) return false;
  return i == size && !name[i];
}

/** The row that \p option names; \p value: what follows in the same argument, or NULL. */
static const struct argument *find(const struct argument *rows, const char *option, const char **value)
{
  const struct argument *row;
  const char *equals = strchr(option, '=');
  const size_t size = equals ? (size_t)(equals - option) : strlen(option);

  for (row = rows; row->name; row++) {
    if (option[1] == '-' && is_name(option + 2, size - 2, row->name)) {
      *value = equals ? equals + 1 : NULL;
      return row;
    }
    if (option[1] != '-' && row->letter && option[1] == row->letter && (row->value || !option[2])) {
      *value = option[2] ? option + 2 : NULL;
      return row;
    }
  }
  return NULL;
}

int arguments_parse(int argc, char **argv, const struct argument *rows)
{
  int at, operands = 0;

  for (at = 1; at < argc; at++) {
    const struct argument *row;
    const char *value = NULL;

    if (strcmp(argv[at], "--") == 0) {
      while (++at < argc) argv[++operands] = argv[at];
      break;
    }
    if (argv[at][0] != '-' || !argv[at][1]) {
      argv[++operands] = argv[at];
      continue;
    }
    row = find(rows, argv[at], &value);
    if (!row) {
      complain("%s: unknown option %s; try 'gpuqueue %s --help'", argv[0], argv[at], argv[0]);
      return -1;
    }
    if (row->flag && value) {
      complain("%s: --%s takes no value", argv[0], row->name);
      return -1;
    }
    if (row->flag) {
      *row->flag = true;
      continue;
    }
    if (!value && at + 1 < argc) value = argv[++at];
    if (!value) {
      complain("%s: --%s needs a value; try 'gpuqueue %s --help'", argv[0], row->name, argv[0]);
      return -1;
    }
    *row->value = value;
  }
  return operands;
}
