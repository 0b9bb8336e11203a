/* SPDX-License-Identifier: Apache-2.0 */
/** \file settings.h
 * What the arguments of `gpuqueue run` come to, and the table of its own options. */
#ifndef GPUQUEUE_SETTINGS_H
#define GPUQUEUE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gpuqueue/gpuqueue.h>

/** How the input is cut into messages. */
enum framing {
  FRAMING_LINES,
  FRAMING_NUL,
  FRAMING_LEN32,
  FRAMING_FIXED,
  FRAMING_FILES,
  FRAMING_DEAD_LETTERS
};

enum progress_when { PROGRESS_NEVER, PROGRESS_ON_TERMINAL, PROGRESS_ALWAYS };
enum stats_format { STATS_NONE, STATS_TEXT, STATS_JSON };

/** Instead of a \ref gq_output: as the handler declares. */
enum { OUTPUT_AS_DECLARED = -1 };

/** Of --threads. */
enum { MOST_THREADS = 256 };

struct settings {
  gq_options queue;
  const char **args;         /**< handler arguments, NULL-terminated */
  size_t arg_count;
  bool handler_given;
  enum framing framing;
  uint64_t record_bytes;     /**< of FRAMING_FIXED */
  bool names_end_in_nul;
  int output;                /**< a \ref gq_output or OUTPUT_AS_DECLARED */
  bool with_input;
  bool verbose;
  bool tags;                 /**< messages have their number as tag; items have it in any case */
  unsigned threads;          /**< pipelines of a stream; 0: as many as fit the machine */
  const char *dead_letters;  /**< file to append to, or NULL */
  enum progress_when progress;
  enum stats_format stats;
  char **files;              /**< operands, in argv */
  size_t file_count;
};

/** A row of the command's own options. \ref apply is called with the value, NULL if there is none; it returns
 * false after a complaint. */
struct own_option {
  const char *name;
  char letter;               /**< 0: none */
  const char *value;         /**< what the value is, for people; NULL: takes none; "[=...]": it may be left out */
  const char *help;
  bool (*apply)(struct settings *settings, const char *value);
};

/** Ends with a row whose name is NULL. */
extern const struct own_option own_options[];

/** In place of an exit status: go on. */
enum { SETTINGS_READY = -1 };

/** Read the arguments after the subcommand's name.
 * \return SETTINGS_READY, or the exit status with which to end, everything having been said. */
int settings_parse(struct settings *settings, int argc, char **argv);

void settings_free(struct settings *settings);

#endif
