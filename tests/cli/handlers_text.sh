#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# match, seen, edit_distance and black_scholes answer what grep, awk and Python answer, line by line.
. "$(dirname "$0")/common.sh"

python=${PYTHON:-$(command -v python3)}

# has_python MODULE...: whether Python can import them; says what is skipped
has_python() {
  local module
  for module in "$@"; do
    "$python" -c "import $module" 2>/dev/null && continue
    echo "skipped: the comparison needs Python with $module"
    return 1
  done
}

make_words() {
  {
    find /usr/share/doc /usr/include -type f 2>/dev/null | head -4000
    grep -h -I -a -v -P '[^\x00-\x7f]|\x00' -r /usr/include/linux 2>/dev/null | cut -c -600 | head -20000
    seq 1 300 | while read -r n; do head -c "$n" /dev/zero | tr '\0' 'a'; echo "$n"; done
    printf '\nGET / 500\nPOST /x 404\n\n'
  } >words
  [ "$(wc -l <words)" -gt 300 ] || fail "only $(wc -l <words) lines to test with"
}

match_is_grep() {
  local pattern ignore
  make_words
  for pattern in '' 'include' '^$' '^#define [A-Z_]+[^A-Z_(]' '(GET|POST) .*(4|5)[0-9]+$' '\.h$' 'a(b|c)*d|xyz?' \
    '[]^-]' '^ *\*.*\*/$' '(unsigned|signed)? (int|long|char)[ *]+[a-z_]+;'; do
    for ignore in 0 1; do
      expect_status 0 "match '$pattern'" run --handler match --arg "pattern=$pattern" --arg "ignore_case=$ignore" words
      if [ "$ignore" = 1 ]; then set -- -i; else set --; fi
      # every line with its number: those that grep leaves out get a 0
      { grep -n -a -E "$@" -e "$pattern" words | sed 's/:.*//;s/$/ 1/'; grep -n -a -v -E "$@" -e "$pattern" words |
        sed 's/:.*//;s/$/ 0/'; } | sort -n | cut -d ' ' -f 2 >wanted
      cmp -s wanted out || fail "match '$pattern' ignore_case=$ignore differs from grep: $(diff wanted out | head -4)"
    done
  done
  expect_status 0 'fixed' run --handler match --arg 'pattern=/*' --arg fixed=1 words
  [ "$(grep -c 1 out)" = "$(grep -a -c -F '/*' words)" ] || fail "a fixed pattern differs from grep -F"
}

match_says_what_is_wrong() {
  echo a >in
  expect_status 2 'no pattern' run --handler match in
  expect_err 'no pattern' pattern
  expect_status 2 'bad pattern' run --handler match --arg 'pattern=(a' in
  expect_err 'bad pattern' 'code 2'
}

seen_is_awk() {
  make_words
  # one worker and one message at a time: answers follow the order of the lines
  expect_status 0 seen run --handler seen --capacity 2 words
  awk '{ print seen[$0]++ ? 1 : 0 }' words >wanted
  cmp wanted out || fail "seen differs from awk: $(diff wanted out | head -4)"
}

edit_distance_is_the_libraries() {
  local module=rapidfuzz.distance.Levenshtein
  has_python rapidfuzz.distance >/dev/null || module=Levenshtein
  has_python "${module%.Levenshtein}" || return 0
  make_words
  local query
  for query in include/linux/types.h "$(head -c 200 words | tr '\n' ' ')"; do
    expect_status 0 "edit_distance $query" run --handler edit_distance --arg "query=$query" words
    "$python" - "$query" "$module" >wanted <<'EOF'
import sys
query = sys.argv[1].encode()
if sys.argv[2].startswith("rapidfuzz"):
    from rapidfuzz.distance import Levenshtein
else:
    import Levenshtein
with open("words", "rb") as words:
    for line in words:
        print(Levenshtein.distance(query, line.rstrip(b"\n")))
EOF
    cmp wanted out || fail "edit_distance of '$query' differs from $module: $(diff wanted out | head -4)"
  done
}

black_scholes_is_the_formula() {
  has_python math || return 0
  "$python" - >options.csv <<'EOF'
import random
random.seed(1)
for n in range(20000):
    spot = random.uniform(1, 500)
    print(random.choice(("call", "put")), spot, spot * random.uniform(0.5, 2), random.uniform(-0.05, 0.15),
          random.uniform(0.01, 1), random.uniform(0.01, 5), sep=",")
EOF
  expect_status 0 black_scholes run --handler black_scholes options.csv
  cp out prices
  "$python" - <<'EOF' || fail "black_scholes differs from the formula in Python"
import math
from statistics import NormalDist
cdf, pdf = NormalDist().cdf, NormalDist().pdf
lines = 0
for option, line in zip(open("options.csv"), open("prices")):
    kind, *values = option.strip().split(",")
    s, k, r, v, t = map(float, values)
    root = math.sqrt(t)
    d1 = (math.log(s / k) + (r + v * v / 2) * t) / (v * root)
    d2, cash = d1 - v * root, k * math.exp(-r * t)
    sign = 1 if kind == "call" else -1
    wanted = (sign * (s * cdf(sign * d1) - cash * cdf(sign * d2)), sign * cdf(sign * d1), pdf(d1) / (s * v * root),
              s * pdf(d1) * root, -s * pdf(d1) * v / (2 * root) - sign * r * cash * cdf(sign * d2),
              sign * t * cash * cdf(sign * d2))
    got = tuple(map(float, line.split(",")))
    assert len(got) == 6 and all(abs(a - b) < 2e-8 * max(1, abs(b)) for a, b in zip(got, wanted)), (option, got, wanted)
    lines += 1
assert lines == 20000, lines
EOF
}

for_each_backend match_is_grep match_says_what_is_wrong seen_is_awk edit_distance_is_the_libraries \
  black_scholes_is_the_formula
