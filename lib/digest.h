/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of what comes in pieces, for checksums of files and names of cache entries. */
#ifndef GQ_DIGEST_H
#define GQ_DIGEST_H
#include <stddef.h>
#include <stdint.h>

#define GQ_DIGEST_BYTES 32u

typedef struct gq_digest {
  uint32_t state[8];
  uint64_t bytes;
  _Alignas(16) uint8_t block[64]; /* the first bytes % 64 of it are waiting */
} gq_digest;

void gq_digest_begin(gq_digest *d);
void gq_digest_add(gq_digest *d, const void *data, size_t size);
/** Add \p text with the NUL at its end, so that neighbours cannot be cut in another place. NULL is "". */
void gq_digest_add_text(gq_digest *d, const char *text);
void gq_digest_add_number(gq_digest *d, uint64_t number);
void gq_digest_end(gq_digest *d, uint8_t digest[GQ_DIGEST_BYTES]);

#endif
