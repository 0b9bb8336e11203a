#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each shipped handler beside what one would use without it: the rate of `gpuqueue run`, that of the best library or
program at hand on one core and on all cores of the same machine, every result compared. Then, how long the first
result takes.

    GPUQUEUE=build/src/gpuqueue tests/compare/compare.py cuda [--seconds 100] [--only HANDLER]... [--options WORDS]

Needs Python with numpy; uses gcc, OpenSSL's libcrypto, libxxhash, rapidfuzz, xxhash, blake3, grep and coreutils where
they are.
Prints tables in Markdown. Exit status: 0 if every comparison was made and nothing differs; 1 if something differs,
fails or took too long; 3 if nothing does, but something was not there to compare with; 77 without numpy.

What is timed: the whole of `gpuqueue run`, from its start to its end, reading a file and writing one; where that is
too short to say anything, the same file several times ("passes"). The rate leaves out what the same command takes for
an empty input (the median of three), unless that is half of the time or more; then it is a lower bound, ">". A
library is timed on messages that are in memory already, a program from its start to its end. With less than 50
seconds there is one empty run and there are two passes: that checks the results, and the rates say little."""
import argparse
import math
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # its threads would fight with ours
sys.dont_write_bytecode = True  # into the directory of the sources
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import numpy as np
except ImportError:
    print("skipped: the comparison needs Python with numpy", file=sys.stderr)
    sys.exit(77)

import cases
import inputs
import startup
import work


MISSING = 3
MOST_PASSES = 64
MOST_BYTES = 8 << 30  # of input or output, of all passes

class TimeIsUp(Exception):
    pass


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("cuda", "cpu"))
    parser.add_argument("--seconds", type=float, default=100,
                        help="about how long all takes; the sizes go with it (default 100)")
    parser.add_argument("--only", action="append", metavar="HANDLER",
                        help="this handler, or this row of the table, such as 'xxh64, 1 MiB'; may be repeated")
    parser.add_argument("--options", default="--capacity 32768", metavar="WORDS",
                        help="for every gpuqueue run (default '--capacity 32768')")
    parser.add_argument("--no-startup", action="store_true", help="leave the second table out")
    parser.add_argument("--directory", help="where to put the files, some 10 GB (default: a temporary one)")
    given = parser.parse_args()
    if not 0 < given.seconds <= 10000:
        parser.error("--seconds %g: more than 0, up to 10000" % given.seconds)
    known = {name for case in cases.CASES for name in (case.handler, case.title)}
    for name in given.only or ():
        if name not in known:
            parser.error("--only %s: there are %s" % (name, "; ".join(sorted(known))))
    given.program = os.environ.get("GPUQUEUE") or shutil.which("gpuqueue")
    if not given.program or not os.access(given.program, os.X_OK):
        parser.error("GPUQUEUE %s: is to be the path of the program" % given.program)
    given.program = os.path.abspath(given.program)
    given.is_long = given.seconds >= 50  # else the figures say little: each program runs once or twice
    given.options = shlex.split(given.options)
    return given


def run_queue(given, case, data, limit, passes=1):
    """\\return seconds, and what it printed"""
    command = [given.program, "run", "--backend", given.backend, "--handler", case.handler, *given.options,
               *case.options]
    with open("out", "wb") as out, open("err", "wb") as err:
        if case.input_name == "files":
            feed = b"".join(name.encode() + b"\n" for name in data.files) * passes if data else b""
        else:
            feed = b""
            command += [data.path] * passes if data else ["/dev/null"]
        seconds, done = work.timed(lambda: subprocess.run(command, input=feed, stdout=out, stderr=err, timeout=limit))
    if done.returncode != 0:
        with open("err", errors="replace") as err:
            raise RuntimeError("gpuqueue ended with status %d: %s" % (done.returncode, err.read()[:600].strip()))
    with open("out", "rb") as out:
        return seconds, out.read()


def find_peer(case, data, directory):
    missing = []
    for make in case.peers:
        try:
            return make(data, directory)
        except work.NotHere as reason:
            missing.append(str(reason))
    raise work.NotHere(", ".join(missing))


def rate(case, data, seconds):
    return data.bytes / seconds / 1e9 if case.in_bytes else data.count / seconds / 1e6


def in_digits(value):
    return "%.0f" % value if value >= 100 else "%#.3g" % value


def agree(again, expected):
    """A peer with itself. A BLAS adds in an order that depends on how much it is given at once."""
    if not isinstance(expected, np.ndarray):
        return again == expected
    if expected.dtype.kind == "f":
        return np.allclose(again, expected, rtol=1e-5, atol=1e-5)
    return np.array_equal(again, expected)


def passes_for(data, seconds, empty, output_bytes):
    """How often the input is to be read for a run that takes some six times as long as an empty one."""
    if seconds > 4 * empty:
        return 1
    wanted = math.ceil(6 * empty / max(seconds - empty, empty / 50))
    return max(1, min(wanted, MOST_PASSES, MOST_BYTES // max(data.bytes, output_bytes)))


def check_passes(case, outputs, size, expected, data, passes):
    """The first pass is compared with the other program: which new lines `seen` takes for old depends on the order in
    which the queue came to them. The others must give what it gave."""
    cases.require(len(outputs) == passes * size, "%d bytes from %d passes of %d", len(outputs), passes, size)
    case.check(outputs[:size], expected, data)
    wanted = case.again(outputs[:size])
    cases.require(len(wanted) == size, "%d bytes are expected of a further pass, %d of the first", len(wanted), size)
    for number in range(1, passes):
        same = outputs.startswith(wanted, number * size)
        cases.require(same, "pass %d of %d differs from the first", number + 1, passes)


def measure(given, case, data, directory, limit):
    """\\return the row of the table"""
    peer = find_peer(case, data, directory)
    one, _ = work.timed(peer.one)
    expected = peer.result()
    every = None
    if peer.all and work.CORES > 1:
        expected = expected.copy() if isinstance(expected, np.ndarray) else expected
        every, _ = work.timed(peer.all)
        again = peer.result()
        if not agree(again, expected):
            raise cases.Differs("%s says something else on all cores" % peer.name)
    starts = sorted(run_queue(given, case, None, limit)[0] for _ in range(3 if given.is_long else 1))
    empty = starts[len(starts) // 2]
    seconds, output = run_queue(given, case, data, limit)
    compared = case.check(output, expected, data)
    passes = passes_for(data, seconds, empty, len(output)) if given.is_long else 2
    if passes > 1:
        seconds, outputs = run_queue(given, case, data, limit, passes)
        check_passes(case, outputs, len(output), expected, data, passes)
    # An empty run that takes most of the time is nothing to subtract: the rate is at least that of the whole.
    is_long = seconds > 2 * empty
    mine = passes * rate(case, data, seconds - empty if is_long else seconds)
    unsure = "" if is_long else "> "

    def beside(other):
        return ("%s%s x" % (unsure, in_digits(mine / rate(case, data, other)))) if other else ""

    row = [case.title, "GB/s" if case.in_bytes else "M msg/s", str(passes), "%.2f" % seconds,
           unsure + in_digits(mine), peer.name, in_digits(rate(case, data, one)), in_digits(rate(case, data, every)) if every else "", beside(one),
           beside(every), compared]
    return "| " + " | ".join(row) + " |"


def compare(given, directory, end):
    """Print the first table. \\return the exit status"""
    made, status = inputs.Inputs(directory, given.seconds / 100), 0
    print("\n| handler | unit | passes | wall, s | gpuqueue | compared with | one core | %d cores | ratio to one | to all | "
          "results compared |\n|%s" % (work.CORES, " --- |" * 11))
    only = set(given.only or ())
    chosen = [case for case in cases.CASES if not only or only & {case.handler, case.title}]
    for case in chosen:
        try:
            data = made.get(case.input_name)
            print(measure(given, case, data, directory, max(1, end - time.monotonic())), flush=True)
            continue
        except work.NotHere as reason:
            status = status or MISSING
            wrong = "NOT RUN: %s" % reason
        except subprocess.TimeoutExpired:
            status = 1
            wrong = "STOPPED: it took longer than the time that was left"
        except cases.Differs as what:
            status = 1
            wrong = "WRONG: %s" % what
        except (OSError, RuntimeError, subprocess.CalledProcessError) as what:
            status = 1
            wrong = "FAILED: %s" % what
        print("| %s | %s |" % (case.title, wrong), flush=True)
    return status


def on_alarm(*_):
    raise TimeIsUp


def main():
    given = arguments()
    for name in [name for name in os.environ if name.startswith("GPUQUEUE_")]:
        del os.environ[name]  # nothing but the arguments says what is measured
    begin = time.monotonic()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, 2 * given.seconds + 120)
    with tempfile.TemporaryDirectory(prefix="gpuqueue-compare.", dir=given.directory) as directory:
        os.chdir(directory)
        try:
            print("%s, %d cores, Python %s, numpy %s; options %s" % (
                platform.platform(), work.CORES, platform.python_version(), np.__version__, shlex.join(given.options)))
            status = compare(given, directory, begin + 2 * given.seconds + 90)
            if not given.no_startup:
                runs = 5 if given.is_long else 1
                status = 1 if startup.table(given.program, given.backend, directory, runs) else status
        except TimeIsUp:
            print("\nSTOPPED after %.0f s: the rest was not run" % (time.monotonic() - begin))
            status = 1
        finally:
            os.chdir("/")
    ends = {0: "nothing differs", 1: "NOT AS WANTED, see above", MISSING: "nothing differs, but some were not run"}
    print("\n%.0f s; %s" % (time.monotonic() - begin, ends[status]))
    return status


if __name__ == "__main__":
    sys.exit(main())
