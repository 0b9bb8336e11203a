/* SPDX-License-Identifier: Apache-2.0 */
/* Ingress: warps that fetch cells from the lanes, over PCIe, and put them into the resident ring in device memory. A
 * read takes 1.3 us whatever its size, so what counts is how many are under way: one window when nothing is going on,
 * which keeps the line quick for a single message, and every window of every warp when messages come in bulk. */
#ifndef GQ_INGRESS_CUH
#define GQ_INGRESS_CUH
#include "cuda/quick.cuh"

#define GQ_DIRECT 4u        /* up to this many short messages at once are run by the warp that fetched them, unless
                             * they are a whole chunk: more are coming then, and workers take 32 at a time */
#define GQ_PHASE_TURNS 8u   /* fruitful looks between two looks at the phase, which cost 0.5 us */
#define GQ_IDLE_POLLS 16u   /* fruitless looks after which a warp ahead of the traffic stops polling */
#define GQ_LOOKS 32u        /* fruitless looks, of some 10 us, between two at all of a chunk */
#define GQ_NAPS 1024u       /* naps, of some 1 us, between two looks at a chunk that nothing has been seen of */
#define GQ_TURN_WAIT 400000u /* cycles, 0.2 ms, that a warp waits for its turn between two looks; if one is under way
                                when the turn comes, the message is late */
#define GQ_TURN_SEEN 200u   /* cycles by which a warp sees its turn later than the client is answered, about */

/* What a warp knows of its place in a lane. */
struct gq_gate {
  uint64_t seen, eager;     /* last known values of the lane's front */
  uint32_t idle;            /* fruitless looks since something changed */
  uint32_t naps;            /* in place of a look */
  bool asked;               /* `front` was asked for at the end of the last visit, so that it comes meanwhile */
  gq_unit front;
  bool burst;               /* look at all windows: the last look found a whole one, or it is time to */
  bool stays;               /* the warp has no other lane to turn to */
  bool turn;                /* it is this warp's turn: see gq_await_turn() */
  bool ahead;               /* all of the next chunk was asked for during the last visit */
  gq_pace pace;
};

/* Cells found by one look at a chunk. */
struct gq_catch {
  gq_unit unit[GQ_WINDOWS];
  uint32_t ready[GQ_WINDOWS]; /* header threads whose cell is complete and new */
  uint32_t flags;             /* of this thread's cell in each window, 8 bits a window */
  uint32_t total;
  bool heavy;                 /* some of them have slots or keys */
  bool single;                /* it is one, which a warp has soon run, without a key or a dependency */
};

__device__ __forceinline__ void gq_ask_front(const gq_dev_lane &l, gq_gate *gate)
{
  gate->front = gq_unit_ld_gpu((const gq_unit *)l.front());
  gate->asked = true;
}

/* May this warp look at its chunk now, or would it only get in the way? */
__device__ __forceinline__ bool gq_may_poll(const gq_dev_lane &l, uint64_t chunk, gq_gate *gate)
{
  if (chunk <= gate->seen) return true;
  if (!gate->asked) gq_ask_front(l, gate);
  gate->asked = false;
  const gq_unit u = gate->front;
  const uint64_t seen = u.w[0] | (uint64_t)u.w[1] << 32, eager = u.w[2] | (uint64_t)u.w[3] << 32;

  if (eager != gate->eager) gate->idle = 0;
  gate->seen = seen;
  gate->eager = eager;
  return chunk <= seen || (chunk <= eager && gate->idle < GQ_IDLE_POLLS);
}

/* Whether the ingress warps are to do something else than to fetch. gq_phase_now(), which they then obey, acquires, so
 * that nothing could be asked for at the same time. */
__device__ __forceinline__ bool gq_is_called_off(const gq_dev_queue &q)
{
  const uint32_t word = gq_ld32(&q.shared->phase, GQ_RELAXED, GQ_GPU);

  return word >> 16 == (q.epoch & 0xffffu) && (word & 3u) != GQ_RUN;
}

/* While messages come one by one, the warp of the next chunk waits for the last message of the chunk before, and takes
 * the reply to it for its own: it looks when the client's next message is due. If it kept reading, a read would be
 * under way at any time, and a message in each chunk up to a whole read late. In bulk nobody waits.
 * \return whether it is this warp's turn. If not, a look at all of the chunk now and then will do: messages may become
 * whole out of order. */
__device__ __forceinline__ bool gq_await_turn(const gq_dev_queue &q, const gq_dev_lane &l, uint64_t chunk,
                                              gq_gate *gate)
{
  const uint32_t begin = (uint32_t)clock();
  uint64_t turn;

  if (gate->turn || !gate->stays || q.warps_per_lane == 1) return true;
  turn = gq_broadcast(gq_ld64(&l.front()->turn, GQ_RELAXED, GQ_GPU), 0);
  if (turn < chunk) {
    do {
      const bool called_off = gq_is_called_off(q); /* both loads are under way at once */

      turn = gq_broadcast(gq_ld64(&l.front()->turn, GQ_RELAXED, GQ_GPU), 0);
      if (gq_broadcast((uint32_t)called_off | ((uint32_t)clock() - begin > GQ_TURN_WAIT), 0)) return false;
    } while (turn < chunk);
    gate->pace.replied = turn == chunk;
    gate->pace.since = (uint32_t)clock() - GQ_TURN_SEEN;
  }
  gate->turn = true;
  return true;
}

/* Has this thread's cell of window d been taken? */
__device__ __forceinline__ bool gq_is_taken(const gq_dev_queue &q, const gq_cursor &cursor, uint32_t d)
{
  return cursor.got >> (((d * 32 + gq_lane_id()) >> q.units_log2)) & 1;
}

__device__ __forceinline__ uint32_t gq_chunk_cells(const gq_dev_queue &q) { return GQ_WINDOWS * 32u >> q.units_log2; }

/* The tag that a chunk's cells carry when they are new. */
__device__ __forceinline__ uint32_t gq_chunk_tag(const gq_dev_queue &q, uint64_t chunk)
{
  return (uint32_t)(chunk * GQ_WINDOWS * 32 >> (q.limits.ring_log2 + q.units_log2)) + 1u;
}

/* Where this thread's unit of a chunk's window 0 is. */
__device__ __forceinline__ const gq_unit *gq_chunk_units(const gq_dev_queue &q, const gq_dev_lane &l, uint64_t chunk)
{
  const uint64_t mask = (1ull << (q.limits.ring_log2 + q.units_log2)) - 1;

  return l.submissions() + (chunk * GQ_WINDOWS * 32 & mask) + gq_lane_id(); /* a chunk has one lap and wraps nowhere */
}

/* Find the complete new cells in the windows `polled`, whose units have been read. */
__device__ __forceinline__ void gq_sort_out(const gq_dev_queue &q, const gq_cursor &cursor, uint32_t polled,
                                            gq_catch *c)
{
  const uint32_t t = gq_lane_id(), units = 1u << q.units_log2;
  const uint32_t h = t & ~(units - 1), u = t & (units - 1), group = units == 32 ? GQ_ALL : (1u << units) - 1;
  const uint32_t words = gq_cell_words(units, 16), tag = gq_chunk_tag(q, cursor.chunk);

  c->total = 0;
  c->flags = 0;
  c->heavy = false;
  c->single = q.widens;
#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++) {
    c->ready[d] = 0;
    if (!(polled >> d & 1)) continue;
    const bool ok = c->unit[d].w[3] == tag;
    const uint32_t size = __shfl_sync(GQ_ALL, c->unit[d].w[0], h), word1 = __shfl_sync(GQ_ALL, c->unit[d].w[1], h);
    const uint32_t flags = word1 & 0xffu, dependency = word1 >> 8;
    /* A first extension unit that is not all zero: a key, or a slot for the result. */
    const uint32_t special = __ballot_sync(GQ_ALL, (c->unit[d].w[0] | c->unit[d].w[1] | c->unit[d].w[2]) != 0);
    const uint32_t keyed = __ballot_sync(GQ_ALL, (c->unit[d].w[0] | c->unit[d].w[1]) != 0);
    const bool head_ok = __shfl_sync(GQ_ALL, ok, h);
    const uint32_t there = __ballot_sync(GQ_ALL, head_ok && (ok || u >= gq_needed_units(size, flags, words)));
    const bool ready = !gq_is_taken(q, cursor, d) && (there >> h & group) == group;

    c->flags |= flags << (d * 8);
    c->ready[d] = __ballot_sync(GQ_ALL, ready && u == 0);
    c->total += __popc(c->ready[d]);
    c->heavy |= __any_sync(GQ_ALL, ready && ((flags & GQ_CELL_SLOT) || dependency ||
                                             ((flags & GQ_CELL_EXT) && (special >> ((h + 1) & 31) & 1))));
    c->single &= !__any_sync(GQ_ALL, ready && (dependency || size >= GQ_LARGE_BYTES ||
                                               ((flags & GQ_CELL_EXT) && (keyed >> ((h + 1) & 31) & 1))));
  }
  c->single &= c->total == 1;
}

/* Ask for all windows of a chunk of which nothing has been taken. */
__device__ __forceinline__ void gq_ask_chunk(const gq_dev_queue &q, const gq_dev_lane &l, uint64_t chunk, gq_unit *unit)
{
  const gq_unit *from = gq_chunk_units(q, l, chunk);

#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++) unit[d] = gq_unit_ld_sys(from + d * 32);
}

/* Look at all windows of a chunk that are not complete. */
__device__ __forceinline__ void gq_look_everywhere(const gq_dev_queue &q, const gq_dev_lane &l, const gq_cursor &cursor,
                                                   gq_catch *c)
{
  const uint32_t cells = 32u >> q.units_log2, whole = cells == 32 ? GQ_ALL : (1u << cells) - 1;
  const gq_unit *from = gq_chunk_units(q, l, cursor.chunk);
  uint32_t polled = 0;

#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++)
    if ((cursor.got >> (d * cells) & whole) != whole) {
      polled |= 1u << d;
      c->unit[d] = gq_unit_ld_sys(from + d * 32);
    }
  gq_sort_out(q, cursor, polled, c);
}

/* The first window of the chunk that is not complete. */
__device__ __forceinline__ uint32_t gq_front_window(const gq_dev_queue &q, const gq_cursor &cursor)
{
  return (__ffs(~cursor.got) - 1) << q.units_log2 >> 5;
}

/* The place of this thread's cell of window d among all that were found. */
__device__ __forceinline__ uint32_t gq_rank_in_catch(const gq_catch &c, uint32_t d, uint32_t h)
{
  uint32_t rank = __popc(c.ready[d] & ((1u << h) - 1));

#pragma unroll
  for (uint32_t e = 0; e < GQ_WINDOWS; e++)
    if (e < d) rank += __popc(c.ready[e]);
  return rank;
}

/* Run what was found here and now. */
__device__ __forceinline__ void gq_run_catch(const gq_dev_queue &q, const gq_stage &stage, uint32_t lane,
                                             uint64_t chunk, const gq_catch &c)
{
  const uint32_t t = gq_lane_id(), units = 1u << q.units_log2, h = t & ~(units - 1), u = t & (units - 1);

  uint64_t ending = 0;

  /* The entries in the completion order are asked for now, so that the answer comes while the handler runs. */
  if (t == 0 && !q.limits.ordered) ending = gq_add64(gq_dev_lane(q, lane).ended(), (uint64_t)c.total, GQ_RELAXED);
#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++) {
    if (!(c.ready[d] >> h & 1)) continue;
    const uint32_t i = gq_rank_in_catch(c, d, h);

    stage.put_unit(i, u, c.unit[d], c.flags >> (d * 8) & 0xff);
    if (u == 0) stage.set_origin(i, lane, ((chunk * GQ_WINDOWS + d) * 32 + t) >> q.units_log2);
  }
  gq_serve_threads<true>(q, stage, c.total, ending);
}

/* Wait until \p n entries from \p first on, which are no more than a warp has threads, have been read by the workers
 * that had them a lap ago. \return false if the kernel is leaving: then messages stay in their lane. */
__device__ __forceinline__ bool gq_await_free(const gq_dev_queue &q, uint32_t first, uint32_t n)
{
  const uint32_t entry = first + gq_lane_id(), i = entry & ((1u << q.ring_log2) - 1);
  bool there = true;

  /* [Q2] An acquiring load and no fence, which would wait for the reads over PCIe that are under way. */
  if (gq_lane_id() < n)
    while (there && !gq_ring_is_free(&q.ring_free[i], entry, q.ring_log2)) there = !gq_is_leaving(q);
  __syncwarp(); /* what one thread has acquired, all may fill */
  return __all_sync(GQ_ALL, there);
}

/* Put what was found into the entries of the resident ring from \p first on. */
__device__ __forceinline__ void gq_fill_entries(const gq_dev_queue &q, uint32_t lane, uint64_t chunk, const gq_catch &c,
                                                uint32_t first)
{
  const uint32_t t = gq_lane_id(), units = 1u << q.units_log2, h = t & ~(units - 1), u = t & (units - 1);

#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++) {
    const uint32_t entry = first + gq_rank_in_catch(c, d, h), i = entry & ((1u << q.ring_log2) - 1);
    gq_unit unit = c.unit[d];

    if (!(c.ready[d] >> h & 1)) continue;
    unit.w[3] = gq_tag(entry, q.ring_log2);
    gq_unit_st_gpu(&q.ring_cells[((size_t)i << q.units_log2) + u], unit); /* [Q1] */
    if (u == 0) {
      const uint64_t position = ((chunk * GQ_WINDOWS + d) * 32 + t) >> q.units_log2;

      unit.w[0] = lane, unit.w[1] = (uint32_t)position, unit.w[2] = (uint32_t)(position >> 32);
      gq_unit_st_gpu(&q.ring_origins[i], unit);
    }
  }
  __syncwarp();
}

/* A cell of the chunk has been taken: go on to the next chunk if it was the last. */
__device__ __forceinline__ void gq_advance(const gq_dev_queue &q, gq_cursor *cursor, uint32_t taken)
{
  const uint32_t all = gq_chunk_cells(q);

  cursor->got |= taken;
  if (cursor->got == (all == 32 ? GQ_ALL : (1u << all) - 1)) {
    cursor->chunk += q.warps_per_lane;
    cursor->got = 0;
  }
}

/* Look at the first window that is not complete, and run on the spot the one short message that is there.
 * \return whether that was all. */
__device__ __forceinline__ bool gq_visit_front(const gq_dev_queue &q, const gq_stage &stage, uint32_t lane,
                                               const gq_dev_lane &l, gq_cursor *cursor, gq_gate *gate, gq_catch *c)
{
  const uint32_t d = gq_front_window(q, *cursor);
  const uint64_t chunk = cursor->chunk, window = (chunk * GQ_WINDOWS + d) * 32;
  const uint32_t untaken = gq_chunk_cells(q) - __popc(cursor->got);
  uint32_t h = 32;
  gq_glance g;

  c->total = 0;
  gq_hold_back(gate->pace);
  gq_read_until_new(&g, gq_chunk_units(q, l, chunk) + d * 32, gq_chunk_tag(q, chunk), !gq_is_taken(q, *cursor, d),
                    q.heads);
  gq_learn_hold(&gate->pace, g.reads, g.mask != 0);
  if (!g.mask) return true;
  gate->turn = true; /* traffic has come this far, whatever is missing behind it */
  if (q.is_short) h = gq_run_quick(q, stage, lane, window, g, untaken == 1, &gate->pace);
  if (h < 32) {
    if (gq_lane_id() == 0 && cursor->got == 0) gq_raise(&l.front()->seen, chunk + 1);
    gq_advance(q, cursor, 1u << ((d * 32 + h) >> q.units_log2));
    if (untaken == 1) gate->turn = false;
    c->total = 1;
    return true;
  }
#pragma unroll
  for (uint32_t e = 0; e < GQ_WINDOWS; e++)
    if (e == d) c->unit[e] = g.unit;
  gq_sort_out(q, *cursor, 1u << d, c);
  return false;
}

/* The cells of a catch as bits of its chunk. */
__device__ __forceinline__ uint32_t gq_cells_of(const gq_dev_queue &q, const gq_catch &c)
{
  const uint32_t cells = 32u >> q.units_log2, h = gq_lane_id() << q.units_log2;
  uint32_t taken = 0;

#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++)
    taken |= __ballot_sync(GQ_ALL, h < 32 && (c.ready[d] >> (h & 31) & 1)) << (d * cells);
  return taken;
}

/* Tell the workers of thread scope how much of what waits is large. */
__device__ __forceinline__ void gq_count_large(const gq_dev_queue &q, const gq_catch &c)
{
  uint32_t weight = 0;

#pragma unroll
  for (uint32_t d = 0; d < GQ_WINDOWS; d++)
    if (c.ready[d] >> gq_lane_id() & 1) weight += gq_weight(q, c.unit[d].w[0], c.flags >> (d * 8));
  weight = gq_warp_sum(weight);
  if (weight && gq_lane_id() == 0) gq_add32(&q.shared->ring.large, weight, GQ_RELAXED);
}

/* Put what was found into the resident ring, and ask meanwhile for what the next visit will look at, in chunk \p then:
 * after the answers that are waited for here, as a warp gets the answers in the order in which it asked. */
__device__ __forceinline__ void gq_push_catch(const gq_dev_queue &q, uint32_t lane, uint64_t chunk, const gq_catch &c,
                                              uint64_t then, gq_gate *gate, gq_unit *next)
{
  const gq_dev_lane l(q, lane);
  uint32_t first = 0;

  if (c.heavy && (q.is_short || q.widens)) gq_count_large(q, c);
  if (gq_lane_id() == 0) first = gq_ring_reserve(&q.shared->ring, c.total);
  first = __shfl_sync(GQ_ALL, first, 0);
  if (!gq_await_free(q, first, c.total)) return;
  if (gate->stays && c.total == gq_chunk_cells(q)) { /* all there at once: so is the next, most likely */
    gq_ask_chunk(q, l, then, next);
    gate->ahead = true;
  } else if (then != chunk) {
    gq_ask_front(l, gate);
  }
  gq_fill_entries(q, lane, chunk, c, first);
}

/* One look at a lane. \p next: room for the chunk that is asked for ahead, from visit to visit.
 * \return how many messages were taken. */
__device__ __forceinline__ uint32_t gq_visit(const gq_dev_queue &q, const gq_stage &stage, uint32_t lane,
                                             gq_cursor *cursor, gq_gate *gate, gq_unit *next)
{
  const gq_dev_lane l(q, lane);
  const uint32_t cells = 32u >> q.units_log2;
  const uint64_t chunk = cursor->chunk;
  bool done = false, peeks = false;
  gq_unit peek;
  gq_catch c;

  if (gate->ahead) {
    gate->ahead = false;
#pragma unroll
    for (uint32_t d = 0; d < GQ_WINDOWS; d++) c.unit[d] = next[d];
    gq_sort_out(q, *cursor, (1u << GQ_WINDOWS) - 1, &c);
  } else {
    /* A client that was stopped between claiming cells and filling them holds up nobody else: now and then even chunks
     * are looked at that come after one of which nothing has been seen. */
    if (!gq_may_poll(l, chunk, gate)) {
      if (++gate->naps % GQ_NAPS) {
        __nanosleep(100);
        return 0;
      }
      gate->burst = true;
    }
    if (!gate->burst) gate->burst = !gq_await_turn(q, l, chunk, gate);
    if (gate->burst) {
      gq_look_everywhere(q, l, *cursor, &c);
      if (c.total) gate->turn = true;
    } else {
      const uint32_t d = gq_front_window(q, *cursor) + 1;

      peeks = cells == 1 && d < GQ_WINDOWS;
      if (peeks) peek = gq_unit_ld_sys(gq_chunk_units(q, l, chunk) + d * 32);
      done = gq_visit_front(q, stage, lane, l, cursor, gate, &c);
    }
  }
  gate->idle = c.total ? 0 : gate->idle + 1;
  /* A window full of messages; of messages as large as a window, two. Behind a hole there may be more, too. */
  gate->burst = c.total >= (cells > 1 ? cells : 2) || gate->idle % GQ_LOOKS == GQ_LOOKS - 1 ||
                (peeks && c.total && __any_sync(GQ_ALL, peek.w[3] == gq_chunk_tag(q, chunk)));
  if (done || c.total == 0) return c.total;
  if (gq_lane_id() == 0) {
    gq_dev_count(&q.shared->counters.taken, c.total);
    if (cursor->got == 0) gq_raise(&l.front()->seen, chunk + 1);
    if (gate->burst) {
      gq_raise(&l.front()->eager, chunk + q.warps_per_lane);
      gq_raise(&l.front()->turn, chunk + q.warps_per_lane);
    }
  }
  gq_advance(q, cursor, gq_cells_of(q, c));
  if (cursor->chunk != chunk) {
    if (gq_lane_id() == 0) gq_raise(&l.front()->turn, chunk + 1);
    gate->turn = false;
  }
  if (q.is_short && (c.heavy ? c.single : c.total <= GQ_DIRECT && c.total < gq_chunk_cells(q))) {
    gq_run_catch(q, stage, lane, chunk, c);
    gate->pace.replied = true;
    gate->pace.since = (uint32_t)clock();
  } else {
    gq_push_catch(q, lane, chunk, c, cursor->chunk, gate, next);
  }
  return c.total;
}

/* Is there a complete cell that has not been taken? The last look before the kernel leaves. */
__device__ __forceinline__ bool gq_anything_new(const gq_dev_queue &q, uint32_t lane, const gq_cursor &cursor)
{
  gq_catch c;

  gq_look_everywhere(q, gq_dev_lane(q, lane), cursor, &c);
  return c.total != 0;
}

/* Lanes are dealt out to ingress warps: with more warps than lanes, warp w takes every warps_per_lane-th chunk of lane
 * w mod lanes; with more lanes than warps, it takes turns at lanes w, w + warps, and so on. */
__device__ void gq_ingress(const gq_dev_queue &q, const gq_stage &stage, uint32_t w, uint32_t warps)
{
  const uint32_t place = w / q.lane_count; /* among the warps of the lane */
  const bool several = q.lane_count > warps, idle = !several && place >= q.warps_per_lane;
  const uint32_t own = several ? w : w % q.lane_count;
  uint32_t lane = own;
  gq_cursor *kept = q.cursors + (size_t)lane * q.warps_per_lane + (several ? 0 : place);
  gq_cursor cursor = {0, 0, 0};
  gq_gate gate = {0, 0, 0, 0, false, {{0, 0, 0, 0}}, several, !several, false, false, {false, 0, 0}};
  uint32_t word = gq_phase_word(q.epoch, 0, GQ_RUN), done = word, turns = 1; /* 1: the first look is at the lane */
  gq_unit next[GQ_WINDOWS];

  if (!idle) cursor = *kept;
  for (;;) {
    if ((word & 3u) != GQ_RUN || idle || turns++ % GQ_PHASE_TURNS == 0) word = gq_phase_now(q);
    if ((word & 3u) == GQ_LEAVE) break;
    if ((word & 3u) != GQ_RUN) {
      if (word != done) {
        bool found = false;

        if ((word & 3u) == GQ_LOOK && !idle)
          for (uint32_t i = own; i < q.lane_count && !found; i += several ? warps : q.lane_count)
            found = gq_anything_new(q, i, several && i != lane ? q.cursors[i] : cursor);
        if (gq_lane_id() == 0) {
          if (found) gq_st32(&q.shared->found, 1u, GQ_RELAXED, GQ_GPU);
          gq_add32(&q.shared->arrived, 1u, GQ_ACQ_REL); /* [P2] release: everything taken has been counted */
        }
        done = word;
      }
      gate.ahead = false; /* what was asked for will be out of date */
      __nanosleep(200);
      continue;
    }
    if (idle) {
      __nanosleep(2000);
      continue;
    }
    if (gq_visit(q, stage, lane, &cursor, &gate, next) == 0) turns = 0;
    if (several) { /* take turns */
      *kept = cursor;
      __syncwarp();
      lane = lane + warps < q.lane_count ? lane + warps : own;
      kept = q.cursors + lane;
      cursor = *kept;
      gate.asked = false;
      gate.seen = gate.eager = ~0ull; /* alone with its lanes: always look */
      gate.burst = true;
    }
  }
  if (!idle) *kept = cursor;
}

#endif
