/* SPDX-License-Identifier: Apache-2.0 */
#include "compile.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "cache.h"
#include "error.h"
#include "includes.h"
#include "linked_kernel.h"

#define MACHINE gq_this_machine()

gq_status gq_split_flags(const char *flags, char ***words)
{
  static const char blanks[] = " \t\n";
  const size_t size = strlen(flags ? flags : "") + 1;
  char **table, *text;
  size_t count = 0;

  /* one piece: the table, for as many words as could be, and behind it the text */
  table = calloc(1, (size / 2 + 2) * sizeof *table + size);
  if (!table) return gq_fail(GQ_NO_MEMORY, "no memory for %zu bytes of flags", size);
  text = (char *)(table + size / 2 + 2);
  memcpy(text, flags ? flags : "", size);
  for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
    table[count++] = text;
    text += strcspn(text, blanks);
    if (text - table[count - 1] == 2 && table[count - 1][0] == '-' && strchr("IDU", table[count - 1][1])) {
      const size_t gap = strspn(text, blanks); /* "-I dir" is "-Idir" */

      memmove(table[count - 1] + gap, table[count - 1], 2);
      table[count - 1] += gap;
      text += gap;
      text += strcspn(text, blanks);
    }
    if (*text) *text++ = '\0';
  }
  *words = table;
  return GQ_OK;
}

const char *gq_find_manifest(const uint8_t *code, size_t size)
{
  static const char first[] = "gpuqueue-handler ";
  const uint8_t *at = code;

  while ((at = memmem(at, size - (size_t)(at - code), first, sizeof first - 1)) != NULL) {
    const uint8_t *end = memchr(at, 0, size - (size_t)(at - code));

    if (end && end[-1] == '\n') return (const char *)at;
    at++;
  }
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ the cache */

void gq_key_begin(gq_digest *d, const char *kind)
{
  uint8_t id[GQ_DIGEST_BYTES];

  gq_digest_begin(d);
  gq_digest_add_text(d, kind);
  gq_digest_add_text(d, GQ_VERSION);
  gq_digest_add_text(d, gq_handler_header());
  gq_kernel_id(id);
  gq_digest_add(d, id, sizeof id);
}

/* The value of flag `name`, in its own word or the next one; NULL if the word is not that flag. */
static const char *value_of(char *const *word, const char *name)
{
  const size_t size = strlen(name);

  if (strncmp(word[0], name, size) != 0) return NULL;
  return word[0][size] ? word[0] + size : word[1];
}

/* What flags, not lines of the source, include: -include FILE, -imacros FILE, @FILE. */
static gq_status add_forced(gq_digest *d, char *const *flags, const char *const *directories)
{
  static const char *const names[] = {"-include", "-imacros", "@"};
  gq_status status = GQ_OK;

  for (; *flags && status == GQ_OK; flags++)
    for (size_t i = 0; i < sizeof names / sizeof *names && status == GQ_OK; i++) {
      const char *file = value_of(flags, names[i]);
      char line[PATH_MAX + 16];

      if (file && snprintf(line, sizeof line, "#include \"%s\"\n", file) < (int)sizeof line)
        status = gq_includes_add(d, line, ".", directories);
    }
  return status;
}

gq_status gq_key_add_source(gq_digest *d, const gq_source *source, char *const *flags)
{
  static const char *const names[] = {"-I", "-isystem", "-iquote", "-idirafter"};
  const char **directories;
  gq_status status;
  size_t count = 0, used = 0;

  gq_digest_add_text(d, source->name);
  gq_digest_add_text(d, source->text);
  gq_digest_add_text(d, source->directory);
  while (flags[count]) gq_digest_add_text(d, flags[count++]);
  directories = calloc(count + 1, sizeof *directories);
  if (!directories) return gq_fail(GQ_NO_MEMORY, "no memory for %zu directories", count);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (size_t k = 0; k < count; k++) {
      const char *directory = value_of(&flags[k], names[i]);

      if (directory) directories[used++] = directory;
    }
  status = gq_includes_add(d, source->text, source->directory, directories);
  if (status == GQ_OK) status = add_forced(d, flags, directories);
  free(directories);
  return status;
}

void gq_key_add_file(gq_digest *d, const char *path, uint64_t size, uint64_t changed_ns)
{
  gq_digest_add_text(d, path);
  gq_digest_add_number(d, size);
  gq_digest_add_number(d, changed_ns);
}

void gq_key_end(gq_digest *d, char name[GQ_KEY_BYTES])
{
  uint8_t digest[GQ_DIGEST_BYTES];

  gq_digest_end(d, digest);
  for (size_t i = 0; i < GQ_DIGEST_BYTES; i++) snprintf(name + 2 * i, 3, "%02x", digest[i]);
  strcat(name, ".gqh");
}

bool gq_look_up(const gq_cache *cache, const char *name, uint32_t kind, uint32_t target, gq_image *image)
{
  uint8_t id[GQ_DIGEST_BYTES];
  gq_bytes bytes;

  if (!gq_cache_get(cache, name, GQ_IMAGE_MOST, &bytes)) return false;
  if (gq_image_parse(image, name, bytes) != GQ_OK) {
    gq_bytes_free(&bytes);
    return false;
  }
  gq_kernel_id(id);
  if (gq_image_find(image, kind, target) && memcmp(image->kernel_id, id, sizeof id) == 0) return true;
  gq_image_free(image);
  return false;
}

gq_status gq_keep(const gq_cache *cache, const char *name, const gq_section *code, const char *manifest, gq_image *image)
{
  const gq_section sections[] = {{GQ_SECTION_MANIFEST, 0, (const uint8_t *)manifest, strlen(manifest) + 1}, *code};
  uint8_t id[GQ_DIGEST_BYTES];
  gq_bytes bytes;
  gq_status status;

  gq_kernel_id(id);
  status = gq_image_build(id, sections, 2, &bytes);
  if (status != GQ_OK) return status;
  gq_cache_put(cache, name, bytes.data, bytes.size);
  status = gq_image_parse(image, name, bytes);
  if (status != GQ_OK) gq_bytes_free(&bytes);
  return status;
}

gq_status gq_no_manifest(const gq_source *source)
{
  char hints[2048];

  return gq_fail(GQ_BAD_HANDLER, "%s: declares no handler:\n%s", source->name,
                 gq_compile_hints(source->text, "", true, hints, sizeof hints));
}

/* -------------------------------------------------------------------------------------------------- for the CPU */

/* Code for "the CPU at hand" must not be taken from the cache of a home directory that another machine shares. */
static void add_own_machine(gq_digest *d, char *const *words)
{
  struct utsname name;

  for (; *words; words++)
    if (strstr(*words, "=native") && uname(&name) == 0) gq_digest_add_text(d, name.nodename);
}

static gq_status cpu_key(const gq_source *source, char *const *compiler, const char *path, char *const *flags, char *name)
{
  static const char *const variables[] = {"CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"};
  struct stat facts;
  gq_status status;
  gq_digest d;

  gq_key_begin(&d, "cpu");
  gq_digest_add_number(&d, MACHINE);
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) gq_digest_add_text(&d, getenv(variables[i]));
  memset(&facts, 0, sizeof facts);
  stat(path, &facts);
  gq_key_add_file(&d, path, (uint64_t)facts.st_size,
           (uint64_t)facts.st_mtim.tv_sec * 1000000000u + (uint64_t)facts.st_mtim.tv_nsec);
  for (size_t i = 0; compiler[i]; i++) gq_digest_add_text(&d, compiler[i]);
  add_own_machine(&d, compiler);
  add_own_machine(&d, flags);
  status = gq_key_add_source(&d, source, flags);
  gq_key_end(&d, name);
  return status;
}

static gq_status compile(const gq_source *source, char *const *compiler, const char *path, char *const *flags,
                         const gq_cache *cache, const char *name, gq_image *image)
{
  gq_section code = {GQ_SECTION_CPU, MACHINE, NULL, 0};
  gq_bytes object = {NULL, 0};
  const char *manifest;
  gq_status status = gq_run_c_compiler(compiler, path, source, flags, &object);

  if (status != GQ_OK) return status;
  code.data = object.data;
  code.size = object.size;
  manifest = gq_find_manifest(object.data, object.size);
  status = manifest ? gq_keep(cache, name, &code, manifest, image) : gq_no_manifest(source);
  gq_bytes_free(&object);
  return status;
}

gq_status gq_compile_for_cpu(const gq_source *source, gq_image *image, gq_origin *origin)
{
  char name[GQ_KEY_BYTES] = "", path[PATH_MAX], **compiler = NULL, **flags = NULL;
  gq_cache cache;
  gq_status status = gq_split_flags(source->flags, &flags);

  if (status == GQ_OK) status = gq_find_c_compiler(&compiler, path);
  if (status == GQ_OK) status = cpu_key(source, compiler, path, flags, name);
  if (status == GQ_OK) {
    gq_cache_open(&cache);
    *origin = gq_look_up(&cache, name, GQ_SECTION_CPU, MACHINE, image) ? GQ_ORIGIN_CACHE : GQ_ORIGIN_COMPILED;
    if (*origin == GQ_ORIGIN_COMPILED) status = compile(source, compiler, path, flags, &cache, name, image);
    gq_cache_close(&cache);
  }
  free(compiler);
  free(flags);
  return status;
}
