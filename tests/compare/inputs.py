# SPDX-License-Identifier: Apache-2.0
"""The messages: from one seed, the same in every run of the same size, each set in a file and in memory."""
import numpy as np

from work import shared

ALPHABET = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz  etaoin,.", np.uint8)
LINE = 64
RECORD = 1 << 20
VECTOR = 4096
WIDTHS = (784, 128, 10)


class Input:
    """`data` holds what is in the file `path`; `count` messages of `size` bytes (0: they differ)."""

    def __init__(self, directory, name, data, count, size, is_one_file=True):
        self.path, self.data, self.count, self.size = "%s/%s" % (directory, name), data, count, size
        self.bytes = data.nbytes
        if is_one_file:
            data.tofile(self.path)


def keep(array):
    """In memory that forked processes see without copying it."""
    kept = shared(array.shape, array.dtype)
    kept[...] = array
    return kept


class Inputs:
    def __init__(self, directory, scale):
        self.directory, self.scale, self.made = directory, scale, {}

    def get(self, name):
        if name not in self.made:
            self.made[name] = getattr(self, name)()
        return self.made[name]

    def count(self, most):
        return max(8, int(most * self.scale))

    def random(self, name):
        return np.random.default_rng([20261122, *name.encode()])

    def lines(self):
        """2,000,000 lines of 64 characters."""
        count = self.count(2000000)
        data = np.full((count, LINE + 1), ord("\n"), np.uint8)
        data[:, :LINE] = ALPHABET[self.random("lines").integers(0, ALPHABET.size, (count, LINE), np.uint8)]
        return Input(self.directory, "lines", keep(data), count, LINE)

    def twice(self):
        """The first half of the lines, two times: every line of the second half was there before, far away."""
        half = self.get("lines").data[: self.get("lines").count // 2]
        return Input(self.directory, "twice", np.concatenate([half, half]), 2 * half.shape[0], LINE)

    def records(self):
        """200 pieces of 1 MiB of random bytes."""
        count = self.count(200)
        data = np.frombuffer(self.random("records").bytes(count * RECORD), np.uint8).reshape(count, RECORD)
        return Input(self.directory, "records", keep(data), count, RECORD)

    def vectors(self):
        """50,000 vectors of 1024 float32."""
        count = self.count(50000)
        data = self.random("vectors").standard_normal((count, VECTOR // 4), np.float32).astype("<f4")
        return Input(self.directory, "vectors", keep(data), count, VECTOR)

    def options(self):
        """2,000,000 records of 6 doubles: half of them calls, half puts."""
        count, random = self.count(2000000), self.random("options")
        data = np.empty((count, 6), "<f8")
        data[:, 0] = random.integers(0, 2, count)
        data[:, 1] = random.uniform(1, 500, count)
        data[:, 2] = data[:, 1] * random.uniform(0.5, 2, count)
        data[:, 3] = random.uniform(-0.05, 0.15, count)
        data[:, 4] = random.uniform(0.05, 1, count)
        data[:, 5] = random.uniform(0.05, 5, count)
        return Input(self.directory, "options", keep(data), count, 48)

    def option_lines(self):
        """A quarter as many options, as text."""
        values = self.get("options").data[: self.count(500000)]
        kinds = ("call", "put")
        text = "".join("%s,%.2f,%.2f,%.4f,%.4f,%.4f\n" % (kinds[row[0] != 0], *row[1:]) for row in values.tolist())
        return Input(self.directory, "option_lines", keep(np.frombuffer(text.encode(), np.uint8)), len(values), 0)

    def images(self):
        """20,000 vectors of 784 float32, the inputs of a network, and its weights, in the file `weights`."""
        count, random = self.count(20000), self.random("images")
        data = random.standard_normal((count, WIDTHS[0]), np.float32).astype("<f4")
        made = Input(self.directory, "images", keep(data), count, WIDTHS[0] * 4)
        shapes = (WIDTHS[:2], WIDTHS[1:2], WIDTHS[1:], WIDTHS[2:])
        made.weights = [(random.standard_normal(shape, np.float32) / 20).astype("<f4") for shape in shapes]
        with open(self.directory + "/weights", "wb") as file:
            file.write(b"GQNN" + np.array([1, 2, *WIDTHS], "<u4").tobytes())
            file.write(b"".join(array.tobytes() for array in made.weights))
        return made

    def files(self):
        """The records, a file each."""
        records = self.get("records")
        made = Input(self.directory, "file", records.data, records.count, RECORD, is_one_file=False)
        made.files = ["%s%05d" % (made.path, number) for number in range(records.count)]
        for name, row in zip(made.files, records.data):
            row.tofile(name)
        return made
