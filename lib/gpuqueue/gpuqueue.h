/* SPDX-License-Identifier: Apache-2.0 */
/** \file gpuqueue.h
 * A message queue whose consumers live on the GPU.
 *
 * A producer enqueues bytes; a resident kernel, launched once, runs the queue's handler on each message and
 * writes a result, which the producer reads back by the message's id or in completion order. The same queue
 * runs on CPU threads where there is no GPU.
 *
 * Threads: unless a function says otherwise, any number of threads may call any function on the same handle at
 * once. The exceptions are gq_init(), which makes the handle, and gq_shutdown(), which ends it: it lets calls that
 * wait leave, and no other call may be under way or begin. gq_close() is for bringing that about.
 *
 * A handle (\ref gq_queue) is a queue together with one *lane* of it: a submission ring and a completion ring.
 * gq_init() gives the queue's first handle, gq_open_lane() a further one. Threads that share a handle share its
 * lane; giving each producer thread a handle of its own is faster.
 *
 * fork(): a child must not use its parent's handles.
 *
 * Errors: functions return a \ref gq_status. The function that first sees an error describes it, with the value
 * that was wrong and what would be right, in a text that the same thread can read with gq_last_error().
 * Outputs are written only on success unless the comment says otherwise. */
#ifndef GPUQUEUE_H
#define GPUQUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <gpuqueue/version.h>

#if defined(__GNUC__)
#define GQ_API __attribute__((visibility("default")))
#else
#define GQ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a call came to. The values are part of the ABI; GQ_AGAIN is an answer, not an error. */
typedef enum gq_status {
  GQ_OK = 0,                /**< done */
  GQ_AGAIN = 1,             /**< nothing there yet; call again */
  GQ_TIMEOUT = 2,           /**< the time given ran out; the call can be repeated */
  GQ_FULL = 3,              /**< no room for the message; it was not enqueued */
  GQ_TOO_SMALL = 4,         /**< the caller's buffer is smaller than the result, which stays */
  GQ_FAILED = 5,            /**< the handler gave up on the message: it is a dead letter */
  GQ_CANCELLED = 6,         /**< the message was cancelled before its handler ran */
  GQ_UNKNOWN_ID = 7,        /**< no such message: never enqueued, or its result was taken already */
  GQ_TOO_LARGE = 8,         /**< the message exceeds max_message_bytes */
  GQ_RESULT_TOO_LARGE = 9,  /**< the handler's result exceeds what the message has room for: a dead letter */
  GQ_SHUT_DOWN = 10,        /**< the queue is shutting down or shut down */
  GQ_INVALID = 11,          /**< an argument or option is out of its range or unknown */
  GQ_NO_HANDLER = 12,       /**< no handler of that name, or not in that scope */
  GQ_NO_BACKEND = 13,       /**< the backend asked for cannot run here */
  GQ_NO_DEVICE = 14,        /**< no device of that number */
  GQ_DEVICE_LOST = 15,      /**< the device faulted or stopped answering, or a handler crashed or hung; the queue cannot
                                 go on. gq_list_suspects() says which messages were being handled */
  GQ_NO_MEMORY = 16,        /**< host or device memory ran out */
  GQ_SYSTEM = 17,           /**< an operating system call failed; the text says which and why */
  GQ_MALFORMED = 18,        /**< the consumer refused a cell whose sizes or offsets are out of bounds */
  GQ_BAD_HANDLER = 19       /**< the handler does not compile, or its file is damaged or of another version */
} gq_status;

/** The constant name of \p status, such as "GQ_FULL"; "GQ_?" for a value that is none. Wait-free; any thread. */
GQ_API const char *gq_status_name(int status);

/** One sentence on \p status for people. Wait-free; any thread. */
GQ_API const char *gq_status_text(int status);

/** The text of this thread's latest error in any gq_ function, never NULL. Valid until the thread's next gq_
 * call. Wait-free. */
GQ_API const char *gq_last_error(void);

/** The version of the library at run time, such as "0.1.0". Wait-free; any thread. */
GQ_API const char *gq_version(void);

/* ------------------------------------------------------------------------------------------------ options */

/** How to open a queue. Every field is described, with its range and default, by gq_option_describe(); the table
 * is lib/options.def. Set \ref size and the defaults with gq_options_init(). Strings and arrays stay the
 * caller's and are read only during gq_init(). */
typedef struct gq_options {
  size_t size;                /**< sizeof(gq_options), so that the struct can grow */
  uint32_t backend;           /**< a \ref gq_backend */
  int32_t device;             /**< CUDA device number, from 0 */
  const char *handler;        /**< name of the handler: built in or installed (see gq_handler_list_installed()), or the
                                   path of a source file, .cu or .c, or of a compiled one, .gqh */
  const char *const *args;    /**< handler arguments "KEY=VALUE", NULL-terminated, or NULL */
  uint32_t scope;             /**< a \ref gq_scope */
  uint32_t capacity;          /**< per lane, how far the newest message may be ahead of the oldest whose result has
                                   not been taken and released: one that is left unread, or takes long, lets
                                   capacity - 1 others pass and then holds new ones up */
  uint32_t cell_bytes;        /**< 64, 128, 256 or 512; 0: the smallest from 128 on that takes the largest message and
                                   the largest result, or 128 if none does. What fits a cell is sent in it: 36, 84, 180
                                   or 372 bytes (12, 60, 156 or 348 with a key or tag; less on a CPU that cannot store
                                   16 bytes in one piece, see gq_system_info, where 64 means 128). What does not takes
                                   arena memory and a further read over PCIe: about three times as long. A lane's rings
                                   take 2 * capacity * cell_bytes; with cells of 256 and 512 a GPU with little shared
                                   memory runs fewer warps. Where most messages are short, 128 may serve better */
  uint64_t max_message_bytes; /**< largest payload */
  uint64_t max_result_bytes;  /**< largest result; 0: what the handler declares for the largest message */
  uint64_t arena_bytes;       /**< memory per lane for payloads and results too large for a cell; 0: enough
                                   for two of the largest messages with their results, at least 16 MiB */
  uint32_t lanes;             /**< how many lanes the queue has room for */
  uint32_t sms;               /**< streaming multiprocessors the resident kernel takes; 0: up to 16 */
  uint32_t workers;           /**< threads of the CPU backend; 0: one per online CPU, up to 16 */
  uint32_t park_us;           /**< idle time after which the consumer leaves the device, in microseconds */
  uint32_t attempts;          /**< how often a message is tried in all while its handler returns GQ_RETRY;
                                   any other code than 0 is final */
  int64_t timeout_ms;         /**< what GQ_DEFAULT_TIMEOUT means, in milliseconds; -1: no limit */
  uint32_t ordered;           /**< 1: gq_poll() and gq_wait() give completions in enqueue order */
  uint32_t stall_ms;          /**< a handler that runs longer than this on one message, all its attempts together, is a
                                   fault: the queue is lost. 0: no limit */
  const char *state;          /**< file with the handler's state: weights, tables; NULL or "": none */
  const void *state_data;     /**< instead of a file: the state's bytes; copied by gq_init() */
  uint64_t state_data_bytes;  /**< how many */
  uint64_t state_bytes;       /**< size of the state, what is not given being zeros; 0: what is given, or what the handler
                                   declares if that is more */
  uint32_t guard;             /**< CPU backend. 0: a handler that crashes is a crash of the process. 1: SIGSEGV, SIGBUS,
                                   SIGFPE and SIGILL are caught while a handler runs, with signal handlers that pass on
                                   what happens elsewhere; after SIGFPE the message ends in GQ_FAILED with the code
                                   GQ_CODE_ARITHMETIC, after the others the queue is lost (GQ_DEVICE_LOST) */
  const char *handler_source; /**< instead of \ref handler: the source as text, or NULL */
  const void *handler_image;  /**< instead of \ref handler: what a .gqh file holds, or NULL. With both, the source is
                                   compiled where the image has no code for the CPU */
  size_t handler_image_bytes;
  const struct gq_linked_handler *handler_linked; /**< instead of \ref handler: `gq_linked_NAME`, which GQ_HANDLER() defines
                                   in a program; or NULL. It runs on the CPU only; for the GPU give source or image too */
  const char *handler_flags;  /**< words for the compilers of a handler's source, separated by blanks, or NULL */
  const char *toolkit;        /**< directory in which alone NVRTC and nvJitLink are looked for; NULL or "": the usual ones */
} gq_options;

typedef enum gq_backend { GQ_BACKEND_AUTO = 0, GQ_BACKEND_CUDA = 1, GQ_BACKEND_CPU = 2 } gq_backend;

/** How many device threads run the handler on one message. GQ_SCOPE_AUTO is the first scope that the handler declares; if
 * that is a thread, and the handler can run in a warp, too, a warp runs each message of 4 KiB or more, and may run one
 * that comes alone from 512 bytes on. */
typedef enum gq_scope { GQ_SCOPE_AUTO = 0, GQ_SCOPE_THREAD = 1, GQ_SCOPE_WARP = 2, GQ_SCOPE_BLOCK = 3 } gq_scope;

/** A row of the option table, for programs that offer the options by name. The strings are static. */
typedef struct gq_option_info {
  const char *name;        /**< such as "max_message_bytes"; the command spells it --max-message-bytes, the
                                environment GPUQUEUE_MAX_MESSAGE_BYTES, Python max_message_bytes= */
  const char *type;        /**< "size" (takes the suffixes K, M, G), "count", "integer", "choice", "string" or "flag" */
  const char *range;       /**< for people and for completions: "2 to 1048576", "auto, cuda, cpu" */
  const char *def;         /**< the default as text */
  const char *help;        /**< one line */
} gq_option_info;

/** Row \p index of the option table, or NULL past its end. Wait-free; any thread. */
GQ_API const gq_option_info *gq_option_describe(size_t index);

/** Fill \p options with the defaults, then with what GPUQUEUE_ environment variables say. A variable that
 * starts with GPUQUEUE_ and names no option is warned about on standard error, once a process.
 * \return GQ_OK, or GQ_INVALID if a variable's value is out of range (\p options then holds the defaults of
 *         that and the following options). Not thread-safe against setenv(). */
GQ_API gq_status gq_options_init(gq_options *options);

/** Set the option called \p name (see gq_option_describe(); '-' and '_' are the same) from text.
 * \param value  kept, not copied, for an option of type "string": it must live until gq_init() returns
 * \return GQ_OK; GQ_INVALID if there is no such option or the value does not fit it. */
GQ_API gq_status gq_option_set(gq_options *options, const char *name, const char *value);

/* ------------------------------------------------------------------------------------------- a queue's life */

/** A queue and one lane of it. */
typedef struct gq_queue gq_queue;

/** In place of a time in ns: the queue's timeout_ms. */
#define GQ_DEFAULT_TIMEOUT INT64_MIN
/** In place of a time in ns: wait for as long as it takes. Any negative time but GQ_DEFAULT_TIMEOUT means this. */
#define GQ_FOREVER ((int64_t)-1)

/** Open a queue: choose the backend, lay out its lanes, start its consumer.
 * \param queue    out: the handle; the caller ends it with gq_shutdown()
 * \param options  NULL for what gq_options_init() gives
 * \return GQ_OK; GQ_INVALID, GQ_NO_HANDLER, GQ_BAD_HANDLER, GQ_NO_BACKEND, GQ_NO_DEVICE, GQ_NO_MEMORY, GQ_SYSTEM;
 *         GQ_FAILED if the handler's init function refused its arguments or state: gq_last_error() and
 *         gq_last_failure() have its code; GQ_TIMEOUT if it ran for longer than stall_ms.
 * May take some 100 ms (a CUDA context), seconds where a handler has to be compiled first, and where another queue of
 * this process is busy on a GPU until that one's
 * kernel parks; any thread. */
GQ_API gq_status gq_init(gq_queue **queue, const gq_options *options);

/** A further handle on the same queue, with a lane of its own.
 * \return GQ_OK; GQ_FULL if all `lanes` of the options are open; GQ_SHUT_DOWN. */
GQ_API gq_status gq_open_lane(gq_queue *queue, gq_queue **lane);

/** Wait until every message enqueued on this handle's lane before the call has finished. Results stay to be read; the
 * last may be a moment on their way to gq_poll() still, which gq_wait() waits for.
 * \return GQ_OK; GQ_TIMEOUT; GQ_DEVICE_LOST; GQ_SHUT_DOWN. May sleep. */
GQ_API gq_status gq_drain(gq_queue *queue, int64_t timeout_ns);

/** End the handle. From its start new messages are refused with GQ_SHUT_DOWN; messages already accepted are given
 * \p timeout_ns to finish (0: none); waits under way return GQ_SHUT_DOWN; results not read are lost. Ending the
 * first handle of a queue ends the queue and every other handle of it, which the caller must no longer use;
 * ending a further one closes its lane.
 * \param queue  may be NULL; invalid afterwards, whatever is returned
 * \return GQ_OK; GQ_TIMEOUT if messages were still unfinished and were given up; GQ_DEVICE_LOST, also if a handler
 *         went on for 2 s after that: its thread or kernel, and the queue's memory, are then left behind. */
GQ_API gq_status gq_shutdown(gq_queue *queue, int64_t timeout_ns);

/** From now on refuse new messages on this queue: waits for room return GQ_SHUT_DOWN at once, gq_wait() when nothing
 * is left that could arrive; results can still be had. The handle stays valid, so that other threads can leave before
 * gq_shutdown().
 * Lock-free; any thread, and async-signal-safe. */
GQ_API void gq_close(gq_queue *queue);

/** The backend that runs, and why not another, as one line: "cuda: NVIDIA H100 80GB HBM3, sm_90, 16 of 132 SMs" or
 * "cpu: 2 threads (no cuda: libcuda.so.1 not found)". Lives as long as the handle. */
GQ_API const char *gq_describe(const gq_queue *queue);

/** GQ_BACKEND_CUDA or GQ_BACKEND_CPU: what runs. */
GQ_API gq_backend gq_running_backend(const gq_queue *queue);

/** How the queue's handler wants its results shown. */
typedef enum gq_output { GQ_OUTPUT_RAW = 0, GQ_OUTPUT_HEX = 1, GQ_OUTPUT_TEXT = 2 } gq_output;
GQ_API gq_output gq_handler_output(const gq_queue *queue);

/* --------------------------------------------------------------------------------------------------- sending */

/** A message to send. The bytes stay the caller's and are copied before the call returns. Zero the struct first. */
typedef struct gq_message {
  const void *data;      /**< the payload; may be NULL if size is 0 */
  size_t size;           /**< bytes, 0 to max_message_bytes */
  uint64_t key;          /**< messages of one lane with the same non-zero key finish in the order in which they
                              were enqueued, retries included; 0: none */
  uint64_t tag;          /**< the caller's own value, given to the handler and back with the completion */
  size_t result_bytes;   /**< room for the result; 0: what the handler declares, up to max_result_bytes */
} gq_message;

/** Enqueue one message.
 * \param timeout_ns  how long to wait for room; 0 tries once
 * \param id          out: names the message until its result is taken; never 0
 * \return GQ_OK; GQ_FULL if there was no room in time; GQ_TOO_LARGE; GQ_INVALID; GQ_SHUT_DOWN; GQ_DEVICE_LOST.
 * Lock-free with timeout 0, except that a message with a key, or one that does not fit its cell, takes a short lock
 * of the lane, and that one which finds the consumer parked wakes it: on a GPU by a launch, tens of
 * microseconds, for which other senders that find it parked wait too. Otherwise may sleep. */
GQ_API gq_status gq_enqueue(gq_queue *queue, const gq_message *message, int64_t timeout_ns, uint64_t *id);

/** Enqueue \p count messages in order.
 * \param ids   out: \p count ids, or NULL
 * \param done  out: how many were enqueued, also when the status is not GQ_OK; messages from there on were not
 * \return GQ_OK if all were; otherwise what stopped the first that was not, as for gq_enqueue(). */
GQ_API gq_status gq_enqueue_batch(gq_queue *queue, const gq_message *messages, size_t count, int64_t timeout_ns,
                                  uint64_t *ids, size_t *done);

/** A message being written in place. */
typedef struct gq_reservation {
  void *data;          /**< where to write the payload; 64-byte aligned; GPU-visible where there is a GPU */
  size_t size;         /**< bytes reserved */
  uint64_t internal_[4];
} gq_reservation;

/** Reserve memory for a payload of up to \p size bytes, to be written by the caller and sent by gq_commit() or
 * given back by gq_abort(). A reservation takes no place in the queue, so holding one blocks nobody, and one
 * that is never committed costs its memory until gq_shutdown().
 * \return GQ_OK; GQ_FULL if the arena has no room in time; GQ_TOO_LARGE; GQ_SHUT_DOWN; GQ_DEVICE_LOST. */
GQ_API gq_status gq_reserve(gq_queue *queue, size_t size, int64_t timeout_ns, gq_reservation *reservation);

/** Send the first \p message->size bytes of the reservation; \p message->data is ignored. On GQ_OK the reservation
 * is gone; on any other status it stays the caller's to commit again or abort.
 * \return as gq_enqueue(). */
GQ_API gq_status gq_commit(gq_queue *queue, gq_reservation *reservation, const gq_message *message,
                           int64_t timeout_ns, uint64_t *id);

/** Give a reservation back unsent. */
GQ_API void gq_abort(gq_queue *queue, gq_reservation *reservation);

/* -------------------------------------------------------------------------------------------------- receiving */

/** Copy the result of message \p id into \p data, if it is there, and forget the message. The id may come from
 * any handle of the same queue. Each result is given out once, to one caller.
 * \param data  where to put it; may be NULL if \p *size is 0
 * \param size  in: capacity of \p data in bytes; out: size of the result in bytes
 * \return GQ_OK; GQ_AGAIN if the handler has not finished (not an error: call again);
 *         GQ_TOO_SMALL if \p data is smaller than the result (\p size says how much it needs, the result stays);
 *         GQ_FAILED if the handler gave up on the message (gq_last_failure() has its code and attempts);
 *         GQ_CANCELLED; GQ_RESULT_TOO_LARGE; GQ_MALFORMED: these four end the message too;
 *         GQ_UNKNOWN_ID; GQ_DEVICE_LOST.
 * Lock-free, O(1); any thread. But the first such call on a lane, or gq_cancel(), may find gq_poll() in the middle of
 * taking results of that lane in another thread; it then waits for some microseconds, and gives GQ_AGAIN for as long as
 * that thread has been stopped there. From then on gq_poll() takes the lane's results by an atomic exchange each. */
GQ_API gq_status gq_try_dequeue_result(gq_queue *queue, uint64_t id, void *data, size_t *size);

/** Like gq_try_dequeue_result(), but wait for the result: spins some microseconds, then sleeps.
 * \return as there; GQ_TIMEOUT instead of GQ_AGAIN; GQ_SHUT_DOWN. */
GQ_API gq_status gq_dequeue_result(gq_queue *queue, uint64_t id, void *data, size_t *size, int64_t timeout_ns);

/** More about the latest GQ_FAILED that this thread got from gq_try_dequeue_result() or gq_dequeue_result().
 * \param code      out: what the handler returned last; 0 if there was none yet
 * \param attempts  out: how often the handler ran; either may be NULL
 * Wait-free. */
GQ_API void gq_last_failure(int32_t *code, uint32_t *attempts);

/** In place of the handler's own code: it divided an integer by zero, or INT_MIN by -1 (CPU backend with the option
 * `guard`). Not tried again. A GPU has no such fault: there the division gives some number. */
#define GQ_CODE_ARITHMETIC (-8)

/** A finished message, held until gq_release(). */
typedef struct gq_completion {
  uint64_t id, tag, key;
  const void *data;      /**< the result, in place; 4-byte aligned at least; read-only */
  size_t size;           /**< bytes */
  gq_status status;      /**< GQ_OK, GQ_FAILED, GQ_CANCELLED, GQ_RESULT_TOO_LARGE or GQ_MALFORMED */
  int32_t code;          /**< with GQ_FAILED: what the handler returned last */
  uint32_t attempts;     /**< how often the handler ran */
} gq_completion;

/** Take up to \p max completions of this handle's lane that are there, oldest completion first (with the option
 * `ordered`: in enqueue order). A message is given out once: by this or by its id.
 * \param count  out: how many; 0 with GQ_AGAIN
 * \return GQ_OK with at least one; GQ_AGAIN; GQ_DEVICE_LOST. Lock-free. */
GQ_API gq_status gq_poll(gq_queue *queue, gq_completion *completions, size_t max, size_t *count);

/** Like gq_poll(), but wait for the first. \return GQ_TIMEOUT instead of GQ_AGAIN; GQ_SHUT_DOWN. */
GQ_API gq_status gq_wait(gq_queue *queue, gq_completion *completions, size_t max, int64_t timeout_ns, size_t *count);

/** Copy the payload that the completed message had, before it is released: what a dead letter keeps. Also of a message
 * from gq_list_suspects().
 * \param size  in: capacity of \p data; out: size of the payload
 * \return GQ_OK; GQ_TOO_SMALL (\p size says how much it needs). */
GQ_API gq_status gq_completion_payload(gq_queue *queue, const gq_completion *completion, void *data, size_t *size);

/** Let go of \p count completions, in any order; their data is no longer valid. Lock-free. */
GQ_API void gq_release(gq_queue *queue, const gq_completion *completions, size_t count);

/** A file descriptor that becomes readable when completions arrive on this handle's lane, for poll() and epoll().
 * Read its 8 bytes, then gq_poll() until GQ_AGAIN, then wait again. The descriptor belongs to the handle.
 * \return the descriptor, or -1 with gq_last_error(). The first call starts a thread. */
GQ_API int gq_event_fd(gq_queue *queue);

/** Ask that message \p id not be run. The message ends in its ordinary way: its result or completion says
 * GQ_CANCELLED if its handler had not been reached, and is the usual one if it had. A message that its cell holds
 * whole counts as reached once it has been fetched from its lane if the handler is marked short: looking again would
 * cost more than running it.
 * \return GQ_OK: asked; GQ_AGAIN: too late, it has finished (its result stays to be read), or gq_poll() may be taking
 *         it in another thread just now; GQ_UNKNOWN_ID.
 * Lock-free as gq_try_dequeue_result(); any thread. */
GQ_API gq_status gq_cancel(gq_queue *queue, uint64_t id);

/** After GQ_DEVICE_LOST: the messages whose handlers were running, one or several of which are to blame. Other messages
 * without a result are not: whoever sends messages again can send those first, and these one at a time.
 * \param suspects  out: the first \p max of them: id, tag, key and the status GQ_DEVICE_LOST. They have no result and are
 *                  not held; gq_completion_payload() gives what was sent
 * \param count     out: how many there are, 4096 at most, whatever \p max is
 * \return GQ_OK; GQ_AGAIN while the queue is not lost. Wait-free; any thread. */
GQ_API gq_status gq_list_suspects(gq_queue *queue, gq_completion *suspects, size_t max, size_t *count);

/* --------------------------------------------------------------------------------------------------- watching */

/** Percentiles of one stage, in ns, over one message in 256. */
typedef struct gq_latency { uint64_t samples, p50, p90, p99, p999, max; } gq_latency;

/** Counters of one queue, all lanes together, since gq_init(). */
typedef struct gq_statistics {
  size_t size;              /**< in: sizeof(gq_statistics) */
  uint64_t enqueued;        /**< messages accepted */
  uint64_t completed;       /**< finished with a result */
  uint64_t failed;          /**< dead letters: all that ended in GQ_FAILED, GQ_RESULT_TOO_LARGE or GQ_MALFORMED */
  uint64_t cancelled;
  uint64_t retried;         /**< attempts beyond a message's first */
  uint64_t dead_lettered;   /**< the same as failed, until queues have dead-letter stores of their own */
  uint64_t rejected_full;   /**< calls that ended in GQ_FULL */
  uint64_t depth;           /**< accepted and not yet begun */
  uint64_t in_flight;       /**< begun and not yet finished */
  uint64_t unread;          /**< finished and not yet taken */
  uint64_t bytes_in;        /**< payload bytes accepted */
  uint64_t bytes_out;       /**< result bytes taken */
  uint64_t parks, relaunches;
  uint64_t host_bytes;      /**< host memory of the lanes: see gpuqueue-memory in doc/architecture.md */
  uint64_t device_bytes;    /**< device memory of the queue, without the CUDA context */
  gq_latency wait;          /**< enqueue to handler start */
  gq_latency handler;       /**< handler start to end */
  gq_latency deliver;       /**< handler end to result taken */
  gq_latency total;         /**< enqueue to result taken */
} gq_statistics;

/** Read the counters. Each is exact once traffic has stopped; while it runs they are read one after another.
 * \return GQ_OK; GQ_INVALID if \p statistics->size is 0. Lock-free; any thread. */
GQ_API gq_status gq_stats(gq_queue *queue, gq_statistics *statistics);

/** A CUDA device, or why the backend cannot run. */
typedef struct gq_device_info {
  size_t size;              /**< in: sizeof(gq_device_info) */
  char name[128];
  int32_t capability_major, capability_minor;
  int32_t sms;
  uint64_t memory_bytes;
  int32_t usable;           /**< 1 if a queue can run on it */
  char reason[256];         /**< if not, why; if so, empty or a warning (MPS, kernel execution timeout) */
} gq_device_info;

/** What this build and this machine can do, for `gpuqueue info`. */
typedef struct gq_system_info {
  size_t size;              /**< in: sizeof(gq_system_info) */
  char build_archs[256];    /**< GPU code in the library, such as "sm_75 sm_80 sm_90 ptx_121"; empty: none */
  int32_t driver_version;   /**< CUDA version of the driver, 13000 for 13.0; 0: no driver */
  int32_t devices;
  int32_t cuda_usable;      /**< 1 if some device is */
  char cuda_reason[512];    /**< why CUDA cannot run, or a warning; empty: nothing to say */
  int32_t cpu_usable;
  char cpu_reason[256];
  int32_t cpus;             /**< online CPUs */
  int32_t unit_bytes;       /**< 16 if this CPU stores 16 bytes in one piece, else 8 */
  int32_t cpu_compiler_usable; /**< 1 if a handler's source can be compiled for the CPU */
  int32_t gpu_compiler_usable; /**< and for the GPU */
  char cpu_compiler[512];   /**< the compiler's path, or why there is none */
  char gpu_compiler[1024];  /**< the paths of NVRTC and nvJitLink, or why there is none */
} gq_system_info;

GQ_API gq_status gq_get_system_info(gq_system_info *info);
GQ_API gq_status gq_get_device_info(int32_t device, gq_device_info *info);

/** A handler that this library offers. The strings live as long as the program. */
typedef struct gq_handler_info {
  const char *name, *summary;
  const char *scopes;       /**< such as "thread, block"; the first is the default */
  gq_output output;
  const char *example;      /**< a command line that uses it; NULL: none */
  const char *state;        /**< "none", "optional" or "required": whether it takes the option state */
  uint64_t state_bytes;     /**< the least size of its state; 0: whatever is given */
  const void *internal_;
} gq_handler_info;

/** Handler \p index of the built-in ones, or NULL past the end. */
GQ_API const gq_handler_info *gq_handler_describe(size_t index);

/** An argument that a handler takes, as KEY=VALUE in gq_options.args. */
typedef struct gq_argument_info {
  const char *name;
  const char *type;         /**< "int", "uint", "real", "flag" or "string" */
  const char *def;          /**< the default; NULL: it must be given */
  const char *help;         /**< one line */
} gq_argument_info;

/** Argument \p index of \p handler, which gq_handler_describe() gave, or NULL past the end. Wait-free; any thread. */
GQ_API const gq_argument_info *gq_handler_argument(const gq_handler_info *handler, size_t index);

/* ----------------------------------------------------------------------------------- handlers of your own */

/** What a handler says of itself: the one that \p options name in any way. A source is compiled for that, or comes from
 * the cache.
 * \param info  out: the caller's, for gq_handler_info_free()
 * \return GQ_OK; GQ_NO_HANDLER; GQ_BAD_HANDLER; GQ_NO_BACKEND if there is no compiler; GQ_INVALID, GQ_SYSTEM,
 *         GQ_NO_MEMORY. */
GQ_API gq_status gq_handler_inspect(const gq_options *options, const gq_handler_info **info);

/** Free what gq_handler_inspect() gave; NULL is nothing to free. */
GQ_API void gq_handler_info_free(const gq_handler_info *info);

/** A list of files. */
typedef struct gq_handler_list gq_handler_list;

/** Find the handlers that are installed: files of the name NAME.gqh, NAME.cu or NAME.c in the user's directory of
 * handlers, then in the system's. One that is hidden by another of the same name is left out.
 * \param list  out: the caller's, for gq_handler_list_free()
 * \return GQ_OK, also if there are none; GQ_INVALID; GQ_NO_MEMORY. */
GQ_API gq_status gq_handler_list_installed(gq_handler_list **list);
/** The path of file \p index, or NULL past the end. Lives as long as the list. */
GQ_API const char *gq_handler_list_path(const gq_handler_list *list, size_t index);
GQ_API void gq_handler_list_free(gq_handler_list *list);

/** Where installed handlers are looked for: directory \p index, or NULL past the end. Valid until the thread's next call
 * of it. */
GQ_API const char *gq_handler_search_directory(size_t index);

/** What gq_compile() is to make. Zero the struct first. */
typedef struct gq_compilation {
  size_t size;              /**< sizeof(gq_compilation) */
  const char *archs;        /**< GPUs, such as "80 sm_90 ptx_90": NN and sm_NN are machine code, ptx_NN code that later GPUs
                                 can run too. NULL or "": those that this library has code for. "none": no GPU code */
  uint32_t cpu;             /**< 1: code for this machine's CPU too */
} gq_compilation;

/** Compile the handler that \p options name, which must be source: into what a .gqh file holds. Besides the machine code
 * it gets LTO-IR, from which gpuqueue can make code for other GPUs where nvJitLink is installed. Needs no GPU.
 * \param image  out: from malloc(), the caller's to free
 * \param bytes  out: its size
 * \return GQ_OK; GQ_BAD_HANDLER with what the compiler said; GQ_NO_BACKEND if there is no compiler; GQ_NO_HANDLER,
 *         GQ_INVALID, GQ_SYSTEM, GQ_NO_MEMORY. Takes a second or more for each GPU. */
GQ_API gq_status gq_compile(const gq_options *options, const gq_compilation *what, void **image, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
