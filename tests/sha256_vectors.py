#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/sha256_vectors.h: what Python's hashlib says about inputs that tests/test_handlers.c makes again.

    python3 tests/sha256_vectors.py > tests/sha256_vectors.h

Input n is the first n bytes of one xorshift32 sequence, for every n from 0 to 1000. Of each digest the first 8 bytes
are kept: enough to tell a wrong one. Then the lengths of a few large inputs with whole digests."""
import hashlib

LARGE = (4095, 65536, 1000003)


def stream(count):
    x, out = 0x12345678, bytearray()
    while len(out) < count:
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        out.append(x >> 24)
    return bytes(out)


data = stream(max(LARGE))
print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Made by tests/sha256_vectors.py with hashlib; do not edit. */")
print("static const char *const sha256_of_size[1001] = {")
for first in range(0, 1001, 5):
    row = [hashlib.sha256(data[:n]).hexdigest()[:16] for n in range(first, min(first + 5, 1001))]
    print("  " + ", ".join(f'"{digest}"' for digest in row) + ",")
print("};")
print("static const struct { uint32_t size; const char *digest; } sha256_of_large[] = {")
for n in LARGE:
    print(f'  {{ {n}, "{hashlib.sha256(data[:n]).hexdigest()}" }},')
print("};")
