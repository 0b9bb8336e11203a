#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Handlers of the user's own: run from source and compiled, listed and described, installed in both directories; and what
# is said of those that cannot be used.
. "$(dirname "$0")/common.sh"

# The compilers that `configure` chose may carry flags of sanitizers that the command itself was not built with.
unset CFLAGS LDFLAGS
export XDG_CACHE_HOME=$work.cache XDG_DATA_HOME=$work.data
trap 'cd /; chmod -R u+rwx "$work"*; rm -rf "$work" "$work.cache" "$work.data"' EXIT
mkdir "$work.data"

# write_handler FILE NAME: a handler that counts, with an argument
write_handler() {
  cat >"$1" <<EOF
#include <gpuqueue/handler.h>
#define ARGS(ARG) ARG(uint, byte, 'l', "the byte to count")
GQ_HANDLER($2, ARGS, GQ_SUMMARY("how often a byte occurs") GQ_SCOPES(thread, warp) GQ_OUTPUT(text) GQ_RESULT(0, 20)
  GQ_EXAMPLE("gpuqueue run --handler $2 file"))
{
  const ${2}_args *args = GQ_ARGS($2, ctx);
  uint32_t i, count = 0;

  for (i = gq_rank(ctx); i < msg->size; i += gq_ranks(ctx)) count += msg->data[i] == args->byte;
  gq_reply_decimal(ctx, reply, gq_sum_u32(ctx, count));
  return 0;
}
EOF
  sed -i "s/'l'/108/" "$1"
}

# Compiling for the GPU needs NVRTC: without it, only what is said is tested.
can_compile() {
  [ "$backend" = cpu ] || "$program" compile --archs 90 -o /dev/null any.cu 2>/dev/null
}

# A copied build directory may be where there is no C compiler.
has_compiler() {
  "$program" info | grep -q '^compiler for handlers on cpu: /' && return 0
  echo "NOT TRIED: $("$program" info | grep '^compiler for handlers on cpu')"
  return 1
}

a_source_runs() {
  [ "$backend" != cpu ] || has_compiler || return
  write_handler any.cu any
  can_compile || { echo "NOT TRIED: no NVRTC"; return; }
  printf 'hello world\nnone\n' >in
  expect_status 0 'first run' run -v --handler ./any.cu in && expect_out 'first run' '3\n0\n'
  expect_err 'first run' 'handler any compiled$'
  expect_status 0 'second run' run -v --handler any.cu --arg byte=111 in && expect_out 'second run' '2\n1\n'
  expect_status 0 'third run' run -v --handler ./any.cu in && expect_err 'third run' 'handler any from the cache$'
  expect_status 0 'warp scope' run --scope warp --handler any.cu in && expect_out 'warp scope' '3\n0\n'
  expect_status 2 'block scope' run --scope block --handler any.cu in
  expect_err 'block scope' 'any does not run in \(scope block\|that scope\); it runs in: thread, warp'
  expect_status 2 'unknown argument' run --handler any.cu --arg bite=1 in
  expect_err 'unknown argument' bite
}

# What a file has to be compiled for, to run here on the backend under test.
archs_here() {
  case $backend in
    cpu) echo none ;;
    *) "$program" info | sed -n 's/^device 0: .*compute capability \([0-9]*\)\.\([0-9]*\),.*/\1\2/p' ;;
  esac
}

a_compiled_file_runs_without_a_compiler() {
  has_compiler || return
  write_handler any.cu any
  [ "$backend" = cpu ] || can_compile || { echo "NOT TRIED: no NVRTC"; return; }
  expect_status 0 compile "$program" compile --cpu --archs "$(archs_here)" any.cu
  [ ! -s out ] && [ ! -s err ] || fail "compile prints: $(cat out err)"
  [ "$(stat -c %a any.gqh)" = "$(printf %o $((0666 & ~$(umask))))" ] || fail "any.gqh has mode $(stat -c %a any.gqh)"
  expect_status 0 'to standard output' "$program" compile --cpu --archs none any.cu -o -
  expect_status 0 run env PATH=/nonexistent CC= "$program" run -v --backend "$backend" --toolkit /nonexistent \
    --handler ./any.gqh any.cu
  expect_err run 'handler any compiled before$'
  head -c 1000 any.gqh >cut.gqh
  expect_status 2 'cut off' run --handler cut.gqh any.cu && expect_err 'cut off' '^gpuqueue: cut.gqh: is cut off: 1000 of'
  cp any.cu source.gqh
  expect_status 2 source run --handler source.gqh any.cu && expect_err source 'source.gqh: is no compiled handler'
  { cat any.gqh; echo; } >long.gqh
  expect_status 2 'too long' run --handler long.gqh any.cu && expect_err 'too long' 'followed by 1 that are not its own'
}

what_fails_leaves_nothing_behind() {
  has_compiler || return
  write_handler any.cu any
  echo old >any.gqh
  sed -i 's/return 0/return nought/' any.cu
  expect_status 2 'wrong source' "$program" compile --cpu --archs none any.cu
  expect_err 'wrong source' "^any.cu:11:10: error: 'nought' undeclared"
  [ "$(cat any.gqh)" = old ] || fail "a failed compile spoilt its output"
  write_handler any.cu any
  expect_status 3 'no directory' "$program" compile --cpu --archs none any.cu -o missing/any.gqh
  expect_err 'no directory' 'missing/any.gqh: cannot be written: No such file'
  expect_status 3 'full device' "$program" compile --cpu --archs none any.cu -o /dev/full
  expect_status 2 'no source' "$program" compile && expect_err 'no source' 'no source'
  expect_status 2 'two sources' "$program" compile any.cu any.cu
  expect_status 2 'no such source' "$program" compile missing.cu && expect_err 'no such source' 'missing.cu: No such file'
  expect_status 2 'other name' "$program" compile any.gqh && expect_err 'other name' 'ends in .cu or .c'
  expect_status 2 'wrong arch' "$program" compile --archs 12 any.cu && expect_err 'wrong arch' "archs: '12' is no GPU"
  expect_status 2 'no value' "$program" compile any.cu --archs && expect_err 'no value' '\-\-archs needs a value'
  expect_status 2 'unknown option' "$program" compile any.cu --arch 90 && expect_err 'unknown option' 'unknown option --arch'
  expect_status 2 'a directory' run --handler ./ any.cu && expect_err 'a directory' 'ends in .cu or .c (source) or .gqh'
  mkdir dir.cu
  expect_status 2 'a directory.cu' run --handler dir.cu any.cu && expect_err 'a directory.cu' 'is a directory'
  mkfifo pipe.cu
  expect_status 2 'a pipe' run --handler pipe.cu any.cu && expect_err 'a pipe' 'is a device or pipe'
  printf 'a\0b' >zero.c
  expect_status 2 'a zero byte' run --handler zero.c any.cu && expect_err 'a zero byte' 'zero byte at offset 1'
  expect_status 2 'no such handler' run --handler nosuch any.cu
  expect_err 'no such handler' "there is no handler 'nosuch'; there are: echo, .*installed in $work.data/gpuqueue/handlers"
  [ -z "$(find . -name '*.gqh.*')" ] || fail "temporary files are left: $(find . -name '*.gqh.*')"
}

# The source is not overwritten, and of a link, such as /dev/stdout, what it leads to is.
compile_writes_where_it_should() {
  has_compiler || return
  write_handler any.cu any
  cp any.cu same.cu
  ln same.cu linked.cu
  ln -s same.cu link.gqh
  for to in same.cu ./same.cu linked.cu link.gqh; do
    expect_status 2 "the source as $to" "$program" compile --cpu --archs none same.cu -o "$to" &&
      expect_err "the source as $to" "^gpuqueue: $to: is the source"
  done
  cmp -s any.cu same.cu || fail "the source was overwritten"
  mkdir elsewhere
  echo old >elsewhere/file.gqh
  ln -sf elsewhere/file.gqh link.gqh
  expect_status 0 'to a link' "$program" compile --cpu --archs none any.cu -o link.gqh
  [ -L link.gqh ] || fail "a link was replaced"
  cmp -s link.gqh elsewhere/file.gqh && [ "$(head -c 4 elsewhere/file.gqh | tail -c 3)" = GQH ] ||
    fail "what a link leads to was not written"
  ln -sf /dev/fd/8 out.gqh
  "$program" compile --cpu --archs none any.cu -o out.gqh 8>fd.gqh || fail "to a descriptor"
  [ -L out.gqh ] || fail "the link to a descriptor was replaced"
  cmp -s fd.gqh link.gqh || fail "a file that is open as a descriptor was not written"
  ln -sf nowhere link.gqh
  expect_status 3 'link to nothing' "$program" compile --cpu --archs none any.cu -o link.gqh &&
    expect_err 'link to nothing' 'link.gqh: cannot be written: it is a link that leads to no file'
  [ "$(find . -name '*.gqh.??????')" = '' ] || fail "left behind: $(find . -name '*.gqh.??????')"
}

installed_handlers_are_found() {
  has_compiler || return
  local mine=$work.data/gpuqueue/handlers
  mkdir -p "$mine"
  write_handler "$mine/mine.cu" mine
  write_handler "$mine/broken.cu" broken
  write_handler "$mine/echo.cu" echo
  touch "$mine/notes.txt" "$mine/.cu"
  expect_status 0 'by name' run --handler mine "$mine/broken.cu"
  expect_status 0 list "$program" handlers
  grep -q '^echo  *gives the message back$' out || fail "echo is not listed: $(cat out)"
  grep -q "^mine  *how often a byte occurs ($mine/mine.cu)$" out || fail "mine is not listed: $(cat out)"
  [ "$(grep -c '^echo' out)" = 1 ] || fail "a handler that a built-in hides is listed"
  ! grep -q 'notes\|^ ' out || fail "what is no handler is listed: $(cat out)"
  "$program" compile --cpu --archs "$(archs_here)" "$mine/mine.cu" || fail "compile"
  expect_status 0 'preferred' run -v --handler mine "$mine/broken.cu" && expect_err preferred 'mine compiled before'
  echo garbage >"$mine/broken.cu"
  expect_status 1 'list with a broken one' "$program" handlers && expect_err 'list with a broken one' 'broken.cu:1:'
  grep -q '^mine' out || fail "one broken handler hides the others"
  expect_status 0 describe "$program" handlers mine
  for line in 'mine: how often a byte occurs' "from: $mine/mine.gqh" 'scopes: thread, warp' 'results: shown as text' 'state: none' \
    '  byte=uint  *the byte to count (default 108)' 'example: gpuqueue run --handler mine file'; do
    grep -q "^$line$" out || fail "handlers mine does not say '$line': $(cat out)"
  done
  expect_status 2 'describe none' "$program" handlers nosuch && expect_err 'describe none' "no handler 'nosuch'"
  cp "$mine/mine.cu" "$mine/$(printf 'caf\351').cu" # Latin-1: a file's name is bytes, JSON is UTF-8
  expect_status 1 json "$program" handlers --json
  grep -q '/caf.ufffd.cu"' out || fail "a file name that is no UTF-8: $(cat out)"
  if command -v python3 >/dev/null; then python3 -m json.tool out >/dev/null || fail "handlers --json is not JSON"; fi
  rm -r "$work.data/gpuqueue"
}

many_start_at_once() {
  has_compiler || return
  local i
  [ "$backend" = cpu ] || return
  write_handler any.cu any
  rm -rf "$work.cache"
  echo lll >in
  for i in 1 2 3 4 5 6 7 8; do run --handler any.cu in >"out.$i" 2>&1 & done
  wait
  for i in 1 2 3 4 5 6 7 8; do [ "$(cat "out.$i")" = 3 ] || fail "start $i of 8 at once: $(cat "out.$i")"; done
  [ "$(find "$work.cache" -type f | wc -l)" = 1 ] || fail "the cache holds $(find "$work.cache" -type f)"
}

for_each_backend a_source_runs a_compiled_file_runs_without_a_compiler what_fails_leaves_nothing_behind \
  compile_writes_where_it_should installed_handlers_are_found many_start_at_once
