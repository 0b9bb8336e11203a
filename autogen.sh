#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ./configure from configure.ac. Needs autoconf, automake, libtool and pkg-config.
set -eu
cd "$(dirname "$0")"
missing=
for tool in autoreconf automake libtoolize pkg-config; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
  echo "autogen.sh: not found:$missing (Debian, Ubuntu: apt-get install autoconf automake libtool pkg-config)" >&2
  exit 1
fi
exec autoreconf --install --force "$@"
