/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GPUQUEUE_JSON_H
#define GPUQUEUE_JSON_H

#include <stdio.h>

/** Print \p text as a JSON string; bytes above 127 go out as they are. */
void json_string(FILE *file, const char *text);

#endif
