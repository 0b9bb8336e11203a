#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Messages that a handler gives up on: told, kept, and run again. The handler test_fail returns the first byte of its
# payload, or asks for a retry if that is 255, while its attempt is not more than the second byte.
. "$(dirname "$0")/common.sh"

failures_are_told_and_kept() {
  printf 'ok 1\n\377\1 once\nok 2\n\377\3 thrice\n' >in
  LC_ALL=C sed 's/ok/\x00\x00/' in >clean
  expect_status 1 'two fail' run --handler test_fail --dead-letters letters clean
  expect_out 'two fail' '\0\0 1\n\0\0 2\n'
  expect_err 'two fail' '^gpuqueue: message 2: GQ_FAILED: the handler returned GQ_RETRY (1 attempt)$'
  expect_err 'two fail' '^gpuqueue: message 4: GQ_FAILED: the handler returned GQ_RETRY (1 attempt)$'
  expect_err 'two fail' '^gpuqueue: 2 messages failed (see the dead letters)$'
  [ "$(wc -l <letters)" = 2 ] || fail "not two letters: $(cat letters)"
  pattern='^{"number":2,"id":[0-9]*,"key":0,"tag":2,"status":"GQ_FAILED","code":-1,"attempts":1,'
  pattern=$pattern'"handler":"test_fail","payload":"/wEgb25jZQ=="}$'
  sed -n 1p letters | grep -q "$pattern" ||
    fail "the first letter: $(sed -n 1p letters)"
  if command -v python3 >/dev/null; then
    python3 -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)' letters || fail "the letters are not JSON"
  fi

  expect_status 1 'more attempts' run --handler test_fail --attempts 2 clean
  expect_err 'more attempts' 'message 4: GQ_FAILED: the handler returned GQ_RETRY (2 attempts)'

  expect_status 1 'run again' run --handler test_fail --attempts 2 --input-format dead-letters \
    --dead-letters rest letters
  expect_out 'run again' '\377\1 once\n'
  expect_err 'run again' 'message 2: GQ_FAILED: the handler returned GQ_RETRY (2 attempts)'
  expect_status 0 'run the rest' run --handler test_fail --attempts 4 --input-format dead-letters rest
  expect_out 'run the rest' '\377\3 thrice\n'
}

a_code_is_final() {
  printf '\5\1 once\n' >in
  expect_status 1 'a code' run --handler test_fail --attempts 3 in
  expect_err 'a code' '^gpuqueue: message 1: GQ_FAILED: the handler returned 5 (1 attempt)$'
}

any_payload_survives() {
  # the code 1 at the first attempt, then every byte; sizes that need each kind of padding
  for size in 2 3 4 255 256 100000 300001; do
    { printf '\1\1'; head -c 400000 /dev/urandom; } | head -c $size >payload
    rm -f letters
    expect_status 1 "payload of $size" run --handler test_fail --input-format fixed:$size --dead-letters letters payload
    expect_status 0 "payload of $size again" run --handler echo --input-format dead-letters --output-format hex letters
    { od -An -v -tx1 payload | tr -d ' \n'; echo; } | cmp - out || fail "a payload of $size bytes changed"
  done
}

letters_are_appended() {
  printf '\1\1\n' >in
  run --handler test_fail --dead-letters letters in 2>/dev/null
  run --handler test_fail --dead-letters letters in 2>/dev/null
  [ "$(wc -l <letters)" = 2 ] || fail "a second run did not append"
  cp letters kept
  expect_status 1 'the same file' run --handler test_fail --input-format dead-letters --dead-letters letters letters
  expect_err 'the same file' '^gpuqueue: letters: is the --dead-letters file of this run'
  cmp letters kept || fail "reading from the dead letters file changed it"
}

a_file_that_cannot_take_them_ends_the_run() {
  [ -c /dev/full ] || return 0
  printf '\1\1\n' >in
  expect_status 3 'dead letters to /dev/full' run --handler test_fail --dead-letters /dev/full in
  expect_err 'dead letters to /dev/full' '^gpuqueue: /dev/full: cannot write dead letters: No space left on device$'
}

file_names_are_kept() {
  local odd
  odd=$(printf 'odd "\\\nname')
  printf '\377\1 odd' >"$odd"
  printf '\377\1 bytes' >"$(printf '\377')"
  expect_status 1 files run --handler test_fail --input-format files --dead-letters letters \
    "$odd" "$(printf '\377')" missing
  expect_err files '^gpuqueue: odd "\\012name: GQ_FAILED\|^gpuqueue: odd "\\\\012name: GQ_FAILED'
  expect_status 1 'files again' run --handler test_fail --attempts 2 --input-format dead-letters --with-input letters
  printf '\\\377\1 odd  odd "\\\\\\nname\n\377\1 bytes  \377\n' >wanted
  cmp wanted out || fail "names in dead letters: $(od -c out)"
  expect_err 'letter without payload' 'missing: dead letter [0-9]*: the letter has no payload'
}

keys_and_tags_go_along() {
  local letter='{"key":7,"tag":18446744073709551615,"payload":"AQE="}'
  echo "$letter" >in
  expect_status 1 'key and tag' run --handler test_fail --input-format dead-letters --dead-letters letters in
  grep -q '"number":1,.*"key":7,"tag":18446744073709551615,' letters || fail "key or tag was lost: $(cat letters)"
}

bad_letters() {
  {
    echo 'no json'
    echo '{"payload":"AAA"}'
    echo '{"payload":"A=BC"}'
    echo '{"payload":"YQ=="'
    echo '{"key":-1,"payload":"YQ=="}'
    echo '{"key":18446744073709551616,"payload":"YQ=="}'
    echo '{"payload":null}'
    echo '{"payload":"YQ==","x":"\q"}'
    echo '{"payload":"YQ=="} more'
    echo '{"payload":["YQ=="]}'
    echo '{"name":"a\u0000b","payload":"YQ=="}'
    echo ' { "x" : true , "payload" : "YWJj" , "y" : -1.5e3 , "name":"\u00e9\ud83d\ude00" } '
    printf '{"payload":"ZW5k"}'
  } >in
  expect_status 1 'bad letters' run --handler echo --input-format dead-letters in
  expect_out 'bad letters' 'abc\nend\n'
  for number in 1 2 3 4 5 6 7 8 9 10 11; do
    expect_err 'bad letters' "dead letter $number: "
  done
  grep -q 'dead letter 12' err && fail "a good letter was refused: $(cat err)"
  expect_status 1 'names from letters' run --handler echo --input-format dead-letters --with-input in
  printf 'abc  \303\251\360\237\230\200\nend  end\n' | cmp - out || fail "names from letters: $(od -c out)"
}

results_too_large() {
  printf 'ab\nabcdef\n' >in
  expect_status 1 'result too large' run --handler echo --max-result-bytes 4 --dead-letters letters in
  expect_out 'result too large' 'ab\n'
  expect_err 'result too large' 'message 2: GQ_RESULT_TOO_LARGE.*--max-result-bytes'
  grep -q '"status":"GQ_RESULT_TOO_LARGE".*"payload":"YWJjZGVm"' letters || fail "letter: $(cat letters)"
}

for_each_backend failures_are_told_and_kept a_code_is_final any_payload_survives letters_are_appended \
  a_file_that_cannot_take_them_ends_the_run file_names_are_kept keys_and_tags_go_along bad_letters results_too_large
