/* SPDX-License-Identifier: Apache-2.0 */
/* The option table is what gq_options_init(), gq_option_set(), the environment and gq_init() go by; every status
 * has a name and a text. */
#define _GNU_SOURCE
#include "suite.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum row_kind { ROW_NUM, ROW_FLAG, ROW_CHOICE, ROW_STR } row_kind;

/* The table as its own file says it, to hold the library to. */
typedef struct row {
  row_kind kind;
  const char *name, *type, *def, *range;
  size_t offset, field_bytes;
  int64_t value, min, max;
} row;

#define FIELD(field) offsetof(gq_options, field), sizeof(((gq_options *)0)->field)
#define NUM(field, type, def, text, min, max, range, help) \
  { ROW_NUM, #field, #type, text, range, FIELD(field), def, min, max },
#define FLAG(field, def, help) { ROW_FLAG, #field, "flag", NULL, NULL, FIELD(field), def, 0, 1 },
#define CHOICE(field, def, choices, help) { ROW_CHOICE, #field, "choice", def, choices, FIELD(field), 0, 0, 0 },
#define STR(field, value, def, range, help) { ROW_STR, #field, "string", def, range, FIELD(field), 0, 0, 0 },
static const row rows[] = {
#include "options.def"
};
#define ROWS SUITE_COUNT(rows)

static int64_t read_field(const gq_options *options, const row *r)
{
  const char *at = (const char *)options + r->offset;
  if (r->field_bytes == 8) return *(const int64_t *)at;
  return strcmp(r->type, "integer") ? (int64_t) * (const uint32_t *)at : *(const int32_t *)at;
}

static void write_field(gq_options *options, const row *r, int64_t value)
{
  char *at = (char *)options + r->offset;
  if (r->field_bytes == 8) *(int64_t *)at = value;
  else *(uint32_t *)at = (uint32_t)value;
}

static const gq_option_info *find_option(const char *name)
{
  const gq_option_info *info;
  for (size_t i = 0; (info = gq_option_describe(i)); i++)
    if (!strcmp(info->name, name)) return info;
  return NULL;
}

START_TEST(the_table_describes_every_option_once)
{
  size_t count = 0;
  for (const gq_option_info *info; (info = gq_option_describe(count)); count++) {
    ck_assert_msg(info->help && *info->help, "%s has no help", info->name);
    ck_assert_msg(info->range && *info->range, "%s has no range", info->name);
    ck_assert_msg(info->def && *info->def, "%s has no default", info->name);
    ck_assert_msg(find_option(info->name) == info, "%s is there twice", info->name);
  }
  ck_assert_uint_eq(count, ROWS);
  ck_assert_ptr_null(gq_option_describe(SIZE_MAX));
  for (size_t i = 0; i < ROWS; i++) {
    const gq_option_info *info = find_option(rows[i].name);
    ck_assert_msg(info != NULL, "%s is not described", rows[i].name);
    ck_assert_str_eq(info->type, rows[i].type);
    if (rows[i].def) ck_assert_str_eq(info->def, rows[i].def);
    if (rows[i].range) ck_assert_str_eq(info->range, rows[i].range);
  }
}
END_TEST

/* A field that the table lacks could not be set by name: count them by their sizes. */
START_TEST(the_table_covers_the_whole_struct)
{
  gq_options o;
  size_t covered = sizeof o.size + sizeof o.args + sizeof o.state_data + sizeof o.state_data_bytes +
    sizeof o.handler_source + sizeof o.handler_image + sizeof o.handler_image_bytes + sizeof o.handler_linked; /* have no row */
  for (size_t i = 0; i < ROWS; i++) covered += rows[i].field_bytes;
  ck_assert_msg(sizeof(gq_options) - covered < 16, "rows cover %zu of %zu bytes", covered, sizeof(gq_options));
}
END_TEST

START_TEST(defaults_are_those_of_the_table)
{
  gq_options options;
  memset(&options, 0xee, sizeof options);
  assert_status(gq_options_init(&options), GQ_OK);
  ck_assert_uint_eq(options.size, sizeof options);
  ck_assert_ptr_null(options.args);
  for (size_t i = 0; i < ROWS; i++) {
    if (rows[i].kind == ROW_STR) continue;
    ck_assert_msg(read_field(&options, &rows[i]) == rows[i].value, "%s is %" PRId64 ", not %" PRId64, rows[i].name,
                  read_field(&options, &rows[i]), rows[i].value);
  }
  ck_assert_str_eq(options.handler, "echo");
}
END_TEST

/* A value that the range holds but the option refuses. */
static bool is_hole(const row *r, int64_t value)
{
  return (!strcmp(r->name, "sms") && value == 1)
         || (!strcmp(r->name, "cell_bytes") && value % 64 != 0);
}

START_TEST(numbers_are_set_within_their_range_only)
{
  for (size_t i = 0; i < ROWS; i++) {
    const row *r = &rows[i];
    if (r->kind != ROW_NUM) continue;
    const int64_t values[] = { r->min, r->min + 1, r->max - 1, r->max, r->min - 1, r->max + 1 };
    for (size_t k = 0; k < SUITE_COUNT(values); k++) {
      char text[32];
      snprintf(text, sizeof text, "%" PRId64, values[k]);
      gq_options options = suite_options("echo");
      const gq_options before = options;
      if (k < 4 && !is_hole(r, values[k])) {
        assert_status(gq_option_set(&options, r->name, text), GQ_OK);
        ck_assert_int_eq(read_field(&options, r), values[k]);
      } else {
        assert_status(gq_option_set(&options, r->name, text), GQ_INVALID);
        assert_error_says(r->name);
        assert_error_says(text);
        assert_error_says(r->range);
        ck_assert_mem_eq(&options, &before, sizeof options);
      }
    }
  }
}
END_TEST

START_TEST(text_that_is_no_number_is_refused)
{
  static const char *const bad[] = { "", " ", "x", "1x", "1.5", "0x", "--1", "1 2", "K", "18446744073709551616",
                                     "99999999999999999999999999", "1e3", "1KK" };
  for (size_t i = 0; i < ROWS; i++) {
    if (rows[i].kind != ROW_NUM) continue;
    for (size_t k = 0; k < SUITE_COUNT(bad); k++) {
      gq_options options = suite_options("echo");
      const gq_options before = options;
      const gq_status status = gq_option_set(&options, rows[i].name, bad[k]);
      ck_assert_msg(status == GQ_INVALID, "%s=\"%s\" gave %s", rows[i].name, bad[k], gq_status_name(status));
      assert_error_says(rows[i].name);
      ck_assert_mem_eq(&options, &before, sizeof options);
    }
  }
}
END_TEST

START_TEST(leading_zeros_are_decimal)
{
  gq_options options = suite_options("echo");
  const gq_status status = gq_option_set(&options, "capacity", "0100");
  ck_assert_msg(status == GQ_INVALID || options.capacity == 100, "0100 was read as %u", options.capacity);
}
END_TEST

START_TEST(sizes_take_suffixes)
{
  static const struct { const char *text; uint64_t value; } cases[] = {
    { "64K", 64 << 10 }, { "3M", 3 << 20 }, { "1G", 1 << 30 }, { "0K", 0 }, { "1048576K", 1 << 30 } };
  for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
    gq_options options = suite_options("echo");
    assert_status(gq_option_set(&options, "max_message_bytes", cases[i].text), GQ_OK);
    ck_assert_uint_eq(options.max_message_bytes, cases[i].value);
  }
  gq_options options = suite_options("echo");
  assert_status(gq_option_set(&options, "max_message_bytes", "2G"), GQ_INVALID);
  assert_status(gq_option_set(&options, "max_message_bytes", "17179869185G"), GQ_INVALID);   /* wraps to 1G */
  assert_status(gq_option_set(&options, "arena_bytes", "64G"), GQ_OK);
  ck_assert_uint_eq(options.arena_bytes, UINT64_C(64) << 30);
}
END_TEST

START_TEST(dashes_and_underscores_are_the_same)
{
  gq_options options = suite_options("echo");
  assert_status(gq_option_set(&options, "max-message-bytes", "123"), GQ_OK);
  ck_assert_uint_eq(options.max_message_bytes, 123);
  assert_status(gq_option_set(&options, "max_message-bytes", "124"), GQ_OK);
  ck_assert_uint_eq(options.max_message_bytes, 124);
}
END_TEST

START_TEST(unknown_names_are_refused)
{
  static const char *const names[] = { "", "capacit", "capacityy", "size", "args", "no_such_option" };
  for (size_t i = 0; i < SUITE_COUNT(names); i++) {
    gq_options options = suite_options("echo");
    assert_status(gq_option_set(&options, names[i], "2"), GQ_INVALID);
    assert_error_says(names[i]);
  }
}
END_TEST

START_TEST(choices_are_set_by_name)
{
  static const struct { const char *option, *choice; uint32_t value; } cases[] = {
    { "backend", "auto", GQ_BACKEND_AUTO }, { "backend", "cuda", GQ_BACKEND_CUDA },
    { "backend", "cpu", GQ_BACKEND_CPU },
    { "scope", "auto", GQ_SCOPE_AUTO }, { "scope", "thread", GQ_SCOPE_THREAD }, { "scope", "warp", GQ_SCOPE_WARP },
    { "scope", "block", GQ_SCOPE_BLOCK } };
  gq_options options = suite_options("echo");
  for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
    assert_status(gq_option_set(&options, cases[i].option, cases[i].choice), GQ_OK);
    ck_assert_uint_eq(strcmp(cases[i].option, "scope") ? options.backend : options.scope, cases[i].value);
  }
  static const char *const bad[] = { "", "gpu", "cud", "cudaa", "cpu,", "0" };
  for (size_t i = 0; i < SUITE_COUNT(bad); i++) {
    assert_status(gq_option_set(&options, "backend", bad[i]), GQ_INVALID);
    assert_error_says("auto, cuda, cpu");
    assert_error_says(bad[i]);
  }
}
END_TEST

START_TEST(flags_are_set)
{
  gq_options options = suite_options("echo");
  assert_status(gq_option_set(&options, "ordered", "1"), GQ_OK);
  ck_assert_uint_eq(options.ordered, 1);
  assert_status(gq_option_set(&options, "ordered", "0"), GQ_OK);
  ck_assert_uint_eq(options.ordered, 0);
  assert_status(gq_option_set(&options, "ordered", "2"), GQ_INVALID);
  assert_status(gq_option_set(&options, "ordered", "maybe"), GQ_INVALID);
  assert_error_says("ordered");
}
END_TEST

START_TEST(strings_are_kept)
{
  static const char name[] = "crc32c";
  gq_options options = suite_options("echo");
  assert_status(gq_option_set(&options, "handler", name), GQ_OK);
  ck_assert_ptr_eq(options.handler, name);
}
END_TEST

/* gq_init() must not trust the struct more than gq_option_set() trusts a text. */
START_TEST(init_refuses_fields_out_of_range)
{
  gq_queue *const untouched = (gq_queue *)&rows;
  for (size_t i = 0; i < ROWS; i++) {
    const row *r = &rows[i];
    if (r->kind == ROW_STR) continue;
    const int64_t past = r->kind == ROW_CHOICE ? 77 : r->max + 1, below = r->min - 1;
    for (int k = 0; k < 2; k++) {
      if (k && (r->kind == ROW_CHOICE || r->kind == ROW_FLAG)) continue;
      gq_options options = suite_options("echo");
      write_field(&options, r, k ? below : past);
      gq_queue *queue = untouched;
      assert_status(gq_init(&queue, &options), GQ_INVALID);
      assert_error_says(r->name);
      ck_assert_ptr_eq(queue, untouched);
    }
  }
  gq_options options = suite_options("echo");
  gq_queue *queue = untouched;
  options.cell_bytes = 100;
  assert_status(gq_init(&queue, &options), GQ_INVALID);
  assert_error_says("100");
  assert_error_says("64, 128, 256 or 512");
  ck_assert_ptr_eq(queue, untouched);
}
END_TEST

START_TEST(init_refuses_a_struct_without_its_size)
{
  gq_options options = suite_options("echo");
  gq_queue *queue = NULL;
  options.size = 0;
  assert_status(gq_init(&queue, &options), GQ_INVALID);
  assert_error_says("size");
  ck_assert_ptr_null(queue);
}
END_TEST

START_TEST(the_environment_sets_defaults)
{
  gq_options options;
  setenv("GPUQUEUE_CAPACITY", "64", 1);
  setenv("GPUQUEUE_MAX_MESSAGE_BYTES", "2K", 1);
  setenv("GPUQUEUE_BACKEND", "cpu", 1);
  setenv("GPUQUEUE_HANDLER", "sha256", 1);
  setenv("GPUQUEUE_ORDERED", "1", 1);
  const gq_status status = gq_options_init(&options);
  /* Looked at before it is unset: it may be the variable's own text. */
  const bool handler_is_set = status == GQ_OK && !strcmp(options.handler, "sha256");
  unsetenv("GPUQUEUE_CAPACITY");
  unsetenv("GPUQUEUE_MAX_MESSAGE_BYTES");
  unsetenv("GPUQUEUE_BACKEND");
  unsetenv("GPUQUEUE_HANDLER");
  unsetenv("GPUQUEUE_ORDERED");
  assert_status(status, GQ_OK);
  ck_assert(handler_is_set);
  ck_assert_uint_eq(options.capacity, 64);
  ck_assert_uint_eq(options.max_message_bytes, 2048);
  ck_assert_uint_eq(options.backend, GQ_BACKEND_CPU);
  ck_assert_uint_eq(options.ordered, 1);
}
END_TEST

START_TEST(a_bad_variable_is_an_error_that_names_it)
{
  gq_options options;
  setenv("GPUQUEUE_CAPACITY", "1", 1);
  setenv("GPUQUEUE_PARK_US", "77", 1);
  const gq_status status = gq_options_init(&options);
  char text[512];
  snprintf(text, sizeof text, "%s", gq_last_error());
  unsetenv("GPUQUEUE_CAPACITY");
  unsetenv("GPUQUEUE_PARK_US");
  assert_status(status, GQ_INVALID);
  ck_assert_msg(strstr(text, "CAPACITY") || strstr(text, "capacity"), "%s", text);
  ck_assert_uint_eq(options.capacity, 4096);
  ck_assert_uint_eq(options.park_us, 2000);   /* "the defaults of that and the following options" */
  ck_assert_uint_eq(options.size, sizeof options);
}
END_TEST

/* Run this program again in a child that calls gq_options_init() twice, and read its standard error. */
static void read_child_warnings(const char *variable, const char *value, char *text, size_t size)
{
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (!child) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    setenv(variable, value, 1);
    setenv("GPUQUEUE_WORKRES", "1", 1);   /* another one, always */
    execl("/proc/self/exe", "test_options", "--only-init", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], text + length, size - 1 - length)) > 0;) length += (size_t)got;
  text[length] = 0;
  close(ends[0]);
  int wait_status;
  ck_assert_int_eq(waitpid(child, &wait_status, 0), child);
  ck_assert_msg(WIFEXITED(wait_status) && !WEXITSTATUS(wait_status), "the child ended with %d: %s", wait_status, text);
}

START_TEST(unknown_variables_are_warned_about_once)
{
  char text[4096];
  if (support_is_valgrind()) return;   /* it cannot run /proc/self/exe */
  read_child_warnings("GPUQUEUE_CAPACTY", "64", text, sizeof text);
  const char *first = strstr(text, "GPUQUEUE_CAPACTY");
  ck_assert_msg(first != NULL, "no warning in \"%s\"", text);
  ck_assert_msg(!strstr(first + 1, "GPUQUEUE_CAPACTY"), "warned twice: \"%s\"", text);
  ck_assert_msg(strstr(text, "GPUQUEUE_WORKRES"), "warned about one of two only: \"%s\"", text);
  read_child_warnings("GPUQUEUE_CAPACITY", "64", text, sizeof text);
  ck_assert_msg(!strstr(text, "GPUQUEUE_CAPACITY"), "warned about a known variable: \"%s\"", text);
}
END_TEST

START_TEST(every_status_has_a_name_and_a_text)
{
  static const char *const names[] = { "GQ_OK", "GQ_AGAIN", "GQ_TIMEOUT", "GQ_FULL", "GQ_TOO_SMALL", "GQ_FAILED",
    "GQ_CANCELLED", "GQ_UNKNOWN_ID", "GQ_TOO_LARGE", "GQ_RESULT_TOO_LARGE", "GQ_SHUT_DOWN", "GQ_INVALID",
    "GQ_NO_HANDLER", "GQ_NO_BACKEND", "GQ_NO_DEVICE", "GQ_DEVICE_LOST", "GQ_NO_MEMORY", "GQ_SYSTEM", "GQ_MALFORMED",
    "GQ_BAD_HANDLER" };
  ck_assert_uint_eq(SUITE_COUNT(names), GQ_BAD_HANDLER + 1);
  for (int i = 0; i <= GQ_BAD_HANDLER; i++) {
    ck_assert_str_eq(gq_status_name(i), names[i]);
    ck_assert_msg(gq_status_text(i) && strlen(gq_status_text(i)) > 3, "%s has no text", names[i]);
    for (int k = 0; k < i; k++) ck_assert_str_ne(gq_status_text(i), gq_status_text(k));
  }
  static const int none[] = { -1, GQ_BAD_HANDLER + 1, INT_MAX, INT_MIN };
  for (size_t i = 0; i < SUITE_COUNT(none); i++) {
    ck_assert_str_eq(gq_status_name(none[i]), "GQ_?");
    ck_assert_ptr_nonnull(gq_status_text(none[i]));
  }
}
END_TEST

START_TEST(the_version_is_the_headers)
{
  char text[64];
  ck_assert_str_eq(gq_version(), GQ_VERSION);
  snprintf(text, sizeof text, "%d.%d.%d", GQ_VERSION_MAJOR, GQ_VERSION_MINOR, GQ_VERSION_PATCH);
  ck_assert_str_eq(gq_version(), text);
}
END_TEST

int main(int argc, char **argv)
{
  if (argc > 1 && !strcmp(argv[1], "--only-init")) {
    gq_options options;
    return gq_options_init(&options) != GQ_OK || gq_options_init(&options) != GQ_OK;
  }
  const suite_test tests[] = {
    SUITE_TEST_ONCE(the_table_describes_every_option_once),
    SUITE_TEST_ONCE(the_table_covers_the_whole_struct),
    SUITE_TEST_ONCE(defaults_are_those_of_the_table),
    SUITE_TEST_ONCE(numbers_are_set_within_their_range_only),
    SUITE_TEST_ONCE(text_that_is_no_number_is_refused),
    SUITE_TEST_ONCE(leading_zeros_are_decimal),
    SUITE_TEST_ONCE(sizes_take_suffixes),
    SUITE_TEST_ONCE(dashes_and_underscores_are_the_same),
    SUITE_TEST_ONCE(unknown_names_are_refused),
    SUITE_TEST_ONCE(choices_are_set_by_name),
    SUITE_TEST_ONCE(flags_are_set),
    SUITE_TEST_ONCE(strings_are_kept),
    SUITE_TEST_ONCE(init_refuses_fields_out_of_range),
    SUITE_TEST_ONCE(init_refuses_a_struct_without_its_size),
    SUITE_TEST_ONCE(the_environment_sets_defaults),
    SUITE_TEST_ONCE(a_bad_variable_is_an_error_that_names_it),
    SUITE_TEST_ONCE(unknown_variables_are_warned_about_once),
    SUITE_TEST_ONCE(every_status_has_a_name_and_a_text),
    SUITE_TEST_ONCE(the_version_is_the_headers),
  };
  return suite_main("test_options", tests, SUITE_COUNT(tests));
}
