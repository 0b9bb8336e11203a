#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The programs of doc/examples run and find their results right: on the CPU, where they are also built as their first
# lines say, with nothing but the public headers and the library; on a GPU with GPUQUEUE_TEST_BACKENDS=cuda.
set -eu
: "${top_srcdir:?run this by make check}" "${top_builddir:?run this by make check}"
program=${GPUQUEUE:?is the path of the program gpuqueue}
examples=$top_srcdir/doc/examples
backend=cpu
test "${GPUQUEUE_TEST_BACKENDS:-cpu}" != cuda || backend=cuda
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache GPUQUEUE_BACKEND=$backend
unset LD_PRELOAD

fail() { echo "FAIL: $*"; exit 1; }

# expect RESULTS COMMAND...: it ran on the backend under test, and all its results were right.
expect() {
  wanted=$1
  shift
  timeout 60 "$@" >"$work/output" || fail "$*: exit status $?"
  cat "$work/output"
  grep -q "^$backend: " "$work/output" || fail "$*: it did not run on $backend"
  grep -q "^$wanted\$" "$work/output" || fail "$*: it did not say '$wanted'"
}
scores='10000 records scored, 0 of them wrong'
numbers='11000 numbers checked, 0 of them wrongly'
transactions='60000 transactions, 0 of them wrong'

if test $backend = cuda; then
  if "$program" compile "$examples/luhn.c" -o "$work/luhn.gqh"; then
    expect "$numbers" "$top_builddir/doc/examples/check_numbers" "$work/luhn.gqh"
    expect "$scores" "$top_builddir/doc/examples/score"
    expect "$transactions" "$top_builddir/doc/examples/accounts" "$examples/balance.c"
  elif test $? = 3; then
    echo "NOT TRIED, on the GPU: there is nothing to compile a handler with"
  else
    fail "gpuqueue compile luhn.c"
  fi
  exit 0
fi

# What needs no compiler at run time, and then what does.
expect "$numbers" "$top_builddir/doc/examples/check_numbers"
expect "$transactions" "$top_builddir/doc/examples/accounts"
! "$top_builddir/doc/examples/check_numbers" "$examples/luhn.c" 2>"$work/error" || fail "a source is no image"
grep -q 'GQ_BAD_HANDLER: handler_image: is no compiled handler' "$work/error" || fail "$(cat "$work/error")"
! "$top_builddir/doc/examples/check_numbers" "$work/none" 2>"$work/error" || fail "a file that is not there is no image"
grep -q 'No such file' "$work/error" || fail "$(cat "$work/error")"
# shellcheck disable=SC2086  # CC may be words
if ! command -v ${CC:-cc} >/dev/null 2>&1; then
  echo "NOT TRIED, handlers from source: there is no C compiler"
  exit 0
fi
expect "$scores" "$top_builddir/doc/examples/score"
expect "$transactions" "$top_builddir/doc/examples/accounts" "$examples/balance.c"
"$program" compile "$examples/luhn.c" --archs none --cpu -o "$work/luhn.gqh"
printf '4111 1111 1111 1111\n4111 1111 1111 1112\n' >"$work/numbers"
test "$("$program" run --handler "$work/luhn.gqh" "$work/numbers" | tr '\n' ,)" = 1,0, ||
  fail "luhn.gqh does not know a valid number"

libraries=$top_builddir/lib/.libs
if test ! -e "$libraries/libgpuqueue.so"; then
  echo "NOT TRIED, building as a user: configured without shared libraries"
  exit 0
fi
mkdir "$work/gpuqueue"
cp "$top_srcdir/lib/gpuqueue/gpuqueue.h" "$top_srcdir/lib/gpuqueue/handler.h" \
  "$top_builddir/lib/gpuqueue/version.h" "$work/gpuqueue"
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
for example in score check_numbers accounts; do
  command=$(sed -n "s/^ \* *\(cc .*-o $example .*[a-z)]\)\( \&\& .*\)\{0,1\}\$/\1/p" "$examples/$example.c")
  test -n "$command" || fail "$example.c does not say how it is built"
  # shellcheck disable=SC2016  # the text of the comment
  command=${command/'$(pkg-config --cflags --libs gpuqueue)'/"-I'$work' -L'$libraries' -lgpuqueue"}
  command=${command/#cc/"${CC:-cc} ${CFLAGS:-} -Wall -Wextra -Wshadow -Wpedantic -Werror"}
  (cd "$examples" && eval "${command/-o /-o $work\/} ${LDFLAGS:-}") || fail "building $example: $command"
done
expect "$scores" "$work/score"
expect "$numbers" "$work/check_numbers"
expect "$transactions" "$work/accounts"
