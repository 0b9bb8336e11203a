#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the program says about itself, and that manual and completions say the same.
. "$(dirname "$0")/common.sh"

top=${top_srcdir:-$(cd "$here" && cd "$(dirname "$0")/../.." && pwd)}

every_option_of_the_table() { # [SUBCOMMAND]
  "$program" "${1:-run}" --help | sed -n 's/^ *\(-.,\)\{0,1\} *--\([a-z0-9-]*\).*/\2/p'
}

info_says_what_can_run() {
  expect_status 0 info "$program" info
  expect_err_empty info
  for pattern in '^gpuqueue [0-9]' '^built: ' '^host: [0-9]* CPUs' '^backend cpu: can run' '^backend cuda: can' \
    '^driver: ' '^compiler for handlers on cpu: /' '^compiler for handlers on cuda: ' '^device' '^handler echo: ' '^handler crc32c: .*prints hex' '^handler sha256: .*scopes: '; do
    grep -q "$pattern" out || fail "info does not say '$pattern': $(cat out)"
  done
  if grep -q '^backend cuda: cannot run' out; then
    grep -q '^backend cuda: cannot run: ...' out || fail "info does not say why cuda cannot run"
  fi
  expect_status 0 'info --json' "$program" info --json
  grep -q '"cpu_usable":true' out || fail "info --json: $(cat out)"
  if command -v python3 >/dev/null; then python3 -m json.tool out >/dev/null || fail "info --json is not JSON"; fi
}

expect_err_empty() { [ ! -s err ] || fail "$1: standard error: $(cat err)"; }

help_and_version() {
  expect_status 0 version "$program" --version && expect_err_empty version
  grep -qx 'gpuqueue [0-9]*\.[0-9]*\.[0-9]*' out || fail "--version: $(cat out)"
  for words in --help 'run --help' 'run -h' 'info --help' 'compile --help' 'handlers --help' 'bench --help' 'run --handler echo --help'; do
    expect_status 0 "$words" "$program" $words && expect_err_empty "$words"
    grep -q '^Usage: gpuqueue' out || fail "$words prints no usage"
  done
  [ "$(every_option_of_the_table | wc -l)" -ge 25 ] || fail "run --help lists few options: $(every_option_of_the_table)"
}

the_manual_has_every_option() {
  for option in $(every_option_of_the_table) $(every_option_of_the_table bench); do
    escaped=$(printf %s "--$option" | sed 's/-/\\\\-/g')
    grep -q "^\.B[RI]* .*$escaped\([ \"]\|\$\)" "$top/man/gpuqueue.1" || fail "gpuqueue(1) has no --$option"
  done
  # and no option that is not there
  sed -n '/^\.SH OPTIONS/,/^\.SH HANDLERS/p' "$top/man/gpuqueue.1" | grep -A 1 '^\.TP' |
    sed -n 's/.*\\-\\-\([a-z0-9\\-]*\).*/\1/p' | tr -d '\\' | sort -u >documented
  { every_option_of_the_table; every_option_of_the_table bench; echo version; } | sort -u >offered
  comm -23 documented offered >unknown
  [ ! -s unknown ] || fail "gpuqueue(1) documents what is not there: $(cat unknown)"
}

# complete WORD...: what completion offers after the words, the last of which is being typed
complete_words() {
  COMP_WORDS=("$program" "$@")
  COMP_CWORD=$#
  _gpuqueue "$program"
  printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
}

completions_follow_the_program() {
  . "$top/completions/gpuqueue"
  expect_completion 'bench compile handlers info run ' 'subcommands' "$(complete_words '' | tr ' ' '\n' | grep -v '^-' | tr '\n' ' ')"
  expect_completion 'crc32c ' handlers "$(complete_words run --handler crc)"
  expect_completion 'cpu cuda ' backends "$(complete_words run --backend c)"
  expect_completion 'auto block thread warp ' scopes "$(complete_words run --scope '')"
  expect_completion 'json ' stats "$(complete_words run --stats = j)"
  expect_completion 'dead-letters ' formats "$(complete_words run --input-format dead)"
  expect_completion ' ' numbers "$(complete_words run --capacity 1)"
  for subcommand in run bench; do
    offered=" $(complete_words "$subcommand" --) "
    for option in $(every_option_of_the_table "$subcommand"); do
      case $offered in
      *" --$option "*) ;;
      *) fail "completion of $subcommand does not offer --$option" ;;
      esac
    done
  done
  expect_completion 'latency ' scenarios "$(complete_words bench lat)"
  expect_completion 'cpu cuda ' 'backends of bench' "$(complete_words bench --backend c)"
}

expect_completion() { # WANTED WHAT GOT
  [ "$1" = "$3" ] || fail "completion of $2 offers '$3' instead of '$1'"
}

backend=cpu
for test in info_says_what_can_run help_and_version the_manual_has_every_option completions_follow_the_program; do
  echo "$test"
  "$test"
done
finish 1
