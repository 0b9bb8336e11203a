/* SPDX-License-Identifier: Apache-2.0 */
#include "includes.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

#define MOST_FILES 1000u
#define MOST_BYTES (16u << 20) /* of one file */

/* The files found: those before `looked` have been searched themselves. */
typedef struct found {
  char *paths[MOST_FILES];
  uint32_t count, looked;
  const char *const *directories;
} found;

/* Note the file `directory`/`name`, if it is there. */
static bool note(found *f, const char *directory, const char *name, size_t size)
{
  char path[PATH_MAX], real[PATH_MAX];

  if (name[0] == '/') directory = "";
  if (snprintf(path, sizeof path, "%s%s%.*s", directory, *directory ? "/" : "", (int)size, name) >= (int)sizeof path ||
      !realpath(path, real))
    return false;
  for (uint32_t i = 0; i < f->count; i++)
    if (strcmp(f->paths[i], real) == 0) return true;
  if (f->count < MOST_FILES) f->paths[f->count] = strdup(real);
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

gq_status gq_includes_add(gq_digest *digest, const char *text, const char *directory, const char *const *directories)
{
  found *f = calloc(1, sizeof *f);
  gq_status status = GQ_OK;

  if (!f) return gq_fail(GQ_NO_MEMORY, "no memory for a list of files");
  f->directories = directories;
  search(f, text, directory);
  while (f->looked < f->count && f->count <= MOST_FILES) {
    char *path = f->paths[f->looked++], *slash;
    gq_bytes content;

    if (!path || gq_read_file(path, MOST_BYTES, &content) != GQ_OK) continue; /* the compiler will say */
    gq_digest_add_text(digest, path);
    gq_digest_add_number(digest, content.size);
    gq_digest_add(digest, content.data, content.size);
    if ((slash = strrchr(path, '/')) != NULL) {
      char own[PATH_MAX];

      snprintf(own, sizeof own, "%.*s", (int)(slash - path), path);
      search(f, (const char *)content.data, own);
    }
    gq_bytes_free(&content);
  }
  if (f->count > MOST_FILES) {
    status = gq_fail(GQ_INVALID, "the handler includes more than %u files", MOST_FILES);
    f->count = MOST_FILES;
  }
  for (uint32_t i = 0; i < f->count; i++) free(f->paths[i]);
  free(f);
  return status;
}
