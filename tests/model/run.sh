#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Model check of the ring protocol, from the library's own sources: see harnesses.h for what is checked. Exit status 0,
# 1, or 77 where relacy or a C++ compiler is missing (77 becomes 1 where GPUQUEUE_TEST_REQUIRE names "model").
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
top_builddir=${top_builddir:-$top_srcdir}

skip()
{
  echo "model: not run: $1"
  case ",${GPUQUEUE_TEST_REQUIRE}," in *[,\ ]model[,\ ]*) exit 1;; esac
  exit 77
}

case "$CC $CFLAGS" in *-fsanitize=*) skip "a sanitizer is on, and relacy switches stacks";; esac
compiler=
for candidate in ${CXX:+"$CXX"} c++ g++; do
  if $candidate --version >/dev/null 2>&1; then compiler=$candidate; break; fi
done
test -n "$compiler" || skip "no C++ compiler (CXX)"
version=$top_builddir/lib/gpuqueue/version.h
test -f "$version" || { echo "model: $version is missing: set top_builddir to a configured build"; exit 1; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

echo '#include <relacy/relacy.hpp>' >"$scratch/probe.cpp"
$compiler -std=gnu++17 -w -fsyntax-only "$scratch/probe.cpp" 2>"$scratch/log" ||
  skip "$compiler cannot compile <relacy/relacy.hpp> (Debian: relacy-dev)"

# The sources are C. -fpermissive lets them be compiled as the C++ that relacy needs; make compiles them with warnings.
if ! $compiler -std=gnu++17 -O1 -fpermissive -w -D_GNU_SOURCE -I"$top_srcdir/tests/model" -I"$top_srcdir/lib" \
  -I"$top_builddir/lib" "$top_srcdir/tests/model/model.cpp" -o "$scratch/model" 2>"$scratch/log"; then
  cat "$scratch/log"
  echo "model: FAILED to compile"
  exit 1
fi
"$scratch/model" "$@"
