/* SPDX-License-Identifier: Apache-2.0 */
/* Cases for test_driver.c and test_wake.c. The driver is loaded once a process, so each case is the test program again,
 * with words that say what to ask, tests/fake_driver.c as its libcuda.so.1 and FAKE_DRIVER_MODE saying what the machine
 * is. */
#ifndef GQ_TEST_DRIVER_CASE_H
#define GQ_TEST_DRIVER_CASE_H

#include <stddef.h>

/** Find fake_driver.so (beside the program, or named in the environment as FAKE_DRIVER) and make \ref directory.
 * \return 1, or 0 after saying on standard error what is missing */
int set_up(void);
void clean_up(void);

/** A folder that the cases find first in LD_LIBRARY_PATH; what its libcuda.so.1 is: */
extern char directory[];
void use_fake(void);
void use_no_driver(void);
void use_file(const void *data, size_t size);
/** The fake without a symbol that it exports: a copy in which the name is another one. */
void use_fake_without(const char *symbol);

/** Run a case: this program with the words after \p setting, up to a NULL.
 * \param mode     of the fake, see its table `modes`
 * \param setting  one more environment variable, "NAME=value", or NULL
 * \return \ref answer, what it printed */
const char *ask(const char *mode, const char *setting, ...);
extern char answer[8192];

/** Fail the test unless \p part is in \p said. */
void expect(const char *said, const char *part);

/** What the program does when it is called with words: "load", "optional", "threads", "child", "system",
 * "device NUMBER ARCHS" or "public NUMBER"; prints one line of text. \return its exit status */
int probe(int count, char **words);

#endif
