/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that are not built in: where they are installed, which there are, and what they say of themselves. */
#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "files.h"
#include "loader.h"
#include "options.h"

#ifndef GQ_HANDLER_DIRECTORY
#error "GQ_HANDLER_DIRECTORY must name the system's directory of handlers"
#endif

/* In the order in which they are looked for: what needs no compiler first. */
static const char *const suffixes[] = {".gqh", ".cu", ".c"};
#define SUFFIXES (sizeof suffixes / sizeof *suffixes)

bool gq_handler_directory(bool user, char *path, size_t size)
{
  if (!user) return (size_t)snprintf(path, size, "%s", GQ_HANDLER_DIRECTORY) < size;
  if (!gq_user_directory("XDG_DATA_HOME", ".local/share", path, size)) return false;
  if (strlen(path) + sizeof "/handlers" > size) return false;
  strcat(path, "/handlers");
  return true;
}

/* The suffix that `name` ends in, with something before it; NULL if in none. */
static const char *suffix_of(const char *name)
{
  const size_t length = strlen(name);

  for (size_t i = 0; i < SUFFIXES; i++) {
    const size_t tail = strlen(suffixes[i]);

    if (length > tail && strcmp(name + length - tail, suffixes[i]) == 0) return name + length - tail;
  }
  return NULL;
}

bool gq_is_handler_file(const char *name)
{
  return strchr(name, '/') != NULL || suffix_of(name) != NULL;
}

bool gq_find_installed(const char *name, char *path)
{
  char directory[PATH_MAX];

  if (!*name || name[0] == '.') return false;
  for (int user = 1; user >= 0; user--) {
    if (!gq_handler_directory(user, directory, sizeof directory)) continue;
    for (size_t i = 0; i < SUFFIXES; i++)
      if (snprintf(path, PATH_MAX, "%s/%s%s", directory, name, suffixes[i]) < PATH_MAX && access(path, R_OK) == 0)
        return true;
  }
  return false;
}

/* -------------------------------------------------------------------------------------------------- the list */

struct gq_handler_list {
  char **paths;
  size_t count, room;
};

static gq_status add(gq_handler_list *list, const char *path)
{
  if (list->count == list->room) {
    const size_t room = list->room ? 2 * list->room : 16;
    char **more = realloc(list->paths, room * sizeof *more);

    if (!more) return gq_fail(GQ_NO_MEMORY, "no memory for a list of handlers");
    list->paths = more;
    list->room = room;
  }
  list->paths[list->count] = strdup(path);
  return list->paths[list->count++] ? GQ_OK : gq_fail(GQ_NO_MEMORY, "no memory for a list of handlers");
}

static int compare_paths(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Add the files in `directory` that gq_find_installed() would find by their name. */
static gq_status add_directory(gq_handler_list *list, const char *directory)
{
  const size_t first = list->count;
  const struct dirent *entry;
  gq_status status = GQ_OK;
  DIR *open = opendir(directory);

  if (!open) return GQ_OK;
  while (status == GQ_OK && (entry = readdir(open)) != NULL) {
    char path[PATH_MAX], found[PATH_MAX], name[NAME_MAX + 1];
    const char *suffix = suffix_of(entry->d_name);

    if (!suffix) continue;
    snprintf(name, sizeof name, "%.*s", (int)(suffix - entry->d_name), entry->d_name);
    if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < (int)sizeof path && !gq_handler_find(name) &&
        gq_find_installed(name, found) && strcmp(path, found) == 0)
      status = add(list, path);
  }
  closedir(open);
  if (list->count > first + 1) qsort(list->paths + first, list->count - first, sizeof *list->paths, compare_paths);
  return status;
}

gq_status gq_handler_list_installed(gq_handler_list **out)
{
  gq_handler_list *list = calloc(1, sizeof *list);
  char directory[PATH_MAX];
  gq_status status = GQ_OK;

  if (!out) {
    free(list);
    return gq_fail(GQ_INVALID, "gq_handler_list_installed: list is NULL");
  }
  if (!list) return gq_fail(GQ_NO_MEMORY, "no memory for a list of handlers");
  for (int user = 1; user >= 0 && status == GQ_OK; user--)
    if (gq_handler_directory(user, directory, sizeof directory)) status = add_directory(list, directory);
  if (status == GQ_OK) *out = list;
  else gq_handler_list_free(list);
  return status;
}

const char *gq_handler_list_path(const gq_handler_list *list, size_t index)
{
  return list && index < list->count ? list->paths[index] : NULL;
}

void gq_handler_list_free(gq_handler_list *list)
{
  if (!list) return;
  for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
  free(list->paths);
  free(list);
}

const char *gq_handler_search_directory(size_t index)
{
  static _Thread_local char path[PATH_MAX];

  return index < 2 && gq_handler_directory(index == 0, path, sizeof path) ? path : NULL;
}

/* ------------------------------------------------------------------------------------------------- describing */

gq_status gq_handler_inspect(const gq_options *options, const gq_handler_info **info)
{
  gq_declaration *declared = NULL;
  const gq_handler *builtin;
  gq_loaded *loaded;
  gq_options o;
  gq_status status;

  if (!info) return gq_fail(GQ_INVALID, "gq_handler_inspect: info is NULL");
  status = gq_options_complete(&o, options);
  if (status == GQ_OK) status = gq_loader_find(&loaded, &o);
  if (status != GQ_OK) return status;
  builtin = loaded->builtin;
  if (!builtin) status = gq_loader_describe(loaded, &declared);
  gq_loader_free(loaded);
  if (status == GQ_OK) *info = builtin ? &builtin->declared->info : &declared->info;
  return status;
}

void gq_handler_info_free(const gq_handler_info *info)
{
  const gq_handler *builtin = info ? gq_handler_find(info->name) : NULL;

  if (!info || (builtin && &builtin->declared->info == info)) return;
  gq_manifest_free((gq_declaration *)((uintptr_t)info - offsetof(gq_declaration, info)));
}
