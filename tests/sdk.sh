#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A handler's file compiles without a warning as C11, as C++17 and for the device, and each product has the manifest
# and the entries that a loader looks for.
set -eu
include=${top_srcdir:-.}/lib
sample=${top_srcdir:-.}/tests/handlers/count_byte.c
nm=${NM:-nm}

# Every name that the header offers (those that end in _ are its own) is in the manual.
names=$(sed -n -E -e 's/^#define (GQ_[A-Z0-9_]*[A-Z0-9])([^A-Z0-9_].*)?$/\1/p' \
  -e 's/^GQ_DEVICE .*[ *](gq_[a-z0-9_]+)\(.*/\1/p' -e 's/^GQ_REDUCTION_\((gq_[a-z0-9_]+),.*/\1/p' \
  "$include/gpuqueue/handler.h" | sort -u)
count=0
for name in $names; do
  count=$((count + 1))
  grep -q -E "(^|[^a-zA-Z0-9_])$name([^a-zA-Z0-9_]|\$)" "${top_srcdir:-.}/man/gpuqueue-handler.7" ||
    { echo "FAIL: gpuqueue-handler(7) does not describe $name"; exit 1; }
done
test $count -ge 40 || { echo "FAIL: only $count names were found in handler.h"; exit 1; }
echo "manual: $count names"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The sanitizers of CFLAGS would want a runtime of their own in what is linked here.
strict="-Wall -Wextra -Wshadow -Wundef -Werror -O2 -fPIC -shared -fvisibility=hidden -I$include"

# check NAME FILE SYMBOL...: FILE defines SYMBOLs and contains the manifest.
check() {
  name=$1
  file=$2
  shift 2
  "$nm" "$file" >"$work/symbols"
  for symbol in "$@"; do
    grep -q "[DRTVW] $symbol\$" "$work/symbols" || { echo "FAIL: $name: $symbol is not there:"; cat "$work/symbols"; exit 1; }
  done
  grep -a -q '^arg flag invert 0 count the other bytes$' "$file" ||
    { echo "FAIL: $name: the manifest is not there"; exit 1; }
  echo "$name: ok"
}

symbols="gq_manifest gq_handler_entry gq_handler_init_entry"
# shellcheck disable=SC2086  # $strict and $symbols are lists, CC may be
{
  ${CC:-cc} -std=c11 -pedantic $strict -Wstrict-prototypes -Wmissing-prototypes -x c "$sample" -o "$work/c.so"
  check C11 "$work/c.so" $symbols gq_linked_count_byte
  if command -v "${CXX:-c++}" >/dev/null 2>&1; then
    "${CXX:-c++}" -std=c++17 $strict -x c++ "$sample" -o "$work/cxx.so"
    check C++17 "$work/cxx.so" $symbols gq_linked_count_byte
  else
    echo "C++17: not tried: no C++ compiler"
  fi
  if test -n "${NVCC:-}"; then
    "$NVCC" -std=c++17 -Werror all-warnings -rdc=true -cubin -arch="sm_${NVCC_ARCH:-75}" -I"$include" -x cu "$sample" \
      -o "$work/device.cubin"
    check device "$work/device.cubin" gq_manifest gq_handler_entry # see gq_init_hook_() in handler.h
  else
    echo "device: not tried: configured without nvcc"
  fi
  # Two handlers fit one program.
  sed 's/count_byte/count_other/g; s/COUNT_BYTE/COUNT_OTHER/g; /^GQ_INIT/,$d' "$sample" >"$work/other.c"
  ${CC:-cc} -std=c11 $strict "$sample" "$work/other.c" -o "$work/both.so"
  check "two handlers" "$work/both.so" gq_linked_count_byte gq_linked_count_other
}
