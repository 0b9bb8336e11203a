/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GPUQUEUE_JSON_H
#define GPUQUEUE_JSON_H

#include <stddef.h>
#include <stdio.h>

/** Length of the UTF-8 sequence at \p text, or 0 if it is none that JSON may hold. */
size_t json_utf8_sequence(const char *text);

/** Print \p text as a JSON string. A byte that is not UTF-8 becomes U+FFFD; a terminal's control characters are escaped. */
void json_string(FILE *file, const char *text);

#endif
