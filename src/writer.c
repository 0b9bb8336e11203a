/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include "cli.h"
#include "progress.h"
#include "result.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>

enum {
  COMPLETION_BATCH = 256,
  MOST_SUSPECTS = 4096 /* that the library lists */
};

/** How long results wait in the buffer for more of them: not noticed by people, and enough to write in bulk. */
#define LINGER_NS ((int64_t)500 * 1000)

void writer_init(struct writer *writer, struct run *run)
{
  memset(writer, 0, sizeof *writer);
  writer->run = run;
}

/** Copy the completed message's payload to writer->payload. \return false if it is not there, which ends the run. */
static bool fetch_payload(struct writer *writer, const gq_completion *completion, size_t *size)
{
  gq_queue *queue = writer->run->queue;
  gq_status status;

  *size = writer->payload_capacity;
  status = gq_completion_payload(queue, completion, writer->payload, size);
  if (status == GQ_TOO_SMALL) {
    size_t capacity = writer->payload_capacity ? writer->payload_capacity : 4096;
    while (capacity < *size) capacity *= 2;
    free(writer->payload);
    writer->payload = allocate(capacity);
    writer->payload_capacity = *size = capacity;
    status = gq_completion_payload(queue, completion, writer->payload, size);
  }
  if (status == GQ_OK) return true;
  writer->payload_lost = true;
  report_device_lost(writer->run, "read a message back");
  return false;
}

static void fail_completion(struct writer *writer, const gq_completion *completion, const struct record *record)
{
  struct failure failure = {.number = record->number, .name = record->name, .tag = completion->tag};
  size_t size;

  if (writer->run->dead_letters && fetch_payload(writer, completion, &size)) {
    failure.payload = size ? (const void *)writer->payload : "";
    failure.size = size;
  }
  result_fail(writer->run, completion, &failure);
}

static void print_result(struct writer *writer, const gq_completion *completion, const struct record *record)
{
  struct origin origin = {.name = record->name};
  const bool shows_origin = writer->run->settings->with_input;

  if (shows_origin && !record->name && fetch_payload(writer, completion, &origin.size))
    origin.payload = writer->payload;
  writer->text.used = 0;
  result_print(&writer->text, writer->run, completion, shows_origin ? &origin : NULL);
  output_write(&writer->run->output, writer->text.data, writer->text.used);
}

static void handle_completion(struct writer *writer, const gq_completion *completion)
{
  struct run *run = writer->run;
  struct record record = {completion->tag, NULL, false}; /* without records the tag is the number */

  if (run->records) records_take(run->records, run->settings->queue.ordered ? 0 : completion->tag, &record);
  if (completion->status == GQ_OK) {
    writer->run->result_bytes += completion->size;
    print_result(writer, completion, &record);
  } else {
    fail_completion(writer, completion, &record);
  }
  free(record.name);
}

/** Whether every message that was or will be sent has completed. */
static bool is_complete(const struct writer *writer)
{
  /* [R1] the reader's last count is seen when its end is */
  return atomic_load(&writer->run->reader_done) && writer->run->received == atomic_load(&writer->run->sent);
}

/** Wait for completions. \return how many; 0 with \p *go_on false at the end of the run. */
static size_t wait_for_completions(struct writer *writer, gq_completion *completions, bool *go_on)
{
  const int64_t wait_ns = writer->run->output.used ? LINGER_NS : WAIT_SLICE_NS;
  size_t count = 0;
  const gq_status status = gq_wait(writer->run->queue, completions, COMPLETION_BATCH, wait_ns, &count);

  *go_on = true;
  if (status == GQ_OK) return count;
  if (status == GQ_TIMEOUT || status == GQ_AGAIN) {
    *go_on = !is_complete(writer);
  } else if (status == GQ_SHUT_DOWN && is_complete(writer)) {
    *go_on = false;
  } else {
    report_device_lost(writer->run, "wait for results");
    *go_on = false;
  }
  output_flush(&writer->run->output); /* results must not wait for further ones */
  return 0;
}

bool writer_run(struct writer *writer)
{
  gq_completion completions[COMPLETION_BATCH];
  struct run *run = writer->run;
  bool go_on = true;

  while (go_on && !writer->run->output.error && !writer->payload_lost) {
    const size_t count = wait_for_completions(writer, completions, &go_on);
    size_t i;

    for (i = 0; i < count && !writer->run->output.error; i++) handle_completion(writer, &completions[i]);
    if (count) gq_release(run->queue, completions, count);
    writer->run->received += count;
    atomic_fetch_add(&run->released, count);
    if (run->progress) progress_show(run->progress, run->received, run);
  }
  atomic_store(&run->writer_done, true);
  stop_reading(); /* it has ended, unless the output has failed */
  return output_say_error(&writer->run->output) && !atomic_load(&run->device_lost);
}

static int compare_ids(const void *a, const void *b)
{
  const gq_completion *first = a, *second = b;

  return first->id < second->id ? -1 : first->id > second->id;
}

void writer_fail_suspects(struct writer *writer)
{
  struct run *run = writer->run;
  const bool in_order = run->settings->queue.ordered;
  gq_completion *suspects = allocate(MOST_SUSPECTS * sizeof *suspects);
  uint64_t next = writer->run->received + 1; /* with one lane ids count the messages sent, from 1 on */
  size_t count = 0, i;

  if (gq_list_suspects(run->queue, suspects, MOST_SUSPECTS, &count) != GQ_OK) count = 0;
  if (count > MOST_SUSPECTS) count = MOST_SUSPECTS;
  qsort(suspects, count, sizeof *suspects, compare_ids);
  for (i = 0; i < count; i++) {
    struct record record = {suspects[i].tag, NULL, false};

    if (run->records && !in_order) records_take(run->records, suspects[i].tag, &record);
    for (; run->records && in_order && next <= suspects[i].id; next++) {
      free(record.name);
      record.name = NULL;
      records_take(run->records, 0, &record);
    }
    fail_completion(writer, &suspects[i], &record);
    free(record.name);
  }
  free(suspects);
}

void writer_free(struct writer *writer)
{
  free(writer->payload);
  buffer_free(&writer->text);
}
