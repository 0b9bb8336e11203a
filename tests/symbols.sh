#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The library exports exactly the GQ_API functions of gpuqueue.h, and needs no NVIDIA library to be loaded.
set -eu
header=${top_srcdir:-.}/lib/gpuqueue/gpuqueue.h
library=${top_builddir:-.}/lib/.libs/libgpuqueue.so
nm=${NM:-nm}

test -r "$header" || { echo "no $header: set top_srcdir"; exit 1; }
if test ! -e "$library"; then
  echo "SKIP: no $library: configured without shared libraries"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sed 's,/\*.*\*/,,' "$header" | tr '\n' ' ' | sed 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/, ,g; s/;/;\n/g' |
  sed -n 's/.*GQ_API [^(]*\b\(gq_[a-z0-9_]*\) *(.*/\1/p' | sort >"$work/declared"
"$nm" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"

if test "$(wc -l <"$work/declared")" -lt 20; then
  echo "FAIL: only $(wc -l <"$work/declared") functions found in $header: this script no longer understands it"
  exit 1
fi
if ! diff -u "$work/declared" "$work/exported"; then
  echo "FAIL: - is declared GQ_API and not exported (lib/libgpuqueue.map?), + is exported and not declared"
  exit 1
fi

"${READELF:-readelf}" -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$work/needed"
if grep -i -E 'cuda|nvidia|nvrtc|nvjitlink|nvml' "$work/needed"; then
  echo "FAIL: the library must load these at run time, not link them"
  exit 1
fi
echo "$(wc -l <"$work/exported") functions, as declared; needs: $(tr '\n' ' ' <"$work/needed")"
