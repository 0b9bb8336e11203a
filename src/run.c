/* SPDX-License-Identifier: Apache-2.0 */
/* `gpuqueue run`: opens the queue, starts the reader, is the writer, and says how it went. */
#include "run.h"

#include "cli.h"
#include "dead_letters.h"
#include "progress.h"
#include "sender.h"
#include "statistics.h"
#include "stop.h"
#include "stream.h"
#include "timing.h"
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

/** Whether the FILEs hold more than \p most bytes, or are not known. */
static bool files_may_exceed(const struct settings *settings, uint64_t most)
{
  uint64_t total = 0;
  size_t i;

  for (i = 0; i < settings->file_count && total <= most; i++) {
    struct stat status;
    if (stat(settings->files[i], &status) == 0 && S_ISREG(status.st_mode)) total += (uint64_t)status.st_size;
  }
  return settings->file_count == 0 || total > most;
}

/** The arena for input of large messages. The usual one has room for few of them, which is enough only if there are
 * many lanes. \return 0: the usual one */
static uint64_t choose_arena(const struct settings *settings, uint64_t input_total)
{
  const uint64_t all = 256 * 1024 * 1024, usual = all / 4, large_record = 64 * 1024;
  const uint32_t lanes = settings->queue.lanes;
  bool is_large = false;

  if (settings->queue.arena_bytes || all / lanes <= usual) return 0;
  if (settings->framing == FRAMING_FILES) is_large = files_may_exceed(settings, usual);
  if (settings->framing == FRAMING_FIXED)
    is_large = settings->record_bytes >= large_record && (!input_total || input_total > usual);
  return is_large ? all / lanes : 0;
}

/** \param arena_bytes  to be tried first; 0: the usual ones only */
static gq_status open_queue(struct run *run, gq_options *queue, uint64_t arena_bytes)
{
  gq_status status;

  if (!arena_bytes) return gq_init(&run->queue, queue);
  queue->arena_bytes = arena_bytes;
  status = gq_init(&run->queue, queue);
  queue->arena_bytes = 0;
  /* Is it too small for the largest result, or too large for this machine, or is it why the CPU was taken? */
  if (status == GQ_OK && queue->backend == GQ_BACKEND_AUTO && gq_running_backend(run->queue) == GQ_BACKEND_CPU) {
    gq_shutdown(run->queue, 0);
    return gq_init(&run->queue, queue);
  }
  return status == GQ_INVALID || status == GQ_NO_MEMORY ? gq_init(&run->queue, queue) : status;
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
static int open_run(struct run *run, struct settings *settings)
{
  const uint64_t input_total = measure_input(settings);
  gq_status status;

  memset(run, 0, sizeof *run);
  run->pipelines = stream_pipelines(settings, input_total);
  run->settings = settings;
  run->input_total = input_total;
  if (settings->dead_letters) {
    run->dead_letters = dead_letters_open(settings->dead_letters, settings->queue.handler);
    if (!run->dead_letters) return EXIT_SYSTEM;
  }
  if (settings->queue.lanes < run->pipelines) settings->queue.lanes = run->pipelines;
  status = open_queue(run, &settings->queue, choose_arena(settings, input_total));
  if (status != GQ_OK) {
    complain("%s", gq_last_error());
    if (run->dead_letters) dead_letters_close(run->dead_letters);
    return init_failure_status(status);
  }
  run->format = settings->output == OUTPUT_AS_DECLARED ? gq_handler_output(run->queue) : (gq_output)settings->output;
  output_init(&run->output, STDOUT_FILENO, "standard output");
  return EXIT_FINE;
}

/** Say how far a run that ended early has come. */
static void say_how_far(const struct run *run, const char *reason)
{
  complain("stopped by %s: %" PRIu64 " messages were sent, %" PRIu64 " of them are done", reason,
           (uint64_t)atomic_load(&run->sent), run->received);
}

/** Files and dead letters: the reader's thread, and the writer, which is this one. \return false if it failed. */
static bool run_items(struct run *run)
{
  struct writer writer;
  pthread_t reader;
  bool fine;
  int error;

  /* twice the capacity: with --unordered a slow message keeps the records behind it for a while */
  run->records = records_new(2 * ((size_t)run->settings->queue.capacity + SEND_BATCH));
  writer_init(&writer, run);
  error = pthread_create(&reader, NULL, reader_main, run);
  if (error) complain("cannot start the reader thread: %s", strerror(error));
  fine = !error && writer_run(&writer);
  if (!error) pthread_join(reader, NULL);
  if (atomic_load(&run->device_lost)) writer_fail_suspects(&writer);
  writer_free(&writer);
  return fine;
}

static int finish_run(struct run *run, bool fine, int64_t started_ns)
{
  const int number = stop_signal();
  uint64_t failed;
  bool closed_pipe, failed_before = run->output.error != 0;

  if (!output_close(&run->output) && !failed_before) fine = output_say_error(&run->output) && fine;
  failed = atomic_load(&run->failed);
  closed_pipe = run->output.error == EPIPE;
  if (run->dead_letters && !dead_letters_close(run->dead_letters)) fine = false;
  if (number) say_how_far(run, number == SIGINT ? "SIGINT" : "SIGTERM");
  else if (atomic_load(&run->device_lost)) say_how_far(run, "this error");
  if (failed && !closed_pipe)
    complain("%" PRIu64 " message%s failed%s", failed, failed == 1 ? "" : "s",
             run->settings->dead_letters ? " (see the dead letters)" : "");
  if (run->settings->stats != STATS_NONE) statistics_print(run, clock_ns() - started_ns);
  gq_shutdown(run->queue, 0);
  records_free(run->records);

  if (closed_pipe) stop_die_of(SIGPIPE);
  if (closed_pipe) return 128 + SIGPIPE; /* SIGPIPE is blocked */
  if (!fine) return EXIT_SYSTEM;
  if (number) stop_die_of(number);
  return failed || atomic_load(&run->inputs_failed) ? EXIT_MESSAGES_FAILED : EXIT_FINE;
}

/** Run everything on the queue that was opened. */
static int run_it(struct run *run)
{
  const bool is_stream = stream_takes(run->settings);
  struct progress progress;
  struct stream stream;
  int64_t started_ns;
  bool fine;
  int status;

  if (is_stream && !stream_open(&stream, run, run->pipelines)) {
    stream_free(&stream);
    gq_shutdown(run->queue, 0);
    return EXIT_SYSTEM;
  }
  if (is_stream) run->stream = &stream;
  started_ns = clock_ns();
  progress_init(&progress);
  if (wants_progress(run->settings)) run->progress = &progress;
  fine = is_stream ? stream_run(&stream) : run_items(run);
  progress_end();
  if (is_stream && atomic_load(&run->device_lost)) stream_fail_suspects(&stream);
  status = finish_run(run, fine, started_ns);
  if (is_stream) stream_free(&stream);
  return status;
}

int run_command(int argc, char **argv)
{
  struct settings settings;
  struct run run;
  int status = settings_parse(&settings, argc, argv);

  if (status == SETTINGS_READY) status = open_run(&run, &settings);
  else goto free_settings;
  if (status != EXIT_FINE) goto free_settings;
  if (settings.verbose) complain("running on %s", gq_describe(run.queue));
  if (stop_prepare()) {
    status = run_it(&run);
  } else {
    gq_shutdown(run.queue, 0);
    status = EXIT_SYSTEM;
  }

free_settings:
  settings_free(&settings);
  return status;
}
