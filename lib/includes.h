/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a handler's source includes, so that its cached code is not used once one of them has changed. */
#ifndef GQ_INCLUDES_H
#define GQ_INCLUDES_H
#include "digest.h"
#include "files.h"

/** Add the names and contents of the files that \p text includes, directly or through another, to \p digest.
 *
 * Found by reading #include lines as they stand, whether the preprocessor would reach them or not; a file whose name
 * is made by a macro is not seen. What is in none of the directories is left out: a compiler's own headers change with
 * the compiler.
 * \param directory    where the source lies, for #include "..."; NULL: nowhere
 * \param directories  those of -I flags, NULL-terminated
 * \return GQ_OK; GQ_INVALID if there are more than 1000; GQ_BAD_HANDLER if one is a device or pipe, at which a compiler
 *         could wait, or read, for ever. */
gq_status gq_includes_add(gq_digest *digest, const char *text, const char *directory, const char *const *directories);

#endif
