/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include "cli.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuqueue/handler.h>

enum {
  COMPLETION_BATCH = 256,
  MOST_SUSPECTS = 4096 /* that the library lists */
};

/** How long results wait in the buffer for more of them: not noticed by people, and enough to write in bulk. */
#define LINGER_NS ((int64_t)500 * 1000)

void writer_init(struct writer *writer, struct run *run, struct progress *progress)
{
  memset(writer, 0, sizeof *writer);
  writer->run = run;
  writer->progress = progress;
  writer->format = run->settings->output == OUTPUT_AS_DECLARED ? gq_handler_output(run->queue)
                                                               : (gq_output)run->settings->output;
  output_init(&writer->output, STDOUT_FILENO, "standard output");
  run->output = &writer->output;
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

static const char *failure_reason(const gq_completion *completion, char *text, size_t size)
{
  const uint32_t attempts = completion->attempts;
  char code[16] = "GQ_RETRY";

  if (completion->code != GQ_RETRY) snprintf(code, sizeof code, "%" PRId32, completion->code);
  if (completion->status == GQ_DEVICE_LOST)
    snprintf(text, size, "GQ_DEVICE_LOST: its handler was running when the device was lost");
  else if (completion->status == GQ_FAILED && completion->code == GQ_CODE_ARITHMETIC)
    snprintf(text, size, "GQ_FAILED: the handler divided by zero");
  else if (completion->status == GQ_FAILED)
    snprintf(text, size, "GQ_FAILED: the handler returned %s (%" PRIu32 " attempt%s)", code, attempts,
             attempts == 1 ? "" : "s");
  else
    snprintf(text, size, "%s: %s%s", gq_status_name(completion->status), gq_status_text(completion->status),
             completion->status == GQ_RESULT_TOO_LARGE ? " (see --max-result-bytes)" : "");
  return text;
}

static void fail_completion(struct writer *writer, const gq_completion *completion, const struct record *record)
{
  char reason[256];
  struct failure failure = {
    .number = record->number, .name = record->name, .status = completion->status, .code = completion->code,
    .attempts = completion->attempts, .id = completion->id, .key = completion->key, .tag = completion->tag};
  size_t size;

  failure.reason = failure_reason(completion, reason, sizeof reason);
  if (writer->run->dead_letters && fetch_payload(writer, completion, &size)) {
    failure.payload = size ? (const void *)writer->payload : "";
    failure.size = size;
  }
  report_failure(writer->run, &failure);
}

/** A file name as coreutils' checksum programs print it: backslash, newline and carriage return are escaped, and a
 * backslash at the start of the line says so. \return malloc()ed, or NULL if the name needs no escapes. */
static char *escape_name(const char *name)
{
  char *escaped, *to;

  if (!strpbrk(name, "\\\n\r")) return NULL;
  to = escaped = allocate(2 * strlen(name) + 1);
  for (; *name; name++) {
    if (*name == '\\' || *name == '\n' || *name == '\r') *to++ = '\\';
    *to++ = *name == '\n' ? 'n' : *name == '\r' ? 'r' : *name;
  }
  *to = '\0';
  return escaped;
}

static void print_length(struct output *output, uint64_t length)
{
  const uint8_t prefix[4] = {
    (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), (uint8_t)(length >> 24)};

  output_write(output, prefix, sizeof prefix);
}

static void print_result(struct writer *writer, const gq_completion *completion, const struct record *record)
{
  const struct settings *settings = writer->run->settings;
  const size_t shown = writer->format == GQ_OUTPUT_HEX ? 2 * completion->size : completion->size;
  struct output *output = &writer->output;
  const void *input = NULL;
  char *escaped = NULL;
  size_t input_size = 0;

  if (settings->with_input && record->name) {
    escaped = escape_name(record->name);
    input = escaped ? escaped : record->name;
    input_size = strlen(input);
  } else if (settings->with_input) {
    if (fetch_payload(writer, completion, &input_size)) input = writer->payload;
  }
  if (settings->framing == FRAMING_LEN32)
    print_length(output, (uint64_t)shown + (settings->with_input ? 2 + input_size : 0));
  if (escaped) output_write(output, "\\", 1);
  if (writer->format == GQ_OUTPUT_HEX) output_hex(output, completion->data, completion->size);
  else output_write(output, completion->data, completion->size);
  if (settings->with_input) {
    output_write(output, "  ", 2);
    output_write(output, input, input_size);
  }
  if (settings->framing == FRAMING_NUL) output_write(output, "", 1);
  else if (settings->framing != FRAMING_LEN32 && settings->framing != FRAMING_FIXED) output_write(output, "\n", 1);
  free(escaped);
}

static void handle_completion(struct writer *writer, const gq_completion *completion)
{
  struct run *run = writer->run;
  struct record record = {completion->tag, NULL, false}; /* without records the tag is the number */

  if (run->records) records_take(run->records, run->settings->queue.ordered ? 0 : completion->tag, &record);
  if (completion->status == GQ_OK) {
    writer->result_bytes += completion->size;
    print_result(writer, completion, &record);
  } else {
    fail_completion(writer, completion, &record);
  }
  free(record.name);
}

static bool say_output_error(const struct output *output)
{
  if (output->error && output->error != EPIPE) complain_about(output->name, "%s", strerror(output->error));
  return !output->error;
}

/** Whether every message that was or will be sent has completed. */
static bool is_complete(const struct writer *writer)
{
  /* [R1] the reader's last count is seen when its end is */
  return atomic_load(&writer->run->reader_done) && writer->received == atomic_load(&writer->run->sent);
}

/** Wait for completions. \return how many; 0 with \p *go_on false at the end of the run. */
static size_t wait_for_completions(struct writer *writer, gq_completion *completions, bool *go_on)
{
  const int64_t wait_ns = writer->output.used ? LINGER_NS : WAIT_SLICE_NS;
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
  output_flush(&writer->output); /* results must not wait for further ones */
  return 0;
}

bool writer_run(struct writer *writer)
{
  gq_completion completions[COMPLETION_BATCH];
  struct run *run = writer->run;
  bool go_on = true;

  while (go_on && !writer->output.error && !writer->payload_lost) {
    const size_t count = wait_for_completions(writer, completions, &go_on);
    size_t i;

    for (i = 0; i < count && !writer->output.error; i++) handle_completion(writer, &completions[i]);
    if (count) gq_release(run->queue, completions, count);
    writer->received += count;
    atomic_fetch_add(&run->released, count);
    if (writer->progress) progress_show(writer->progress, writer->received, run);
  }
  atomic_store(&run->writer_done, true);
  stop_reading(); /* it has ended, unless the output has failed */
  return say_output_error(&writer->output) && !atomic_load(&run->device_lost);
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
  uint64_t next = writer->received + 1; /* with one lane ids count the messages sent, from 1 on */
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

bool writer_finish(struct writer *writer)
{
  const bool failed_before = writer->output.error != 0;
  const bool fine = output_close(&writer->output);

  free(writer->payload);
  return failed_before ? false : fine || say_output_error(&writer->output);
}
