/* SPDX-License-Identifier: Apache-2.0 */
/* Running another program to its end, without a shell. */
#ifndef GQ_PROGRAM_H
#define GQ_PROGRAM_H
#include "files.h"

/** Find the program \p name, as a shell would: in PATH unless it has a '/'. \p path: out, of PATH_MAX bytes.
 * \return whether it is there and may be run. */
bool gq_program_find(const char *name, char *path);

/** Run \p path with the arguments \p argv, in a process group of its own, with nothing to read, in the locale C, and
 * wait for its end.
 * \param seconds  after which it is killed
 * \param scratch  a directory for its files, its TMPDIR; should this process be killed, the program is, too, and the
 *                 directory removed
 * \param said     out: what it wrote on standard output and standard error, with a NUL at its end; the caller's
 * \return GQ_OK if it ended with status 0; GQ_FAILED if with another, or by a signal or the time limit, which is then
 *         appended to \p said; GQ_SYSTEM or GQ_NO_MEMORY if it could not be run. */
gq_status gq_program_run(const char *path, char *const *argv, unsigned seconds, const char *scratch, gq_bytes *said);

#endif
