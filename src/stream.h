/* SPDX-License-Identifier: Apache-2.0 */
/** \file stream.h
 * A run whose input is cut into messages: the reader's thread, the pipelines', and the writer, which is the caller.
 *
 *     reader --chunks--> pipeline, pipeline, ... --pieces--> writer */
#ifndef GPUQUEUE_STREAM_H
#define GPUQUEUE_STREAM_H

#include <stdio.h>

#include "cutter.h"
#include "pipeline.h"

struct stream {
  struct run *run;
  struct chunks chunks;
  struct outlet outlet;
  struct cutter cutter;
  struct pipeline *pipelines;
  unsigned pipeline_count;
  int64_t begun_ns, ended_ns;
  int64_t waited_ns;               /**< by the writer, for results */
};

/** Whether the messages of such settings are a stream. */
bool stream_takes(const struct settings *settings);

/** How many pipelines such settings ask for, or this machine does. */
unsigned stream_pipelines(const struct settings *settings, uint64_t input_total);

/** Open the lanes. \return false after a complaint. */
bool stream_open(struct stream *stream, struct run *run, unsigned pipelines);

/** Run to the end of the input, or to where it has to stop. \return false if the output failed (run->output.error;
 * nothing is said about EPIPE) or the device did. */
bool stream_run(struct stream *stream);

/** The device was lost: tell, count and keep the messages that were being handled, as failed ones, when nothing else
 * runs any longer. */
void stream_fail_suspects(struct stream *stream);

void stream_free(struct stream *stream);

/** Where the threads spent their time: who waited for whom. */
void stream_print_text(const struct stream *stream, FILE *file);
void stream_print_json(const struct stream *stream, FILE *file);

#endif
