#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Python module's tests, on the module as it was built: a package is put together in the build directory.
set -eu
: "${PYTHON:?configure with --enable-python and run this by make check}" "${PYTHON_EXT_SUFFIX:?}"
: "${top_srcdir:?}" "${top_builddir:?}"

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
