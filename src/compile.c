/* SPDX-License-Identifier: Apache-2.0 */
/* `gpuqueue compile`: a handler's source into a file that runs without a compiler. */
#include "arguments.h"
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gpuqueue/gpuqueue.h>

static bool write_all(int fd, const char *data, size_t size)
{
  while (size > 0) {
    const ssize_t put = write(fd, data, size);

    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    data += put;
    size -= (size_t)put;
  }
  return true;
}

/** Make \p path hold the bytes, or leave it as it was: they are written beside it first. */
static bool replace_file(const char *path, const void *data, size_t size)
{
  const size_t length = strlen(path) + sizeof ".XXXXXX";
  char *beside = allocate(length);
  const mode_t mask = umask(0);
  bool done = false;
  int fd;

  umask(mask);
  snprintf(beside, length, "%s.XXXXXX", path);
  fd = mkstemp(beside);
  if (fd < 0) {
    complain_about(path, "cannot be written: %s", strerror(errno));
    free(beside);
    return false;
  }
  done = write_all(fd, data, size) && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
  if (close(fd) != 0) done = false;
  if (done) done = rename(beside, path) == 0;
  if (!done) {
    complain_about(path, "cannot be written: %s", strerror(errno));
    unlink(beside);
  }
  free(beside);
  return done;
}

/** A device or pipe is written to, not replaced; so is a file that has no name any more. */
static bool write_into(const char *path, const void *data, size_t size)
{
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool done = fd >= 0 && write_all(fd, data, size);

  if (!done) complain_about(path, "cannot be written: %s", strerror(errno));
  if (fd >= 0) close(fd);
  return done;
}

/** \return whether the bytes are in \p path, or on standard output if that is "-". */
static bool deliver(const char *path, const void *data, size_t size)
{
  struct stat facts;
  char *target;
  bool done;

  if (strcmp(path, "-") == 0) {
    if (write_all(STDOUT_FILENO, data, size)) return true;
    complain("standard output: %s", strerror(errno));
    return false;
  }
  if (lstat(path, &facts) != 0) return replace_file(path, data, size);
  if (stat(path, &facts) != 0) {
    complain_about(path, "cannot be written: it is a link that leads to no file");
    return false;
  }
  /* of a link, such as /dev/stdout, what it leads to is replaced */
  target = S_ISREG(facts.st_mode) ? realpath(path, NULL) : NULL;
  done = target ? replace_file(target, data, size) : write_into(path, data, size);
  free(target);
  return done;
}

/** "dir/my.cu" gives "dir/my.gqh"; from malloc(). */
static char *default_output(const char *source)
{
  const char *dot = strrchr(source, '.');
  const size_t stem = dot && dot != source && !strchr(dot, '/') ? (size_t)(dot - source) : strlen(source);
  char *path = allocate(stem + sizeof ".gqh");

  memcpy(path, source, stem);
  strcpy(path + stem, ".gqh");
  return path;
}

static bool is_source(const char *path)
{
  const char *dot = strrchr(path, '.');

  return dot && (strcmp(dot, ".cu") == 0 || strcmp(dot, ".c") == 0);
}

static bool is_same_file(const char *a, const char *b)
{
  struct stat facts_a, facts_b;

  return stat(a, &facts_a) == 0 && stat(b, &facts_b) == 0 && facts_a.st_dev == facts_b.st_dev &&
         facts_a.st_ino == facts_b.st_ino;
}

static int exit_status(gq_status status)
{
  return status == GQ_INVALID || status == GQ_NO_HANDLER || status == GQ_BAD_HANDLER ? EXIT_USAGE : EXIT_SYSTEM;
}

static int compile(const char *source, const gq_options *options, const gq_compilation *what, const char *output)
{
  char *chosen = output ? NULL : default_output(source);
  int status = EXIT_FINE;
  size_t bytes;
  void *image;
  const gq_status made = gq_compile(options, what, &image, &bytes);

  if (made != GQ_OK) {
    complain("%s", gq_last_error());
    status = exit_status(made);
  } else {
    if (!deliver(output ? output : chosen, image, bytes)) status = EXIT_SYSTEM;
    free(image);
  }
  free(chosen);
  return status;
}

int compile_command(int argc, char **argv)
{
  gq_compilation what = {sizeof what, NULL, 0};
  const char *output = NULL, *flags = NULL, *toolkit = NULL;
  bool help = false, cpu = false;
  gq_options options;
  const struct argument rows[] = {
    {"output", 'o', &output, NULL},     {"archs", 0, &what.archs, NULL}, {"cpu", 0, NULL, &cpu},
    {"handler-flags", 0, &flags, NULL}, {"toolkit", 0, &toolkit, NULL},  {"help", 'h', NULL, &help},
    {NULL, 0, NULL, NULL},
  };
  const int operands = arguments_parse(argc, argv, rows);

  if (operands < 0) return EXIT_USAGE;
  if (help) {
    print_compile_help();
    return EXIT_FINE;
  }
  if (operands != 1) {
    complain("compile: %s; try 'gpuqueue compile --help'", operands ? "more than one source" : "no source");
    return EXIT_USAGE;
  }
  if (!is_source(argv[1])) {
    complain_about(argv[1], "is no handler's source by its name: that ends in .cu or .c");
    return EXIT_USAGE;
  }
  if (output && is_same_file(output, argv[1])) {
    complain_about(output, "is the source, which would be overwritten: name another file with --output");
    return EXIT_USAGE;
  }
  if (gq_options_init(&options) != GQ_OK) {
    complain("%s", gq_last_error());
    return EXIT_USAGE;
  }
  options.handler = argv[1];
  if (flags) options.handler_flags = flags;
  if (toolkit) options.toolkit = toolkit;
  what.cpu = cpu;
  return compile(argv[1], &options, &what, output);
}
