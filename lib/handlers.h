/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers that are compiled in. */
#ifndef GQ_HANDLERS_H
#define GQ_HANDLERS_H
#include <gpuqueue/gpuqueue.h>
#include <gpuqueue/handler.h>

typedef int32_t gq_handler_function(const gq_msg *msg, gq_reply *reply, const gq_context *context);

/** A row of builtin.def or testing.def. */
typedef struct gq_handler {
  uint32_t id;
  const char *name;
  uint32_t scopes, default_scope;
  uint32_t multiplier, constant; /* bound of the result: multiplier * payload + constant bytes */
  gq_output output;
  uint32_t is_short;
  gq_handler_function *function; /* compiled for the host */
} gq_handler;

/** \return the handler called \p name, or NULL. */
const gq_handler *gq_handler_find(const char *name);

/** The names of all listed handlers, "echo, crc32c, sha256", for error texts. */
const char *gq_handler_names(void);

#endif
