#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the binding's tests on what a build directory holds, uninstalled: `make check` does, with --enable-python.
# usage: run.sh BUILD_DIR [PYTEST_ARGUMENT...]     PYTHON names the interpreter that it was built for.
set -eu

build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

"$python" -c 'import pytest' 2>/dev/null || {
  echo "$python has no pytest: install python3-pytest (or: $python -m pip install pytest)" >&2
  exit 77
}
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
extension=$build/bindings/python/.libs/_gpuqueue$suffix
test -e "$extension" || {
  echo "$extension is not there: build with --enable-python PYTHON=$python first" >&2
  exit 1
}

# The package lies in the source tree and its extension in the build tree: bring them together.
stage=$(mktemp -d "${TMPDIR:-/tmp}/gpuqueue-python.XXXXXX")
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' HUP INT TERM
mkdir "$stage/gpuqueue"
cp "$here"/../gpuqueue/__init__.py "$here"/../gpuqueue/__init__.pyi "$here"/../gpuqueue/py.typed "$stage/gpuqueue"
cp -L "$extension" "$stage/gpuqueue"

LD_LIBRARY_PATH=$build/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
PYTHONPATH=$stage${PYTHONPATH:+:$PYTHONPATH}
PYTHONDONTWRITEBYTECODE=1
export LD_LIBRARY_PATH PYTHONPATH PYTHONDONTWRITEBYTECODE
cd "$stage"
"$python" -X dev -m pytest -p no:cacheprovider -rs "$@" "$here"
