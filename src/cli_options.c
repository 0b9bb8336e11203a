/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of `gpuqueue run`: the command's own options, and every option of the library's table. */
#include "cells.h"
#include "cli.h"
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_CELL 128u

static bool apply_arg(struct settings *settings, const char *value)
{
  if (!strchr(value, '=') || *value == '=') {
    complain("--arg '%s' is not KEY=VALUE", value);
    return false;
  }
  settings->args = reallocate(settings->args, (settings->arg_count + 2) * sizeof *settings->args);
  settings->args[settings->arg_count++] = value;
  settings->args[settings->arg_count] = NULL;
  settings->queue.args = settings->args;
  return true;
}

/** Bytes with the suffixes of the option table. \return false if \p text is no such number or is 0. */
static bool parse_bytes(const char *text, uint64_t *bytes)
{
  static const char suffixes[] = "KMG";
  const char *suffix;
  unsigned shift = 0;
  char *end;

  if (*text < '0' || *text > '9') return false;
  errno = 0;
  *bytes = strtoull(text, &end, 10);
  if (errno) return false;
  if (*end && (suffix = strchr(suffixes, *end & ~0x20)) != NULL) {
    shift = 10 * (unsigned)(suffix - suffixes + 1);
    end++;
  }
  if (*end || *bytes == 0 || *bytes > UINT64_MAX >> shift) return false;
  *bytes <<= shift;
  return true;
}

static bool apply_input_format(struct settings *settings, const char *value)
{
  static const struct { const char *name; enum framing framing; } framings[] = {
    {"lines", FRAMING_LINES}, {"nul", FRAMING_NUL}, {"len32", FRAMING_LEN32},
    {"files", FRAMING_FILES}, {"dead-letters", FRAMING_DEAD_LETTERS},
  };
  size_t i;

  for (i = 0; i < sizeof framings / sizeof *framings; i++) {
    if (strcmp(value, framings[i].name) != 0) continue;
    settings->framing = framings[i].framing;
    return true;
  }
  if (strncmp(value, "fixed:", 6) == 0) {
    settings->framing = FRAMING_FIXED;
    if (parse_bytes(value + 6, &settings->record_bytes)) return true;
    complain("--input-format '%s': the N of fixed:N is a number of bytes from 1 on (K, M, G may follow)", value);
    return false;
  }
  complain("--input-format '%s' is none of lines, nul, len32, fixed:N, files, dead-letters", value);
  return false;
}

static bool apply_output_format(struct settings *settings, const char *value)
{
  static const char *const names[] = {[GQ_OUTPUT_RAW] = "raw", [GQ_OUTPUT_HEX] = "hex", [GQ_OUTPUT_TEXT] = "text"};
  int i;

  for (i = 0; i < 3; i++) {
    if (strcmp(value, names[i]) != 0) continue;
    settings->output = i;
    return true;
  }
  complain("--output-format '%s' is none of hex, raw, text", value);
  return false;
}

static bool apply_with_input(struct settings *settings, const char *value)
{
  (void)value;
  settings->with_input = true;
  return true;
}

static bool apply_unordered(struct settings *settings, const char *value)
{
  (void)value;
  settings->queue.ordered = 0;
  return true;
}

static bool apply_null(struct settings *settings, const char *value)
{
  (void)value;
  settings->names_end_in_nul = true;
  return true;
}

static bool apply_dead_letters(struct settings *settings, const char *value)
{
  settings->dead_letters = value;
  return true;
}

static bool apply_progress(struct settings *settings, const char *value)
{
  if (!value || strcmp(value, "auto") == 0) settings->progress = PROGRESS_ON_TERMINAL;
  else if (strcmp(value, "always") == 0) settings->progress = PROGRESS_ALWAYS;
  else if (strcmp(value, "never") == 0) settings->progress = PROGRESS_NEVER;
  else {
    complain("--progress '%s' is none of auto, always, never", value);
    return false;
  }
  return true;
}

static bool apply_stats(struct settings *settings, const char *value)
{
  if (!value || strcmp(value, "text") == 0) settings->stats = STATS_TEXT;
  else if (strcmp(value, "json") == 0) settings->stats = STATS_JSON;
  else {
    complain("--stats '%s' is none of text, json", value);
    return false;
  }
  return true;
}

static bool apply_tags(struct settings *settings, const char *value)
{
  (void)value;
  settings->tags = true;
  return true;
}

static bool apply_threads(struct settings *settings, const char *value)
{
  char *end;
  const unsigned long count = strtoul(value, &end, 10);

  if (*value < '0' || *value > '9' || *end || count < 1 || count > MOST_THREADS) {
    complain("--threads '%s' is no number from 1 to %d", value, MOST_THREADS);
    return false;
  }
  settings->threads = (unsigned)count;
  return true;
}

static bool apply_verbose(struct settings *settings, const char *value)
{
  (void)value;
  settings->verbose = true;
  return true;
}

const struct own_option own_options[] = {
  {"arg", 0, "KEY=VALUE", "an argument for the handler; may be given several times", apply_arg},
  {"input-format", 0, "FORMAT",
   "how input is cut into messages: lines (default), nul, len32, fixed:N, files, dead-letters", apply_input_format},
  {"null", '0', NULL, "with files: the names on standard input end in NUL, not in a newline", apply_null},
  {"output-format", 0, "FORMAT", "hex, raw or text; default: what the handler declares", apply_output_format},
  {"with-input", 0, NULL, "print each message, or its file's name, after its result", apply_with_input},
  {"unordered", 0, NULL, "print results as they come, not in the order of the input", apply_unordered},
  {"dead-letters", 0, "FILE", "append failed messages to FILE as JSON lines", apply_dead_letters},
  {"progress", 0, "[=WHEN]", "show progress on standard error: auto (only on a terminal), always, never",
   apply_progress},
  {"stats", 0, "[=FORMAT]", "print statistics on standard error at the end: text or json", apply_stats},
  {"tags", 0, NULL, "give the handler each message's number in the input as its tag", apply_tags},
  {"threads", 0, "NUMBER", "threads that send messages and print results, each with a lane of its own; 1 to 256",
   apply_threads},
  {"verbose", 'v', NULL, "say on standard error what the queue runs on", apply_verbose},
  {NULL, 0, NULL, NULL, NULL},
};

/** Whether the \p size characters at \p text are \p name, '-' and '_' being the same. */
static bool is_name(const char *text, size_t size, const char *name)
{
  size_t i;

  for (i = 0; i < size && name[i]; i++) {
    const char wanted = name[i] == '_' ? '-' : name[i], given = text[i] == '_' ? '-' : text[i];
    if (given != wanted) return false;
  }
  return i == size && !name[i];
}

static const gq_option_info *find_queue_option(const char *text, size_t size)
{
  const gq_option_info *row;
  size_t i;

  for (i = 0; (row = gq_option_describe(i)) != NULL; i++)
    if (is_name(text, size, row->name)) return row;
  return NULL;
}

static const struct own_option *find_own_option(const char *text, size_t size)
{
  const struct own_option *row;

  for (row = own_options; row->name; row++)
    if (is_name(text, size, row->name)) return row;
  return NULL;
}

static int usage_error(void)
{
  complain("try 'gpuqueue run --help'");
  return EXIT_USAGE;
}

/** The arguments that are left; the next one is \p argv[\p at]. */
struct arguments {
  int count, at;
  char **values;
};

static const char *take_value(struct arguments *arguments, const char *option, const char *what)
{
  if (arguments->at < arguments->count) return arguments->values[arguments->at++];
  complain("%s needs a value: %s", option, what);
  return NULL;
}

static bool apply_own(struct settings *settings, const struct own_option *row, const char *option, const char *value,
                      struct arguments *arguments)
{
  if (value && !row->value) {
    complain("%s takes no value", option);
    return false;
  }
  if (!value && row->value && *row->value != '[') {
    value = take_value(arguments, option, row->value);
    if (!value) return false;
  }
  return row->apply(settings, value);
}

static bool apply_queue(struct settings *settings, const gq_option_info *row, const char *option, const char *value,
                        struct arguments *arguments)
{
  if (!value && strcmp(row->type, "flag") == 0) value = "1";
  if (!value) value = take_value(arguments, option, row->range);
  if (!value) return false;
  if (gq_option_set(&settings->queue, row->name, value) != GQ_OK) {
    complain("%s", gq_last_error());
    return false;
  }
  if (strcmp(row->name, "handler") == 0) settings->handler_given = true;
  return true;
}

static bool apply_long(struct settings *settings, char *option, struct arguments *arguments)
{
  const char *name = option + 2, *value = strchr(name, '=');
  const size_t size = value ? (size_t)(value - name) : strlen(name);
  const gq_option_info *queue_row;
  const struct own_option *own_row;
  char shown[64];

  snprintf(shown, sizeof shown, "--%.*s", (int)(size < 50 ? size : 50), name);
  if (value) value++;
  if ((own_row = find_own_option(name, size)) != NULL)
    return apply_own(settings, own_row, shown, value, arguments);
  if ((queue_row = find_queue_option(name, size)) != NULL)
    return apply_queue(settings, queue_row, shown, value, arguments);
  complain("unknown option %s", shown);
  return false;
}

/** One or several one-letter options in one argument; none of them takes a value. */
static bool apply_letters(struct settings *settings, const char *option)
{
  const char *letter;

  for (letter = option + 1; *letter; letter++) {
    const struct own_option *row = own_options;
    while (row->name && row->letter != *letter) row++;
    if (!row->name) {
      complain("unknown option -%c in '%s'", *letter, option);
      return false;
    }
    if (!row->apply(settings, NULL)) return false;
  }
  return true;
}

static bool names_handler(const struct settings *settings)
{
  const gq_handler_info *row;
  char known[512] = "";
  size_t i, used = 0;

  if (settings->handler_given) return true;
  for (i = 0; (row = gq_handler_describe(i)) != NULL && used < sizeof known; i++)
    used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", row->name);
  complain("no handler: say --handler NAME; there are %s", known);
  return false;
}

static bool fits_together(const struct settings *settings)
{
  const uint64_t largest = settings->queue.max_message_bytes;

  if (settings->framing == FRAMING_FIXED && settings->record_bytes > largest) {
    complain("fixed:%llu is more than --max-message-bytes %llu", (unsigned long long)settings->record_bytes,
             (unsigned long long)largest);
    return false;
  }
  if (settings->names_end_in_nul && settings->framing != FRAMING_FILES) {
    complain("--null is about the names of --input-format files; for messages that end in NUL say "
             "--input-format nul");
    return false;
  }
  if (settings->framing == FRAMING_DEAD_LETTERS && !settings->queue.ordered) {
    complain("--input-format dead-letters gives results in input order only: leave --unordered out");
    return false;
  }
  return true;
}

static int parse_one(struct settings *settings, char *argument, struct arguments *arguments)
{
  bool fine;

  if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
    print_run_help();
    return EXIT_FINE;
  }
  if (argument[0] != '-' || !argument[1]) {
    settings->files[settings->file_count++] = argument;
    return SETTINGS_READY;
  }
  fine = argument[1] == '-' ? apply_long(settings, argument, arguments) : apply_letters(settings, argument);
  return fine ? SETTINGS_READY : usage_error();
}

int settings_parse(struct settings *settings, int argc, char **argv)
{
  struct arguments arguments = {argc, 1, argv};

  memset(settings, 0, sizeof *settings);
  settings->output = OUTPUT_AS_DECLARED;
  settings->files = allocate((size_t)argc * sizeof *settings->files);
  if (gq_options_init(&settings->queue) != GQ_OK) {
    complain("%s", gq_last_error());
    return EXIT_USAGE;
  }
  settings->handler_given = getenv("GPUQUEUE_HANDLER") != NULL;
  settings->queue.ordered = 1;
  if (!getenv("GPUQUEUE_GUARD")) settings->queue.guard = 1; /* this process has no signal handlers of its own to mind */

  while (arguments.at < argc) {
    char *argument = argv[arguments.at++];
    int outcome;

    if (strcmp(argument, "--") == 0) {
      while (arguments.at < argc) settings->files[settings->file_count++] = argv[arguments.at++];
      break;
    }
    outcome = parse_one(settings, argument, &arguments);
    if (outcome != SETTINGS_READY) return outcome;
  }
  if (!names_handler(settings) || !fits_together(settings)) return usage_error();
  if (settings->framing == FRAMING_FIXED && settings->queue.cell_bytes == 0)
    settings->queue.cell_bytes = cell_that_takes(settings->record_bytes + (settings->tags ? CELL_TAG_BYTES : 0),
                                                 USUAL_CELL);
  return SETTINGS_READY;
}

void settings_free(struct settings *settings)
{
  free(settings->args);
  free(settings->files);
}
