/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers from source: compiled once, taken from the cache after that, compiled anew when anything they are made from
 * has changed; and what is said when that fails. Each test has a cache of its own. */
#include "suite.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compile.h"
#include "lib/linked_kernel.h"
#include "lib/loader.h"
#include "handlers/count_byte.c"

#define SOURCE                                                                     \
  "#include <gpuqueue/handler.h>\n"                                                \
  "GQ_HANDLER(answer, GQ_NO_ARGS, GQ_SUMMARY(\"a number\") GQ_SCOPES(thread, warp) GQ_OUTPUT(text) GQ_RESULT(0, 20))\n" \
  "{\n"                                                                            \
  "  gq_reply_decimal(ctx, reply, ANSWER);\n"                                      \
  "  return 0;\n"                                                                  \
  "}\n"

static char base[64];

static void set_up(void)
{
  snprintf(base, sizeof base, "/tmp/gq-compile.XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(base));
  ck_assert_int_eq(setenv("XDG_CACHE_HOME", base, 1), 0);
}

static void tear_down(void)
{
  gq_scratch_remove(base);
}

static const char *path_of(const char *name)
{
  static char path[192];

  snprintf(path, sizeof path, "%s/%s", base, name);
  return path;
}

static const char *write_text(const char *name, const char *text)
{
  const char *path = path_of(name);
  FILE *file = fopen(path, "w");

  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
  return path;
}

/* On the CPU, whatever is under test: what is tested here is the compiler's side. */
static gq_options cpu_options(void)
{
  gq_options options = suite_options("echo");

  options.backend = GQ_BACKEND_CPU;
  options.workers = 1;
  return options;
}

/* Open a queue, send "hello" and expect \p result; \p how is what the queue's description must say, or NULL. */
static void expect_result(const gq_options *options, const char *result, const char *how)
{
  gq_queue *queue = suite_open(options);
  const uint64_t id = suite_enqueue(queue, "hello", 5);
  char text[64] = "";
  size_t size = sizeof text - 1;

  assert_status(gq_dequeue_result(queue, id, text, &size, 10000000000), GQ_OK);
  text[size] = '\0';
  ck_assert_str_eq(text, result);
  if (how) ck_assert_msg(strstr(gq_describe(queue), how), "'%s' does not say '%s'", gq_describe(queue), how);
  suite_close(queue);
}

/* Whether there is something to compile with, here; a copied build directory may be where there is nothing. Said where
 * not. */
static bool has_toolkit(void)
{
  gq_toolkit toolkit;

  if (gq_toolkit_find(&toolkit, NULL) == GQ_OK) return true;
  printf("NOT TRIED, compiling for the GPU: %s\n", gq_last_error());
  return false;
}

static bool has_c_compiler(void)
{
  char path[PATH_MAX], **words;

  if (gq_find_c_compiler(&words, path) == GQ_OK) {
    free(words);
    return true;
  }
  printf("NOT TRIED, compiling for the CPU: %s\n", gq_last_error());
  return false;
}

START_TEST(a_second_start_does_not_compile)
{
  gq_options options = cpu_options();

  if (!has_c_compiler()) return;
  set_up();
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  expect_result(&options, "42", "handler answer compiled");
  expect_result(&options, "42", "handler answer from the cache");
  options.handler_source = "#define ANSWER 43\n" SOURCE;
  expect_result(&options, "43", "handler answer compiled");
  options.handler_source = SOURCE;
  options.handler_flags = " -D \tANSWER=44\t-O1 ";
  expect_result(&options, "44", "handler answer compiled");
  expect_result(&options, "44", "handler answer from the cache");
  options.handler_flags = "-DANSWER=45 -O1";
  expect_result(&options, "45", "handler answer compiled");
  tear_down();
}
END_TEST

/* dlopen() must not take the first one for the second, which may get the same path. */
START_TEST(what_cannot_be_unloaded_is_not_used_again)
{
  gq_options options = cpu_options();

  if (!has_c_compiler()) return;
  set_up();
  options.handler_flags = "-Wl,-z,nodelete";
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  expect_result(&options, "42", "compiled");
  options.handler_source = "#define ANSWER 43\n" SOURCE;
  expect_result(&options, "43", "compiled");
  tear_down();
}
END_TEST

START_TEST(a_changed_include_is_compiled_anew)
{
  gq_options options = cpu_options();
  char directory[96], flags[128];

  if (!has_c_compiler()) return;
  set_up();
  snprintf(directory, sizeof directory, "%s/inc", base);
  ck_assert_int_eq(mkdir(directory, 0700), 0);
  write_text("a.h", "#include \"b.h\"\n");
  write_text("b.h", "#include <c.h>\n");
  write_text("inc/c.h", "#define ANSWER 1\n");
  snprintf(flags, sizeof flags, "-I%s", directory);
  options.handler_flags = flags;
  options.handler = strdup(write_text("answer.cu", "  #  include \"a.h\"\n" SOURCE));
  expect_result(&options, "1", "compiled");
  expect_result(&options, "1", "from the cache");
  write_text("inc/c.h", "#define ANSWER 2\n");
  expect_result(&options, "2", "compiled");
  write_text("b.h", "#define ANSWER 3\n");
  expect_result(&options, "3", "compiled");
  expect_result(&options, "3", "from the cache");
  free((char *)options.handler);
  tear_down();
}
END_TEST

START_TEST(a_spoilt_entry_is_compiled_anew)
{
  gq_options options = cpu_options();
  char command[256];

  if (!has_c_compiler()) return;
  set_up();
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  expect_result(&options, "42", "compiled");
  snprintf(command, sizeof command, "truncate -s 1000 %s/gpuqueue/*.gqh", base);
  ck_assert_int_eq(system(command), 0);
  expect_result(&options, "42", "compiled");
  expect_result(&options, "42", "from the cache");
  snprintf(command, sizeof command, "printf X | dd of=$(echo %s/gpuqueue/*.gqh) bs=1 seek=5000 conv=notrunc status=none",
           base);
  ck_assert_int_eq(system(command), 0);
  expect_result(&options, "42", "compiled");
  snprintf(command, sizeof command, "chmod a-w,a-x %s/gpuqueue && rm %s/gpuqueue/*", base, base);
  ck_assert_int_eq(setenv("XDG_CACHE_HOME", "/proc/none", 1), 0);
  expect_result(&options, "42", "compiled");
  tear_down();
}
END_TEST

/* What the compilers do not take, and what is said of it besides their own words. */
static const struct { const char *source, *says[3]; } mistakes[] = {
  {"#include <gpuqueue/handler.h>\nGQ_HANDLER(x, GQ_NO_ARGS, GQ_SUMMARY(\"x\") GQ_SCOPES(thread) GQ_RESULT(1, 0))\n"
   "{\n  return nothing;\n}\n", {"my.cu:4:", "'nothing' undeclared"}},
  {"#include <gpuqueue/handler.h>\nint32_t gq_handler_x(const gq_msg *m) { return m->size; }\n",
   {"my.cu: declares no handler", "hint: a handler's function is not written out: GQ_HANDLER(name"}},
  {"", {"my.cu: declares no handler", "hint: a handler begins with #include <gpuqueue/handler.h>"}},
  {"GQ_HANDLER(x, GQ_NO_ARGS, GQ_SUMMARY(\"x\")) { return 0; }\n",
   {"my.cu:1:", "hint: a handler begins with #include <gpuqueue/handler.h>"}},
  {"#include <gpuqueue/handler.h>\nGQ_HANDLER(x, GQ_NO_ARGS, GQ_SUMMARY(\"x\"), GQ_SCOPES(thread)) { return 0; }\n",
   {"my.cu:2:", "with no commas between the items"}},
  {"#include <gpuqueue/handler.h>\ntemplate <typename T> T f(T x) { return x; }\n"
   "GQ_HANDLER(x, GQ_NO_ARGS, GQ_SUMMARY(\"x\") GQ_SCOPES(thread) GQ_RESULT(1, 0)) { return f(0); }\n",
   {"my.cu:2:", "hint: this looks like C++ or CUDA. On the CPU a handler is compiled as C11"}},
  {"#include <gpuqueue/handler.h>\n#include \"missing.h\"\n", {"my.cu:2:", "missing.h: No such file"}},
  {"#include <gpuqueue/handler.h>\nGQ_HANDLER(x, GQ_NO_ARGS, GQ_SUMMARY(\"x\")) { return 0; }\n",
   {"my.cu: its manifest of handler x is not right: it does not say"}},
  {"#include <gpuqueue/handler.h>\nint32_t elsewhere(void);\n"
   "GQ_HANDLER(x, GQ_NO_ARGS, GQ_SUMMARY(\"x\") GQ_SCOPES(thread) GQ_RESULT(1, 0)) { return elsewhere(); }\n",
   {"my.cu: its code cannot be loaded: undefined symbol: elsewhere"}},
};

START_TEST(mistakes_are_explained)
{
  if (!has_c_compiler()) return;
  set_up();
  for (size_t i = 0; i < SUITE_COUNT(mistakes); i++) {
    gq_options options = cpu_options();
    gq_queue *queue = NULL;

    options.handler = write_text("my.cu", mistakes[i].source);
    assert_status(gq_init(&queue, &options), GQ_BAD_HANDLER);
    for (int k = 0; k < 3 && mistakes[i].says[k]; k++) assert_error_says(mistakes[i].says[k]);
  }
  tear_down();
}
END_TEST

/* An error of more than a kilobyte, from the first line to the last. */
START_TEST(nothing_that_a_compiler_says_is_left_out)
{
  static char source[200000];
  gq_options options = cpu_options();
  gq_queue *queue = NULL;
  size_t used = 0;

  if (!has_c_compiler()) return;
  set_up();
  for (int i = 0; i < 300; i++) used += (size_t)snprintf(source + used, sizeof source - used, "wrong_%d x%d;\n", i, i);
  options.handler_source = source;
  assert_status(gq_init(&queue, &options), GQ_BAD_HANDLER);
  assert_error_says("handler_source:1:1: error: unknown type name 'wrong_0'");
  assert_error_says("handler_source:300:1: error: unknown type name 'wrong_299'");
  assert_error_says("hint: a handler begins");
  tear_down();
}
END_TEST

START_TEST(without_a_c_compiler_it_is_said_what_to_install)
{
  char *path = strdup(getenv("PATH")), *cc = getenv("CC") ? strdup(getenv("CC")) : NULL;
  gq_options options = cpu_options();
  gq_queue *queue = NULL;

  set_up();
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  ck_assert_int_eq(setenv("PATH", "/nonexistent", 1), 0);
  unsetenv("CC");
  assert_status(gq_init(&queue, &options), GQ_NO_BACKEND);
  assert_error_says("no C compiler was found");
  assert_error_says("apt-get install gcc");
  ck_assert_int_eq(setenv("CC", "my-own-cc -m64", 1), 0);
  assert_status(gq_init(&queue, &options), GQ_NO_BACKEND);
  assert_error_says("CC is 'my-own-cc -m64', and no such program");
  setenv("PATH", path, 1);
  ck_assert_int_eq(setenv("CC", "/bin/false", 1), 0);
  assert_status(gq_init(&queue, &options), GQ_BAD_HANDLER);
  ck_assert_int_eq(setenv("CC", "/bin/true", 1), 0);
  assert_status(gq_init(&queue, &options), GQ_NO_BACKEND);
  assert_error_says("made no shared object");
  if (cc) setenv("CC", cc, 1);
  else unsetenv("CC");
  free(path);
  free(cc);
  tear_down();
}
END_TEST

START_TEST(an_image_needs_no_compiler)
{
  gq_options options = cpu_options();
  gq_compilation what = {sizeof what, "none", 1};
  char *path = strdup(getenv("PATH"));
  gq_queue *queue = NULL;
  size_t bytes = 0;
  void *image = NULL;

  if (!has_c_compiler()) return;
  set_up();
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  assert_status(gq_compile(&options, &what, &image, &bytes), GQ_OK);
  ck_assert_int_eq(setenv("PATH", "/nonexistent", 1), 0);
  options.handler_source = NULL;
  options.handler_image = image;
  options.handler_image_bytes = SIZE_MAX;
  assert_status(gq_init(&queue, &options), GQ_INVALID);
  assert_error_says("handler_image_bytes: 18446744073709551615 is more than");
  options.handler_image_bytes = bytes;
  expect_result(&options, "42", "handler answer compiled before");
  setenv("PATH", path, 1);
  assert_status(gq_compile(&options, &what, &image, &bytes), GQ_INVALID);
  assert_error_says("is no source");
  free((void *)(uintptr_t)options.handler_image);
  free(path);
  tear_down();
}
END_TEST

START_TEST(what_is_asked_of_the_compiler_is_checked)
{
  static const char *const wrong[] = {"74", "sm_", "90a", "sm_90x", "ptx90", "none 90", "1000", ","};
  gq_compilation what = {sizeof what, "none", 0};
  gq_options options = cpu_options();
  size_t bytes = 0;
  void *image = NULL;

  options.handler_source = "#define ANSWER 42\n" SOURCE;
  assert_status(gq_compile(&options, &what, &image, &bytes), GQ_INVALID);
  assert_error_says("nothing to compile for");
  for (size_t i = 0; i < SUITE_COUNT(wrong); i++) {
    what.archs = wrong[i];
    assert_status(gq_compile(&options, &what, &image, &bytes), GQ_INVALID);
    assert_error_says("is no GPU architecture");
  }
  what.size = 3;
  assert_status(gq_compile(&options, &what, &image, &bytes), GQ_INVALID);
  assert_status(gq_compile(&options, NULL, &image, &bytes), GQ_INVALID);
  ck_assert_ptr_null(image);
}
END_TEST

START_TEST(a_handler_linked_into_the_program_runs)
{
  gq_options options = cpu_options();
  const char *const args[] = {"byte=108", "offset=0", "factor=1", "prefix=", NULL};
  gq_linked_handler other = gq_linked_count_byte;
  gq_queue *queue = NULL;

  options.handler_linked = &gq_linked_count_byte;
  options.args = args;
  expect_result(&options, "2", NULL);
  other.abi = 2;
  options.handler_linked = &other;
  assert_status(gq_init(&queue, &options), GQ_BAD_HANDLER);
  assert_error_says("version 2 of the handler interface");
  other = gq_linked_count_byte;
  other.function = NULL;
  assert_status(gq_init(&queue, &options), GQ_INVALID);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- for the GPU */

static gq_loaded *find(const gq_options *options)
{
  gq_loaded *loaded = NULL;

  assert_status(gq_loader_find(&loaded, options), GQ_OK);
  return loaded;
}

START_TEST(without_nvrtc_it_is_said_what_to_install)
{
  gq_options options = cpu_options();
  gq_loaded *loaded;

  options.handler_source = "#define ANSWER 42\n" SOURCE;
  options.toolkit = "/nonexistent";
  loaded = find(&options);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_AUTO), GQ_NO_BACKEND);
  if (gq_linked_kernel_bytes()) {
    assert_error_says("in or below /nonexistent");
    assert_error_says("pip install \"nvidia-cuda-nvrtc==");
    assert_error_says("libnvjitlink-");
    assert_error_says("A handler compiled on another machine (gpuqueue compile) needs none of it");
  } else {
    assert_error_says("built without nvcc");
  }
  gq_loader_free(loaded);
}
END_TEST

/* Whether the ELF file at \p elf has a global symbol \p name: what the driver is asked for must not be local. */
static bool has_global(const void *elf, const char *name)
{
  const uint8_t *at = elf;
  const Elf64_Ehdr *header = elf;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(at + header->e_shoff);

  for (unsigned i = 0; i < header->e_shnum; i++) {
    const Elf64_Sym *symbols = (const Elf64_Sym *)(at + sections[i].sh_offset);
    const char *names = (const char *)at + sections[sections[i].sh_link].sh_offset;

    if (sections[i].sh_type != SHT_SYMTAB) continue;
    for (size_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++)
      if (ELF64_ST_BIND(symbols[k].st_info) == STB_GLOBAL && symbols[k].st_shndx != SHN_UNDEF &&
          strcmp(names + symbols[k].st_name, name) == 0)
        return true;
  }
  return false;
}

START_TEST(a_source_becomes_a_kernel)
{
  gq_options options = cpu_options();
  gq_loaded *loaded;

  if (!has_toolkit()) return;
  set_up();
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  loaded = find(&options);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_AUTO), GQ_OK);
  ck_assert_str_eq(loaded->how, "compiled");
  static const char *const wanted[] = {"gq_resident_thread", "gq_resident_init", "gq_lane_bases", "gq_manifest"};
  for (size_t i = 0; i < SUITE_COUNT(wanted); i++)
    ck_assert_msg(has_global(loaded->handler.kernel, wanted[i]), "the linked kernel has no global %s", wanted[i]);
  ck_assert_msg(!has_global(loaded->handler.kernel, "gq_resident_block"), "a scope that is not run was linked");
  ck_assert_msg(!has_global(loaded->handler.kernel, "gq_handler_entry"), "the handler was not inlined");
  ck_assert_str_eq(loaded->handler.declared->info.name, "answer");
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_AUTO), GQ_OK);
  ck_assert_str_eq(loaded->how, "from the cache");
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_BLOCK), GQ_NO_HANDLER);
  gq_loader_free(loaded);
  loaded = find(&options);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 999, GQ_SCOPE_AUTO), GQ_NO_BACKEND);
  assert_error_says("sm_999: is the GPU newer than it");
  gq_loader_free(loaded);
  options.handler_source = "#include <gpuqueue/handler.h>\n#include <stdio.h>\n";
  loaded = find(&options);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_AUTO), GQ_BAD_HANDLER);
  assert_error_says("handler_source(2):");
  assert_error_says("hint: on the GPU there are no system headers");
  gq_loader_free(loaded);
  tear_down();
}
END_TEST

START_TEST(an_image_is_linked_where_it_has_no_code_for_the_gpu)
{
  gq_compilation what = {sizeof what, "80", 0};
  gq_options options = cpu_options();
  gq_loaded *loaded;
  size_t bytes = 0;
  void *image = NULL;

  if (!has_toolkit()) return;
  set_up();
  options.handler_source = "#define ANSWER 42\n" SOURCE;
  assert_status(gq_compile(&options, &what, &image, &bytes), GQ_OK);
  options.handler_source = NULL;
  options.handler_image = image;
  options.handler_image_bytes = bytes;
  loaded = find(&options);
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 86, GQ_SCOPE_WARP), GQ_OK);
  ck_assert_str_eq(loaded->how, "compiled before");
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_WARP), GQ_OK);
  ck_assert_str_eq(loaded->how, "linked");
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CUDA, 90, GQ_SCOPE_WARP), GQ_OK);
  ck_assert_str_eq(loaded->how, "from the cache");
  assert_status(gq_loader_prepare(loaded, GQ_BACKEND_CPU, 0, GQ_SCOPE_AUTO), GQ_NO_BACKEND);
  assert_error_says("has no code for this CPU");
  assert_error_says("gpuqueue compile --cpu");
  gq_loader_free(loaded);
  free(image);
  tear_down();
}
END_TEST

/* On the backend under test: the GPU too, where there is one. */
START_TEST(a_source_handler_answers)
{
  gq_options options = suite_options("echo");

  if (suite_on_cuda() ? !has_toolkit() : !has_c_compiler()) return;
  set_up();
  options.handler_source = "#define ANSWER (msg->size * 10)\n" SOURCE;
  expect_result(&options, "50", "handler answer compiled");
  expect_result(&options, "50", "handler answer from the cache");
  options.scope = GQ_SCOPE_WARP;
  expect_result(&options, "50", NULL);
  tear_down();
}
END_TEST

/* Gives back how many threads a message had, the scope they were told, and the sums of their ranks and of its bytes. */
#define SHARING                                                                    \
  "#include <gpuqueue/handler.h>\n"                                                \
  "GQ_HANDLER(sharing, GQ_NO_ARGS, GQ_SUMMARY(\"who ran it\") GQ_SCOPES(thread, warp) GQ_RESULT(0, 16))\n" \
  "{\n"                                                                            \
  "  uint32_t i, sum = 0;\n"                                                       \
  "  for (i = gq_rank(ctx); i < msg->size; i += gq_ranks(ctx)) sum += msg->data[i];\n" \
  "  sum = gq_sum_u32(ctx, sum);\n"                                                \
  "  i = gq_sum_u32(ctx, ctx->rank + 1);\n"                                        \
  "  reply->size = 16;\n"                                                          \
  "  if (gq_rank(ctx) == 0) {\n"                                                   \
  "    gq_store_u32_le(reply->data, ctx->ranks);\n"                                \
  "    gq_store_u32_le(reply->data + 4, ctx->scope);\n"                            \
  "    gq_store_u32_le(reply->data + 8, i);\n"                                     \
  "    gq_store_u32_le(reply->data + 12, sum);\n"                                  \
  "  }\n"                                                                          \
  "  return 0;\n"                                                                  \
  "}\n"

static void expect_sharing(gq_queue *queue, uint64_t id, const uint8_t *data, size_t bytes, uint32_t scope)
{
  const uint32_t ranks = suite_on_cuda() && scope == GQ_SCOPE_WARP ? 32 : 1;
  uint8_t got[16];
  size_t size = sizeof got;
  uint32_t sum = 0;

  for (size_t i = 0; i < bytes; i++) sum += data[i];
  assert_status(gq_dequeue_result(queue, id, got, &size, SUPPORT_LONG), GQ_OK);
  ck_assert_uint_eq(size, sizeof got);
  ck_assert_msg(gq_load_u32_le(got) == ranks && gq_load_u32_le(got + 4) == scope, "%zu bytes: %u threads in scope %u",
                bytes, gq_load_u32_le(got), gq_load_u32_le(got + 4));
  ck_assert_uint_eq(gq_load_u32_le(got + 8), ranks * (ranks + 1) / 2);
  ck_assert_uint_eq(gq_load_u32_le(got + 12), sum);
}

/* A handler that is linked to the kernel is widened like those that are built in: by gq_run_wide() of cuda/serve.cuh,
 * for payloads of 4 KiB and more, if the user chose no scope. On the CPU there is one thread, always. */
START_TEST(a_warp_runs_a_large_message_of_a_source_handler)
{
  enum { MOST = 100001, MESSAGES = 60 };
  static const size_t sizes[] = { 0, 31, 200, 1025, 4095, 4096, 4097, 8192, 9000, MOST };
  static uint8_t data[MOST];

  if (suite_on_cuda() ? !has_toolkit() : !has_c_compiler()) return;
  set_up();
  support_fill(data, sizeof data, 3);
  for (int in_file = 0; in_file < 2; in_file++) {
    for (uint32_t scope = GQ_SCOPE_AUTO; scope <= GQ_SCOPE_WARP; scope++) {
      gq_options options = suite_options("echo");
      uint64_t ids[MESSAGES];

      options.scope = scope;
      options.sms = 2;   /* so that small and large ones come to the same warp */
      if (in_file) options.handler = write_text("sharing.cu", SHARING);
      else options.handler_source = SHARING;
      gq_queue *queue = suite_open(&options);
      for (size_t i = 0; i < MESSAGES; i++) ids[i] = suite_enqueue(queue, data, sizes[i % SUITE_COUNT(sizes)]);
      for (size_t i = 0; i < MESSAGES; i++) {
        const size_t bytes = sizes[i % SUITE_COUNT(sizes)];
        const bool wide = scope == GQ_SCOPE_AUTO && suite_on_cuda() && bytes >= 4096;

        expect_sharing(queue, ids[i], data, bytes, scope == GQ_SCOPE_WARP || wide ? GQ_SCOPE_WARP : GQ_SCOPE_THREAD);
      }
      suite_close(queue);
    }
  }
  tear_down();
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(a_second_start_does_not_compile),
    SUITE_TEST_ONCE(what_cannot_be_unloaded_is_not_used_again),
    SUITE_TEST_ONCE(a_changed_include_is_compiled_anew),
    SUITE_TEST_ONCE(a_spoilt_entry_is_compiled_anew),
    SUITE_TEST_ONCE(mistakes_are_explained),
    SUITE_TEST_ONCE(nothing_that_a_compiler_says_is_left_out),
    SUITE_TEST_ONCE(without_a_c_compiler_it_is_said_what_to_install),
    SUITE_TEST_ONCE(an_image_needs_no_compiler),
    SUITE_TEST_ONCE(what_is_asked_of_the_compiler_is_checked),
    SUITE_TEST_ONCE(a_handler_linked_into_the_program_runs),
    SUITE_TEST_ONCE(without_nvrtc_it_is_said_what_to_install),
    SUITE_TEST_ONCE(a_source_becomes_a_kernel),
    SUITE_TEST_ONCE(an_image_is_linked_where_it_has_no_code_for_the_gpu),
    SUITE_TEST(a_source_handler_answers),
    SUITE_TEST(a_warp_runs_a_large_message_of_a_source_handler),
  };

  return suite_main("test_compile", tests, SUITE_COUNT(tests));
}
