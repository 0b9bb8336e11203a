/* SPDX-License-Identifier: Apache-2.0 */
/* Finding NVIDIA's compiler libraries, which come with the CUDA toolkit, with packages of the distribution, or from pip
 * into some Python's directory. Looked for as files, for loading them takes long (100 MB each). */
#ifndef GQ_DYNLIB_H
#define GQ_DYNLIB_H
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gq_library_file {
  char path[PATH_MAX];
  uint64_t size, changed_ns; /* tells two versions of the file apart */
} gq_library_file;

/** Find the library \p name, such as "libnvrtc.so.13".
 * \param only  a toolkit's directory, or one into which pip installs, and then nothing else is looked at; NULL or "":
 *              CUDA_HOME and CUDA_PATH, the active virtual or conda environment, LD_LIBRARY_PATH, the usual places of
 *              toolkits and packages, and the user's and the system's Python directories, in this order
 * \return whether there is one. */
bool gq_library_find(const char *name, const char *only, gq_library_file *found);

/** dlopen() it for good, together with what it loads from its own directory by a name that begins with \p companion
 * (NULL: nothing). \return NULL with \p why filled in. */
void *gq_library_open(const gq_library_file *file, const char *companion, char *why, size_t size);

#endif
