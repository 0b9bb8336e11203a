#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the README's handler, and goes through doc/writing-a-handler.md: a block of C becomes entropy.cu, one of Python
# check.py, and the commands in indented blocks print what stands below them. What prints something else each time is in
# blocks of text, and not run.
. "${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}/tests/transcript.sh"
for tool in "${CC:-cc}" python3; do
  command -v "${tool%% *}" >/dev/null 2>&1 || { echo "SKIP: there is no ${tool%% *}"; exit 77; }
done

# the README: a here-document ends at the next "    END"
awk '
  /^    \$ cat > blanks/ { inside = 1 }
  inside && !/^    / && NF { exit }
  inside && (here || NF) { print (here ? "> " : "") (NF ? substr($0, 5) : "") }
  inside && /<<.END.$/ { here = 1 }
  inside && /^    END$/ { here = 0 }
' "$top_srcdir/README.md" >"$work/readme"

awk '
  /^```/ && block { if (block != "text") print "> END_OF_FILE"; block = ""; next }
  /^```/ {
    block = substr($0, 4)
    if (block != "text") print "$ cat > " (block == "c" ? "entropy.cu" : "check.py") " << \\END_OF_FILE"
    next
  }
  block { if (block != "text") print "> " $0; next }
  /^    / && !/^    \$ (unset|export) / { print substr($0, 5) }
' "$top_srcdir/doc/writing-a-handler.md" >"$work/tutorial"
run_transcript "$work/readme" 2 && run_transcript "$work/tutorial" 30
