#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a running gpuqueue on Debian or Ubuntu, with one command:
#
#   ./setup.sh run [CONFIGURE OPTIONS]     install what is missing, build, and hash this source tree with gpuqueue
#   ./setup.sh check [CONFIGURE OPTIONS]   install what is missing, build, and run the tests
#   ./setup.sh build [CONFIGURE OPTIONS]   install what is missing and build
#   ./setup.sh packages [check]            print the packages that are missing, one a line, and change nothing
#
# The build goes to build/, or where BUILD_DIR says. Packages are installed by apt-get, as root or with sudo;
# elsewhere the script says what it needs and stops.
set -eu
cd "$(dirname "$0")"
source_dir=$(pwd)
build_dir=${BUILD_DIR:-build}

fail() {
  echo "setup.sh: $*" >&2
  exit 1
}

build_packages="autoconf automake libtool make gcc libc6-dev pkg-config"
check_packages="check"

# Packages that task $1 needs and that are not installed. A package counts as there when the tool it is for is.
missing_packages() {
  wanted=$build_packages
  test "$1" != check || wanted="$wanted $check_packages"
  # nvcc calls g++, even for code that is meant for the device only.
  if command -v nvcc >/dev/null 2>&1 || test -x /usr/local/cuda/bin/nvcc; then wanted="$wanted g++"; fi
  for package in $wanted; do
    case $package in
      libc6-dev) test -e /usr/include/stdio.h || echo "$package" ;;
      libtool) command -v libtoolize >/dev/null 2>&1 || echo "$package" ;;
      check) pkg-config --exists check 2>/dev/null || echo "$package" ;;
      *) command -v "$package" >/dev/null 2>&1 || echo "$package" ;;
    esac
  done
}

# Run a command as root, by whatever way there is.
as_root() {
  if test "$(id -u)" = 0; then "$@"
  else sudo "$@"
  fi
}

install_packages() {
  missing=$(missing_packages "$1" | tr '\n' ' ')
  test -n "$missing" || return 0
  command -v apt-get >/dev/null 2>&1 ||
    fail "these are missing: $missing(Debian's names) and there is no apt-get here: install them and run this again"
  if test "$(id -u)" != 0 && ! command -v sudo >/dev/null 2>&1; then
    fail "these packages are missing: $missing
You are not root and there is no sudo. Have an administrator run
  apt-get install $missing
and run this again."
  fi
  echo "Installing: $missing"
  # shellcheck disable=SC2086  # one word a package
  as_root env DEBIAN_FRONTEND=noninteractive sh -eu -c '
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"' sh $missing
}

build() {
  test ! -e config.status || test "$build_dir" = . ||
    fail "this source tree was configured in place: run 'make distclean' first"
  if test ! -x configure || test configure.ac -nt configure; then ./autogen.sh; fi
  mkdir -p "$build_dir"
  cd "$build_dir"
  if test ! -x config.status || test "$source_dir/configure" -nt config.status || test $# -gt 0; then
    "$source_dir/configure" "$@"
  fi
  make -j"$(nproc)"
}

# Whether configure found the Check library, without which the unit tests are left out.
has_unit_tests() { ! grep -q 'HAVE_CHECK_TRUE.*#' config.status; }

# Run the tests in the build directory. It may have been configured by `setup.sh run`, before Check was installed.
run_tests() {
  has_unit_tests || ./config.status --recheck
  has_unit_tests || fail "configure does not find the Check library: see $build_dir/config.log"
  make -j"$(nproc)"
  make -j"$(nproc)" check
}

# The main job on real input: the checksum of each file of this tree, as sha256sum would print it, and accepts it.
hash_tree() {
  cd "$source_dir"
  build_path=$(cd "$build_dir" && pwd)
  sums=$build_path/SHA256SUMS
  find . -path ./.git -prune -o -path ./autom4te.cache -prune -o -path "./${build_path#"$source_dir/"}" -prune -o \
    -type f -print0 |
    "$build_path/src/gpuqueue" run --handler sha256 --input-format files --null --with-input --verbose >"$sums"
  sha256sum --check --quiet "$sums"
  echo "sha256sum agrees with all $(wc -l <"$sums") checksums that gpuqueue wrote to $sums"
}

task=${1:-}
test $# = 0 || shift
case $task in
  run)
    install_packages run
    (build "$@")
    hash_tree
    ;;
  check)
    install_packages check
    build "$@"
    run_tests
    ;;
  build)
    install_packages build
    build "$@"
    ;;
  packages)
    missing_packages "${1:-build}"
    ;;
  *)
    sed -n 's/^# \{0,1\}//p' "$0" | sed -n 3,11p >&2
    exit 2
    ;;
esac
