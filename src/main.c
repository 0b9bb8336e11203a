/* SPDX-License-Identifier: Apache-2.0 */
/* The command: finds the subcommand and gives it its arguments. */
#include "cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gpuqueue/gpuqueue.h>

/** A standard descriptor that the parent closed would become the first file we open. Occupy it by something
 * that fails when it is used the usual way. */
static void occupy_standard_descriptors(void)
{
  int fd;

  for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
}

/** What was printed with stdio has to arrive, too. */
static int finish_printing(int status)
{
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  complain("standard output: cannot write");
  return EXIT_SYSTEM;
}

int main(int argc, char **argv)
{
  const char *word = argc > 1 ? argv[1] : NULL;

  occupy_standard_descriptors();
  if (!word) {
    complain("no subcommand: say run, handlers, compile, bench or info; try 'gpuqueue --help'");
    return EXIT_USAGE;
  }
  if (strcmp(word, "run") == 0) return finish_printing(run_command(argc - 1, argv + 1));
  if (strcmp(word, "compile") == 0) return finish_printing(compile_command(argc - 1, argv + 1));
  if (strcmp(word, "handlers") == 0) return finish_printing(handlers_command(argc - 1, argv + 1));
  if (strcmp(word, "bench") == 0) return finish_printing(bench_command(argc - 1, argv + 1));
  if (strcmp(word, "info") == 0) return finish_printing(info_command(argc - 1, argv + 1));
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
    print_help();
    return finish_printing(EXIT_FINE);
  }
  if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
    printf("gpuqueue %s\n", gq_version());
    return finish_printing(EXIT_FINE);
  }
  complain("unknown subcommand '%s': run, handlers, compile, bench or info; try 'gpuqueue --help'", word);
  return EXIT_USAGE;
}
