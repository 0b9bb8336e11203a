#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gpuqueue bench: every scenario measures and verifies; what it says is complete; what it is told is checked.
. "$(dirname "$0")/common.sh"

bench() {
  timeout 250 "$program" bench --backend "$backend" "$@"
}

usage() { # WHAT PATTERN ARGUMENT...
  local what=$1 pattern=$2
  shift 2
  expect_status 2 "$what" "$program" bench "$@" </dev/null
  expect_err "$what" "^gpuqueue: .*$pattern"
  [ ! -s out ] || fail "$what: printed on standard output"
}

arguments_that_are_wrong() {
  usage 'unknown scenario' "no scenario 'speed'; there are latency, " speed
  usage 'unknown option' 'unknown option --speed' --speed 3
  usage 'hint to the help' "try 'gpuqueue bench --help'" --speed
  usage 'one-letter option' 'unknown option -q' -q
  usage 'seconds: a word' "'soon' is no number of seconds" --seconds soon
  usage 'seconds: none' "'0' is no number of seconds" --seconds 0
  usage 'seconds: too many' "'1e9' is no number of seconds" --seconds 1e9
  usage 'seconds: not a number' "'nan' is no number of seconds" --seconds nan
  usage 'value missing' '\-\-json needs a value: FILE' --json
  usage 'value not wanted' '\-\-quick takes no value' --quick=yes
  usage 'list: empty' "payload '' is no list" --payload ''
  usage 'list: empty place' "payload '1,,2' is no list" --payload 1,,2
  usage 'list: end' "payload '1,' is no list" --payload 1,
  usage 'list: sign' "payload '-1' is no list" --payload -1
  usage 'list: too large' "threads '257' is no list .* 1 to 256" --threads 257
  usage 'list: too small' "batch '0' is no list .* 1 to 4096" --batch 0
  usage 'list: suffix' "payload '4X' is no list" --payload 4X
  usage 'list: overflow' 'is no list' --payload 99999999999999999999
  usage 'list: lanes' "lanes '2000' is no list" --lanes 2000
  usage 'list: too long' 'is no list of up to 64' --payload "$(seq -s, 1 65)"
  usage 'queue option' "capacity.*'1'.*2 to 1048576" --capacity 1
  usage 'two reports in one file' 'both report: give each' --json report --plot report
  usage 'handler' 'nosuch' --handler nosuch latency
  expect_status 2 'handler that fails' "$program" bench --backend cpu --handler test_fail latency
  expect_err 'handler that fails' 'handler test_fail fails with messages of [0-9]* bytes of the bench (GQ_FAILED'
}

what_there_is() {
  expect_status 0 list "$program" bench --list
  [ "$(wc -l <out)" -ge 11 ] || fail "--list has few lines: $(cat out)"
  expect_status 0 'list of one scenario' "$program" bench --list latency
}

# json EXPRESSION: what Python says of it, with `j` being the report
json() {
  python3 -c 'import json, sys; j = json.load(open("report")); print(eval(sys.argv[1]))' "$1"
}

every_scenario() {
  local name
  "$program" bench --list | sed 's/ .*//' >names
  expect_status 0 'all scenarios' bench --quick --seconds 0.02 --json report --plot charts.svg
  while read -r name; do
    grep -q "^$name: " out || fail "the table has no $name"
  done <names
  expect_err_empty
  grep -q 'Throughput against threads' charts.svg || fail "no chart of the throughput: $(head -c 300 charts.svg)"
  command -v python3 >/dev/null || return 0
  python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("charts.svg")' || fail "the charts are not XML"
  [ "$(json 'j["complete"]')" = True ] || fail "the report is not complete"
  while read -r name; do
    [ "$(json "any(p['scenario'] == '$name' and p['subject'] == 'gpuqueue' for p in j['points'])")" = True ] ||
      fail "the report has no point of $name"
  done <names
  [ "$(json 'all(p["messages"] > 0 for p in j["points"] if p["subject"] == "gpuqueue")')" = True ] ||
    fail "some point has no messages"
  [ "$(json 'all(sorted(known) == known for p in j["points"] if "latency_us" in p
    for l in [p["latency_us"]]
    for known in [[l[name] for name in ("p50", "p90", "p99", "p99.9", "max") if l[name] is not None]])')" = True ] ||
    fail "percentiles are out of order"
  [ "$(json 'all((l[name] is None) == (l["samples"] < least) for p in j["points"] if "latency_us" in p
    for l in [p["latency_us"]] for name, least in (("p90", 10), ("p99", 100), ("p99.9", 1000)))')" = True ] ||
    fail "percentiles of too few samples"
  [ "$(json 'any(p["baseline"] for p in j["points"])')" = True ] || fail "no baseline was measured"
  [ "$(json 'all(p["times_better"] for p in j["points"] if p["scenario"] == "latency" and not p["baseline"])')" = \
    True ] ||
    fail "latencies are not compared with baselines"
  [ "$(json 'all(p["subject"] in j["baselines"] for p in j["points"] if p["baseline"])')" = True ] ||
    fail "a baseline is not described"
}

expect_err_empty() { [ ! -s err ] || fail "standard error: $(cat err)"; }

narrowed() {
  expect_status 0 narrowed bench --seconds 0.01 --payload 8,100 --json - latency
  mv out report
  grep -q '^latency: ' err || fail "with --json - the table is not on standard error"
  command -v python3 >/dev/null || return 0
  [ "$(json 'sorted({p["parameters"]["payload"] for p in j["points"]})')" = '[8, 100]' ] ||
    fail "--payload was not heeded"
  [ "$(json '(j["options"]["payload"], j["options"]["scenarios"])')" = "([8, 100], ['latency'])" ] ||
    fail "the report does not say what was asked for: $(json 'j["options"]')"
  [ "$(json 'all(("queue" in p) != p["baseline"] for p in j["points"])')" = True ] ||
    fail "the report does not say what queue a point is of"
}

# On the CPU the baselines echo: what does something else is not compared with them.
only_the_same_is_compared() {
  [ "$backend" = cpu ] && command -v python3 >/dev/null || return 0
  expect_status 0 'two handlers' bench --seconds 0.01 --quick --payload 64 --json report --plot charts.svg payload
  [ "$(json '[(p["parameters"]["handler"], sorted(p["times_better"])) for p in j["points"] if not p["baseline"]]')" = \
    "[('echo', ['mutex', 'pipe', 'socket']), ('crc32c', [])]" ] || fail "comparisons: $(json 'j["points"]')"
  # single messages and batches of one are the same
  expect_status 0 'batches of one' bench --seconds 0.01 --batch 1 --threads 1 --json report throughput
  python3 -c 'import json
def once(pairs):
  assert len(dict(pairs)) == len(pairs), pairs
  return dict(pairs)
json.load(open("report"), object_pairs_hook=once)' || fail "a baseline is compared with twice"
}

memory_that_is_not_there() {
  [ "$backend" = cpu ] || return 0
  expect_status 3 'too much memory' bench --seconds 0.01 --payload 1M --arena-bytes 1G --lanes 1024 --json report lanes
  expect_err 'too much memory' '^gpuqueue: bench: 1024 lanes for messages of 1 MiB take .* MiB of memory, and only'
  grep -q '"complete":false' report || fail "too much memory: the report does not say that it is not complete"
}

another_handler() {
  expect_status 0 crc32c bench --seconds 0.01 --payload 64 --handler crc32c latency throughput --threads 1 --batch 16
}

# The bench plans memory by its messages; limits and results of other sizes need more.
limits_that_are_larger() {
  expect_status 0 'large results' bench --seconds 0.01 --payload 64 --max-result-bytes 2M latency
  expect_status 0 'large messages' bench --seconds 0.01 --payload 64K --max-message-bytes 32M --handler echo payload
  [ "$backend" = cpu ] || return 0
  cat >swell.c <<'END'
#include <gpuqueue/handler.h>
GQ_HANDLER(swell, GQ_NO_ARGS, GQ_SUMMARY("eight times what came") GQ_SCOPES(thread) GQ_OUTPUT(raw) GQ_RESULT(8, 0))
{
  for (uint32_t i = 0; i < 8 * msg->size; i++) reply->data[i] = msg->data[i / 8];
  reply->size = 8 * msg->size;
  return 0;
}
END
  XDG_CACHE_HOME=$PWD/cache expect_status 0 'larger results' bench --seconds 0.01 --payload 256,4K --handler ./swell.c \
    payload
}

limits_that_are_too_low() {
  expect_status 2 'small results' bench --seconds 0.01 --payload 4K --max-result-bytes 10 --quick --handler echo payload
  expect_err 'small results' 'the result of a message of 4096 bytes is larger than --max-result-bytes'
  expect_status 2 'small results' bench --seconds 0.01 --payload 4K --max-result-bytes 10 --quick latency
  expect_err 'small results' 'the result of a message of 4096 bytes is larger than --max-result-bytes'
}

# A wrong result is noticed, wherever results are taken: this handler's are never the same.
results_that_are_wrong() {
  local scenario
  [ "$backend" = cpu ] || return 0
  cat >fickle.c <<'END'
#include <time.h>
#include <gpuqueue/handler.h>
GQ_HANDLER(fickle, GQ_NO_ARGS, GQ_SUMMARY("what time it is") GQ_SCOPES(thread) GQ_OUTPUT(text) GQ_RESULT(0, 20))
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  gq_reply_decimal(ctx, reply, 1000000000u + (uint64_t)now.tv_nsec); /* of ten digits */
  return 0;
}
END
  export XDG_CACHE_HOME=$PWD/cache
  for scenario in latency load throughput payload mixed keys wake lanes; do
    expect_status 1 "wrong results in $scenario" bench --seconds 0.01 --quick --handler ./fickle.c --json report \
      "$scenario"
    expect_err "wrong results in $scenario" '^gpuqueue: bench: .*message.*wrong'
    grep -q '"complete":false' report || fail "wrong results in $scenario: the report does not say that it ended early"
  done
}

# A queue that stops for 0.3 s of each 0.5 delays all that was to be sent meanwhile, and each of these messages counts:
# if only the one that was under way did, no percentile but the last would show it.
stalls_that_are_counted() {
  [ "$backend" = cpu ] && command -v python3 >/dev/null || return 0
  cat >stalls.c <<'END'
#include <time.h>
#include <gpuqueue/handler.h>
GQ_HANDLER(stalls, GQ_NO_ARGS, GQ_SUMMARY("stops now and then") GQ_SCOPES(thread) GQ_OUTPUT(text) GQ_RESULT(0, 20))
{
  static uint32_t count;
  const struct timespec pause = {0, 300000000};
  if (count++ % 500 == 499) nanosleep(&pause, NULL);
  gq_reply_decimal(ctx, reply, msg->size);
  return 0;
}
END
  expect_status 0 stalls bench --handler ./stalls.c --workers 1 --rate 1000 --seconds 1.5 --json report load
  [ "$(json 'all(p["latency_us"]["p90"] > 50000 for p in j["points"])')" = True ] ||
    fail "stalls: latencies are counted from when messages could be sent: $(json 'j["points"]')"
}

a_handler_that_hangs() {
  [ "$backend" = cpu ] || return 0 # a GPU is not to be had again soon after this
  expect_status 3 'stuck handler' bench --handler test_stuck --stall-ms 200 --json report latency
  expect_err 'stuck handler' '^gpuqueue: bench: .*stall_ms'
  grep -q '"complete":false' report || fail "stuck handler: the report does not say that it is not complete"
}

reports_that_cannot_be_written() {
  expect_status 3 'JSON' bench --seconds 0.001 --payload 64 --json /nonexistent/report latency
  expect_err 'JSON' '^gpuqueue: bench: /nonexistent/report: cannot write JSON: No such file'
  rm -f fifo
  mkfifo fifo
  (exec timeout 60 cat fifo >report) &
  expect_status 0 'FIFO' bench --seconds 0.001 --payload 64 --json fifo latency
  wait $!
  grep -q '"complete":true' report || fail "a FIFO got no report"
  expect_status 3 'charts' bench --seconds 0.001 --payload 64 --plot /nonexistent/charts latency
  expect_err 'charts' '^gpuqueue: bench: /nonexistent/charts: cannot write charts: No such file'
  expect_status 2 'other charts' bench --seconds 0.001 --payload 64 --plot charts.PNG latency
  expect_err 'other charts' '^gpuqueue: --plot charts.PNG: charts are drawn as SVG'
  expect_status 0 'one point' bench --seconds 0.001 --payload 64 --plot charts.svg latency
  expect_err 'one point' 'charts.svg has no chart'
  if [ -c /dev/full ]; then
    timeout 60 "$program" bench --backend "$backend" --seconds 0.001 latency >/dev/full 2>err
    [ $? = 3 ] || fail "/dev/full: wrong exit status"
    expect_err /dev/full 'the table cannot be written: No space left on device'
  fi
}

a_reader_that_leaves() {
  bench --seconds 0.01 --quick latency throughput 2>err | head -n 1 >out
  [ "${PIPESTATUS[0]}" = 141 ] || fail "a reader that leaves: exit status ${PIPESTATUS[0]}"
  expect_err_empty
}

stopped() {
  local pid got
  "$program" bench --backend "$backend" --seconds 1 --json report latency throughput >out 2>err &
  pid=$!
  for _ in $(seq 100); do
    grep -q 'payload=' out 2>/dev/null && break
    sleep 0.1
  done
  kill -TERM "$pid"
  wait "$pid"
  got=$?
  [ "$got" = 143 ] || fail "stopped: exit status $got"
  expect_err stopped '^gpuqueue: bench: stopped by SIGTERM after [0-9]* points$'
  grep -q '"complete":false' report || fail "stopped: the report does not say that it is not complete"
  if command -v python3 >/dev/null; then python3 -m json.tool report >/dev/null || fail "stopped: no JSON"; fi
}

backend=none
arguments_that_are_wrong
what_there_is
for_each_backend every_scenario narrowed only_the_same_is_compared memory_that_is_not_there another_handler \
  limits_that_are_larger limits_that_are_too_low results_that_are_wrong stalls_that_are_counted a_handler_that_hangs \
  reports_that_cannot_be_written a_reader_that_leaves stopped
