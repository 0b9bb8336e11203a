/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

void print_help(void)
{
  puts("Usage: gpuqueue run --handler NAME [OPTION]... [FILE]...\n"
       "       gpuqueue handlers [--json] [NAME]...\n"
       "       gpuqueue compile [OPTION]... SOURCE\n"
       "       gpuqueue bench [OPTION]... [SCENARIO]...\n"
       "       gpuqueue info [--json]\n"
       "       gpuqueue --help | --version\n"
       "\n"
       "A message queue whose consumers live on the GPU.\n"
       "\n"
       "  run       send messages from files or standard input through a queue, print the results\n"
       "  handlers  list the handlers there are, or describe some\n"
       "  compile   make a handler's source a file that runs without a compiler\n"
       "  bench     measure what a queue does here, beside what else could be used\n"
       "  info      say what this build and this machine can do\n"
       "\n"
       "'gpuqueue run --help' lists the options of run; the manual is gpuqueue(1).");
}

void print_info_help(void)
{
  puts("Usage: gpuqueue info [--json]\n"
       "\n"
       "Say how this gpuqueue was built, which devices there are, whether each backend can run and if not why.\n"
       "\n"
       "      --json  print one JSON object\n"
       "  -h, --help  print this\n"
       "\n"
       "Exit status: 0 if some backend can run, 2 for a usage error, 3 if none can.");
}

void print_compile_help(void)
{
  puts("Usage: gpuqueue compile [OPTION]... SOURCE\n"
       "\n"
       "Compile a handler's source, a file whose name ends in .cu or .c, for 'gpuqueue run --handler FILE.gqh'.\n"
       "\n"
       "  -o, --output FILE          where to put it; - is standard output (default: SOURCE with .gqh for its ending)\n"
       "      --archs LIST           GPUs, such as \"80 sm_90 ptx_90\", or none (default: those of this gpuqueue)\n"
       "      --cpu                  code for this machine's CPU, too\n"
       "      --handler-flags WORDS  for the compilers, such as -DNAME=1; the GPU's takes -D, -U and -I only\n"
       "      --toolkit DIR          where NVRTC and nvJitLink are looked for, and nowhere else\n"
       "  -h, --help                 print this\n"
       "\n"
       "Exit status: 0, 2 if the source or an argument is wrong, 3 if a compiler is missing or the system fails.");
}

void print_handlers_help(void)
{
  const char *directory;
  size_t i;

  puts("Usage: gpuqueue handlers [--json] [NAME]...\n"
       "\n"
       "List the handlers that are built in or installed, or describe those named: by their name, or the path of a\n"
       "file. Installed handlers are the files NAME.gqh, NAME.cu and NAME.c in");
  for (i = 0; (directory = gq_handler_search_directory(i)) != NULL; i++) printf("  %s\n", directory);
  puts("\n"
       "      --json  print an array of JSON objects\n"
       "  -h, --help  print this\n"
       "\n"
       "Exit status: 0, 1 if some installed handler cannot be used, 2 if one named cannot, 3 for a missing compiler.");
}

void print_option_row(char letter, const char *name, const char *value, const char *help)
{
  char left[64];
  size_t used = 0, i;

  used += (size_t)snprintf(left, sizeof left, letter ? "  -%c, --" : "      --", letter);
  for (i = 0; name[i] && used + 1 < sizeof left; i++) left[used++] = name[i] == '_' ? '-' : name[i];
  left[used] = '\0';
  if (value) snprintf(left + used, sizeof left - used, "%s%s", *value == '[' ? "" : " ", value);
  printf("%-32s  %s\n", left, help);
}

const char *option_value_word(const gq_option_info *row)
{
  if (strcmp(row->type, "flag") == 0) return "[=0|1]";
  if (strcmp(row->type, "size") == 0) return "BYTES";
  if (strcmp(row->type, "choice") == 0) return "WORD";
  if (strcmp(row->name, "state") == 0) return "FILE";
  return strcmp(row->type, "string") == 0 ? "NAME" : "NUMBER";
}

void print_run_help(void)
{
  const struct own_option *own;
  const gq_option_info *row;
  char help[512];
  size_t i;

  puts("Usage: gpuqueue run --handler NAME [OPTION]... [FILE]...\n"
       "\n"
       "Send the messages in each FILE, or in standard input, through a queue and print the results.\n"
       "A FILE that is - is standard input.\n"
       "\n"
       "Input and output:");
  for (own = own_options; own->name; own++) print_option_row(own->letter, own->name, own->value, own->help);
  print_option_row('h', "help", NULL, "print this");
  puts("\nThe queue (the same names, as GPUQUEUE_NAME, set defaults in the environment):");
  for (i = 0; (row = gq_option_describe(i)) != NULL; i++) {
    const bool ordered = strcmp(row->name, "ordered") == 0;
    snprintf(help, sizeof help, "%s (%s; default %s)", row->help, row->range,
             ordered ? "1 here" : strcmp(row->name, "handler") == 0 ? "none here" : row->def);
    print_option_row(0, row->name, option_value_word(row), help);
  }
  puts("\nExit status: 0 all is well, 1 some messages failed, 2 usage error, 3 system or device error.");
}
