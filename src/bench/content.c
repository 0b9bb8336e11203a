/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "bench.h"
#include "session.h"

/* Messages that are different, if their results have to be kept: as many as take this much work or memory. */
#define REFERENCE_BYTES ((size_t)32 << 20)
/* No more than is needed, which would push messages out of the nearest caches. */
enum { VARIETY_LEAST = 8192, REFERENCE_MAX = 1024 };

bool content_matches(const struct content *content, uint64_t number, const void *data, size_t size)
{
  const uint64_t place = number & (content->variety - 1);

  if (content->echoes)
    return size == content->size && (size == 0 || memcmp(data, content->bytes + 8 * place, size) == 0);
  return size == content->results[place].size &&
         (size == 0 || memcmp(data, content->results[place].data, size) == 0);
}

static void write_words(struct content *content)
{
  const size_t words = content->size / 8 + 1 + content->variety;
  uint64_t *row = allocate(8 * words);
  size_t i;

  for (i = 0; i < words; i++) row[i] = (i + 1) * CONTENT_ODD;
  content->bytes = (unsigned char *)row;
}

/** Have the CPU say what each message gives. */
static bool learn_results(struct bench *bench, struct content *content, const char *handler)
{
  gq_options options = bench->settings.queue;
  struct session session;
  uint32_t i;
  bool fine = true;

  session_plan(bench, &options, content->size, 1, 2);
  options.backend = GQ_BACKEND_CPU;
  options.capacity = 2;
  options.workers = 1;
  if (handler) options.handler = handler;
  if (!session_open(bench, &session, &options)) return false;
  content->results = allocate(content->variety * sizeof *content->results);
  memset(content->results, 0, content->variety * sizeof *content->results);
  for (i = 0; fine && i < content->variety; i++) {
    const gq_message message = {content_payload(content, i), content->size, 0, i + 1, 0};
    gq_completion completion;
    size_t count = 0;

    fine = session_check(bench, gq_enqueue(session.lanes[0], &message, PATIENCE_NS, &completion.id), "gq_enqueue") &&
           session_check(bench, gq_wait(session.lanes[0], &completion, 1, PATIENCE_NS, &count), "gq_wait");
    if (!fine) break;
    if (completion.status != GQ_OK) {
      fine = bench_fail(bench, EXIT_USAGE, "handler %s fails with messages of %zu bytes of the bench (%s, code %d): "
                        "take another handler or --payload", options.handler, content->size,
                        gq_status_name((int)completion.status), completion.code);
    } else {
      content->results[i].size = completion.size;
      content->results[i].data = allocate(completion.size + 1);
      if (completion.size) memcpy(content->results[i].data, completion.data, completion.size);
      if (completion.size > content->result_bytes) content->result_bytes = completion.size;
    }
    gq_release(session.lanes[0], &completion, count);
  }
  session_close(&session);
  return fine;
}

static uint32_t variety_for(const struct bench *bench, uint32_t capacity)
{
  uint32_t variety = VARIETY_LEAST;

  if (bench_is_given(&bench->settings, "capacity")) capacity = bench->settings.queue.capacity;
  while (variety < 2 * capacity) variety *= 2; /* a capacity is 2^20 at most */
  return variety;
}

bool content_init(struct bench *bench, struct content *content, size_t size, const char *handler, uint32_t capacity)
{
  const char *name = handler ? handler : bench->settings.queue.handler;

  memset(content, 0, sizeof *content);
  content->size = content->result_bytes = size;
  content->echoes = strcmp(name, "echo") == 0;
  content->variety = content->echoes ? variety_for(bench, capacity) : REFERENCE_MAX;
  if (!content->echoes)
    while (content->variety > 4 && content->variety * size > REFERENCE_BYTES) content->variety /= 2;
  content->tells_number = content->echoes && size >= 8;
  write_words(content);
  if (content->echoes) return true;
  content->result_bytes = 0;
  if (learn_results(bench, content, handler)) return true;
  content_free(content);
  return false;
}

void content_free(struct content *content)
{
  uint32_t i;

  if (content->results)
    for (i = 0; i < content->variety; i++) free(content->results[i].data);
  free(content->results);
  free(content->bytes);
  memset(content, 0, sizeof *content);
}
