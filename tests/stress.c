/* SPDX-License-Identifier: Apache-2.0 */
#include "stress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define EXIT_SKIPPED 77
#define DEFAULT_SECONDS 1.0

static int usage(const char *name, const char *what, const char *value)
{
  fprintf(stderr, "%s: %s '%s'\nusage: %s [--backend cpu|cuda] [--seconds N] [--seed N]\n", name, what, value, name);
  return EXIT_USAGE;
}

static bool parse_seconds(const char *text, double *seconds)
{
  char *end;
  *seconds = strtod(text, &end);
  return end != text && !*end && *seconds > 0 && *seconds <= 86400;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
  char *end;
  errno = 0;
  *seed = strtoull(text, &end, 0);
  return end != text && !*end && !errno;
}

static int parse(int argc, char **argv, const char *name, support_backend *backends, stress_arguments *arguments)
{
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return usage(name, "nothing follows", argv[i]);
    const char *value = argv[i + 1];
    if (!strcmp(argv[i], "--backend")) {
      support_backend *backend = support_find_backend(backends, value);
      if (!backend) return usage(name, "there is no backend", value);
      for (size_t k = 0; k < SUPPORT_BACKENDS; k++) backends[k].wanted = backends[k].required = false;
      backend->wanted = backend->required = true;
    } else if (!strcmp(argv[i], "--seconds")) {
      if (!parse_seconds(value, &arguments->seconds)) return usage(name, "--seconds takes 0 to 86400, not", value);
    } else if (!strcmp(argv[i], "--seed")) {
      if (!parse_seed(value, &arguments->seed)) return usage(name, "--seed takes a number, not", value);
    } else {
      return usage(name, "unknown option", argv[i]);
    }
  }
  return 0;
}

int stress_run(int argc, char **argv, const char *name, stress_body *body, const void *plan)
{
  support_backend backends[SUPPORT_BACKENDS];
  stress_arguments arguments = { .seed = 1, .seconds = DEFAULT_SECONDS };
  int ran = 0, failed = 0;
  const char *seconds = getenv("GPUQUEUE_TEST_SECONDS");
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (seconds && !parse_seconds(seconds, &arguments.seconds))
    return usage(name, "GPUQUEUE_TEST_SECONDS takes 0 to 86400, not", seconds);
  support_read_environment(backends);
  const int rc = parse(argc, argv, name, backends, &arguments);
  if (rc) return rc;
  for (size_t i = 0; i < SUPPORT_BACKENDS; i++) {
    const support_backend *backend = &backends[i];
    char text[256] = "";
    if (!backend->wanted) continue;
    if (!backend->usable) {
      printf("%s on %s: %s: %s\n", name, backend->name, backend->required ? "FAILED, required" : "skipped",
             backend->reason);
      failed += backend->required;
      continue;
    }
    watchdog_start(name, (unsigned)(arguments.seconds * 3) + 30);
    const int64_t begin = support_now_ns();
    const char *wrong = body(plan, backend->value, &arguments, text, sizeof text);
    const double took = (double)(support_now_ns() - begin) * 1e-9;
    watchdog_stop();
    printf("%s on %s: %s%s%s in %.1f s, seed %" PRIu64 "\n", name, backend->name, wrong ? "FAILED: " : "ok: ",
           wrong ? wrong : text, wrong ? "," : "", took, arguments.seed);
    ran++;
    failed += wrong != NULL;
  }
  if (failed) return EXIT_FAILURE;
  return ran ? EXIT_SUCCESS : EXIT_SKIPPED;
}
