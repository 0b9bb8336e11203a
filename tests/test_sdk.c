/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler's file turns into on the host, and what the functions of handler.h do there. Of handlers in queues
 * test_arguments.c and test_state.c know more. */
#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "handlers/count_byte.c"

START_TEST(the_manifest_says_what_was_declared)
{
  ck_assert_str_eq(gq_manifest,
                   "gpuqueue-handler 1\n"
                   "name count_byte\n"
                   "summary how often a byte occurs in the message\n"
                   "scopes thread, warp, block\n"
                   "output text\n"
                   "result 0 20\n"
                   "short\n"
                   "state optional\n"
                   "state_bytes 64\n"
                   "scratch 1K\n"
                   "shared 256\n"
                   "example gpuqueue run --handler count_byte --arg byte=32 words.txt\n"
                   "arg uint byte 10 the byte to count\n"
                   "arg int offset -1 added to the count\n"
                   "arg real factor 1.5e0 the count is multiplied by this\n"
                   "arg flag invert 0 count the other bytes\n"
                   "arg string prefix \"a \\\"b\\\"\\n\" text before the count, as it is\n");
}
END_TEST

START_TEST(a_linked_handler_knows_its_parts)
{
  ck_assert_uint_eq(gq_linked_count_byte.abi, 1);
  ck_assert_str_eq(gq_linked_count_byte.manifest, gq_manifest);
  ck_assert(gq_linked_count_byte.function == gq_handler_count_byte);
  ck_assert(gq_linked_count_byte.init == gq_handler_init_count_byte);
}
END_TEST

START_TEST(arguments_lie_as_the_host_lays_them_out)
{
  ck_assert_uint_eq(offsetof(count_byte_args, byte), 0);
  ck_assert_uint_eq(offsetof(count_byte_args, offset), 8);
  ck_assert_uint_eq(offsetof(count_byte_args, factor), 16);
  ck_assert_uint_eq(offsetof(count_byte_args, invert), 24);
  ck_assert_uint_eq(offsetof(count_byte_args, prefix), 32);
  ck_assert_uint_eq(offsetof(count_byte_args, prefix.size), 40);
  ck_assert_uint_eq(sizeof(count_byte_args), 56);
}
END_TEST

START_TEST(it_can_be_called_like_any_function)
{
  const count_byte_args args = { .byte = 'a', .offset = 1, .factor = 2 };
  uint64_t counts[8] = { 5 };
  uint8_t out[32];
  const gq_context ctx = { .ranks = 1, .scope = 1, .args = &args, .state = (uint8_t *)counts, .state_bytes = 64 };
  const gq_msg msg = { .data = (const uint8_t *)"banana", .size = 6, .attempt = 1 };
  gq_reply reply = { .data = out, .capacity = sizeof out };
  ck_assert_int_eq(gq_handler_init_entry(&ctx), 0);
  ck_assert_int_eq(gq_handler_entry(&msg, &reply, &ctx), 0);
  ck_assert_uint_eq(reply.size, 1);
  ck_assert_int_eq(out[0], '8');
  ck_assert_uint_eq(counts[0], 8);
}
END_TEST

START_TEST(one_thread_is_its_own_group)
{
  const gq_context ctx = { .ranks = 1, .scope = 3 };
  ck_assert_uint_eq(gq_rank(&ctx), 0);
  ck_assert_uint_eq(gq_ranks(&ctx), 1);
  gq_sync(&ctx);
  ck_assert_uint_eq(gq_sum_u32(&ctx, 7), 7);
  ck_assert_uint_eq(gq_sum_u64(&ctx, UINT64_C(1) << 40), UINT64_C(1) << 40);
  ck_assert(gq_sum_f32(&ctx, 0.5f) == 0.5f);
  ck_assert_uint_eq(gq_min_u32(&ctx, 7), 7);
  ck_assert_uint_eq(gq_max_u32(&ctx, 7), 7);
  ck_assert_int_eq(gq_any(&ctx, 4), 1);
  ck_assert_int_eq(gq_any(&ctx, 0), 0);
  ck_assert_int_eq(gq_all(&ctx, 4), 1);
  ck_assert_int_eq(gq_all(&ctx, 0), 0);
}
END_TEST

START_TEST(bytes_and_numbers_go_both_ways)
{
  uint8_t b[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
  _Alignas(8) static const uint8_t aligned[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
  ck_assert_uint_eq(gq_load_aligned_u32_le(aligned + 4), 0x07060504u);
  ck_assert_uint_eq(gq_load_aligned_u64_le(aligned + 8), UINT64_C(0x0f0e0d0c0b0a0908));
  ck_assert_uint_eq(gq_load_u32_le(b + 1), 0x04030201u);
  ck_assert_uint_eq(gq_load_u32_be(b + 1), 0x01020304u);
  ck_assert_uint_eq(gq_load_u64_le(b + 1), UINT64_C(0x0807060504030201));
  ck_assert_uint_eq(gq_load_u64_be(b + 1), UINT64_C(0x0102030405060708));
  gq_store_u64_be(b + 1, UINT64_C(0x1112131415161718));
  ck_assert_uint_eq(gq_load_u64_le(b + 1), UINT64_C(0x1817161514131211));
  gq_store_u64_le(b, UINT64_C(0x1112131415161718));
  ck_assert_uint_eq(gq_load_u64_be(b), UINT64_C(0x1817161514131211));
  gq_store_u32_le(b, 0xa1a2a3a4u);
  gq_store_u32_be(b + 4, 0xa1a2a3a4u);
  ck_assert_uint_eq(gq_load_u64_be(b), UINT64_C(0xa4a3a2a1a1a2a3a4));
}
END_TEST

START_TEST(words_of_the_state_change_as_asked)
{
  uint32_t word = 5;
  uint64_t wide = UINT64_MAX;
  ck_assert_uint_eq(gq_atomic_add_u32(&word, 3), 5);
  ck_assert_uint_eq(gq_atomic_or_u32(&word, 0x11), 8);
  ck_assert_uint_eq(word, 0x19);
  ck_assert_uint_eq(gq_atomic_add_u64(&wide, 2), UINT64_MAX);
  ck_assert_uint_eq(wide, 1);
}
END_TEST

START_TEST(decimals_are_whole_or_not_there)
{
  static const uint64_t values[] = { 0, 9, 10, 99, 100, 4294967296u, UINT64_MAX };
  const gq_context ctx = { .ranks = 1, .scope = 1 };
  for (size_t i = 0; i < SUITE_COUNT(values); i++) {
    char expected[32];
    uint8_t out[32];
    const int size = snprintf(expected, sizeof expected, "%llu", (unsigned long long)values[i]);
    gq_reply reply = { .data = out, .capacity = (uint32_t)size };
    gq_reply_decimal(&ctx, &reply, values[i]);
    ck_assert_uint_eq(reply.size, (uint32_t)size);
    ck_assert_int_eq(memcmp(out, expected, (size_t)size), 0);
    out[0] = 'x';
    reply.capacity--;
    gq_reply_decimal(&ctx, &reply, values[i]);
    ck_assert_uint_eq(reply.size, (uint32_t)size);
    ck_assert_int_eq(out[0], 'x');
  }
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(the_manifest_says_what_was_declared),
    SUITE_TEST_ONCE(a_linked_handler_knows_its_parts),
    SUITE_TEST_ONCE(arguments_lie_as_the_host_lays_them_out),
    SUITE_TEST_ONCE(it_can_be_called_like_any_function),
    SUITE_TEST_ONCE(one_thread_is_its_own_group),
    SUITE_TEST_ONCE(bytes_and_numbers_go_both_ways),
    SUITE_TEST_ONCE(words_of_the_state_change_as_asked),
    SUITE_TEST_ONCE(decimals_are_whole_or_not_there),
  };
  return suite_main("test_sdk", tests, SUITE_COUNT(tests));
}
