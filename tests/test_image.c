/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled handlers as files: what was put in comes out, and whatever else is there instead is refused with what is
 * wrong with it. */
#include "suite.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compile.h"
#include "lib/image.h"
#include "lib/linked_kernel.h"
#include "lib/loader.h"

#define MANIFEST "gpuqueue-handler 1\nname h\nsummary s\nscopes thread\nresult 0 4\n"

static uint8_t cubin[256], cpu[300];

static gq_section sections[] = {
  {GQ_SECTION_CUBIN, 80, cubin, sizeof cubin},
  {GQ_SECTION_CUBIN, 90, cubin, sizeof cubin - 7},
  {GQ_SECTION_PTX, 90, (const uint8_t *)".version 9.0", 13},
  {GQ_SECTION_LTOIR, 75, (const uint8_t *)"LTO", 3},
  {GQ_SECTION_CPU, EM_X86_64, cpu, sizeof cpu},
  {GQ_SECTION_MANIFEST, 0, (const uint8_t *)MANIFEST, sizeof MANIFEST},
  {77, 1, (const uint8_t *)"of a later version", 18},
};

static gq_bytes build(void)
{
  uint8_t id[GQ_DIGEST_BYTES];
  gq_bytes bytes = {NULL, 0};

  memcpy(cubin, ELFMAG, SELFMAG);
  memcpy(cpu, ELFMAG, SELFMAG);
  cpu[18] = EM_X86_64;
  support_fill(cubin + 64, sizeof cubin - 64, 1);
  support_fill(cpu + 64, sizeof cpu - 64, 2);
  gq_kernel_id(id);
  assert_status(gq_image_build(id, sections, SUITE_COUNT(sections), &bytes), GQ_OK);
  return bytes;
}

/* Parse a copy. \return the status; on GQ_OK everything in it is looked at. */
static gq_status parse(const uint8_t *data, size_t size)
{
  gq_bytes copy = {malloc(size ? size : 1), size}; /* of exactly this size, so that a checker sees one byte too much */
  char text[256];
  gq_image image;
  gq_status status;

  memset(&image, 0, sizeof image);
  memcpy(copy.data, data, size);
  status = gq_image_parse(&image, "the.gqh", copy);
  if (status != GQ_OK) {
    assert_error_says("the.gqh: ");
    gq_bytes_free(&copy);
    return status;
  }
  for (uint32_t i = 0; i < image.count; i++)
    if (image.sections[i].size) ck_assert_uint_lt(image.sections[i].data[image.sections[i].size - 1], 256);
  ck_assert_ptr_nonnull(gq_image_manifest(&image));
  ck_assert_str_ne(gq_image_gpu_text(&image, text, sizeof text), "");
  ck_assert_str_ne(gq_image_cpu_text(&image, text, sizeof text), "");
  gq_image_free(&image);
  return status;
}

/* Make the checksum right again, as somebody would who wants to be believed. */
static void sign(gq_bytes bytes)
{
  gq_digest d;

  memset(bytes.data + 64, 0, GQ_DIGEST_BYTES);
  gq_digest_begin(&d);
  gq_digest_add(&d, bytes.data, bytes.size);
  gq_digest_end(&d, bytes.data + 64);
}

START_TEST(digests_are_sha256)
{
  uint8_t got[GQ_DIGEST_BYTES];
  char hex[2 * GQ_DIGEST_BYTES + 1];
  gq_digest d;

  gq_digest_begin(&d);
  gq_digest_end(&d, got);
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", got[i]);
  ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  gq_digest_begin(&d);
  for (int i = 0; i < 1000000; i += 1000) { /* FIPS 180-4: a million times "a", in pieces of odd sizes */
    static char piece[1000];

    memset(piece, 'a', sizeof piece);
    gq_digest_add(&d, piece, (size_t)(i / 1000 % 1000));
    gq_digest_add(&d, piece, sizeof piece - (size_t)(i / 1000 % 1000));
  }
  gq_digest_end(&d, got);
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", got[i]);
  ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(what_was_put_in_comes_out)
{
  gq_image image;
  char text[256];

  memset(&image, 0, sizeof image);
  assert_status(gq_image_parse(&image, "x", build()), GQ_OK);
  ck_assert_uint_eq(image.count, SUITE_COUNT(sections));
  for (uint32_t i = 0; i < image.count; i++) {
    const gq_section *s = &image.sections[i];

    ck_assert_uint_eq(s->kind, sections[i].kind);
    ck_assert_uint_eq(s->target, sections[i].target);
    ck_assert_uint_eq(s->size, sections[i].size);
    ck_assert_int_eq(memcmp(s->data, sections[i].data, s->size), 0);
    ck_assert_uint_eq((uintptr_t)s->data % 16, 0);
  }
  ck_assert_str_eq(gq_image_manifest(&image), MANIFEST);
  ck_assert_str_eq(gq_image_gpu_text(&image, text, sizeof text), "sm_80 sm_90 ptx_90 lto_75");
  ck_assert_str_eq(gq_image_cpu_text(&image, text, sizeof text), "x86-64");
  ck_assert_uint_eq(gq_image_find_up_to(&image, GQ_SECTION_CUBIN, 89)->target, 80);
  ck_assert_ptr_null(gq_image_find_up_to(&image, GQ_SECTION_CUBIN, 75));
  ck_assert_ptr_null(gq_image_find(&image, GQ_SECTION_CUBIN, 75));
  gq_image_free(&image);
}
END_TEST

START_TEST(a_file_that_is_cut_off_anywhere_is_refused)
{
  gq_bytes bytes = build();

  for (size_t size = 0; size < bytes.size; size++) {
    assert_status(parse(bytes.data, size), GQ_BAD_HANDLER);
    if (size >= 96) assert_error_says("is cut off: ");
  }
  assert_status(parse(bytes.data, bytes.size), GQ_OK);
  bytes.data = realloc(bytes.data, bytes.size + 1);
  bytes.data[bytes.size] = 0;
  assert_status(parse(bytes.data, bytes.size + 1), GQ_BAD_HANDLER);
  assert_error_says("1 that are not its own");
  gq_bytes_free(&bytes);
}
END_TEST

START_TEST(a_change_of_any_bit_is_noticed)
{
  gq_bytes bytes = build();

  for (size_t at = 0; at < bytes.size; at++)
    for (int bit = 0; bit < 8; bit++) {
      bytes.data[at] ^= (uint8_t)(1 << bit);
      assert_status(parse(bytes.data, bytes.size), GQ_BAD_HANDLER);
      bytes.data[at] ^= (uint8_t)(1 << bit);
    }
  assert_status(parse(bytes.data, bytes.size), GQ_OK);
  gq_bytes_free(&bytes);
}
END_TEST

/* With a right checksum: whatever a header or a row says, nothing outside the file is touched. */
START_TEST(lies_under_a_right_checksum_are_refused)
{
  static const uint64_t values[] = {0, 1, 15, 16, 95, 96, 255, 256, 4096, 0x7fffffff, 0x80000000u, 0xffffffffu,
                                    0x7fffffffffffffff, 0x8000000000000000u, 0xfffffffffffffff0u, UINT64_MAX};
  gq_bytes bytes = build();
  const gq_bytes good = build();
  size_t refused = 0, tried = 0;

  for (size_t at = 8; at < 96 + 32 * SUITE_COUNT(sections); at += 4)
    for (size_t v = 0; v < SUITE_COUNT(values); v++) {
      const size_t width = at % 8 == 0 ? 8 : 4;

      if (at >= 32 && at < 96) continue; /* kernel id, checksum */
      memcpy(bytes.data, good.data, bytes.size);
      memcpy(bytes.data + at, &values[v], width); /* the test runs on little-endian machines */
      sign(bytes);
      refused += parse(bytes.data, bytes.size) != GQ_OK;
      tried++;
    }
  ck_assert_uint_gt(refused, tried / 2);
  support_random random = {7};
  for (size_t i = 0; i < 20000; i++) {
    memcpy(bytes.data, good.data, bytes.size);
    for (int changes = 0; changes < 3; changes++)
      bytes.data[8 + support_below(&random, 96 + 32 * SUITE_COUNT(sections) - 8)] = (uint8_t)support_next(&random);
    sign(bytes);
    parse(bytes.data, bytes.size);
  }
  gq_bytes_free(&bytes);
  free(good.data);
}
END_TEST

/* A byte changed under a right checksum, and what is said of it. Row i of the sections begins at 96 + 32 * i. */
static const struct { size_t at; uint8_t value; const char *says; } versions[] = {
  {8, 2, "of layout 2; this gpuqueue " GQ_VERSION " reads layout 1: compile it again"},
  {12, 2, "for version 2 of the handler interface; this gpuqueue " GQ_VERSION " has version 1: compile it again"},
  {24, 250, "it says that it has 250 sections"},
  {96 + 5 * 32, 99, "it has 0 manifests instead of one"},
  {96, 1, "its manifest is no text"},
  {96 + 4 * 32 + 4, 183, "is for another machine than it says"},
  {96 + 8, 1, "section 0 lies outside it"},
};

START_TEST(what_is_wrong_is_said)
{
  for (size_t i = 0; i < SUITE_COUNT(versions); i++) {
    gq_bytes bytes = build();

    bytes.data[versions[i].at] = versions[i].value;
    sign(bytes);
    assert_status(parse(bytes.data, bytes.size), GQ_BAD_HANDLER);
    assert_error_says(versions[i].says);
    gq_bytes_free(&bytes);
  }
}
END_TEST

START_TEST(a_foreign_file_is_refused)
{
  assert_status(parse((const uint8_t *)"#include <gpuqueue/handler.h>\n", 30), GQ_BAD_HANDLER);
  assert_error_says("is no compiled handler");
  assert_status(parse((const uint8_t *)"", 0), GQ_BAD_HANDLER);
  assert_error_says("is empty");
  assert_status(parse(cubin, 4), GQ_BAD_HANDLER);
}
END_TEST

/* ------------------------------------------------------------------------------------- what a queue makes of it */

static gq_loaded *load(gq_bytes bytes)
{
  gq_options options;
  gq_loaded *loaded;

  assert_status(gq_options_init(&options), GQ_OK);
  options.handler_image = bytes.data;
  options.handler_image_bytes = bytes.size;
  options.toolkit = "/nonexistent";
  assert_status(gq_loader_find(&loaded, &options), GQ_OK);
  return loaded;
}

START_TEST(code_for_the_gpu_is_chosen_by_its_family)
{
  gq_bytes bytes = build();
  gq_loaded *loaded = load(bytes);

  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 86, GQ_SCOPE_AUTO), GQ_OK);
  ck_assert_int_eq(memcmp(loaded->handler.kernel, cubin, sizeof cubin), 0);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 100, GQ_SCOPE_AUTO), GQ_OK);
  ck_assert_str_eq(loaded->handler.kernel, ".version 9.0");
  ck_assert_str_eq(loaded->handler.declared->info.name, "h");
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 75, GQ_SCOPE_AUTO), GQ_NO_BACKEND);
  assert_error_says("has no code for this GPU, sm_75; it has: sm_80 sm_90 ptx_90 lto_75");
  gq_loader_free(loaded);
  gq_bytes_free(&bytes);
}
END_TEST

START_TEST(code_for_another_kernel_is_not_run)
{
  gq_bytes bytes = build();
  gq_loaded *loaded;

  bytes.data[32] ^= 1;
  sign(bytes);
  loaded = load(bytes);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_AUTO), GQ_NO_BACKEND);
  assert_error_says("was linked with the kernel of another gpuqueue");
  gq_loader_free(loaded);
  gq_bytes_free(&bytes);
}
END_TEST

START_TEST(code_that_is_none_is_not_run)
{
  gq_bytes bytes = build();
  gq_loaded *loaded = load(bytes);

  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CPU, 0, GQ_SCOPE_AUTO),
                gq_this_machine() == EM_X86_64 ? GQ_BAD_HANDLER : GQ_NO_BACKEND);
  assert_error_says("handler_image: ");
  gq_loader_free(loaded);
  gq_bytes_free(&bytes);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(digests_are_sha256),
    SUITE_TEST_ONCE(what_was_put_in_comes_out),
    SUITE_TEST_ONCE(a_file_that_is_cut_off_anywhere_is_refused),
    SUITE_TEST_ONCE(a_change_of_any_bit_is_noticed),
    SUITE_TEST_ONCE(lies_under_a_right_checksum_are_refused),
    SUITE_TEST_ONCE(what_is_wrong_is_said),
    SUITE_TEST_ONCE(a_foreign_file_is_refused),
    SUITE_TEST_ONCE(code_for_the_gpu_is_chosen_by_its_family),
    SUITE_TEST_ONCE(code_for_another_kernel_is_not_run),
    SUITE_TEST_ONCE(code_that_is_none_is_not_run),
  };

  return suite_main("test_image", tests, SUITE_COUNT(tests));
}
