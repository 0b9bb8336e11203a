/* SPDX-License-Identifier: Apache-2.0 */
/* A handler linked into the program for the CPU (luhn.c), and an image of it for the GPU, made when the program was
 * built: so nothing is compiled when the program runs. Without the image it runs on the CPU.
 *
 *     cc -O2 -o check_numbers check_numbers.c luhn.c $(pkg-config --cflags --libs gpuqueue)
 *     ./check_numbers                        # on the CPU
 *     gpuqueue compile luhn.c -o luhn.gqh
 *     ./check_numbers luhn.gqh               # on the GPU if there is one
 *
 * Checks some card numbers, valid, mistyped, and no numbers at all, and compares with what is known of them. */
#include <gpuqueue/gpuqueue.h>
#include <gpuqueue/handler.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS 10000000000 /* 10 s */
#define ROUNDS 1000

extern const gq_linked_handler gq_linked_luhn; /* GQ_HANDLER(luhn, ...) defines it */

/* Numbers that the card companies give for tests; 0 and 1 are results, -1 means that the handler returns code 1. */
static const struct { const char *number; int expected; } cases[] = {
  {"4111 1111 1111 1111", 1}, {"5555-5555-5555-4444", 1}, {"378282246310005", 1}, {"6011111111111117", 1},
  {"4111 1111 1111 1112", 0}, {"5555-5555-5555-4445", 0}, {"378282246310050", 0}, {"0", 0}, {"", 0},
  {"4111 1111 1111 111l", -1}, {"card", -1},
};
#define CASES (sizeof cases / sizeof *cases)

/* The whole of a file, from malloc(); or NULL, and it was said why. */
static void *read_file(const char *path, size_t *size)
{
  FILE *file = fopen(path, "rb");
  size_t room = 1 << 16, used = 0;
  char *data = file ? malloc(room) : NULL;

  while (data && (used += fread(data + used, 1, room - used, file)) == room) {
    char *larger = realloc(data, room *= 2);

    if (!larger) free(data);
    data = larger;
  }
  if (!data || ferror(file)) {
    fprintf(stderr, "check_numbers: %s: %s\n", path, strerror(errno));
    free(data);
    data = NULL;
  }
  if (file) fclose(file);
  *size = used;
  return data;
}

/* Compare a completion, whose tag is the case's number, with what is known. \return 1 if it is wrong. */
static unsigned judge(const gq_completion *c)
{
  const int expected = cases[c->tag].expected;
  int got = -2;

  if (c->status == GQ_FAILED && c->code == 1) got = -1;
  else if (c->status == GQ_OK && c->size == 1) got = *(const char *)c->data - '0';
  if (got == expected) return 0;
  fprintf(stderr, "'%s': %s, code %d, result %d where %d is right\n", cases[c->tag].number, gq_status_name(c->status),
          (int)c->code, got, expected);
  return 1;
}

/* Send all cases, and take completions until there is one for each. */
static gq_status check_all(gq_queue *queue, unsigned *wrong)
{
  gq_status status = GQ_OK;
  size_t left = CASES;

  for (size_t i = 0; status == GQ_OK && i < CASES; i++) {
    gq_message message = {0};
    uint64_t id; /* not needed here: the tag comes back with the completion */

    message.data = cases[i].number;
    message.size = strlen(cases[i].number);
    message.tag = i;
    status = gq_enqueue(queue, &message, TIMEOUT_NS, &id);
  }
  while (status == GQ_OK && left > 0) {
    gq_completion completions[CASES];
    size_t count = 0;

    status = gq_wait(queue, completions, CASES, TIMEOUT_NS, &count);
    if (status != GQ_OK) break;
    for (size_t i = 0; i < count; i++) *wrong += judge(&completions[i]);
    gq_release(queue, completions, count);
    left -= count;
  }
  return status;
}

int main(int argc, char **argv)
{
  static const char *const args[] = {"least=12", NULL};
  gq_queue *queue = NULL;
  gq_options options;
  gq_status status;
  unsigned wrong = 0;
  void *image = NULL;

  if (argc > 2) {
    fprintf(stderr, "usage: %s [luhn.gqh]\n", argv[0]);
    return 2;
  }
  status = gq_options_init(&options);
  if (status != GQ_OK) goto failed;
  options.handler_linked = &gq_linked_luhn;
  options.args = args;
  if (argc == 2) {
    image = read_file(argv[1], &options.handler_image_bytes);
    if (!image) return 1;
    options.handler_image = image;
  } else {
    options.backend = GQ_BACKEND_CPU;
  }
  status = gq_init(&queue, &options);
  free(image); /* gq_init() has what it needs */
  if (status != GQ_OK) goto failed;
  printf("%s\n", gq_describe(queue));
  for (int round = 0; status == GQ_OK && round < ROUNDS; round++) status = check_all(queue, &wrong);
  if (status != GQ_OK) goto failed;
  printf("%zu numbers checked, %u of them wrongly\n", CASES * ROUNDS, wrong);
  return gq_shutdown(queue, TIMEOUT_NS) != GQ_OK || wrong > 0;
failed:
  fprintf(stderr, "check_numbers: %s: %s\n", gq_status_name(status), gq_last_error());
  gq_shutdown(queue, 0);
  return 1;
}
