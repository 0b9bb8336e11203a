/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios.h"

#include "bench.h"

const struct scenario scenarios[] = {
  {"latency", "round trips with one message in flight, from enqueue to result", scenario_latency},
  {"load", "messages offered at fixed rates; latency from when each was to be sent", scenario_load},
  {"throughput", "as many messages as go through: threads, ways to call, messages a call", scenario_throughput},
  {"threads", "round trips of several threads at once, each with a lane of its own", scenario_threads},
  {"payload", "messages of all sizes, with results as large (echo) or of 4 bytes (crc32c)", scenario_payload},
  {"mixed", "many sizes at once; round trips of small messages while large ones flow", scenario_mixed},
  {"scopes", "a thread, a warp or a block a message", scenario_scopes},
  {"keys", "messages that finish in order, by key, beside messages without", scenario_keys},
  {"wake", "the first message to a parked queue, the call that wakes it, and what a parked queue costs", scenario_wake},
  {"lanes", "growth with the number of lanes, all in use", scenario_lanes},
  {"capacity", "growth with the capacity", scenario_capacity},
  {"workers", "growth with the threads of the CPU backend, or the multiprocessors of the GPU", scenario_workers},
  {NULL, NULL, NULL},
};
