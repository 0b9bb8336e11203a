/* SPDX-License-Identifier: Apache-2.0 */
/* A queue runs on the device that it was opened for, and queues on all devices run side by side. */
#include "suite.h"

#include <string.h>

#define MOST_DEVICES 16
#define MESSAGES 500

/* CPU queues have no devices: there, these are just several queues. */
static int32_t count_devices(void)
{
  gq_system_info info = {.size = sizeof info};

  if (!suite_on_cuda()) return 2;
  assert_status(gq_get_system_info(&info), GQ_OK);
  return info.devices < MOST_DEVICES ? info.devices : MOST_DEVICES;
}

static gq_queue *open_on(int32_t device)
{
  gq_options options = suite_options("crc32c");
  options.device = suite_on_cuda() ? device : 0;
  options.capacity = 1024;
  options.sms = 4;
  return suite_open(&options);
}

START_TEST(each_device_runs_a_queue)
{
  const int32_t devices = count_devices();
  for (int32_t i = 0; i < devices; i++) {
    gq_queue *queue = open_on(i);
    gq_device_info info = {.size = sizeof info};
    if (suite_on_cuda()) {
      assert_status(gq_get_device_info(i, &info), GQ_OK);
      ck_assert_msg(strstr(gq_describe(queue), info.name) != NULL, "%s: %s", info.name, gq_describe(queue));
    }
    const uint64_t id = suite_enqueue(queue, "abc", 3);
    unsigned char result[4];
    size_t size = sizeof result;
    assert_status(gq_dequeue_result(queue, id, result, &size, SUPPORT_LONG), GQ_OK);
    ck_assert_mem_eq(result, "\x36\x4b\x3f\xb7", 4);
    suite_close(queue);
  }
}
END_TEST

START_TEST(queues_on_all_devices_run_side_by_side)
{
  const int32_t devices = count_devices();
  gq_queue *queues[MOST_DEVICES];
  static uint64_t ids[MOST_DEVICES][MESSAGES];
  unsigned char first[MESSAGES][4];
  for (int32_t d = 0; d < devices; d++) queues[d] = open_on(d);
  for (size_t i = 0; i < MESSAGES; i++)
    for (int32_t d = 0; d < devices; d++) ids[d][i] = suite_enqueue_pattern(queues[d], i, i);
  for (int32_t d = 0; d < devices; d++)
    for (size_t i = 0; i < MESSAGES; i++) {
      unsigned char result[4];
      size_t size = sizeof result;
      assert_status(gq_dequeue_result(queues[d], ids[d][i], d ? result : first[i], &size, SUPPORT_LONG), GQ_OK);
      if (d) ck_assert_mem_eq(result, first[i], 4);
    }
  for (int32_t d = 0; d < devices; d++) suite_close(queues[d]);
}
END_TEST

START_TEST(a_device_that_is_not_there_is_refused)
{
  gq_options options = suite_options("echo");
  gq_queue *queue;
  if (!suite_on_cuda()) return; /* the CPU backend has none to refuse */
  options.device = count_devices();
  assert_status(gq_init(&queue, &options), GQ_NO_DEVICE);
  assert_error_says("does not exist");
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(each_device_runs_a_queue),
    SUITE_TEST(queues_on_all_devices_run_side_by_side),
    SUITE_TEST(a_device_that_is_not_there_is_refused),
  };
  return suite_main("test_devices", tests, SUITE_COUNT(tests));
}
