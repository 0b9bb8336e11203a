/* SPDX-License-Identifier: Apache-2.0 */
/* The system's C compiler, and what its complaints may mean. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compile.h"
#include "error.h"
#include "linked_kernel.h"
#include "program.h"

#define COMPILE_SECONDS 120
#define MOST_OBJECT (128u << 20)

gq_status gq_find_c_compiler(char ***words, char *path)
{
  static const char *const usual[] = {"cc", "gcc", "clang"};
  const char *chosen = secure_getenv("CC");
  gq_status status;

  if (chosen && chosen[strspn(chosen, " \t")]) {
    status = gq_split_flags(chosen, words);
    if (status != GQ_OK || gq_program_find((*words)[0], path)) return status;
    status = gq_fail(GQ_NO_BACKEND, "the environment variable CC is '%s', and no such program is there to compile the "
                                    "handler for the CPU", chosen);
    free(*words);
    *words = NULL;
    return status;
  }
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (gq_program_find(usual[i], path)) return gq_split_flags(usual[i], words);
  return gq_fail(GQ_NO_BACKEND, "no C compiler was found to compile the handler for the CPU: neither cc, gcc nor clang is "
                                "in PATH. Install one (Debian: apt-get install gcc), or name it in the environment "
                                "variable CC; a handler compiled elsewhere (gpuqueue compile --cpu) needs none");
}

/* Write the file `path`, with `before` in front of `text`. */
static gq_status write_file(const char *path, const char *before, const char *text)
{
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int error = fd < 0 ? errno : gq_write_all(fd, before, strlen(before));

  if (!error) error = gq_write_all(fd, text, strlen(text));
  if (fd >= 0 && close(fd) != 0 && !error) error = errno;
  return error ? gq_fail(GQ_SYSTEM, "cannot write %s: %s", path, strerror(error)) : GQ_OK;
}

/* The line that makes the compiler, and a debugger, speak of the user's own file. */
static void line_marker(const char *name, char *text, size_t size)
{
  size_t used = (size_t)snprintf(text, size, "#line 1 \"");

  for (; *name && used + 6 < size; name++) {
    if (*name == '"' || *name == '\\') text[used++] = '\\';
    if (*name != '\n') text[used++] = *name;
  }
  snprintf(text + used, size - used, "\"\n");
}

static gq_status lay_out_files(const char *directory, const gq_source *source, char *file, char *object)
{
  char path[PATH_MAX + 32], marker[PATH_MAX + 32];
  gq_status status;

  snprintf(path, sizeof path, "%s/gpuqueue", directory);
  if (mkdir(path, 0700) != 0) return gq_fail(GQ_SYSTEM, "cannot make %s: %s", path, strerror(errno));
  snprintf(path, sizeof path, "%s/gpuqueue/handler.h", directory);
  status = write_file(path, "#line 1 \"gpuqueue/handler.h\"\n", gq_handler_header());
  if (status != GQ_OK) return status;
  snprintf(file, PATH_MAX + 32, "%s/handler.c", directory);
  snprintf(object, PATH_MAX + 32, "%s/handler.so", directory);
  line_marker(source->name, marker, sizeof marker);
  return write_file(file, marker, source->text);
}

static gq_status run(char *const *compiler, const char *path, const gq_source *source, char *const *flags,
                     const char *directory, gq_bytes *object)
{
  /* Warnings that would be errors for NVRTC, or make code that cannot run, are errors here too. */
  static const char *const usual[] = {"-x", "c", "-std=gnu11", "-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden",
                                      "-Werror=implicit-function-declaration", "-Werror=int-conversion",
                                      "-Werror=incompatible-pointer-types", "-Werror=return-type"};
  const size_t usual_count = sizeof usual / sizeof *usual;
  char file[PATH_MAX + 32], output[PATH_MAX + 32], hints[2048];
  const char **argv;
  size_t count = 0, given = 0;
  gq_bytes said;
  gq_status status = lay_out_files(directory, source, file, output);

  if (status != GQ_OK) return status;
  while (compiler[given]) given++;
  for (size_t i = 0; flags[i]; i++) given++;
  argv = calloc(given + usual_count + 12, sizeof *argv);
  if (!argv) return gq_fail(GQ_NO_MEMORY, "no memory for %zu flags", given);
  for (size_t i = 0; compiler[i]; i++) argv[count++] = compiler[i];
  for (size_t i = 0; i < usual_count; i++) argv[count++] = usual[i];
  argv[count++] = "-I";
  argv[count++] = directory;
  if (source->directory) {
    argv[count++] = "-iquote";
    argv[count++] = source->directory;
  }
  for (size_t i = 0; flags[i]; i++) argv[count++] = flags[i];
  argv[count++] = "-o";
  argv[count++] = output;
  argv[count++] = file;
  argv[count++] = "-lm";
  status = gq_program_run(path, (char *const *)argv, COMPILE_SECONDS, directory, &said);
  free(argv);
  if (status == GQ_FAILED) {
    gq_compile_hints(source->text, (const char *)said.data, true, hints, sizeof hints);
    gq_fail(GQ_BAD_HANDLER, "%s does not compile for the CPU (%s):\n%s%s", source->name, path, (const char *)said.data,
            hints);
    gq_bytes_free(&said);
    return GQ_BAD_HANDLER;
  }
  if (status != GQ_OK) return status;
  status = gq_read_file(output, MOST_OBJECT, object);
  if (status != GQ_OK)
    status = gq_fail(GQ_NO_BACKEND, "the C compiler %s ended well and made no shared object:\n%s", path,
                     (const char *)said.data);
  gq_bytes_free(&said);
  return status;
}

gq_status gq_run_c_compiler(char *const *compiler, const char *path, const gq_source *source, char *const *flags,
                            gq_bytes *object)
{
  char directory[PATH_MAX];
  gq_status status = gq_scratch_directory(directory);

  if (status != GQ_OK) return status;
  status = run(compiler, path, source, flags, directory, object);
  gq_scratch_remove(directory);
  return status;
}

/* -------------------------------------------------------------------------------------------------------- hints */

static bool has_any(const char *text, const char *const *words)
{
  for (; *words; words++)
    if (strstr(text, *words)) return true;
  return false;
}

const char *gq_compile_hints(const char *source, const char *said, bool is_for_cpu, char *text, size_t size)
{
  static const char *const cpp[] = {"template", "namespace", "std::", "constexpr", "static_cast", "reinterpret_cast",
                                    "using ", "auto ", "class ", "nullptr", "#include <cuda", NULL};
  static const char *const c_only[] = {"designat", "compound literal", "invalid conversion", "is incompatible with entity",
                                       "a value of type \"void *\"", "a value of type \"const void *\"", NULL};
  static const char *const headers[] = {"cannot open source file", "could not open source file", NULL};
  static const char *const items[] = {"GQ_MANIFEST_", "GQ_SUMMARY", "GQ_SCOPES", "GQ_RESULT", "GQ_HANDLER", NULL};
  static const char *const old_style[] = {"int32_t gq_handler_", "int gq_handler_", NULL};
  const bool declares = strstr(source, "GQ_HANDLER") != NULL, includes = strstr(source, "gpuqueue/handler.h") != NULL;
  size_t used = 0;

  text[0] = '\0';
#define HINT(condition, words) \
  if ((condition) && used < size) used += (size_t)snprintf(text + used, size - used, "hint: %s\n", words);
  HINT(!includes, "a handler begins with #include <gpuqueue/handler.h>, which comes with gpuqueue and is always found")
  HINT(!declares && !has_any(source, old_style), "there is no GQ_HANDLER(name, ...) in it, with which a handler is "
                                                 "declared")
  HINT(!declares && has_any(source, old_style), "a handler's function is not written out: GQ_HANDLER(name, GQ_NO_ARGS, "
                                                "GQ_SUMMARY(\"...\") GQ_SCOPES(thread) GQ_RESULT(0, 8)) { ... } "
                                                "declares it, with msg, reply and ctx as its parameters")
  HINT(declares && includes && has_any(said, items),
       "a declaration is GQ_HANDLER(name, GQ_NO_ARGS or the macro that lists the arguments, GQ_SUMMARY(\"...\") "
       "GQ_SCOPES(thread) GQ_RESULT(0, 8)) with no commas between the items, and the body in { } behind it; the "
       "parameters are msg, reply and ctx")
  HINT(is_for_cpu && has_any(source, cpp), "this looks like C++ or CUDA. On the CPU a handler is compiled as C11, so write "
                                           "what both C11 and CUDA C++ understand, or run it with --backend cuda only")
  HINT(!is_for_cpu && has_any(said, c_only), "this looks like C that C++ does not take. On the GPU a handler is compiled as "
                                             "CUDA C++17: no designated initialisers or compound literals, and void * "
                                             "is converted by a cast")
  HINT(!is_for_cpu && has_any(said, headers), "on the GPU there are no system headers: gpuqueue/handler.h has the integer "
                                              "types, and functions such as sqrtf() and memcpy() are built in")
#undef HINT
  return text;
}
