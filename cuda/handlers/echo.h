/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `echo`: the result is the message. */
#ifndef GPUQUEUE_HANDLERS_ECHO_H
#define GPUQUEUE_HANDLERS_ECHO_H

#include <gpuqueue/handler.h>

GQ_DEVICE int32_t gq_handler_echo(const gq_msg *msg, gq_reply *reply, const gq_context *ctx)
{
  reply->size = msg->size;
  if (msg->size <= reply->capacity) gq_copy(ctx, reply->data, msg->data, msg->size);
  return 0;
}

#endif
