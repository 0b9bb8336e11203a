/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers.h"

#include <string.h>

#include "cuda/handlers/crc32c.h"
#include "cuda/handlers/echo.h"
#include "cuda/handlers/sha256.h"
#include "cuda/handlers/testing.h"

static const gq_handler handlers[] = {
#define HANDLER(id, name, summary, scopes, scope, output, multiplier, constant, is_short) \
  {id, #name, scopes, scope, multiplier, constant, output, is_short, gq_handler_##name},
#include "cuda/handlers/builtin.def"
#include "cuda/handlers/testing.def"
#undef HANDLER
};

/* The names of a sum of scopes, the default first. */
#define SCOPES_TEXT(scopes, scope)                                                                     \
  ((scopes) == 1 ? "thread" : (scopes) == 2 ? "warp" : (scopes) == 4 ? "block" :                       \
   (scopes) == 3 ? ((scope) == 1 ? "thread, warp" : "warp, thread") :                                  \
   (scopes) == 5 ? ((scope) == 1 ? "thread, block" : "block, thread") :                                \
   (scopes) == 6 ? ((scope) == 2 ? "warp, block" : "block, warp") :                                    \
   (scope) == 1 ? "thread, warp, block" : (scope) == 2 ? "warp, thread, block" : "block, thread, warp")

static const gq_handler_info listed[] = {
#define HANDLER(id, name, summary, scopes, scope, output, multiplier, constant, is_short) \
  {.name = #name, .summary = summary, .scopes = SCOPES_TEXT(scopes, scope), .output = output},
#include "cuda/handlers/builtin.def"
#undef HANDLER
};

static const char names[] =
#define HANDLER(id, name, summary, scopes, scope, output, multiplier, constant, is_short) ", " #name
#include "cuda/handlers/builtin.def"
#undef HANDLER
  ;

const gq_handler *gq_handler_find(const char *name)
{
  for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
    if (strcmp(handlers[i].name, name) == 0) return &handlers[i];
  return NULL;
}

const char *gq_handler_names(void)
{
  return names + 2;
}

const gq_handler_info *gq_handler_describe(size_t index)
{
  return index < sizeof listed / sizeof *listed ? &listed[index] : NULL;
}
