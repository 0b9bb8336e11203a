/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of one lane on the CPU backend, small enough to be checked, without its operating system threads: relacy's
 * threads call the library's functions. */
#ifndef GQ_MODEL_FIXTURE_H
#define GQ_MODEL_FIXTURE_H
#include "shipped.h"

struct shape {
  uint32_t ring_log2, capacity, units;
  uint32_t workers;
  bool ordered;
  bool is_short; /* the handler is known to be: a worker runs all that it has fetched */
};

#define MOST_CELLS 4u
#define MOST_UNITS 5u
#define MOST_WORKERS 3u
#define MOST_ENTRIES 8u
#define MOST_MESSAGES 12u
#define INLINE 4u   /* bytes of a message that fits its cell */
#define LARGE 32u   /* bytes of one that has slots for payload and result, in cells of 5 units */

static int32_t run_handler(const gq_msg *msg, gq_reply *reply, const gq_context *context);
static gq_declaration model_declaration;
static gq_handler model_handler = {1, &model_declaration, run_handler, NULL};

/* Plain memory that no iteration leaves anything in. */
static gq_core core;
static uint64_t key_last[GQ_KEY_SLOTS];
static uint8_t unpacked_bytes[MOST_CELLS * 64];
static uint8_t arena_bytes[GQ_MODEL_SLOTS * 256];

struct fixture {
  gq_lane_head head;
  gq_unit submissions[MOST_CELLS * MOST_UNITS], completions[MOST_CELLS * MOST_UNITS];
  gq_a64 endings[MOST_CELLS * 2], positions[MOST_CELLS];
  gq_stamp start_stamps[1];
  gq_a64 enqueue_stamps[1];
  gq_lane lane;
  gq_queue queue;
  gq_backend_state state;
  worker workers[MOST_WORKERS];
  source sources[1];
  std::remove_pointer_t<decltype(source::keys)> keys[MOST_CELLS];
  gq_ring_counts ring;
  gq_unit ring_cells[MOST_ENTRIES * MOST_UNITS], ring_origins[MOST_ENTRIES * 2];
  gq_a32 ring_free[MOST_ENTRIES];
  rl::mutex key_lock, arena_lock;
  gq_model_slots slots;
  rl::var<uint32_t> unpacked[MOST_CELLS]; /* stands for the bytes that gq_poll() unpacks for its caller */
  rl::var<uint32_t> marked[MOST_CELLS];   /* see gq_model_mark_taken() */
  rl::var<uint32_t> key_value;            /* what the handlers of one key pass on to each other */
  unsigned clients_left;                  /* no part of the protocol: ends the workers' threads */
  unsigned runs[MOST_MESSAGES], takes[MOST_MESSAGES];
  uint32_t next_keyed;
  uint32_t waits_for[MOST_MESSAGES];      /* its handler lasts until that one has begun; 0: it does not wait */

  void begin(const shape &s, unsigned clients);
  bool send(uint32_t number, uint32_t size, uint64_t key, uint64_t *id);
  gq_status take(uint64_t id, uint32_t number, uint32_t size);
  unsigned poll(unsigned max = 1);
  void look_at(const gq_completion *c);
  void serve_until_done(unsigned index);
  void end(unsigned messages, bool may_be_cancelled);
};
static fixture *now;

static void name_units(gq_unit *units, unsigned count, const char *name)
{
  for (unsigned i = 0; i < count; i++) units[i].ring = name;
}

void fixture::begin(const shape &s, unsigned clients)
{
  now = this;
  gq_model_time = 0;
  gq_model_ring_log2 = 3;
  gq_model_arena = &slots;
  slots.base = arena_bytes;
  for (auto &c : slots.content) c($) = 0;
  for (auto &u : unpacked) u($) = 0;
  for (auto &m : marked) m($) = 0;
  gq_model_marked = marked;
  key_value($) = 0;
  name_units(submissions, MOST_CELLS * MOST_UNITS, "submission");
  name_units(completions, MOST_CELLS * MOST_UNITS, "completion");
  name_units(ring_cells, MOST_ENTRIES * MOST_UNITS, "resident cell");
  name_units(ring_origins, MOST_ENTRIES * 2, "resident origin");
  for (unsigned i = 0; i < 1u << s.ring_log2; i++) positions[i].v.store(i, rl::mo_relaxed, $);
  memset(key_last, 0, sizeof key_last);
  clients_left = clients;
  next_keyed = 0;
  for (unsigned i = 0; i < MOST_MESSAGES; i++) runs[i] = takes[i] = waits_for[i] = 0;

  lane.head = &head;
  lane.submissions = submissions, lane.completions = completions;
  lane.endings = endings, lane.state = positions;
  lane.start_stamps = start_stamps, lane.enqueue_stamps = enqueue_stamps;
  lane.arena_base = arena_bytes;
  lane.units = s.units, lane.unit_bytes = 8;
  lane.ring_log2 = s.ring_log2, lane.ring_mask = (1u << s.ring_log2) - 1, lane.capacity = s.capacity, lane.index = 0;
  lane.max_message_bytes = lane.max_result_bytes = LARGE;
  lane.handler_multiplier = 1, lane.handler_constant = 0;
  lane.key_lock.m = &key_lock;
  lane.key_last = key_last;
  lane.arena.lock.m = &arena_lock;
  lane.arena.bytes = sizeof arena_bytes;
  memset(lane.arena.free_head, 0, sizeof lane.arena.free_head);
  lane.unpacked = unpacked_bytes, lane.unpacked_bytes = 64;

  memset((void *)&core, 0, sizeof core);
  core.consumption.lanes = &lane, core.consumption.lane_count = 1;
  core.consumption.limits = {s.units, 8, s.ring_log2, 1, LARGE, LARGE, sizeof arena_bytes, s.ordered, 1};
  core.consumption.is_short = s.is_short;
  core.consumption.handler = &model_handler;
  core.consumption.scope = 1;
  core.lanes = &lane, core.lane_count = 1;
  core.backend = &gq_cpu_backend, core.state = &state;
  queue.core = &core, queue.lane = &lane, queue.open = true, queue.watch = NULL;

  state.c = &core.consumption;
  state.workers = workers, state.worker_count = state.started = s.workers;
  state.sources = sources, sources[0].keys = keys;
  state.ring = &ring, state.ring_cells = ring_cells, state.ring_origins = ring_origins, state.ring_free = ring_free;
  state.awake.v.store(s.workers, rl::mo_relaxed, $);
  for (auto &w : workers) w.state = &state, w.guard_stack = NULL, memset((void *)&w.counters, 0, sizeof w.counters);
}

/* The handler: echoes the first word, which is the message's number, and counts. */
static int32_t run_handler(const gq_msg *msg, gq_reply *reply, const gq_context *)
{
  uint32_t number = 0;

  gq_model_copy(&number, msg->data, 4);
  RL_ASSERT(number < MOST_MESSAGES); /* [S1] [S2] what was sent is what is seen */
  RL_ASSERT(++now->runs[number] == 1);
  while (now->waits_for[number] && !now->runs[now->waits_for[number]]) rl::yield(1, $);
  if (msg->key) { /* [K1] one after another, each seeing what the one before it left */
    RL_ASSERT(now->key_value($) == now->next_keyed);
    now->key_value($) = ++now->next_keyed;
    RL_ASSERT(number + 1 == now->next_keyed);
  }
  gq_model_copy(reply->data, &number, 4);
  reply->size = msg->size;
  return 0;
}

/* Send message \p number if there is room. */
bool fixture::send(uint32_t number, uint32_t size, uint64_t key, uint64_t *id)
{
  uint8_t data[LARGE] = {(uint8_t)number};
  const gq_message m = {data, size, key, 0, 0};
  const gq_status status = gq_enqueue(&queue, &m, 0, id);

  RL_ASSERT(status == GQ_OK || status == GQ_FULL);
  if (status != GQ_OK) {
    rl::yield(1, $);
    return false;
  }
  /* What is in use never exceeds the capacity. */
  const uint64_t position = gq_id_position(*id);
  if (position >= lane.capacity) {
    const uint64_t old = position - lane.capacity;

    RL_ASSERT(positions[old & lane.ring_mask].v.debug_value() >= old + lane.ring_mask + 1);
  }
  return true;
}

gq_status fixture::take(uint64_t id, uint32_t number, uint32_t size)
{
  uint32_t value[LARGE / 4];
  size_t room = sizeof value;
  const gq_status status = gq_try_dequeue_result(&queue, id, value, &room);

  if (status == GQ_OK) {
    RL_ASSERT(room == size);
    RL_ASSERT(value[0] == number); /* [C1] [C2] */
  }
  if (status == GQ_OK || status == GQ_CANCELLED) RL_ASSERT(++takes[number] == 1);
  else RL_ASSERT(status == GQ_AGAIN || status == GQ_UNKNOWN_ID);
  if (status == GQ_AGAIN) rl::yield(1, $);
  return status;
}

/* One that was cancelled has no data: there, message n is sent as position n. */
void fixture::look_at(const gq_completion *c)
{
  const uint32_t position = (uint32_t)gq_id_position(c->id), cell = position & (uint32_t)lane.ring_mask;
  uint32_t number = position;

  if (c->status == GQ_OK) gq_model_copy(&number, c->data, 4); /* [C1] [C2] */
  RL_ASSERT(number < MOST_MESSAGES);
  RL_ASSERT(++takes[number] == 1);
  RL_ASSERT(completions[cell * lane.units].content($) == gq_tag(position, lane.ring_log2));
  unpacked[cell]($) = number; /* [R1] nobody else unpacks there until it is released */
  if (c->status == GQ_OK) RL_ASSERT(c->size == INLINE || c->size == LARGE);
  else RL_ASSERT(c->status == GQ_CANCELLED);
  RL_ASSERT(unpacked[cell]($) == number);
}

/* Poll up to \p max completions. \return how many there were */
unsigned fixture::poll(unsigned max)
{
  gq_completion c[MOST_CELLS];
  size_t n = 0;
  const gq_status status = gq_poll(&queue, c, max, &n);

  if (status == GQ_AGAIN) {
    rl::yield(1, $);
    return 0;
  }
  RL_ASSERT(status == GQ_OK && n > 0 && n <= max);
  for (size_t i = 0; i < n; i++) look_at(&c[i]);
  gq_release(&queue, c, n);
  return (unsigned)n;
}

void fixture::serve_until_done(unsigned index)
{
  while (serve_ring(&workers[index]) || serve_lanes(&workers[index]) || clients_left > 0) rl::yield(1, $);
}

void fixture::end(unsigned messages, bool may_be_cancelled)
{
  for (unsigned i = 0; i < messages; i++) {
    RL_ASSERT(takes[i] == 1);
    RL_ASSERT(runs[i] == 1 || may_be_cancelled);
  }
}

#endif
