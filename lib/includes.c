/* SPDX-License-Identifier: Apache-2.0 */
#include "includes.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"

#define MOST_FILES 1000u
#define MOST_BYTES (16u << 20) /* of one file */

/* The files found: those before `looked` have been searched themselves. */
typedef struct found {
  char *paths[MOST_FILES];
  uint32_t count, looked;
  const char *const *directories;
  char odd[PATH_MAX]; /* one that reading might never come to an end of; else empty */
} found;

/* The path in a form that is always the same for one name: not that of the file that a link leads to, for what a file
 * includes is looked for where its link lies. \return false if it is too long, or its directory not there. */
static bool canonical(const char *path, char *canon)
{
  const char *slash = strrchr(path, '/');
  char directory[PATH_MAX];
  size_t used;

  snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
  if (!realpath(directory, canon)) return false;
  used = strlen(canon);
  return snprintf(canon + used, PATH_MAX - used, "/%s", slash ? slash + 1 : path) < (int)(PATH_MAX - used);
}

/* Note the file `directory`/`name`, if it is there. */
static bool note(found *f, const char *directory, const char *name, size_t size)
{
  char path[PATH_MAX], canon[PATH_MAX];
  struct stat facts;

  if (name[0] == '/') directory = "";
  if (snprintf(path, sizeof path, "%s%s%.*s", directory, *directory ? "/" : "", (int)size, name) >= (int)sizeof path ||
      stat(path, &facts) != 0 || S_ISDIR(facts.st_mode) || !canonical(path, canon))
    return false;
  if (!S_ISREG(facts.st_mode)) strcpy(f->odd, path);
  for (uint32_t i = 0; i < f->count; i++)
    if (i < MOST_FILES && f->paths[i] && strcmp(f->paths[i], canon) == 0) return true;
  if (f->count < MOST_FILES) f->paths[f->count] = strdup(canon);
  f->count++;
  return true;
}

/* Note what an #include line names, `after` being what follows the word. */
static void note_line(found *f, const char *after, const char *directory)
{
  const char open = *(after += strspn(after, " \t")), *name = after + 1;
  size_t size;

  if (open != '"' && open != '<') return;
  size = strcspn(name, open == '"' ? "\"\n" : ">\n");
  if (size == 0 || size >= PATH_MAX) return;
  if (open == '"' && directory && note(f, directory, name, size)) return;
  for (const char *const *d = f->directories; d && *d; d++)
    if (note(f, *d, name, size)) return;
}

static void search(found *f, const char *text, const char *directory)
{
  for (const char *line = text; line && *line && f->count <= MOST_FILES; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    line += strspn(line, " \t");
    if (*line != '#') continue;
    line++;
    line += strspn(line, " \t");
    if (strncmp(line, "include", 7) == 0) note_line(f, line + 7, directory);
  }
}

/* What a file is, as far as its name and content say; of one that is not read, its size and time of change. */
static void add_file(found *f, gq_digest *digest, const char *path)
{
  char own[PATH_MAX];
  struct stat facts;
  gq_bytes content;

  gq_digest_add_text(digest, path);
  if (gq_read_file(path, MOST_BYTES, &content) != GQ_OK) { /* the compiler will say */
    if (stat(path, &facts) != 0) return;
    gq_digest_add_number(digest, (uint64_t)facts.st_size);
    gq_digest_add_number(digest, (uint64_t)facts.st_mtim.tv_sec);
    gq_digest_add_number(digest, (uint64_t)facts.st_mtim.tv_nsec);
    return;
  }
  gq_digest_add_number(digest, content.size);
  gq_digest_add(digest, content.data, content.size);
  snprintf(own, sizeof own, "%.*s", (int)(strrchr(path, '/') - path), path);
  search(f, (const char *)content.data, own);
  gq_bytes_free(&content);
}

gq_status gq_includes_add(gq_digest *digest, const char *text, const char *directory, const char *const *directories)
{
  found *f = calloc(1, sizeof *f);
  gq_status status = GQ_OK;

  if (!f) return gq_fail(GQ_NO_MEMORY, "no memory for a list of files");
  f->directories = directories;
  search(f, text, directory);
  while (f->looked < f->count && f->count <= MOST_FILES && !*f->odd) {
    const char *path = f->paths[f->looked++];

    if (path) add_file(f, digest, path);
  }
  if (*f->odd) {
    status = gq_fail(GQ_BAD_HANDLER, "the handler includes %s, which is a device or pipe, not a regular file", f->odd);
  } else if (f->count > MOST_FILES) {
    status = gq_fail(GQ_INVALID, "the handler includes more than %u files", MOST_FILES);
  }
  for (uint32_t i = 0; i < f->count && i < MOST_FILES; i++) free(f->paths[i]);
  free(f);
  return status;
}
