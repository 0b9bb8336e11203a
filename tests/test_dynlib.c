/* SPDX-License-Identifier: Apache-2.0 */
/* Where NVIDIA's libraries are looked for: toolkits, environments and pip's directories, in the order that the header
 * promises. The library looked for is one that nobody has. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/dynlib.h"

#define NAME "libgqtest.so.13"

static char base[64];

/* Make the file `directory`/NAME below the base, with the directories that it needs. */
static void install(const char *directory)
{
  char command[512];

  snprintf(command, sizeof command, "mkdir -p '%s/%s' && echo x > '%s/%s/" NAME "'", base, directory, base, directory);
  ck_assert_int_eq(system(command), 0);
}

static void expect(const char *only, const char *directory)
{
  gq_library_file found;
  char wanted[512];

  if (!directory) {
    ck_assert_msg(!gq_library_find(NAME, only, &found), "found in %s", found.path);
    return;
  }
  snprintf(wanted, sizeof wanted, "%s/%s/" NAME, base, directory);
  ck_assert_msg(gq_library_find(NAME, only, &found), "not found in %s", directory);
  ck_assert_str_eq(found.path, wanted);
  ck_assert_uint_eq(found.size, 2);
  ck_assert_uint_gt(found.changed_ns, 0);
}

static void set(const char *variable, const char *directory)
{
  char value[256];

  snprintf(value, sizeof value, "%s/%s", base, directory);
  ck_assert_int_eq(setenv(variable, value, 1), 0);
}

START_TEST(libraries_are_found_where_they_are_installed)
{
  static const char *const variables[] = {"CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "HOME"};
  char *kept[SUITE_COUNT(variables)], path[128], command[128];

  for (size_t i = 0; i < SUITE_COUNT(variables); i++) {
    kept[i] = getenv(variables[i]) ? strdup(getenv(variables[i])) : NULL;
    unsetenv(variables[i]);
  }
  snprintf(base, sizeof base, "/tmp/gq-dynlib.XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(base));
  expect(NULL, NULL);
  set("HOME", "home");
  install("home/.local/lib/python3.11/site-packages/nvidia/cu13/lib");
  expect(NULL, "home/.local/lib/python3.11/site-packages/nvidia/cu13/lib");
  install("search [1]"); /* is no pattern */
  ck_assert_int_lt(snprintf(path, sizeof path, "relative:%s/none:%s/search [1]", base, base), (int)sizeof path);
  ck_assert_int_eq(setenv("LD_LIBRARY_PATH", path, 1), 0);
  expect(NULL, "search [1]");
  set("CONDA_PREFIX", "conda");
  install("conda/lib");
  expect(NULL, "conda/lib");
  set("VIRTUAL_ENV", "venv");
  install("venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib");
  expect(NULL, "venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib");
  set("CUDA_HOME", "toolkit");
  install("toolkit/lib64");
  expect(NULL, "toolkit/lib64");
  snprintf(path, sizeof path, "%s/venv", base);
  expect(path, "venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib");
  snprintf(path, sizeof path, "%s/empty", base);
  expect(path, NULL);
  snprintf(command, sizeof command, "rm -r %s", base);
  ck_assert_int_eq(system(command), 0);
  for (size_t i = 0; i < SUITE_COUNT(variables); i++) {
    if (kept[i]) setenv(variables[i], kept[i], 1);
    else unsetenv(variables[i]);
    free(kept[i]);
  }
}
END_TEST

START_TEST(what_is_no_library_is_not_loaded)
{
  gq_library_file file = {"/dev/null", 0, 0};
  char why[256] = "";

  ck_assert_ptr_null(gq_library_open(&file, "libnothing", why, sizeof why));
  ck_assert_str_ne(why, "");
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(libraries_are_found_where_they_are_installed),
    SUITE_TEST_ONCE(what_is_no_library_is_not_loaded),
  };

  return suite_main("test_dynlib", tests, SUITE_COUNT(tests));
}
