#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example that each handler gives of itself runs, as it stands, on files such as it names.
. "$(dirname "$0")/common.sh"

sources=${top_srcdir:-$here}/cuda/handlers
# as the compiler reads the strings: \" and \\ undone
mapfile -t examples < <(grep -h 'GQ_EXAMPLE("gpuqueue' "$sources"/*.h |
  sed 's/.*GQ_EXAMPLE("//; s/")*)*$//; s/\\\([\\"]\)/\1/g')

gpuqueue() {
  GPUQUEUE_BACKEND=$backend timeout 120 "$program" "$@"
}

# 784 inputs, 2 outputs: one layer whose weights are all 0 and whose biases are 1 and -1
make_weights() {
  printf 'GQNN\001\0\0\0\001\0\0\0\020\003\0\0\002\0\0\0'
  head -c $((784 * 2 * 4)) /dev/zero
  printf '\0\0\200\077\0\0\200\277'
}

make_files() {
  printf 'hello\nhallo\nworld\n' >words.txt
  cp words.txt more.txt
  cp words.txt one.c
  cp words.txt two.bin
  printf 'GET / 200\nPOST /x 503\nGET / 200\n' >access.log
  printf 'call,100,95,0.03,0.2,0.5\nput,100,95,0.03,0.2,0.5\n' >options.csv
  head -c 12288 /dev/zero >vectors
  head -c 9408 /dev/zero >images
  make_weights >weights
}

examples_run() {
  local example handler
  [ "${#examples[@]}" -ge 12 ] || fail "only ${#examples[@]} examples found in $sources"
  for example in "${examples[@]}"; do
    make_files
    expect_status 0 "$example" eval "$example" </dev/null
    [ -s out ] || fail "$example: printed nothing"
    handler=${example##*--handler }
    case ${handler%% *} in
    match) expect_out "$example" '0\n1\n0\n' ;;
    seen) expect_out "$example" '0\n0\n1\n' ;;
    edit_distance) expect_out "$example" '0\n1\n4\n' ;;
    mlp) expect_out "$example" '\0\0\200\077\0\0\200\277\0\0\200\077\0\0\200\277\0\0\200\077\0\0\200\277' ;;
    esac
  done
}

for_each_backend examples_run
