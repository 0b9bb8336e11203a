/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "error.h"
#include "linked_kernel.h"
#include "shared_object.h"

#define MOST_SOURCE (16u << 20)

/* ---------------------------------------------------------------------------------------------------- finding */

static gq_status take_source(gq_loaded *l, const char *name, gq_bytes text)
{
  const char *zero = memchr(text.data, 0, text.size);

  l->source = text;
  if (zero)
    return gq_fail(GQ_BAD_HANDLER, "%s: has a zero byte at offset %zu: it is no source text", name,
                   (size_t)(zero - (const char *)text.data));
  return GQ_OK;
}

static bool ends_in(const char *name, const char *suffix)
{
  const size_t length = strlen(name), tail = strlen(suffix);

  return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static gq_status read_handler_file(gq_loaded *l, const char *path)
{
  const bool is_source = ends_in(path, ".cu") || ends_in(path, ".c");
  const char *slash = strrchr(path, '/');
  gq_bytes bytes;
  gq_status status;

  l->name = strdup(path);
  l->directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
  if (!l->name || !l->directory) return gq_fail(GQ_NO_MEMORY, "no memory for the path %.100s", path);
  if (!is_source && !ends_in(path, ".gqh"))
    return gq_fail(GQ_NO_HANDLER, "%s: a handler's file has a name that ends in .cu or .c (source) or .gqh (compiled by "
                                  "gpuqueue compile)", path);
  status = gq_read_file(path, is_source ? MOST_SOURCE : GQ_IMAGE_MOST, &bytes);
  if (status != GQ_OK) return status == GQ_INVALID ? GQ_NO_HANDLER : status;
  if (is_source) return take_source(l, path, bytes);
  status = gq_image_parse(&l->image, path, bytes);
  if (status != GQ_OK) gq_bytes_free(&bytes);
  return status;
}

static gq_status find_by_name(gq_loaded *l, const char *name)
{
  char path[PATH_MAX], user[PATH_MAX], system[PATH_MAX];
  const bool has_user = gq_handler_directory(true, user, sizeof user);

  if (gq_is_handler_file(name)) return read_handler_file(l, name);
  l->builtin = gq_handler_find(name);
  if (l->builtin) return (l->name = strdup(name)) ? GQ_OK : gq_fail(GQ_NO_MEMORY, "no memory for a name");
  if (gq_find_installed(name, path)) return read_handler_file(l, path);
  gq_handler_directory(false, system, sizeof system);
  return gq_fail(GQ_NO_HANDLER, "there is no handler '%.80s'; there are: %s, and what is installed in %.300s%s%.300s (a "
                                "file is named by its path, such as ./my.cu)", name, gq_handler_names(),
                 has_user ? user : "", has_user ? " or " : "", system);
}

static gq_status copy(const void *data, size_t size, gq_bytes *bytes)
{
  bytes->data = malloc(size + 1);
  if (!bytes->data) return gq_fail(GQ_NO_MEMORY, "no memory for a handler of %zu bytes", size);
  if (size) memcpy(bytes->data, data, size);
  bytes->data[size] = '\0';
  bytes->size = size;
  return GQ_OK;
}

/* What the caller has in memory: any of source or image, for the GPU, and of these or a linked one, for the CPU. */
static gq_status take_memory(gq_loaded *l, const gq_options *o)
{
  const char *name = o->handler_image ? "handler_image" : o->handler_source ? "handler_source" : "handler_linked";
  gq_status status = GQ_OK;
  gq_bytes bytes;

  l->name = strdup(name);
  if (!l->name) return gq_fail(GQ_NO_MEMORY, "no memory for a name");
  l->linked = o->handler_linked;
  if (l->linked && l->linked->abi != GQ_HANDLER_ABI)
    return gq_fail(GQ_BAD_HANDLER, "handler_linked: was compiled for version %u of the handler interface; this gpuqueue %s "
                                   "has version %u", l->linked->abi, GQ_VERSION, GQ_HANDLER_ABI);
  if (l->linked && (!l->linked->manifest || !l->linked->function))
    return gq_fail(GQ_INVALID, "handler_linked: its manifest or its function is NULL; it is what GQ_HANDLER() defines as "
                               "gq_linked_NAME");
  if (o->handler_source) {
    status = copy(o->handler_source, strlen(o->handler_source), &bytes);
    if (status == GQ_OK) status = take_source(l, "handler_source", bytes);
  }
  if (status != GQ_OK || !o->handler_image) return status;
  if (o->handler_image_bytes > GQ_IMAGE_MOST)
    return gq_fail(GQ_INVALID, "handler_image_bytes: %zu is more than a compiled handler can have, %u",
                   o->handler_image_bytes, GQ_IMAGE_MOST);
  status = copy(o->handler_image, o->handler_image_bytes, &bytes);
  if (status != GQ_OK) return status;
  status = gq_image_parse(&l->image, "handler_image", bytes);
  if (status != GQ_OK) gq_bytes_free(&bytes);
  return status;
}

gq_status gq_loader_find(gq_loaded **loaded, const gq_options *o)
{
  gq_loaded *l = calloc(1, sizeof *l);
  gq_status status;

  if (!l) return gq_fail(GQ_NO_MEMORY, "no memory for a handler");
  l->library_fd = -1;
  l->flags = o->handler_flags;
  l->toolkit = o->toolkit;
  status = o->handler_source || o->handler_image || o->handler_linked ? take_memory(l, o) : find_by_name(l, o->handler);
  if (status == GQ_OK) *loaded = l;
  else gq_loader_free(l);
  return status;
}

/* -------------------------------------------------------------------------------------------------- preparing */

static gq_source source_of(const gq_loaded *l)
{
  const gq_source source = {(const char *)l->source.data, l->name, l->directory, l->flags, l->toolkit};

  return source;
}

static void forget_code(gq_loaded *l)
{
  gq_shared_object_close(l->library, l->library_fd);
  l->library = NULL;
  l->library_fd = -1;
  gq_image_free(&l->code);
  gq_manifest_free(l->declared);
  l->declared = NULL;
  memset(&l->handler, 0, sizeof l->handler);
  l->how[0] = '\0';
}

static gq_status declare(gq_loaded *l, const char *manifest)
{
  const gq_status status = gq_manifest_parse(&l->declared, manifest, strlen(manifest) + 1, l->name);

  l->handler.declared = l->declared;
  return status == GQ_INVALID ? GQ_BAD_HANDLER : status;
}

static void say_how(gq_loaded *l, gq_origin origin, const char *compiled)
{
  snprintf(l->how, sizeof l->how, "%s", origin == GQ_ORIGIN_CACHE ? "from the cache" : compiled);
}

/* GPU code of an image that fits as it is: the newest for this GPU's own family, or else PTX for it or an older one. */
static const gq_section *find_gpu_code(const gq_image *image, uint32_t arch)
{
  const gq_section *cubin = gq_image_find_up_to(image, GQ_SECTION_CUBIN, arch);

  if (cubin && cubin->target / 10 == arch / 10) return cubin;
  return gq_image_find_up_to(image, GQ_SECTION_PTX, arch);
}

static gq_status no_gpu_code(const gq_loaded *l, uint32_t arch, bool fits)
{
  char has[256];

  gq_image_gpu_text(&l->image, has, sizeof has);
  if (!fits)
    return gq_fail(GQ_NO_BACKEND, "%s: its GPU code (%s) was linked with the kernel of another gpuqueue than this one, %s: "
                                  "compile it again with this one", l->name, has, GQ_VERSION);
  return gq_fail(GQ_NO_BACKEND, "%s: has no code for this GPU, sm_%u; it has: %s (gpuqueue compile --archs %u makes it)",
                 l->name, arch, has, arch);
}

static gq_status prepare_image_for_gpu(gq_loaded *l, uint32_t arch, uint32_t scope)
{
  const gq_section *code = find_gpu_code(&l->image, arch), *ltoir;
  uint8_t id[GQ_DIGEST_BYTES];
  gq_origin origin;
  gq_status status;
  bool fits;

  gq_kernel_id(id);
  fits = memcmp(id, l->image.kernel_id, sizeof id) == 0;
  if (code && fits) {
    l->handler.kernel = code->data;
    snprintf(l->how, sizeof l->how, "compiled before");
    return declare(l, gq_image_manifest(&l->image));
  }
  ltoir = gq_image_find_up_to(&l->image, GQ_SECTION_LTOIR, arch);
  if (!ltoir) return no_gpu_code(l, arch, fits || !code);
  status = gq_link_for_gpu(l->name, gq_image_manifest(&l->image), ltoir, l->toolkit, arch, scope, &l->code, &origin);
  if (status == GQ_NO_BACKEND) {
    char why[1024];

    snprintf(why, sizeof why, "%s", gq_last_error());
    no_gpu_code(l, arch, fits || !code);
    return gq_fail(status, "%s; and its LTO-IR cannot be linked here: %s", gq_last_error(), why);
  }
  if (status != GQ_OK) return status;
  l->handler.kernel = gq_image_find(&l->code, GQ_SECTION_CUBIN, arch)->data;
  say_how(l, origin, "linked");
  return declare(l, gq_image_manifest(&l->code));
}

static gq_status prepare_for_gpu(gq_loaded *l, uint32_t arch, uint32_t scope)
{
  gq_source source;
  gq_origin origin;
  gq_status status;

  if (l->image.count) return prepare_image_for_gpu(l, arch, scope);
  if (!l->source.data)
    return gq_fail(GQ_NO_BACKEND, "handler_linked is code for the CPU only: for the GPU give handler_source or "
                                  "handler_image as well");
  source = source_of(l);
  status = gq_compile_for_gpu(&source, arch, scope, &l->code, &origin);
  if (status != GQ_OK) return status;
  l->handler.kernel = gq_image_find(&l->code, GQ_SECTION_CUBIN, arch)->data;
  say_how(l, origin, "compiled");
  return declare(l, gq_image_manifest(&l->code));
}

/* Load the shared object of `image`. */
static gq_status load(gq_loaded *l, const gq_image *image)
{
  const gq_section *code = gq_image_find(image, GQ_SECTION_CPU, gq_this_machine());
  char has[128], other[32];
  gq_status status;

  if (!code)
    return gq_fail(GQ_NO_BACKEND, "%s: has no code for this CPU, %s; it has: %s (gpuqueue compile --cpu makes it)",
                   l->name, gq_machine_name(gq_this_machine(), other, sizeof other),
                   gq_image_cpu_text(image, has, sizeof has));
  status = declare(l, gq_image_manifest(image));
  if (status == GQ_OK) status = gq_shared_object_open(l->name, code->data, code->size, &l->library, &l->library_fd);
  if (status == GQ_OK)
    status = gq_shared_object_look(l->library, l->name, gq_image_manifest(image), &l->handler.function, &l->handler.init);
  return status;
}

/* The handler that was just compiled for the CPU on this thread only to be described: who opens a queue with it next, and
 * finds it in the cache, has waited for the compiler all the same. */
static _Thread_local char described[256];

static gq_status prepare_for_cpu(gq_loaded *l)
{
  gq_source source;
  gq_origin origin;
  gq_status status;

  if (l->linked) {
    l->handler.function = l->linked->function;
    l->handler.init = l->linked->init;
    return declare(l, l->linked->manifest);
  }
  if (l->image.count && (gq_image_find(&l->image, GQ_SECTION_CPU, gq_this_machine()) || !l->source.data)) {
    snprintf(l->how, sizeof l->how, "compiled before");
    return load(l, &l->image);
  }
  source = source_of(l);
  status = gq_compile_for_cpu(&source, &l->code, &origin);
  if (status != GQ_OK) return status;
  if (strcmp(described, l->name) == 0) origin = GQ_ORIGIN_COMPILED;
  *described = '\0';
  say_how(l, origin, "compiled");
  return load(l, &l->code);
}

gq_status gq_loader_prepare(gq_loaded *l, gq_backend backend, uint32_t arch, uint32_t scope)
{
  gq_status status;

  forget_code(l);
  if (l->builtin) {
    l->handler = *l->builtin;
    return GQ_OK;
  }
  status = backend == GQ_BACKEND_CUDA ? prepare_for_gpu(l, arch, scope) : prepare_for_cpu(l);
  if (status != GQ_OK) forget_code(l);
  return status;
}

/* ------------------------------------------------------------------------------------------------- describing */

/* The manifest of a source, by whichever compiler there is. */
static gq_status compile_to_describe(gq_loaded *l)
{
  const gq_source source = source_of(l);
  char *manifest = NULL, why[1024];
  gq_bytes ltoir = {NULL, 0};
  gq_toolkit toolkit;
  gq_origin origin;
  gq_status status = gq_compile_for_cpu(&source, &l->code, &origin);

  if (status == GQ_OK) {
    snprintf(described, sizeof described, "%s", origin == GQ_ORIGIN_COMPILED ? l->name : "");
    return declare(l, gq_image_manifest(&l->code));
  }
  if (status != GQ_NO_BACKEND) return status;
  snprintf(why, sizeof why, "%s", gq_last_error());
  status = gq_toolkit_find(&toolkit, l->toolkit);
  if (status == GQ_OK) status = gq_compile_to_ltoir(&toolkit, &source, 75, &ltoir, &manifest);
  if (status == GQ_NO_BACKEND) gq_fail(status, "%s; %s", why, gq_last_error());
  if (status == GQ_OK) status = declare(l, manifest);
  gq_bytes_free(&ltoir);
  free(manifest);
  return status;
}

gq_status gq_loader_describe(gq_loaded *l, gq_declaration **declared)
{
  gq_status status;

  forget_code(l);
  if (l->linked) status = declare(l, l->linked->manifest);
  else if (l->image.count) status = declare(l, gq_image_manifest(&l->image));
  else status = compile_to_describe(l);
  if (status == GQ_OK) {
    *declared = l->declared;
    l->declared = NULL;
  }
  return status;
}

void gq_loader_free(gq_loaded *l)
{
  if (!l) return;
  forget_code(l);
  gq_image_free(&l->image);
  gq_bytes_free(&l->source);
  free(l->name);
  free(l->directory);
  free(l);
}
