/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler is supplied with besides messages: arguments, state, and memory for each message. */
#ifndef GQ_SUPPLIES_H
#define GQ_SUPPLIES_H
#include "manifest.h"

/** In host memory, for a backend to use where it lies or to copy to its device. */
typedef struct gq_supplies {
  gq_arg_block args;
  uint8_t *state;          /* page-aligned; NULL: none */
  uint64_t state_bytes;    /* in all: what was given, then zeros */
  uint64_t given_bytes;
  uint32_t scratch_bytes;  /* for each message under way; multiples of 16 */
  uint32_t shared_bytes;
} gq_supplies;

/** Check and gather what \p o has for a handler that is declared like \p declared.
 * \param supplies  zeroed; to be freed by gq_supplies_free() on success only
 * \return GQ_OK; GQ_INVALID, GQ_NO_MEMORY, GQ_SYSTEM with the text set. */
gq_status gq_supplies_gather(gq_supplies *supplies, const gq_declaration *declared, const gq_options *o);
void gq_supplies_free(gq_supplies *supplies);

/** Bytes of host memory that the state takes. */
uint64_t gq_supplies_host_bytes(const gq_supplies *supplies);

/** Fail with GQ_FAILED because the handler's init gave \p code, or with GQ_TIMEOUT because it has not returned. */
gq_status gq_init_refused(const gq_declaration *declared, int32_t code);
gq_status gq_init_stalled(const gq_declaration *declared, uint32_t stall_ms);

#endif
