#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job: --handler sha256 --input-format files --with-input prints what sha256sum prints.
. "$(dirname "$0")/common.sh"

sums() {
  run --handler sha256 --input-format files --with-input "$@"
}

make_tree() {
  mkdir -p 'tree/with space' tree/deep/er
  : >tree/empty
  printf 'no newline' >tree/text
  head -c 5000000 /dev/urandom >tree/binary
  head -c 131071 /dev/urandom >tree/deep/131071
  head -c 131072 /dev/urandom >tree/deep/131072
  head -c 131073 /dev/urandom >tree/deep/er/131073
  echo 1 >"$(printf 'tree/new\nline')"
  echo 2 >"$(printf 'tree/carriage\rreturn')"
  echo 3 >'tree/back\slash'
  echo 4 >'tree/with space/ leading'
  echo 5 >"$(printf 'tree/\\n\n\\')"
  echo 6 >"$(printf 'tree/\377\376')"
  echo 7 >'tree/*?["'\'']'
  echo 8 >tree/-dash
  for i in $(seq 1 300); do head -c $((i * 37)) tree/binary >"tree/deep/f$i"; done
}

same_as_sha256sum() {
  make_tree
  find tree -type f -print0 | LC_ALL=C sort -z >names
  xargs -0 sha256sum -- <names >wanted 2>/dev/null
  expect_status 0 'names on standard input' sums --null <names
  cmp wanted out || fail "differs from sha256sum: $(diff wanted out | head -5)"
  sha256sum -c --quiet out || fail "sha256sum -c does not accept the output"
  mapfile -d '' arguments <names
  expect_status 0 'names as arguments' sums -- "${arguments[@]}"
  cmp wanted out || fail "differs from sha256sum with names as arguments"
  expect_status 0 unordered sums -0 --unordered <names
  sort out | cmp - <(sort wanted) || fail "--unordered differs from sha256sum"
  expect_status 0 'capacity 2' sums -0 --unordered --capacity 2 <names
  sort out | cmp - <(sort wanted) || fail "--unordered with capacity 2 differs from sha256sum"

  find tree/deep -type f >lines
  expect_status 0 'one name a line' sums <lines
  xargs sha256sum <lines | cmp - out || fail "names one a line differ"
}

system_headers() {
  find /usr/include /usr/share/doc -type f 2>/dev/null | grep -v '\\' | head -3000 >names
  expect_status 0 headers sums <names
  xargs -d '\n' sha256sum <names | cmp - out || fail "differs from sha256sum on the system's files"
}

standard_input_is_a_file_too() {
  printf abc >in
  expect_status 0 'file -' sums - <in
  sha256sum - <in | cmp - out || fail "'-' differs: $(cat out)"
  expect_status 0 'pipe' sums - < <(head -c 1000000 /dev/zero)
  head -c 1000000 /dev/zero | sha256sum - | cmp - out || fail "a pipe as '-' differs"
  expect_status 1 "'-' among the names" sums <<<'-'
  expect_err "'-' among the names" 'gpuqueue: -: standard input holds the names'
}

one_failure_loses_nothing_else() {
  mkdir dir
  echo a >a
  echo b >b
  head -c 100001 /dev/zero >large
  head -c 100000 /dev/zero >fits
  mkfifo fifo
  { head -c 200000 /dev/zero >fifo 2>/dev/null; } &
  expect_status 1 'some files fail' sums --max-message-bytes 100000 a missing dir large fits fifo '' b
  sha256sum a fits b | cmp - out || fail "what could be read is not there: $(cat out)"
  expect_err missing '^gpuqueue: missing: No such file or directory$'
  expect_err directory '^gpuqueue: dir: Is a directory$'
  expect_err large '^gpuqueue: large: 100001 bytes are more than --max-message-bytes 100000$'
  expect_err fifo '^gpuqueue: fifo: more bytes than --max-message-bytes 100000$'
  expect_err count '^gpuqueue: 5 messages failed$'
  wait
  if [ "$(id -u)" != 0 ]; then
    chmod 0 b
    expect_status 1 unreadable sums a b
    expect_err unreadable '^gpuqueue: b: Permission denied$'
  fi
}

files_whose_size_is_not_known() {
  [ -r /proc/version ] || return 0
  expect_status 0 proc sums /proc/version /proc/filesystems /dev/null
  sha256sum /proc/version /proc/filesystems /dev/null | cmp - out || fail "files in /proc differ"
}

names_without_digits() {
  printf 'x' >"$(printf 'a\nb')"
  expect_status 0 'without --with-input' run --handler sha256 --input-format files "$(printf 'a\nb')"
  printf x | sha256sum | cut -c -64 | cmp - out || fail "without --with-input: $(cat out)"
}

for_each_backend same_as_sha256sum system_headers standard_input_is_a_file_too one_failure_loses_nothing_else \
  files_whose_size_is_not_known names_without_digits
