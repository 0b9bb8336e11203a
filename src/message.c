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

/** Write what begins with the \p used characters of \p line, which has room for \p capacity. */
static void finish_line(char *line, size_t capacity, size_t used, const char *format, va_list arguments)
{
  char *whole = line;
  va_list again;
  int length;

  va_copy(again, arguments);
  length = vsnprintf(line + used, capacity - used, format, arguments);
  if (length > 0 && (size_t)length + 1 >= capacity - used && (whole = malloc(used + (size_t)length + 2)) != NULL) {
    memcpy(whole, line, used); /* such as what a compiler says: nothing of it is left out */
    vsnprintf(whole + used, (size_t)length + 1, format, again);
    capacity = used + (size_t)length + 2;
  }
  va_end(again);
  if (!whole) whole = line;
  if (length > 0) used = (size_t)length < capacity - used - 1 ? used + (size_t)length : capacity - 2;
  while (used > 0 && whole[used - 1] == '\n') used--;
  whole[used++] = '\n';
  write_error(whole, used);
  if (whole != line) free(whole);
}

static void speak(const char *name, const char *format, va_list arguments)
{
  char line[8192];
  size_t used = 0;

  pthread_mutex_lock(&speaking);
  if (status_line_shown) used += (size_t)snprintf(line, sizeof line, "\r\033[K");
  status_line_shown = false;
  used += (size_t)snprintf(line + used, sizeof line - used, "gpuqueue: ");
  if (name) {
    append_name(line, sizeof line - 512, &used, name);
    used += (size_t)snprintf(line + used, sizeof line - used, ": ");
  }
  finish_line(line, sizeof line, used, format, arguments);
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

void *allocate_aligned(size_t alignment, size_t bytes)
{
  return or_exit(aligned_alloc(alignment, bytes), bytes);
}

void *reallocate(void *memory, size_t bytes)
{
  return or_exit(realloc(memory, bytes ? bytes : 1), bytes);
}
