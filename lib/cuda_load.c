/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend before its kernel is resident: a context, the kernel, who does what, and the handler's init. */
#include "cuda_backend.h"

#include <time.h>

#include "cuda_kernels.h"
#include "error.h"

#define MOST_SMS 16u
#define MOST_WARPS_A_LANE 16u /* that fetch: more would only get into each other's way over PCIe */
#define WARPS 8u
#define INIT_THREADS 256u
#define STATIC_SHARED 1024u /* room for what kernel and handler declare by themselves */

static gq_status open_context(gq_backend_state *s)
{
  const gq_cuda_driver *d = s->d;
  gq_cuda_device device;
  gq_cuda_result error = d->cuDeviceGet(&device, s->c->device);

  if (error) return gq_cuda_failed(d, GQ_NO_DEVICE, error, "cuDeviceGet");
  error = d->cuCtxCreate(&s->context, GQ_CUDA_CTX_SCHED_YIELD | GQ_CUDA_CTX_MAP_HOST, device);
  if (error) return gq_cuda_failed(d, GQ_NO_BACKEND, error, "creating a CUDA context (is another process using the GPU "
                                                         "exclusively, or its memory full?)");
  error = d->cuStreamCreate(&s->stream, GQ_CUDA_STREAM_NON_BLOCKING);
  return error ? gq_cuda_failed(d, GQ_NO_BACKEND, error, "cuStreamCreate") : GQ_OK;
}

/* Bytes of shared memory for one staged message and its reply. */
static void choose_stage(gq_dev_queue *q)
{
  q->stage_in = 16 + gq_stage_payload_bytes(q->limits.units) + 32;
  q->stage_out = gq_stage_payload_bytes(q->limits.units);
}

/* Threads and shared memory of a block, of `limit` bytes at most. */
static gq_status choose_block(gq_backend_state *s, uint32_t limit)
{
  const uint32_t scope = s->c->scope, slots = scope == GQ_SCOPE_THREAD ? 32 : 1;
  const uint32_t staged = slots * (s->queue.stage_in + s->queue.stage_out);
  const uint32_t own = scope == GQ_SCOPE_THREAD ? 0 : s->c->supplies.shared_bytes; /* see gq_make_context() */
  uint32_t warps = WARPS;

  while (scope != GQ_SCOPE_BLOCK && warps > 1 && warps * (staged + own) + STATIC_SHARED > limit) warps--;
  s->threads = warps * 32;
  s->queue.shared_at = scope == GQ_SCOPE_BLOCK ? staged : warps * staged;
  s->shared_bytes = s->queue.shared_at + (scope == GQ_SCOPE_BLOCK ? own : warps * own);
  if (own && s->shared_bytes + STATIC_SHARED > limit)
    return gq_fail(GQ_NO_BACKEND, "handler %s wants %u bytes of fast memory for a message, too much for this GPU: a block "
                                  "has %u in all, and the queue needs %u of them", s->c->handler->declared->info.name,
                   own, limit, s->queue.shared_at + STATIC_SHARED);
  return GQ_OK;
}

static gq_status load_kernel(gq_backend_state *s)
{
  static const char *const names[] = {"", "gq_resident_thread", "gq_resident_warp", "gq_resident_block"};
  const void *kernel = s->c->handler->kernel ? s->c->handler->kernel : gq_cuda_fatbin(s->c->handler->id);
  const gq_cuda_driver *d = s->d;
  gq_cuda_result error;

  if (!kernel) return gq_fail(GQ_NO_BACKEND, "this library has no kernel for handler %s: it was built without nvcc",
                              s->c->handler->declared->info.name);
  error = d->cuModuleLoadData(&s->module, kernel);
  if (error)
    return gq_cuda_failed(d, GQ_NO_BACKEND, error, "loading the kernels (a driver older than the toolkit that built "
                                                   "this library may not read them)");
  error = d->cuModuleGetFunction(&s->kernel, s->module, names[s->c->scope]);
  if (error) return gq_cuda_failed(d, GQ_NO_BACKEND, error, names[s->c->scope]);
  error = d->cuModuleGetFunction(&s->init_kernel, s->module, "gq_resident_init");
  return error ? gq_cuda_failed(d, GQ_NO_BACKEND, error, "gq_resident_init") : GQ_OK;
}

/* How large the kernel is: blocks that are all resident at once. */
static gq_status choose_grid(gq_backend_state *s)
{
  const gq_cuda_driver *d = s->d;
  int most_shared = 0, resident = 0, sms = 0;
  gq_cuda_result error;
  gq_status status;

  d->cuDeviceGetAttribute(&most_shared, GQ_CUDA_ATTRIBUTE_SHARED_OPTIN, s->c->device);
  d->cuDeviceGetAttribute(&sms, GQ_CUDA_ATTRIBUTE_MULTIPROCESSOR_COUNT, s->c->device);
  status = choose_block(s, (uint32_t)most_shared);
  if (status != GQ_OK) return status;
  error = d->cuFuncSetAttribute(s->kernel, GQ_CUDA_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)s->shared_bytes);
  if (!error)
    error = d->cuFuncSetAttribute(s->init_kernel, GQ_CUDA_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                  (int)s->c->supplies.shared_bytes);
  if (error) return gq_cuda_failed(d, GQ_NO_BACKEND, error, "shared memory for the resident kernel");
  error = d->cuOccupancyMaxActiveBlocksPerMultiprocessor(&resident, s->kernel, (int)s->threads, s->shared_bytes);
  if (error) return gq_cuda_failed(d, GQ_NO_BACKEND, error, "the resident kernel's occupancy");
  if (resident < 1)
    return gq_fail(GQ_NO_BACKEND, "the resident kernel's %u threads with %u bytes of shared memory fit no multiprocessor",
                   s->threads, s->shared_bytes);
  s->sms = (uint32_t)sms;
  s->blocks = s->c->sms ? s->c->sms : (uint32_t)sms / 2 < MOST_SMS ? (uint32_t)sms / 2 : MOST_SMS;
  if (s->blocks < 2) s->blocks = 2;
  if (s->blocks > (uint32_t)(sms * resident))
    return gq_fail(GQ_INVALID, "sms: %u is more than the %d multiprocessors of the GPU", s->blocks, sms);
  return GQ_OK;
}

/* Decide which block does what, and how the resident ring is sized. */
static void choose_roles(gq_backend_state *s)
{
  gq_dev_queue *q = &s->queue;
  const uint32_t warps = s->threads / 32;
  uint32_t ingress, chunks, most;

  q->lane_count = s->c->lane_count;
  q->is_short = s->c->is_short && s->c->scope == GQ_SCOPE_THREAD;
  q->widens = s->c->widens;
  /* A short message costs those who fetch it more time than those who run it, for theirs is the way over PCIe. One that
   * a warp or a block runs costs most where it is run, all the more as its payload is brought there. */
  most = s->blocks / (q->is_short ? 2 : s->c->scope == GQ_SCOPE_THREAD ? 3 : 6);
  q->ingress_blocks = (MOST_WARPS_A_LANE * q->lane_count + warps) / warps; /* one of all warps is in charge */
  if (q->ingress_blocks > most) q->ingress_blocks = most ? most : 1;
  ingress = q->ingress_blocks * warps - 1;
  if (ingress == 0) { /* blocks of one warp: one for control is not enough */
    q->ingress_blocks = 2;
    if (s->blocks < 3) s->blocks = 3;
    ingress = 1;
  }
  q->units_log2 = (uint32_t)__builtin_ctz(q->limits.units);
  q->heads = q->limits.units == 32 ? 1u : 0xffffffffu / ((1u << q->limits.units) - 1);
  chunks = (1u << (q->limits.ring_log2 + q->units_log2)) / (GQ_WINDOWS * 32);
  q->warps_per_lane = ingress / q->lane_count ? ingress / q->lane_count : 1;
  if (q->warps_per_lane > MOST_WARPS_A_LANE) q->warps_per_lane = MOST_WARPS_A_LANE;
  if (q->warps_per_lane > chunks) q->warps_per_lane = chunks;
  q->ring_log2 = 13; /* more than all ingress warps hold at once */
  while ((1u << q->ring_log2) < 128 * ingress) q->ring_log2++;
  q->park_ns = (uint64_t)s->c->park_us * 1000;
  q->may_take_long = !s->c->is_short;
}

/* The handler's memory for each message under way. In thread scope its fast memory is there too. */
static void choose_scratch(gq_backend_state *s)
{
  const gq_supplies *supplies = &s->c->supplies;
  gq_dev_queue *q = &s->queue;

  q->scratch_bytes = supplies->scratch_bytes;
  q->shared_bytes = supplies->shared_bytes;
  q->state_bytes = supplies->state_bytes;
  q->scratch_stride = (uint64_t)q->scratch_bytes + (s->c->scope == GQ_SCOPE_THREAD ? q->shared_bytes : 0);
  s->groups = s->c->scope == GQ_SCOPE_THREAD ? s->blocks * s->threads
            : s->c->scope == GQ_SCOPE_WARP ? s->blocks * s->threads / 32 : s->blocks;
}

gq_status gq_cuda_load(gq_backend_state *s)
{
  gq_status status = open_context(s);

  choose_stage(&s->queue);
  if (status == GQ_OK) status = load_kernel(s);
  if (status == GQ_OK) status = choose_grid(s);
  if (status != GQ_OK) return status;
  choose_roles(s);
  choose_scratch(s);
  return GQ_OK;
}

gq_status gq_cuda_init_handler(gq_backend_state *s)
{
  const uint64_t begin = gq_now(), limit = (uint64_t)s->c->stall_ms * 1000000u;
  const struct timespec nap = {0, 20000};
  void *parameters[] = {&s->queue};
  gq_cuda_result error = s->d->cuLaunchKernel(s->init_kernel, 1, 1, 1, INIT_THREADS, 1, 1, s->c->supplies.shared_bytes,
                                              s->stream, parameters, NULL);
  int32_t code;

  if (error) return gq_cuda_failed(s->d, GQ_NO_BACKEND, error, "launching the handler's init");
  while ((error = s->d->cuStreamQuery(s->stream)) == GQ_CUDA_NOT_READY) {
    if (limit && gq_now() - begin > limit) return gq_init_stalled(s->c->handler->declared, s->c->stall_ms);
    nanosleep(&nap, NULL);
  }
  if (error) {
    gq_cuda_note_fault();
    return gq_cuda_failed(s->d, GQ_FAILED, error, "the handler's init ended with an error of the GPU; this process "
                                                  "cannot use the GPU again");
  }
  code = (int32_t)gq_ld32(&s->control->init_code, GQ_ACQUIRE, GQ_SYS);
  return code ? gq_init_refused(s->c->handler->declared, code) : GQ_OK;
}
