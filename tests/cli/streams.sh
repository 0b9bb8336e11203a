#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stream in `gpuqueue run` goes through several threads in chunks: nothing of that may show, but for the rate.
. "$(dirname "$0")/common.sh"

order_is_kept_by_any_number_of_threads() {
  local threads
  seq 1 300000 >in
  for threads in 1 2 5 16; do
    expect_status 0 "$threads threads" run --handler echo --threads $threads in
    cmp in out || fail "$threads threads changed the order or the results"
    expect_status 0 "$threads threads, unordered" run --handler echo --threads $threads --unordered in
    sort -n out | cmp in - || fail "$threads threads lost or changed results without order"
  done
  expect_status 0 'capacity 2' run --handler echo --threads 3 --capacity 2 <(head -5000 in)
  head -5000 in | cmp - out || fail "three threads with a capacity of 2"
  expect_status 0 'capacity 2, unordered' run --handler echo --threads 3 --capacity 2 --unordered <(head -5000 in)
  sort -n out | cmp - <(head -5000 in) || fail "three threads with a capacity of 2, unordered"
}

framings_cross_chunks() {
  local size
  # sizes beside those of a read, a chunk and their doubles, with short ones between
  for size in 1 16383 16384 16385 262142 262143 262144 262145 524288 700001; do
    head -c $size /dev/zero | tr '\0' x
    printf '\n\n%s\n' $size
  done >in
  expect_status 0 lines run --handler echo --threads 3 in
  cmp in out || fail "lines of the sizes of chunks"
  tr '\n' '\0' <in >in0
  expect_status 0 nul run --handler echo --threads 3 --input-format nul in0
  cmp in0 out || fail "pieces of the sizes of chunks"
  cat in in in >three
  [ $(($(wc -c <three) % 7)) = 0 ] || head -c -$(($(wc -c <three) % 7)) three >seven
  [ -e seven ] || cp three seven
  for size in 7 $(wc -c <seven); do
    expect_status 0 "fixed:$size" run --handler echo --threads 3 --input-format fixed:$size seven
    cmp seven out || fail "fixed:$size"
  done
  # from a pipe that gives a little at a time
  (while IFS= read -r -n 5000 -d '' some || [ -n "$some" ]; do printf %s "$some"; done <in) |
    run --handler echo --threads 2 >out 2>err || fail "dribbled: $(cat err)"
  cmp in out || fail "a pipe that gives a little at a time"
}

inputs_are_shown_beside_results() {
  seq 1 50000 >in
  expect_status 0 'with input' run --handler echo --threads 4 --with-input in
  sed 's/\(.*\)/\1  \1/' in | cmp - out || fail "--with-input with four threads"
}

failures_have_their_numbers() {
  # every thousandth fails in its handler, every 1500th is too large
  awk 'BEGIN {
    for (i = 1; i <= 30000; i++) print i % 1000 == 0 ? "\1\1" i : i % 1500 == 3 ? "@@" i "............." : "@@" i
  }' | tr @ '\0' >in
  expect_status 1 failures run --handler test_fail --threads 4 --max-message-bytes 12 --dead-letters letters in
  awk 'BEGIN { for (i = 1; i <= 30000; i++) if (i % 1000 != 0 && i % 1500 != 3) print "@@" i }' | tr @ '\0' >wanted
  cmp wanted out || fail "failures changed the other results"
  awk 'BEGIN { for (i = 1; i <= 30000; i++) if (i % 1000 == 0 || i % 1500 == 3) print i }' >wanted
  sed -n 's/^gpuqueue: message \([0-9]*\): .*/\1/p' err | sort -n | cmp - wanted || fail "numbers: $(head -5 err)"
  sed -n 's/^{"number":\([0-9]*\),.*/\1/p' letters | sort -n | cmp - wanted || fail "letters: $(head -5 letters)"
  grep -q '^{"number":7000,.*"tag":7000,.*"payload":"AQE3MDAw"}$' letters || fail "7000: $(grep ':7000,' letters)"
  expect_err failures '^gpuqueue: 50 messages failed (see the dead letters)$'
}

only_large_messages_take_no_memory() {
  local input=$((200 * 1024 * 1024)) peak
  [ "$backend" = cpu ] || return 0 # a CUDA context maps far more than this
  head -c $input /dev/zero | tr '\0' x | fold -w 500000 | run --handler echo --threads 2 --max-message-bytes 100 \
    --arena-bytes 64K >out 2>err
  [ "$(grep -c 'bytes are more than --max-message-bytes 100$' err)" = $((input / 500000 + 1)) ] ||
    fail "not every message was reported: $(wc -l <err)"
  case ${CFLAGS-} in *-fsanitize=*) return 0 ;; esac # which reserves far more address space
  head -c $input /dev/zero | tr '\0' x | fold -w 2000 >in
  (
    ulimit -v $((1024 * 1024))
    run --handler echo --threads 2 --max-message-bytes 100 --arena-bytes 64K in >out 2>err
  )
  [ $? = 1 ] || fail "messages that are all too large: $(tail -2 err)"
  expect_out 'messages that are all too large' ''
}

# The bound on the memory of what is under way must not hold up the message that would have to go first.
messages_larger_than_all_that_may_wait() {
  local i
  [ "$backend" = cpu ] || return 0 # pinned memory for such messages takes a GPU's driver seconds
  for i in 1 2 3; do
    head -c $((70 * 1024 * 1024 + i)) /dev/zero | tr '\0' $i
    printf '\nshort\n'
  done >in
  expect_status 0 'large among short' run --handler crc32c --threads 2 --max-message-bytes 128M --with-input in
  sed 's/^........  //' out | cmp - in || fail "large messages among short ones"
  cut -c1-8 out >wanted
  expect_status 0 'large among short' run --handler crc32c --threads 2 --max-message-bytes 128M in
  cmp wanted out || fail "large messages among short ones, whose bytes are not kept"
}

# Each message waits in its handler until all of them are there: as many workers are, and so are they.
large_messages_run_at_once() {
  local all=48 options size
  [ "$backend" = cpu ] && "$program" info | grep -q '^compiler for handlers on cpu: /' || return 0
  cat >meet48.c <<'END'
#include <time.h>
#include <gpuqueue/handler.h>
enum { ALL = 48 };
GQ_HANDLER(meet, GQ_NO_ARGS, GQ_SUMMARY("waits for others") GQ_SCOPES(thread) GQ_OUTPUT(text) GQ_RESULT(0, 20))
{
  static uint32_t here, nobody_came;
  const struct timespec pause = {0, 1000000};
  uint32_t turns = 20000;
  __atomic_fetch_add(&here, 1, __ATOMIC_RELAXED);
  while (__atomic_load_n(&here, __ATOMIC_RELAXED) < ALL) {
    if (turns-- == 0) __atomic_store_n(&nobody_came, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&nobody_came, __ATOMIC_RELAXED)) return 1;
    nanosleep(&pause, NULL);
  }
  gq_reply_decimal(ctx, reply, msg->size);
  return 0;
}
END
  sed 's/48/100/' meet48.c >meet100.c
  meet() {
    expect_status 0 "$*" env XDG_CACHE_HOME="$PWD/cache" timeout 120 "$program" run --backend cpu --workers $all \
      --handler ./meet$all.c "$@"
  }
  head -c $((all * 1024 * 1024)) /dev/zero | tr '\0' x >in
  for options in '' '--threads 1' '--threads 7' --unordered '--dead-letters letters' '--arena-bytes 256M'; do
    meet $options --input-format fixed:1M in
  done
  meet --input-format fixed:1M < <(cat in) # a pipe
  for size in 16384 65536 500000 1048575; do
    fold -w $size in | head -$((all - 1)) >lines
    echo short >>lines
    meet --threads 1 lines
    meet --threads 1 --input-format nul < <(tr '\n' '\0' <lines)
  done
  for size in $(seq $all); do
    printf '\0\0\20\0'
    head -c $((1024 * 1024)) in
  done >in32
  meet --threads 1 --input-format len32 in32
  head -c $((1024 * 1024)) in >file
  meet --input-format files $(yes file | head -$all)
  # in one lane, whose usual arena would be too small
  all=100
  meet --input-format files $(yes file | head -$all)
  meet --input-format files < <(yes file | head -$all)
  meet --input-format fixed:1M --threads 1 < <(cat in in in | head -c ${all}M)
}

chunks_of_many_threads_are_used_again() {
  [ "$backend" = cpu ] && "$program" info | grep -q '^compiler for handlers on cpu: /' || return 0
  cat >slow.c <<'END'
#include <time.h>
#include <gpuqueue/handler.h>
GQ_HANDLER(slow, GQ_NO_ARGS, GQ_SUMMARY("sleeps at first") GQ_SCOPES(thread) GQ_OUTPUT(text) GQ_RESULT(0, 20))
{
  static uint32_t count;
  const struct timespec pause = {1, 0};
  if (__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) < 2) nanosleep(&pause, NULL);
  gq_reply_decimal(ctx, reply, msg->size);
  return 0;
}
END
  head -c $((120 * 1024 * 1024)) /dev/zero | tr '\0' x | fold -w 2047 >in
  expect_status 0 '256 threads' env XDG_CACHE_HOME="$PWD/cache" timeout 120 "$program" run --backend cpu --workers 2 \
    --handler ./slow.c --max-message-bytes 4K --arena-bytes 256K --threads 256 in
  [ "$(grep -c '^2047$' out)" = $((120 * 1024 * 1024 / 2047)) ] || fail "256 threads lost results: $(wc -l <out)"
}

a_slow_reader_of_results_holds_all_up() {
  local held pid most=200000
  [ "$backend" = cpu ] || return 0
  case ${CFLAGS-} in *-fsanitize=*) most=600000 ;; esac # which holds shadows of it, too
  rm -f fifo
  mkfifo fifo
  # each byte of input makes 65 of output, 390 MB in all; the reader takes nothing for a second
  "$program" run --backend cpu --handler sha256 --threads 3 < <(yes '' | head -6000000) >fifo 2>err &
  pid=$!
  exec 8<fifo
  sleep 1
  held=$(awk '/VmRSS/ {print $2}' "/proc/$pid/status")
  [ "$held" -lt "$most" ] || fail "$held KiB are held while nobody reads"
  [ "$(uniq -c <&8 | sed 's/^ *\([0-9]*\) .*/\1/')" = 6000000 ] || fail "results differ"
  wait "$pid" || fail "slow reader: $(cat err)"
  exec 8<&-
}

a_stop_leaves_no_gap() {
  local pid i
  : >out
  (exec seq 1 1000000000) | env --default-signal=INT "$program" run --backend "$backend" --handler echo --threads 4 \
    >out 2>err &
  pid=$!
  for i in $(seq 1 600); do
    [ "$(wc -l <out)" -ge 20000 ] && break
    sleep 0.05
  done
  kill -INT "$pid"
  wait "$pid"
  [ $? = 130 ] || fail "SIGINT: wrong exit status"
  seq 1 "$(wc -l <out)" | cmp - out || fail "SIGINT left a gap in the results"
  expect_err 'a stop' "stopped by SIGINT: $(wc -l <out) messages were sent, $(wc -l <out) of them are done"
}

a_message_does_not_wait_for_others() {
  local pid i
  [ "$backend" = cpu ] || return 0 # on a GPU messages that are run by one warp end together
  # test_sleep runs for as many microseconds as the first four bytes say: the second message for a minute
  rm -f in
  mkfifo in
  "$program" run --backend "$backend" --handler test_sleep --input-format fixed:4 --workers 2 --stall-ms 120000 \
    --threads 1 --unordered <in >out 2>err &
  pid=$!
  exec 9>in
  printf '\1\0\0\0\0\x87\x93\x03' >&9
  for i in $(seq 1 400); do
    [ "$(wc -c <out)" -ge 4 ] && break
    sleep 0.05
  done
  [ "$(wc -c <out)" = 4 ] || fail "a result waited for that of another message"
  printf '\2\0\0\0' >&9
  for i in $(seq 1 400); do
    [ "$(wc -c <out)" -ge 8 ] && break
    sleep 0.05
  done
  [ "$(wc -c <out)" = 8 ] || fail "a message was not sent while another one ran"
  exec 9>&-
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
}

messages_that_come_alone_all_run_at_once() {
  local pid i options
  for options in --ordered --unordered; do
    rm -f in
    mkfifo in
    # each runs for a minute, so none is done meanwhile; what is read has room in the queue and was sent, but for one
    "$program" run --backend "$backend" --handler test_sleep --input-format fixed:4 --workers 1 --stall-ms 120000 \
      $options --progress=always <in >out 2>err &
    pid=$!
    exec 9>in
    for i in $(seq 1 100); do
      printf '\0\x87\x93\x03' >&9
      sleep 0.01
    done
    for i in $(seq 1 600); do
      grep -q ' 400 B read' err && break
      sleep 0.05
    done
    grep -q ' 400 B read' err || fail "$options: input is not read while messages run: $(tail -c 60 err)"
    exec 9>&-
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
  done
}

tags_are_numbers() {
  "$program" info | grep -q "^compiler for handlers on $backend: /" || return 0
  cat >tag.c <<'EOF'
#include <gpuqueue/handler.h>
GQ_HANDLER(tag, GQ_NO_ARGS, GQ_SUMMARY("The tag") GQ_SCOPES(thread) GQ_RESULT(0, 8) GQ_OUTPUT(raw))
{
  uint32_t i;
  for (i = 0; i < 8; i++) reply->data[i] = (uint8_t)(msg->tag >> 8 * i);
  reply->size = 8;
  return 0;
}
EOF
  seq 1 9000 >in
  expect_status 0 tags run --handler ./tag.c --threads 3 --tags --input-format lines --output-format hex in || return
  awk '{ printf "%02x%02x000000000000\n", $1 % 256, int($1 / 256) }' in | cmp - out || fail "tags: $(head -2 out)"
  expect_status 0 'no tags' run --handler ./tag.c --threads 3 in
  [ "$(tr -d '\0\n' <out | wc -c)" = 0 ] || fail "tags were given unasked"
}

waits_are_told() {
  seq 1 1000 >in
  expect_status 0 stats run --handler echo --threads 2 --stats in
  expect_err stats '^  threads  *1 reader, 2 pipelines, 1 writer$'
  expect_err stats '^  reader  *[0-9.]* % of its time waiting for input$'
  expect_status 0 'stats json' run --handler echo --threads 2 --stats=json in
  expect_err 'stats json' '"pipelines":2,"waiting":{"reader_for_input":[01][0-9.]*,'
  for threads in 0 257 many 1x ''; do
    expect_status 2 "--threads '$threads'" run --handler echo --threads "$threads" in
    expect_err "--threads '$threads'" "^gpuqueue: --threads '$threads' is no number from 1 to 256$"
  done
}

for_each_backend order_is_kept_by_any_number_of_threads framings_cross_chunks inputs_are_shown_beside_results \
  failures_have_their_numbers only_large_messages_take_no_memory messages_larger_than_all_that_may_wait \
  large_messages_run_at_once chunks_of_many_threads_are_used_again a_slow_reader_of_results_holds_all_up \
  a_stop_leaves_no_gap a_message_does_not_wait_for_others messages_that_come_alone_all_run_at_once tags_are_numbers \
  waits_are_told
