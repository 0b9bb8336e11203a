/* SPDX-License-Identifier: Apache-2.0 */
/* `gpuqueue run`: opens the queue, starts the reader, is the writer, and says how it went. */
#include "run.h"

#include "cli.h"
#include "dead_letters.h"
#include "progress.h"
#include "sender.h"
#include "statistics.h"
#include "stop.h"
#include "writer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** The size of all input, or 0 if it is not known beforehand. */
static uint64_t measure_input(const struct settings *settings)
{
  uint64_t total = 0;
  struct stat status;
  size_t i;

  if (settings->framing == FRAMING_FILES) return settings->file_count;
  if (settings->file_count == 0 && (fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode))) return 0;
  if (settings->file_count == 0) return (uint64_t)status.st_size;
  for (i = 0; i < settings->file_count; i++) {
    if (strcmp(settings->files[i], "-") == 0 || stat(settings->files[i], &status) != 0) return 0;
    if (!S_ISREG(status.st_mode)) return 0;
    total += (uint64_t)status.st_size;
  }
  return total;
}

static bool wants_progress(const struct settings *settings)
{
  return settings->progress == PROGRESS_ALWAYS ||
         (settings->progress == PROGRESS_ON_TERMINAL && isatty(STDERR_FILENO));
}

static int init_failure_status(gq_status status)
{
  /* GQ_FAILED: the handler's init refused its arguments or state */
  return status == GQ_INVALID || status == GQ_NO_HANDLER || status == GQ_BAD_HANDLER || status == GQ_FAILED
           ? EXIT_USAGE : EXIT_SYSTEM;
}

/** \return EXIT_FINE, or the exit status after a complaint. */
static int open_run(struct run *run, const struct settings *settings)
{
  const bool remembers = settings->framing == FRAMING_FILES || settings->framing == FRAMING_DEAD_LETTERS;
  gq_status status;

  memset(run, 0, sizeof *run);
  run->settings = settings;
  if (settings->dead_letters) {
    run->dead_letters = dead_letters_open(settings->dead_letters, settings->queue.handler);
    if (!run->dead_letters) return EXIT_SYSTEM;
  }
  status = gq_init(&run->queue, &settings->queue);
  if (status != GQ_OK) {
    complain("%s", gq_last_error());
    if (run->dead_letters) dead_letters_close(run->dead_letters);
    return init_failure_status(status);
  }
  /* twice the capacity: with --unordered a slow message keeps the records behind it for a while */
  if (remembers) run->records = records_new(2 * ((size_t)settings->queue.capacity + SEND_BATCH));
  run->input_total = measure_input(settings);
  return EXIT_FINE;
}

/** Say how far a run that ended early has come. */
static void say_how_far(const struct writer *writer, const char *reason)
{
  complain("stopped by %s: %" PRIu64 " messages were sent, %" PRIu64 " of them are done", reason,
           (uint64_t)atomic_load(&writer->run->sent), writer->received);
}

/** Run the two threads to their end. \return the exit status, but for failed messages. */
static int run_threads(struct run *run, struct writer *writer)
{
  pthread_t reader;
  int error, status = EXIT_FINE;

  error = pthread_create(&reader, NULL, reader_main, run);
  if (error) {
    complain("cannot start the reader thread: %s", strerror(error));
    return EXIT_SYSTEM;
  }
  if (!writer_run(writer)) status = EXIT_SYSTEM;
  pthread_join(reader, NULL);
  return status;
}

static int finish_run(struct run *run, struct writer *writer, int status, int64_t started_ns)
{
  const int number = stop_signal();
  uint64_t failed;
  bool closed_pipe;

  if (atomic_load(&run->device_lost)) writer_fail_suspects(writer);
  if (!writer_finish(writer)) status = EXIT_SYSTEM;
  failed = atomic_load(&run->failed);
  closed_pipe = writer->output.error == EPIPE;
  if (run->dead_letters && !dead_letters_close(run->dead_letters)) status = EXIT_SYSTEM;
  if (number) say_how_far(writer, number == SIGINT ? "SIGINT" : "SIGTERM");
  else if (atomic_load(&run->device_lost)) say_how_far(writer, "this error");
  if (failed && !closed_pipe)
    complain("%" PRIu64 " message%s failed%s", failed, failed == 1 ? "" : "s",
             run->settings->dead_letters ? " (see the dead letters)" : "");
  if (run->settings->stats != STATS_NONE)
    statistics_print(run, clock_ns() - started_ns, writer->received, writer->result_bytes);
  gq_shutdown(run->queue, 0);
  records_free(run->records);

  if (closed_pipe) stop_die_of(SIGPIPE);
  if (closed_pipe) return 128 + SIGPIPE; /* SIGPIPE is blocked */
  if (status != EXIT_FINE) return status;
  if (number) stop_die_of(number);
  return failed || atomic_load(&run->inputs_failed) ? EXIT_MESSAGES_FAILED : EXIT_FINE;
}

int run_command(int argc, char **argv)
{
  struct settings settings;
  struct progress progress;
  struct writer writer;
  struct run run;
  int64_t started_ns;
  int status = settings_parse(&settings, argc, argv);

  if (status != SETTINGS_READY) goto free_settings;
  status = open_run(&run, &settings);
  if (status != EXIT_FINE) goto free_settings;
  if (settings.verbose) complain("running on %s", gq_describe(run.queue));
  if (!stop_prepare()) {
    gq_shutdown(run.queue, 0);
    status = EXIT_SYSTEM;
    goto free_settings;
  }
  started_ns = clock_ns();
  progress_init(&progress);
  writer_init(&writer, &run, wants_progress(&settings) ? &progress : NULL);
  status = run_threads(&run, &writer);
  progress_end();
  status = finish_run(&run, &writer, status, started_ns);

free_settings:
  settings_free(&settings);
  return status;
}
