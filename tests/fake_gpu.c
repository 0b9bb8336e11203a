/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_gpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cuda/device.h"
#include "../lib/cell.h"
#include "../lib/cuda_driver.h"

/* What stands for a CUmodule and its functions: the constant that kernels find the lanes by. */
struct CUmod_st { uint64_t lane_bases[GQ_MAX_LANES]; };

/* A launch that has not begun. The driver waits for the first launch, and launches again once that leaves. */
typedef struct launch {
  gq_dev_queue queue;
  const struct CUmod_st *module;
} launch;

enum { MOST_LAUNCHES = 4 };
enum { LINGER_US = 2500000 }; /* longer than a kernel that is to leave is waited for */

struct CUstream_st {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  launch launches[MOST_LAUNCHES];
  unsigned begun, launched, done; /* free-running */
  int ending, faulted;
};

static void *at(uint64_t address)
{
  return (void *)(uintptr_t)address; /* device memory is the host's */
}

static uint64_t clock_ns(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void nap_us(long us)
{
  const struct timespec t = {us / 1000000, us % 1000000 * 1000};

  nanosleep(&t, NULL);
}

/* ------------------------------------------------------------------------------------------------ the kernel */

/* Where the kernel stands in a lane: kept in device memory, as a position. */
static uint64_t *cursor_of(const gq_dev_queue *q, uint32_t lane)
{
  return &((gq_cursor *)at(q->cursors))[(size_t)lane * q->warps_per_lane].chunk;
}

static int read_cell(const launch *l, uint32_t lane, gq_cell_view *view, void *payload)
{
  const gq_limits *limits = &l->queue.limits;
  const uint64_t position = *cursor_of(&l->queue, lane), mask = (1ull << limits->ring_log2) - 1;
  const gq_unit *cells = at(l->module->lane_bases[lane] + l->queue.map.submissions);

  return gq_cell_get(cells + (position & mask) * limits->units, limits->units, limits->unit_bytes,
                     gq_tag(position, limits->ring_log2), view, payload);
}

/* Echo the next message of a lane, if there is one. Messages have no key and fit their cells. */
static int serve(const launch *l, uint32_t lane)
{
  const gq_dev_queue *q = &l->queue;
  const gq_limits *limits = &q->limits;
  const uint64_t base = l->module->lane_bases[lane], mask = (1ull << limits->ring_log2) - 1;
  gq_dev_counters *counters = &((gq_dev_shared *)at(q->shared))->counters;
  uint64_t *cursor = cursor_of(q, lane);
  gq_cell_view in, out = {{0}, {0}};
  gq_unit *completions = at(base + q->map.completions);
  gq_a64 *endings = at(base + q->map.endings);
  uint8_t payload[544];

  if (!read_cell(l, lane, &in, payload)) return 0;
  gq_add64(&counters->taken, 1, GQ_RELAXED);
  gq_completion_head(out.head, in.head[0], 0, 0, 1, 0);
  gq_st64(&endings[gq_ending_index(*cursor, limits->ring_log2)],
          gq_ending_word(*cursor, *cursor, limits->ring_log2), GQ_RELEASE, GQ_SYS);
  gq_cell_put(completions + (*cursor & mask) * limits->units, limits->unit_bytes, gq_tag(*cursor, limits->ring_log2),
              &out, payload, in.head[0]);
  gq_add64(&counters->completed, 1, GQ_RELAXED);
  gq_add64(&counters->finished, 1, GQ_RELAXED);
  ++*cursor;
  return 1;
}

static void set_parked(const launch *l, uint32_t parked)
{
  for (uint32_t i = 0; i < l->queue.lane_count; i++) {
    gq_a32 *word = at(l->module->lane_bases[i] + l->queue.map.parked);

    gq_st32(word, parked, GQ_RELAXED, GQ_SYS);
  }
  gq_fence_sys(); /* [P1] */
}

static int anything_new(const launch *l)
{
  gq_cell_view view;

  for (uint32_t i = 0; i < l->queue.lane_count; i++)
    if (read_cell(l, i, &view, NULL)) return 1;
  return 0;
}

static void publish_counters(const launch *l, gq_control *control)
{
  gq_a64 *from = (gq_a64 *)&((gq_dev_shared *)at(l->queue.shared))->counters, *to = (gq_a64 *)&control->counters;

  for (size_t i = 0; i < sizeof(gq_dev_counters) / sizeof *from; i++)
    gq_st64(&to[i], gq_ld64(&from[i], GQ_RELAXED, GQ_GPU), GQ_RELAXED, GQ_SYS);
}

static int is_to(const char *do_what)
{
  const char *what = getenv("FAKE_GPU");

  return what && strcmp(what, do_what) == 0;
}

/* gq_try_park(): \return whether the kernel is to leave. */
static int try_park(const launch *l)
{
  set_parked(l, 1);
  if (l->queue.epoch % 2) nap_us(50); /* a message may come while it looks */
  if (!anything_new(l)) return 1;
  set_parked(l, 0);
  return 0;
}

/* gq_control_warp() and the ingress warps in one. The blocks of a real kernel leave one after the other, some time
 * after it has said that it leaves: so does this, for a time that changes. */
static void run_kernel(const launch *l)
{
  gq_control *control = at(l->queue.control);
  uint64_t idle_since = clock_ns();
  uint32_t answered = gq_ld32(&control->answered, GQ_RELAXED, GQ_SYS);

  gq_st64(&control->clock, idle_since, GQ_RELAXED, GQ_SYS);
  gq_st32(&control->hello, l->queue.epoch, GQ_RELEASE, GQ_SYS);
  while (!gq_ld32(&control->stop, GQ_ACQUIRE, GQ_SYS)) {
    const uint32_t ask = gq_ld32(&control->ask, GQ_ACQUIRE, GQ_SYS);
    const uint64_t now = clock_ns();
    int served = 0;

    for (uint32_t i = 0; i < l->queue.lane_count; i++) served |= serve(l, i);
    if (ask != answered) {
      publish_counters(l, control);
      gq_st32(&control->answered, answered = ask, GQ_RELEASE, GQ_SYS);
    }
    gq_st64(&control->heartbeat, now, GQ_RELAXED, GQ_SYS);
    if (served) idle_since = now;
    else if (now - idle_since >= l->queue.park_ns && try_park(l)) break;
    if (!served) nap_us(1);
  }
  while (is_to("stay") && !gq_ld32(&control->stop, GQ_ACQUIRE, GQ_SYS)) nap_us(1000);
  publish_counters(l, control);
  gq_st32(&control->left, l->queue.epoch, GQ_RELEASE, GQ_SYS);
  if (is_to("linger") && l->queue.epoch == 1) nap_us(LINGER_US);
  else if (l->queue.epoch % 3) nap_us(l->queue.epoch % 7 * 50);
}

/* ------------------------------------------------------------------------------------------------ the stream */

static void *run_stream(void *argument)
{
  gq_cuda_stream s = argument;

  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->begun == s->launched && !s->ending) pthread_cond_wait(&s->changed, &s->lock);
    if (s->begun == s->launched) break;
    const launch now = s->launches[s->begun++ % MOST_LAUNCHES];

    pthread_mutex_unlock(&s->lock);
    run_kernel(&now);
    pthread_mutex_lock(&s->lock);
    s->done++;
    s->faulted = is_to("fault");
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

static gq_cuda_result stream_create(gq_cuda_stream *stream, unsigned flags)
{
  gq_cuda_stream s = calloc(1, sizeof *s);

  (void)flags;
  if (!s) return GQ_CUDA_OUT_OF_MEMORY;
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->changed, NULL);
  if (pthread_create(&s->thread, NULL, run_stream, s)) abort();
  *stream = s;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result stream_destroy(gq_cuda_stream s)
{
  pthread_mutex_lock(&s->lock);
  s->ending = 1;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->lock);
  free(s);
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result stream_query(gq_cuda_stream s)
{
  gq_cuda_result result;

  pthread_mutex_lock(&s->lock);
  result = s->faulted ? GQ_CUDA_ILLEGAL_ADDRESS : s->done == s->launched ? GQ_CUDA_SUCCESS : GQ_CUDA_NOT_READY;
  pthread_mutex_unlock(&s->lock);
  return result;
}

static gq_cuda_result stream_synchronize(gq_cuda_stream s)
{
  while (stream_query(s) == GQ_CUDA_NOT_READY) nap_us(10);
  return GQ_CUDA_SUCCESS;
}

/* A CUfunction is the module that it is of. */
static gq_cuda_result launch_cooperative(gq_cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                         unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                         gq_cuda_stream s, void **parameters)
{
  gq_cuda_result result = GQ_CUDA_SUCCESS;

  (void)(grid_x + grid_y + grid_z + block_x + block_y + block_z + shared_bytes);
  pthread_mutex_lock(&s->lock);
  /* One that runs or leaves, one behind it: more than that nobody has a reason for. */
  if (s->launched - s->done > 1) abort();
  if (s->faulted) {
    result = GQ_CUDA_ILLEGAL_ADDRESS;
  } else {
    launch *l = &s->launches[s->launched % MOST_LAUNCHES];

    memcpy(&l->queue, parameters[0], sizeof l->queue);
    l->module = (const struct CUmod_st *)(const void *)function;
    s->launched++;
    pthread_cond_signal(&s->changed);
  }
  pthread_mutex_unlock(&s->lock);
  return result;
}

static gq_cuda_result launch_other(gq_cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                   gq_cuda_stream stream, void **parameters, void **extra)
{
  (void)function, (void)stream, (void)parameters, (void)extra;
  (void)(grid_x + grid_y + grid_z + block_x + block_y + block_z + shared_bytes);
  return GQ_CUDA_SUCCESS;
}

/* ------------------------------------------------------------------------------------- contexts and modules */

struct CUctx_st { int unused; };
static _Thread_local gq_cuda_context stack[8];
static _Thread_local unsigned depth;

static gq_cuda_result context_push(gq_cuda_context context)
{
  if (depth == sizeof stack / sizeof *stack) abort(); /* somebody pushes and does not pop */
  stack[depth++] = context;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result context_pop(gq_cuda_context *context)
{
  if (depth == 0) abort();
  *context = stack[--depth];
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result context_create(gq_cuda_context *context, unsigned flags, gq_cuda_device device)
{
  (void)flags, (void)device;
  *context = calloc(1, sizeof **context);
  return *context ? context_push(*context) : GQ_CUDA_OUT_OF_MEMORY;
}

static gq_cuda_result context_destroy(gq_cuda_context context)
{
  if (depth && stack[depth - 1] == context) depth--;
  free(context);
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result module_load(gq_cuda_module *module, const void *image)
{
  (void)image;
  *module = calloc(1, sizeof **module);
  return *module ? GQ_CUDA_SUCCESS : GQ_CUDA_OUT_OF_MEMORY;
}

static gq_cuda_result module_unload(gq_cuda_module module)
{
  free(module);
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_function(gq_cuda_function *function, gq_cuda_module module, const char *name)
{
  (void)name;
  *function = (gq_cuda_function)(void *)module;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result get_global(gq_cuda_address *address, size_t *bytes, gq_cuda_module module, const char *name)
{
  if (strcmp(name, "gq_lane_bases") != 0) return GQ_CUDA_NOT_FOUND;
  *address = (uintptr_t)module->lane_bases;
  *bytes = sizeof module->lane_bases;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result set_function_attribute(gq_cuda_function function, unsigned attribute, int value)
{
  (void)function, (void)attribute, (void)value;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result occupancy(int *blocks, gq_cuda_function function, int threads, size_t shared_bytes)
{
  (void)function, (void)threads, (void)shared_bytes;
  *blocks = 1;
  return GQ_CUDA_SUCCESS;
}

/* --------------------------------------------------------------------------------------------------- memory */

static gq_cuda_result allocate_host(void **memory, size_t bytes, unsigned flags)
{
  (void)flags;
  *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *memory ? GQ_CUDA_SUCCESS : GQ_CUDA_OUT_OF_MEMORY;
}

static gq_cuda_result allocate(gq_cuda_address *address, size_t bytes)
{
  void *memory;
  const gq_cuda_result result = allocate_host(&memory, bytes, 0);

  *address = (uintptr_t)memory;
  return result;
}

static gq_cuda_result free_host(void *memory)
{
  free(memory);
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result free_device(gq_cuda_address address) { return free_host(at(address)); }

static gq_cuda_result register_host(void *memory, size_t bytes, unsigned flags)
{
  (void)memory, (void)bytes, (void)flags;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result unregister_host(void *memory)
{
  (void)memory;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result device_pointer(gq_cuda_address *address, void *memory, unsigned flags)
{
  (void)flags;
  *address = (uintptr_t)memory;
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result set_bytes(gq_cuda_address to, unsigned char value, size_t count, gq_cuda_stream stream)
{
  (void)stream;
  memset(at(to), value, count);
  return GQ_CUDA_SUCCESS;
}

static gq_cuda_result copy_in(gq_cuda_address to, const void *from, size_t bytes, gq_cuda_stream stream)
{
  (void)stream;
  memcpy(at(to), from, bytes);
  return GQ_CUDA_SUCCESS;
}

fake_entry *fake_gpu_find(const char *name)
{
  static const struct { const char *name; fake_entry *entry; } entries[] = {
    { "cuStreamCreate", (fake_entry *)stream_create },
    { "cuStreamDestroy", (fake_entry *)stream_destroy },
    { "cuStreamQuery", (fake_entry *)stream_query },
    { "cuStreamSynchronize", (fake_entry *)stream_synchronize },
    { "cuLaunchCooperativeKernel", (fake_entry *)launch_cooperative },
    { "cuLaunchKernel", (fake_entry *)launch_other },
    { "cuCtxCreate", (fake_entry *)context_create },
    { "cuCtxDestroy", (fake_entry *)context_destroy },
    { "cuCtxPushCurrent", (fake_entry *)context_push },
    { "cuCtxPopCurrent", (fake_entry *)context_pop },
    { "cuModuleLoadData", (fake_entry *)module_load },
    { "cuModuleUnload", (fake_entry *)module_unload },
    { "cuModuleGetFunction", (fake_entry *)get_function },
    { "cuModuleGetGlobal", (fake_entry *)get_global },
    { "cuFuncSetAttribute", (fake_entry *)set_function_attribute },
    { "cuOccupancyMaxActiveBlocksPerMultiprocessor", (fake_entry *)occupancy },
    { "cuMemAlloc", (fake_entry *)allocate },
    { "cuMemFree", (fake_entry *)free_device },
    { "cuMemHostAlloc", (fake_entry *)allocate_host },
    { "cuMemFreeHost", (fake_entry *)free_host },
    { "cuMemHostRegister", (fake_entry *)register_host },
    { "cuMemHostUnregister", (fake_entry *)unregister_host },
    { "cuMemHostGetDevicePointer", (fake_entry *)device_pointer },
    { "cuMemsetD8Async", (fake_entry *)set_bytes },
    { "cuMemcpyHtoDAsync", (fake_entry *)copy_in },
  };

  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
    if (strcmp(entries[i].name, name) == 0) return entries[i].entry;
  return NULL;
}
