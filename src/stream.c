/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include "cli.h"
#include "progress.h"
#include "stop.h"
#include "timing.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
  MOST_PIPELINES = 8,           /* each costs a lane, whose memory a GPU's driver has to pin */
  FEW_MESSAGES = 256,
  MOST_SINGLE = 65536,          /* messages that may be under way in a lane though each has a chunk of its own */
  CHUNKS_A_PIPELINE = 3,        /* one is being sent, one finishes, one is ready */
  LARGE_LANE = 64 * 1024 * 1024 /* so many bytes of messages and results: the arena grows with that */
};

bool stream_takes(const struct settings *settings)
{
  return settings->framing != FRAMING_FILES && settings->framing != FRAMING_DEAD_LETTERS;
}

/** The processors that this process may run on. */
static int usable_cpus(void)
{
  cpu_set_t set;

  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/** Whether the handler has a state, which messages may change: then one is to begin after the other, about as they came.
 * What cannot be told, gq_init() will complain of. */
static bool keeps_state(const gq_options *queue)
{
  const gq_handler_info *info;
  bool keeps;

  if (gq_handler_inspect(queue, &info) != GQ_OK) return true;
  keeps = strcmp(info->state, "none") != 0;
  gq_handler_info_free(info);
  return keeps;
}

unsigned stream_pipelines(const struct settings *settings, uint64_t input_total)
{
  const gq_options *queue = &settings->queue;
  const int cpus = usable_cpus();
  /* The others are the reader's, the writer's, and those who run handlers. Two even where there are few: while one
   * waits for results the other has some, and two workers on the CPU meet less often at the same lane. */
  const int count = cpus < 2 ? 1 : cpus < 6 ? 2 : (cpus - 2) / 2;

  if (!stream_takes(settings)) return 1;
  if (settings->threads) return settings->threads;
  /* who asks for one worker, or for few messages under way, may want them begun in the order of the input */
  if (queue->workers == 1 || queue->capacity < FEW_MESSAGES) return 1;
  if (queue->arena_bytes > LARGE_LANE || queue->max_message_bytes > LARGE_LANE / 4) return 1;
  if (input_total && input_total < CHUNK_BYTES * (uint64_t)MOST_PIPELINES) return 1; /* it would not be worth it */
  if (count == 1 || keeps_state(queue)) return 1;
  return count > MOST_PIPELINES ? MOST_PIPELINES : (unsigned)count;
}

/** Whether handlers run on the CPU, and leave reader, pipelines and writer no processors of their own. */
static bool is_crowded(const struct run *run, unsigned pipelines)
{
  const uint32_t workers = run->settings->queue.workers;
  const unsigned cpus = (unsigned)usable_cpus();

  return gq_running_backend(run->queue) == GQ_BACKEND_CPU && (workers ? workers : cpus) + pipelines + 2 > cpus;
}

/** How many chunks of each kind keep the queue busy. */
static void size_chunks(const struct run *run, unsigned pipelines, size_t most[CHUNK_KINDS])
{
  const gq_options *queue = &run->settings->queue;
  const uint32_t capacity = queue->capacity < MOST_SINGLE ? queue->capacity : MOST_SINGLE;
  const size_t workers = queue->workers ? queue->workers : (size_t)usable_cpus();

  most[CHUNK_OF_MANY] = CHUNKS_A_PIPELINE * (size_t)pipelines + 2; /* and one that is being filled, one to come */
  most[CHUNK_SMALL] = most[CHUNK_OF_FEW] = capacity * (size_t)pipelines;
  if (gq_running_backend(run->queue) != GQ_BACKEND_CPU) return;
  /* one that is run and one that waits for each worker: more would be in no cache, and to be finished after a stop */
  most[CHUNK_OF_FEW] = 2 * workers + most[CHUNK_OF_MANY];
}

bool stream_open(struct stream *stream, struct run *run, unsigned pipelines)
{
  size_t most[CHUNK_KINDS], window;
  const bool ordered = run->settings->queue.ordered;
  const bool keeps_bytes = run->settings->with_input || run->dead_letters;
  const bool crowded = is_crowded(run, pipelines);
  unsigned i;

  size_chunks(run, pipelines, most);
  window = 4 * most[CHUNK_OF_MANY] + most[CHUNK_SMALL]; /* how far the reader may be ahead of the writer */
  memset(stream, 0, sizeof *stream);
  stream->run = run;
  stream->pipelines = allocate(pipelines * sizeof *stream->pipelines);
  chunks_init(&stream->chunks, most, keeps_bytes, crowded, ordered ? window : UINT64_MAX);
  outlet_init(&stream->outlet, ordered, crowded, window, pipelines);
  cutter_init(&stream->cutter, run, &stream->chunks);
  for (i = 0; i < pipelines; i++) {
    gq_queue *lane = run->queue;

    if (i > 0 && gq_open_lane(run->queue, &lane) != GQ_OK) {
      complain("%s", gq_last_error());
      return false;
    }
    pipeline_init(&stream->pipelines[i], run, &stream->chunks, &stream->outlet, lane);
    stream->pipeline_count++;
  }
  return true;
}

void stream_free(struct stream *stream)
{
  unsigned i;

  for (i = 0; i < stream->pipeline_count; i++) pipeline_free(&stream->pipelines[i]);
  free(stream->pipelines);
  cutter_free(&stream->cutter);
  outlet_free(&stream->outlet);
  chunks_free(&stream->chunks);
}

/* ------------------------------------------------------------------------------------------------- writing */

static void write_pieces(struct stream *stream, struct piece *pieces)
{
  struct run *run = stream->run;
  struct piece *piece;

  for (piece = pieces; piece && !run->output.error; piece = piece->next) {
    output_write(&run->output, piece->text.data, piece->text.used);
    run->received += piece->messages;
    run->result_bytes += piece->result_bytes;
  }
  output_flush(&run->output);
  outlet_put_back(&stream->outlet, pieces);
}

static void write_everything(struct stream *stream)
{
  struct run *run = stream->run;
  bool ended = false;

  while (!ended && !run->output.error) {
    const int64_t begun_ns = clock_ns();
    struct piece *pieces = outlet_take(&stream->outlet, WAIT_SLICE_NS, &ended);

    stream->waited_ns += clock_ns() - begun_ns;
    if (stream->outlet.ordered)
      chunks_allow(&stream->chunks, stream->outlet.turn + stream->outlet.lineup_count);
    if (pieces) write_pieces(stream, pieces);
    if (run->progress) progress_show(run->progress, run->received, run);
  }
}

/* ------------------------------------------------------------------------------------------------- threads */

static bool start(pthread_t *thread, void *(*body)(void *), void *argument, const char *what)
{
  const int error = pthread_create(thread, NULL, body, argument);

  if (error) complain("cannot start %s thread: %s", what, strerror(error));
  return !error;
}

bool stream_run(struct stream *stream)
{
  struct run *run = stream->run;
  unsigned started = 0, i;
  pthread_t reader;
  bool is_reading, fine;

  stream->begun_ns = clock_ns();
  is_reading = start(&reader, cutter_main, &stream->cutter, "the reader's");
  while (is_reading && started < stream->pipeline_count &&
         start(&stream->pipelines[started].thread, pipeline_main, &stream->pipelines[started], "a pipeline's"))
    started++;
  fine = started == stream->pipeline_count;
  for (i = started; i < stream->pipeline_count; i++) outlet_leave(&stream->outlet);
  if (!fine) stop_reading();
  write_everything(stream);
  stream->ended_ns = clock_ns();
  atomic_store(&run->writer_done, true);
  stop_reading(); /* it has ended, unless the output has failed */
  chunks_wake(&stream->chunks);
  outlet_close(&stream->outlet);
  if (is_reading) pthread_join(reader, NULL);
  for (i = 0; i < started; i++) pthread_join(stream->pipelines[i].thread, NULL);
  return output_say_error(&run->output) && !atomic_load(&run->device_lost) && fine;
}

void stream_fail_suspects(struct stream *stream)
{
  enum { MOST_SUSPECTS = 4096 }; /* that the library lists */
  gq_completion *suspects = allocate(MOST_SUSPECTS * sizeof *suspects);
  size_t count = 0, i;

  if (gq_list_suspects(stream->run->queue, suspects, MOST_SUSPECTS, &count) != GQ_OK) count = 0;
  if (count > MOST_SUSPECTS) count = MOST_SUSPECTS;
  for (i = 0; i < count; i++) {
    unsigned p = 0;
    while (p < stream->pipeline_count && !pipeline_fail_suspect(&stream->pipelines[p], &suspects[i])) p++;
  }
  free(suspects);
}
