/* SPDX-License-Identifier: Apache-2.0 */
#include "dynlib.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Below the directory that a variable names, or below "" for the absolute ones; in the order of the search. Patterns of
 * glob(3). pip's packages of CUDA 13 share nvidia/cu13, older ones have a directory each. */
#define PIP "nvidia/*/lib"
static const struct place { const char *variable, *pattern; } places[] = {
  {"CUDA_HOME", "/lib64"},
  {"CUDA_HOME", "/lib"},
  {"CUDA_PATH", "/lib64"},
  {"CUDA_PATH", "/lib"},
  {"VIRTUAL_ENV", "/lib/python3*/site-packages/" PIP},
  {"CONDA_PREFIX", "/lib"},
  {"CONDA_PREFIX", "/lib/python3*/site-packages/" PIP},
  {"LD_LIBRARY_PATH", ""},
  {NULL, "/usr/local/cuda/lib64"},
  {NULL, "/usr/local/cuda-*/lib64"},
  {NULL, "/opt/cuda/lib64"},
  {NULL, "/usr/lib/*-linux-gnu"},
  {NULL, "/usr/lib64"},
  {NULL, "/usr/lib"},
  {"HOME", "/.local/lib/python3*/site-packages/" PIP},
  {NULL, "/usr/local/lib/python3*/dist-packages/" PIP},
  {NULL, "/usr/local/lib/python3*/site-packages/" PIP},
  {NULL, "/usr/lib/python3*/dist-packages/" PIP},
  {NULL, "/usr/lib/python3*/site-packages/" PIP},
  {NULL, "/usr/lib64/python3*/site-packages/" PIP},
};

/* Below a directory that the user named. */
static const char *const below_chosen[] = {"/lib64", "/lib", "", "/targets/*/lib", "/" PIP,
                                           "/lib/python3*/site-packages/" PIP};

static bool is_there(const char *path, gq_library_file *found)
{
  struct stat facts;

  if (stat(path, &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
  if (!realpath(path, found->path)) return false;
  found->size = (uint64_t)facts.st_size;
  found->changed_ns = (uint64_t)facts.st_mtim.tv_sec * 1000000000u + (uint64_t)facts.st_mtim.tv_nsec;
  return true;
}

/* Look for the file `name` in the directories that match `base`, taken literally, and `pattern`. */
static bool look(const char *base, size_t base_size, const char *pattern, const char *name, gq_library_file *found)
{
  char text[PATH_MAX];
  size_t used = 0;
  bool have = false;
  glob_t matches;
  int length;

  for (size_t i = 0; i < base_size && used + 3 < sizeof text; i++) {
    if (strchr("*?[\\", base[i])) text[used++] = '\\';
    text[used++] = base[i];
  }
  length = snprintf(text + used, sizeof text - used, "%s/%s", pattern, name);
  if (length < 0 || used + (size_t)length >= sizeof text) return false;
  if (glob(text, 0, NULL, &matches) != 0) return false;
  for (size_t i = 0; i < matches.gl_pathc && !have; i++) have = is_there(matches.gl_pathv[i], found);
  globfree(&matches);
  return have;
}

/* The same for each part of `value`, which are separated by colons. Only absolute ones: the others would change what is
 * run with the current directory. */
static bool look_below_each(const char *value, const char *pattern, const char *name, gq_library_file *found)
{
  while (*value) {
    const size_t size = strcspn(value, ":");

    if (value[0] == '/' && look(value, size, pattern, name, found)) return true;
    value += size + (value[size] == ':');
  }
  return false;
}

bool gq_library_find(const char *name, const char *only, gq_library_file *found)
{
  if (only && *only) {
    for (size_t i = 0; i < sizeof below_chosen / sizeof *below_chosen; i++)
      if (look(only, strlen(only), below_chosen[i], name, found)) return true;
    return false;
  }
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const char *value = places[i].variable ? secure_getenv(places[i].variable) : NULL;

    if (!places[i].variable) {
      if (look("", 0, places[i].pattern, name, found)) return true;
    } else if (value && look_below_each(value, places[i].pattern, name, found)) {
      return true;
    }
  }
  return false;
}

void *gq_library_open(const gq_library_file *file, const char *companion, char *why, size_t size)
{
  const char *slash = strrchr(file->path, '/'), *message;
  char pattern[PATH_MAX];
  gq_library_file other;
  void *library;

  /* NVRTC loads its built-in functions by name when it compiles; where its directory is none that the loader searches,
   * it must find them loaded. */
  if (companion && slash) {
    snprintf(pattern, sizeof pattern, "%s.so.[0-9]*", companion);
    if (look(file->path, (size_t)(slash - file->path), "", pattern, &other)) dlopen(other.path, RTLD_NOW | RTLD_GLOBAL);
  }
  library = dlopen(file->path, RTLD_NOW | RTLD_LOCAL);
  if (library) return library;
  message = dlerror();
  snprintf(why, size, "%s", message ? message : "no reason given");
  return NULL;
}
