/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "linked_kernel.h"

/* handler_header[] and kernel_sources[], made by cuda/embed.sh. */
#include "embedded.h"

#ifdef GQ_LINKED_FATBIN
extern const unsigned char gq_linked_fatbin[], gq_linked_fatbin_end[];
__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        ".globl gq_linked_fatbin, gq_linked_fatbin_end\n"
        ".hidden gq_linked_fatbin, gq_linked_fatbin_end\n"
        ".type gq_linked_fatbin, %object\n"
        "gq_linked_fatbin:\n"
        ".incbin \"" GQ_LINKED_FATBIN "\"\n"
        "gq_linked_fatbin_end:\n"
        ".byte 0\n"
        ".size gq_linked_fatbin, . - gq_linked_fatbin\n"
        ".popsection\n");

const unsigned char *gq_linked_kernel(void) { return gq_linked_fatbin; }
size_t gq_linked_kernel_bytes(void) { return (size_t)(gq_linked_fatbin_end - gq_linked_fatbin); }
#else
const unsigned char *gq_linked_kernel(void) { return (const unsigned char *)""; }
size_t gq_linked_kernel_bytes(void) { return 0; }
#endif

const char *gq_handler_header(void)
{
  return handler_header;
}

void gq_kernel_id(uint8_t id[GQ_DIGEST_BYTES])
{
  gq_digest d;

  gq_digest_begin(&d);
  gq_digest_add_text(&d, kernel_sources);
  gq_digest_end(&d, id);
}
