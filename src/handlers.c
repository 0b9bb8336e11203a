/* SPDX-License-Identifier: Apache-2.0 */
/* `gpuqueue handlers`: which handlers there are, and what each takes and gives. */
#include "arguments.h"
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpuqueue/gpuqueue.h>

static const char *const output_names[] = {[GQ_OUTPUT_RAW] = "raw", [GQ_OUTPUT_HEX] = "hex", [GQ_OUTPUT_TEXT] = "text"};

/** What to print of a handler. \p path: its file; NULL for one that is built in. */
typedef void print_handler(const gq_handler_info *handler, const char *path);

static void print_line(const gq_handler_info *handler, const char *path)
{
  printf("%-16s  %s%s%s%s\n", handler->name, handler->summary, path ? " (" : "", path ? path : "", path ? ")" : "");
}

static void print_argument(const gq_argument_info *argument)
{
  char left[96];

  snprintf(left, sizeof left, "%s=%s", argument->name, argument->type);
  printf("  %-24s %s (", left, argument->help);
  if (!argument->def) printf("required");
  else printf("default ");
  if (argument->def && strcmp(argument->type, "string") == 0) json_string(stdout, argument->def); /* as C writes it, too */
  else if (argument->def) printf("%s", argument->def);
  puts(")");
}

static void print_all(const gq_handler_info *handler, const char *path)
{
  const gq_argument_info *argument;
  size_t i;

  printf("%s: %s\n", handler->name, handler->summary);
  printf("from: %s\n", path ? path : "built in");
  printf("scopes: %s\n", handler->scopes);
  printf("results: shown as %s\n", output_names[handler->output]);
  printf("state: %s", handler->state);
  if (handler->state_bytes) printf(", at least %" PRIu64 " bytes", handler->state_bytes);
  puts("");
  puts(gq_handler_argument(handler, 0) ? "arguments (--arg KEY=VALUE):" : "arguments: none");
  for (i = 0; (argument = gq_handler_argument(handler, i)) != NULL; i++) print_argument(argument);
  if (handler->example) printf("example: %s\n", handler->example);
}

static void json_member(const char *name, const char *value)
{
  printf(",\"%s\":", name);
  if (value) json_string(stdout, value);
  else printf("null");
}

static bool json_is_first;

static void print_json(const gq_handler_info *handler, const char *path)
{
  const gq_argument_info *argument;
  size_t i;

  printf("%s{\"name\":", json_is_first ? "" : ",\n ");
  json_is_first = false;
  json_string(stdout, handler->name);
  json_member("summary", handler->summary);
  json_member("path", path);
  json_member("scopes", handler->scopes);
  json_member("output", output_names[handler->output]);
  json_member("state", handler->state);
  printf(",\"state_bytes\":%" PRIu64, handler->state_bytes);
  json_member("example", handler->example);
  printf(",\"arguments\":[");
  for (i = 0; (argument = gq_handler_argument(handler, i)) != NULL; i++) {
    printf("%s{\"name\":", i ? "," : "");
    json_string(stdout, argument->name);
    json_member("type", argument->type);
    json_member("default", argument->def);
    json_member("help", argument->help);
    printf("}");
  }
  printf("]}");
}

/** The file of the installed handler \p name, from malloc(); NULL if there is none. */
static char *find_installed(const char *name)
{
  const size_t length = strlen(name);
  gq_handler_list *list;
  const char *path;
  char *found = NULL;
  size_t i;

  if (strchr(name, '/') || gq_handler_list_installed(&list) != GQ_OK) return NULL;
  for (i = 0; !found && (path = gq_handler_list_path(list, i)) != NULL; i++) {
    const char *file = strrchr(path, '/') + 1;

    if (strncmp(file, name, length) == 0 && strrchr(file, '.') == file + length) {
      found = allocate(strlen(path) + 1);
      strcpy(found, path);
    }
  }
  gq_handler_list_free(list);
  return found;
}

/** \p name is a handler's name or path; \p path says where it comes from, NULL if that is to be found out. */
static int show(gq_options *options, const char *name, const char *path, print_handler *print)
{
  const gq_handler_info *info, *builtin;
  char *installed;
  size_t i;
  gq_status status;

  options->handler = name;
  status = gq_handler_inspect(options, &info);
  if (status != GQ_OK) {
    complain("%s", gq_last_error());
    return status == GQ_NO_BACKEND || status == GQ_SYSTEM || status == GQ_NO_MEMORY ? EXIT_SYSTEM : EXIT_USAGE;
  }
  for (i = 0; (builtin = gq_handler_describe(i)) != NULL && builtin != info; i++) {}
  installed = builtin || path ? NULL : find_installed(name);
  print(info, builtin ? NULL : path ? path : installed ? installed : name);
  free(installed);
  gq_handler_info_free(info);
  return EXIT_FINE;
}

/** All of them. One that is broken is complained of, and the others are listed. */
static int show_all(gq_options *options, print_handler *print)
{
  const gq_handler_info *info;
  gq_handler_list *list;
  const char *path;
  int status = EXIT_FINE;
  size_t i;

  for (i = 0; (info = gq_handler_describe(i)) != NULL; i++) print(info, NULL);
  if (gq_handler_list_installed(&list) != GQ_OK) {
    complain("%s", gq_last_error());
    return EXIT_SYSTEM;
  }
  for (i = 0; (path = gq_handler_list_path(list, i)) != NULL; i++)
    if (show(options, path, path, print) != EXIT_FINE) status = EXIT_MESSAGES_FAILED;
  gq_handler_list_free(list);
  return status;
}

int handlers_command(int argc, char **argv)
{
  bool help = false, json = false;
  gq_options options;
  const struct argument rows[] = {
    {"json", 0, NULL, &json}, {"help", 'h', NULL, &help}, {NULL, 0, NULL, NULL},
  };
  const int operands = arguments_parse(argc, argv, rows);
  int status = EXIT_FINE, i;

  if (operands < 0) return EXIT_USAGE;
  if (help) {
    print_handlers_help();
    return EXIT_FINE;
  }
  if (gq_options_init(&options) != GQ_OK) {
    complain("%s", gq_last_error());
    return EXIT_USAGE;
  }
  json_is_first = true;
  if (json) printf("[");
  if (operands == 0) status = show_all(&options, json ? print_json : print_line);
  for (i = 1; i <= operands; i++) {
    const int one = show(&options, argv[i], NULL, json ? print_json : print_all);

    if (one != EXIT_FINE) status = one;
  }
  if (json) puts("]");
  return status;
}
