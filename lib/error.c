/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[1024] = "no error";

gq_status gq_fail(gq_status status, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

const char *gq_last_error(void)
{
  return last_error;
}

static _Thread_local int32_t failure_code;
static _Thread_local uint32_t failure_attempts;

void gq_set_failure(int32_t code, uint32_t attempts)
{
  failure_code = code;
  failure_attempts = attempts;
}

void gq_last_failure(int32_t *code, uint32_t *attempts)
{
  if (code) *code = failure_code;
  if (attempts) *attempts = failure_attempts;
}

static const struct { const char *name, *text; } statuses[] = {
  {"GQ_OK", "done"},
  {"GQ_AGAIN", "nothing there yet"},
  {"GQ_TIMEOUT", "the time given ran out"},
  {"GQ_FULL", "no room for the message"},
  {"GQ_TOO_SMALL", "the buffer is smaller than the result"},
  {"GQ_FAILED", "the handler gave up on the message"},
  {"GQ_CANCELLED", "the message was cancelled"},
  {"GQ_UNKNOWN_ID", "no such message, or its result was taken already"},
  {"GQ_TOO_LARGE", "the message is larger than max_message_bytes"},
  {"GQ_RESULT_TOO_LARGE", "the result is larger than the message has room for"},
  {"GQ_SHUT_DOWN", "the queue is shut down"},
  {"GQ_INVALID", "an argument or option is out of range or unknown"},
  {"GQ_NO_HANDLER", "no such handler"},
  {"GQ_NO_BACKEND", "the backend cannot run here"},
  {"GQ_NO_DEVICE", "no such device"},
  {"GQ_DEVICE_LOST", "the device faulted or stopped answering"},
  {"GQ_NO_MEMORY", "out of memory"},
  {"GQ_SYSTEM", "a system call failed"},
  {"GQ_MALFORMED", "the consumer refused a malformed cell"},
};

const char *gq_status_name(int status)
{
  return status >= 0 && (size_t)status < sizeof statuses / sizeof *statuses ? statuses[status].name : "GQ_?";
}

const char *gq_status_text(int status)
{
  return status >= 0 && (size_t)status < sizeof statuses / sizeof *statuses ? statuses[status].text
                                                                            : "no status of this library";
}
