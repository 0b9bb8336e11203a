/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_object.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "files.h"

/* What dlopen() said, without the path, which means nothing to anybody. */
static gq_status not_loaded(const char *name, const char *path)
{
  const char *message = dlerror();

  if (!message) message = "no reason given";
  if (strncmp(message, path, strlen(path)) == 0) {
    message += strlen(path);
    message += strspn(message, ": ");
  }
  return gq_fail(GQ_BAD_HANDLER, "%s: its code cannot be loaded: %s", name, message);
}

/* Give the file a descriptor whose path no loaded library has: dlopen() knows libraries by their path before it looks
 * at files, and one that cannot be unloaded (-z nodelete) keeps its path when its descriptor is long closed.
 * \return 0 or an errno. */
static int find_path(int *fd, char *path, size_t size)
{
  for (;;) {
    void *other;
    int next;

    snprintf(path, size, "/proc/%ld/fd/%d", (long)getpid(), *fd);
    other = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!other) return 0;
    dlclose(other);
    next = fcntl(*fd, F_DUPFD_CLOEXEC, *fd + 1);
    if (next < 0) return errno;
    close(*fd);
    *fd = next;
  }
}

gq_status gq_shared_object_open(const char *name, const uint8_t *data, size_t size, void **library, int *fd)
{
  /* In memory: it needs no directory that can be written to, is gone with the process, and nobody can change it after
   * its checksum was found right. A debugger finds it by this path, too. */
  int memory = memfd_create("gpuqueue-handler", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  char path[64];
  int error;

  if (memory < 0) return gq_fail(GQ_SYSTEM, "%s: no memory file for its code: %s", name, strerror(errno));
  error = gq_write_all(memory, data, size);
  if (!error) error = find_path(&memory, path, sizeof path);
  if (error) {
    close(memory);
    return gq_fail(GQ_SYSTEM, "%s: cannot keep its code in memory: %s", name, strerror(error));
  }
  *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (*library) {
    *fd = memory;
    return GQ_OK;
  }
  not_loaded(name, path);
  close(memory);
  return GQ_BAD_HANDLER;
}

gq_status gq_shared_object_look(void *library, const char *name, const char *manifest, gq_handler_function **function,
                                gq_handler_init **init)
{
  const char *own = dlsym(library, "gq_manifest");
  void *entry = dlsym(library, "gq_handler_entry"), *first = dlsym(library, "gq_handler_init_entry");

  if (!entry || !own)
    return gq_fail(GQ_BAD_HANDLER, "%s: its code defines no %s: it was not made from a handler that GQ_HANDLER() declares",
                   name, entry ? "gq_manifest" : "gq_handler_entry");
  if (strcmp(own, manifest) != 0)
    return gq_fail(GQ_BAD_HANDLER, "%s: its CPU code is of another handler than its manifest describes", name);
  /* POSIX promises that a data pointer from dlsym() can be read as one to a function */
  memcpy(function, &entry, sizeof entry);
  memcpy(init, &first, sizeof first);
  return GQ_OK;
}

void gq_shared_object_close(void *library, int fd)
{
  if (library) dlclose(library);
  if (fd >= 0) close(fd);
}
