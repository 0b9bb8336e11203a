/* SPDX-License-Identifier: Apache-2.0 */
/* From source, or LTO-IR, to a cubin that holds the resident kernel and the handler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "error.h"
#include "linked_kernel.h"
#include "manifest.h"

/* Of the flags those that NVRTC is given too: what is for the preprocessor. */
static void keep_preprocessor_flags(char **flags)
{
  size_t kept = 0;

  for (size_t i = 0; flags[i]; i++)
    if (flags[i][0] == '-' && flags[i][1] && strchr("IDU", flags[i][1])) flags[kept++] = flags[i];
  flags[kept] = NULL;
}

static gq_status split_preprocessor_flags(const char *text, char ***flags)
{
  const gq_status status = gq_split_flags(text, flags);

  if (status == GQ_OK) keep_preprocessor_flags(*flags);
  return status;
}

static gq_status compile(gq_toolkit *toolkit, const gq_source *source, char *const *flags, uint32_t arch, gq_bytes *ltoir)
{
  const gq_gpu_job job = {source->text, source->name, (const char *const *)flags, arch};
  gq_status status;
  char hints[2048];
  gq_digest unused;

  gq_digest_begin(&unused);
  status = gq_key_add_source(&unused, source, flags); /* refuses what NVRTC, which cannot be killed, would wait for */
  if (status != GQ_OK) return status;
  status = gq_toolkit_compile(toolkit, &job, ltoir);
  if (status != GQ_BAD_HANDLER) return status;
  gq_compile_hints(source->text, gq_last_error(), false, hints, sizeof hints);
  return gq_fail(status, "%s%s", gq_last_error(), hints);
}

gq_status gq_compile_to_ltoir(gq_toolkit *toolkit, const gq_source *source, uint32_t arch, gq_bytes *ltoir,
                              char **manifest)
{
  gq_link_job alone = {source->name, NULL, 0, arch, NULL, NULL, false};
  gq_bytes cubin = {NULL, 0};
  const char *found;
  char **flags;
  gq_status status = split_preprocessor_flags(source->flags, &flags);

  if (status != GQ_OK) return status;
  status = compile(toolkit, source, flags, arch, ltoir);
  free(flags);
  if (status != GQ_OK) return status;
  /* LTO-IR cannot be searched for a text. Linking it alone takes little, and says what is undefined. */
  alone.ltoir = ltoir->data;
  alone.size = ltoir->size;
  status = gq_toolkit_link(toolkit, &alone, &cubin);
  if (status == GQ_OK) {
    found = gq_find_manifest(cubin.data, cubin.size);
    *manifest = found ? strdup(found) : NULL;
    if (!found) status = gq_no_manifest(source);
    else if (!*manifest) status = gq_fail(GQ_NO_MEMORY, "no memory for a manifest");
  }
  gq_bytes_free(&cubin);
  if (status != GQ_OK) gq_bytes_free(ltoir);
  return status;
}

gq_status gq_link_ltoir(gq_toolkit *toolkit, const char *name, const uint8_t *ltoir, size_t size, uint32_t arch,
                        uint32_t scopes, bool as_ptx, gq_bytes *code)
{
  static const char *const of_scope[] = {"gq_resident_thread", "gq_resident_warp", "gq_resident_block"};
  static const char *const variables[] = {"gq_lane_bases", "gq_manifest", NULL};
  const char *kernels[5] = {NULL};
  const gq_link_job job = {name, ltoir, size, arch, kernels, variables, as_ptx};
  size_t count = 0;

  kernels[count++] = "gq_resident_init"; /* runs the handler's GQ_INIT() */
  for (size_t i = 0; i < 3; i++)
    if (scopes >> i & 1) kernels[count++] = of_scope[i];
  return gq_toolkit_link(toolkit, &job, code);
}

/* The bit of the scope to link for: `scope`, or the one that the manifest makes the default. */
static gq_status choose_scope(const char *name, const char *manifest, uint32_t scope, uint32_t *bit)
{
  gq_declaration *declared;
  gq_status status = gq_manifest_parse(&declared, manifest, strlen(manifest) + 1, name);

  if (status != GQ_OK) return status;
  if (scope == GQ_SCOPE_AUTO) scope = declared->default_scope;
  *bit = 1u << (scope - 1);
  if (!(declared->scopes & *bit))
    status = gq_fail(GQ_NO_HANDLER, "handler %s does not run in that scope; it runs in: %s", declared->info.name,
                     declared->info.scopes);
  gq_manifest_free(declared);
  return status;
}

static gq_status link_and_keep(gq_toolkit *toolkit, const char *file, const char *manifest, const uint8_t *ltoir,
                               size_t size, uint32_t arch, uint32_t scope, const gq_cache *cache, const char *name,
                               gq_image *image)
{
  gq_section code = {GQ_SECTION_CUBIN, arch, NULL, 0};
  gq_bytes cubin = {NULL, 0};
  uint32_t scopes;
  gq_status status = choose_scope(file, manifest, scope, &scopes);

  if (status == GQ_OK) status = gq_link_ltoir(toolkit, file, ltoir, size, arch, scopes, false, &cubin);
  code.data = cubin.data;
  code.size = cubin.size;
  if (status == GQ_OK) status = gq_keep(cache, name, &code, manifest, image);
  gq_bytes_free(&cubin);
  return status;
}

/* What all code for a GPU is made from. */
static void begin_key(gq_digest *d, const char *kind, const gq_toolkit *toolkit, uint32_t arch, uint32_t scope)
{
  gq_key_begin(d, kind);
  gq_digest_add_number(d, arch);
  gq_digest_add_number(d, scope);
  gq_key_add_file(d, toolkit->nvrtc_file.path, toolkit->nvrtc_file.size, toolkit->nvrtc_file.changed_ns);
  gq_key_add_file(d, toolkit->nvjitlink_file.path, toolkit->nvjitlink_file.size, toolkit->nvjitlink_file.changed_ns);
  gq_digest_add(d, gq_linked_kernel(), gq_linked_kernel_bytes());
}

static gq_status source_key(const gq_source *source, const gq_toolkit *toolkit, uint32_t arch, uint32_t scope, char *name)
{
  char **flags;
  gq_status status = split_preprocessor_flags(source->flags, &flags);
  gq_digest d;

  if (status != GQ_OK) return status;
  begin_key(&d, "gpu", toolkit, arch, scope);
  status = gq_key_add_source(&d, source, flags);
  gq_key_end(&d, name);
  free(flags);
  return status;
}

gq_status gq_compile_for_gpu(const gq_source *source, uint32_t arch, uint32_t scope, gq_image *image, gq_origin *origin)
{
  char name[GQ_KEY_BYTES] = "", *manifest = NULL;
  gq_bytes ltoir = {NULL, 0};
  gq_toolkit toolkit;
  gq_cache cache;
  gq_status status = gq_toolkit_find(&toolkit, source->toolkit);

  if (status == GQ_OK) status = source_key(source, &toolkit, arch, scope, name);
  if (status != GQ_OK) return status;
  gq_cache_open(&cache);
  *origin = gq_look_up(&cache, name, GQ_SECTION_CUBIN, arch, image) ? GQ_ORIGIN_CACHE : GQ_ORIGIN_COMPILED;
  if (*origin == GQ_ORIGIN_COMPILED) {
    status = gq_compile_to_ltoir(&toolkit, source, arch, &ltoir, &manifest);
    if (status == GQ_OK)
      status = link_and_keep(&toolkit, source->name, manifest, ltoir.data, ltoir.size, arch, scope, &cache, name, image);
    gq_bytes_free(&ltoir);
    free(manifest);
  }
  gq_cache_close(&cache);
  return status;
}

gq_status gq_link_for_gpu(const char *file, const char *manifest, const gq_section *handler, const char *only,
                          uint32_t arch, uint32_t scope, gq_image *image, gq_origin *origin)
{
  char name[GQ_KEY_BYTES] = "";
  gq_toolkit toolkit;
  gq_cache cache;
  gq_digest d;
  gq_status status = gq_toolkit_find(&toolkit, only);

  if (status != GQ_OK) return status;
  begin_key(&d, "link", &toolkit, arch, scope);
  gq_digest_add_text(&d, manifest);
  gq_digest_add(&d, handler->data, handler->size);
  gq_key_end(&d, name);
  gq_cache_open(&cache);
  *origin = gq_look_up(&cache, name, GQ_SECTION_CUBIN, arch, image) ? GQ_ORIGIN_CACHE : GQ_ORIGIN_COMPILED;
  if (*origin == GQ_ORIGIN_COMPILED)
    status = link_and_keep(&toolkit, file, manifest, handler->data, handler->size, arch, scope, &cache, name, image);
  gq_cache_close(&cache);
  return status;
}
