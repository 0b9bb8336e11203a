#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Handlers that misbehave in `gpuqueue run`: test_misbehave does the harm that a message's first byte asks for.
. "$(dirname "$0")/common.sh"
ulimit -c 0

# a sanitizer reports a crash in its own way, and ends the process
has_sanitizer() { case ${CFLAGS-} in *-fsanitize=*) return 0 ;; *) return 1 ;; esac; }

a_wild_write_names_its_message() {
  [ "$backend" = cpu ] && has_sanitizer && return 0
  printf 'one\nthree\nw\nfour\n' >in
  expect_status 3 'a wild write' run --handler test_misbehave --scope thread --workers 1 --dead-letters letters in
  expect_err 'a wild write' '^gpuqueue: cannot .*handler test_misbehave, running on message.* 0x3'
  expect_err 'a wild write' '^gpuqueue: message 3: GQ_DEVICE_LOST: its handler was running when the device was lost$'
  expect_err 'a wild write' '^gpuqueue: stopped by this error: '
  grep -q '^{"number":3,.*"status":"GQ_DEVICE_LOST",.*"payload":"dw=="}$' letters || fail "no letter: $(cat letters)"
  # the letter can be run again with a handler that is sound
  grep '"number":3,' letters >letter
  expect_status 0 'the letter' run --handler echo --input-format dead-letters letter
  expect_out 'the letter' 'w\n'
}

a_wild_write_names_its_file() {
  [ "$backend" = cpu ] && has_sanitizer && return 0
  printf one >first
  printf w >'the bad one'
  expect_status 3 'a file' run --handler test_misbehave --workers 1 --input-format files first 'the bad one'
  expect_err 'a file' '^gpuqueue: .*the bad one.*: GQ_DEVICE_LOST: '
}

without_the_guard_the_process_dies() {
  [ "$backend" = cpu ] && ! has_sanitizer || return 0
  printf 'w\n' >in
  expect_status 139 'unguarded' run --handler test_misbehave --guard=0 in
  export GPUQUEUE_GUARD=0
  expect_status 139 'unguarded by the environment' run --handler test_misbehave in
  unset GPUQUEUE_GUARD
}

a_division_fails_its_message_only() {
  [ "$backend" = cpu ] && has_sanitizer && return 0
  printf 'one\nz\nthree\n' >in
  if [ "$backend" = cpu ] && [ "$(uname -m)" = x86_64 ]; then
    expect_status 1 'a division' run --handler test_misbehave --attempts 3 in
    expect_out 'a division' 'one\nthree\n'
    expect_err 'a division' '^gpuqueue: message 2: GQ_FAILED: the handler divided by zero$'
  else # a number comes out, and nothing else happens
    expect_status 0 'a division' run --handler test_misbehave in
    expect_out 'a division' 'one\nz\nthree\n'
  fi
}

an_endless_loop_ends_the_run() {
  [ "$backend" = cpu ] || return 0 # tests/test_faults has it for a GPU
  printf 'one\ntwo\nl\nfour\n' >in
  expect_status 3 'a loop' run --handler test_misbehave --stall-ms 200 in
  expect_err 'a loop' '^gpuqueue: cannot .*it has not come back for .* stall_ms, 200 ms$'
  expect_err 'a loop' '^gpuqueue: message 3: GQ_DEVICE_LOST: '
}

for_each_backend a_wild_write_names_its_message a_wild_write_names_its_file without_the_guard_the_process_dies \
  a_division_fails_its_message_only an_endless_loop_ends_the_run
