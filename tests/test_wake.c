/* SPDX-License-Identifier: Apache-2.0 */
/* The host half of parking and waking on a GPU, on a GPU that is not there (fake_gpu.c): whoever enqueues to a parked
 * queue launches its kernel again, once, and nobody's message is lost whatever else goes on. Each case is this program
 * again, as in test_driver.c; on a real GPU tests/test_life.c and tests/stress_park.c tell the same. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/cuda_backend.h"
#include "../lib/queue.h"
#include "driver_case.h"
#include "support.h"

/* ----------------------------------------------------------------------------------- in the process of a case */

static gq_handler echo;

static void die(const char *what)
{
  printf("%s: %s", what, gq_last_error());
  fflush(stdout);
  _exit(0);
}

/* A queue whose lanes are drained by the kernel of the fake GPU. It is opened on the CPU, so that no GPU code needs to
 * have been built, and changes its backend before anything is sent. */
static gq_queue *open_queue(unsigned lanes, unsigned park_us)
{
  char text[512];
  gq_options options;
  gq_queue *queue;
  gq_core *core;

  gq_options_init(&options);
  options.handler = "echo";
  options.backend = GQ_BACKEND_CPU;
  options.workers = 1;
  options.lanes = lanes;
  options.park_us = park_us;
  if (gq_init(&queue, &options) != GQ_OK) die("gq_init");
  core = queue->core;
  if (core->backend->stop(core->state) != GQ_OK) die("stop");
  echo = *core->consumption.handler;
  echo.kernel = "loaded by a GPU that looks at none";
  core->consumption.handler = &echo;
  core->backend = &gq_cuda_backend;
  core->running = GQ_BACKEND_CUDA;
  if (core->backend->start(&core->state, &core->consumption, text, sizeof text) != GQ_OK) die("start");
  return queue;
}

static gq_statistics statistics_of(gq_queue *queue)
{
  gq_statistics s = {.size = sizeof s};

  if (gq_stats(queue, &s) != GQ_OK) die("gq_stats");
  return s;
}

static void await_park(gq_queue *queue)
{
  for (gq_statistics s = statistics_of(queue); s.parks == s.relaunches; s = statistics_of(queue)) support_sleep_us(20);
}

/* Only where nobody else enqueues. */
static void await_left(const gq_backend_state *state)
{
  while (gq_ld32(&state->control->left, GQ_ACQUIRE, GQ_SYS) != state->queue.epoch) support_sleep_us(20);
}

/* Send a message and take its result. \return whether it came back as it was. */
static bool exchange(gq_queue *queue, uint64_t seed)
{
  uint8_t sent[40], got[40];
  const gq_message message = {sent, sizeof sent, 0, 0, 0};
  size_t size = sizeof got;
  uint64_t id;

  support_fill(sent, sizeof sent, seed);
  return gq_enqueue(queue, &message, SUPPORT_LONG, &id) == GQ_OK &&
         gq_dequeue_result(queue, id, got, &size, SUPPORT_LONG) == GQ_OK && size == sizeof sent &&
         memcmp(sent, got, sizeof got) == 0;
}

/* One thread, to a kernel that has said each time that it leaves, and of which something may still be there. */
static void wake_each_time(void)
{
  gq_queue *queue = open_queue(1, 50);
  gq_statistics s;
  int i;

  for (i = 0; i < 200; i++) {
    await_left(queue->core->state);
    if (!exchange(queue, (uint64_t)i)) die("exchange");
  }
  s = statistics_of(queue);
  printf("relaunches=%d taken=%d ", (int)s.relaunches, (int)s.completed);
  printf("%s", gq_status_name(gq_shutdown(queue, SUPPORT_LONG)));
}

typedef struct sender {
  gq_queue *queue;
  uint64_t number, exchanged, refused;
  int is_over; /* atomic: ask_now_and_then() is to end */
  pthread_t thread;
} sender;

/* Messages at times at which the kernel is resident, looks for the last time, leaves, or has left. */
static void *send_now_and_then(void *argument)
{
  sender *me = argument;
  support_random random = {me->number + 1};

  for (int i = 0; i < 400; i++) {
    support_sleep_us(support_below(&random, 200));
    me->exchanged += exchange(me->queue, me->number << 32 | (uint64_t)i);
  }
  return NULL;
}

static void *ask_now_and_then(void *argument)
{
  sender *me = argument;
  gq_core *core = me->queue->core;

  while (!__atomic_load_n(&me->is_over, __ATOMIC_ACQUIRE)) {
    statistics_of(me->queue);
    if (gq_check_health(core) != GQ_OK) die("health");
    support_sleep_us(70);
  }
  return NULL;
}

/* Several threads and lanes, beside one that asks for health and counters. */
static void wake_from_many(void)
{
  enum { SENDERS = 4 };
  sender senders[SENDERS + 1];
  gq_queue *queue = open_queue(2, 40), *second;
  uint64_t exchanged = 0;
  gq_statistics s;

  if (gq_open_lane(queue, &second) != GQ_OK) die("gq_open_lane");
  for (uint64_t i = 0; i <= SENDERS; i++) {
    senders[i] = (sender){.queue = i % 2 ? second : queue, .number = i};
    if (pthread_create(&senders[i].thread, NULL, i < SENDERS ? send_now_and_then : ask_now_and_then, &senders[i]))
      abort();
  }
  for (int i = 0; i < SENDERS; i++) {
    pthread_join(senders[i].thread, NULL);
    exchanged += senders[i].exchanged;
  }
  __atomic_store_n(&senders[SENDERS].is_over, 1, __ATOMIC_RELEASE);
  pthread_join(senders[SENDERS].thread, NULL);
  s = statistics_of(queue);
  printf("exchanged=%d completed=%d parked=%d in_step=%d ", (int)exchanged, (int)s.completed, s.parks > 0,
         s.parks - s.relaunches <= 1);
  printf("%s", gq_status_name(gq_shutdown(queue, SUPPORT_LONG)));
}

static void *send_until_refused(void *argument)
{
  sender *me = argument;
  const gq_message message = {"last words", 10, 0, 0, 0};
  support_random random = {me->number + 1};
  gq_status status;

  do {
    support_sleep_us(support_below(&random, 100));
    status = gq_enqueue(me->queue, &message, 0, NULL);
  } while (status == GQ_OK || status == GQ_FULL);
  me->refused = status == GQ_SHUT_DOWN;
  return NULL;
}

/* The end comes while kernels are launched; what was accepted is finished first, or given up where there is no time. */
static void end_while_waking(void)
{
  int finished = 0, given_up = 0, refused = 0;

  for (unsigned round = 0; round < 60; round++) {
    gq_queue *queue = open_queue(1, 30);
    sender senders[2];
    gq_status status;

    for (uint64_t i = 0; i < 2; i++) {
      senders[i] = (sender){.queue = queue, .number = round * 2 + i};
      if (pthread_create(&senders[i].thread, NULL, send_until_refused, &senders[i])) abort();
    }
    support_sleep_us(round * 37 % 500);
    gq_close(queue);
    for (int i = 0; i < 2; i++) {
      pthread_join(senders[i].thread, NULL);
      refused += (int)senders[i].refused;
    }
    status = gq_shutdown(queue, round % 2 ? SUPPORT_LONG : 0);
    finished += status == GQ_OK;
    given_up += status == GQ_TIMEOUT && round % 2 == 0;
  }
  printf("ended=%d refused=%d", finished + given_up, refused);
}

/* FAKE_GPU=fault or stay: no kernel follows the first one that has parked. */
static void wake_in_vain(void)
{
  static gq_queue *queue; /* static: a queue that is lost so is kept on purpose, and leak checkers are to see that */
  gq_queue *next;
  const gq_message message = {"hello", 5, 0, 0, 0};
  gq_options options;
  gq_status sent, taken;
  size_t size = 0;
  uint64_t id = 0;

  queue = open_queue(1, 20000);
  await_park(queue); /* it has been opened by then */
  if (strcmp(getenv("FAKE_GPU"), "stay") != 0) await_left(queue->core->state);
  support_sleep_us(10000);
  sent = gq_enqueue(queue, &message, 0, &id);
  taken = gq_dequeue_result(queue, id, NULL, &size, SUPPORT_LONG);
  printf("%s %s: %s | ", gq_status_name(sent), gq_status_name(taken), gq_last_error());
  gq_shutdown(queue, 0);
  gq_options_init(&options);
  options.handler = "echo";
  options.backend = GQ_BACKEND_CUDA;
  printf("%s: %s", gq_status_name(gq_init(&next, &options)), gq_last_error());
}

/* FAKE_GPU=linger. */
static void wake_one_that_lingers(void)
{
  gq_queue *queue = open_queue(1, 20000);

  await_left(queue->core->state); /* not only parked: the kernel might find the message at its last look, and stay */
  printf("%d ", exchange(queue, 7));
  printf("%s", gq_status_name(gq_shutdown(queue, SUPPORT_LONG)));
}

static const struct { const char *name; void (*run)(void); } cases[] = {
  { "each time", wake_each_time },
  { "many", wake_from_many },
  { "end", end_while_waking },
  { "in vain", wake_in_vain },
  { "lingers", wake_one_that_lingers },
};

static int run_case(const char *name)
{
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (strcmp(cases[i].name, name) == 0) cases[i].run();
  return fflush(stdout) ? 1 : 0;
}

/* ---------------------------------------------------------------------------------------------------- the tests */

START_TEST(a_message_to_a_parked_kernel_launches_it_once)
{
  use_fake();
  expect(ask("gpu", NULL, "each time", NULL), "relaunches=200 taken=200 GQ_OK");
}
END_TEST

START_TEST(of_several_senders_one_launches_and_no_message_is_lost)
{
  use_fake();
  expect(ask("gpu", NULL, "many", NULL), "exchanged=1600 completed=1600 parked=1 in_step=1 GQ_OK");
}
END_TEST

START_TEST(a_queue_can_end_while_it_is_woken)
{
  use_fake();
  expect(ask("gpu", NULL, "end", NULL), "ended=60 refused=120");
}
END_TEST

START_TEST(a_fault_of_the_kernel_that_left_is_told)
{
  use_fake();
  expect(ask("gpu", "FAKE_GPU=fault", "in vain", NULL), "GQ_OK GQ_DEVICE_LOST: ");
  expect(answer, "cannot use the GPU again");
  expect(answer, "| GQ_NO_BACKEND: ");
}
END_TEST

START_TEST(a_kernel_that_parks_and_does_not_leave_is_given_up_on)
{
  use_fake();
  expect(ask("gpu", "FAKE_GPU=stay", "in vain", NULL), "GQ_OK GQ_DEVICE_LOST: ");
}
END_TEST

/* The next kernel is launched behind it, which nobody has to wait for. */
START_TEST(a_kernel_that_has_left_may_take_its_time)
{
  use_fake();
  expect(ask("gpu", "FAKE_GPU=linger", "lingers", NULL), "1 GQ_OK");
}
END_TEST

int main(int count, char **words)
{
  Suite *suite;
  TCase *wake;
  SRunner *runner;
  int failed;

  if (count > 1) return run_case(words[1]);
  if (!set_up()) return EXIT_FAILURE;
  suite = suite_create("wake");
  wake = tcase_create("wake");
  tcase_add_test(wake, a_message_to_a_parked_kernel_launches_it_once);
  tcase_add_test(wake, of_several_senders_one_launches_and_no_message_is_lost);
  tcase_add_test(wake, a_queue_can_end_while_it_is_woken);
  tcase_add_test(wake, a_fault_of_the_kernel_that_left_is_told);
  tcase_add_test(wake, a_kernel_that_has_left_may_take_its_time);
  tcase_add_test(wake, a_kernel_that_parks_and_does_not_leave_is_given_up_on);
  tcase_set_timeout(wake, 120);
  suite_add_tcase(suite, wake);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  clean_up();
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
