/* SPDX-License-Identifier: Apache-2.0 */
/* The framing in which each message is the content of one file. */
#include "cli.h"
#include "reader.h"
#include "stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** A file that is being made into a message. */
struct source {
  const char *name;
  uint64_t number;
  int fd;
  bool regular;
};

/** What became of an attempt to send a file. */
enum outcome {
  FILE_DONE,      /**< sent, or reported as failed */
  FILE_CHANGED,   /**< its size was not what it said */
  RUN_STOPPED
};

static enum outcome fail_source(struct reader *reader, const struct source *source, int error)
{
  fail_message(reader->run, source->number, source->name, GQ_SYSTEM, "%s", strerror(error));
  return FILE_DONE;
}

/** Remember the name; \return false if the run is to stop. */
static bool add_record(struct reader *reader, const struct source *source)
{
  if (records_full(reader->run->records) && !sender_flush(&reader->sender)) return false;
  return records_add(reader->run->records, source->number, source->name);
}

/** Read up to \p size bytes; fewer only at the end of the file. \return as stoppable_read(). */
static ssize_t read_up_to(const struct source *source, uint8_t *to, size_t size)
{
  size_t total = 0;

  while (total < size) {
    const ssize_t got = stoppable_read(source->fd, !source->regular, to + total, size - total);
    if (got == READ_STOPPED || got == -1) return got;
    if (got == 0) break;
    total += (size_t)got;
  }
  return (ssize_t)total;
}

/** A large regular file of known size: straight into the queue's memory. */
static enum outcome send_in_place(struct reader *reader, const struct source *source, size_t size)
{
  gq_message message = {.size = size, .tag = source->number};
  gq_reservation reservation;
  struct record record;
  uint8_t beyond;
  ssize_t got, more = 0;
  bool refused;
  int error;

  if (!add_record(reader, source)) return RUN_STOPPED;
  if (!sender_reserve(&reader->sender, &message, source->number, &reservation, &refused)) return RUN_STOPPED;
  if (refused) return FILE_DONE;
  got = read_up_to(source, reservation.data, size);
  if (got >= 0) more = read_up_to(source, &beyond, 1);
  if (got >= 0 && more == 0) {
    message.size = (size_t)got;
    return sender_commit(&reader->sender, &reservation, &message, source->number) ? FILE_DONE : RUN_STOPPED;
  }
  error = errno;
  gq_abort(reader->run->queue, &reservation);
  if (got == READ_STOPPED || more == READ_STOPPED) return RUN_STOPPED;
  if (records_take(reader->run->records, source->number, &record)) free(record.name);
  return more > 0 ? FILE_CHANGED : fail_source(reader, source, error);
}

/** Make room for \p size bytes behind what is staged. \return false if the run is to stop. */
static bool make_staging_room(struct reader *reader, size_t size)
{
  if (reader->sender.count == 0) reader->staging_used = 0;
  if (reader->staging_capacity - reader->staging_used >= size) return true;
  if (!sender_flush(&reader->sender)) return false;
  reader->staging_used = 0;
  if (reader->staging_capacity < size) {
    reader->staging_capacity = size > INPUT_BUFFER_BYTES ? size : INPUT_BUFFER_BYTES;
    reader->staging = reallocate(reader->staging, reader->staging_capacity);
  }
  return true;
}

/** Read a whole file of any kind behind what is staged, up to one byte more than a message may have.
 * \param data  out: where it is \return as stoppable_read() */
static ssize_t read_staged(struct reader *reader, const struct source *source, uint8_t **data)
{
  const size_t most = (size_t)reader->largest + 1;
  size_t room = most < DIRECT_BYTES + 1 ? most : DIRECT_BYTES + 1;
  size_t total = 0;

  if (!make_staging_room(reader, room)) return READ_STOPPED;
  *data = reader->staging + reader->staging_used;
  for (;;) {
    const ssize_t got = read_up_to(source, *data + total, room - total);
    if (got < 0) return got;
    total += (size_t)got;
    if (total < room || total == most) return (ssize_t)total;

    /* larger than it seemed: alone in the staging memory from here on */
    if (!sender_flush(&reader->sender)) return READ_STOPPED;
    memmove(reader->staging, *data, total);
    reader->staging_used = 0;
    room = most / 2 < room ? most : room * 2;
    if (reader->staging_capacity < room) {
      reader->staging_capacity = room;
      reader->staging = reallocate(reader->staging, room);
    }
    *data = reader->staging;
  }
}

static enum outcome send_staged(struct reader *reader, const struct source *source)
{
  gq_message message = {.tag = source->number};
  uint8_t *data;
  ssize_t got;

  if (!source->regular && !sender_flush(&reader->sender)) return RUN_STOPPED; /* it may make us wait */
  got = read_staged(reader, source, &data);
  if (got == READ_STOPPED) return RUN_STOPPED;
  if (got == -1) return fail_source(reader, source, errno);
  if ((uint64_t)got > reader->largest) {
    fail_message(reader->run, source->number, source->name, GQ_TOO_LARGE, "more bytes than --max-message-bytes %llu",
                 (unsigned long long)reader->largest);
    return FILE_DONE;
  }
  if (!add_record(reader, source)) return RUN_STOPPED;
  message.data = data;
  message.size = (size_t)got;
  reader->staging_used = (size_t)(data - reader->staging) + (size_t)got;
  return sender_add(&reader->sender, &message, source->number) ? FILE_DONE : RUN_STOPPED;
}

static enum outcome send_open_file(struct reader *reader, struct source *source)
{
  struct stat status;
  enum outcome outcome;
  uint64_t size;
  off_t start;

  if (fstat(source->fd, &status) != 0) return fail_source(reader, source, errno);
  if (S_ISDIR(status.st_mode)) return fail_source(reader, source, EISDIR);
  source->regular = S_ISREG(status.st_mode);
  start = source->regular ? lseek(source->fd, 0, SEEK_CUR) : 0; /* standard input may begin anywhere */
  if (!source->regular || start < 0 || start > status.st_size) return send_staged(reader, source);

  size = (uint64_t)(status.st_size - start);
  if (size > reader->largest) {
    fail_too_large(reader->run, source->number, source->name, size);
    return FILE_DONE;
  }
  if (size < DIRECT_BYTES) return send_staged(reader, source);
  outcome = send_in_place(reader, source, (size_t)size);
  if (outcome != FILE_CHANGED) return outcome;
  if (lseek(source->fd, start, SEEK_SET) < 0) return fail_source(reader, source, errno);
  return send_staged(reader, source);
}

/** \return false if the run is to stop. */
static bool send_file(struct reader *reader, const char *name)
{
  struct source source = {.name = name, .number = ++reader->number};
  enum outcome outcome;

  source.fd = open_for_reading(name);
  if (source.fd < 0) {
    outcome = fail_source(reader, &source, errno);
  } else {
    outcome = send_open_file(reader, &source);
    if (source.fd != STDIN_FILENO) close(source.fd);
  }
  atomic_fetch_add(&reader->run->input_done, 1);
  return outcome != RUN_STOPPED;
}

static bool take_name(struct reader *reader, uint8_t *text, size_t size)
{
  const char *name = (const char *)text;

  text[size] = '\0';
  if (strcmp(name, "-") == 0) {
    fail_message(reader->run, ++reader->number, name, GQ_INVALID,
                 "standard input holds the names and cannot be a message");
    return true;
  }
  if (strlen(name) != size) {
    fail_message(reader->run, ++reader->number, name, GQ_INVALID,
                 "a NUL follows in the name: say --null if names end so");
    return true;
  }
  return send_file(reader, name);
}

bool read_files(struct reader *reader)
{
  const struct settings *settings = reader->run->settings;
  const uint64_t longest_name = 1024 * 1024;
  size_t i;

  for (i = 0; i < settings->file_count; i++)
    if (!send_file(reader, settings->files[i])) return false;
  if (settings->file_count > 0) return true;
  return !input_next(&reader->input) ||
         read_delimited(reader, settings->names_end_in_nul ? '\0' : '\n', longest_name, take_name);
}
