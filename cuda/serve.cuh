/* SPDX-License-Identifier: Apache-2.0 */
/* From a staged message to its completion in host memory: for a warp that runs up to 32 messages, one a thread, and
 * for a warp or block that runs one together. */
#ifndef GQ_SERVE_CUH
#define GQ_SERVE_CUH
#include "cuda/handlers.cuh" /* first: it says for what handler.h is read */
#include "cuda/begun.cuh"
#include "cuda/stage.cuh"

#define GQ_ALL 0xffffffffu
#define GQ_WIDE_BYTES 4096u  /* a payload that a thread alone takes too long over: it copies some 200 MB/s */
#define GQ_WIDE_ALONE 512u   /* the same, of one that comes alone and has a warp to itself anyhow */
#define GQ_LARGE_BYTES 8192u /* a message that workers are told of: with such ones, each takes as little as it can */
#define GQ_MOST_WEIGHT 32u   /* in these, what a warp takes at once, about, of large messages that it runs one by one */
#define GQ_FULL_BYTES 4096u  /* what a warp has under way when it copies */

__device__ __forceinline__ uint32_t gq_warp_sum(uint32_t v)
{
  for (int i = 16; i > 0; i >>= 1) v += __shfl_xor_sync(GQ_ALL, v, i);
  return v;
}

/* What the handler runs in: of a message in this scope on this thread. */
template <int scope>
__device__ __forceinline__ gq_context gq_make_context(const gq_dev_queue &q, uint32_t rank, uint32_t ranks)
{
  const uint32_t warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const uint32_t place = scope == 1 ? blockIdx.x * blockDim.x + threadIdx.x
                       : scope == 2 ? blockIdx.x * warps + warp : blockIdx.x;
  gq_context c;

  c.rank = rank;
  c.ranks = ranks;
  c.scope = scope;
  c.reserved = 0;
  c.args = q.args;
  c.state = q.state;
  c.state_bytes = q.state_bytes;
  c.scratch = q.scratch + place * q.scratch_stride;
  c.scratch_bytes = q.scratch_bytes;
  c.shared = scope == 1 ? c.scratch + q.scratch_bytes
                        : gq_shared_memory + q.shared_at + (scope == 2 ? warp * q.shared_bytes : 0);
  c.shared_bytes = q.shared_bytes;
  return c;
}

/* Of a cell with these head words: how large its payload is, if it lies in a slot, in GQ_LARGE_BYTES. What will be
 * refused has none: a client that lies about sizes is not to slow the others down. */
__device__ __forceinline__ uint32_t gq_weight(const gq_dev_queue &q, uint32_t size, uint32_t flags)
{
  if (!(flags & GQ_CELL_SLOT) || size > q.limits.max_message_bytes) return 0;
  return min(size / GQ_LARGE_BYTES, GQ_MOST_WEIGHT);
}

/* What thread `from` has, to all of the warp. */
template <typename T> __device__ __forceinline__ T gq_broadcast(const T &value, uint32_t from)
{
  T copy;

  static_assert(sizeof(T) % 4 == 0, "it is sent by words");
#pragma unroll
  for (uint32_t i = 0; i < sizeof(T) / 4; i++)
    ((uint32_t *)&copy)[i] = __shfl_sync(GQ_ALL, ((const uint32_t *)&value)[i], from);
  return copy;
}

/* How a message came out. */
struct gq_outcome {
  uint32_t status, size, attempts, in_slot;
  int32_t code;
};

__device__ __forceinline__ uint64_t gq_message_id(uint32_t lane, uint64_t position)
{
  return (uint64_t)lane << 52 | (position + 1);
}

__device__ __forceinline__ void gq_fill_message(gq_msg *msg, gq_reply *reply, const gq_dev_lane &l, const gq_job &job,
                                                uint32_t lane, uint8_t *payload, uint8_t *out)
{
  msg->data = job.has_slot ? l.mirror() + job.slot_offset : payload;
  msg->size = job.size;
  msg->attempt = 1;
  msg->id = gq_message_id(lane, job.position);
  msg->key = job.key;
  msg->tag = job.tag;
  reply->data = job.has_result_slot ? l.mirror() + job.result_offset : out;
  reply->capacity = job.room;
  reply->size = 0;
}

/* The gq_status of a message whose handler returned `code`. */
__device__ __forceinline__ uint32_t gq_status_of(int32_t code, uint32_t size, uint32_t room)
{
  return code ? 5u /* GQ_FAILED */ : size > room ? 9u /* GQ_RESULT_TOO_LARGE */ : 0u;
}

__device__ __forceinline__ void gq_judge(gq_outcome *o, const gq_job &job, int32_t code, uint32_t size,
                                         uint32_t attempts, uint32_t inline_room)
{
  o->code = code;
  o->size = size;
  o->attempts = attempts;
  o->status = gq_status_of(code, size, job.room);
  o->in_slot = o->status == 0 && size > inline_room;
}

/* The head of the completion. What failed has no inline bytes. */
__device__ __forceinline__ void gq_outcome_head(uint32_t *head, const gq_outcome &o, const gq_job &job)
{
  gq_completion_head(head, o.status == 0 || o.status == 9 ? o.size : 0,
                     (o.in_slot || o.status ? GQ_CELL_SLOT : 0u) | job.recall, o.status, o.attempts, o.code);
}

/* A message may have waited since its cell was fetched: has it been cancelled meanwhile? Costs a read over PCIe, so it
 * is asked only of what may take long. */
__device__ __forceinline__ bool gq_cancelled_since(const gq_dev_queue &q, const gq_dev_lane &l, const gq_job &job)
{
  const uint64_t cell = job.position & ((1ull << q.limits.ring_log2) - 1);

  if (!q.may_take_long && !job.has_slot) return false;
  const gq_unit head = gq_unit_ld_sys(l.submissions() + (cell << q.units_log2));

  return head.w[3] == gq_tag(job.position, q.limits.ring_log2) && (head.w[1] & GQ_CELL_CANCELLED);
}

__device__ __forceinline__ void gq_stamp(const gq_dev_lane &l, const gq_limits &limits, uint64_t position,
                                         uint32_t which, uint64_t ns)
{
  if (position % GQ_SAMPLE == 0) {
    const uint64_t at = (position & ((1ull << limits.ring_log2) - 1)) / GQ_SAMPLE;

    gq_st64(&l.stamps()[at * 2 + which], ns, GQ_RELAXED, GQ_SYS);
  }
}

/* The word of the phase that is on; its low two bits are the phase. */
__device__ __forceinline__ uint32_t gq_phase_here(const gq_dev_queue &q)
{
  const uint32_t word = gq_ld32(&q.shared->phase, GQ_ACQUIRE, GQ_GPU);

  return word >> 16 == (q.epoch & 0xffffu) ? word : gq_phase_word(q.epoch, 0, GQ_RUN);
}

/* The same to all of the warp. */
__device__ __forceinline__ uint32_t gq_phase_now(const gq_dev_queue &q)
{
  return __shfl_sync(GQ_ALL, gq_phase_here(q), 0);
}

__device__ __forceinline__ bool gq_is_leaving(const gq_dev_queue &q) { return (gq_phase_here(q) & 3u) == GQ_LEAVE; }

/* ------------------------------------------------------------------------------- 32 messages, one a thread */

/* Write the completion cells of all threads in `mask`, whole units by neighbouring threads. */
__device__ __forceinline__ void gq_post_cells(const gq_dev_queue &q, const gq_stage &stage, uint32_t mask,
                                              const uint32_t *head, uint32_t lane, uint64_t position)
{
  const uint32_t units = 1u << q.units_log2, t = gq_lane_id();
  const uint32_t inline_bytes = head[1] & GQ_CELL_SLOT ? 0 : head[0];
  const uint32_t used = 1 + (inline_bytes + 11) / 12, end = 32 - __clz(mask);

  for (uint32_t it = 0; it * 32 >> q.units_log2 < end; it++) {
    const uint32_t index = it * 32 + t, c = index >> q.units_log2, u = index & (units - 1);
    const uint32_t its_used = __shfl_sync(GQ_ALL, used, c), its_lane = __shfl_sync(GQ_ALL, lane, c);
    const uint64_t its_position = __shfl_sync(GQ_ALL, position, c);
    const uint32_t h0 = __shfl_sync(GQ_ALL, head[0], c), h1 = __shfl_sync(GQ_ALL, head[1], c);
    const uint32_t h2 = __shfl_sync(GQ_ALL, head[2], c);

    if ((mask >> c & 1) && u < its_used) {
      const gq_dev_lane l(q, its_lane);
      const uint32_t *words = (const uint32_t *)stage.reply(c) + (u - 1) * 3;
      const uint64_t cell = its_position & ((1ull << q.limits.ring_log2) - 1);
      gq_unit unit;

      if (u == 0) unit.w[0] = h0, unit.w[1] = h1, unit.w[2] = h2;
      else unit.w[0] = words[0], unit.w[1] = words[1], unit.w[2] = words[2];
      unit.w[3] = gq_tag(its_position, q.limits.ring_log2);
      /* [C1] the tags license the client to read the cell */
      gq_unit_st_sys(l.completions() + (cell << q.units_log2) + u, unit);
    }
  }
}

/* Entries in the completion order for all threads in `mask`, all lanes at once. \return this thread's. */
__device__ __forceinline__ uint64_t gq_reserve_endings(const gq_dev_queue &q, uint32_t mask, uint32_t lane,
                                                       uint64_t position)
{
  if (q.limits.ordered) return position;
  const uint32_t t = gq_lane_id();
  const bool mine = mask >> t & 1;
  const uint32_t same = __match_any_sync(GQ_ALL, mine ? lane : GQ_ALL), leader = __ffs(same) - 1;
  uint64_t d = 0;

  if (mine && t == leader) d = gq_add64(gq_dev_lane(q, lane).ended(), (uint64_t)__popc(same), GQ_RELAXED);
  return __shfl_sync(GQ_ALL, d, leader) + __popc(same & ((1u << t) - 1));
}

__device__ __forceinline__ void gq_post_endings(const gq_dev_queue &q, uint32_t mask, uint32_t lane, uint64_t position,
                                                uint64_t d)
{
  if (!(mask >> gq_lane_id() & 1)) return;
  /* [O1] the tag licenses a poller to look at the position that it names */
  gq_st64(&gq_dev_lane(q, lane).endings()[gq_ending_index(d, q.limits.ring_log2)],
          gq_ending_word(d, position, q.limits.ring_log2), GQ_RELAXED, GQ_SYS);
}

__device__ __forceinline__ void gq_count_outcomes(const gq_dev_queue &q, uint32_t mask, const gq_outcome &o)
{
  const bool mine = mask >> gq_lane_id() & 1;
  const uint32_t all = __popc(mask), ok = __popc(__ballot_sync(GQ_ALL, mine && o.status == 0));
  gq_dev_counters *c = &q.shared->counters;

  if (gq_lane_id() == 0) {
    if (ok) gq_dev_count(&c->completed, ok);
    gq_dev_count(&c->finished, all);
  }
  if (__any_sync(GQ_ALL, mine && (o.status != 0 || o.attempts > 1))) {
    const uint32_t cancelled = __popc(__ballot_sync(GQ_ALL, mine && o.status == 6));
    const uint32_t retried = gq_warp_sum(mine && o.attempts > 1 ? o.attempts - 1 : 0);

    if (gq_lane_id() == 0) {
      gq_dev_count(&c->cancelled, cancelled);
      gq_dev_count(&c->failed, all - ok - cancelled);
      gq_dev_count(&c->retried, retried);
    }
  }
}

/* Copy one slot of each message in `left` from host memory to the mirror, or back: of this thread's message `size`
 * bytes at `offset`. Of small ones up to four at a time, with a part of the warp each: both ways are far, and one after
 * another each would be waited for. */
template <bool back>
__device__ __forceinline__ void gq_move_slots(const gq_dev_queue &q, uint32_t left, uint32_t lane, uint64_t offset,
                                              uint32_t size)
{
  const uint32_t small = __ballot_sync(GQ_ALL, size < GQ_FULL_BYTES);

  while (left) {
    const uint32_t rest = left & small ? left & small : left, count = __popc(rest);
    const uint32_t groups = !(left & small) ? 1 : count >= 4 ? 4 : count >= 2 ? 2 : 1, threads = 32 / groups;
    const uint32_t group = gq_lane_id() / threads, rank = gq_lane_id() % threads;
    uint32_t mine = rest, after = rest;

    for (uint32_t i = 0; i < groups; i++) {
      if (i < group) mine &= mine - 1;
      after &= after - 1;
    }
    left ^= rest ^ after;
    const uint32_t c = __ffs(mine) - 1;
    const gq_dev_lane l(q, __shfl_sync(GQ_ALL, lane, c));
    const uint64_t at = __shfl_sync(GQ_ALL, offset, c);
    const uint32_t bytes = __shfl_sync(GQ_ALL, size, c);

    if (back) gq_move(l.arena() + at, l.mirror() + at, bytes, rank, threads);
    else gq_move(l.mirror() + at, l.arena() + at, bytes, rank, threads);
    __syncwarp();
  }
}

/* Bring the slots of the messages in `mask` into device memory. */
__device__ __forceinline__ void gq_fetch_slots(const gq_dev_queue &q, uint32_t mask, const gq_job &job, uint32_t lane)
{
  const uint32_t left = __ballot_sync(GQ_ALL, (mask >> gq_lane_id() & 1) && job.has_slot);

  if (!left) return;
  gq_fence_sys(); /* [S2] acquire: the slot was written before the cell that names it */
  gq_move_slots<false>(q, left, lane, job.slot_offset, job.size);
  __syncwarp();
}

/* Put the results of the messages in `mask` where the client finds them: large ones into their slots in host memory,
 * small ones that were written to a slot into the reply stage. */
__device__ __forceinline__ void gq_return_slots(const gq_dev_queue &q, const gq_stage &stage, uint32_t mask,
                                                const gq_job &job, const gq_outcome &o, uint32_t lane)
{
  const bool mine = (mask >> gq_lane_id() & 1) && job.has_result_slot && o.status == 0;
  const uint32_t left = __ballot_sync(GQ_ALL, mine && o.in_slot);

  if (mine && !o.in_slot) {
    const uint32_t *from = (const uint32_t *)(gq_dev_lane(q, lane).mirror() + job.result_offset);
    uint32_t *to = (uint32_t *)stage.reply(gq_lane_id());

    for (uint32_t i = 0; i * 4 < o.size; i++) to[i] = from[i];
  }
  __syncwarp();
  if (!left) return;
  gq_move_slots<true>(q, left, lane, job.result_offset, o.size);
  gq_fence_sys(); /* [C2] release, by every thread that wrote: the slot before the cell that names it */
  __syncwarp();
}

/* Run the handler on a message, again while it asks for that and may. \return its code. */
__device__ __forceinline__ int32_t gq_run_attempts(const gq_dev_queue &q, gq_msg *msg, gq_reply *reply,
                                                   const gq_context &context)
{
  for (;;) {
    const int32_t code = gq_run_handler(q.limits.handler, msg, reply, &context);

    gq_sync(&context);
    if (code != GQ_RETRY || msg->attempt >= q.limits.attempts) return code;
    msg->attempt++;
    reply->size = 0;
  }
}

/* Run the handler on the message of thread `c` with all of the warp, in a kernel whose other messages are run one a
 * thread. Their scratch memory is free meanwhile: the first thread's serves all. */
__device__ __forceinline__ void gq_run_wide(const gq_dev_queue &q, const gq_stage &stage, uint32_t c, const gq_job &job,
                                            uint32_t lane, gq_outcome *o)
{
  const uint32_t its_lane = __shfl_sync(GQ_ALL, lane, c);
  const gq_job its = gq_broadcast(job, c);
  gq_context context = gq_make_context<1>(q, gq_lane_id(), 32);
  gq_msg msg;
  gq_reply reply;

  context.scope = 2;
  context.scratch -= gq_lane_id() * q.scratch_stride;
  context.shared -= gq_lane_id() * q.scratch_stride;
  gq_fill_message(&msg, &reply, gq_dev_lane(q, its_lane), its, its_lane, stage.payload(c), stage.reply(c));
  if (gq_lane_id() == 0) gq_note(q, 0, msg.id, 1); /* its time begins now: those before it have had theirs */
  const int32_t code = gq_run_attempts(q, &msg, &reply, context);

  if (gq_lane_id() == c)
    gq_judge(o, job, code, reply.size, msg.attempt, gq_inline_bytes(q.limits.units, 16, 0));
}

/* Run the handler on the messages in `mask`, one a thread, and large ones with all of the warp if the handler can.
 * \p fresh: their cells have just been read. */
__device__ __forceinline__ void gq_run_threads(const gq_dev_queue &q, const gq_stage &stage, uint32_t mask,
                                               const gq_job &job, uint32_t lane, bool fresh, gq_outcome *o)
{
  const uint32_t t = gq_lane_id();
  const gq_context context = gq_make_context<1>(q, 0, 1);
  const bool runs = (mask >> t & 1) && !job.malformed && !job.cancelled &&
                    (fresh || !gq_cancelled_since(q, gq_dev_lane(q, lane), job));
  const bool sampled = __any_sync(GQ_ALL, runs && job.position % GQ_SAMPLE == 0);
  uint32_t wide = 0;

  o->status = job.malformed ? 18u /* GQ_MALFORMED */ : 6u /* GQ_CANCELLED */;
  o->size = o->attempts = o->in_slot = 0, o->code = 0;
  gq_fetch_slots(q, __ballot_sync(GQ_ALL, runs), job, lane);
  if constexpr (gq_runs_in<2>)
    if (q.widens) wide = __ballot_sync(GQ_ALL, runs && job.size >= (fresh ? GQ_WIDE_ALONE : GQ_WIDE_BYTES));
  if (sampled && runs) gq_stamp(gq_dev_lane(q, lane), q.limits, job.position, 0, gq_clock_ns());
  if (runs && !(wide >> t & 1)) {
    gq_msg msg;
    gq_reply reply;

    gq_fill_message(&msg, &reply, gq_dev_lane(q, lane), job, lane, stage.payload(t), stage.reply(t));
    const int32_t code = gq_run_attempts(q, &msg, &reply, context);

    gq_judge(o, job, code, reply.size, msg.attempt, gq_inline_bytes(q.limits.units, 16, 0));
  }
  __syncwarp();
  if constexpr (gq_runs_in<2>)
    for (; wide; wide &= wide - 1) gq_run_wide(q, stage, __ffs(wide) - 1, job, lane, o);
  if (sampled && runs) gq_stamp(gq_dev_lane(q, lane), q.limits, job.position, 1, gq_clock_ns());
  gq_return_slots(q, stage, mask, job, *o, lane);
}

/* Load the cells of the messages that waited by key for those just finished; they are in their lanes still. */
__device__ __forceinline__ void gq_recall_cells(const gq_dev_queue &q, const gq_stage &stage, uint32_t mask,
                                                uint32_t lane, uint64_t position)
{
  const uint32_t units = 1u << q.units_log2, t = gq_lane_id();

  for (uint32_t left = mask; left; left &= left - 1) {
    const uint32_t c = __ffs(left) - 1, its_lane = __shfl_sync(GQ_ALL, lane, c);
    const uint64_t p = __shfl_sync(GQ_ALL, position, c), cell = p & ((1ull << q.limits.ring_log2) - 1);
    gq_unit unit = {{0, 0, 0, 0}};

    if (t < units) unit = gq_unit_ld_sys(gq_dev_lane(q, its_lane).submissions() + (cell << q.units_log2) + t);
    const uint32_t flags = __shfl_sync(GQ_ALL, unit.w[1], 0);

    if (t < units) stage.put_unit(c, t, unit, flags);
    if (t == 0) stage.set_origin(c, its_lane, p);
  }
  __syncwarp();
}

/* Serve the staged messages 0 to count - 1, one a thread, and then those that waited for them by key.
 * \p direct: they are of one lane, depend on none, and have `count` entries in its completion order from the number on
 * that thread 0 has in \p reserved, unless the lane is ordered. */
template <bool direct>
__device__ void gq_serve_threads(const gq_dev_queue &q, const gq_stage &stage, uint32_t count, uint64_t reserved)
{
  const uint32_t t = gq_lane_id();
  uint32_t mask = count == 32 ? GQ_ALL : (1u << count) - 1;
  bool first = true;

  __syncwarp();
  while (mask) {
    const bool mine = mask >> t & 1;
    const uint32_t lane = mine ? stage.lane(t) : 0;
    const gq_dev_lane l(q, lane);
    const uint64_t ring_cells = 1ull << q.limits.ring_log2;
    bool ready = mine;
    uint64_t next = 0, ending = 0;
    uint32_t head[3];
    gq_outcome o;
    gq_job job;

    gq_job_decode(&job, mine ? stage.position(t) : 0, stage.head(t), stage.ext(t), &q.limits);
    if (!mine) job.malformed = 1, job.key = 0;
    if (!direct && first && mine && job.dependency && job.dependency <= job.position) {
      const uint64_t d = job.position - job.dependency;
      const gq_key_turn turn = gq_key_start(l.key(d), d, job.position, ring_cells);

      ready = turn != GQ_KEY_LATER;
      while (turn == GQ_KEY_SOON && !gq_key_is_posted(l.key(d), d)) continue; /* another warp is about to post it */
    }
    mask = __ballot_sync(GQ_ALL, ready);
    if (!mask) return;
    gq_note_batch(q, mask, lane, job.position);
    gq_run_threads(q, stage, mask, job, lane, direct && first, &o);
    if (!direct || !first || q.limits.ordered) ending = gq_reserve_endings(q, mask, lane, job.position);
    gq_outcome_head(head, o, job);
    if (ready && job.key) next = gq_key_finish(l.key(job.position), job.position); /* before anybody sees it done */
    gq_post_cells(q, stage, mask, head, lane, job.position);
    if (direct && first && !q.limits.ordered) ending = __shfl_sync(GQ_ALL, reserved, 0) + t; /* it has come by now */
    gq_post_endings(q, mask, lane, job.position, ending); /* last: warps are not stopped one without the other */
    gq_count_outcomes(q, mask, o);
    if (__any_sync(GQ_ALL, ready && job.key)) {
      gq_fence_sys(); /* completions of one key reach the host in order */
      __syncwarp();
      if (ready && job.key) gq_key_posted(l.key(job.position), job.position);
    }
    __syncwarp();
    mask = __ballot_sync(GQ_ALL, next != 0);
    if (mask && (gq_phase_now(q) & 3u) == GQ_LEAVE) return; /* those that waited stay in their lanes */
    if (mask) gq_recall_cells(q, stage, mask, lane, next);
    first = false;
  }
}

/* ----------------------------------------------------------------------------- one message, a warp or block */

template <int scope> __device__ __forceinline__ void gq_group_sync()
{
  if constexpr (scope == 3) __syncthreads();
  else __syncwarp();
}

template <int scope>
__device__ __forceinline__ void gq_run_group(const gq_dev_queue &q, const gq_stage &stage, const gq_job &job,
                                             uint32_t lane, uint32_t rank, uint32_t ranks, gq_outcome *o)
{
  const gq_dev_lane l(q, lane);
  const gq_context context = gq_make_context<scope>(q, rank, ranks);
  gq_msg msg;
  gq_reply reply;
  int32_t code;

  o->status = job.malformed ? 18u : 6u;
  o->size = o->attempts = o->in_slot = 0, o->code = 0;
  if (job.malformed || job.cancelled) return;
  if (job.has_slot) {
    gq_fence_sys(); /* [S2] */
    gq_move(l.mirror() + job.slot_offset, l.arena() + job.slot_offset, job.size, rank, ranks);
    gq_group_sync<scope>();
  }
  if (rank == 0) gq_stamp(l, q.limits, job.position, 0, gq_clock_ns());
  gq_fill_message(&msg, &reply, l, job, lane, stage.payload(0), stage.reply(0));
  code = gq_run_attempts(q, &msg, &reply, context);
  if (rank == 0) gq_stamp(l, q.limits, job.position, 1, gq_clock_ns());
  gq_judge(o, job, code, reply.size, msg.attempt, gq_inline_bytes(q.limits.units, 16, 0));
  if (o->status || !job.has_result_slot) return;
  if (o->in_slot) {
    gq_move(l.arena() + job.result_offset, l.mirror() + job.result_offset, o->size, rank, ranks);
    gq_fence_sys(); /* [C2] */
  } else {
    const uint32_t *from = (const uint32_t *)(l.mirror() + job.result_offset);

    for (uint32_t i = rank; i * 4 < o->size; i += ranks) ((uint32_t *)stage.reply(0))[i] = from[i];
  }
  gq_group_sync<scope>();
}

/* The first warp of the group writes the completion. \return the position that waited by key, to all of the warp. */
__device__ __forceinline__ uint64_t gq_finish_group(const gq_dev_queue &q, const gq_stage &stage, const gq_job &job,
                                                    uint32_t lane, const gq_outcome &o)
{
  const gq_dev_lane l(q, lane);
  uint32_t head[3];
  uint64_t next = 0;

  gq_outcome_head(head, o, job);
  if (job.key && gq_lane_id() == 0) next = gq_key_finish(l.key(job.position), job.position);
  gq_post_cells(q, stage, 1, head, lane, job.position);
  gq_post_endings(q, 1, lane, job.position, gq_reserve_endings(q, 1, lane, job.position));
  gq_count_outcomes(q, 1, o);
  if (job.key) {
    gq_fence_sys();
    __syncwarp();
    if (gq_lane_id() == 0) gq_key_posted(l.key(job.position), job.position);
    next = __shfl_sync(GQ_ALL, next, 0);
    if ((gq_phase_now(q) & 3u) == GQ_LEAVE) next = 0; /* it stays in its lane */
    if (next) gq_recall_cells(q, stage, 1, lane, next);
  }
  return next;
}

/* What the first thread of a group decides about a message, for all of them. */
enum gq_verdict { GQ_GO, GQ_WAIT /* somebody else will run it */, GQ_DROP /* it has been cancelled */ };

/* Serve staged message 0 with a warp (scope 2) or block (scope 3), and then those that waited for it by key.
 * \p word: shared memory of the block, for its first warp to tell the others. */
template <int scope>
__device__ void gq_serve_group(const gq_dev_queue &q, const gq_stage &stage, volatile uint64_t *word)
{
  const uint32_t rank = scope == 3 ? threadIdx.x : gq_lane_id(), ranks = scope == 3 ? blockDim.x : 32;
  const uint64_t ring_cells = 1ull << q.limits.ring_log2;
  bool first = true;

  for (;;) {
    uint64_t next = 0;
    gq_outcome o;
    gq_job job;

    gq_group_sync<scope>();
    const uint32_t lane = stage.lane(0);
    const gq_dev_lane l(q, lane);

    gq_job_decode(&job, stage.position(0), stage.head(0), stage.ext(0), &q.limits);
    if (rank == 0) {
      uint64_t verdict = GQ_GO;

      if (first && job.dependency && job.dependency <= job.position) {
        const uint64_t d = job.position - job.dependency;
        const gq_key_turn turn = gq_key_start(l.key(d), d, job.position, ring_cells);

        if (turn == GQ_KEY_LATER) verdict = GQ_WAIT;
        while (turn == GQ_KEY_SOON && !gq_key_is_posted(l.key(d), d)) continue;
      }
      if (verdict == GQ_GO && gq_cancelled_since(q, l, job)) verdict = GQ_DROP;
      *word = verdict;
    }
    gq_group_sync<scope>();
    const uint32_t verdict = (uint32_t)*word;

    gq_group_sync<scope>();
    if (verdict == GQ_WAIT) return;
    if (verdict == GQ_DROP) job.cancelled = GQ_CELL_CANCELLED;
    if (rank == 0) gq_note(q, 0, gq_message_id(lane, job.position), 1);
    gq_run_group<scope>(q, stage, job, lane, rank, ranks, &o);
    if (rank < 32) next = gq_finish_group(q, stage, job, lane, o);
    if (rank == 0) *word = next;
    gq_group_sync<scope>();
    next = *word;
    gq_group_sync<scope>();
    if (!next) return;
    first = false;
  }
}

#endif
