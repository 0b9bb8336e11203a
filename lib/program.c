/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

extern char **environ;

#define MOST_OUTPUT (4u << 20)
#define MOST_AT_ONCE 256 /* reads of what it says before its time limit is looked at again */
#define LOOK_MS 20 /* how often it is asked whether the program has ended, while it says nothing */

static bool may_run(const char *path)
{
  struct stat facts;

  return stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && access(path, X_OK) == 0;
}

bool gq_program_find(const char *name, char *path)
{
  const char *directories = secure_getenv("PATH");

  if (!directories) directories = "/usr/local/bin:/usr/bin:/bin"; /* as execvp() does it */
  if (strchr(name, '/')) {
    if (!may_run(name) || strlen(name) >= PATH_MAX) return false;
    strcpy(path, name);
    return true;
  }
  while (*name && *directories) {
    const size_t size = strcspn(directories, ":");

    if (size > 0 && snprintf(path, PATH_MAX, "%.*s/%s", (int)size, directories, name) < PATH_MAX && may_run(path))
      return true;
    directories += size + (directories[size] == ':');
  }
  return false;
}

/* The environment with LC_ALL=C, for hints look for words of compilers, and with `temporary`, "TMPDIR=...", so that
 * what a compiler leaves behind when it is killed goes with that. NULL if there is no memory. */
static char **plain_environment(char *temporary)
{
  static char locale[] = "LC_ALL=C";
  size_t count = 0, used = 0;
  char **variables;

  while (environ && environ[count]) count++;
  variables = calloc(count + 3, sizeof *variables);
  if (!variables) return NULL;
  for (size_t i = 0; i < count; i++)
    if (strncmp(environ[i], "LC_ALL=", 7) != 0 && strncmp(environ[i], "LANGUAGE=", 9) != 0 &&
        strncmp(environ[i], "TMPDIR=", 7) != 0)
      variables[used++] = environ[i];
  variables[used++] = locale;
  variables[used] = temporary;
  return variables;
}

/* Start it with `input` (-1: nothing to read) and its output in `output`. \return 0 or an errno. */
static int start(pid_t *pid, const char *path, char *const *argv, const char *scratch, int input, int output)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  char temporary[PATH_MAX + 8], **variables = plain_environment(temporary);
  sigset_t none, usual;
  int error;

  if (!variables) return ENOMEM;
  snprintf(temporary, sizeof temporary, "TMPDIR=%s", scratch);
  sigemptyset(&none);
  sigemptyset(&usual);
  for (int number = 1; number < 32; number++)
    if (number != SIGKILL && number != SIGSTOP) sigaddset(&usual, number);
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  error = input < 0 ? posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
                    : posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  if (!error) error = posix_spawn(pid, path, &actions, &attributes, argv, variables);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  free(variables);
  return error;
}

/* Who cleans up where this process cannot, because it was killed: a shell that reads from a pipe of which only this
 * process has the other end, and so reads on when that ends. Without it, the compiler would go on for as long as it
 * likes. */
typedef struct keeper {
  pid_t pid; /* 0: there is none, for want of a shell or a pipe */
  int pipe;
} keeper;

static void start_keeper(keeper *k, pid_t program, const char *scratch)
{
  char script[] = "read -r nothing; kill -s KILL -- \"-$1\"; rm -rf -- \"$2\"", group[24];
  char shell[] = "sh", option[] = "-c", *argv[] = {shell, option, script, shell, group, (char *)scratch, NULL};
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  int pipe[2];

  k->pid = 0;
  snprintf(group, sizeof group, "%ld", (long)program);
  if (nowhere >= 0 && pipe2(pipe, O_CLOEXEC) == 0) {
    if (start(&k->pid, "/bin/sh", argv, scratch, pipe[0], nowhere) != 0) k->pid = 0;
    close(pipe[0]);
    if (k->pid) k->pipe = pipe[1];
    else close(pipe[1]);
  }
  if (nowhere >= 0) close(nowhere);
}

/* Before its pipe is closed, at which it would begin. */
static void end_keeper(const keeper *k)
{
  if (!k->pid) return;
  kill(k->pid, SIGKILL);
  while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR) continue;
  close(k->pipe);
}

/* Take what is in the pipe, dropping what is too much. \return 1 at its end, 0 if it is to be looked at again. */
static int take(int pipe, gq_bytes *said)
{
  char piece[4096];

  for (int i = 0; i < MOST_AT_ONCE; i++) { /* it may write faster than this reads, for ever */
    const ssize_t got = read(pipe, piece, sizeof piece);
    uint8_t *more;

    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno != EAGAIN;
    if (got == 0) return 1;
    if (said->size + (size_t)got > MOST_OUTPUT) continue;
    more = realloc(said->data, said->size + (size_t)got + 128); /* room for a last remark */
    if (!more) continue;
    memcpy(more + said->size, piece, (size_t)got);
    said->data = more;
    said->size += (size_t)got;
    more[said->size] = '\0';
  }
  return 0;
}

static void remark(gq_bytes *said, const char *what, int number)
{
  said->size += (size_t)snprintf((char *)said->data + said->size, 100, what, number);
}

/* Wait for the end of `pid`. \return its wait status, or -1 where nobody knows (the process ignores SIGCHLD). */
static int await(pid_t pid, int pipe, unsigned seconds, gq_bytes *said, bool *killed)
{
  struct timespec begin, now;
  bool closed = false;
  int status = 0;

  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (;;) {
    struct pollfd waiting = {closed ? -1 : pipe, POLLIN, 0};
    pid_t ended;

    poll(&waiting, 1, LOOK_MS);
    if (!closed) closed = take(pipe, said) == 1;
    ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid || (ended < 0 && errno != EINTR)) {
      if (!closed) take(pipe, said);
      return ended == pid ? status : -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - begin.tv_sec > (time_t)seconds && !*killed) {
      *killed = true;
      kill(-pid, SIGKILL);
    }
  }
}

gq_status gq_program_run(const char *path, char *const *argv, unsigned seconds, const char *scratch, gq_bytes *said)
{
  bool killed = false;
  keeper k;
  int pipe[2], error, status;
  pid_t pid;

  said->size = 0;
  said->data = calloc(1, 128);
  if (!said->data) return gq_fail(GQ_NO_MEMORY, "no memory for what %s says", path);
  if (pipe2(pipe, O_CLOEXEC) != 0) {
    error = errno;
    gq_bytes_free(said);
    return gq_fail(GQ_SYSTEM, "no pipe to %s: %s", path, strerror(error));
  }
  error = start(&pid, path, argv, scratch, -1, pipe[1]);
  close(pipe[1]);
  if (error) {
    close(pipe[0]);
    gq_bytes_free(said);
    return gq_fail(GQ_SYSTEM, "cannot run %s: %s", path, strerror(error));
  }
  start_keeper(&k, pid, scratch);
  fcntl(pipe[0], F_SETFL, O_NONBLOCK);
  status = await(pid, pipe[0], seconds, said, &killed);
  end_keeper(&k);
  close(pipe[0]);
  if (killed) remark(said, "It was stopped after %d seconds.\n", (int)seconds);
  else if (status != -1 && WIFSIGNALED(status)) remark(said, "It was ended by signal %d.\n", WTERMSIG(status));
  return !killed && (status == 0 || status == -1) ? GQ_OK : GQ_FAILED;
}
