#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad arguments and bad input: the right exit status, and a message that names what was wrong.
. "$(dirname "$0")/common.sh"

usage() { # WHAT PATTERN ARGUMENT...
  local what=$1 pattern=$2
  shift 2
  expect_status 2 "$what" "$program" "$@" </dev/null
  expect_err "$what" "^gpuqueue: .*$pattern"
  [ ! -s out ] || fail "$what: printed on standard output"
}

usage_errors() {
  usage 'no subcommand' 'compile, bench or info'
  usage 'unknown subcommand' "unknown subcommand 'walk'" walk
  usage 'no handler' 'no handler: .* echo, crc32c, sha256' run
  usage 'unknown handler' 'nosuch.* echo, crc32c, sha256' run --handler nosuch
  usage 'unknown option' 'unknown option --speed' run --handler echo --speed 3
  usage 'hint to the help' "try 'gpuqueue run --help'" run --handler echo --speed
  usage 'unknown letter' 'unknown option -z' run --handler echo -vz
  usage 'value missing' '\-\-capacity needs a value' run --handler echo --capacity
  usage 'value too small' "capacity.*'1'.*2 to 1048576" run --handler echo --capacity 1
  usage 'value too large' "capacity.*2 to 1048576" run --handler echo --capacity=9999999
  usage 'value no number' "capacity.*'many'" run --handler echo --capacity many
  usage 'cell size' 'cell_bytes\|cell-bytes' run --handler echo --cell-bytes 100
  usage 'unknown backend' "backend.*'abacus'.*auto, cuda, cpu" run --handler echo --backend abacus
  usage 'value not wanted' '\-\-with-input takes no value' run --handler echo --with-input=yes
  usage 'input format' "'csv' is none of lines" run --handler echo --input-format csv
  usage 'fixed without size' "fixed:N" run --handler echo --input-format fixed:
  usage 'fixed of 0' "fixed:N" run --handler echo --input-format fixed:0
  usage 'fixed of -1' "fixed:N" run --handler echo --input-format fixed:-1
  usage 'fixed too large' 'fixed:101 is more than --max-message-bytes 100' \
    run --handler echo --max-message-bytes 100 --input-format fixed:101
  usage 'output format' "'octal' is none of hex" run --handler echo --output-format octal
  usage 'null' '\-\-null is about' run --handler echo --null
  usage 'argument' "'novalue' is not KEY=VALUE" run --handler echo --arg novalue
  usage 'argument of a handler that takes none' 'echo' run --handler echo --arg key=1
  usage 'progress' "'sometimes' is none of" run --handler echo --progress=sometimes
  usage 'stats' "'xml' is none of" run --handler echo --stats=xml
  usage 'unordered dead letters' 'input order only' run --handler echo --unordered --input-format dead-letters
  usage 'info' "unknown argument '--yaml'" info --yaml
  GPUQUEUE_CAPACITY=1 expect_status 2 'environment' "$program" run --handler echo </dev/null
  expect_err environment 'GPUQUEUE_CAPACITY'
  GPUQUEUE_HANDLER=crc32c expect_status 0 'handler from the environment' "$program" run <<<abc
  expect_out 'handler from the environment' '364b3fb7\n'
  GPUQUEUE_HANDLERS=crc32c expect_status 0 'unknown variable' "$program" run --handler echo </dev/null
  expect_err 'unknown variable' 'GPUQUEUE_HANDLERS'
}

messages_too_large() {
  printf 'small\nthis is large\nsmall too\nlarge to its very end' >in
  expect_status 1 'lines too large' run --handler echo --max-message-bytes 9 in && expect_out large 'small\nsmall too\n'
  expect_err 'lines too large' '^gpuqueue: message 2: 13 bytes are more than --max-message-bytes 9$'
  expect_err 'lines too large' '^gpuqueue: message 4: 21 bytes are more'
  expect_err 'lines too large' '^gpuqueue: 2 messages failed$'
  { head -c 3000000 /dev/zero | tr '\0' x; printf '\nnext\n'; } >in
  expect_status 1 'line larger than the buffer' run --handler echo --max-message-bytes 100 in
  expect_out 'line larger than the buffer' 'next\n'
  expect_err 'line larger than the buffer' 'message 1: 3000000 bytes are more'
  printf '\x0a\0\0\0tenbytes..\1\0\0\0x' >in
  expect_status 1 'len32 too large' run --handler echo --input-format len32 --max-message-bytes 9 in
  expect_out 'len32 too large' '\1\0\0\0x'
  expect_err 'len32 too large' 'message 1: the length 10 at offset 0 is more than --max-message-bytes 9'
}

truncated_input() {
  printf '\2\0\0\0ok\5\0\0\0abc' >in
  expect_status 1 'len32 payload' run --handler echo --input-format len32 in && expect_out 'len32 payload' '\2\0\0\0ok'
  expect_err 'len32 payload' '^gpuqueue: in: message 2, which begins at offset 6, is truncated: 2 of the 5 bytes'
  printf '\2\0\0\0ok\5\0' >in
  expect_status 1 'len32 length' run --handler echo --input-format len32 in && expect_out 'len32 length' '\2\0\0\0ok'
  expect_err 'len32 length' 'message 2, which begins at offset 6, is truncated: 2 of the 4 bytes of its length'
  { printf '\0\0\3\0'; head -c 150000 /dev/zero; } >in
  expect_status 1 'len32 large' run --handler echo --input-format len32 in && expect_out 'len32 large' ''
  expect_err 'len32 large' 'message 1, .* offset 0, is truncated: 46608 of the 196608 bytes'
  printf 'abcdefgh' >in
  expect_status 1 fixed run --handler echo --input-format fixed:3 in && expect_out fixed 'abcdef'
  expect_err fixed '^gpuqueue: in: message 3, which begins at offset 6, is truncated: 1 of the 3 bytes'
  head -c 300000 /dev/zero | expect_status 1 'fixed large' run --handler crc32c --input-format fixed:200000
  expect_err 'fixed large' 'standard input: message 2, .* offset 200000, is truncated: 100000 of the 200000'
}

unreadable_files() {
  echo a >a
  mkdir dir
  expect_status 1 'unreadable files' run --handler echo missing a dir && expect_out 'unreadable files' 'a\n'
  expect_err missing '^gpuqueue: missing: No such file or directory$'
  expect_err directory '^gpuqueue: dir: Is a directory$'
  expect_status 1 'standard input closed' run --handler echo <&-
  expect_err 'standard input closed' '^gpuqueue: standard input: Bad file descriptor$'
}

output_that_cannot_be_written() {
  if [ -c /dev/full ]; then
    yes | head -200000 >in
    timeout 60 "$program" run --backend "$backend" --handler echo in >/dev/full 2>err
    [ $? = 3 ] || fail "/dev/full: wrong exit status"
    expect_err /dev/full '^gpuqueue: standard output: No space left on device$'
    timeout 60 "$program" run --backend "$backend" --handler echo <<<abc >/dev/full 2>err
    [ $? = 3 ] || fail "/dev/full with one line: wrong exit status"
    "$program" info >/dev/full 2>err
    [ $? = 3 ] || fail "info on /dev/full: wrong exit status"
  fi
  timeout 60 "$program" run --backend "$backend" --handler echo <<<abc >&- 2>err
  [ $? = 3 ] || fail "standard output closed: wrong exit status"
  expect_err 'standard output closed' '^gpuqueue: standard output: Bad file descriptor$'
  expect_status 3 'dead letters cannot be written' run --handler echo --dead-letters /nonexistent/letters </dev/null
  expect_err 'dead letters cannot be written' '^gpuqueue: /nonexistent/letters: cannot write dead letters: No such file'
}

output_that_is_an_input() {
  seq 1 1000 >in
  cp in kept
  timeout 60 "$program" run --backend "$backend" --handler echo in >>in 2>err
  [ $? = 1 ] || fail "output appended to the input: wrong exit status"
  expect_err 'output appended to the input' '^gpuqueue: in: is the output, too'
  cmp in kept || fail "output was appended to the input"
}

handlers_that_do_not_return() {
  printf 'ab\ncd\n' >in
  [ "$backend" = cpu ] || return 0 # a GPU is not to be had again soon after this
  expect_status 3 'stuck handler' run --handler test_stuck --stall-ms 200 in
  expect_err 'stuck handler' '^gpuqueue: cannot .*stall_ms'
  expect_err 'stuck handler' '^gpuqueue: stopped by this error: 2 messages were sent, 0 of them are done$'
}

devices_that_are_not_there() {
  [ "$backend" = cpu ] || return 0
  if ! grep -q '"cuda_usable":true' <("$program" info --json); then
    expect_status 3 'no cuda' "$program" run --backend cuda --handler echo </dev/null
    expect_err 'no cuda' '^gpuqueue: .'
  fi
}

for_each_backend usage_errors messages_too_large truncated_input unreadable_files output_that_cannot_be_written \
  output_that_is_an_input handlers_that_do_not_return \
  devices_that_are_not_there
