/* SPDX-License-Identifier: Apache-2.0 */
/* The way of one short message that comes alone: the ingress warp that has read its cell runs it and answers. It does
 * what gq_serve_threads() does for 32, in so few instructions that they and the polling loop stay in the nearest
 * instruction cache; this, not arithmetic, is most of what a message costs between its two trips over PCIe. */
#ifndef GQ_QUICK_CUH
#define GQ_QUICK_CUH
#include "cuda/serve.cuh"

#define GQ_MOST_HOLD 1900u  /* cycles: most that a look is held back. Higher, p50 is the worse for it; lower, p99 */
#define GQ_HOLD_MORE 200u   /* cycles more after a message that was just too late */
#define GQ_HOLD_STEPS 4u    /* messages that were there in time for a cycle less: the brink is come to so seldom that
                               being too late there does not show in p99 */
#define GQ_READS 8u         /* reads in one fruitless look */

/* A client that answers at once writes its next message about when the first read after the last reply passes by. If
 * it is just too late it waits for a whole further read, and the next time again, in step. So the first read after a
 * reply is held back, by as much as turns out to be needed. */
struct gq_pace {
  bool replied;             /* this warp has just replied, at this clock */
  uint32_t since, hold;     /* hold: cycles to wait after a reply, times GQ_HOLD_STEPS */
};

__device__ __forceinline__ void gq_hold_back(const gq_pace &pace)
{
  if (pace.replied)
    while ((uint32_t)clock() - pace.since < pace.hold / GQ_HOLD_STEPS) continue;
}

__device__ __forceinline__ void gq_learn_hold(gq_pace *pace, uint32_t reads, bool found)
{
  if (pace->replied && found) {
    if (reads == 1 && pace->hold) pace->hold--;
    else if (reads == 2) pace->hold = min(pace->hold + GQ_HOLD_MORE * GQ_HOLD_STEPS, GQ_MOST_HOLD * GQ_HOLD_STEPS);
  }
  pace->replied = false;
}

/* What the latest read of a window has shown. */
struct gq_glance {
  gq_unit unit;     /* this thread's */
  uint32_t mask;    /* threads whose unit is new and of the lap expected */
  uint32_t reads;
};

/* Read a window until some cell's head is new, or GQ_READS times. The head is written last: a cell without it is not
 * worth looking at, and counts as not there. \p is_new: this thread's cell has not been taken. */
__device__ __forceinline__ void gq_read_until_new(gq_glance *g, const gq_unit *from, uint32_t tag, bool is_new,
                                                  uint32_t heads)
{
  g->reads = 0;
#pragma unroll 1
  do {
    g->unit = gq_unit_ld_sys(from);
    g->mask = __ballot_sync(GQ_ALL, is_new && g->unit.w[3] == tag);
    g->reads++;
  } while (!(g->mask & heads) && g->reads < GQ_READS);
  if (!(g->mask & heads)) g->mask = 0;
}

/* Run the message in the glance and answer it, if it is one whole message, alone, that needs no more than its cell.
 * \p window: number of the window's first unit since the lane began. \p is_last: all other messages of the chunk have
 * been served. \return the cell's first thread, or 32 if this is
 * not such a message and nothing has been done. */
__device__ __forceinline__ uint32_t gq_run_quick(const gq_dev_queue &q, const gq_stage &stage, uint32_t lane,
                                                 uint64_t window, const gq_glance &g, bool is_last, gq_pace *pace)
{
  const uint32_t t = gq_lane_id(), units = 1u << q.units_log2, h = (__ffs(g.mask) - 1) & ~(units - 1);
  const uint32_t size = __shfl_sync(GQ_ALL, g.unit.w[0], h), word1 = __shfl_sync(GQ_ALL, g.unit.w[1], h);
  const uint32_t has_ext = word1 & GQ_CELL_EXT, fixed = has_ext ? 3u : 1u, words = (size >> 2) + ((size & 3u) != 0);
  const uint32_t inline_room = gq_inline_bytes(units, 16, 0), used = fixed + (words + 2) / 3;
  const uint64_t position = (window + h) >> q.units_log2;
  const uint32_t rest = g.mask >> h, needed = used >= 32 ? GQ_ALL : (1u << used) - 1; /* the cell's units */

  if ((word1 & ~GQ_CELL_EXT) || size > gq_inline_bytes(units, 16, has_ext) || size > q.limits.max_message_bytes ||
      (rest & needed) != needed || (units < 32 && rest >> units))
    return 32;
  if (has_ext && __shfl_sync(GQ_ALL, g.unit.w[0] | g.unit.w[1] | g.unit.w[2], h + 1)) return 32; /* a key, or a slot */

  const gq_dev_lane l(q, lane);
  uint64_t tag = 0, ending = position;

  /* Now, so that the next warp knows by the time of the reply: see gq_await_turn(). */
  if (is_last && t == 0) gq_raise(&l.front()->turn, window / (GQ_WINDOWS * 32) + 1);
  if (has_ext) tag = __shfl_sync(GQ_ALL, g.unit.w[0] | (uint64_t)g.unit.w[1] << 32, h + 2);
  if (t == 0 && !q.limits.ordered) ending = gq_add64(l.ended(), (uint64_t)1, GQ_RELAXED); /* there when it is needed */
  if (t >= h + fixed && t < h + used) {
    uint32_t *to = (uint32_t *)stage.payload(0) + (t - h - fixed) * 3;

    to[0] = g.unit.w[0], to[1] = g.unit.w[1], to[2] = g.unit.w[2];
  }
  __syncwarp();
  const bool sampled = position % GQ_SAMPLE == 0;
  uint32_t head0 = 0, head1 = 0, head2 = 0;

  if (t == 0) {
    const gq_context context = gq_make_context<1>(q, 0, 1);
    const uint32_t room = inline_room < q.limits.max_result_bytes ? inline_room : (uint32_t)q.limits.max_result_bytes;
    gq_msg msg = {stage.payload(0), size, 1, gq_message_id(lane, position), 0, tag};
    gq_reply reply = {stage.reply(0), room, 0};
    int32_t code;

    gq_note(q, 0, msg.id, 1);
    if (sampled) gq_stamp(l, q.limits, position, 0, gq_clock_ns());
    for (;;) {
      code = gq_run_handler(q.limits.handler, &msg, &reply, &context);
      if (code != GQ_RETRY || msg.attempt >= q.limits.attempts) break;
      msg.attempt++;
      reply.size = 0;
    }
    if (sampled) gq_stamp(l, q.limits, position, 1, gq_clock_ns());
    const uint32_t status = gq_status_of(code, reply.size, room), recall = has_ext ? GQ_CELL_RECALL : 0u;

    head0 = status == 0 || status == 9 ? reply.size : 0;
    head1 = (status ? GQ_CELL_SLOT : 0u) | recall | status << 8 | msg.attempt << 16;
    head2 = (uint32_t)code;
  }
  __syncwarp();
  head0 = __shfl_sync(GQ_ALL, head0, 0);
  head1 = __shfl_sync(GQ_ALL, head1, 0);
  head2 = __shfl_sync(GQ_ALL, head2, 0);
  if (t < 1 + (head1 & GQ_CELL_SLOT ? 0 : (head0 + 11) / 12)) {
    const uint64_t cell = position & ((1ull << q.limits.ring_log2) - 1);
    const uint32_t *words_out = (const uint32_t *)stage.reply(0) + (t - 1) * 3;
    gq_unit unit;

    if (t == 0) unit.w[0] = head0, unit.w[1] = head1, unit.w[2] = head2;
    else unit.w[0] = words_out[0], unit.w[1] = words_out[1], unit.w[2] = words_out[2];
    unit.w[3] = gq_tag(position, q.limits.ring_log2);
    gq_unit_st_sys(l.completions() + (cell << q.units_log2) + t, unit); /* [C1] */
  }
  pace->replied = true;
  pace->since = (uint32_t)clock();
  if (t == 0) {
    gq_dev_counters *counters = &q.shared->counters;

    /* [O1] after the cell, as in gq_serve_threads() */
    gq_st64(&l.endings()[gq_ending_index(ending, q.limits.ring_log2)],
            gq_ending_word(ending, position, q.limits.ring_log2), GQ_RELAXED, GQ_SYS);
    gq_dev_count(&counters->taken, 1);
    if ((head1 >> 8 & 0xff) == 0) gq_dev_count(&counters->completed, 1);
    else gq_dev_count(&counters->failed, 1);
    if (head1 >> 16 > 1) gq_dev_count(&counters->retried, (head1 >> 16) - 1);
    gq_dev_count(&counters->finished, 1);
  }
  __syncwarp();
  return h;
}

#endif
