#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The README's C program compiles as it stands there, with nothing but the public header, and prints what it should.
set -eu
: "${CC:?run this by make check}" "${top_srcdir:?run this by make check}" "${top_builddir:?run this by make check}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libraries=$top_builddir/lib/.libs
if test ! -e "$libraries/libgpuqueue.so"; then
  echo "SKIP: no $libraries/libgpuqueue.so: configured without shared libraries"
  exit 77
fi

# shellcheck disable=SC2016  # backquotes of Markdown
sed -n '/^```c$/,/^```$/p' "$top_srcdir/README.md" | sed '/^```/d' >"$work/example.c"
test -s "$work/example.c" || { echo "FAIL: no C program in README.md"; exit 1; }
# Only the public headers, as they are installed.
mkdir "$work/gpuqueue"
cp "$top_srcdir/lib/gpuqueue/gpuqueue.h" "$top_srcdir/lib/gpuqueue/handler.h" \
  "$top_builddir/lib/gpuqueue/version.h" "$work/gpuqueue"
# shellcheck disable=SC2086  # a compiler and flags are words
$CC $CFLAGS -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$work" -o "$work/example" "$work/example.c" \
  -L"$libraries" -lgpuqueue $LDFLAGS

LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
"$work/example" | tee "$work/output"
grep -q '^ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad$' "$work/output" ||
  { echo "FAIL: that is not the SHA-256 of abc"; exit 1; }
