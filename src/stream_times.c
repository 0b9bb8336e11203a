/* SPDX-License-Identifier: Apache-2.0 */
/* Where the threads of a stream spent their time: the one that hardly waits is what the others wait for. */
#include "stream.h"

/** A thread's time, in shares of its life. */
struct share {
  const char *stage, *waited_for;
  double value;
};

enum { SHARES = 6 };

static double part(int64_t ns, int64_t of)
{
  return of > 0 ? (double)ns / (double)of : 0;
}

static void measure(const struct stream *stream, struct share shares[SHARES])
{
  const struct cutter *c = &stream->cutter;
  const int64_t writer_ns = stream->ended_ns - stream->begun_ns, reader_ns = c->ended_ns - c->begun_ns;
  struct pipeline_waits waits = {0, 0, 0};
  int64_t pipelines_ns = 0;
  unsigned i;

  for (i = 0; i < stream->pipeline_count; i++) {
    const struct pipeline *p = &stream->pipelines[i];
    waits.input += p->waits.input;
    waits.results += p->waits.results;
    waits.output += p->waits.output;
    pipelines_ns += p->ended_ns - p->begun_ns;
  }
  shares[0] = (struct share){"reader", "input", part(c->waits.input, reader_ns)};
  shares[1] = (struct share){"reader", "pipelines", part(c->waits.chunks, reader_ns)};
  shares[2] = (struct share){"pipelines", "reader", part(waits.input, pipelines_ns)};
  shares[3] = (struct share){"pipelines", "results", part(waits.results, pipelines_ns)};
  shares[4] = (struct share){"pipelines", "writer", part(waits.output, pipelines_ns)};
  shares[5] = (struct share){"writer", "pipelines", part(stream->waited_ns, writer_ns)};
}

void stream_print_text(const struct stream *stream, FILE *file)
{
  struct share shares[SHARES];
  int i;

  measure(stream, shares);
  fprintf(file, "  threads        1 reader, %u pipeline%s, 1 writer\n", stream->pipeline_count,
          stream->pipeline_count == 1 ? "" : "s");
  for (i = 0; i < SHARES; i++)
    fprintf(file, "  %-14s %.1f %% of its time waiting for %s\n", shares[i].stage, 100 * shares[i].value,
            shares[i].waited_for);
}

void stream_print_json(const struct stream *stream, FILE *file)
{
  struct share shares[SHARES];
  int i;

  measure(stream, shares);
  fprintf(file, ",\"pipelines\":%u,\"waiting\":{", stream->pipeline_count);
  for (i = 0; i < SHARES; i++)
    fprintf(file, "%s\"%s_for_%s\":%.4f", i ? "," : "", shares[i].stage, shares[i].waited_for, shares[i].value);
  fprintf(file, "}");
}
