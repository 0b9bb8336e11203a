# SPDX-License-Identifier: Apache-2.0
"""What the comparisons have in common: memory that child processes share, work cut up among all cores, timing."""
import concurrent.futures
import ctypes
import mmap
import multiprocessing
import os
import shutil
import subprocess
import time
import warnings

import numpy as np

CORES = len(os.sched_getaffinity(0))
PARTS = CORES * 4 if CORES > 1 else 1


class NotHere(Exception):
    """What is to be compared with is not on this machine."""


def shared(shape, dtype):
    """An array that forked processes write into, whose pages are there already: that is not to be timed."""
    count = int(np.prod(shape))
    array = np.frombuffer(mmap.mmap(-1, max(count * np.dtype(dtype).itemsize, 1)), dtype, count)
    array.fill(0)
    return array.reshape(shape)


def ranges(count, parts):
    edges = [count * part // parts for part in range(parts + 1)]
    return [(begin, end) for begin, end in zip(edges, edges[1:]) if begin < end]


def in_threads(work, count):
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        for future in [pool.submit(work, *part) for part in ranges(count, PARTS)]:
            future.result()


def in_processes(work, count):
    """For work that holds Python's lock. The children find their data where the parent had it."""
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=part) for part in ranges(count, CORES)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for child in children:
                child.start()
        for child in children:
            child.join()
            if child.exitcode != 0:
                raise RuntimeError("a process of the comparison ended with status %s" % child.exitcode)
    finally:
        for child in children:
            if child.pid:
                child.kill()


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


class Peer:
    """A library or program to compare with. `one` and `all` do the same work on one core and on all of them (None: it
    cannot be spread); `result()` says what came out of the last of them."""

    def __init__(self, name, one, spread, result):
        self.name, self.one, self.all, self.result = name, one, spread, result

    @classmethod
    def of_ranges(cls, name, work, count, out, spread=in_threads):
        """work(begin, end) fills these rows of `out`."""
        return cls(name, lambda: work(0, count), (lambda: spread(work, count)) if spread else None, lambda: out)


def program(name):
    path = shutil.which(name)
    if not path:
        raise NotHere("no program " + name)
    return path


def module(name):
    try:
        return __import__(name)
    except ImportError:
        raise NotHere("no Python module " + name) from None


def library(*names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    raise NotHere("no " + names[0])


def loops(directory):
    """peers.c, compiled for this very processor; once in a run."""
    target = os.path.join(directory, "peers.so")
    if not os.path.exists(target):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.c")
        compiler = shutil.which("gcc") or shutil.which("cc")
        if not compiler:
            raise NotHere("no C compiler")
        subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", target, source, "-lm"], check=True,
                       timeout=60)
    return ctypes.CDLL(target)


def address(array, row=0):
    return ctypes.c_void_p(int(array.ctypes.data + row * array.strides[0]))
