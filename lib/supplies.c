/* SPDX-License-Identifier: Apache-2.0 */
#include "supplies.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define PAGE 4096u

static gq_status system_failed(const char *what, const char *path)
{
  char text[128];

  return gq_fail(GQ_SYSTEM, "%s the state %s: %s", what, path, strerror_r(errno, text, sizeof text));
}

static uint64_t mapped_bytes(uint64_t state_bytes)
{
  return (state_bytes + !state_bytes + PAGE - 1) / PAGE * PAGE;
}

/* Open a state's file and find its size. Nothing but a regular file will do: a pipe might never end. */
static gq_status open_state(const char *path, int *fd, uint64_t *size)
{
  gq_status status = GQ_INVALID;
  struct stat s;

  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0) return system_failed("opening", path);
  if (fstat(*fd, &s) != 0) {
    status = system_failed("looking at", path);
  } else if (!S_ISREG(s.st_mode)) {
    gq_fail(GQ_INVALID, "state: %s is not a regular file", path);
  } else if ((uint64_t)s.st_size > GQ_MOST_STATE) {
    gq_fail(GQ_INVALID, "state: %s is %llu bytes long; up to %llu are allowed", path, (unsigned long long)s.st_size,
            GQ_MOST_STATE);
  } else {
    *size = (uint64_t)s.st_size;
    return GQ_OK;
  }
  close(*fd);
  *fd = -1;
  return status;
}

static gq_status read_state(int fd, const char *path, uint8_t *to, uint64_t size)
{
  for (uint64_t at = 0; at < size;) {
    const ssize_t n = read(fd, to + at, size - at);

    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failed("reading", path);
    if (n == 0)
      return gq_fail(GQ_SYSTEM, "reading the state %s: it was %llu bytes long and ends after %llu: does somebody write "
                                "it?", path, (unsigned long long)size, (unsigned long long)at);
    at += (uint64_t)n;
  }
  return GQ_OK;
}

/* Whether the handler takes what it is given, and what the options say fits together. */
static gq_status check_state(const gq_declaration *d, const gq_options *o, bool has_file)
{
  const char *name = d->info.name;

  if (has_file && o->state_data)
    return gq_fail(GQ_INVALID, "state and state_data are both given; a handler has one state");
  if (!o->state_data && o->state_data_bytes)
    return gq_fail(GQ_INVALID, "state_data is NULL, but state_data_bytes is %llu",
                   (unsigned long long)o->state_data_bytes);
  if (d->state == GQ_STATE_IS_NONE) {
    if (has_file) return gq_fail(GQ_INVALID, "handler %s takes no state, but was given the file %s", name, o->state);
    if (o->state_data || o->state_bytes)
      return gq_fail(GQ_INVALID, "handler %s takes no state, but was given %s", name,
                     o->state_data ? "state_data" : "the option state_bytes");
  }
  if (d->state == GQ_STATE_IS_REQUIRED && !has_file && !o->state_data)
    return gq_fail(GQ_INVALID, "handler %s needs a state: give it a file (option state) or memory (state_data)", name);
  return GQ_OK;
}

static gq_status gather_state(gq_supplies *s, const gq_declaration *d, const gq_options *o)
{
  const bool has_file = o->state && *o->state;
  uint64_t size = d->state_bytes, given = o->state_data_bytes;
  gq_status status = check_state(d, o, has_file);
  void *memory;
  int fd = -1;

  if (status == GQ_OK && has_file) status = open_state(o->state, &fd, &given);
  if (status != GQ_OK) return status;
  if (o->state_bytes && given > o->state_bytes) {
    status = gq_fail(GQ_INVALID, "state_bytes: %llu is less than the %llu bytes of the state that is given",
                     (unsigned long long)o->state_bytes, (unsigned long long)given);
    goto close_file;
  }
  if (given > size) size = given;
  if (o->state_bytes > size) size = o->state_bytes;
  if (size == 0 && !has_file && !o->state_data) return GQ_OK; /* none, and none is needed */
  memory = mmap(NULL, mapped_bytes(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    status = gq_fail(GQ_NO_MEMORY, "no memory for a state of %llu bytes", (unsigned long long)size);
    goto close_file;
  }
  if (has_file) status = read_state(fd, o->state, memory, given);
  else if (given) memcpy(memory, o->state_data, given);
  if (status == GQ_OK) {
    s->state = memory;
    s->state_bytes = size;
    s->given_bytes = given;
  } else {
    munmap(memory, mapped_bytes(size));
  }
close_file:
  if (fd >= 0) close(fd);
  return status;
}

gq_status gq_supplies_gather(gq_supplies *s, const gq_declaration *d, const gq_options *o)
{
  gq_status status = gq_args_lay_out(&s->args, d, o->args);

  if (status != GQ_OK) return status;
  status = gather_state(s, d, o);
  if (status != GQ_OK) gq_args_free(&s->args);
  s->scratch_bytes = (d->scratch_bytes + 15) / 16 * 16;
  s->shared_bytes = (d->shared_bytes + 15) / 16 * 16;
  return status;
}

void gq_supplies_free(gq_supplies *s)
{
  gq_args_free(&s->args);
  if (s->state) munmap(s->state, mapped_bytes(s->state_bytes));
  s->state = NULL;
}

uint64_t gq_supplies_host_bytes(const gq_supplies *s)
{
  return s->state ? mapped_bytes(s->state_bytes) : 0;
}

gq_status gq_init_refused(const gq_declaration *d, int32_t code)
{
  gq_set_failure(code, 1);
  return gq_fail(GQ_FAILED, "handler %s: its init refused the arguments or the state with code %d", d->info.name, code);
}

gq_status gq_init_stalled(const gq_declaration *d, uint32_t stall_ms)
{
  return gq_fail(GQ_TIMEOUT, "handler %s: its init has not returned for %u ms (option stall_ms); it and its memory are "
                             "left behind", d->info.name, stall_ms);
}
