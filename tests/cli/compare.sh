#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/compare compares each shipped handler with what others make of the same input, here of a small one, and notices
# a difference.
. "$(dirname "$0")/common.sh"

cd "$here" && scripts=$(cd "$(dirname "$0")/.." && pwd) && cd "$work" || exit 99
python=${PYTHON:-$(command -v python3)}
if ! "$python" -c 'import numpy' 2>/dev/null; then
  echo "skipped: the comparison needs Python with numpy"
  exit 77
fi

# compare ARGUMENT...: to out; its compiled Python is not wanted in the source directory
compare() {
  timeout 150 "$python" -B "$scripts/compare/compare.py" "$backend" --seconds 0.5 "$@" >out 2>err
}

nothing_differs() {
  set --
  "$program" info | grep -q "^compiler for handlers on $backend: /" || set -- --no-startup
  GPUQUEUE=$program compare "$@"
  case $? in
  0) ;;
  3) grep 'NOT RUN' out ;;
  *) fail "compare.py: $(cat out err)" ;;
  esac
  local title
  for title in 'echo, 64 B' 'saxpy, 4 KiB' 'mlp 784-128-10' 'seen, 64 B' 'sha256, 64 B' 'sha512, 1 MiB'; do
    grep -q "^| $title .*| all [1-9][0-9]* [^|]*|$" out || fail "$title was not compared: $(cat out err)"
  done
}

a_difference_is_noticed() {
  # the last two bytes that it prints become others
  cat >wrong <<EOF
#!/bin/bash
"$program" "\$@" >"$work/wrong.out" || exit
[ -s "$work/wrong.out" ] || exit 0
head -c -2 "$work/wrong.out"
printf '\377\377'
EOF
  chmod +x wrong
  GPUQUEUE=$work/wrong compare --no-startup --only saxpy --only sha256 --only mlp --only seen
  [ $? = 1 ] || fail "a wrong result is not noticed: $(cat out err)"
  [ "$(grep -c '| WRONG: ' out)" = 5 ] || fail "not all wrong results are noticed: $(cat out err)"
}

for_each_backend nothing_differs a_difference_is_noticed
