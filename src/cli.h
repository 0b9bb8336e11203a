/* SPDX-License-Identifier: Apache-2.0 */
/** \file cli.h
 * What every part of the command shares: its exit statuses and how it speaks to the user. */
#ifndef GPUQUEUE_CLI_H
#define GPUQUEUE_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum exit_status {
  EXIT_FINE = 0,
  EXIT_MESSAGES_FAILED = 1, /**< some messages or input files failed, everything else was done */
  EXIT_USAGE = 2,
  EXIT_SYSTEM = 3           /**< the system or the device does not let the run go on */
};

/** Print "gpuqueue: ..." and a newline on standard error, as one write. Any thread. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same with the name of a file before the text, its control characters made visible. */
void complain_about(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Show \p line in place of the one shown before, without a newline; NULL takes it away. On a terminal the
 * line gives way to complaints. */
void show_status_line(const char *line);

/** malloc and realloc that end the program with a message when memory runs out: the command keeps only small
 * tables and bounded buffers, so there is nothing better to do. */
void *allocate(size_t bytes);
void *allocate_aligned(size_t alignment, size_t bytes); /**< \p bytes is a multiple of \p alignment */
void *reallocate(void *memory, size_t bytes);

/** The subcommands: argv[0] is the subcommand's name. They return the exit status. */
int run_command(int argc, char **argv);
int bench_command(int argc, char **argv);
int info_command(int argc, char **argv);
int compile_command(int argc, char **argv);
int handlers_command(int argc, char **argv);

/** Help texts on standard output; the run's includes the option table of the library. */
void print_help(void);
void print_run_help(void);
void print_info_help(void);
void print_compile_help(void);
void print_handlers_help(void);

/** A line of such a text: an option with its value, and what it does. \param letter  0: it has none */
void print_option_row(char letter, const char *name, const char *value, const char *help);

struct gq_option_info;

/** What the value of a queue's option is, in a word. */
const char *option_value_word(const struct gq_option_info *row);

#endif
