#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run the tests on a GPU:  tests/run-gpu.sh [--memcheck] BUILD_DIR [TEST...]
# TEST is the name of a program in BUILD_DIR/tests, or of a script beside this file; all of them, unless named.
# --memcheck: under NVIDIA's compute-sanitizer, whose memcheck finds wild accesses of the kernels; programs only, and
# unless named not those that say nothing there: test_driver and test_wake (a driver of their own), test_faults (wild on
# purpose), test_handlers (no GPU).
#
# Needs the build directory and nothing else: neither make nor libtool nor the Check library. A test that finds no
# usable GPU fails. Exit status: 0 if all passed.
set -u
memcheck=
if test "${1-}" = --memcheck; then
  memcheck="compute-sanitizer --tool memcheck --error-exitcode 9"
  shift
  if ! command -v compute-sanitizer >/dev/null; then
    echo "$0: compute-sanitizer, a part of the CUDA toolkit, is not in PATH" >&2
    exit 2
  fi
  GPUQUEUE_TEST_CHECKER=memcheck
  GPUQUEUE_TEST_SECONDS=${GPUQUEUE_TEST_SECONDS:-1}
  GPUQUEUE_TEST_LIMIT_S=${GPUQUEUE_TEST_LIMIT_S:-900}
  export GPUQUEUE_TEST_CHECKER GPUQUEUE_TEST_SECONDS
fi
if test $# = 0 || test ! -d "$1/tests"; then
  echo "usage: $0 [--memcheck] BUILD_DIR [TEST...]   (BUILD_DIR: where make and 'make check TESTS=' ran)" >&2
  exit 2
fi
build=$(cd "$1" && pwd)
shift
scripts=$(cd "$(dirname "$0")" && pwd)
top_srcdir=${top_srcdir:-$(dirname "$scripts")}
top_builddir=$build
GPUQUEUE_TEST_BACKENDS=cuda
GPUQUEUE_TEST_REQUIRE=cuda
# The program itself, not libtool's wrapper, which knows only the directory it was built in.
GPUQUEUE=$build/src/.libs/gpuqueue
test -x "$GPUQUEUE" || GPUQUEUE=$build/src/gpuqueue
LD_LIBRARY_PATH=$build/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export top_srcdir top_builddir GPUQUEUE_TEST_BACKENDS GPUQUEUE_TEST_REQUIRE GPUQUEUE LD_LIBRARY_PATH

if test $# = 0; then
  for program in "$build"/tests/test_* "$build"/tests/baselines "$build"/tests/stress_*; do
    case $(basename "$program") in *.*) continue ;; esac
    case $memcheck,$(basename "$program") in
      ?*,test_driver | ?*,test_wake | ?*,test_faults | ?*,test_handlers) continue ;;
    esac
    test -f "$program" && test -x "$program" && set -- "$@" "$(basename "$program")"
  done
  test $# = 0 || test -n "$memcheck" || for script in "$scripts"/cli/*.sh; do
    test ! -x "$script" || set -- "$@" "cli/$(basename "$script")"
  done
  test $# = 0 || test -n "$memcheck" || test ! -x "$build/doc/examples/score" || set -- "$@" examples.sh
fi
if test $# = 0; then
  echo "$0: no test programs in $build/tests: run 'make check TESTS=' there first" >&2
  exit 2
fi

"$GPUQUEUE" info || true
passed=0
failed=0
failures=
for name in "$@"; do
  echo "=== $name"
  case $name in
    *.sh) program=$scripts/$name ;;
    *) program=$build/tests/$name ;;
  esac
  timeout "${GPUQUEUE_TEST_LIMIT_S:-300}" $memcheck "$program"
  status=$?
  case $status in
    0) passed=$((passed + 1)) ;;
    77) echo "$name: skipped, which counts as failed here"; failed=$((failed + 1)); failures="$failures $name" ;;
    124) echo "$name: stopped after ${GPUQUEUE_TEST_LIMIT_S:-300} s"; failed=$((failed + 1)); failures="$failures $name" ;;
    *) echo "$name: exit status $status"; failed=$((failed + 1)); failures="$failures $name" ;;
  esac
done
test $failed = 0 || echo "failed:$failures"
echo "$passed passed, $failed failed"
test $failed = 0
