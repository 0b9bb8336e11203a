#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The hashes print what sha512sum, xxhsum and b3sum print, for real files and for files of every small size.
. "$(dirname "$0")/common.sh"

make_files() {
  local i
  mkdir files
  head -c 300000 /dev/urandom >files/random
  for i in $(seq 0 200) 255 256 257 511 512 513 1023 1024 1025 2048 2049 4097 65536 262145; do
    head -c "$i" files/random >"files/$i"
  done
  head -c 10000000 /dev/urandom >files/large
  find files -type f >names
  # a bounded share of what is on this system
  find /usr/include /usr/share/doc -type f 2>/dev/null | grep -v '\\' | head -1000 >>names
}

# same_as HANDLER PROGRAM...: on the files in names, in the order of names
same_as() {
  local handler=$1 tool=$2
  shift
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: $handler beside $tool: it is not installed"
    return
  fi
  xargs -d '\n' "$@" <names >wanted 2>/dev/null
  expect_status 0 "$handler" run --handler "$handler" --input-format files --with-input <names
  cmp wanted out || fail "$handler differs from $*: $(diff wanted out | head -4)"
  [ "$(wc -l <wanted)" -gt 200 ] || fail "$tool printed $(wc -l <wanted) lines"
}

hashes_are_those_of_other_programs() {
  make_files
  same_as sha512 sha512sum
  same_as xxh64 xxhsum -H64
  same_as blake3 b3sum
}

blake3_by_blocks_is_the_same() {
  if ! command -v b3sum >/dev/null; then
    echo "skipped: blake3 beside b3sum: it is not installed"
    return
  fi
  make_files
  xargs -d '\n' b3sum <names >wanted
  expect_status 0 'blake3 by blocks' run --handler blake3 --scope block --input-format files --with-input <names
  cmp wanted out || fail "blake3 by blocks differs from b3sum: $(diff wanted out | head -4)"
}

for_each_backend hashes_are_those_of_other_programs blake3_by_blocks_is_the_same
