/* SPDX-License-Identifier: Apache-2.0 */
#include "dead_letters.h"

#include "cli.h"
#include "json.h"
#include "output.h"
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dead_letters {
  pthread_mutex_t lock;
  struct output output;
  const char *handler;
};

struct dead_letters *dead_letters_open(const char *path, const char *handler)
{
  struct dead_letters *letters;
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);

  if (fd < 0) {
    complain_about(path, "cannot write dead letters: %s", strerror(errno));
    return NULL;
  }
  letters = allocate(sizeof *letters);
  pthread_mutex_init(&letters->lock, NULL);
  output_init(&letters->output, fd, path);
  letters->handler = handler;
  return letters;
}

const struct output *dead_letters_output(const struct dead_letters *letters)
{
  return &letters->output;
}

static bool is_utf8(const char *text)
{
  while (*text) {
    const size_t size = json_utf8_sequence(text);
    if (size == 0) return false;
    text += size;
  }
  return true;
}

static void write_text(struct output *output, const char *text)
{
  output_write(output, text, strlen(text));
}

static void write_string(struct output *output, const char *text)
{
  char escape[8];

  write_text(output, "\"");
  for (; *text; text++) {
    const unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') snprintf(escape, sizeof escape, "\\%c", c);
    else if (c < 0x20 || c == 0x7f) snprintf(escape, sizeof escape, "\\u%04x", c);
    else snprintf(escape, sizeof escape, "%c", c);
    write_text(output, escape);
  }
  write_text(output, "\"");
}

/** A file name is bytes, a JSON string is not: names that are no UTF-8 are written in base64. */
static void write_name(struct output *output, const char *name)
{
  if (is_utf8(name)) {
    write_text(output, ",\"name\":");
    write_string(output, name);
    return;
  }
  write_text(output, ",\"name_base64\":\"");
  output_base64(output, (const uint8_t *)name, strlen(name));
  write_text(output, "\"");
}

bool dead_letters_add(struct dead_letters *letters, const struct failure *failure)
{
  struct output *output = &letters->output;
  char head[320];
  bool fine, failed_before;

  pthread_mutex_lock(&letters->lock);
  failed_before = output->error != 0;
  snprintf(head, sizeof head,
           "{\"number\":%" PRIu64 ",\"id\":%" PRIu64 ",\"key\":%" PRIu64 ",\"tag\":%" PRIu64
           ",\"status\":\"%s\",\"code\":%" PRId32 ",\"attempts\":%" PRIu32 ",\"handler\":",
           failure->number, failure->id, failure->key, failure->tag, gq_status_name(failure->status), failure->code,
           failure->attempts);
  write_text(output, head);
  write_string(output, letters->handler);
  if (failure->name) write_name(output, failure->name);
  if (failure->payload) {
    write_text(output, ",\"payload\":\"");
    output_base64(output, failure->payload, failure->size);
    write_text(output, "\"}\n");
  } else {
    write_text(output, ",\"payload\":null}\n");
  }
  fine = output_flush(output); /* a letter at a time: a crash of the run must not lose it */
  if (!fine && !failed_before)
    complain_about(output->name, "cannot write dead letters: %s", strerror(output->error));
  pthread_mutex_unlock(&letters->lock);
  return fine;
}

bool dead_letters_close(struct dead_letters *letters)
{
  const bool failed_before = letters->output.error != 0;
  const char *name = letters->output.name;
  const bool fine = output_close(&letters->output);

  if (!fine && !failed_before)
    complain_about(name, "cannot write dead letters: %s", strerror(letters->output.error));
  pthread_mutex_destroy(&letters->lock);
  free(letters);
  return fine && !failed_before;
}
