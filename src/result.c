/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gpuqueue/handler.h>

/** A file name as coreutils' checksum programs print it: backslash, newline and carriage return are escaped, and a
 * backslash at the start of the line says so. */
static void add_name(struct buffer *text, const char *name)
{
  for (; *name; name++) {
    const char shown = *name == '\n' ? 'n' : *name == '\r' ? 'r' : *name;
    if (*name == '\\' || *name == '\n' || *name == '\r') buffer_add(text, "\\", 1);
    buffer_add(text, &shown, 1);
  }
}

static bool needs_escapes(const char *name)
{
  return strpbrk(name, "\\\n\r") != NULL;
}

/** Where the length of what follows goes, once it is known; there are 32 bits for it. */
static void set_length(struct buffer *text, size_t at)
{
  const size_t length = text->used - at - 4;
  int i;

  for (i = 0; i < 4; i++) text->data[at + (size_t)i] = (char)(length >> 8 * i);
}

bool result_is_hex_line(const struct run *run)
{
  return run->settings->framing == FRAMING_LINES && run->format == GQ_OUTPUT_HEX && !run->settings->with_input;
}

void result_print(struct buffer *text, const struct run *run, const gq_completion *completion,
                  const struct origin *origin)
{
  const enum framing framing = run->settings->framing;
  const size_t start = text->used;

  if (framing == FRAMING_LEN32) buffer_add(text, "\0\0\0\0", 4);
  if (origin && origin->name && needs_escapes(origin->name)) buffer_add(text, "\\", 1);
  if (run->format == GQ_OUTPUT_HEX) buffer_add_hex(text, completion->data, completion->size);
  else buffer_add(text, completion->data, completion->size);
  if (origin) {
    buffer_add(text, "  ", 2);
    if (origin->name) add_name(text, origin->name);
    else buffer_add(text, origin->payload, origin->size);
  }
  if (framing == FRAMING_NUL) buffer_add(text, "", 1);
  else if (framing == FRAMING_LEN32) set_length(text, start);
  else if (framing != FRAMING_FIXED) buffer_add(text, "\n", 1);
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

void result_fail(struct run *run, const gq_completion *completion, struct failure *failure)
{
  char reason[256];

  failure->reason = failure_reason(completion, reason, sizeof reason);
  failure->status = completion->status;
  failure->code = completion->code;
  failure->attempts = completion->attempts;
  failure->id = completion->id;
  failure->key = completion->key;
  report_failure(run, failure);
}
