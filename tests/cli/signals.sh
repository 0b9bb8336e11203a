#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How a run ends early, and how soon results come. Every wait here has a bound; but for one, none decides by how fast
# something is.
. "$(dirname "$0")/common.sh"

# wait_for CONDITION...: up to 30 s
wait_for() {
  local i
  for i in $(seq 1 600); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}

lines_at_least() { [ "$(wc -l <"$1")" -ge "$2" ]; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# start ARGUMENT...: a run in the background, from the FIFO in to the file out; its id is in $pid. A background job of
# a script ignores SIGINT, hence env.
start() {
  rm -f in
  : >out
  mkfifo in
  env --default-signal=INT "$program" run --backend "$backend" "$@" <in >out 2>err &
  pid=$!
  exec 9>in
}

end_of() { # the exit status of the run; 99 if it does not end
  wait_for is_gone "$pid" || { kill -KILL "$pid"; wait "$pid"; return 99; }
  wait "$pid" 2>/dev/null
}

results_come_while_input_is_open() {
  start --handler crc32c
  echo abc >&9
  wait_for lines_at_least out 1 || fail "no result while the input was open"
  echo abc >&9
  wait_for lines_at_least out 2 || fail "no second result while the input was open"
  exec 9>&-
  end_of || fail "exit status $? at the end of input"
  expect_out 'slow input' '364b3fb7\n364b3fb7\n'
}

a_signal_drains_and_reports() {
  local signal wanted
  for signal in INT:130 TERM:143; do
    wanted=${signal#*:}
    signal=${signal%:*}
    start --handler echo
    seq 1 1000 >&9
    wait_for lines_at_least out 1000 || fail "SIG$signal: results missing: $(wc -l <out)"
    kill -s "$signal" "$pid"
    end_of
    [ $? = "$wanted" ] || fail "SIG$signal: wrong exit status"
    exec 9>&-
    seq 1 1000 | cmp - out || fail "SIG$signal: results were lost"
    expect_err "SIG$signal" "^gpuqueue: stopped by SIG$signal: 1000 messages were sent, 1000 of them are done$"
  done
}

a_signal_ends_endless_input() {
  : >out
  (exec yes) | env --default-signal=INT "$program" run --backend "$backend" --handler echo >out 2>err &
  pid=$!
  wait_for lines_at_least out 10000 || fail "no results from endless input"
  kill -INT "$pid"
  end_of
  [ $? = 130 ] || fail "SIGINT on endless input: wrong exit status"
  expect_err 'endless input' 'stopped by SIGINT'
  sent=$(sed -n 's/.*: \([0-9]*\) messages were sent, \([0-9]*\) of them.*/\1 \2/p' err)
  [ "${sent% *}" = "${sent#* }" ] || fail "SIGINT did not drain: $(cat err)"
  [ "$(wc -l <out)" = "${sent#* }" ] || fail "SIGINT: $(wc -l <out) lines, but: $(cat err)"
}

# Nobody sleeps out the 200 ms into which waits are cut: the fastest of ten, so that a busy machine is no failure.
a_stop_wakes_who_waits() {
  local i begun took fastest=1000000
  [ "$backend" = cpu ] || return 0 # a CUDA context takes its time to end
  for i in $(seq 1 10); do
    : >out
    (exec yes) | env --default-signal=INT "$program" run --backend cpu --handler sha256 --threads 2 >out 2>err &
    pid=$!
    wait_for lines_at_least out 50000 || fail "no results from endless input"
    begun=$(date +%s%N)
    kill -INT "$pid"
    wait "$pid"
    took=$((($(date +%s%N) - begun) / 1000))
    [ "$took" -lt "$fastest" ] && fastest=$took
  done
  [ "$fastest" -lt 180000 ] || fail "the fastest of ten stops took $fastest us"
}

bytes_at_least() { [ "$(wc -c <"$1")" -ge "$2" ]; }

what_is_running_finishes_and_a_second_signal_ends() {
  # test_sleep runs for as many microseconds as the first four bytes say; the first message shows that the queue runs
  start --handler test_sleep --input-format fixed:4 --stall-ms 60000
  printf '\0\0\0\0' >&9
  wait_for bytes_at_least out 4 || fail "no result before the signal"
  printf '\x40\x42\x0f\0' >&9 # one second
  sleep 0.4
  kill -TERM "$pid"
  end_of
  [ $? = 143 ] || fail "SIGTERM while a message ran: wrong exit status"
  exec 9>&-
  expect_out 'SIGTERM while a message ran' '\0\0\0\0\x40\x42\x0f\0'

  start --handler test_sleep --input-format fixed:4 --stall-ms 120000
  printf '\0\0\0\0' >&9
  wait_for bytes_at_least out 4 || fail "no result before the signals"
  printf '\0\x87\x93\x03' >&9 # a minute
  sleep 0.4
  kill -TERM "$pid"
  sleep 0.4
  is_gone "$pid" && fail "the first signal did not wait for what ran"
  kill -TERM "$pid"
  end_of
  [ $? = 143 ] || fail "second SIGTERM: wrong exit status"
  exec 9>&-
}

closed_pipe_is_quiet() {
  local status
  yes | "$program" run --backend "$backend" --handler echo 2>err | head -n 3 >out
  status=(${PIPESTATUS[@]})
  [ "${status[1]}" = 141 ] || fail "closed pipe: exit status ${status[1]} instead of 141, as after SIGPIPE"
  [ ! -s err ] || fail "closed pipe: not quiet: $(cat err)"
  expect_out 'closed pipe' 'y\ny\ny\n'
  (
    trap '' PIPE
    yes 2>/dev/null | "$program" run --backend "$backend" --handler echo 2>err | head -n 3 >out
    [ "${PIPESTATUS[1]}" = 141 ]
  ) || fail "closed pipe, SIGPIPE ignored: wrong exit status"
  [ ! -s err ] || fail "closed pipe, SIGPIPE ignored: not quiet: $(cat err)"
}

memory_does_not_grow() {
  local input=$((300 * 1024 * 1024)) before after
  [ "$backend" = cpu ] || return 0 # a CUDA context maps far more than it uses
  start --handler echo --capacity 1024 --max-message-bytes 64K --arena-bytes 1M
  echo first >&9
  wait_for lines_at_least out 1 || fail "no first result"
  before=$(awk '/VmHWM/ {print $2}' "/proc/$pid/status")
  tr '\0' x </dev/zero | fold -w 100 | head -c $input >&9
  after=$(awk '/VmHWM/ {print $2}' "/proc/$pid/status")
  exec 9>&-
  end_of || fail "exit status $?"
  [ "$(wc -c <out)" -gt $input ] || fail "results are missing"
  [ $((after - before)) -lt 100000 ] || fail "memory grew from $before to $after KiB over $input bytes of input"
}

progress_is_shown_when_asked() {
  seq 1 1000 >in
  expect_status 0 'progress, no terminal' run --handler echo --progress in
  [ ! -s err ] || fail "--progress wrote to what is no terminal: $(cat err)"
  (sed -n 1,500p in; sleep 1.2; sed -n '501,$p' in) | run --handler echo --progress=always >out 2>err
  cmp in out || fail "--progress changed the output"
  grep -q '500 messages, .*B read, 0 failed' err || fail "no progress: $(cat err)"
}

statistics_are_printed() {
  seq 1 1000 >in
  expect_status 0 stats run --handler echo --stats in
  expect_err stats '^1000 results (2893 bytes), 0 failed'
  expect_err stats '^  enqueued  *1000$'
  expect_err stats '^ran on '"$backend"
  expect_status 0 'stats json' run --handler echo --stats=json in
  expect_err 'stats json' '"results":1000,.*"enqueued":1000,.*"total_ns":{'
  if command -v python3 >/dev/null; then python3 -m json.tool err >/dev/null || fail "--stats=json is not JSON"; fi
  expect_status 0 verbose run --handler echo -v in
  expect_err verbose "^gpuqueue: running on $backend"
}

is_dead() { is_gone "$1" || grep -q '^State:.Z' "/proc/$1/status"; } # a zombie, where nobody adopts and reaps
nothing_in() { [ -z "$(ls -A "$1")" ]; }

a_killed_compile_leaves_nothing_behind() {
  local signal compiler
  mkdir tmp
  echo '#include <gpuqueue/handler.h>' >slow.c
  printf '#!/bin/sh\necho $$ >"%s/compiler"\necho >"$TMPDIR/cc1.s"\nsleep 300\nexit 1\n' "$work" >cc
  chmod +x cc
  for signal in INT TERM KILL; do
    rm -f compiler
    CC=$work/cc TMPDIR=$work/tmp XDG_CACHE_HOME=$work/cache env --default-signal=INT \
      "$program" compile --cpu --archs none slow.c >out 2>err &
    pid=$!
    wait_for test -s compiler || fail "SIG$signal: the compiler was not started: $(cat err)"
    compiler=$(cat compiler)
    kill -s "$signal" "$pid"
    end_of && fail "SIG$signal: exit status 0"
    wait_for is_dead "$compiler" || fail "SIG$signal: the compiler runs on"
    wait_for nothing_in tmp || fail "SIG$signal: left behind: $(ls -AR tmp)"
  done
}

for_each_backend results_come_while_input_is_open a_signal_drains_and_reports a_signal_ends_endless_input \
  a_stop_wakes_who_waits what_is_running_finishes_and_a_second_signal_ends closed_pipe_is_quiet \
  memory_does_not_grow progress_is_shown_when_asked statistics_are_printed a_killed_compile_leaves_nothing_behind
