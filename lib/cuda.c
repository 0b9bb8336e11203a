/* SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"
#include "cuda_driver.h"
#include "error.h"
#include "info.h"

static gq_status cuda_check(const gq_consumption *c)
{
  const gq_cuda_driver *driver;
  gq_device_info info;
  gq_status status = gq_cuda_driver_load(&driver);

  return status == GQ_OK ? gq_cuda_check_device(driver, c->device, &info) : status;
}

static gq_status cuda_start(gq_backend_state **state, const gq_consumption *c, char *text, size_t size)
{
  (void)state, (void)c, (void)text, (void)size;
  return gq_fail(GQ_NO_BACKEND, "the CUDA backend is being written");
}

const gq_backend_ops gq_cuda_backend = {cuda_check, cuda_start, 0, 0, 0, 0};
