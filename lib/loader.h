/* SPDX-License-Identifier: Apache-2.0 */
/** \file loader.h
 * From what the user names, a built-in or installed handler, a file, or something in memory, to a handler that a
 * backend can run. Done in two steps: first it is found and read, then, once the backend is known, compiled, linked or
 * loaded as that backend needs it. */
#ifndef GQ_LOADER_H
#define GQ_LOADER_H
#include "handlers.h"
#include "image.h"

/** A handler of a queue, and everything it keeps in memory. */
typedef struct gq_loaded {
  gq_handler handler;                /* valid after gq_loader_prepare() */
  char *name;                        /* for messages: a path, or the name of an option */
  char *directory;                   /* of a source's file, or NULL */
  const char *flags, *toolkit;       /* options */
  const gq_handler *builtin;         /* or NULL */
  const gq_linked_handler *linked;   /* or NULL */
  gq_bytes source;                   /* or no data */
  gq_image image;                    /* or no bytes */
  gq_image code;                     /* what was compiled or linked from these; or no bytes */
  gq_declaration *declared;          /* of what is neither built in */
  void *library;                     /* handle of the CPU's shared object */
  int library_fd;                    /* what that was loaded from; -1: none */
  char how[64];                      /* for people: "", "compiled", "from the cache", "compiled before" */
} gq_loaded;

/** Find the handler that \p options name, and read it.
 * \return GQ_OK; GQ_NO_HANDLER; GQ_BAD_HANDLER if its file is damaged; GQ_INVALID; GQ_NO_MEMORY. */
gq_status gq_loader_find(gq_loaded **loaded, const gq_options *options);

/** Make \p loaded->handler what \p backend needs. May be called again for another backend.
 * \param arch   of the GPU, such as 90
 * \param scope  a gq_scope
 * \return GQ_OK; GQ_BAD_HANDLER; GQ_NO_HANDLER if it does not run in that scope; GQ_NO_BACKEND if it cannot be had for
 *         this backend here; GQ_SYSTEM, GQ_NO_MEMORY. */
gq_status gq_loader_prepare(gq_loaded *loaded, gq_backend backend, uint32_t arch, uint32_t scope);

/** Read the manifest and nothing else. \return as gq_loader_prepare(). */
gq_status gq_loader_describe(gq_loaded *loaded, gq_declaration **declared);

void gq_loader_free(gq_loaded *loaded);

/** The directory of installed handlers: the user's (\p user) or the system's. \return false if there is none. */
bool gq_handler_directory(bool user, char *path, size_t size);

/** Whether \p name names a file and no handler: it has a '/', or ends in .cu, .c or .gqh. */
bool gq_is_handler_file(const char *name);

/** Find the installed handler \p name. \p path: out, of PATH_MAX bytes. \return whether there is one. */
bool gq_find_installed(const char *name, char *path);

#endif
