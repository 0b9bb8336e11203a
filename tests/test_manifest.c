/* SPDX-License-Identifier: Apache-2.0 */
/* A handler's declaration and its arguments, from text: what is right is understood, and of what is not the text says
 * what and why. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/manifest.h"
#include "handlers/count_byte.c"

#define HEAD "gpuqueue-handler 1\nname h\nsummary s\nscopes thread\nresult 0 4\n"

static gq_declaration *parse(const char *text)
{
  gq_declaration *m = NULL;
  assert_status(gq_manifest_parse(&m, text, strlen(text) + 1, "the test"), GQ_OK);
  return m;
}

START_TEST(a_whole_declaration_is_understood)
{
  gq_declaration *m = parse(gq_manifest);
  const gq_handler_info *info = &m->info;
  ck_assert_str_eq(info->name, "count_byte");
  ck_assert_str_eq(info->summary, "how often a byte occurs in the message");
  ck_assert_str_eq(info->scopes, "thread, warp, block");
  ck_assert_str_eq(info->example, "gpuqueue run --handler count_byte --arg byte=32 words.txt");
  ck_assert_str_eq(info->state, "optional");
  ck_assert_int_eq(info->output, GQ_OUTPUT_TEXT);
  ck_assert_uint_eq(m->scopes, 7);
  ck_assert_uint_eq(m->default_scope, GQ_SCOPE_THREAD);
  ck_assert_uint_eq(m->multiplier, 0);
  ck_assert_uint_eq(m->constant, 20);
  ck_assert_uint_eq(m->is_short, 1);
  ck_assert_uint_eq(m->state_bytes, 64);
  ck_assert_uint_eq(m->scratch_bytes, 1024);
  ck_assert_uint_eq(m->shared_bytes, 256);
  static const gq_argument_info expected[] = {
    { "byte", "uint", "10", "the byte to count" },
    { "offset", "int", "-1", "added to the count" },
    { "factor", "real", "1.5e0", "the count is multiplied by this" },
    { "invert", "flag", "0", "count the other bytes" },
    { "prefix", "string", "a \"b\"\n", "text before the count, as it is" },
  };
  for (size_t i = 0; i < SUITE_COUNT(expected); i++) {
    const gq_argument_info *got = gq_handler_argument(info, i);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got->name, expected[i].name);
    ck_assert_str_eq(got->type, expected[i].type);
    ck_assert_str_eq(got->def, expected[i].def);
    ck_assert_str_eq(got->help, expected[i].help);
  }
  ck_assert_ptr_null(gq_handler_argument(info, SUITE_COUNT(expected)));
  ck_assert_ptr_null(gq_handler_argument(NULL, 0));
  gq_manifest_free(m);
}
END_TEST

START_TEST(the_first_scope_is_the_default)
{
  gq_declaration *m = parse("gpuqueue-handler 1\nname h\nsummary s\nscopes block thread\nresult 2 0\nstate required\n");
  ck_assert_str_eq(m->info.scopes, "block, thread");
  ck_assert_uint_eq(m->scopes, 1 + 4);
  ck_assert_uint_eq(m->default_scope, GQ_SCOPE_BLOCK);
  ck_assert_str_eq(m->info.state, "required");
  ck_assert_int_eq(m->info.output, GQ_OUTPUT_RAW);
  gq_manifest_free(m);
}
END_TEST

static const struct {
  const char *text, *says;
} bad[] = {
  { "", "does not say its name" },
  { "nonsense\n", "does not begin with 'gpuqueue-handler 1'" },
  { "gpuqueue-handler 2\nname h\n", "version 2" },
  { "gpuqueue-handler 1\nname h\nscopes thread\nresult 0 4\n", "does not say its summary" },
  { "gpuqueue-handler 1\nname h\nsummary s\nresult 0 4\n", "does not say its scopes" },
  { "gpuqueue-handler 1\nname h\nsummary s\nscopes thread\n", "does not say its result" },
  { "gpuqueue-handler 1\nsummary s\nscopes thread\nresult 0 4\n", "does not say its name" },
  { "gpuqueue-handler 1\nname a b\n", "'a b' cannot be a handler's name" },
  { "gpuqueue-handler 1\nname ../x\n", "'../x' cannot be" },
  { "gpuqueue-handler 1\nname 1x\n", "'1x' cannot be" },
  { HEAD "name h\n", "name is declared twice" },
  { HEAD "summary\n", "summary is declared twice" },
  { HEAD "colour red\n", "'colour red' begins no line" },
  { HEAD "short", "cut off" },
  { HEAD "short 5\n", "something follows short" },
  { HEAD "output csv\n", "output 'csv' is none of raw, hex, text" },
  { HEAD "state maybe\n", "state 'maybe' is neither" },
  { HEAD "state_bytes many\n", "state_bytes 'many' is not a plain number" },
  { HEAD "state_bytes 2000G\n", "state_bytes '2000G' is not" },
  { HEAD "scratch -1\n", "scratch '-1' is not" },
  { HEAD "scratch 2G\n", "from 0 to 1073741824" },
  { HEAD "shared 1M\n", "from 0 to 131072" },
  { HEAD "shared\n", "shared is empty" },
  { HEAD "example \033[31m\n", "control characters" },
  { HEAD "example \xc2\x9b" "31m\n", "control characters" }, /* the same in one character, U+009B */
  { HEAD "example \xff\n", "not UTF-8" },
  { HEAD "example \xc3\n", "not UTF-8" },
  { HEAD "example \xe0\x80\xaf\n", "not UTF-8" },
  { HEAD "example \xed\xa0\x80\n", "not UTF-8" },
  { HEAD "example \xf4\x90\x80\x80\n", "not UTF-8" },
  { "gpuqueue-handler 1\nname h\nscopes thread wave\n", "scope 'wave' is unknown" },
  { "gpuqueue-handler 1\nname h\nscopes thread thread\n", "scope 'thread' is named twice" },
  { "gpuqueue-handler 1\nname h\nscopes ,\n", "no scope is named" },
  { "gpuqueue-handler 1\nname h\nresult 4\n", "result constant ''" },
  { "gpuqueue-handler 1\nname h\nresult 2000 4\n", "result multiplier '2000'" },
  { "gpuqueue-handler 1\nname h\nresult 1 4 5\n", "something follows the two numbers" },
  { HEAD "arg long x 5 help\n", "argument type 'long'" },
  { HEAD "arg int\n", "'' cannot be an argument's name" },
  { HEAD "arg int x=1 5 help\n", "'x=1' cannot be" },
  { HEAD "arg int x 5 help\narg int x 5 help\n", "argument x is declared twice" },
  { HEAD "arg int x 1.5 help\n", "argument x, '1.5', is not a plain value" },
  { HEAD "arg int x (1<<5) help\n", "argument x, '1<<5', is not" },
  { HEAD "arg uint x -5 help\n", "argument x, '-5', is not" },
  { HEAD "arg real x nan help\n", "argument x, 'nan', is not" },
  { HEAD "arg flag x 2 help\n", "argument x, '2', is not" },
  { HEAD "arg string x hello help\n", "argument x is not one C string" },
  { HEAD "arg string x \"hello help\n", "argument x is not one C string" },
  { HEAD "arg string x \"a\\0b\" help\n", "argument x is not one C string" },
  { HEAD "arg string x \"a\\x123\" help\n", "argument x is not one C string" },
  { HEAD "arg string x \"a\" \"b\" help\n", "argument x is not one C string" },
  { HEAD "arg int x 5 \n", "argument x has no help" },
  { HEAD "arg int x 5\n", "argument x has no help" },
};

START_TEST(what_is_wrong_is_told)
{
  for (size_t i = 0; i < SUITE_COUNT(bad); i++) {
    gq_declaration *m = NULL;
    const gq_status status = gq_manifest_parse(&m, bad[i].text, strlen(bad[i].text) + 1, "handler file x");
    ck_assert_msg(status == GQ_INVALID, "case %zu gave %s", i, gq_status_name(status));
    ck_assert_ptr_null(m);
    assert_error_says("handler file x");
    assert_error_says(bad[i].says);
  }
}
END_TEST

START_TEST(too_long_a_manifest_is_refused)
{
  char *text = malloc(100000);
  gq_declaration *m = NULL;
  strcpy(text, HEAD);
  memset(text + strlen(HEAD), 'x', 100000 - strlen(HEAD));
  assert_status(gq_manifest_parse(&m, text, 100000, "the test"), GQ_INVALID);
  assert_error_says("longer than 65536");
  size_t used = strlen(strcpy(text, HEAD));
  for (int i = 0; i < 65; i++) used += (size_t)sprintf(text + used, "arg int x%d 5 help\n", i);
  assert_status(gq_manifest_parse(&m, text, used + 1, "the test"), GQ_INVALID);
  assert_error_says("more than 64 arguments");
  free(text);
}
END_TEST

/* Damage: whatever the bytes are, the answer is a manifest or an error, and no byte outside is touched. */
START_TEST(damage_does_no_harm)
{
  support_random random = { 7 };
  const size_t size = strlen(gq_manifest);
  size_t right = 0;
  for (size_t round = 0; round < 20000; round++) {
    char *text = malloc(size);   /* exactly, for the sanitizer's sake, and without the zero byte */
    memcpy(text, gq_manifest, size);
    const size_t given = round < size ? round : size;
    for (size_t n = round < size ? 0 : 1 + support_below(&random, 3); n > 0; n--)
      text[support_below(&random, size)] = (char)support_below(&random, 256);
    gq_declaration *m = NULL;
    const gq_status status = gq_manifest_parse(&m, text, given, "the test");
    if (status == GQ_OK) {
      gq_arg_block block = { 0 };
      right++;
      if (gq_args_lay_out(&block, m, NULL) == GQ_OK) gq_args_rebase(m, block.bytes, 4096);
      gq_args_free(&block);
      gq_manifest_free(m);
    } else ck_assert_msg(status == GQ_INVALID, "round %zu gave %s", round, gq_status_name(status));
    free(text);
  }
  ck_assert_uint_gt(right, 100);   /* most damage is in texts for people */
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- arguments */

static const count_byte_args *lay_out(gq_arg_block *block, const gq_declaration *m, const char *const *given)
{
  assert_status(gq_args_lay_out(block, m, given), GQ_OK);
  ck_assert_uint_eq((uintptr_t)block->bytes % 16, 0);
  gq_args_rebase(m, block->bytes, (uint64_t)(uintptr_t)block->bytes);
  return (const count_byte_args *)block->bytes;
}

START_TEST(arguments_not_given_have_their_defaults)
{
  gq_declaration *m = parse(gq_manifest);
  gq_arg_block block;
  const count_byte_args *args = lay_out(&block, m, NULL);
  ck_assert_uint_eq(args->byte, 10);
  ck_assert_int_eq(args->offset, -1);
  ck_assert(args->factor == 1.5);
  ck_assert_uint_eq(args->invert, 0);
  ck_assert_uint_eq(args->prefix.size, 6);
  ck_assert_str_eq((const char *)args->prefix.data, "a \"b\"\n");
  gq_args_free(&block);
  gq_manifest_free(m);
}
END_TEST

START_TEST(arguments_given_arrive)
{
  gq_declaration *m = parse(gq_manifest);
  const char *const given[] = { "prefix=x=y, z", "invert=True", "offset=-9223372036854775808", "byte=0xffffffffffffffff",
                                "factor=-2.5e-3", NULL };
  gq_arg_block block;
  const count_byte_args *args = lay_out(&block, m, given);
  ck_assert_uint_eq(args->byte, UINT64_MAX);
  ck_assert_int_eq(args->offset, INT64_MIN);
  ck_assert(args->factor == -2.5e-3);
  ck_assert_uint_eq(args->invert, 1);
  ck_assert_uint_eq(args->prefix.size, 6);
  ck_assert_str_eq((const char *)args->prefix.data, "x=y, z");
  ck_assert_uint_eq((uintptr_t)args->prefix.data % 16, 0);
  gq_args_free(&block);
  const char *const more[] = { "byte=64K", "offset=2M", "prefix=", NULL };
  args = lay_out(&block, m, more);
  ck_assert_uint_eq(args->byte, 65536);
  ck_assert_int_eq(args->offset, 2097152);
  ck_assert_uint_eq(args->prefix.size, 0);
  ck_assert_int_eq(args->prefix.data[0], 0);
  gq_args_free(&block);
  gq_manifest_free(m);
}
END_TEST

static const struct {
  const char *given, *says;
} bad_arguments[] = {
  { "colour=red", "no argument 'colour'; there are: byte (uint), offset (int), factor (real), invert (flag), prefix" },
  { "byte", "argument 'byte' has no value: write KEY=VALUE" },
  { "", "argument '' has no value" },
  { "=5", "no argument ''" },
  { "byte=", "argument byte is of type uint, and '' is not" },
  { "byte=-1", "argument byte is of type uint, and '-1' is not" },
  { "byte=1.5", "'1.5' is not" },
  { "byte=18446744073709551616", "'18446744073709551616' is not" },
  { "byte=0x", "'0x' is not" },
  { "byte= 5", "' 5' is not" },
  { "byte=5 ", "'5 ' is not" },
  { "byte=20000000000G", "'20000000000G' is not" },
  { "byte=5KK", "'5KK' is not" },
  { "offset=9223372036854775808", "argument offset is of type int" },
  { "offset=-9223372036854775809", "argument offset is of type int" },
  { "offset=--5", "'--5' is not" },
  { "factor=", "argument factor is of type real" },
  { "factor=inf", "'inf' is not" },
  { "factor=1e999", "'1e999' is not" },
  { "factor=1,5", "'1,5' is not" },
  { "invert=2", "argument invert is of type flag, and '2' is not: it takes 0, 1, no, yes, false or true" },
  { "byt=5", "no argument 'byt'" },
  { "bytes=5", "no argument 'bytes'" },
};

START_TEST(bad_arguments_are_told)
{
  gq_declaration *m = parse(gq_manifest);
  gq_arg_block block = { 0 };
  for (size_t i = 0; i < SUITE_COUNT(bad_arguments); i++) {
    const char *const given[] = { bad_arguments[i].given, NULL };
    const gq_status status = gq_args_lay_out(&block, m, given);
    ck_assert_msg(status == GQ_INVALID, "'%s' gave %s", bad_arguments[i].given, gq_status_name(status));
    assert_error_says("count_byte");
    assert_error_says(bad_arguments[i].says);
  }
  const char *const twice[] = { "byte=5", "byte=6", NULL };
  assert_status(gq_args_lay_out(&block, m, twice), GQ_INVALID);
  assert_error_says("argument byte is given twice: '5' and '6'");
  ck_assert_ptr_null(block.bytes);
  gq_manifest_free(m);
}
END_TEST

START_TEST(a_required_argument_must_be_given)
{
  gq_declaration *m = parse(HEAD "arg string big_pattern required what to look for\n");
  gq_arg_block block = { 0 };
  ck_assert_ptr_null(gq_handler_argument(&m->info, 0)->def);
  assert_status(gq_args_lay_out(&block, m, NULL), GQ_INVALID);
  assert_error_says("handler h needs the argument big_pattern=... (string): what to look for");
  const char *const given[] = { "big-pattern=x", NULL };   /* '-' and '_' are the same, as in options */
  assert_status(gq_args_lay_out(&block, m, given), GQ_OK);
  gq_args_free(&block);
  gq_manifest_free(m);
}
END_TEST

START_TEST(a_handler_without_arguments_takes_none)
{
  gq_declaration *m = parse(HEAD);
  gq_arg_block block = { 0 };
  const char *const given[] = { "x=1", NULL };
  assert_status(gq_args_lay_out(&block, m, given), GQ_INVALID);
  assert_error_says("handler h takes no arguments, but was given 'x=1'");
  assert_status(gq_args_lay_out(&block, m, NULL), GQ_OK);
  ck_assert_uint_ge(block.size, sizeof(uint64_t));
  gq_args_free(&block);
  gq_manifest_free(m);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(a_whole_declaration_is_understood),
    SUITE_TEST_ONCE(the_first_scope_is_the_default),
    SUITE_TEST_ONCE(what_is_wrong_is_told),
    SUITE_TEST_ONCE(too_long_a_manifest_is_refused),
    SUITE_TEST_ONCE(damage_does_no_harm),
    SUITE_TEST_ONCE(arguments_not_given_have_their_defaults),
    SUITE_TEST_ONCE(arguments_given_arrive),
    SUITE_TEST_ONCE(bad_arguments_are_told),
    SUITE_TEST_ONCE(a_required_argument_must_be_given),
    SUITE_TEST_ONCE(a_handler_without_arguments_takes_none),
  };
  return suite_main("test_manifest", tests, SUITE_COUNT(tests));
}
