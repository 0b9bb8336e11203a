/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/info.h"
#include "driver_case.h"

/* ----------------------------------------------------------------------------------- in the process of a case */

static void show_device(gq_status status, const gq_device_info *info)
{
  printf("%s: %s | name=%s capability=%d.%d sms=%d memory=%llu usable=%d reason=%s", gq_status_name(status),
         status == GQ_OK ? "" : gq_last_error(), info->name, info->capability_major, info->capability_minor, info->sms,
         (unsigned long long)info->memory_bytes, info->usable, info->reason);
}

static void show_device_for(const gq_cuda_driver *driver, int number, const char *archs)
{
  gq_device_info info = { .size = sizeof info };
  show_device(gq_cuda_check_device_for(driver, number, archs, &info), &info);
}

static void *load_in_thread(void *driver)
{
  const gq_cuda_driver **mine = driver;
  if (gq_cuda_driver_load(mine) != GQ_OK) *mine = NULL;
  return NULL;
}

static void load_in_threads(void)
{
  pthread_t threads[8];
  const gq_cuda_driver *drivers[8];
  int i, same = 1;
  for (i = 0; i < 8; i++)
    if (pthread_create(&threads[i], NULL, load_in_thread, &drivers[i])) abort();
  for (i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  for (i = 0; i < 8; i++) same &= drivers[i] && drivers[i] == drivers[0];
  printf("same=%d", same);
}

static void load_in_child(void)
{
  const gq_cuda_driver *driver = NULL;
  int state;
  pid_t child = fork();
  if (child == 0) {
    gq_status status = gq_cuda_driver_load(&driver);
    printf("%s: %s%s", gq_status_name(status), gq_last_error(), driver ? " and gave a driver" : "");
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, &state, 0);
}

int probe(int count, char **words)
{
  const gq_cuda_driver *driver = NULL;
  const char *what = words[0];
  if (strcmp(what, "threads") == 0) {
    load_in_threads();
  } else if (strcmp(what, "system") == 0) {
    gq_system_info info = { .size = sizeof info };
    gq_status status = gq_get_system_info(&info);
    printf("%s: driver=%d devices=%d cuda=%d %s | cpu=%d %s cpus=%d unit=%d", gq_status_name(status),
           info.driver_version, info.devices, info.cuda_usable, info.cuda_reason, info.cpu_usable, info.cpu_reason,
           info.cpus, info.unit_bytes);
  } else if (strcmp(what, "public") == 0 && count == 2) {
    gq_device_info info = { .size = sizeof info };
    show_device(gq_get_device_info(atoi(words[1]), &info), &info);
  } else {
    gq_status status = gq_cuda_driver_load(&driver), again = gq_cuda_driver_load(&driver);
    if (strcmp(what, "load") == 0)
      printf("%s: %s | version=%d driver=%d again=%s loading=%s", gq_status_name(status), gq_cuda_driver_reason(),
             gq_cuda_driver_version(), driver != NULL, gq_status_name(again), getenv("CUDA_MODULE_LOADING"));
    else if (status != GQ_OK) printf("%s: %s", gq_status_name(status), gq_last_error());
    else if (strcmp(what, "optional") == 0) printf("optional=%d", driver->cuFuncLoad != NULL);
    else if (strcmp(what, "child") == 0) load_in_child();
    else if (strcmp(what, "device") == 0 && count == 3) show_device_for(driver, atoi(words[1]), words[2]);
    else return 2;
  }
  return fflush(stdout) ? 1 : 0;
}

/* ------------------------------------------------------------------------------------------------- the fake */

char directory[] = "/tmp/test_driver.XXXXXX";
static char program[4096], fake[4096], link_path[4200];

/* Beside this program, as libtool builds it. */
static int find_fake(void)
{
  static const char *const places[] = { "/.libs/fake_driver.so", "/fake_driver.so" };
  const char *given = getenv("FAKE_DRIVER");
  char folder[4000];
  size_t i;
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return 0;
  program[length] = 0;
  if (given) return snprintf(fake, sizeof fake, "%s", given) > 0 && access(fake, R_OK) == 0;
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(program, '/') - program), program);
  for (i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(fake, sizeof fake, "%s%s", folder, places[i]);
    if (access(fake, R_OK) == 0) return 1;
  }
  return 0;
}

void use_fake(void)
{
  unlink(link_path);
  ck_assert_int_eq(symlink(fake, link_path), 0);
}

void use_no_driver(void) { unlink(link_path); }

void use_file(const void *data, size_t size)
{
  FILE *file;
  unlink(link_path);
  file = fopen(link_path, "wb");
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(data, 1, size, file), size);
  ck_assert_int_eq(fclose(file), 0);
}

void use_fake_without(const char *symbol)
{
  static char image[4 << 20];
  FILE *file = fopen(fake, "rb");
  size_t size, left, changed = 0;
  char *at = image;
  ck_assert_ptr_nonnull(file);
  size = fread(image, 1, sizeof image, file);
  ck_assert(feof(file));
  fclose(file);
  for (left = size; (at = memmem(at, left, symbol, strlen(symbol))); left = size - (size_t)(at - image), changed++)
    *at = 'X';
  ck_assert_uint_gt(changed, 0);
  use_file(image, size);
}

/* \p setting is "NAME=value". */
static void set_variable(const char *setting)
{
  const char *value = strchr(setting, '=') + 1;
  char name[256];
  snprintf(name, sizeof name, "%.*s", (int)(value - 1 - setting), setting);
  setenv(name, value, 1);
}

char answer[8192];

const char *ask(const char *mode, const char *setting, ...)
{
  const char *path = getenv("LD_LIBRARY_PATH");
  char *words[8] = { program }, library_path[8192];
  int pipes[2], state, count = 1;
  size_t length = 0;
  ssize_t got;
  pid_t child;
  va_list list;
  va_start(list, setting);
  while (count < 7 && (words[count] = va_arg(list, char *)) != NULL) count++;
  va_end(list);
  words[count] = NULL;
  snprintf(library_path, sizeof library_path, "%s%s%s", directory, path ? ":" : "", path ? path : "");
  ck_assert_int_eq(pipe(pipes), 0);
  fflush(NULL);
  child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    dup2(pipes[1], 1);
    close(pipes[0]);
    close(pipes[1]);
    setenv("LD_LIBRARY_PATH", library_path, 1);
    setenv("FAKE_DRIVER_MODE", mode, 1);
    setenv("CUDA_MPS_PIPE_DIRECTORY", "/nonexistent", 1);
    unsetenv("CUDA_LAUNCH_BLOCKING");
    unsetenv("CUDA_MODULE_LOADING");
    unsetenv("CUDA_VISIBLE_DEVICES");
    if (setting) set_variable(setting);
    alarm(60);
    execv(program, words);
    _exit(127);
  }
  close(pipes[1]);
  while (length < sizeof answer - 1 && (got = read(pipes[0], answer + length, sizeof answer - 1 - length)) > 0)
    length += (size_t)got;
  answer[length] = 0;
  close(pipes[0]);
  waitpid(child, &state, 0);
  ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 0, "mode %s: ended with state %d after saying: %s", mode,
                state, answer);
  return answer;
}

void expect(const char *said, const char *part)
{
  ck_assert_msg(strstr(said, part), "\"%s\" is not in: %s", part, said);
}

int set_up(void)
{
  if (!find_fake()) {
    fprintf(stderr, "no fake_driver.so beside %s: build tests/fake_driver.c, or name it in FAKE_DRIVER\n", program);
    return 0;
  }
  if (!mkdtemp(directory)) {
    perror(directory);
    return 0;
  }
  snprintf(link_path, sizeof link_path, "%s/libcuda.so.1", directory);
  return 1;
}

void clean_up(void)
{
  unlink(link_path);
  rmdir(directory);
}
