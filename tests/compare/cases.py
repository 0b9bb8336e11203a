# SPDX-License-Identifier: Apache-2.0
"""Each shipped handler, its input, whom it is compared with, and how: check(output, peer's result, input) raises
Differs at the first difference, and says what was compared."""
import ctypes
import hashlib
import subprocess

import numpy as np

import work
from inputs import LINE, RECORD
from work import NotHere, Peer, address, shared

PATTERN = "(th|[xyz])+[aeo]+.*(an|in|t)[^a-z]"
QUERY = "the quick brown fox, jumps over"


SEEN_BYTES = 1 << 20


class Differs(Exception):
    pass


class Case:
    """`again(output)` is what the same messages give when they come once more, if not the same output."""

    def __init__(self, title, handler, input_name, options, peers, check, in_bytes=False, again=bytes):
        self.title, self.handler, self.input_name, self.options = title, handler, input_name, options
        self.peers, self.check, self.in_bytes, self.again = peers, check, in_bytes, again


def require(condition, message, *values):
    if not condition:
        raise Differs(message % values)


# ------------------------------------------------------------------------------------------------------- checks

def same_bytes(output, wanted, data, what):
    wanted = memoryview(wanted).cast("B")
    if output != wanted:
        size = min(len(output), len(wanted))
        places = np.flatnonzero(np.frombuffer(output, np.uint8, size) != np.frombuffer(wanted, np.uint8, size))
        at = places[0] if places.size else size
        raise Differs("output differs at byte %d: %r, wanted %r (%d and %d bytes in all)" % (
            at, bytes(output[at:at + 40]), bytes(wanted[at:at + 40]), len(output), len(wanted)))
    return what % data.count


def check_copy(output, result, data):
    return same_bytes(output, np.ascontiguousarray(data.data), data, "all %d messages")


def check_hex_lines(output, digests, data):
    text = digests.tobytes().hex("\n", digests.shape[1]) + "\n"
    return same_bytes(output, text.encode(), data, "all %d digests")


def check_hex(output, digests, data):
    return same_bytes(output, digests.tobytes().hex().encode(), data, "all %d digests")


def check_text(output, text, data):
    return same_bytes(output, text, data, "all %d lines of output")


def check_numbers(output, numbers, data):
    return same_bytes(output, ("\n".join(map(str, numbers.ravel().tolist())) + "\n").encode(), data, "all %d distances")


def check_matches(output, numbered, data):
    """grep -n says which lines match."""
    wanted = np.full((data.count, 2), ord("\n"), np.uint8)
    wanted[:, 0] = ord("0")
    matching = [int(line[:line.index(b":")]) - 1 for line in numbered.splitlines()]
    wanted[matching, 0] = ord("1")
    return same_bytes(output, wanted, data, "all %d answers") + ", %d of them 1" % len(matching)


def check_saxpy(output, result, data):
    """numpy rounds twice, after the product and after the sum: what is right is worked out in double, which holds the
    product exactly, and can be off by one in the last place only where the sum is rounded to a tie."""
    values = np.frombuffer(output, "<f4")
    require(values.size == data.data.size, "%d elements instead of %d", values.size, data.data.size)
    exact = data.data.ravel().astype("f8") * np.float64(np.float32(2.7)) + np.float64(np.float32(-0.1))
    off = np.abs(exact.astype("<f4").view("i4").astype("i8") - values.view("i4"))
    require(off.max() <= 1, "element %d is %d units of the last place off", off.argmax(), off.max())
    near = np.allclose(values, result.ravel(), rtol=1e-6, atol=1e-6)
    require(near, "numpy's own float32 result is another")
    return "all %d elements, %d of them one unit of the last place off" % (values.size, np.count_nonzero(off))


def check_doubles(output, result, data):
    values = np.frombuffer(output, "<f8")
    require(values.size == result.size, "%d values instead of %d", values.size, result.size)
    off = np.abs(values.reshape(-1, 6) - result) / np.maximum(1, np.abs(result))
    require(off.max() < 1e-11, "record %d is off by %g", off.max(axis=1).argmax(), off.max())
    return "all %d values, off by %.0e at most" % (values.size, off.max())


def check_prices(output, result, data):
    lines = output.count(b"\n"), result.count(b"\n")
    require(lines == (data.count, data.count), "%d and %d lines instead of %d", *lines, data.count)
    values, wanted = (np.fromstring(text.replace(b"\n", b",").rstrip(b",").decode(), sep=",")
                      for text in (output, result))
    require(values.size == wanted.size == data.count * 6, "%d values instead of %d", values.size, wanted.size)
    off = np.abs(values - wanted)
    require((off <= 1.01e-8 + 1e-12 * np.abs(wanted)).all(), "line %d is off by %g", off.argmax() // 6, off.max())
    return "all %d numbers, %d of them off by one in the last digit" % (values.size, np.count_nonzero(off > 5e-9))


def check_network(output, result, data):
    values = np.frombuffer(output, "<f4")
    require(values.size == result.size, "%d values instead of %d", values.size, result.size)
    off = np.abs(values.reshape(result.shape) - result)
    require(off.max() < 1e-4, "vector %d is off by %g", off.max(axis=1).argmax(), off.max())
    return "all %d outputs, off by %.0e at most" % (values.size, off.max())


def check_seen(output, result, data):
    """A Bloom filter forgets nothing, and takes a few new ones for old: how many, its size says."""
    answers = np.frombuffer(output, np.uint8)
    require(answers.size == 2 * data.count, "%d bytes instead of %d", answers.size, 2 * data.count)
    answers, wanted = answers[::2] == ord("1"), result
    require(not (wanted & ~answers).any(), "line %d was seen before", (wanted & ~answers).argmax() + 1)
    wrong, new = np.count_nonzero(answers & ~wanted), np.count_nonzero(~wanted)
    share = (1 - np.exp(-7 * np.arange(new) / (SEEN_BYTES * 8))) ** 7
    most = share.sum() + 6 * np.sqrt(share.sum()) + 2
    require(wrong <= most, "%d new lines taken for old ones, %.0f at most are normal", wrong, most)
    return "all %d answers: none forgotten, %d of %d new ones taken for old (%.0f expected)" % (
        data.count, wrong, new, share.sum())


# -------------------------------------------------------------------------------------------------------- peers


def rows(data):
    """Size and stride of its messages, for loops in C."""
    return ctypes.c_size_t(data.size), ctypes.c_size_t(data.data.strides[0])


def peer_cat(data, directory):
    def one():
        with open(directory + "/copy", "wb") as file:
            subprocess.run([work.program("cat"), data.path], stdout=file, check=True)
    return Peer("cat", one, None, lambda: None)


def peer_crc32c(data, directory):
    loops, out = work.loops(directory), shared((data.count, 4), np.uint8)

    def part(begin, end):
        if not loops.crc32c(address(data.data, begin), *rows(data), ctypes.c_size_t(end - begin), address(out, begin)):
            raise NotHere("no crc32 instruction")
    part(0, 0)
    return Peer.of_ranges("the crc32 instruction (gcc)", part, data.count, out)


def peer_digest(bits):
    def make(data, directory):
        loops, crypto = work.loops(directory), work.library("libcrypto.so.3", "libcrypto.so")
        steps = [ctypes.cast(getattr(crypto, "SHA%d_%s" % (bits, step)), ctypes.c_void_p)
                 for step in ("Init", "Update", "Final")]
        out = shared((data.count, bits // 8), np.uint8)

        def part(begin, end):
            loops.digests(*steps, address(data.data, begin), *rows(data), ctypes.c_size_t(end - begin),
                          address(out, begin), ctypes.c_size_t(bits // 8))
        return Peer.of_ranges("OpenSSL's libcrypto", part, data.count, out)
    return make


def by_python(name, digest_bytes, hash_one, modules=()):
    """A loop in Python: in processes for small messages; in threads for large ones, as modules let go the lock then."""
    def make(data, directory):
        for needed in modules:
            work.module(needed)
        out = shared((data.count, digest_bytes), np.uint8)

        def part(begin, end):
            messages = [data.data[i, :data.size] for i in range(begin, end)] if data.size > LINE else None
            if messages is None:
                text = data.data[begin:end].tobytes()
                messages = [text[at:at + data.size] for at in range(0, len(text), data.data.shape[1])]
            hashes = b"".join(hash_one(message) for message in messages)
            out[begin:end] = np.frombuffer(hashes, np.uint8).reshape(-1, digest_bytes)
        spread = work.in_threads if data.size > LINE else work.in_processes
        return Peer.of_ranges(name, part, data.count, out, spread)
    return make


def peer_xxhash(data, directory):
    loops, hash_function = work.loops(directory), work.library("libxxhash.so.0").XXH64
    out = shared((data.count, 8), np.uint8)

    def part(begin, end):
        loops.xxh64(hash_function, address(data.data, begin), *rows(data), ctypes.c_size_t(end - begin),
                    address(out, begin))
    return Peer.of_ranges("libxxhash", part, data.count, out)


def peer_sums(name):
    def make(data, directory):
        def run(*prefix):
            done = subprocess.run([*prefix, work.program(name), *data.files], check=True, stdout=subprocess.PIPE)
            return done.stdout

        def one():
            results[0] = run()

        def spread():
            names = "\0".join(data.files).encode()
            done = subprocess.run([work.program("xargs"), "-0", "-n", "4", "-P", str(work.CORES), work.program(name)],
                                  input=names, check=True, stdout=subprocess.PIPE)
            same = sorted(done.stdout.splitlines()) == sorted(results[0].splitlines())  # several print at once
            require(same, "%s by xargs says something else", name)
        results = [b""]
        return Peer("%s (xargs -P)" % name, one, spread, lambda: results[0])
    return make


def peer_numpy_saxpy(data, directory):
    out = shared(data.data.shape, np.float32)

    def part(begin, end):
        for at in range(begin, end, 64):  # what fits a core's cache
            rows_of = slice(at, min(at + 64, end))
            np.multiply(data.data[rows_of], np.float32(2.7), out=out[rows_of])
            np.add(out[rows_of], np.float32(-0.1), out=out[rows_of])
    return Peer.of_ranges("numpy", part, data.count, out)


def peer_numpy_network(data, directory):
    w1, b1, w2, b2 = data.weights
    out = shared((data.count, w2.shape[1]), np.float32)

    def part(begin, end):
        for at in range(begin, end, 512):
            rows_of = slice(at, min(at + 512, end))
            out[rows_of] = np.maximum(data.data[rows_of] @ w1 + b1, 0) @ w2 + b2
    return Peer.of_ranges("numpy (BLAS)", part, data.count, out)


def peer_prices(data, directory):
    loops, out = work.loops(directory), shared((data.count, 6), np.float64)

    def part(begin, end):
        loops.prices(address(data.data, begin), ctypes.c_size_t(end - begin), address(out, begin))
    return Peer.of_ranges("a loop in C (gcc -O3, libm)", part, data.count, out)


def peer_price_lines(data, directory):
    loops = work.loops(directory)
    loops.prices_of_lines.restype = ctypes.c_size_t
    edges = np.concatenate([[0], np.flatnonzero(data.data == ord("\n")) + 1])
    out, sizes = shared((data.count, 160), np.uint8), {}

    def part(begin, end):
        first, behind = int(edges[begin]), int(edges[end])
        sizes[begin] = loops.prices_of_lines(address(data.data, first), ctypes.c_size_t(behind - first),
                                             address(out, begin))

    def run(spread):
        sizes.clear()
        spread()
    return Peer("strtod, libm and sprintf in C", lambda: run(lambda: part(0, data.count)),
                lambda: run(lambda: work.in_threads(part, data.count)),
                lambda: b"".join(out[begin:].ravel()[:sizes[begin]].tobytes() for begin in sorted(sizes)))


def peer_rapidfuzz(data, directory):
    work.module("rapidfuzz")
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein
    choices, out = data.data[:, :data.size].tobytes().decode(), shared((data.count, 1), np.uint32)
    choices = [choices[at:at + data.size] for at in range(0, len(choices), data.size)]

    def part(begin, end):
        out[begin:end, 0] = process.cdist([QUERY], choices[begin:end], scorer=Levenshtein.distance, dtype=np.uint32)[0]
    return Peer.of_ranges("rapidfuzz cdist", part, data.count, out, work.in_processes)


def peer_grep(data, directory):
    grep, parts = work.program("grep"), work.ranges(data.count, work.CORES)
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    for number, (begin, end) in enumerate(parts):
        data.data[begin:end].tofile("%s/part%d" % (directory, number))

    def start(path, output):
        with open(output, "wb") as file:
            return subprocess.Popen([grep, "-n", "-E", "-e", PATTERN, path], stdout=file, env=environment)

    def wait(children):
        try:
            if any([child.wait() > 1 for child in children]):
                raise RuntimeError("grep failed")
        finally:
            for child in children:
                child.kill()

    def result():
        with open(directory + "/matches", "rb") as file:
            return file.read()
    return Peer("grep -E", lambda: wait([start(data.path, directory + "/matches")]),
                lambda: wait([start("%s/part%d" % (directory, n), "%s/matches%d" % (directory, n))
                              for n in range(len(parts))]), result)


def peer_set(data, directory):
    lines, results = data.data.tobytes().splitlines(), []

    def one():
        known, answers = set(), bytearray()
        for line in lines:
            answers.append(line in known)
            known.add(line)
        results[:] = [answers]
    return Peer("a Python set", one, None, lambda: np.frombuffer(results[0], np.bool_))


def hash_blake3(message):
    return work.module("blake3").blake3(message).digest()


def hash_xxh64(message):
    return work.module("xxhash").xxh64_digest(message)


HASHLIB256 = by_python("hashlib", 32, lambda message: hashlib.sha256(message).digest())
HASHLIB512 = by_python("hashlib", 64, lambda message: hashlib.sha512(message).digest())
XXHASH = by_python("xxhash for Python", 8, hash_xxh64, ["xxhash"])
BLAKE3 = by_python("blake3 for Python", 32, hash_blake3, ["blake3"])
FIXED = ["--input-format", "fixed:%d" % RECORD]
LARGE = FIXED + ["--arena-bytes", "256M"]

# The first peer that is on the machine is taken.
CASES = [
    Case("echo, 64 B", "echo", "lines", [], [peer_cat], check_copy),
    Case("crc32c, 64 B", "crc32c", "lines", [], [peer_crc32c], check_hex_lines),
    Case("xxh64, 64 B", "xxh64", "lines", [], [peer_xxhash, XXHASH], check_hex_lines),
    Case("sha256, 64 B", "sha256", "lines", [], [peer_digest(256), HASHLIB256], check_hex_lines),
    Case("sha512, 64 B", "sha512", "lines", [], [peer_digest(512), HASHLIB512], check_hex_lines),
    Case("blake3, 64 B", "blake3", "lines", [], [BLAKE3], check_hex_lines),
    Case("edit_distance, 64 B", "edit_distance", "lines", ["--arg", "query=" + QUERY], [peer_rapidfuzz],
         check_numbers),
    Case("match, 64 B", "match", "lines", ["--arg", "pattern=" + PATTERN], [peer_grep], check_matches),
    # a line comes again after half of the input: fewer may be under way at a time
    Case("seen, 64 B", "seen", "twice", ["--state-bytes", str(SEEN_BYTES), "--capacity", "4096"], [peer_set],
         check_seen, again=lambda output: output.replace(b"0", b"1")),
    Case("black_scholes, packed", "black_scholes", "options",
         ["--arg", "packed=yes", "--input-format", "fixed:48", "--output-format", "raw"], [peer_prices], check_doubles),
    Case("black_scholes, text", "black_scholes", "option_lines", [], [peer_price_lines], check_prices),
    Case("saxpy, 4 KiB", "saxpy", "vectors", ["--arg", "a=2.7", "--arg", "b=-0.1", "--input-format", "fixed:4096"],
         [peer_numpy_saxpy], check_saxpy, in_bytes=True),
    Case("mlp 784-128-10", "mlp", "images", ["--state", "weights", "--input-format", "fixed:3136"],
         [peer_numpy_network], check_network),
    Case("crc32c, 1 MiB, block scope", "crc32c", "records", LARGE + ["--scope", "block"], [peer_crc32c], check_hex,
         True),
    Case("xxh64, 1 MiB", "xxh64", "records", LARGE, [peer_xxhash, XXHASH], check_hex, True),
    Case("blake3, 1 MiB, block scope", "blake3", "records", LARGE + ["--scope", "block"], [BLAKE3], check_hex, True),
    Case("sha512, 1 MiB", "sha512", "records", LARGE, [peer_digest(512), HASHLIB512], check_hex, True),
    Case("sha256, files of 1 MiB", "sha256", "files",
         ["--input-format", "files", "--with-input", "--arena-bytes", "256M"], [peer_sums("sha256sum")],
         check_text, True),
]
