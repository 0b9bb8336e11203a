/* SPDX-License-Identifier: Apache-2.0 */
/** \file scenarios.h
 * Every scenario: its function is in the file of its name. */
#ifndef GPUQUEUE_BENCH_SCENARIOS_H
#define GPUQUEUE_BENCH_SCENARIOS_H

#include <stdbool.h>

struct bench;

bool scenario_latency(struct bench *bench);
bool scenario_load(struct bench *bench);
bool scenario_throughput(struct bench *bench);
bool scenario_threads(struct bench *bench);
bool scenario_payload(struct bench *bench);
bool scenario_mixed(struct bench *bench);
bool scenario_scopes(struct bench *bench);
bool scenario_keys(struct bench *bench);
bool scenario_wake(struct bench *bench);
bool scenario_lanes(struct bench *bench);
bool scenario_capacity(struct bench *bench);
bool scenario_workers(struct bench *bench);

#endif
