/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers that are compiled in. */
#ifndef GQ_HANDLERS_H
#define GQ_HANDLERS_H
#include <gpuqueue/gpuqueue.h>
#include <gpuqueue/handler.h>

#include "manifest.h"

typedef int32_t gq_handler_function(const gq_msg *msg, gq_reply *reply, const gq_context *ctx);
typedef int32_t gq_handler_init(const gq_context *ctx);

typedef struct gq_handler {
  uint32_t id;                    /* in builtin.def or testing.def */
  const gq_declaration *declared;
  gq_handler_function *function;  /* compiled for the host */
  gq_handler_init *init;          /* NULL: nothing to prepare */
  const void *kernel;             /* made for it at run time: a cubin or PTX; NULL: gq_cuda_fatbin(id) */
} gq_handler;

/** \return the handler called \p name, or NULL. */
const gq_handler *gq_handler_find(const char *name);

/** The names of all listed handlers, "echo, crc32c, sha256", for error texts. */
const char *gq_handler_names(void);

#endif
