/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

#define HEADER_BYTES 96u
#define ROW_BYTES 32u
#define DIGEST_AT 64u

static const uint8_t magic[8] = {0x89, 'G', 'Q', 'H', '\r', '\n', 0x1a, '\n'};

static void put(uint8_t *at, uint64_t number, int bytes)
{
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t get(const uint8_t *at, int bytes)
{
  uint64_t number = 0;

  for (int i = 0; i < bytes; i++) number |= (uint64_t)at[i] << 8 * i;
  return number;
}

static void digest_of(const uint8_t *data, size_t size, uint8_t digest[GQ_DIGEST_BYTES])
{
  static const uint8_t zero[GQ_DIGEST_BYTES];
  gq_digest d;

  gq_digest_begin(&d);
  gq_digest_add(&d, data, DIGEST_AT);
  gq_digest_add(&d, zero, sizeof zero);
  gq_digest_add(&d, data + DIGEST_AT + GQ_DIGEST_BYTES, size - DIGEST_AT - GQ_DIGEST_BYTES);
  gq_digest_end(&d, digest);
}

static size_t aligned(size_t size)
{
  return (size + 15) / 16 * 16;
}

gq_status gq_image_build(const uint8_t kernel_id[GQ_DIGEST_BYTES], const gq_section *sections, uint32_t count,
                         gq_bytes *bytes)
{
  size_t size = HEADER_BYTES + (size_t)count * ROW_BYTES, at = size;
  uint8_t *data;

  if (count > GQ_IMAGE_SECTIONS)
    return gq_fail(GQ_INVALID, "a handler's file has room for %u pieces of code, not for %u", GQ_IMAGE_SECTIONS, count);
  for (uint32_t i = 0; i < count; i++) size += aligned(sections[i].size);
  if (size > GQ_IMAGE_MOST)
    return gq_fail(GQ_INVALID, "a compiled handler of %zu bytes is more than is read again, %u", size, GQ_IMAGE_MOST);
  data = calloc(1, size + 1);
  if (!data) return gq_fail(GQ_NO_MEMORY, "no memory for a handler's %zu bytes", size);
  memcpy(data, magic, sizeof magic);
  put(data + 8, GQ_IMAGE_LAYOUT, 4);
  put(data + 12, GQ_HANDLER_INTERFACE, 4);
  put(data + 16, size, 8);
  put(data + 24, count, 4);
  memcpy(data + 32, kernel_id, GQ_DIGEST_BYTES);
  for (uint32_t i = 0; i < count; i++) {
    uint8_t *row = data + HEADER_BYTES + (size_t)i * ROW_BYTES;

    put(row, sections[i].kind, 4);
    put(row + 4, sections[i].target, 4);
    put(row + 8, at, 8);
    put(row + 16, sections[i].size, 8);
    if (sections[i].size) memcpy(data + at, sections[i].data, sections[i].size);
    at += aligned(sections[i].size);
  }
  digest_of(data, size, data + DIGEST_AT);
  bytes->data = data;
  bytes->size = size;
  return GQ_OK;
}

/* Everything that can be said without looking at a section. */
static gq_status check_header(const char *name, const uint8_t *data, size_t size)
{
  uint8_t digest[GQ_DIGEST_BYTES];
  uint64_t said;

  if (size == 0) return gq_fail(GQ_BAD_HANDLER, "%s: is empty, no compiled handler", name);
  if (memcmp(data, magic, size < sizeof magic ? size : sizeof magic) != 0)
    return gq_fail(GQ_BAD_HANDLER, "%s: is no compiled handler: it does not begin as a file that gpuqueue compile "
                                   "makes (a handler's source has a name that ends in .cu or .c)", name);
  if (size < HEADER_BYTES)
    return gq_fail(GQ_BAD_HANDLER, "%s: is cut off: %zu bytes are not even its header of %u", name, size, HEADER_BYTES);
  if (get(data + 8, 4) != GQ_IMAGE_LAYOUT)
    return gq_fail(GQ_BAD_HANDLER, "%s: is a compiled handler of layout %u; this gpuqueue %s reads layout %u: compile "
                                   "it again with this version", name, (unsigned)get(data + 8, 4), GQ_VERSION,
                   GQ_IMAGE_LAYOUT);
  said = get(data + 16, 8);
  if (said > size)
    return gq_fail(GQ_BAD_HANDLER, "%s: is cut off: %zu of its %llu bytes are there", name, size,
                   (unsigned long long)said);
  if (said < size)
    return gq_fail(GQ_BAD_HANDLER, "%s: is damaged: it has %llu bytes, followed by %llu that are not its own", name,
                   (unsigned long long)said, (unsigned long long)(size - said));
  digest_of(data, size, digest);
  if (memcmp(digest, data + DIGEST_AT, sizeof digest) != 0)
    return gq_fail(GQ_BAD_HANDLER, "%s: is damaged: its SHA-256 is not the one it says it has", name);
  if (get(data + 12, 4) != GQ_HANDLER_INTERFACE)
    return gq_fail(GQ_BAD_HANDLER, "%s: was compiled for version %u of the handler interface; this gpuqueue %s has "
                                   "version %u: compile it again", name, (unsigned)get(data + 12, 4), GQ_VERSION,
                   GQ_HANDLER_INTERFACE);
  if (get(data + 24, 4) > GQ_IMAGE_SECTIONS || get(data + 24, 4) > (size - HEADER_BYTES) / ROW_BYTES)
    return gq_fail(GQ_BAD_HANDLER, "%s: is malformed: it says that it has %u sections", name,
                   (unsigned)get(data + 24, 4));
  return GQ_OK;
}

static gq_status check_section(const char *name, const gq_section *s, uint32_t number)
{
  if (s->kind == GQ_SECTION_MANIFEST && (s->size == 0 || memchr(s->data, 0, s->size) != s->data + s->size - 1))
    return gq_fail(GQ_BAD_HANDLER, "%s: is malformed: its manifest is no text that ends in a NUL", name);
  if (s->kind == GQ_SECTION_PTX && (s->size == 0 || memchr(s->data, 0, s->size) != s->data + s->size - 1))
    return gq_fail(GQ_BAD_HANDLER, "%s: is malformed: its PTX (section %u) is no text that ends in a NUL", name, number);
  if ((s->kind == GQ_SECTION_CUBIN || s->kind == GQ_SECTION_CPU) &&
      (s->size < sizeof(Elf64_Ehdr) || memcmp(s->data, ELFMAG, SELFMAG) != 0))
    return gq_fail(GQ_BAD_HANDLER, "%s: is malformed: section %u should be an ELF object and is none", name, number);
  if (s->kind == GQ_SECTION_CPU && get(s->data + offsetof(Elf64_Ehdr, e_machine), 2) != s->target)
    return gq_fail(GQ_BAD_HANDLER, "%s: is malformed: its CPU code (section %u) is for another machine than it says",
                   name, number);
  return GQ_OK;
}

gq_status gq_image_parse(gq_image *image, const char *name, gq_bytes bytes)
{
  gq_status status = check_header(name, bytes.data, bytes.size);
  uint32_t manifests = 0, count;

  if (status != GQ_OK) return status;
  count = (uint32_t)get(bytes.data + 24, 4);
  memcpy(image->kernel_id, bytes.data + 32, GQ_DIGEST_BYTES);
  for (uint32_t i = 0; i < count && status == GQ_OK; i++) {
    const uint8_t *row = bytes.data + HEADER_BYTES + (size_t)i * ROW_BYTES;
    const uint64_t offset = get(row + 8, 8), size = get(row + 16, 8);
    gq_section *s = &image->sections[i];

    if (offset % 16 != 0 || offset < HEADER_BYTES + (uint64_t)count * ROW_BYTES || offset > bytes.size ||
        size > bytes.size - offset)
      return gq_fail(GQ_BAD_HANDLER, "%s: is malformed: section %u lies outside it (%llu bytes at %llu)", name, i,
                     (unsigned long long)size, (unsigned long long)offset);
    s->kind = (uint32_t)get(row, 4);
    s->target = (uint32_t)get(row + 4, 4);
    s->data = bytes.data + offset;
    s->size = (size_t)size;
    manifests += s->kind == GQ_SECTION_MANIFEST && s->target == 0;
    status = check_section(name, s, i);
  }
  if (status == GQ_OK && manifests != 1)
    status = gq_fail(GQ_BAD_HANDLER, "%s: is malformed: it has %u manifests instead of one", name, manifests);
  if (status != GQ_OK) return status;
  image->count = count;
  image->bytes = bytes;
  return GQ_OK;
}

void gq_image_free(gq_image *image)
{
  gq_bytes_free(&image->bytes);
  image->count = 0;
}

const gq_section *gq_image_find(const gq_image *image, uint32_t kind, uint32_t target)
{
  for (uint32_t i = 0; i < image->count; i++)
    if (image->sections[i].kind == kind && image->sections[i].target == target) return &image->sections[i];
  return NULL;
}

const gq_section *gq_image_find_up_to(const gq_image *image, uint32_t kind, uint32_t most)
{
  const gq_section *best = NULL;

  for (uint32_t i = 0; i < image->count; i++) {
    const gq_section *s = &image->sections[i];

    if (s->kind == kind && s->target <= most && (!best || s->target > best->target)) best = s;
  }
  return best;
}

const char *gq_image_manifest(const gq_image *image)
{
  return (const char *)gq_image_find(image, GQ_SECTION_MANIFEST, 0)->data;
}

const char *gq_image_gpu_text(const gq_image *image, char *text, size_t size)
{
  size_t used = 0;

  snprintf(text, size, "none");
  for (uint32_t i = 0; i < image->count && used < size; i++) {
    const gq_section *s = &image->sections[i];
    const char *prefix = s->kind == GQ_SECTION_CUBIN ? "sm_" : s->kind == GQ_SECTION_PTX ? "ptx_" :
                         s->kind == GQ_SECTION_LTOIR ? "lto_" : NULL;

    if (prefix) used += (size_t)snprintf(text + used, size - used, "%s%s%u", used ? " " : "", prefix, s->target);
  }
  return text;
}

uint32_t gq_this_machine(void)
{
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_NONE;
#endif
}

const char *gq_machine_name(uint32_t e_machine, char *text, size_t size)
{
  if (e_machine == EM_X86_64) return "x86-64";
  if (e_machine == EM_AARCH64) return "aarch64";
  snprintf(text, size, "ELF machine %u", e_machine);
  return text;
}

const char *gq_image_cpu_text(const gq_image *image, char *text, size_t size)
{
  size_t used = 0;

  snprintf(text, size, "none");
  for (uint32_t i = 0; i < image->count && used < size; i++) {
    char other[32];

    if (image->sections[i].kind != GQ_SECTION_CPU) continue;
    used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "",
                             gq_machine_name(image->sections[i].target, other, sizeof other));
  }
  return text;
}
