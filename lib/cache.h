/* SPDX-License-Identifier: Apache-2.0 */
/** \file cache.h
 * What was compiled before: files in $XDG_CACHE_HOME/gpuqueue, or ~/.cache/gpuqueue, each named after the digest of
 * everything that it was made from. Each is an image (image.h) with a checksum of its own.
 *
 * An entry appears whole or not at all: it is written under another name, flushed and renamed, so any number of
 * processes may write the same one. The directory and the files in it are used only if they belong to this user and
 * nobody else can write to them, and no link is followed. Whatever is wrong with an entry, it is as if it were not
 * there; a cache that cannot be used costs time and nothing else. Files with other names are left alone. */
#ifndef GQ_CACHE_H
#define GQ_CACHE_H
#include "files.h"

#define GQ_CACHE_ENTRIES 512u /* beyond that the ones not used for longest go */

typedef struct gq_cache {
  int directory;         /* descriptor, or -1: not usable */
  char why_not[512];     /* in that case; else empty */
} gq_cache;

/** Open the user's cache, making its directory if need be. Never fails: see \ref gq_cache. */
void gq_cache_open(gq_cache *cache);
void gq_cache_close(gq_cache *cache);

/** Read the entry \p name, of letters, digits and dots. \return whether it was there; its content is not looked at. */
bool gq_cache_get(const gq_cache *cache, const char *name, size_t most, gq_bytes *bytes);

/** Keep \p size bytes as \p name, in place of what is there. \return whether that was possible. */
bool gq_cache_put(const gq_cache *cache, const char *name, const void *data, size_t size);

#endif
