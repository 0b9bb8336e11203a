# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of the command. GPUQUEUE is the program; GPUQUEUE_TEST_BACKENDS says on which backends to test
# ("cpu" if unset), and a backend named in GPUQUEUE_TEST_REQUIRE must not be skipped.

program=${GPUQUEUE:?is the path of the program to test}
backends=${GPUQUEUE_TEST_BACKENDS:-cpu}
required=${GPUQUEUE_TEST_REQUIRE:-}
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac
# what the user's environment sets must not change what is tested
for variable in $(env | sed -n 's/^\(GPUQUEUE_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$variable"; done
export LC_ALL=C

here=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/gpuqueue-cli.XXXXXX") || exit 99
trap 'cd /; chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 99

failures=0
backend=none

fail() {
  echo "FAIL ($backend): $*" >&2
  failures=$((failures + 1))
}

# run ARGUMENT...: the command on the backend under test, killed when it hangs
run() {
  timeout 120 "$program" run --backend "$backend" "$@"
}

# expect_status WANTED WHAT COMMAND...: its output goes to the files out and err
expect_status() {
  local wanted=$1 what=$2 got
  shift 2
  "$@" >out 2>err
  got=$?
  [ "$got" = "$wanted" ] && return 0
  fail "$what: exit status $got instead of $wanted; stderr: $(head -c 600 err)"
  return 1
}

# expect_out WHAT TEXT: out holds exactly TEXT (printf escapes)
expect_out() {
  printf "$2" >wanted
  cmp -s wanted out || fail "$1: printed '$(head -c 300 out | od -c | head -20)' instead of '$2'"
}

# expect_err WHAT PATTERN: some line on standard error matches
expect_err() {
  grep -q -e "$2" err || fail "$1: standard error has no '$2': $(head -c 600 err)"
}

backend_usable() {
  "$program" info --json >info.json 2>/dev/null
  grep -q "\"$1_usable\":true" info.json
}

# for_each_backend FUNCTION...: run the functions on every backend, then end with the right status
for_each_backend() {
  local ran=0 test
  for backend in $backends; do
    if ! backend_usable "$backend"; then
      case " $required " in
      *" $backend "*) fail "this backend is required and cannot run: $("$program" info | grep "^backend $backend")" ;;
      *) echo "skipped: $("$program" info | grep "^backend $backend")" ;;
      esac
      continue
    fi
    ran=$((ran + 1))
    for test in "$@"; do
      echo "$test on $backend"
      rm -rf -- "$work"/* || exit 99
      "$test"
    done
  done
  finish "$ran"
}

finish() {
  [ "$failures" = 0 ] || { echo "$failures failed" >&2; exit 1; }
  [ "$1" != 0 ] || { echo "skipped: no backend to test on" >&2; exit 77; }
  exit 0
}
