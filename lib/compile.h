/* SPDX-License-Identifier: Apache-2.0 */
/** \file compile.h
 * From a handler's source to code that can be loaded: for the CPU by the system's C compiler, for the GPU by NVRTC and
 * nvJitLink. What was compiled before comes from the cache. */
#ifndef GQ_COMPILE_H
#define GQ_COMPILE_H
#include "cache.h"
#include "image.h"
#include "toolkit.h"

/** A handler's source. The strings stay the caller's. */
typedef struct gq_source {
  const char *text;       /* NUL-terminated */
  const char *name;       /* of the file, as its user knows it: what error messages begin with */
  const char *directory;  /* where #include "..." looks first; NULL: nowhere */
  const char *flags;      /* option handler_flags, or NULL */
  const char *toolkit;    /* option toolkit, or NULL */
} gq_source;

/** Where compiled code came from. */
typedef enum gq_origin { GQ_ORIGIN_COMPILED, GQ_ORIGIN_CACHE } gq_origin;

/** Make an image with a shared object for this machine.
 * \return GQ_OK; GQ_BAD_HANDLER with everything that the compiler said and hints; GQ_NO_BACKEND if there is no
 *         compiler; GQ_INVALID, GQ_SYSTEM, GQ_NO_MEMORY. */
gq_status gq_compile_for_cpu(const gq_source *source, gq_image *image, gq_origin *origin);

/** Make an image with a cubin for sm_\p arch, with the resident kernel for \p scope (a gq_scope; auto: the handler's
 * own). \return as gq_compile_for_cpu(). */
gq_status gq_compile_for_gpu(const gq_source *source, uint32_t arch, uint32_t scope, gq_image *image, gq_origin *origin);

/** The same out of the LTO-IR section \p handler of a compiled handler.
 * \param name      of its file
 * \param manifest  its own */
gq_status gq_link_for_gpu(const char *name, const char *manifest, const gq_section *handler, const char *toolkit,
                          uint32_t arch, uint32_t scope, gq_image *image, gq_origin *origin);

/** Compile for the GPU without linking.
 * \param manifest  out: from malloc()
 * \return as gq_compile_for_cpu(). */
gq_status gq_compile_to_ltoir(gq_toolkit *toolkit, const gq_source *source, uint32_t arch, gq_bytes *ltoir,
                              char **manifest);

/** Link LTO-IR with the resident kernels for \p scopes, a bit a scope: 1 thread, 2 warp, 4 block. */
gq_status gq_link_ltoir(gq_toolkit *toolkit, const char *name, const uint8_t *ltoir, size_t size, uint32_t arch,
                        uint32_t scopes, bool as_ptx, gq_bytes *code);

/* ------------------------------------------------------------------------------------------------ parts of these */

/** Take the words of \p flags, separated by blanks, apart. "-I dir" becomes one word, as do -D and -U.
 * \param words  out: NULL-terminated; free() it, which frees the words too
 * \return GQ_OK; GQ_NO_MEMORY. */
gq_status gq_split_flags(const char *flags, char ***words);

/** The manifest in compiled code. \return NULL if there is none that ends. */
const char *gq_find_manifest(const uint8_t *code, size_t size);

/** The compiler for the CPU: the words of CC, or the first of cc, gcc and clang that is there.
 * \param words  out: as gq_split_flags()
 * \param path   out: where the program is; PATH_MAX bytes
 * \return GQ_OK; GQ_NO_BACKEND with what to install. */
gq_status gq_find_c_compiler(char ***words, char *path);

/** Compile with that: \p object gets the shared object. \return as gq_compile_for_cpu(). */
gq_status gq_run_c_compiler(char *const *compiler, const char *path, const gq_source *source, char *const *flags,
                            gq_bytes *object);

/** What may help the author of \p source with what a compiler \p said: lines, each ending in a newline, or "". */
const char *gq_compile_hints(const char *source, const char *said, bool is_for_cpu, char *text, size_t size);

/** The name of a cache entry: the digest of everything that it is made from. Begun with what holds for all. */
#define GQ_KEY_BYTES (2 * GQ_DIGEST_BYTES + 8)
void gq_key_begin(gq_digest *d, const char *kind);
gq_status gq_key_add_source(gq_digest *d, const gq_source *source, char *const *flags);
void gq_key_add_file(gq_digest *d, const char *path, uint64_t size, uint64_t changed_ns);
void gq_key_end(gq_digest *d, char name[GQ_KEY_BYTES]);

/** \return whether the cache has an undamaged entry \p name with what is asked for; it is then in \p image. */
bool gq_look_up(const gq_cache *cache, const char *name, uint32_t kind, uint32_t target, gq_image *image);
/** Make an image of \p code and \p manifest, and put it into the cache. */
gq_status gq_keep(const gq_cache *cache, const char *name, const gq_section *code, const char *manifest, gq_image *image);

/** The error for compiled code without a manifest. */
gq_status gq_no_manifest(const gq_source *source);

#endif
