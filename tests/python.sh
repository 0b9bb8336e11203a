#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Python module's tests, on the module as it was built: a package is put together in the build directory.
set -eu
: "${top_srcdir:?run this by make check}" "${top_builddir:?run this by make check}"
test -n "${PYTHON:-}" || { echo "SKIP: configured without --enable-python"; exit 77; }
source=$top_srcdir/bindings/python
module=$top_builddir/bindings/python/.libs/_gpuqueue$PYTHON_EXT_SUFFIX

"$PYTHON" -c 'import pytest' 2>/dev/null ||
  { echo "SKIP: $PYTHON has no pytest (Debian: apt-get install python3-pytest)"; exit 77; }
stage=$top_builddir/tests/python-stage
rm -rf "$stage"
mkdir -p "$stage/gpuqueue"
trap 'rm -rf "$stage"' EXIT
cp "$source"/gpuqueue/* "$module" "$stage/gpuqueue"

LD_LIBRARY_PATH=$top_builddir/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH PYTHONPATH="$stage" PYTHONDONTWRITEBYTECODE=1
cd "$stage"
"$PYTHON" -X dev -m pytest -q -p no:cacheprovider -rs "$source/tests"
