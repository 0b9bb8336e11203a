#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`gpuqueue run` as a filter: many short lines through a hash, from a file and from a pipe, beside what one would use
instead on the same lines. Every line of every output is compared.

    GPUQUEUE=build/src/gpuqueue tests/compare/filter.py cuda [--lines 10000000] [--bytes 64] [--options WORDS]

Needs nothing but Python; uses gcc, OpenSSL's libcrypto and coreutils where they are. Needs room for the lines and three
outputs: 3 GB for ten million lines. Prints a table in Markdown. Exit status: 0 if everything was compared and nothing
differs; 1 if something differs or fails; 3 if nothing does, but something was not there to compare with.

Rates are of the best of several runs, which take turns. That of gpuqueue is what --stats says, from the first read to
the last write; the whole command with its start (a CUDA context, above all) has a column of its own. For the others
the whole program is timed. What limits gpuqueue is the thread that waits least for others, as --stats tells."""
import argparse
import base64
import filecmp
import hashlib
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MISSING = 3
PYTHON_LINES = 1000000
FILES = 5000


class NotHere(Exception):
    pass


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("cuda", "cpu"))
    parser.add_argument("--lines", type=int, default=10000000)
    parser.add_argument("--bytes", type=int, default=64, help="a line, without its newline (default 64)")
    parser.add_argument("--handler", action="append", choices=("sha256", "crc32c"), help="may be repeated")
    parser.add_argument("--options", default="", metavar="WORDS", help="for every gpuqueue run")
    parser.add_argument("--runs", type=int, default=3, help="of which the best counts (default 3)")
    parser.add_argument("--timeout", type=float, default=600, help="for each run, in seconds (default 600)")
    parser.add_argument("--directory", help="where to put the files (default: a temporary one)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def make_lines(path, count, size):
    """The same lines every time: printable and all different."""
    source = random.Random(1)
    block = max(1, (1 << 20) // size)
    with open(path, "wb") as file:
        while count > 0:
            rows = min(block, count)
            text = base64.b64encode(source.randbytes(rows * size * 3 // 4 + 3))[:rows * size]
            lines = bytearray(b"\n" * (rows * (size + 1)))
            for column in range(size):
                lines[column::size + 1] = text[column::size]
            file.write(lines)
            count -= rows


class Given:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.program = os.environ.get("GPUQUEUE", "gpuqueue")
        self.input = os.path.join(directory, "lines")
        self.reference = None

    def path(self, name):
        return os.path.join(self.directory, name)


def timed(command, given, stdin, stdout, feed=False, drain=False):
    """Seconds and standard error of a command. feed, drain: through a pipe and cat, on that side."""
    others = []
    start = time.perf_counter()
    with open(stdin, "rb") as source, open(stdout, "wb") as target:
        if feed:
            others.append(subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE))
            source = others[-1].stdout
        main = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE if drain else target,
                                stderr=subprocess.PIPE)
        if feed:
            others[0].stdout.close()
        if drain:
            others.append(subprocess.Popen(["cat"], stdin=main.stdout, stdout=target))
            main.stdout.close()
            main.stdout = None
        try:
            error = main.communicate(timeout=given.options.timeout)[1].decode(errors="replace")
            for other in others:
                other.wait(timeout=given.options.timeout)
        except subprocess.TimeoutExpired:
            raise SystemExit("%s: no end after %g s" % (shlex.join(command), given.options.timeout))
        finally:
            for process in others + [main]:
                if process.poll() is None:
                    process.kill()
    if main.returncode == 77:
        raise NotHere("what it needs is not on this machine")
    if main.returncode != 0:
        raise SystemExit("%s: exit status %d: %s" % (shlex.join(command), main.returncode, error))
    return time.perf_counter() - start, error


class Subject:
    """Something that turns the lines into digests: run() gives lines, seconds, seconds of the whole and a remark.
    beside: the title of what it is compared with."""

    def __init__(self, title, run, beside):
        self.title, self.run, self.beside = title, run, beside
        self.best = None
        self.verdict = None


def describe_limit(stats):
    waiting = stats["waiting"]
    stages = {
        "reading": waiting["reader_for_pipelines"],
        "sending and printing": waiting["pipelines_for_reader"] + waiting["pipelines_for_results"] +
                                waiting["pipelines_for_writer"],
        "writing": waiting["writer_for_pipelines"],
    }
    limit = min(stages, key=stages.get)
    # nobody else in the command is short of time: its threads wait for the queue
    if min(stages.values()) > 0.25 and waiting["pipelines_for_results"] > 0.1:
        limit = "the queue and its handler"
    if limit == "reading" and waiting["reader_for_input"] > 0.5:
        limit = "reading (%.0f %% of it in read())" % (100 * waiting["reader_for_input"])
    idle = ", ".join("%s %.0f %%" % (stage, 100 * share) for stage, share in stages.items())
    return "%s; idle: %s; threads that send: %d" % (limit, idle, stats["pipelines"])


WAYS = (("file to file", False, False), ("pipe to file", True, False), ("pipe to pipe", True, True))


def loop_title(way):
    return "C loop, gpuqueue's handler, %s" % way


def gpuqueue_subject(given, handler, way, feed, drain):
    def run(out):
        command = [given.program, "run", "--backend", given.options.backend, "--handler", handler, "--stats=json",
                   "--progress=never"] + shlex.split(given.options.options)
        whole, error = timed(command, given, given.input, out, feed, drain)
        stats = json.loads(error.strip().splitlines()[-1])
        return given.options.lines, stats["seconds"], whole, describe_limit(stats)
    return Subject("gpuqueue run, " + way, run, loop_title(way))


def loop_subject(given, title, name, flags, feed=False, drain=False, way="file to file"):
    def run(out):
        program = given.path("loop-" + name)
        if not os.path.exists(program):
            compiler = shutil.which("gcc") or shutil.which("cc")
            if not compiler:
                raise NotHere("no C compiler")
            subprocess.run([compiler, "-O2", *flags, "-I" + os.path.join(TOP, "cuda"),
                            "-I" + os.path.join(TOP, "lib"), "-o", program,
                            os.path.join(TOP, "tests", "compare", "filter_loop.c"), "-ldl"], check=True, timeout=60)
        seconds = timed([program], given, given.input, out, feed, drain)[0]
        return given.options.lines, seconds, seconds, "one thread"
    return Subject(title, run, loop_title(way))


def python_subject(given):
    def run(out):
        lines = min(given.options.lines, PYTHON_LINES)
        start = time.perf_counter()
        with open(given.input, "rb") as source, open(out, "w", encoding="ascii") as target:
            for _, line in zip(range(lines), source):
                target.write(hashlib.sha256(line[:-1]).hexdigest() + "\n")
        seconds = time.perf_counter() - start
        return lines, seconds, seconds, "one thread; %d lines" % lines
    return Subject("Python, hashlib", run, loop_title("file to file"))


def coreutils_subject(given):
    def run(out):
        if not shutil.which("sha256sum"):
            raise NotHere("no sha256sum")
        lines = min(given.options.lines, FILES)
        folder = given.path("files")
        if not os.path.isdir(folder):
            os.mkdir(folder)
            with open(given.input, "rb") as source:
                for number, line in zip(range(lines), source):
                    with open(os.path.join(folder, "%07d" % number), "wb") as file:
                        file.write(line[:-1])
        start = time.perf_counter()
        with open(out, "wb") as target:
            listing = subprocess.Popen(["sh", "-c", "cd \"$1\" && ls | xargs sha256sum | cut -d ' ' -f 1", "-", folder],
                                       stdout=target)
            if listing.wait(timeout=given.options.timeout) != 0:
                raise SystemExit("sha256sum failed")
        seconds = time.perf_counter() - start
        return lines, seconds, seconds, "a file a line; %d of them" % lines
    return Subject("coreutils, sha256sum", run, loop_title("file to file"))


def subjects(given, handler):
    flags = ["-DHANDLER_HEADER=<handlers/%s.h>" % handler, "-DHANDLER=gq_linked_" + handler]
    for way, feed, drain in WAYS:
        yield loop_subject(given, loop_title(way), handler, flags, feed, drain, way)
    for way, feed, drain in WAYS:
        yield gpuqueue_subject(given, handler, way, feed, drain)
    if handler == "sha256":
        yield loop_subject(given, "C loop, OpenSSL's libcrypto", "libcrypto", ["-DLIBCRYPTO"])
        yield python_subject(given)
        yield coreutils_subject(given)
    else:
        yield loop_subject(given, "C loop, the crc32 instruction", "instruction", ["-DINSTRUCTION", "-march=native"])


def same(given, path, lines):
    """Whether the file is the reference, or its first lines."""
    if lines == given.options.lines:
        return filecmp.cmp(path, given.reference, shallow=False)
    with open(path, "rb") as one, open(given.reference, "rb") as other:
        count = 0
        for line in one:
            if line != other.readline():
                return False
            count += 1
        return count == lines


def measure(given, subject):
    out = given.path("out")
    try:
        lines, seconds, whole, remark = subject.run(out)
    except NotHere as problem:
        subject.verdict = "NOT RUN: %s" % problem
        return
    if given.reference is None:  # the first, a loop that no thread of ours goes through
        given.reference = given.path("reference")
        os.replace(out, given.reference)
        equal = os.path.getsize(given.reference) > 0
    else:
        equal = same(given, out, lines)
    if not equal:
        subject.verdict = "WRONG"
    elif subject.verdict is None:
        subject.verdict = "all %d lines" % lines
    if subject.best is None or seconds < subject.best[1]:
        subject.best = (lines, seconds, whole, remark)


def print_table(handler, all_subjects):
    rate = {s.title: s.best[0] / s.best[1] for s in all_subjects if s.best}
    print("\n## %s\n" % handler)
    print("| what | M lines/s | to the C loop, the same way | whole command, s | compared | what limits it |")
    print("| --- | --- | --- | --- | --- | --- |")
    for s in all_subjects:
        if s.best is None:
            print("| %s | | | | %s | |" % (s.title, s.verdict))
            continue
        loop = rate.get(s.beside)
        print("| %s | %.3g | %s | %.3g | %s | %s |" % (
            s.title, rate[s.title] / 1e6, "%.2f x" % (rate[s.title] / loop) if loop else "", s.best[2], s.verdict,
            s.best[3]))
    sys.stdout.flush()


def main():
    options = arguments()
    bad = missing = False
    figures = []
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="gpuqueue-filter.") as directory:
        given = Given(options, directory)
        make_lines(given.input, options.lines, options.bytes)
        print("%d lines of %d bytes, %s, %d CPUs, best of %d runs" % (
            options.lines, options.bytes, options.backend, os.cpu_count(), options.runs))
        for handler in options.handler or ("sha256", "crc32c"):
            given.reference = None
            all_subjects = list(subjects(given, handler))
            for _ in range(options.runs):
                for subject in all_subjects:
                    if subject.verdict is None or subject.best:
                        measure(given, subject)
            print_table(handler, all_subjects)
            bad |= any(s.verdict == "WRONG" for s in all_subjects)
            missing |= any(s.verdict.startswith("NOT RUN") for s in all_subjects)
            figures += [dict(zip(("lines", "seconds", "whole_seconds", "remark"), s.best), handler=handler,
                             what=s.title, verdict=s.verdict) for s in all_subjects if s.best]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 1 if bad else MISSING if missing else 0


if __name__ == "__main__":
    sys.exit(main())
