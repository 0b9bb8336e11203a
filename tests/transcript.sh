#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by tests that run the examples of a document. It makes an empty directory with a command `gpuqueue` on the
# PATH, and run_transcript.
set -u
program=${GPUQUEUE:?is the path of the program to test}
top_srcdir=${top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
for variable in $(env | sed -n 's/^\(GPUQUEUE_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$variable"; done
export LC_ALL=C GPUQUEUE_BACKEND=cpu
unset CFLAGS LDFLAGS

work=$(mktemp -d "${TMPDIR:-/tmp}/gpuqueue-examples.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/in"
export XDG_CACHE_HOME=$work/cache XDG_DATA_HOME=$work/data
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac
printf '#!/bin/sh\nexec "%s" "$@"\n' "$program" >"$work/bin/gpuqueue"
chmod +x "$work/bin/gpuqueue"
PATH=$work/bin:$PATH
cd "$work/in" || exit 99

ran=0 failed=0 command=
run_command() {
  [ -n "$command" ] || return 0
  timeout 60 bash -c "$command" >"$work/out" 2>"$work/err" </dev/null
  cat "$work/err" "$work/out" >"$work/got"
  ran=$((ran + 1))
  if ! diff -u "$work/wanted" "$work/got" >"$work/diff"; then
    printf 'FAIL: $ %s\n' "$command" >&2
    sed 1,2d "$work/diff" >&2
    failed=$((failed + 1))
  fi
}

# run_transcript FILE LEAST: a line after "$ " is a command ("> " continues it), and what follows up to the next command
# is what it prints (standard error first). Fails if something else is printed, or if there are not LEAST commands.
run_transcript() {
  command=
  : >"$work/wanted"
  while IFS= read -r line; do
    case $line in
    '$ '*)
      run_command
      command=${line#\$ }
      : >"$work/wanted"
      ;;
    '> '*) command="$command
${line#> }" ;;
    *) printf '%s\n' "$line" >>"$work/wanted" ;;
    esac
  done <"$1"
  run_command
  echo "$ran commands run, $failed failed"
  [ "$failed" = 0 ] && [ "$ran" -ge "$2" ]
}
