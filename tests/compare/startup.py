# SPDX-License-Identifier: Apache-2.0
"""How long it takes from the start of `gpuqueue run` to its first result: its input stays open meanwhile."""
import contextlib
import os
import re
import select
import shutil
import statistics
import subprocess
import time

SOURCE = """#include <gpuqueue/handler.h>
GQ_HANDLER(blanks, GQ_NO_ARGS, GQ_SUMMARY("how many blanks there are")
  GQ_SCOPES(thread) GQ_OUTPUT(text) GQ_RESULT(0, 20))
{
  uint32_t i, count = 0;
  for (i = 0; i < msg->size; i++) count += msg->data[i] == 32;
  gq_reply_decimal(ctx, reply, count);
  return 0;
}
"""
LIMIT_S = 60


class Failed(Exception):
    pass


def first_result(program, backend, handler, wanted, said, environment):
    """\\return seconds until the first result and until the end. `said` is what --verbose must say of the handler."""
    command = [program, "run", "--verbose", "--backend", backend, "--handler", handler]
    begin = time.perf_counter()
    with open("err", "wb+") as err, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err,
                                                     bufsize=0, env=environment) as child:
        try:
            with contextlib.suppress(BrokenPipeError):  # its status will say why
                child.stdin.write(b"let us count\n")
            ready, _, _ = select.select([child.stdout], [], [], LIMIT_S)
            first = time.perf_counter() - begin
            line = os.read(child.stdout.fileno(), 100) if ready else b""
            child.stdin.close()
            status = child.wait(LIMIT_S)
            end = time.perf_counter() - begin
        except BaseException:
            child.kill()
            raise
        err.seek(0)
        text = err.read().decode(errors="replace")
    if status != 0 or line != wanted or said not in text:
        raise Failed("%s: status %s, printed %r, said: %s" % (handler, status, line, text[:600].strip()))
    return first, end


def compile_handler(program, backend):
    archs = "none"
    if backend == "cuda":
        info = subprocess.run([program, "info"], stdout=subprocess.PIPE, text=True, timeout=LIMIT_S).stdout
        found = re.search(r"^device 0: .*compute capability (\d+)\.(\d+),", info, re.M)
        if not found:
            raise Failed("gpuqueue info names no device 0")
        archs = found[1] + found[2]
    done = subprocess.run([program, "compile", "--archs", archs, *(["--cpu"] if backend == "cpu" else []), "blanks.cu",
                           "-o", "blanks.gqh"], stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)
    if done.returncode != 0:
        raise Failed("gpuqueue compile: " + done.stderr[:600])


def table(program, backend, directory, runs):
    """Print it. \\return how many rows could not be had"""
    environment = dict(os.environ, XDG_CACHE_HOME=directory + "/cache", XDG_DATA_HOME=directory + "/data")
    with open("blanks.cu", "w") as source:
        source.write(SOURCE)
    rows = [("built-in (crc32c)", "crc32c", None, "", False),
            ("a source, compiled for it", "./blanks.cu", b"2\n", "handler blanks compiled\n", True),
            ("a source, from the cache", "./blanks.cu", b"2\n", "handler blanks from the cache\n", False),
            ("a compiled .gqh file", "./blanks.gqh", b"2\n", "handler blanks compiled before\n", True)]
    print("\n| start to first result, ms | first run | median of %d | fastest | median to the end |\n|%s" % (
        runs, " --- |" * 5))
    bad = 0
    for title, handler, wanted, said, is_cache_fresh in rows:
        try:
            if handler.endswith(".gqh"):
                compile_handler(program, backend)
            times = []
            for _ in range(runs):
                if is_cache_fresh:
                    shutil.rmtree(environment["XDG_CACHE_HOME"], ignore_errors=True)
                times.append(first_result(program, backend, handler, wanted or b"1dd2cb49\n", said, environment))
            firsts, ends = zip(*times)
            print("| %s | %s |" % (title, " | ".join("%.0f" % (1000 * value) for value in (
                firsts[0], statistics.median(firsts), min(firsts), statistics.median(ends)))), flush=True)
        except (Failed, subprocess.TimeoutExpired) as reason:
            bad += 1
            print("| %s | NOT RUN: %s |" % (title, reason), flush=True)
    return bad
