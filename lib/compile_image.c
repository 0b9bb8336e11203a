/* SPDX-License-Identifier: Apache-2.0 */
/* gq_compile(): a handler's source into one image for several GPUs and the CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "error.h"
#include "info.h"
#include "linked_kernel.h"
#include "loader.h"
#include "options.h"

#define MOST_ARCHS 48u
#define OLDEST_ARCH 75u

/* What is being put together. The sections' data is kept in `pieces`. */
typedef struct work {
  gq_source source;
  gq_toolkit toolkit;
  uint32_t arch_count, archs[MOST_ARCHS];
  bool as_ptx[MOST_ARCHS];
  char *manifest;
  uint32_t scopes;
  uint32_t count;
  gq_section sections[MOST_ARCHS + 3];
  gq_bytes pieces[MOST_ARCHS + 3];
} work;

static gq_status refuse_arch(const char *word, size_t size)
{
  return gq_fail(GQ_INVALID, "archs: '%.*s' is no GPU architecture: NN, sm_NN or ptx_NN with NN from %u on, such as 90, or "
                             "none", (int)size, word, OLDEST_ARCH);
}

static bool is_named(const work *w, uint32_t arch, bool as_ptx)
{
  for (uint32_t i = 0; i < w->arch_count; i++)
    if (w->archs[i] == arch && w->as_ptx[i] == as_ptx) return true;
  return false;
}

static gq_status read_archs(work *w, const char *text)
{
  if (!text || !*text) text = *gq_cuda_build_archs ? gq_cuda_build_archs : "75 ptx_75";
  if (strcmp(text, "none") == 0) return GQ_OK;
  for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
    const size_t size = strcspn(text, " ,");
    const bool ptx = strncmp(text, "ptx_", 4) == 0;
    const char *number = text + (ptx ? 4 : strncmp(text, "sm_", 3) == 0 ? 3 : 0);
    char *end;
    const unsigned long arch = *number >= '0' && *number <= '9' ? strtoul(number, &end, 10) : 0;

    if (arch < OLDEST_ARCH || arch > 999 || end != text + size) return refuse_arch(text, size);
    text += size;
    if (is_named(w, (uint32_t)arch, ptx)) continue; /* twice */
    if (w->arch_count == MOST_ARCHS) return gq_fail(GQ_INVALID, "archs: names more than %u", MOST_ARCHS);
    w->archs[w->arch_count] = (uint32_t)arch;
    w->as_ptx[w->arch_count++] = ptx;
  }
  return w->arch_count ? GQ_OK : refuse_arch("", 0);
}

static void keep(work *w, uint32_t kind, uint32_t target, gq_bytes bytes)
{
  const gq_section section = {kind, target, bytes.data, bytes.size};

  w->pieces[w->count] = bytes;
  w->sections[w->count++] = section;
}

/* The first manifest is the image's; the others must be the same text, for one source is behind them all. */
static gq_status take_manifest(work *w, const char *manifest)
{
  gq_declaration *declared;
  gq_status status;

  if (w->manifest)
    return strcmp(w->manifest, manifest) == 0 ? GQ_OK
             : gq_fail(GQ_BAD_HANDLER, "%s: declares different handlers for different targets", w->source.name);
  status = gq_manifest_parse(&declared, manifest, strlen(manifest) + 1, w->source.name);
  if (status != GQ_OK) return status == GQ_INVALID ? GQ_BAD_HANDLER : status;
  w->scopes = declared->scopes;
  gq_manifest_free(declared);
  w->manifest = strdup(manifest);
  return w->manifest ? GQ_OK : gq_fail(GQ_NO_MEMORY, "no memory for a manifest");
}

static gq_status compile_arch(work *w, uint32_t arch, bool as_ptx, bool keeps_ltoir)
{
  gq_bytes ltoir = {NULL, 0}, code = {NULL, 0};
  char *manifest = NULL;
  gq_status status = gq_compile_to_ltoir(&w->toolkit, &w->source, arch, &ltoir, &manifest);

  if (status == GQ_OK) status = take_manifest(w, manifest);
  free(manifest);
  if (status == GQ_OK)
    status = gq_link_ltoir(&w->toolkit, w->source.name, ltoir.data, ltoir.size, arch, w->scopes, as_ptx, &code);
  if (status == GQ_OK) keep(w, as_ptx ? GQ_SECTION_PTX : GQ_SECTION_CUBIN, arch, code);
  if (status == GQ_OK && keeps_ltoir) keep(w, GQ_SECTION_LTOIR, arch, ltoir);
  else gq_bytes_free(&ltoir);
  return status;
}

static gq_status compile_gpu(work *w)
{
  gq_status status = w->arch_count ? gq_toolkit_find(&w->toolkit, w->source.toolkit) : GQ_OK;
  uint32_t oldest = 0;

  for (uint32_t i = 1; i < w->arch_count; i++)
    if (w->archs[i] < w->archs[oldest]) oldest = i;
  for (uint32_t i = 0; i < w->arch_count && status == GQ_OK; i++)
    status = compile_arch(w, w->archs[i], w->as_ptx[i], i == oldest);
  return status;
}

static gq_status compile_cpu(work *w)
{
  gq_bytes copy = {NULL, 0};
  const gq_section *code;
  gq_origin origin;
  gq_image image;
  gq_status status = gq_compile_for_cpu(&w->source, &image, &origin);

  if (status != GQ_OK) return status;
  status = take_manifest(w, gq_image_manifest(&image));
  code = gq_image_find(&image, GQ_SECTION_CPU, gq_this_machine());
  if (status == GQ_OK && (copy.data = malloc(code->size)) != NULL) {
    memcpy(copy.data, code->data, copy.size = code->size);
    keep(w, GQ_SECTION_CPU, code->target, copy);
  } else if (status == GQ_OK) {
    status = gq_fail(GQ_NO_MEMORY, "no memory for %zu bytes of code", code->size);
  }
  gq_image_free(&image);
  return status;
}

static gq_status compile_all(work *w, bool cpu, gq_bytes *bytes)
{
  uint8_t id[GQ_DIGEST_BYTES];
  gq_status status = compile_gpu(w);

  if (status == GQ_OK && cpu) status = compile_cpu(w);
  if (status == GQ_OK && w->count == 0)
    status = gq_fail(GQ_INVALID, "archs is none and cpu is 0: there is nothing to compile for");
  if (status != GQ_OK) return status;
  w->sections[w->count].kind = GQ_SECTION_MANIFEST;
  w->sections[w->count].target = 0;
  w->sections[w->count].data = (const uint8_t *)w->manifest;
  w->sections[w->count].size = strlen(w->manifest) + 1;
  gq_kernel_id(id);
  return gq_image_build(id, w->sections, w->count + 1, bytes);
}

gq_status gq_compile(const gq_options *options, const gq_compilation *what, void **image, size_t *bytes)
{
  gq_loaded *loaded = NULL;
  gq_bytes made;
  gq_options o;
  gq_status status;
  work *w;

  if (!what || !image || !bytes) return gq_fail(GQ_INVALID, "gq_compile: an argument is NULL");
  if (what->size != sizeof *what)
    return gq_fail(GQ_INVALID, "gq_compile: what.size is %zu, not sizeof(gq_compilation), %zu", what->size, sizeof *what);
  status = gq_options_complete(&o, options);
  if (status == GQ_OK) status = gq_loader_find(&loaded, &o);
  if (status != GQ_OK) return status;
  w = calloc(1, sizeof *w);
  if (!w) {
    status = gq_fail(GQ_NO_MEMORY, "no memory to compile a handler");
    goto free_loaded;
  }
  if (!loaded->source.data) {
    status = gq_fail(GQ_INVALID, "%s: is no source, so there is nothing to compile", loaded->name);
    goto free_work;
  }
  w->source.text = (const char *)loaded->source.data;
  w->source.name = loaded->name;
  w->source.directory = loaded->directory;
  w->source.flags = o.handler_flags;
  w->source.toolkit = o.toolkit;
  status = read_archs(w, what->archs);
  if (status == GQ_OK) status = compile_all(w, what->cpu != 0, &made);
  if (status == GQ_OK) {
    *image = made.data;
    *bytes = made.size;
  }
free_work:
  for (uint32_t i = 0; i < w->count; i++) gq_bytes_free(&w->pieces[i]);
  free(w->manifest);
  free(w);
free_loaded:
  gq_loader_free(loaded);
  return status;
}
