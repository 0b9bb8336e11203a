#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install packages in a fresh minimal system and run the main job there.
#   tests/packaging/clean-root.sh ROOT PACKAGE.deb...    as root; ROOT must not exist, and is left for a look
# SUITE and MIRROR choose what debootstrap installs (bookworm, from deb.debian.org).
# shellcheck disable=SC2016  # the quoted scripts are expanded inside the root
set -eu
if test $# -lt 2 || test -e "$1"; then
  echo "usage: $0 ROOT PACKAGE.deb...   (ROOT: a directory that does not exist yet)" >&2
  exit 2
fi
root=$1
shift
debootstrap --variant=minbase "${SUITE:-bookworm}" "$root" "${MIRROR:-http://deb.debian.org/debian}"
mkdir "$root/packages"
cp "$@" "$root/packages"
cp /etc/resolv.conf "$root/etc/resolv.conf"
in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

in_root sh -eu -c 'rm -f /packages/*-dbgsym_*; apt-get install -q -y --no-install-recommends /packages/*.deb'
in_root gpuqueue info
in_root sh -eu -c '
  find /etc /usr/bin -type f -print0 |
    gpuqueue run --handler sha256 --input-format files --null --with-input --verbose >/SHA256SUMS
  sha256sum --check --quiet /SHA256SUMS
  echo "sha256sum agrees with all $(wc -l </SHA256SUMS) checksums"'
in_root python3 -c '
import hashlib, gpuqueue
with gpuqueue.Queue(handler="sha256", backend="cpu") as queue:
    assert queue.result(queue.enqueue(b"abc")) == hashlib.sha256(b"abc").digest()
print("the Python module agrees with hashlib")'
in_root sh -eu -c '
  apt-get install -q -y --no-install-recommends gcc libc6-dev pkg-config >/dev/null
  printf "#include <gpuqueue/gpuqueue.h>\nint main(void) { return gq_version()[0] == 0; }\n" >/probe.c
  cc -Wall -Werror -o /probe /probe.c $(pkg-config --cflags --libs gpuqueue) && /probe
  echo "a program builds and runs with libgpuqueue-dev"
  apt-get purge -q -y gpuqueue libgpuqueue0 libgpuqueue-dev python3-gpuqueue >/dev/null
  left=$(find / -xdev \( -path /proc -o -path /sys -o -path /packages \) -prune -o -iname "*gpuqueue*" -print)
  test -z "$left" || { echo "left behind by apt purge: $left"; exit 1; }'
