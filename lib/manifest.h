/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler says of itself: the text that GQ_HANDLER() makes of its declaration (see gpuqueue/handler.h), taken
 * apart. The text may come from anybody's file. */
#ifndef GQ_MANIFEST_H
#define GQ_MANIFEST_H
#include <gpuqueue/gpuqueue.h>
#include <stdbool.h>

#define GQ_MANIFEST_MOST_BYTES 65536u
#define GQ_MANIFEST_MOST_ARGS 64u

/** Bounds of what a handler may declare: its result, its memory for each message, its fast memory, its state. */
#define GQ_MOST_MULTIPLIER 1024u
#define GQ_MOST_RESULT (1u << 30)
#define GQ_MOST_SCRATCH (1u << 30)
#define GQ_MOST_SHARED (128u << 10)
#define GQ_MOST_STATE (1ull << 40)

typedef enum gq_arg_type { GQ_ARG_INT, GQ_ARG_UINT, GQ_ARG_REAL, GQ_ARG_FLAG, GQ_ARG_STRING } gq_arg_type;

/** An argument that a handler takes. */
typedef struct gq_arg {
  gq_argument_info info;
  gq_arg_type type;
  uint64_t bits;           /* the default as it lies in memory; of a string its size */
  const char *string;      /* of a string: the default's bytes */
} gq_arg;

typedef enum gq_state_need { GQ_STATE_IS_NONE, GQ_STATE_IS_OPTIONAL, GQ_STATE_IS_REQUIRED } gq_state_need;

/** A manifest taken apart. All strings are in `text`. */
typedef struct gq_declaration {
  gq_handler_info info;
  uint32_t scopes, default_scope;        /* a bit a scope: 1 thread, 2 warp, 4 block; a gq_scope */
  uint32_t multiplier, constant;         /* bound of the result: multiplier * payload + constant bytes */
  uint32_t is_short;
  gq_state_need state;
  uint64_t state_bytes;                  /* at least so many; 0: as many as are given */
  uint32_t scratch_bytes, shared_bytes;  /* a message, as declared */
  uint32_t arg_count;
  gq_arg *args;
  char *text, *end;
  char scopes_text[24];
} gq_declaration;

/** Take the manifest apart that begins at \p text and ends with a zero byte, or with \p size bytes.
 * \param from  where it comes from, for error texts: "handler file x.gqh"
 * \return GQ_OK; GQ_INVALID with what is wrong; GQ_NO_MEMORY. */
gq_status gq_manifest_parse(gq_declaration **manifest, const char *text, size_t size, const char *from);
void gq_manifest_free(gq_declaration *manifest);

/** Arguments as the handler finds them: its struct, then the strings. An address in it is an offset until
 * gq_args_rebase(). */
typedef struct gq_arg_block {
  uint8_t *bytes;          /* 16-byte aligned; freed by gq_args_free() */
  size_t size;
} gq_arg_block;

/** Lay out the arguments: the defaults, and what \p given says.
 * \param given  "KEY=VALUE", NULL-terminated, or NULL
 * \return GQ_OK; GQ_INVALID with the text set: an unknown key, a bad value, a key without '=' or given twice, one that
 *         must be given and is not; GQ_NO_MEMORY. */
gq_status gq_args_lay_out(gq_arg_block *block, const gq_declaration *manifest, const char *const *given);
/** Make the block in \p bytes, which is or will be at address \p base, one that the handler can use. */
void gq_args_rebase(const gq_declaration *manifest, uint8_t *bytes, uint64_t base);
void gq_args_free(gq_arg_block *block);

/** A number as C and the options write it: decimal or 0x..., then K, M or G, or C's suffixes.
 * \return false if it is none, or above \p max. */
bool gq_parse_size(const char *text, uint64_t max, uint64_t *value);

/** The value of an argument of a number's type, or a flag. \return false if \p text is none. */
bool gq_parse_argument(gq_arg_type type, const char *text, uint64_t *bits);

#endif
