/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files in memory, and the directories that belong to the user. */
#ifndef GQ_FILES_H
#define GQ_FILES_H
#include <gpuqueue/gpuqueue.h>
#include <stdbool.h>

/** Bytes from malloc(), of whoever holds them. \ref data has a NUL after its last byte when it was read from a file. */
typedef struct gq_bytes {
  uint8_t *data;
  size_t size;
} gq_bytes;

void gq_bytes_free(gq_bytes *bytes);

/** Read the regular file \p path.
 * \param most  larger files are refused
 * \param bytes  out: the caller's to free
 * \return GQ_OK; GQ_INVALID with the path and the reason; GQ_NO_MEMORY. */
gq_status gq_read_file(const char *path, size_t most, gq_bytes *bytes);

/** Read what is left of \p fd, a file of \p size bytes; one that turns out to be of another size is an error.
 * \return 0 or an errno. */
int gq_read_all(int fd, size_t size, gq_bytes *bytes);

/** Write all of it. \return 0 or an errno. */
int gq_write_all(int fd, const void *data, size_t size);

/** A path of the user's own: $VARIABLE/gpuqueue, or ~/FALLBACK/gpuqueue, where \p variable must be absolute to count
 * (XDG Base Directory Specification). \return false if neither is set, or too long. */
bool gq_user_directory(const char *variable, const char *fallback, char *path, size_t size);

/** A directory nobody else can write to, for files that live as long as a call. \p path: out, of PATH_MAX bytes. */
gq_status gq_scratch_directory(char *path);
/** Remove it with the files in it and, one level down, in its directories. */
void gq_scratch_remove(const char *path);

#endif
