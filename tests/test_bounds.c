/* SPDX-License-Identifier: Apache-2.0 */
/* Every handler that ships keeps to its bounds, on every size and on damaged input: it reads nothing but the message
 * (a sanitizer sees the rest) and lets the bytes that round it up to 4 change nothing; it writes nothing but its
 * result, of no more than it declares, and nothing past the room that it is given. Compiled for the host. */
#include <stdlib.h>
#include <string.h>

#include "../lib/handlers.h"
#include "suite.h"

#define GUARD 0xa5
#define MOST_ROOM 8192
#define MOST_SIZE 300

/* What some handlers do not run without, and input that gets further than random bytes. */
static const struct subject {
  const char *name;
  const char *const args[4];
  const char *sample;
} subjects[] = {
  { "black_scholes", { NULL }, "call,100,95,0.03,0.2,0.5" },
  { "black_scholes", { "packed=1", NULL }, NULL },
  { "edit_distance", { "query=somewhere over the rainbow", NULL }, "somewhere over the rambow" },
  { "edit_distance",
    { "query=0123456789012345678901234567890123456789012345678901234567890123456789", "limit=9", NULL },
    "012345678901234567890123456789012345678901234567890123456789012345678" },
  { "match", { "pattern=^a(b|c)*[^x]+$", NULL }, "abcbcbbccc" },
  { "match", { "pattern=(bc){", "fixed=1", "ignore_case=1", NULL }, "abcbc(BC){cbbccc" },
  { "mlp", { NULL }, NULL },
};

/* A handler with all that it needs. */
typedef struct {
  const gq_handler *handler;
  gq_arg_block args;
  uint8_t *state, *scratch, *shared;
  gq_context ctx;
} bench;

/* posix_memalign() because aligned_alloc() may insist on multiples of 16 and the memory here is exact. */
static uint8_t *allocate(size_t size)
{
  void *memory = NULL;
  ck_assert_int_eq(posix_memalign(&memory, 256, size ? size : 1), 0);
  return memset(memory, 0, size ? size : 1);
}

/* Two layers of 3, 5 and 2. */
static size_t fill_weights(uint8_t *state)
{
  const uint32_t head[] = { 0x4e4e5147, 1, 2, 3, 5, 2 };
  const size_t size = sizeof head + (4 * 5 + 6 * 2) * 4;
  memcpy(state, head, sizeof head);
  return size;
}

static void set_up(bench *b, const char *name, const char *const *args)
{
  const gq_declaration *declared;
  memset(b, 0, sizeof *b);
  b->handler = gq_handler_find(name);
  ck_assert_msg(b->handler, "no handler %s", name);
  declared = b->handler->declared;
  assert_status(gq_args_lay_out(&b->args, declared, args), GQ_OK);
  gq_args_rebase(declared, b->args.bytes, (uint64_t)(uintptr_t)b->args.bytes);
  b->ctx.ranks = b->ctx.scope = 1;
  b->ctx.args = b->args.bytes;
  b->ctx.state_bytes = declared->state_bytes;
  if (declared->state == GQ_STATE_IS_REQUIRED) b->ctx.state_bytes = fill_weights(b->state = allocate(1024));
  else b->state = allocate(b->ctx.state_bytes);
  b->ctx.state = b->state;
  b->ctx.scratch = b->scratch = allocate(b->ctx.scratch_bytes = declared->scratch_bytes);
  b->ctx.shared = b->shared = allocate(b->ctx.shared_bytes = declared->shared_bytes);
  if (b->handler->init) ck_assert_int_eq(b->handler->init(&b->ctx), 0);
}

static void take_down(bench *b)
{
  gq_args_free(&b->args);
  free(b->state), free(b->scratch), free(b->shared);
}

/* Run it with \p capacity bytes of room, exactly, and \p filler in the bytes that round the message up.
 * \return the code; the result goes to \p result, of MOST_ROOM bytes. */
static int32_t run(const bench *b, const uint8_t *data, uint32_t size, uint32_t capacity, int filler, uint8_t *result,
                   uint32_t *result_size)
{
  const uint32_t readable = (size + 3) / 4 * 4;
  uint8_t *exact = allocate(readable), *room = allocate(capacity);
  const gq_msg msg = { .data = exact, .size = size, .attempt = 1, .id = 1 };
  gq_reply reply = { .data = room, .capacity = capacity };
  int32_t code;
  uint32_t i;
  memset(exact, filler, readable);
  if (size) memcpy(exact, data, size);
  memset(room, GUARD, capacity);
  code = b->handler->function(&msg, &reply, &b->ctx);
  ck_assert_msg(size == 0 || memcmp(exact, data, size) == 0, "%s changes the message", b->handler->declared->info.name);
  if (!code && reply.size <= capacity)
    for (i = reply.size; i < capacity; i++)
      ck_assert_msg(room[i] == GUARD, "%s: byte %u behind a result of %u", b->handler->declared->info.name, i,
                    reply.size);
  memcpy(result, room, capacity);
  *result_size = reply.size;
  free(exact), free(room);
  return code;
}

static void check_message(bench *b, const uint8_t *data, uint32_t size)
{
  const gq_declaration *declared = b->handler->declared;
  const char *name = declared->info.name;
  const uint32_t bound = declared->multiplier * size + declared->constant;
  const bool is_mutable = strcmp(name, "seen") == 0;
  uint8_t first[MOST_ROOM], again[MOST_ROOM];
  uint32_t first_size, again_size, room;
  int32_t code;
  ck_assert_uint_le(bound, MOST_ROOM);
  code = run(b, data, size, bound, 0, first, &first_size);
  ck_assert_msg(code >= 0, "%s: code %d", name, code);
  if (code) first_size = 0;
  ck_assert_msg(first_size <= bound, "%s: a result of %u bytes, declared were %u", name, first_size, bound);
  ck_assert_int_eq(run(b, data, size, bound, 0xff, again, &again_size), code);
  if (code) return;
  ck_assert_msg(is_mutable || memcmp(first, again, bound) == 0, "%s: what is behind %u bytes matters", name, size);
  for (room = first_size; room > 0 && room + 20 > first_size; room--) {
    ck_assert_int_eq(run(b, data, size, room - 1, 0, again, &again_size), 0);
    ck_assert_msg(again_size >= room, "%s: a result of %u bytes in %u", name, again_size, room - 1);
  }
  ck_assert_int_eq(run(b, data, size, first_size, 0, again, &again_size), 0);
  ck_assert_msg(again_size == first_size && (is_mutable || memcmp(first, again, first_size) == 0),
                "%s: another result in exactly enough room", name);
}

static void check_random_messages(bench *b, support_random *random)
{
  uint8_t data[MOST_SIZE];
  uint32_t size;
  for (size = 0; size <= MOST_SIZE; size++) {
    support_fill(data, size, support_next(random));
    check_message(b, data, size);
  }
}

/* \p sample with a few bytes changed, dropped or doubled. */
static void check_damaged(bench *b, support_random *random, const char *sample)
{
  static const char bytes[] = "0123456789.,+-eE \t\r\ncallputx(){}abc";
  size_t n;
  for (n = 0; n < support_scaled(3000); n++) {
    uint8_t data[MOST_SIZE];
    size_t size = strlen(sample), edits = n % 6;
    memcpy(data, sample, size);
    for (; edits && size; edits--) {
      const size_t at = support_below(random, size);
      switch (support_below(random, 4)) {
      case 0: size = support_below(random, 2) ? at : size; break;
      case 1: memmove(data + at, data + at + 1, size - at - 1), size--; break;
      case 2: memmove(data + at + 1, data + at, size - at), size++; break;
      default: data[at] = (uint8_t)bytes[support_below(random, sizeof bytes - 1)];
      }
    }
    check_message(b, data, (uint32_t)size);
  }
}

START_TEST(handlers_without_needs_keep_to_their_bounds)
{
  const gq_handler_info *info;
  support_random random = { 11 };
  size_t i, tried = 0;
  for (i = 0; (info = gq_handler_describe(i)); i++) {
    bench b;
    if (!suite_opens_bare(info)) continue;
    set_up(&b, info->name, NULL);
    check_random_messages(&b, &random);
    take_down(&b);
    tried++;
  }
  ck_assert_uint_ge(tried, 8);
}
END_TEST

START_TEST(handlers_with_needs_keep_to_their_bounds)
{
  support_random random = { 12 };
  size_t i;
  for (i = 0; i < SUITE_COUNT(subjects); i++) {
    bench b;
    set_up(&b, subjects[i].name, subjects[i].args);
    check_random_messages(&b, &random);
    if (subjects[i].sample) check_damaged(&b, &random, subjects[i].sample);
    take_down(&b);
  }
}
END_TEST

START_TEST(every_handler_is_tried)
{
  const gq_handler_info *info;
  size_t i, s;
  for (i = 0; (info = gq_handler_describe(i)); i++) {
    for (s = 0; s < SUITE_COUNT(subjects) && strcmp(subjects[s].name, info->name) != 0; s++) continue;
    ck_assert_msg(s < SUITE_COUNT(subjects) || suite_opens_bare(info), "%s is in no list here", info->name);
  }
}
END_TEST

int main(void)
{
  static const suite_test tests[] = {
    SUITE_TEST_ONCE(handlers_without_needs_keep_to_their_bounds),
    SUITE_TEST_ONCE(handlers_with_needs_keep_to_their_bounds),
    SUITE_TEST_ONCE(every_handler_is_tried),
  };
  return suite_main("test_bounds", tests, SUITE_COUNT(tests));
}
