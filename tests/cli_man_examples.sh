#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the examples of gpuqueue(1) and gpuqueue-handler(7): in EXAMPLES, a line after "$ " is a command ("> " continues
# it), and what follows up to the next command is what it prints (standard error first).
set -u
program=${GPUQUEUE:?is the path of the program to test}
pages=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}/man
for variable in $(env | sed -n 's/^\(GPUQUEUE_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$variable"; done
export LC_ALL=C GPUQUEUE_BACKEND=cpu
unset CFLAGS LDFLAGS

work=$(mktemp -d "${TMPDIR:-/tmp}/gpuqueue-man.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/in"
export XDG_CACHE_HOME=$work/cache
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac
printf '#!/bin/sh\nexec "%s" "$@"\n' "$program" >"$work/bin/gpuqueue"
chmod +x "$work/bin/gpuqueue"
PATH=$work/bin:$PATH

# the examples as a reader sees them
cat "$pages/gpuqueue.1" "$pages/gpuqueue-handler.7" |
  sed -n '/^\.SH EXAMPLES/,/^\.SH SEE/p' | sed -n '/^\.EX/,/^\.EE/p' |
  sed -e '/^\.E[XE]/d' -e "s/\\\\(aq/'/g" -e 's/\\-/-/g' -e 's/\\e/\\/g' -e 's/^\\&//' >"$work/examples"

cd "$work/in" || exit 99
ran=0 failed=0 command=
: >"$work/wanted"
check() {
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
while IFS= read -r line; do
  case $line in
  '$ '*)
    check
    command=${line#\$ }
    : >"$work/wanted"
    ;;
  '> '*) command="$command
${line#> }" ;;
  *) printf '%s\n' "$line" >>"$work/wanted" ;;
  esac
done <"$work/examples"
check

echo "$ran commands of the manual run, $failed failed"
[ "$failed" = 0 ] && [ "$ran" -ge 24 ]
