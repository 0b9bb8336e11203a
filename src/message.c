/* SPDX-License-Identifier: Apache-2.0 */
/* How the command speaks to the user: one line a complaint, written in one piece, and a status line that does
 * not mix with them. */
#include "cli.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t speaking = PTHREAD_MUTEX_INITIALIZER;
static bool status_line_shown;

static void write_error(const char *text, size_t size)
{
  while (size > 0) {
    ssize_t written = write(STDERR_FILENO, text, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return; /* nobody is left to tell */
    text += written;
    size -= (size_t)written;
  }
}

/** Make the control characters of a name visible, so that no name can fake a line of output. */
static void append_name(char *line, size_t capacity, size_t *used, const char *name)
{
  for (; *name && *used + 5 < capacity; name++) {
    unsigned char c = (unsigned char)*name;
    if (c < 0x20 || c == 0x7f) *used += (size_t)snprintf(line + *used, 5, "\\%03o", c);
    else line[(*used)++] = (char)c;
  }
}

static void speak(const char *name, const char *format, va_list arguments)
{
  char line[8192];
  size_t used = 0, limit = sizeof line - 1;
  int length;

  pthread_mutex_lock(&speaking);
  if (status_line_shown) used += (size_t)snprintf(line, sizeof line, "\r\033[K");
  status_line_shown = false;
  used += (size_t)snprintf(line + used, limit - used, "gpuqueue: ");
  if (name) {
    append_name(line, limit - 512, &used, name);
    used += (size_t)snprintf(line + used, limit - used, ": ");
  }
  length = vsnprintf(line + used, limit - used, format, arguments);
  if (length > 0) used = (size_t)length < limit - used ? used + (size_t)length : limit - 1;
  line[used++] = '\n';
  write_error(line, used);
  pthread_mutex_unlock(&speaking);
}

void complain(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  speak(NULL, format, arguments);
  va_end(arguments);
}

void complain_about(const char *name, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  speak(name, format, arguments);
  va_end(arguments);
}

void show_status_line(const char *line)
{
  pthread_mutex_lock(&speaking);
  if (line) {
    write_error("\r", 1);
    write_error(line, strlen(line));
    write_error("\033[K", 3);
  } else if (status_line_shown) {
    write_error("\r\033[K", 4);
  }
  status_line_shown = line != NULL;
  pthread_mutex_unlock(&speaking);
}

static void *or_exit(void *memory, size_t bytes)
{
  if (memory) return memory;
  complain("out of memory: %zu bytes more were needed", bytes);
  exit(EXIT_SYSTEM);
}

void *allocate(size_t bytes)
{
  return or_exit(malloc(bytes ? bytes : 1), bytes);
}

void *reallocate(void *memory, size_t bytes)
{
  return or_exit(realloc(memory, bytes ? bytes : 1), bytes);
}
