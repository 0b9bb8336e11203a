/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about machines that cannot run CUDA, or can: no driver, a stub, an old one, no GPU, a GPU that the
 * build has no code for, and so on. Each case is a process of its own: see driver_case.h. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<cudaTypedefs.h>)
#include "driver_abi.h"
#endif
#endif
#include "../lib/info.h"
#include "driver_case.h"

#define BUILD "sm_75 sm_80 sm_90 ptx_121"

/* ------------------------------------------------------------------------------------------------ loading */

START_TEST(a_good_driver_is_loaded_eagerly)
{
  use_fake();
  expect(ask("fine", NULL, "load", NULL), "GQ_OK:  | version=13000 driver=1 again=GQ_OK loading=EAGER");
  expect(ask("fine", "CUDA_MODULE_LOADING=LAZY", "load", NULL), " driver=1 again=GQ_OK loading=EAGER");
  expect(ask("fine", "CUDA_LAUNCH_BLOCKING=0", "load", NULL), "GQ_OK");
}
END_TEST

static const struct { const char *mode, *setting, *says; } refusals[] = {
  { "old", NULL, "GQ_NO_BACKEND: the NVIDIA driver supports CUDA 11.3, which is too old: gpuqueue needs one that "
                 "supports CUDA 11.4 or newer | version=11030 driver=0 again=GQ_NO_BACKEND" },
  { "stub", NULL, "GQ_NO_BACKEND: the libcuda.so.1 found is the CUDA toolkit's stub" },
  { "no_device", NULL, "GQ_NO_BACKEND: the driver finds no GPU; cuInit: CUDA_ERROR_NO_DEVICE (100): no CUDA-capable "
                       "device is detected | version=13000 driver=0 again=GQ_NO_BACKEND" },
  { "no_device", "CUDA_VISIBLE_DEVICES=7", "no GPU among those that CUDA_VISIBLE_DEVICES=\"7\" allows" },
  { "mismatch", NULL, "out of LD_LIBRARY_PATH; cuInit: CUDA error (803)" },
  { "compat", NULL, "forward-compatibility" },
  { "no_permission", NULL, "/dev/nvidia* files" },
  { "mps_failed", NULL, "the MPS server does not serve this process; cuInit: CUDA error (805)" },
  { "unheard_of", NULL, "cannot be initialised; cuInit: CUDA error (12345)" },
  { "missing", NULL, "GQ_NO_BACKEND: the NVIDIA driver (CUDA 13.0) has no entry point cuLaunchCooperativeKernel of "
                     "CUDA 11.4: install a newer driver" },
  { "fine", "CUDA_LAUNCH_BLOCKING=1", "GQ_NO_BACKEND: CUDA_LAUNCH_BLOCKING is \"1\": " },
};

START_TEST(a_useless_driver_is_refused_with_its_reason)
{
  use_fake();
  expect(ask(refusals[_i].mode, refusals[_i].setting, "load", NULL), refusals[_i].says);
}
END_TEST

START_TEST(no_driver_is_said_to_be_missing)
{
  const char *said;
  use_no_driver();
  said = ask("fine", NULL, "load", NULL);
  /* LD_LIBRARY_PATH cannot hide the machine's own driver. */
  if (strstr(said, "GQ_OK") || !strstr(said, "version=0 "))
    printf("SKIP no_driver_is_said_to_be_missing: this machine has one, which no setting can hide\n");
  else expect(said, "GQ_NO_BACKEND: libcuda.so.1 not found: install the NVIDIA driver");
}
END_TEST

START_TEST(a_broken_driver_file_is_named)
{
  use_file("no library\n", 11);
  expect(ask("fine", NULL, "load", NULL), "GQ_NO_BACKEND: libcuda.so.1 cannot be loaded: ");
  expect(answer, directory);
}
END_TEST

START_TEST(both_forms_of_the_lookup_do)
{
  use_fake_without("cuGetProcAddress_v2");
  expect(ask("fine", NULL, "load", NULL), "GQ_OK:  | version=13000");
  expect(ask("missing", NULL, "load", NULL), "has no entry point cuLaunchCooperativeKernel");
  use_fake_without("cuGetProcAddress");
  expect(ask("fine", NULL, "load", NULL), "GQ_NO_BACKEND: libcuda.so.1 has no cuGetProcAddress: ");
}
END_TEST

START_TEST(an_optional_entry_point_may_be_missing)
{
  use_fake();
  expect(ask("fine", NULL, "optional", NULL), "optional=1");
  expect(ask("missing_optional", NULL, "optional", NULL), "optional=0");
}
END_TEST

START_TEST(threads_get_one_driver)
{
  use_fake();
  expect(ask("fine", NULL, "threads", NULL), "same=1");
}
END_TEST

START_TEST(a_forked_child_is_told)
{
  use_fake();
  expect(ask("fine", NULL, "child", NULL), "GQ_NO_BACKEND: CUDA was initialised by process ");
  ck_assert_ptr_null(strstr(answer, "gave a driver"));
}
END_TEST

/* ------------------------------------------------------------------------------------------------ devices */

/* On a CPU without 16-byte stores, or in a build for checkers, a usable GPU is refused for that. */
static void expect_usable(const char *said, const char *warning)
{
  if (gq_host_unit_bytes() == 16) {
    expect(said, "GQ_OK: ");
    expect(said, " usable=1 reason=");
    if (*warning) expect(said, warning);
    else ck_assert_str_eq(strstr(said, "reason="), "reason=");
  } else {
    expect(said, "GQ_NO_BACKEND: device ");
    expect(said, "does not store 16 bytes in one piece");
  }
}

START_TEST(a_usable_device_is_described)
{
  use_fake();
  expect_usable(ask("fine", NULL, "device", "0", BUILD, NULL), "");
  expect(answer, "name=Fake GPU capability=9.0 sms=132 memory=85899345920");
  expect_usable(ask("two", NULL, "device", "1", BUILD, NULL), "");
  expect_usable(ask("timeout", NULL, "device", "0", BUILD, NULL), "kernel execution timeout");
  expect_usable(ask("exclusive", NULL, "device", "0", BUILD, NULL), "one process at a time");
  expect_usable(ask("lazy", NULL, "device", "0", BUILD, NULL), "set CUDA_MODULE_LOADING=EAGER");
}
END_TEST

START_TEST(mps_is_warned_of)
{
  char pipe_path[4200], setting[4300];
  use_fake();
  snprintf(pipe_path, sizeof pipe_path, "%s/control", directory);
  snprintf(setting, sizeof setting, "CUDA_MPS_PIPE_DIRECTORY=%s", directory);
  expect_usable(ask("fine", setting, "device", "0", BUILD, NULL), "");
  ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
  expect_usable(ask("fine", setting, "device", "0", BUILD, NULL), "reason=MPS is running: ");
  expect_usable(ask("timeout", setting, "device", "0", BUILD, NULL), "of all; the driver ends kernels");
  unlink(pipe_path);
}
END_TEST

static const struct { const char *mode, *archs, *says; int needs_units; } obstacles[] = {
  { "old_gpu", BUILD, "GQ_NO_BACKEND: device 0 cannot be used: Fake GPU has compute capability 5.2, and this build "
                      "of gpuqueue has code for sm_75 sm_80 sm_90 ptx_121 only | ", 0 },
  { "fine", "", "device 0 cannot be used: this build of gpuqueue has no GPU code", 0 },
  { "prohibited", BUILD, "compute mode \"prohibited\"", 1 },
  { "no_mapping", BUILD, "cannot read host memory", 1 },
  { "no_cooperative", BUILD, "cannot launch a kernel cooperatively", 1 },
};

START_TEST(an_unusable_device_is_refused_with_its_reason)
{
  const int told = gq_host_unit_bytes() == 16 || !obstacles[_i].needs_units;
  use_fake();
  expect(ask(obstacles[_i].mode, NULL, "device", "0", obstacles[_i].archs, NULL),
         told ? obstacles[_i].says : "does not store 16 bytes in one piece");
  expect(answer, "GQ_NO_BACKEND: ");
  expect(answer, " usable=0 reason=");
  expect(answer, "name=Fake GPU"); /* described all the same */
}
END_TEST

START_TEST(a_device_that_is_not_there_is_named)
{
  use_fake();
  expect(ask("fine", NULL, "device", "1", BUILD, NULL),
         "GQ_NO_DEVICE: device 1 does not exist: the CUDA devices here are 0 to 0");
  expect(ask("two", NULL, "device", "-1", BUILD, NULL),
         "GQ_NO_DEVICE: device -1 does not exist: the CUDA devices here are 0 to 1");
  expect(ask("two", NULL, "public", "2", NULL), "GQ_NO_DEVICE: device 2 does not exist: ");
  expect(ask("no_device", NULL, "public", "0", NULL), "GQ_NO_BACKEND: the driver finds no GPU");
}
END_TEST

static const struct { const char *archs; int major, minor, runs; } fits[] = {
  { "sm_75 sm_80 sm_90", 9, 0, 1 },   { "sm_75 sm_80", 8, 6, 1 },      { "sm_86", 8, 0, 0 },
  { "sm_75 sm_90", 8, 9, 0 },         { "ptx_75", 12, 1, 1 },          { "ptx_90", 8, 9, 0 },
  { "sm_120 ptx_121", 12, 0, 1 },     { "sm_100", 10, 3, 1 },          { "sm_100", 12, 0, 0 },
  { "sm_90a", 9, 0, 1 },              { "sm_100a", 10, 3, 0 },         { "ptx_90a", 10, 0, 0 },
  { "sm_80 sm_86", 8, 7, 0 },         { "sm_80 sm_87", 8, 9, 1 },      { "sm_87", 8, 9, 0 },
  { "sm_87", 8, 7, 1 },               { "", 9, 0, 0 },                 { "sm_1", 9, 0, 0 },
};

START_TEST(code_runs_where_nvidia_says_that_it_does)
{
  const int runs = gq_cuda_archs_run_on(fits[_i].archs, fits[_i].major, fits[_i].minor);
  ck_assert_msg(runs == fits[_i].runs, "\"%s\" on %d.%d gave %d", fits[_i].archs, fits[_i].major, fits[_i].minor, runs);
}
END_TEST

START_TEST(the_system_is_described)
{
  const int runs = gq_cuda_archs_run_on(gq_cuda_build_archs, 9, 0) && gq_host_unit_bytes() == 16;
  char unit[32];
  use_fake();
  snprintf(unit, sizeof unit, " unit=%u", gq_host_unit_bytes());
  expect(ask("fine", NULL, "system", NULL), runs ? "driver=13000 devices=1 cuda=1  | cpu=1"
                                                 : "driver=13000 devices=1 cuda=0 ");
  expect(answer, unit);
  /* The first is of no use; a usable second one is enough. */
  expect(ask("two", NULL, "system", NULL), runs ? "devices=2 cuda=1  |" : "devices=2 cuda=0 ");
  expect(ask("old_gpu", NULL, "system", NULL), "devices=1 cuda=0 ");
  expect(answer, *gq_cuda_build_archs ? "capability 5.2" : "no GPU code");
  expect(ask("old", NULL, "system", NULL), "GQ_OK: driver=11030 devices=0 cuda=0 ");
  expect(answer, "CUDA 11.3, which is too old");
}
END_TEST

START_TEST(an_unset_size_is_refused)
{
  gq_system_info system = { .size = 0 };
  gq_device_info device = { .size = 0 };
  ck_assert_int_eq(gq_get_system_info(&system), GQ_INVALID);
  expect(gq_last_error(), "sizeof(gq_system_info)");
  ck_assert_int_eq(gq_get_system_info(NULL), GQ_INVALID);
  ck_assert_int_eq(gq_get_device_info(0, &device), GQ_INVALID);
  expect(gq_last_error(), "sizeof(gq_device_info)");
  ck_assert_int_eq(gq_get_device_info(0, NULL), GQ_INVALID);
}
END_TEST

/* A program built with an older or a newer header. */
START_TEST(other_sizes_of_the_struct_are_kept_to)
{
  struct { gq_system_info info; char more[16]; } newer;
  memset(&newer, 0x5a, sizeof newer);
  newer.info.size = sizeof newer;
  ck_assert_int_eq(gq_get_system_info(&newer.info), GQ_OK);
  ck_assert_uint_eq(newer.info.size, sizeof newer);
  ck_assert_int_eq(newer.more[15], 0);
  memset(&newer, 0x5a, sizeof newer);
  newer.info.size = offsetof(gq_system_info, cpus);
  ck_assert_int_eq(gq_get_system_info(&newer.info), GQ_OK);
  ck_assert_int_eq(newer.info.cpu_usable, 1);
  ck_assert_int_eq(newer.info.cpus, 0x5a5a5a5a);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static Suite *make_suite(void)
{
  Suite *suite = suite_create("driver");
  TCase *load = tcase_create("load"), *info = tcase_create("info");
  tcase_add_test(load, a_good_driver_is_loaded_eagerly);
  tcase_add_loop_test(load, a_useless_driver_is_refused_with_its_reason, 0, COUNT(refusals));
  tcase_add_test(load, no_driver_is_said_to_be_missing);
  tcase_add_test(load, a_broken_driver_file_is_named);
  tcase_add_test(load, both_forms_of_the_lookup_do);
  tcase_add_test(load, an_optional_entry_point_may_be_missing);
  tcase_add_test(load, threads_get_one_driver);
  tcase_add_test(load, a_forked_child_is_told);
  tcase_add_test(info, a_usable_device_is_described);
  tcase_add_test(info, mps_is_warned_of);
  tcase_add_loop_test(info, an_unusable_device_is_refused_with_its_reason, 0, COUNT(obstacles));
  tcase_add_test(info, a_device_that_is_not_there_is_named);
  tcase_add_loop_test(info, code_runs_where_nvidia_says_that_it_does, 0, COUNT(fits));
  tcase_add_test(info, the_system_is_described);
  tcase_add_test(info, an_unset_size_is_refused);
  tcase_add_test(info, other_sizes_of_the_struct_are_kept_to);
  tcase_set_timeout(load, 120);
  tcase_set_timeout(info, 120);
  suite_add_tcase(suite, load);
  suite_add_tcase(suite, info);
  return suite;
}

int main(int count, char **words)
{
  SRunner *runner;
  int failed;
  if (count > 1) return probe(count - 1, words + 1);
  if (!set_up()) return EXIT_FAILURE;
  runner = srunner_create(make_suite());
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  clean_up();
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
