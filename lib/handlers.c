/* SPDX-License-Identifier: Apache-2.0 */
#define GQ_BUILTIN 1
#include "handlers.h"

#include <pthread.h>
#include <string.h>

#include "cuda/handlers/black_scholes.h"
#include "cuda/handlers/blake3.h"
#include "cuda/handlers/crc32c.h"
#include "cuda/handlers/echo.h"
#include "cuda/handlers/edit_distance.h"
#include "cuda/handlers/match.h"
#include "cuda/handlers/mlp.h"
#include "cuda/handlers/saxpy.h"
#include "cuda/handlers/seen.h"
#include "cuda/handlers/sha256.h"
#include "cuda/handlers/sha512.h"
#include "cuda/handlers/xxh64.h"
#include "cuda/handlers/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Each with its manifest as text. */
typedef struct row {
  uint32_t id;
  const char *manifest;
  gq_handler_function *function;
  gq_handler_init *init;
} row;

#define HANDLER(id, name) {id, gq_manifest_##name, gq_handler_##name, NULL},
#define HANDLER_INIT(id, name) {id, gq_manifest_##name, gq_handler_##name, gq_handler_init_##name},
static const row listed[] = {
#include "cuda/handlers/builtin.def"
};
static const row unlisted[] = {
#include "cuda/handlers/testing.def"
};
#undef HANDLER
#undef HANDLER_INIT

static const char names[] =
#define HANDLER(id, name) ", " #name
#define HANDLER_INIT(id, name) ", " #name
#include "cuda/handlers/builtin.def"
#undef HANDLER
#undef HANDLER_INIT
  ;

/* Those whose manifests have been read, the listed ones first: all, unless memory has run out. */
static gq_handler handlers[COUNT(listed) + COUNT(unlisted)];
static size_t handler_count, listed_count;

static void read_rows(const row *rows, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    gq_handler *h = &handlers[handler_count];
    gq_declaration *declared;

    if (gq_manifest_parse(&declared, rows[i].manifest, GQ_MANIFEST_MOST_BYTES, "a built-in handler") != GQ_OK) continue;
    h->id = rows[i].id;
    h->declared = declared;
    h->function = rows[i].function;
    h->init = rows[i].init;
    handler_count++;
  }
}

static void read_all(void)
{
  read_rows(listed, COUNT(listed));
  listed_count = handler_count;
  read_rows(unlisted, COUNT(unlisted));
}

static void be_ready(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  pthread_once(&once, read_all);
}

const gq_handler *gq_handler_find(const char *name)
{
  be_ready();
  for (size_t i = 0; i < handler_count; i++)
    if (strcmp(handlers[i].declared->info.name, name) == 0) return &handlers[i];
  return NULL;
}

const char *gq_handler_names(void)
{
  return names + 2;
}

const gq_handler_info *gq_handler_describe(size_t index)
{
  be_ready();
  return index < listed_count ? &handlers[index].declared->info : NULL;
}
