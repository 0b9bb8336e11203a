/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include "cli.h"
#include "dead_letters.h"
#include "output.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void input_init(struct input *input, struct run *run, char **files, size_t file_count)
{
  static char standard_input[] = "-";
  static char *only[] = {standard_input};

  memset(input, 0, sizeof *input);
  input->run = run;
  input->files = file_count ? files : only;
  input->file_count = file_count ? file_count : 1;
  input->fd = -1;
  input->capacity = INPUT_BUFFER_BYTES;
  input->buffer = allocate(input->capacity + 1);
}

static void close_file(struct input *input)
{
  if (input->fd > STDERR_FILENO) close(input->fd);
  input->fd = -1;
}

void input_free(struct input *input)
{
  close_file(input);
  free(input->buffer);
}

int open_for_reading(const char *name)
{
  if (strcmp(name, "-") == 0) return STDIN_FILENO;
  /* O_NONBLOCK: a FIFO without a writer must not hold open(); stoppable_read() waits for its data */
  return open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static void report_broken_file(struct input *input, const char *reason)
{
  complain_about(input->name, "%s", reason);
  atomic_fetch_add(&input->run->inputs_failed, 1);
  input->broken = true;
}

/** \return why the open file must not be read, or NULL. */
static const char *what_forbids_reading(const struct input *input)
{
  const struct run *run = input->run;

  if (output_is_file(&run->output, input->fd)) return "is the output, too: reading it would never end";
  if (run->dead_letters && output_is_file(dead_letters_output(run->dead_letters), input->fd))
    return "is the --dead-letters file of this run, too: reading it would never end";
  return NULL;
}

bool input_next(struct input *input)
{
  close_file(input);
  while (input->next_file < input->file_count && !stop_requested()) {
    const char *file = input->files[input->next_file++];
    const char *forbidden;
    struct stat status;

    input->name = strcmp(file, "-") == 0 ? "standard input" : file;
    input->begin = input->end = 0;
    input->taken_in = 0;
    input->broken = false;
    input->fd = open_for_reading(file);
    if (input->fd < 0) {
      report_broken_file(input, strerror(errno));
      continue;
    }
    forbidden = what_forbids_reading(input);
    if (forbidden) {
      report_broken_file(input, forbidden);
      close_file(input);
      continue;
    }
    input->may_block = fstat(input->fd, &status) != 0 || !S_ISREG(status.st_mode);
    output_widen_pipe(input->fd);
    return true;
  }
  return false;
}

ssize_t input_read(struct input *input, void *to, size_t size)
{
  const ssize_t got = stoppable_read(input->fd, input->may_block, to, size);

  if (got == -1) {
    report_broken_file(input, strerror(errno));
    return 0;
  }
  if (got > 0) {
    input->taken_in += (uint64_t)got;
    if (input->run->settings->framing != FRAMING_FILES) atomic_fetch_add(&input->run->input_done, (uint64_t)got);
  }
  return got;
}

bool input_is_ready(const struct input *input, int wait_ms)
{
  struct pollfd ready = {.fd = input->fd, .events = POLLIN};

  return !input->may_block || poll(&ready, 1, wait_ms) != 0;
}

enum fill input_fill(struct input *input)
{
  ssize_t got;

  if (input->begin > 0) {
    memmove(input->buffer, input_bytes(input), input_available(input));
    input->end -= input->begin;
    input->begin = 0;
  }
  if (input->end == input->capacity) {
    input->capacity *= 2;
    input->buffer = reallocate(input->buffer, input->capacity + 1);
  }
  got = input_read(input, input->buffer + input->end, input->capacity - input->end);
  if (got == READ_STOPPED) return FILL_STOPPED;
  input->end += (size_t)got;
  return got ? FILL_MORE : FILL_END;
}
