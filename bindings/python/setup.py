# SPDX-License-Identifier: Apache-2.0
"""Builds the extension against libgpuqueue: see README.md for how it is found."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
SOURCES = [
    "_gpuqueue.c",
    "arguments.c",
    "errors.c",
    "options.c",
    "queue_life.c",
    "queue_receive.c",
    "queue_send.c",
    "queue_type.c",
    "queue_watch.c",
    "slices.c",
]


def pkg_config(*arguments):
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), *arguments, "gpuqueue"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise SystemExit(
            f"gpuqueue: {shlex.join(command)} failed: {str(reason).strip()}\n"
            "Install libgpuqueue with its header first (PKG_CONFIG_PATH names its lib/pkgconfig if it is in a\n"
            "place of its own), or set LIBGPUQUEUE_BUILD_DIR to a directory in which libgpuqueue was built."
        ) from None


def in_tree_build(build):
    """Flags for a build directory of libgpuqueue, whose sources are the tree around this file."""
    libraries = [path for path in (build / "lib" / ".libs", build / ".libs") if (path / "libgpuqueue.so").exists()]
    if not libraries or not (build / "lib" / "gpuqueue" / "version.h").exists():
        raise SystemExit(f"gpuqueue: LIBGPUQUEUE_BUILD_DIR, {build}, holds no built libgpuqueue: run make there")
    return {
        "include_dirs": [str(HERE.parents[1] / "lib"), str(build / "lib")],
        "library_dirs": [str(libraries[0])],
        "runtime_library_dirs": [str(libraries[0])],
        "libraries": ["gpuqueue"],
    }


def installed():
    return {
        "extra_compile_args": shlex.split(pkg_config("--cflags")),
        "extra_link_args": shlex.split(pkg_config("--libs")),
    }


def find_library():
    build = os.environ.get("LIBGPUQUEUE_BUILD_DIR")
    found = in_tree_build(Path(build).resolve()) if build else installed()
    found.setdefault("extra_compile_args", []).extend(["-std=gnu11", "-fvisibility=hidden"])
    return found


def version():
    """The version has one place, configure.ac; a source distribution carries it in PKG-INFO."""
    for path, pattern in (
        (HERE / "PKG-INFO", r"^Version: *(\S+)"),
        (HERE.parents[1] / "configure.ac", r"AC_INIT\(\[gpuqueue\], *\[([^\]]+)\]"),
    ):
        found = re.search(pattern, path.read_text(), re.MULTILINE) if path.exists() else None
        if found:
            return found.group(1)
    return pkg_config("--modversion")


setup(
    version=version(),
    ext_modules=[Extension("gpuqueue._gpuqueue", SOURCES, depends=["binding.h"], **find_library())],
)
