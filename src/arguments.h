/* SPDX-License-Identifier: Apache-2.0 */
/** \file arguments.h
 * Reading the arguments of the smaller subcommands by a table. */
#ifndef GPUQUEUE_ARGUMENTS_H
#define GPUQUEUE_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

/** A row of such a table: "--name", and "-letter" where it is not 0. One of \ref value and \ref flag is set. */
struct argument {
  const char *name;
  char letter;
  const char **value;  /**< takes a value, kept here */
  bool *flag;          /**< takes none, sets this */
};

/** Read the arguments after \p argv[0], the subcommand. What is no option is moved to the front of \p argv, from 1 on.
 * \param rows  ends with a row whose name is NULL
 * \return how many operands there are, or -1 after a complaint. */
int arguments_parse(int argc, char **argv, const struct argument *rows);

#endif
