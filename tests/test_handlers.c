/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in handlers give what their standards say, for every way of splitting the work, and touch no byte that
 * they must not. They are compiled here for the host, from the source that the device runs. */
#define GQ_BUILTIN 1
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpuqueue/gpuqueue.h>
#include "../lib/handlers.h"
#include "../cuda/handlers/echo.h"
#include "../cuda/handlers/crc32c.h"
#include "../cuda/handlers/sha256.h"
#include "sha256_vectors.h"

#define GUARD 0xa5
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef int32_t handler_function(const gq_msg *msg, gq_reply *reply, const gq_context *ctx);

/* What a handler made of a message. */
typedef struct {
  uint8_t *data;
  uint32_t size;
} outcome;

/* posix_memalign() because aligned_alloc() may insist on multiples of 16 and the messages here are exact. */
static void *allocate(size_t size)
{
  void *memory = NULL;
  ck_assert_int_eq(posix_memalign(&memory, 16, size ? size : 1), 0);
  return memory;
}

static uint8_t *random_bytes(size_t size)
{
  uint8_t *bytes = allocate(size);
  uint32_t x = 0x12345678u; /* as in sha256_vectors.py */
  size_t i;
  for (i = 0; i < size; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    bytes[i] = (uint8_t)(x >> 24);
  }
  return bytes;
}

/* Run a handler on a copy of the message that has nothing but the promised bytes behind it, so that a sanitizer
 * sees a read too far, with other contents in the bytes that round it up; guard bytes surround the result. */
static outcome run_handler(handler_function *handler, const void *data, uint32_t size, uint32_t capacity)
{
  const size_t readable = ((size_t)size + 3) / 4 * 4;
  uint8_t *exact = allocate(readable), *result = allocate((size_t)capacity + 32);
  const gq_context context = { .rank = 0, .ranks = 1, .scope = 1 };
  const gq_msg msg = { .data = exact, .size = size, .attempt = 1, .id = 1 };
  gq_reply reply = { .data = result, .capacity = capacity, .size = UINT32_MAX };
  uint32_t i;

  memset(exact, 0xff, readable);
  if (size) memcpy(exact, data, size);
  memset(result, GUARD, (size_t)capacity + 32);
  ck_assert_int_eq(handler(&msg, &reply, &context), 0);
  for (i = reply.size < capacity ? reply.size : capacity; i < capacity + 32; i++)
    ck_assert_msg(result[i] == GUARD, "byte %u behind a result of %u bytes was written", i, reply.size);
  free(exact);
  return (outcome){ result, reply.size };
}

static void hex_of(const uint8_t *data, size_t size, char *text)
{
  size_t i;
  for (i = 0; i < size; i++) sprintf(text + 2 * i, "%02x", data[i]);
  text[2 * size] = 0;
}

static void expect_hex(handler_function *handler, const void *data, uint32_t size, uint32_t result,
                       const char *expected)
{
  char hex[129];
  outcome got = run_handler(handler, data, size, result);
  ck_assert_uint_eq(got.size, result);
  hex_of(got.data, got.size, hex);
  hex[strlen(expected)] = 0; /* some vectors are cut */
  ck_assert_msg(strcmp(hex, expected) == 0, "%u bytes gave %s, not %s", size, hex, expected);
  free(got.data);
}

/* The definition, bit by bit; shares nothing with the handler. */
static uint32_t crc32c_by_bits(const uint8_t *data, size_t size)
{
  uint32_t crc = 0xffffffffu;
  size_t i;
  int bit;
  for (i = 0; i < size; i++)
    for (crc ^= data[i], bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  return ~crc;
}

static const uint32_t echo_sizes[] = { 0, 1, 15, 16, 17, 400, 4099 };

START_TEST(echo_gives_back_every_byte)
{
  const uint32_t size = echo_sizes[_i];
  uint8_t *data = random_bytes(size);
  outcome got = run_handler(gq_handler_echo, data, size, size);
  ck_assert_uint_eq(got.size, size);
  ck_assert(size == 0 || memcmp(got.data, data, size) == 0);
  free(got.data);
  free(data);
}
END_TEST

static const struct {
  handler_function *run;
  uint32_t result; /* of a message of 100 bytes */
} handlers[] = { { gq_handler_echo, 100 }, { gq_handler_crc32c, 4 }, { gq_handler_sha256, 32 } };

/* Looped over every capacity below what a result needs: the size is told, no byte is written. */
START_TEST(too_little_room_is_told_and_left_alone)
{
  uint8_t *data = random_bytes(100);
  size_t h;
  for (h = 0; h < COUNT(handlers); h++) {
    outcome got;
    uint32_t i;
    if ((uint32_t)_i >= handlers[h].result) continue;
    got = run_handler(handlers[h].run, data, 100, (uint32_t)_i);
    ck_assert_uint_eq(got.size, handlers[h].result);
    for (i = 0; i < (uint32_t)_i; i++) ck_assert_uint_eq(got.data[i], GUARD);
    free(got.data);
  }
  free(data);
}
END_TEST

START_TEST(crc32c_gives_the_known_answers)
{
  uint8_t bytes[48];
  int i;
  /* RFC 3720, appendix B.4, which prints the bytes in the order in which they are sent: least significant first. */
  static const uint8_t read_command[48] = { 0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0 };
  memset(bytes, 0, 32);
  expect_hex(gq_handler_crc32c, bytes, 32, 4, "8a9136aa");
  memset(bytes, 0xff, 32);
  expect_hex(gq_handler_crc32c, bytes, 32, 4, "62a8ab43");
  for (i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
  expect_hex(gq_handler_crc32c, bytes, 32, 4, "46dd794e");
  for (i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
  expect_hex(gq_handler_crc32c, bytes, 32, 4, "113fdb5c");
  expect_hex(gq_handler_crc32c, read_command, 48, 4, "d9963a56");
  expect_hex(gq_handler_crc32c, "", 0, 4, "00000000");
  expect_hex(gq_handler_crc32c, "abc", 3, 4, "364b3fb7");
  expect_hex(gq_handler_crc32c, "123456789", 9, 4, "e3069283");
}
END_TEST

START_TEST(crc32c_is_right_for_every_size)
{
  uint8_t *data = random_bytes(1000);
  uint32_t size;
  char expected[9];
  for (size = 0; size <= 1000; size++) {
    snprintf(expected, sizeof expected, "%08x", crc32c_by_bits(data, size));
    expect_hex(gq_handler_crc32c, data, size, 4, expected);
  }
  free(data);
}
END_TEST

START_TEST(crc32c_tables_are_what_they_say)
{
  uint32_t power = 0x00800000u; /* x^8 */
  int k, n, bit;
  for (k = 0; k < 8; k++)
    for (n = 0; n < 16; n++) {
      uint32_t crc = (uint32_t)n << 4 * k;
      for (bit = 1; bit <= 4096; bit++) {
        crc = crc & 1 ? crc >> 1 ^ GQ_CRC32C_POLYNOMIAL : crc >> 1;
        if (bit == 32) ck_assert_uint_eq(gq_crc32c_word_table[k][n], crc);
      }
      ck_assert_uint_eq(gq_crc32c_tile_table[k][n], crc);
    }
  for (k = 0; k < 32; k++, power = gq_crc32c_multiply(power, power)) ck_assert_uint_eq(gq_crc32c_power[k], power);
}
END_TEST

/* The XOR of what the lanes of `warps` warps find, as the device makes it by shuffles and shared memory. */
static uint32_t crc32c_by_lanes(const gq_msg *msg, uint32_t warps)
{
  uint32_t crc = 0, warp, lane;
  for (warp = 0; warp < warps; warp++)
    for (lane = 0; lane < 32; lane++) crc ^= gq_crc32c_lane(msg, lane, warp, warps);
  return ~gq_crc32c_tail(msg, msg->size < 16 ? ~0u : crc);
}

static const uint32_t warp_counts[] = { 1, 2, 3, 8, 32 };

START_TEST(crc32c_in_lanes_is_the_same)
{
  const uint32_t warps = warp_counts[_i], large = 300007;
  uint8_t *data = random_bytes(large);
  gq_msg msg = { .data = data, .size = 0, .attempt = 1 };
  for (msg.size = 0; msg.size <= 4200; msg.size++)
    ck_assert_uint_eq(crc32c_by_lanes(&msg, warps), crc32c_by_bits(data, msg.size));
  msg.size = large;
  ck_assert_uint_eq(crc32c_by_lanes(&msg, warps), crc32c_by_bits(data, large));
  free(data);
}
END_TEST

START_TEST(sha256_gives_the_known_answers)
{
  char *many = allocate(1000000);
  expect_hex(gq_handler_sha256, "", 0, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect_hex(gq_handler_sha256, "abc", 3, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect_hex(gq_handler_sha256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 32,
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  memset(many, 'a', 1000000);
  expect_hex(gq_handler_sha256, many, 1000000, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  expect_hex(gq_handler_sha256, many, 55, 32, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  expect_hex(gq_handler_sha256, many, 56, 32, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  expect_hex(gq_handler_sha256, many, 63, 32, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
  expect_hex(gq_handler_sha256, many, 64, 32, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
  expect_hex(gq_handler_sha256, many, 65, 32, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0");
  free(many);
}
END_TEST

START_TEST(sha256_is_right_for_every_size)
{
  uint8_t *data = random_bytes(1000);
  uint32_t size;
  for (size = 0; size <= 1000; size++) expect_hex(gq_handler_sha256, data, size, 32, sha256_of_size[size]);
  free(data);
}
END_TEST

START_TEST(sha256_is_right_for_large_messages)
{
  uint8_t *data = random_bytes(sha256_of_large[_i].size);
  expect_hex(gq_handler_sha256, data, sha256_of_large[_i].size, 32, sha256_of_large[_i].digest);
  free(data);
}
END_TEST

/* Names in the order of their numbers. */
static const char *const table[] = {
#define HANDLER(id, name) #name,
#define HANDLER_INIT(id, name) #name,
#include "../cuda/handlers/builtin.def"
};

/* Every manifest is read, in the order of the table, and what it says of a handler is what the handler does. */
START_TEST(what_they_declare_is_true)
{
  uint8_t *data = random_bytes(1000);
  const uint32_t size = 777;
  size_t i, j;
  for (i = 0; i < COUNT(table); i++) {
    const gq_handler *handler = gq_handler_find(table[i]);
    const gq_handler_info *info = gq_handler_describe(i);
    ck_assert_msg(handler, "no handler %s: %s", table[i], gq_last_error());
    ck_assert_ptr_eq(info, &handler->declared->info);
    ck_assert_msg(strstr(info->example, info->name), "%s: the example does not name it", table[i]);
    for (j = 0; j < i; j++)
      ck_assert_msg(gq_handler_find(table[j])->id != handler->id, "id %u twice", handler->id);
    if (handler->declared->arg_count || handler->declared->state != GQ_STATE_IS_NONE) continue;
    outcome got = run_handler(handler->function, data, size, 1000);
    ck_assert_msg(got.size <= handler->declared->multiplier * size + handler->declared->constant, "%s: %u bytes",
                  table[i], got.size);
    free(got.data);
  }
  ck_assert_ptr_null(gq_handler_describe(i));
  free(data);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("handlers");
  TCase *echo = tcase_create("echo"), *crc32c = tcase_create("crc32c"), *sha256 = tcase_create("sha256");
  TCase *all = tcase_create("all");
  SRunner *runner;
  int failed;

  tcase_add_loop_test(echo, echo_gives_back_every_byte, 0, (int)COUNT(echo_sizes));
  tcase_add_test(crc32c, crc32c_gives_the_known_answers);
  tcase_add_test(crc32c, crc32c_is_right_for_every_size);
  tcase_add_test(crc32c, crc32c_tables_are_what_they_say);
  tcase_add_loop_test(crc32c, crc32c_in_lanes_is_the_same, 0, (int)COUNT(warp_counts));
  tcase_add_test(sha256, sha256_gives_the_known_answers);
  tcase_add_test(sha256, sha256_is_right_for_every_size);
  tcase_add_loop_test(sha256, sha256_is_right_for_large_messages, 0, (int)COUNT(sha256_of_large));
  tcase_add_loop_test(all, too_little_room_is_told_and_left_alone, 0, 100);
  tcase_add_test(all, what_they_declare_is_true);
  tcase_set_timeout(crc32c, 60);
  tcase_set_timeout(sha256, 60);
  suite_add_tcase(suite, echo);
  suite_add_tcase(suite, crc32c);
  suite_add_tcase(suite, sha256);
  suite_add_tcase(suite, all);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
