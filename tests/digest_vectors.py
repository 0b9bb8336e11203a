#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/digest_vectors.h: what other people's libraries say about inputs that tests/test_hashes.c makes again.

    pip install blake3 xxhash
    python3 tests/digest_vectors.py > tests/digest_vectors.h

Input n is the first n bytes of one xorshift32 sequence, for every n from 0 to 600, of which the first 4 bytes of each
digest are kept: enough to tell a wrong one. Then the lengths of a few large inputs with whole digests."""
import hashlib

import blake3
import xxhash

LARGE = (1023, 1024, 1025, 2048, 2049, 3073, 4095, 4096, 8193, 31744, 65536, 102400, 262143, 262144, 262145, 524289,
         1000003)
SEED = 2654435761


def stream(count):
    x, out = 0x12345678, bytearray()
    while len(out) < count:
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        out.append(x >> 24)
    return bytes(out)


DIGESTS = {
    "sha512": lambda data: hashlib.sha512(data).hexdigest(),
    "xxh64": lambda data: xxhash.xxh64(data).hexdigest(),
    "xxh64_seeded": lambda data: xxhash.xxh64(data, seed=SEED).hexdigest(),
    "blake3": lambda data: blake3.blake3(data).hexdigest(),
}

data = stream(max(LARGE))
print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Made by tests/digest_vectors.py with hashlib, xxhash and blake3; do not edit. */")
print("#include <stdint.h>")
for name, digest in DIGESTS.items():
    print(f"static const uint32_t {name}_of_size[601] = {{")
    for first in range(0, 601, 8):
        row = [digest(data[:n])[:8] for n in range(first, min(first + 8, 601))]
        print("  " + ", ".join(f"0x{start}" for start in row) + ",")
    print("};")
print(f"#define LARGE_SIZES {len(LARGE)}")
print("static const uint32_t large_size[LARGE_SIZES] = {")
print("  " + ", ".join(map(str, LARGE)) + "\n};")
for name, digest in DIGESTS.items():
    print(f"static const char *const {name}_of_large[LARGE_SIZES] = {{")
    for n in LARGE:
        text = digest(data[:n])
        print("  " + "\n  ".join(f'"{text[i:i + 64]}"' for i in range(0, len(text), 64)) + ",")
    print("};")
