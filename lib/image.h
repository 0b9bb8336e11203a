/* SPDX-License-Identifier: Apache-2.0 */
/** \file image.h
 * A compiled handler in one piece of memory: the content of a .gqh file and of an entry of the cache. All numbers are
 * little-endian.
 *
 *     offset  bytes
 *          0      8  "\x89GQH\r\n\x1a\n": what is lost where a file is treated as text is lost here first
 *          8      4  version of this layout, 1
 *         12      4  version of the handler interface, 1 (the number after "gpuqueue-handler" in a manifest)
 *         16      8  bytes of the whole
 *         24      4  sections
 *         28      4  0
 *         32     32  kernel id: which resident kernel its GPU code is linked with (gq_kernel_id)
 *         64     32  SHA-256 of the whole, with these bytes zero
 *         96     32  for each section: kind, target (4 bytes each), offset, bytes, 0 (8 bytes each)
 *                    then the sections, each at a multiple of 16
 *
 * A section of unknown kind is passed over. What is read is taken for hostile: every offset and size is checked
 * before use. That the code in it does what its user wants is nothing that a checksum could say. */
#ifndef GQ_IMAGE_H
#define GQ_IMAGE_H
#include "digest.h"
#include "files.h"

#define GQ_IMAGE_LAYOUT 1u
#define GQ_HANDLER_INTERFACE 1u
#define GQ_IMAGE_MOST (256u << 20) /* bytes of the largest file that is read */
#define GQ_IMAGE_SECTIONS 128u

enum gq_section_kind {
  GQ_SECTION_MANIFEST = 1, /* text, NUL-terminated; exactly one; target 0 */
  GQ_SECTION_CUBIN = 2,    /* resident kernel and handler for one GPU architecture; target 90 for sm_90 */
  GQ_SECTION_PTX = 3,      /* the same as text, for that architecture and later ones */
  GQ_SECTION_LTOIR = 4,    /* the handler alone, to be linked; target 75: for sm_75 and later ones */
  GQ_SECTION_CPU = 5       /* shared object; target is the e_machine of its ELF header */
};

typedef struct gq_section {
  uint32_t kind, target;
  const uint8_t *data;     /* in the image, or whoever builds it */
  size_t size;
} gq_section;

typedef struct gq_image {
  gq_bytes bytes;          /* what the sections point into */
  uint8_t kernel_id[GQ_DIGEST_BYTES];
  uint32_t count;
  gq_section sections[GQ_IMAGE_SECTIONS];
} gq_image;

/** Put an image together. \return GQ_OK; GQ_NO_MEMORY; GQ_INVALID if there are too many sections. */
gq_status gq_image_build(const uint8_t kernel_id[GQ_DIGEST_BYTES], const gq_section *sections, uint32_t count,
                         gq_bytes *bytes);

/** Look into \p bytes, which become the image's on GQ_OK.
 * \param name  of the file, for the text of errors
 * \return GQ_OK; GQ_BAD_HANDLER with what is wrong with it. */
gq_status gq_image_parse(gq_image *image, const char *name, gq_bytes bytes);

void gq_image_free(gq_image *image);

/** The first section of \p kind for \p target, or NULL. */
const gq_section *gq_image_find(const gq_image *image, uint32_t kind, uint32_t target);
/** The section of \p kind with the greatest target up to \p most, or NULL. */
const gq_section *gq_image_find_up_to(const gq_image *image, uint32_t kind, uint32_t most);
/** The manifest's text. */
const char *gq_image_manifest(const gq_image *image);

/** What GPU code there is, such as "sm_80 sm_90, LTO-IR from sm_75 on" or "none", for people. */
const char *gq_image_gpu_text(const gq_image *image, char *text, size_t size);
/** For which machines it has CPU code: "x86-64" or "none". */
const char *gq_image_cpu_text(const gq_image *image, char *text, size_t size);
/** The e_machine of what runs here. */
uint32_t gq_this_machine(void);
const char *gq_machine_name(uint32_t e_machine, char *text, size_t size);

#endif
