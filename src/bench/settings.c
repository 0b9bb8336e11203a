/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of `gpuqueue bench`: its own, and every option of the library's table. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../cli.h"
#include "bench.h"

#define SECONDS_DEFAULT 0.6
#define SECONDS_QUICK 0.06

/** A row of the bench's own options. \ref apply is called with the value, NULL if it takes none. */
struct bench_option {
  const char *name;
  char letter;
  const char *value;  /**< what it is, for people; NULL: takes none */
  const char *help;
  bool (*apply)(struct bench_settings *settings, const char *value);
};

/** A number with the suffixes of the option table. \return what follows it, or NULL. */
static const char *parse_number(const char *text, uint64_t *number)
{
  static const char suffixes[] = "KMG";
  unsigned shift = 0;
  char *end;

  if (!isdigit((unsigned char)*text)) return NULL;
  errno = 0;
  *number = strtoull(text, &end, 10);
  if (errno) return NULL;
  if (*end && strchr(suffixes, toupper((unsigned char)*end)))
    shift = 10 * (unsigned)(strchr(suffixes, toupper((unsigned char)*end++)) - suffixes + 1);
  if (*number > UINT64_MAX >> shift) return NULL;
  *number <<= shift;
  return end;
}

/** Numbers from \p least to \p most, separated by commas. */
static bool parse_list(const char *option, const char *text, uint64_t least, uint64_t most, struct list *list)
{
  const char *at = text;

  list->count = 0;
  while (list->count < LIST_MAX) {
    uint64_t number;

    at = parse_number(at, &number);
    if (!at || (*at && *at != ',') || number < least || number > most) break;
    if (!list_has(list, number)) list->values[list->count++] = number; /* nothing is measured twice */
    if (!*at++) return true;
  }
  complain("--%s '%s' is no list of up to %d numbers from %llu to %llu, separated by commas (K, M, G may follow each)",
           option, text, LIST_MAX, (unsigned long long)least, (unsigned long long)most);
  return false;
}

static bool apply_payload(struct bench_settings *s, const char *v)
{
  return parse_list("payload", v, 0, (uint64_t)1 << 30, &s->payloads);
}

static bool apply_threads(struct bench_settings *s, const char *v)
{
  return parse_list("threads", v, 1, 256, &s->threads);
}

static bool apply_batch(struct bench_settings *s, const char *v)
{
  return parse_list("batch", v, 1, 4096, &s->batches);
}

static bool apply_lanes(struct bench_settings *s, const char *v)
{
  return parse_list("lanes", v, 1, 1024, &s->lanes);
}

static bool apply_rate(struct bench_settings *s, const char *v)
{
  return parse_list("rate", v, 1, 1000000000, &s->rates);
}

static bool apply_keys(struct bench_settings *s, const char *v)
{
  return parse_list("keys", v, 0, (uint64_t)1 << 24, &s->keys);
}

static bool apply_seconds(struct bench_settings *s, const char *value)
{
  char *end;
  const double seconds = strtod(value, &end);

  if (end != value && !*end && seconds >= 0.001 && seconds <= 3600) {
    s->seconds = seconds;
    return true;
  }
  complain("--seconds '%s' is no number of seconds from 0.001 to 3600", value);
  return false;
}

static bool apply_quick(struct bench_settings *s, const char *value)
{
  (void)value;
  return s->quick = true;
}

static bool apply_list(struct bench_settings *s, const char *value)
{
  (void)value;
  return s->list = true;
}

static bool apply_json(struct bench_settings *s, const char *value)
{
  s->json = value;
  return true;
}

static bool apply_plot(struct bench_settings *s, const char *value)
{
  static const char *const others[] = {".png", ".pdf", ".jpg", ".jpeg", ".gif", ".eps", ".ps", ".html", ".txt"};
  const size_t size = strlen(value);
  size_t i;

  for (i = 0; i < sizeof others / sizeof *others; i++)
    if (size > strlen(others[i]) && strcasecmp(value + size - strlen(others[i]), others[i]) == 0) {
      complain("--plot %s: charts are drawn as SVG, so have the name end in .svg (rsvg-convert or a browser makes "
               "others of it)", value);
      return false;
    }
  s->plot = value;
  return true;
}

static bool apply_arg(struct bench_settings *s, const char *value)
{
  if (!strchr(value, '=') || *value == '=') {
    complain("--arg '%s' is not KEY=VALUE", value);
    return false;
  }
  s->args = reallocate(s->args, (s->arg_count + 2) * sizeof *s->args);
  s->args[s->arg_count++] = value;
  s->args[s->arg_count] = NULL;
  s->queue.args = s->args;
  return true;
}

static const struct bench_option own_rows[] = {
  {"list", 0, NULL, "list the scenarios", apply_list},
  {"seconds", 0, "S", "measuring time of a point, 0.001 to 3600 (default: 0.6; with --quick 0.06)", apply_seconds},
  {"quick", 0, NULL, "fewer points and less time for each: to see that all works, not to quote", apply_quick},
  {"json", 0, "FILE", "write all figures to FILE as one JSON object; - is standard output", apply_json},
  {"plot", 0, "FILE", "draw charts to FILE, as SVG; - is standard output", apply_plot},
  {"payload", 0, "LIST", "message sizes in bytes, instead of each scenario's own (0 to 1G)", apply_payload},
  {"threads", 0, "LIST", "numbers of producer threads (1 to 256)", apply_threads},
  {"batch", 0, "LIST", "messages a call (1 to 4096)", apply_batch},
  {"lanes", 0, "LIST", "numbers of lanes, for the scenario lanes (1 to 1024)", apply_lanes},
  {"rate", 0, "LIST", "messages offered a second, for the scenario load (1 to 1000000000)", apply_rate},
  {"keys", 0, "LIST", "numbers of keys, for the scenario keys (0, which is none, to 16M)", apply_keys},
  {"arg", 0, "KEY=VALUE", "an argument for the handler; may be given several times", apply_arg},
};
enum { OWN_ROWS = sizeof own_rows / sizeof *own_rows };

static bool same_name(const char *text, size_t size, const char *name)
{
  size_t i;

  for (i = 0; i < size && name[i]; i++)
    if ((text[i] == '_' ? '-' : text[i]) != (name[i] == '_' ? '-' : name[i])) return false;
  return i == size && !name[i];
}

static int usage_error(void)
{
  complain("try 'gpuqueue bench --help'");
  return EXIT_USAGE;
}

/** Set the queue's option that is row \p index of the table. */
static bool apply_queue_row(struct bench_settings *settings, size_t index, const char *value)
{
  const gq_option_info *row = gq_option_describe(index);

  if (!value && strcmp(row->type, "flag") == 0) value = "1";
  if (gq_option_set(&settings->queue, row->name, value) != GQ_OK) {
    complain("%s", gq_last_error());
    return false;
  }
  settings->given[index] = value;
  return true;
}

/** One option; \p following is the argument after it, or NULL. \param taken  out: whether that was its value */
static bool apply_option(struct bench_settings *settings, const char *option, const char *following, bool *taken)
{
  const char *name = option + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
  const size_t size = equals ? (size_t)(equals - name) : strlen(name);
  const struct bench_option *own = NULL;
  const gq_option_info *row;
  bool needs_value = false;
  size_t i, index = 0;

  *taken = false;
  for (i = 0; i < OWN_ROWS && option[1] == '-'; i++)
    if (same_name(name, size, own_rows[i].name)) own = &own_rows[i];
  for (index = 0; (row = gq_option_describe(index)) != NULL; index++)
    if (option[1] == '-' && index < QUEUE_OPTIONS_MAX && same_name(name, size, row->name)) break;
  if (!own && !row) {
    complain("bench: unknown option %s", option);
    return false;
  }
  if (own && !own->value && value) {
    complain("--%s takes no value", own->name);
    return false;
  }
  needs_value = own ? own->value != NULL : strcmp(row->type, "flag") != 0;
  if (needs_value && !value) {
    value = following;
    *taken = following != NULL;
  }
  if (needs_value && !value) {
    complain("%.*s needs a value: %s", (int)(size + 2), option, own ? own->value : row->range);
    return false;
  }
  return own ? own->apply(settings, value) : apply_queue_row(settings, index, value);
}

static bool is_scenario(const char *name)
{
  const struct scenario *row;
  char known[256] = "";
  size_t used = 0;

  for (row = scenarios; row->name; row++) {
    if (strcmp(row->name, name) == 0) return true;
    if (used < sizeof known)
      used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", row->name);
  }
  complain("bench: there is no scenario '%s'; there are %s", name, known);
  return false;
}

int bench_settings_parse(struct bench_settings *settings, int argc, char **argv)
{
  bool options_end = false;
  int at;

  memset(settings, 0, sizeof *settings);
  settings->scenarios = allocate((size_t)argc * sizeof *settings->scenarios);
  if (gq_options_init(&settings->queue) != GQ_OK) {
    complain("%s", gq_last_error());
    return EXIT_USAGE;
  }
  for (at = 1; at < argc; at++) {
    bool taken;

    if (!options_end && strcmp(argv[at], "--") == 0) {
      options_end = true;
    } else if (!options_end && (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)) {
      bench_print_help();
      return EXIT_FINE;
    } else if (options_end || argv[at][0] != '-') {
      if (!is_scenario(argv[at])) return usage_error();
      settings->scenarios[settings->scenario_count++] = argv[at];
    } else {
      if (!apply_option(settings, argv[at], at + 1 < argc ? argv[at + 1] : NULL, &taken)) return usage_error();
      at += taken;
    }
  }
  if (settings->json && settings->plot && strcmp(settings->json, settings->plot) == 0) {
    complain("--json and --plot are both %s: give each a file of its own", settings->json);
    return usage_error();
  }
  if (settings->seconds == 0) settings->seconds = settings->quick ? SECONDS_QUICK : SECONDS_DEFAULT;
  return BENCH_READY;
}

void bench_settings_free(struct bench_settings *settings)
{
  free(settings->args);
  free(settings->scenarios);
}

const char *bench_given(const struct bench_settings *settings, const char *name)
{
  const gq_option_info *row;
  char variable[64] = "GPUQUEUE_";
  size_t i, k;

  for (k = 0; name[k] && k + 10 < sizeof variable; k++) variable[9 + k] = (char)toupper((unsigned char)name[k]);
  for (i = 0; (row = gq_option_describe(i)) != NULL && i < QUEUE_OPTIONS_MAX; i++)
    if (strcmp(row->name, name) == 0 && settings->given[i]) return settings->given[i];
  return getenv(variable);
}

bool bench_is_given(const struct bench_settings *settings, const char *name)
{
  return bench_given(settings, name) != NULL;
}

void bench_print_help(void)
{
  const gq_option_info *row;
  char help[512];
  size_t i;

  puts("Usage: gpuqueue bench [OPTION]... [SCENARIO]...\n"
       "\n"
       "Measure what a queue does on this machine, beside what else could be used; without a SCENARIO, in all of\n"
       "them. Every result is read and compared with what it must be.\n"
       "\n"
       "What is measured (a LIST is up to 64 numbers, separated by commas; each may end in K, M or G, which stand\n"
       "for powers of 1024):");
  for (i = 0; i < OWN_ROWS; i++)
    print_option_row(own_rows[i].letter, own_rows[i].name, own_rows[i].value, own_rows[i].help);
  print_option_row('h', "help", NULL, "print this");
  puts("\nThe queue (the same names, as GPUQUEUE_NAME, set defaults in the environment; what is not given, scenarios\n"
       "choose as it suits them):");
  for (i = 0; (row = gq_option_describe(i)) != NULL; i++) {
    if (strcmp(row->name, "lanes") == 0) continue; /* which is a list here */
    snprintf(help, sizeof help, "%s (%s; default %s)", row->help, row->range, row->def);
    print_option_row(0, row->name, option_value_word(row), help);
  }
  puts("\nExit status: 0 all was measured, 1 a result was wrong, 2 usage error, 3 system or device error; SIGINT and\n"
       "SIGTERM end it by that signal, once what was measured is reported.");
}
