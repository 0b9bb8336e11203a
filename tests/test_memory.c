/* SPDX-License-Identifier: Apache-2.0 */
/* Memory is the documented function of the options (gpuqueue-memory in doc/architecture.md), and traffic does not
 * change it. */
#include "suite.h"

#define MIB ((uint64_t)1 << 20)

static uint64_t power_of_two(uint64_t at_least)
{
  uint64_t power = 1;
  while (power < at_least) power *= 2;
  return power;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

/* What cells take is documented for both kinds of CPU. */
static uint64_t documented_cell(uint64_t most)
{
  static const uint64_t takes[2][3] = {{52, 116, 244}, {84, 180, 372}};
  gq_system_info system = {.size = sizeof system};
  ck_assert_int_eq(gq_get_system_info(&system), GQ_OK);
  const uint64_t *most_of = takes[system.unit_bytes == 16];

  for (int i = 0; i < 3; i++)
    if (most <= most_of[i]) return 128u << i;
  return 128;
}

/* The documented function: a page of words; per cell its two ring cells and 24 bytes of state, per 256 cells 24 bytes
 * of times; an arena for two of the largest messages with their results. Slots are powers of two from 256 bytes on. */
static uint64_t documented_bytes(const gq_options *o, uint64_t result_bytes)
{
  const uint64_t cells = power_of_two(larger(o->capacity, 128)), most = larger(o->max_message_bytes, result_bytes);
  const uint64_t cell = o->cell_bytes ? o->cell_bytes : documented_cell(most);
  const uint64_t rings = (4096 + cells * (2 * cell + 24) + (cells > 256 ? cells / 256 : 1) * 24 + 4095) / 4096 * 4096;
  const uint64_t pair = power_of_two(larger(o->max_message_bytes, 256)) + power_of_two(larger(result_bytes, 256));
  const uint64_t arena = o->arena_bytes ? power_of_two(o->arena_bytes) : power_of_two(larger(2 * pair, 16 * MIB));
  return o->lanes * (rings + arena);
}

/* On the CPU backend the state and the handler's memory of each worker are in host memory too. */
static uint64_t documented_supplies(const gq_options *o, uint64_t state, uint64_t each)
{
  return suite_on_cuda() ? 0 : (state + 4095) / 4096 * 4096 + o->workers * ((each + 127) / 128 * 128);
}

static void expect_memory(const gq_options *options, uint64_t result_bytes)
{
  gq_queue *queue = suite_open(options);
  const uint64_t expected = documented_bytes(options, result_bytes), got = suite_stats(queue).host_bytes;
  ck_assert_msg(got == expected, "capacity %u, cells of %u, messages of %llu, %u lanes: %llu bytes, not %llu",
                options->capacity, options->cell_bytes, (unsigned long long)options->max_message_bytes, options->lanes,
                (unsigned long long)got, (unsigned long long)expected);
  suite_close(queue);
}

START_TEST(host_memory_is_as_documented)
{
  gq_options options = suite_options("echo");
  expect_memory(&options, options.max_message_bytes);
  options.capacity = 2;
  expect_memory(&options, options.max_message_bytes);
  options.capacity = 1000, options.cell_bytes = 512, options.lanes = 3;
  expect_memory(&options, options.max_message_bytes);
  options.max_message_bytes = 0;
  expect_memory(&options, 0);
  options.max_message_bytes = 3000001;
  expect_memory(&options, 3000001);
  options.cell_bytes = 0;
  static const uint64_t sizes[] = {0, 52, 53, 84, 85, 116, 117, 180, 181, 244, 245, 372, 373}; /* what cells just take */
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    options.max_message_bytes = sizes[i];
    expect_memory(&options, sizes[i]);
  }
  options.max_message_bytes = 64 * MIB, options.max_result_bytes = 100, options.lanes = 1;
  expect_memory(&options, 100);
  options.handler = "crc32c", options.max_result_bytes = 0;
  expect_memory(&options, 4);
  options.arena_bytes = 300 * MIB;
  expect_memory(&options, 4);
}
END_TEST

START_TEST(supplies_are_counted)
{
  gq_options options = suite_options("test_context");   /* results of up to 128 bytes, 256 of state, 1008 + 208 a message */
  options.workers = 3;
  options.max_message_bytes = 100;
  gq_queue *queue = suite_open(&options);
  const gq_statistics small = suite_stats(queue);
  ck_assert_uint_eq(small.host_bytes, documented_bytes(&options, 128) + documented_supplies(&options, 256, 1216));
  suite_close(queue);
  options.state_bytes = 5 * MIB + 1;
  queue = suite_open(&options);
  const gq_statistics large = suite_stats(queue);
  ck_assert_uint_eq(large.host_bytes,
                    documented_bytes(&options, 128) + documented_supplies(&options, 5 * MIB + 1, 1216));
  ck_assert_uint_eq(large.device_bytes - small.device_bytes, suite_on_cuda() ? 5 * MIB + 256 - 256 : 0);
  suite_close(queue);
}
END_TEST

START_TEST(device_memory_is_reported_where_there_is_a_device)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const uint64_t bytes = suite_stats(queue).device_bytes;
  if (suite_on_cuda()) ck_assert_uint_gt(bytes, 0);
  else ck_assert_uint_eq(bytes, 0);
  suite_close(queue);
}
END_TEST

START_TEST(traffic_does_not_change_memory)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = MIB;
  options.lanes = 2;
  gq_queue *queue = suite_open(&options);
  const gq_statistics before = suite_stats(queue);
  gq_queue *lane = suite_open_lane(queue);
  for (size_t i = 0; i < 300; i++) {
    gq_queue *one = i % 2 ? lane : queue;
    const size_t size = (i * 7919) % 50 ? i * 13 : MIB;
    suite_take_pattern(one, suite_enqueue_pattern(one, size, i), size, i);
  }
  const gq_statistics after = suite_stats(queue);
  ck_assert_uint_eq(after.host_bytes, before.host_bytes);
  ck_assert_uint_eq(after.device_bytes, before.device_bytes);
  suite_close(queue);
}
END_TEST

START_TEST(too_small_an_arena_is_refused)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 4 * MIB;
  options.arena_bytes = 4 * MIB;   /* no room for the result beside the message */
  gq_queue *queue = NULL;
  assert_status(gq_init(&queue, &options), GQ_INVALID);
  assert_error_says("arena_bytes");
  assert_error_says("8388608");
  options.arena_bytes = 8 * MIB;
  queue = suite_open(&options);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 4 * MIB, 1), 4 * MIB, 1);
  suite_close(queue);
}
END_TEST

/* Fill the smallest arena with messages of mixed sizes again and again: nothing may leak or stay in pieces. */
START_TEST(the_arena_is_whole_again_after_traffic)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = MIB;
  options.arena_bytes = 2 * MIB;
  gq_queue *queue = suite_open(&options);
  support_random random = { 21 };
  static unsigned char data[1 << 20];
  for (size_t round = 0; round < 50; round++) {
    uint64_t ids[256];
    size_t sizes[256], count = 0;
    for (; count < 256; count++) {
      sizes[count] = support_below(&random, 3) ? support_below(&random, 2000) : support_below(&random, 60000);
      const gq_message message = { .data = data, .size = sizes[count] };
      support_fill(data, sizes[count], sizes[count]);
      const gq_status status = gq_enqueue(queue, &message, 0, &ids[count]);
      if (status == GQ_FULL) break;
      assert_status(status, GQ_OK);
    }
    ck_assert_uint_gt(count, 5);
    for (size_t i = 0; i < count; i++) {   /* from both ends */
      const size_t k = i % 2 ? i / 2 : count - 1 - i / 2;
      suite_take_pattern(queue, ids[k], sizes[k], sizes[k]);
    }
    suite_take_pattern(queue, suite_enqueue_pattern(queue, MIB, round), MIB, round);   /* takes all of the arena */
  }
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(host_memory_is_as_documented),
    SUITE_TEST(supplies_are_counted),
    SUITE_TEST(device_memory_is_reported_where_there_is_a_device),
    SUITE_TEST(traffic_does_not_change_memory),
    SUITE_TEST(too_small_an_arena_is_refused),
    SUITE_TEST(the_arena_is_whole_again_after_traffic),
  };
  return suite_main("test_memory", tests, SUITE_COUNT(tests));
}
