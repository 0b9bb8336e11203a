/* SPDX-License-Identifier: Apache-2.0 */
/* A handler's CPU code, loaded from memory. */
#ifndef GQ_SHARED_OBJECT_H
#define GQ_SHARED_OBJECT_H
#include "handlers.h"

/** Load the shared object of \p size bytes at \p data.
 * \param name  of its file, for messages
 * \param fd    out: to be closed after it, for the loader knows libraries by their paths, and this is part of one
 * \return GQ_OK; GQ_BAD_HANDLER if it cannot be loaded; GQ_SYSTEM. */
gq_status gq_shared_object_open(const char *name, const uint8_t *data, size_t size, void **library, int *fd);

/** Find what GQ_HANDLER() and GQ_INIT() define, and compare its manifest with \p manifest.
 * \return GQ_OK; GQ_BAD_HANDLER. */
gq_status gq_shared_object_look(void *library, const char *name, const char *manifest, gq_handler_function **function,
                                gq_handler_init **init);

void gq_shared_object_close(void *library, int fd);

#endif
