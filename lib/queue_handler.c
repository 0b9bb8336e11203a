/* SPDX-License-Identifier: Apache-2.0 */
/* The handler of a queue that is being opened. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "loader.h"
#include "queue.h"

static gq_status choose_handler(gq_consumption *c, const gq_options *o)
{
  static const char *const scope_names[] = {"auto", "thread", "warp", "block"};

  c->is_short = c->handler->declared->is_short;
  c->scope = o->scope == GQ_SCOPE_AUTO ? c->handler->declared->default_scope : o->scope;
  if (!(c->handler->declared->scopes >> (c->scope - 1) & 1))
    return gq_fail(GQ_NO_HANDLER, "handler %s does not run in scope %s; it runs in: %s", c->handler->declared->info.name,
                   scope_names[c->scope], c->handler->declared->info.scopes);
  c->widens = o->scope == GQ_SCOPE_AUTO && c->scope == GQ_SCOPE_THREAD &&
              (c->handler->declared->scopes >> (GQ_SCOPE_WARP - 1) & 1);
  return gq_supplies_gather(&c->supplies, c->handler->declared, o);
}

/* Have the handler made for the backend that was chosen, and what it is supplied with. */
static gq_status prepare_for(gq_core *core, const gq_options *o)
{
  gq_device_info info;
  gq_status status = GQ_OK;

  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  if (core->running == GQ_BACKEND_CUDA) status = gq_get_device_info(o->device, &info);
  if (status != GQ_OK) return status;
  status = gq_loader_prepare(core->loaded, core->running,
                             (uint32_t)(info.capability_major * 10 + info.capability_minor), o->scope);
  if (status != GQ_OK) return status;
  gq_supplies_free(&core->consumption.supplies);
  memset(&core->consumption.supplies, 0, sizeof core->consumption.supplies);
  core->consumption.handler = &core->loaded->handler;
  return choose_handler(&core->consumption, o);
}

gq_status gq_prepare_handler(gq_core *core, const gq_options *o, char *why_not, size_t size)
{
  char reason[400];
  gq_status status = prepare_for(core, o);

  if (status == GQ_NO_BACKEND && core->running == GQ_BACKEND_CUDA && o->backend == GQ_BACKEND_AUTO) {
    snprintf(why_not, size, "%s", gq_last_error());
    core->backend = &gq_cpu_backend;
    core->running = GQ_BACKEND_CPU;
    status = prepare_for(core, o);
  }
  if (status != GQ_NO_BACKEND || !*why_not) return status;
  snprintf(reason, sizeof reason, "%s", gq_last_error());
  return gq_fail(status, "%s (no cuda: %s)", reason, why_not);
}

void gq_describe_handler(gq_core *core)
{
  const size_t used = strlen(core->text);

  if (*core->loaded->how)
    snprintf(core->text + used, sizeof core->text - used, "; handler %s %s", core->loaded->handler.declared->info.name,
             core->loaded->how);
}
