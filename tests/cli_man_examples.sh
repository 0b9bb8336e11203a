#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the examples of gpuqueue(1) and gpuqueue-handler(7), as transcript.sh says.
. "${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}/tests/transcript.sh"

# the examples as a reader sees them
cat "$top_srcdir/man/gpuqueue.1" "$top_srcdir/man/gpuqueue-handler.7" |
  sed -n '/^\.SH EXAMPLES/,/^\.SH SEE/p' | sed -n '/^\.EX/,/^\.EE/p' |
  sed -e '/^\.E[XE]/d' -e "s/\\\\(aq/'/g" -e 's/\\-/-/g' -e 's/\\e/\\/g' -e 's/^\\&//' >"$work/examples"
run_transcript "$work/examples" 24
