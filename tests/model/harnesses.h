/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked, each a few threads around the library's own functions. */
#ifndef GQ_MODEL_HARNESSES_H
#define GQ_MODEL_HARNESSES_H
#include "fixture.h"

/* Two clients send and take by id: positions are claimed once, cells are accepted whole and used again only when
 * released, whatever lap they are in. */
template <uint32_t ring_log2, uint32_t capacity>
struct by_id_test : rl::test_suite<by_id_test<ring_log2, capacity>, 3> {
  fixture f;

  void before() { f.begin({ring_log2, capacity, 2, 1, true}, 2); }
  void thread(unsigned index)
  {
    if (index == 2) return f.serve_until_done(0);
    for (unsigned i = 0; i < 3; i++) {
      const uint32_t number = index * 3 + i;
      uint64_t id;

      while (!f.send(number, INLINE, 0, &id)) continue;
      for (;;) {
        const gq_status status = f.take(id, number, INLINE);

        if (status == GQ_OK) break;
        RL_ASSERT(status == GQ_AGAIN); /* its own id is known until it takes it */
      }
    }
    f.clients_left--;
  }
  void after() { f.end(6, false); }
};
typedef by_id_test<1, 2> by_id_full_ring;
typedef by_id_test<2, 3> by_id_part_of_ring;

/* Payloads and results in slots: their bytes are plain memory, licensed by the cell that names them. There are slots
 * for two messages only, so each has to give back its own. */
template <bool polled> struct slots_test : rl::test_suite<slots_test<polled>, 2> {
  fixture f;

  void before() { f.begin({1, 2, 5, 1, true}, 1); }
  void thread(unsigned index)
  {
    uint64_t ids[2];

    if (index == 1) return f.serve_until_done(0);
    for (unsigned i = 0; i < 4; i += 2) {
      for (unsigned k = 0; k < 2; k++) while (!f.send(i + k, LARGE, 0, &ids[k])) continue;
      if (polled) for (unsigned k = 0; k < 2;) k += f.poll(2);
      else for (unsigned k = 0; k < 2; k++) while (f.take(ids[k], i + k, LARGE) != GQ_OK) continue;
    }
    f.clients_left--;
  }
  void after() { f.end(4, false); }
};

/* One sends, one reads by id and cancels, one polls: each message ends once, with one of the two, and the poller finds
 * every one that is left to it. The first `undisturbed` are polled with nobody coming by an id yet. */
template <bool ordered, uint32_t ring_log2, uint32_t capacity, unsigned workers, unsigned nth_polled = 3,
          bool is_short = false, unsigned undisturbed = 0>
struct poll_test
  : rl::test_suite<poll_test<ordered, ring_log2, capacity, workers, nth_polled, is_short, undisturbed>, 3 + workers> {
  static const unsigned messages = nth_polled + 4;
  fixture f;
  rl::atomic<uint64_t> ids[messages]; /* how the application passes them on */

  void before()
  {
    f.begin({ring_log2, capacity, 2, workers, ordered, is_short}, 3);
    for (auto &id : ids) id.store(0, rl::mo_relaxed, $);
  }
  void send()
  {
    for (unsigned sent = 0; sent < messages;) {
      uint64_t id;

      if (f.send(sent, INLINE, 0, &id)) ids[sent++].store(id, rl::mo_release, $);
    }
  }
  void read_and_cancel()
  {
    for (unsigned i = undisturbed; i < messages; i++) {
      uint64_t id;

      if (i % nth_polled == nth_polled - 2) continue; /* left to the poller */
      while (!(id = ids[i].load(rl::mo_acquire, $))) rl::yield(1, $);
      if (i % 3 == 2) gq_cancel(&f.queue, id);
      while (f.take(id, i, INLINE) == GQ_AGAIN) continue;
    }
  }
  void poll()
  {
    for (unsigned taken = 0; taken < messages;) {
      f.poll(undisturbed ? 2 : 1);
      taken = 0;
      for (unsigned i = 0; i < messages; i++) taken += f.takes[i];
    }
  }
  void thread(unsigned index)
  {
    if (index >= 3) return f.serve_until_done(index - 3);
    if (index == 0) send();
    else if (index == 1) read_and_cancel();
    else poll();
    f.clients_left--;
  }
  void after() { f.end(messages, true); }
};
typedef poll_test<false, 1, 2, 1> poll_unordered;
typedef poll_test<false, 1, 2, 2> poll_two_workers;
typedef poll_test<false, 1, 2, 2, 8> poll_rarely; /* entries of the completion order are overwritten meanwhile */
/* The same for a short handler, whose results are posted several at once. */
typedef poll_test<false, 1, 2, 2, 3, true> poll_short;
typedef poll_test<false, 1, 2, 2, 8, true> poll_rarely_short;
typedef poll_test<true, 1, 2, 1> poll_ordered;
typedef poll_test<true, 1, 2, 2, 8> poll_ordered_rarely;
typedef poll_test<true, 2, 3, 1> poll_part_of_ring;

/* The poller has begun to take without exchanges, two at once, when the first comes by an id [O2]. */
typedef poll_test<false, 2, 4, 1, 4, false, 1> ids_come_later;
typedef poll_test<true, 2, 3, 1, 4, false, 2> ids_come_later_ordered;

/* Two clients who only poll, and send: what one has released the other's message reuses. */
template <bool ordered> struct two_pollers : rl::test_suite<two_pollers<ordered>, 3> {
  fixture f;

  void before() { f.begin({2, 3, 2, 1, ordered}, 2); }
  void thread(unsigned index)
  {
    if (index == 2) return f.serve_until_done(0);
    for (unsigned sent = 0, polled = 0; sent < 4 || polled < 4;) {
      uint64_t id;

      if (sent < 4) sent += f.send(index * 4 + sent, INLINE, 0, &id);
      if (polled < 4) polled += f.poll();
    }
    f.clients_left--;
  }
  void after() { f.end(8, false); }
};

/* The resident ring alone: two who fill it and two who claim. */
struct ring_test : rl::test_suite<ring_test, 4> {
  static const unsigned each = 3;
  fixture f;
  unsigned claimed;

  void before()
  {
    f.begin({1, 2, 2, 2, true}, 0);
    gq_model_ring_log2 = 2;
    claimed = 0;
  }
  void fill(unsigned index)
  {
    for (unsigned i = 0; i < each;) {
      const uint32_t number = index * each + i, room = gq_ring_room(&f.ring, 4, 2);
      fetched message;
      uint32_t entry;

      RL_ASSERT(room <= 2); /* never more than the slack leaves */
      if (room == 0) {
        rl::yield(1, $);
        continue;
      }
      message.lane = 7;
      message.position = number;
      message.view.head[0] = INLINE, message.view.head[1] = message.view.head[2] = 0;
      __builtin_memcpy(message.payload, &number, 4);
      entry = gq_ring_reserve(&f.ring, 1);
      ring_put(&f.state, entry, &message);
      i++;
    }
  }
  void drain()
  {
    while (claimed < 2 * each) {
      fetched message;
      uint32_t entry, number;
      const uint32_t n = gq_ring_claim(&f.ring, 2, &entry);

      claimed += n;
      for (uint32_t i = 0; i < n; i++) {
        ring_get(&f.state, entry + i, &message);
        __builtin_memcpy(&number, message.payload, 4);
        RL_ASSERT(message.lane == 7 && message.position == number && number < 2 * each); /* [Q1] */
        RL_ASSERT(++f.takes[number] == 1);
      }
      if (n == 0) rl::yield(1, $);
    }
  }
  void thread(unsigned index)
  {
    if (index < 2) fill(index);
    else drain();
  }
  void after()
  {
    for (unsigned i = 0; i < 2 * each; i++) RL_ASSERT(f.takes[i] == 1);
  }
};

/* Messages of one key and two workers: in order, one at a time, once, through several laps of the words. One client
 * sends and another takes, by id or by polling: that a message was taken tells the sender that it need not be waited
 * for [K4]. The handler is short, so that workers do not meet at `awake` before and after each message, which would
 * order all handlers. */
template <bool polled> struct keys_test : rl::test_suite<keys_test<polled>, 4> {
  static const unsigned messages = 6;
  fixture f;
  rl::atomic<uint64_t> ids[messages];

  void before()
  {
    f.begin({1, 2, 5, 2, true, true}, 2);
    for (auto &id : ids) id.store(0, rl::mo_relaxed, $);
  }
  void thread(unsigned index)
  {
    if (index > 1) return f.serve_until_done(index - 2);
    for (unsigned i = 0; i < messages;) {
      uint64_t id;

      if (index == 0) {
        if (f.send(i, INLINE, 99, &id)) ids[i++].store(id, rl::mo_release, $);
      } else if (polled) {
        i += f.poll();
      } else {
        while (!(id = ids[i].load(rl::mo_acquire, $))) rl::yield(1, $);
        i += f.take(id, i, INLINE) == GQ_OK;
      }
    }
    f.clients_left--;
  }
  void after() { f.end(messages, false); }
};

/* Workers that go to sleep whenever they have nothing to do: a message that is sent meanwhile is found. In a ring of
 * one cell, the last one awake has missed a whole lap as soon as another has fetched a message. */
template <unsigned clients, unsigned workers, unsigned each, uint32_t ring_log2 = 1, bool is_short = false>
struct park_test : rl::test_suite<park_test<clients, workers, each, ring_log2, is_short>, clients + workers> {
  fixture f;

  void before() { f.begin({ring_log2, 1u << ring_log2, 2, workers, true, is_short}, clients); }
  void thread(unsigned index)
  {
    if (index >= clients) {
      gq_cpu_work(&f.workers[index - clients]);
      return;
    }
    for (unsigned i = 0; i < each; i++) {
      uint64_t id;

      while (!f.send(index * each + i, INLINE, 0, &id)) continue;
      while (f.take(id, index * each + i, INLINE) != GQ_OK) continue;
    }
    if (--f.clients_left) return;
    f.state.stop.v.store(1, rl::mo_release, $); /* as cpu_stop() */
    gq_wake(&f.state.bell, 0x7fffffff);
  }
  void after() { f.end(clients * each, false); }
};

/* A handler that takes long holds up nobody else's message: `busy` of them last until a message that came later has
 * begun, while the one worker that is left may sleep. A wake-up that is lost is a livelock. */
template <unsigned busy, uint32_t ring_log2, unsigned laps>
struct busy_test : rl::test_suite<busy_test<busy, ring_log2, laps>, 2 + busy> {
  static const unsigned each = busy + 1;
  fixture f;

  void before()
  {
    f.begin({ring_log2, each, 2, busy + 1, true}, 1);
    for (unsigned i = 0; i < laps * each; i++) f.waits_for[i] = i % each < busy ? i / each * each + busy : 0;
  }
  void thread(unsigned index)
  {
    uint64_t ids[each];

    if (index > 0) {
      gq_cpu_work(&f.workers[index - 1]);
      return;
    }
    for (unsigned i = 0; i < laps * each; i += each) {
      for (unsigned k = 0; k < each; k++) while (!f.send(i + k, INLINE, 0, &ids[k])) continue;
      for (unsigned k = 0; k < each; k++) while (f.take(ids[k], i + k, INLINE) != GQ_OK) continue;
    }
    f.state.stop.v.store(1, rl::mo_release, $);
    gq_wake(&f.state.bell, 0x7fffffff);
  }
  void after() { f.end(laps * each, false); }
};

#endif
