/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `echo`: the result is the message. */
#ifndef GPUQUEUE_HANDLERS_ECHO_H
#define GPUQUEUE_HANDLERS_ECHO_H

#include <gpuqueue/handler.h>

GQ_HANDLER(echo, GQ_NO_ARGS,
  GQ_SUMMARY("gives the message back")
  GQ_SCOPES(thread, warp, block)
  GQ_RESULT(1, 0)
  GQ_SHORT
  GQ_EXAMPLE("gpuqueue run --handler echo words.txt"))
{
  reply->size = msg->size;
  if (msg->size <= reply->capacity) gq_copy(ctx, reply->data, msg->data, msg->size);
  return 0;
}

#endif
