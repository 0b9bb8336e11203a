#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/compare/filter.py compares what `gpuqueue run` makes of many lines with what others make of them, here of few,
# and notices a difference.
. "$(dirname "$0")/common.sh"

cd "$here" && scripts=$(cd "$(dirname "$0")/.." && pwd) && cd "$work" || exit 99
python=${PYTHON:-$(command -v python3)}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
  echo "skipped: the comparison needs Python 3.9"
  exit 77
fi
if ! command -v gcc >/dev/null && ! command -v cc >/dev/null; then
  echo "skipped: the comparison needs a C compiler"
  exit 77
fi

# filter ARGUMENT...: to out; its compiled Python is not wanted in the source directory
filter() {
  timeout 300 "$python" -B "$scripts/compare/filter.py" "$backend" --runs 1 "$@" >out 2>err
}

nothing_differs() {
  local title
  GPUQUEUE=$program filter --lines 20000 --options '--threads 3' --json figures
  case $? in
  0) ;;
  3) grep 'NOT RUN' out ;;
  *) fail "filter.py: $(cat out err)" ;;
  esac
  for title in 'file to file' 'pipe to file' 'pipe to pipe'; do
    [ "$(grep -c "^| gpuqueue run, $title .*| all 20000 lines |.*threads that send: 3 |$" out)" = 2 ] ||
      fail "$title was not compared: $(cat out err)"
  done
  [ "$(grep -c '"what": "gpuqueue run' figures)" = 6 ] || fail "figures: $(cat figures)"
}

a_difference_is_noticed() {
  # two lines change places
  cat >wrong <<EOF
#!/bin/bash
"$program" "\$@" >"$work/wrong.out" || exit
{ sed -n 11p "$work/wrong.out"; sed 11d "$work/wrong.out"; }
EOF
  chmod +x wrong
  GPUQUEUE=$work/wrong filter --lines 2000 --handler crc32c
  [ $? = 1 ] || fail "a wrong order is not noticed: $(cat out err)"
  [ "$(grep -c '^| gpuqueue run.*| WRONG |' out)" = 3 ] || fail "not all wrong results are noticed: $(cat out err)"
}

for_each_backend nothing_differs a_difference_is_noticed
