#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a handler is given on the command line: arguments and a state. The handler test_context tells its arguments,
# test_state gives back the size of its state and up to 64 of its bytes.
. "$(dirname "$0")/common.sh"

arguments_reach_the_handler() {
  printf '\0' >in
  expect_status 0 'defaults' run --handler test_context --input-format fixed:1 --output-format raw in
  tail -c 3 out | cmp -s - <(printf 'a"b') || fail "the default text: $(od -c out)"
  expect_status 0 'given' run --handler test_context --arg number=-2 --arg 'text=some = text' --arg on=no --arg size=2K \
    --input-format fixed:1 in
  expect_out 'given' "$(printf '%s' \
    '\1\0\0\0\1\0\0\0\0\1\0\0\0\0\0\0\360\3\0\0\0\0\0\0\320\0\0\0\0\0\0\0' \
    '\376\377\377\377\377\377\377\377\0\10\0\0\0\0\0\0\0\0\0\0\0\0\320?' \
    '\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0some = text')"
}

bad_arguments_are_told() {
  expect_status 2 'unknown' run --handler test_context --arg nummer=5 </dev/null
  expect_err 'unknown' "^gpuqueue: handler test_context has no argument 'nummer'; there are: number (int), size (uint),"
  expect_status 2 'another type' run --handler test_context --arg size=-5 </dev/null
  expect_err 'another type' "argument size is of type uint, and '-5' is not: it takes a whole number from 0"
  expect_status 2 'twice' run --handler test_context --arg size=5 --arg size=6 </dev/null
  expect_err 'twice' "argument size is given twice: '5' and '6'"
  expect_status 2 'none taken' run --handler echo --arg size=5 </dev/null
  expect_err 'none taken' "handler echo takes no arguments, but was given 'size=5'"
}

an_init_can_refuse() {
  expect_status 2 'refused' run --handler test_context --arg refuse=17 </dev/null
  expect_err 'refused' '^gpuqueue: handler test_context: its init refused the arguments or the state with code 17$'
}

a_file_becomes_the_state() {
  printf 'the state' >state
  printf '\4\0\0\0\0\0\0\0' >in
  expect_status 0 'state' run --handler test_state --state state --input-format fixed:8 in
  expect_out 'state' '\11\0\0\0\0\0\0\0state'
  expect_status 0 'enlarged' run --handler test_state --state=state --state-bytes 12 --input-format fixed:8 in
  expect_out 'enlarged' '\14\0\0\0\0\0\0\0state\0\0\0'
  GPUQUEUE_STATE=state expect_status 0 'environment' run --handler test_state --input-format fixed:8 in
  expect_out 'environment' '\11\0\0\0\0\0\0\0state'
  printf 'the state' | cmp -s - state || fail "the state's file has changed"
}

a_bad_state_is_told() {
  expect_status 2 'none' run --handler test_state </dev/null
  expect_err 'none' '^gpuqueue: handler test_state needs a state'
  expect_status 2 'not wanted' run --handler echo --state /etc/passwd </dev/null
  expect_err 'not wanted' 'handler echo takes no state, but was given the file /etc/passwd'
  expect_status 3 'missing' run --handler test_state --state nosuch </dev/null
  expect_err 'missing' 'opening the state nosuch: No such file or directory'
  mkfifo pipe
  expect_status 2 'a pipe' run --handler test_state --state pipe </dev/null
  expect_err 'a pipe' 'state: pipe is not a regular file'
  printf 'long' >state
  expect_status 2 'too long' run --handler test_state --state state --state-bytes 3 </dev/null
  expect_err 'too long' 'state_bytes: 3 is less than the 4 bytes of the state'
}

for_each_backend arguments_reach_the_handler bad_arguments_are_told an_init_can_refuse a_file_becomes_the_state \
  a_bad_state_is_told
