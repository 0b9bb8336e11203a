/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_TEXT 1024u

static _Thread_local char last_error[SHORT_TEXT] = "no error";

/* A text that does not fit there, such as a compiler's: NULL if there is none. Freed with the thread. */
static _Thread_local char *long_error;
static pthread_key_t long_error_key;
static pthread_once_t long_error_once = PTHREAD_ONCE_INIT;

/* At the thread's end; what runs after this, such as another key's destructor, may fail once more. */
static void drop_long_error(void *text)
{
  long_error = NULL;
  free(text);
}

static void make_key(void)
{
  pthread_key_create(&long_error_key, drop_long_error);
}

/* Keep \p text, which may be NULL, as this thread's long text. */
static void set_long_error(char *text)
{
  if (!text && !long_error) return;
  pthread_once(&long_error_once, make_key);
  free(long_error);
  long_error = text;
  pthread_setspecific(long_error_key, text);
}

/* The text is complete before the old one goes: that may be among its parts. */
gq_status gq_fail(gq_status status, const char *format, ...)
{
  char text[SHORT_TEXT], *all = NULL;
  va_list arguments, again;
  int length;

  va_start(arguments, format);
  va_copy(again, arguments);
  length = vsnprintf(text, sizeof text, format, arguments);
  if (length >= (int)sizeof text && (all = malloc((size_t)length + 1)) != NULL)
    vsnprintf(all, (size_t)length + 1, format, again);
  va_end(again);
  va_end(arguments);
  if (length < 0) text[0] = '\0'; /* a format that the C library refuses */
  memcpy(last_error, text, strlen(text) + 1); /* and not all of it, for a full ring is said to be full often */
  set_long_error(all);
  return status;
}

const char *gq_last_error(void)
{
  return long_error ? long_error : last_error;
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
  {"GQ_BAD_HANDLER", "the handler does not compile, or its file cannot be used"},
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
