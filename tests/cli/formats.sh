#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What goes in comes out, in every framing.
. "$(dirname "$0")/common.sh"

# length prefix of len32, little endian
prefix() {
  printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)))"
}

lines_are_messages() {
  printf 'abc\n\nlast' >in
  expect_status 0 lines run --handler crc32c in && expect_out lines '364b3fb7\n00000000\n075e0401\n' &&
    expect_status 0 'lines with input' run --handler=crc32c --with-input in
  grep -qx '364b3fb7  abc' out || fail "--with-input on lines: $(cat out)"
  : >empty
  expect_status 0 empty run --handler crc32c empty && expect_out empty ''
  expect_status 0 'empty standard input' run --handler crc32c </dev/null && expect_out empty ''
  printf '\n' >in
  expect_status 0 'one empty line' run --handler crc32c - <in && expect_out 'one empty line' '00000000\n'
}

files_are_read_in_turn() {
  printf 'a\nb' >one
  printf 'c\n' >two
  expect_status 0 turn run --handler echo one - two <<<'s' && expect_out turn 'a\nb\ns\nc\n'
  expect_status 0 'operand after --' run --handler echo -- one && expect_out 'operand after --' 'a\nb\n'
  expect_status 0 'option after operand' run one --handler echo && expect_out 'option after operand' 'a\nb\n'
}

nul_keeps_newlines() {
  printf 'a\nb\0\0c' >in
  expect_status 0 nul run --handler echo --input-format nul in && expect_out nul 'a\nb\0\0c\0'
}

len32_frames_both_sides() {
  { prefix 3; printf abc; prefix 0; prefix 4; printf 'a\nb\0'; } >in
  expect_status 0 len32 run --handler echo --input-format len32 in
  cmp in out || fail "len32 echo differs"
  expect_status 0 'len32 hex' run --handler crc32c --input-format len32 --with-input in
  { prefix 13; printf '364b3fb7  abc'; prefix 10; printf '00000000  '; prefix 14; } | head -c 35 >wanted
  head -c 35 out | cmp - wanted || fail "len32 with input: $(od -c out)"
}

fixed_cuts_at_the_size() {
  printf 'abcdef' >in
  expect_status 0 fixed run --handler echo --input-format fixed:2 in && expect_out fixed abcdef
  printf 'abcabc' >in
  expect_status 0 'fixed hex' run --handler crc32c --input-format fixed:3 in && expect_out fixed 364b3fb7364b3fb7
}

# What the queue keeps in host memory says which cells it has.
host_bytes_of() { # OPTION...
  expect_status 0 "$*" run --handler crc32c --threads 1 --stats=json "$@" in
  sed -n 's/.*"host_bytes":\([0-9]*\).*/\1/p' err
}

fixed_sizes_have_cells_that_take_them() {
  for case in '20 128' '60 128' '60 128 --tags' '61 256 --tags' '85 256' '157 512 --tags' '181 512' '349 128 --tags' \
    '373 128'; do
    # shellcheck disable=SC2086  # size, cell, and an option or none
    set -- $case
    size=$1 cell=$2
    shift 2
    head -c "$size" /dev/zero >in
    got=$(host_bytes_of "$@" --input-format "fixed:$size")
    wanted=$(host_bytes_of "$@" --cell-bytes "$cell" --input-format nul)
    [ -n "$got" ] && [ "$got" = "$wanted" ] || fail "fixed:$size $*: $got bytes, not $wanted as with cells of $cell"
  done
  got=$(host_bytes_of --cell-bytes 64 --input-format fixed:373)
  [ "$got" = "$(host_bytes_of --cell-bytes 64 --input-format nul)" ] || fail "--cell-bytes 64 was not kept: $got"
}

output_formats() {
  printf 'abc\n' >in
  expect_status 0 hex run --handler echo --output-format hex in && expect_out hex '616263\n'
  expect_status 0 text run --handler echo --output-format=text in && expect_out text 'abc\n'
  expect_status 0 raw run --handler crc32c --output-format raw in && expect_out raw '\x36\x4b\x3f\xb7\n'
}

large_messages() {
  head -c 3000000 /dev/urandom >big
  expect_status 0 'fixed, large' run --handler echo --input-format fixed:1500000 big
  cmp big out || fail "large fixed messages differ"
  expect_status 0 'fixed, large, with input' run --handler crc32c --input-format fixed:3000000 --with-input big
  tail -c +11 out | cmp - big || fail "a large message printed beside its result differs"
  { prefix 3000000; cat big; prefix 1; printf x; prefix 200000; head -c 200000 big; } >in
  expect_status 0 'len32, large' run --handler echo --input-format len32 in
  cmp in out || fail "large len32 messages differ"
  { tr '\n' ' ' <big; echo; echo small; tr '\n' '+' <big; echo; } >in
  expect_status 0 'lines, large' run --handler echo in
  cmp in out || fail "large lines differ"
  expect_status 0 'lines, large, hex' run --handler echo --output-format hex in
  [ "$(wc -c <out)" = $((2 * (6000000 + 5) + 3)) ] || fail "hex of large lines has $(wc -c <out) bytes"
}

order_is_kept_or_given_up() {
  seq 1 100000 >in
  expect_status 0 ordered run --handler echo in
  cmp in out || fail "the order of the input was not kept"
  expect_status 0 unordered run --handler echo --unordered --capacity 64 in
  sort -n out | cmp in - || fail "--unordered lost or changed results"
  seq 1 20000 >in
  expect_status 0 'capacity 2' run --handler echo --capacity 2 in
  cmp in out || fail "capacity 2 lost or changed results"
}

for_each_backend lines_are_messages files_are_read_in_turn nul_keeps_newlines len32_frames_both_sides \
  fixed_cuts_at_the_size fixed_sizes_have_cells_that_take_them output_formats large_messages order_is_kept_or_given_up
