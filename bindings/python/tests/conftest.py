# SPDX-License-Identifier: Apache-2.0
"""Every test that takes the fixture open_queue runs once on each backend of GPUQUEUE_TEST_BACKENDS (default: cpu). A
backend that cannot run here is skipped, with the reason, unless GPUQUEUE_TEST_REQUIRE names it: then it fails."""

import faulthandler
import os
import struct

import pytest

BACKENDS = os.environ.pop("GPUQUEUE_TEST_BACKENDS", "cpu").replace(",", " ").split()
REQUIRED = os.environ.pop("GPUQUEUE_TEST_REQUIRE", "").replace(",", " ").split()
for name in [name for name in os.environ if name.startswith("GPUQUEUE_")]:
    del os.environ[name]  # options of the caller's own queues

import gpuqueue  # noqa: E402  (reads the environment)

LONGEST_TEST_SECONDS = 120


def sleep_message(seconds):
    """What makes the handler test_sleep take so long. It gives the message back."""
    return struct.pack("<I", int(seconds * 1e6))


@pytest.fixture(autouse=True)
def nothing_hangs():
    faulthandler.dump_traceback_later(LONGEST_TEST_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=sorted({*BACKENDS, *REQUIRED}))
def backend(request):
    info = gpuqueue.info()
    if not info[request.param + "_usable"]:
        reason = f"{request.param}: {info[request.param + '_reason']}"
        if request.param in REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return request.param


@pytest.fixture
def open_queue(backend):
    """Opens queues on the backend and ends, without waiting, those that the test has left open."""
    opened = []

    def open_one(handler="echo", **options):
        options.setdefault("workers", 2)
        queue = gpuqueue.Queue(handler, backend=backend, **options)
        opened.append(queue)
        return queue

    yield open_one
    for queue in opened:
        if not queue.closed:
            try:
                queue.shutdown(timeout=0)
            except gpuqueue.Timeout:
                pass
