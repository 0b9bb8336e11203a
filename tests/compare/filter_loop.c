/* SPDX-License-Identifier: Apache-2.0 */
/* What filter.py compares `gpuqueue run` with: one thread that reads lines, hashes each, and writes hexadecimal digits.
 * Compiled with one of
 *   -DHANDLER_HEADER='<handlers/sha256.h>' -DHANDLER=gq_linked_sha256   the very handler of gpuqueue
 *   -DLIBCRYPTO                                                        SHA-256 of OpenSSL
 *   -DINSTRUCTION                                                      CRC-32C by the processor's instruction */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(HANDLER)
#include <gpuqueue/handler.h>
#include HANDLER_HEADER

static void prepare(void) {}

static size_t digest(const uint8_t *line, size_t size, uint8_t *out)
{
  static const gq_context context;
  const gq_msg msg = {line, (uint32_t)size, 1, 0, 0, 0};
  gq_reply reply = {out, 64, 0};

  if (HANDLER.function(&msg, &reply, &context)) exit(1);
  return reply.size;
}

#elif defined(LIBCRYPTO)
static int (*start)(void *), (*update)(void *, const void *, size_t), (*finish)(unsigned char *, void *);

static void prepare(void)
{
  void *library = dlopen("libcrypto.so.3", RTLD_NOW);

  if (!library) library = dlopen("libcrypto.so.1.1", RTLD_NOW);
  if (!library) exit(77);
  *(void **)&start = dlsym(library, "SHA256_Init");
  *(void **)&update = dlsym(library, "SHA256_Update");
  *(void **)&finish = dlsym(library, "SHA256_Final");
  if (!start || !update || !finish) exit(77);
}

static size_t digest(const uint8_t *line, size_t size, uint8_t *out)
{
  uint64_t context[64]; /* a SHA256_CTX has 112 bytes */

  start(context);
  update(context, line, size);
  finish(out, context);
  return 32;
}

#elif defined(INSTRUCTION) && defined(__SSE4_2__)
static void prepare(void) {}

static size_t digest(const uint8_t *line, size_t size, uint8_t *out)
{
  uint64_t crc = 0xffffffffu, word;
  uint32_t value;
  size_t at;

  for (at = 0; at + 8 <= size; at += 8) {
    memcpy(&word, line + at, 8);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  for (; at < size; at++) crc = __builtin_ia32_crc32qi((uint32_t)crc, line[at]);
  value = __builtin_bswap32(~(uint32_t)crc);
  memcpy(out, &value, 4);
  return 4;
}

#else
static void prepare(void) { exit(77); }
static size_t digest(const uint8_t *line, size_t size, uint8_t *out) { return (void)line, (void)size, (void)out, 0; }
#endif

enum { BUFFER = 1 << 20, LONGEST_OUTPUT = 129 };

static char out[BUFFER];
static size_t used;

static void flush(void)
{
  size_t at = 0;

  while (at < used) {
    const ssize_t written = write(STDOUT_FILENO, out + at, used - at);
    if (written < 0) exit(1);
    at += (size_t)written;
  }
  used = 0;
}

static void print(const uint8_t *bytes, size_t size)
{
  static const char digits[] = "0123456789abcdef";
  size_t i;

  if (used + LONGEST_OUTPUT > BUFFER) flush();
  for (i = 0; i < size; i++) {
    out[used++] = digits[bytes[i] >> 4];
    out[used++] = digits[bytes[i] & 15];
  }
  out[used++] = '\n';
}

int main(void)
{
  static uint8_t in[BUFFER];
  uint8_t result[64];
  size_t have = 0;
  ssize_t got;

  prepare();
  while ((got = read(STDIN_FILENO, in + have, BUFFER - have)) > 0) {
    const uint8_t *line = in, *end;

    have += (size_t)got;
    while ((end = memchr(line, '\n', (size_t)(in + have - line))) != NULL) {
      print(result, digest(line, (size_t)(end - line), result));
      line = end + 1;
    }
    have = (size_t)(in + have - line);
    memmove(in, line, have);
  }
  flush();
  return got < 0 || have; /* every line of its input ends in a newline */
}
