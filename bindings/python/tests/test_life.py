# SPDX-License-Identifier: Apache-2.0
"""A queue's life: opening, ending, and every wrong time to use it."""

import gc
import os
import resource
import subprocess
import sys
import textwrap
import time
import warnings
import weakref

import pytest
from conftest import sleep_message

import gpuqueue

USES = {
    "enqueue": lambda queue: queue.enqueue(b""),
    "enqueue_batch": lambda queue: queue.enqueue_batch([b""]),
    "try_dequeue_result": lambda queue: queue.try_dequeue_result(1),
    "result": lambda queue: queue.result(1),
    "poll": lambda queue: queue.poll(),
    "wait": lambda queue: queue.wait(),
    "cancel": lambda queue: queue.cancel(1),
    "drain": lambda queue: queue.drain(),
    "stats": lambda queue: queue.stats(),
    "fileno": lambda queue: queue.fileno(),
    "__enter__": lambda queue: queue.__enter__(),
}


def run_python(program, *arguments):
    """Run a program of its own; its stderr is part of the failure."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    return subprocess.run([sys.executable, *arguments, "-c", textwrap.dedent(program)], env=environment, timeout=100,
                          capture_output=True, text=True)


def test_context_manager_finishes_and_ends(open_queue):
    with open_queue("test_sleep") as queue:
        assert not queue.closed
        queue.enqueue(sleep_message(0.2))
        started = time.monotonic()
    assert queue.closed
    assert time.monotonic() - started > 0.15  # what was accepted was finished


def test_exception_leaves_the_context_at_once(open_queue):
    started = time.monotonic()
    with pytest.raises(ArithmeticError):
        with open_queue("test_sleep") as queue:
            queue.enqueue_batch([sleep_message(1)] * 20)
            raise ArithmeticError
    assert queue.closed
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("use", USES)
def test_use_after_shutdown(open_queue, use):
    queue = open_queue()
    queue.enqueue(b"abc")
    queue.shutdown()
    with pytest.raises(gpuqueue.ShutDown):
        USES[use](queue)


@pytest.mark.parametrize("use", USES)
def test_use_before_init(use):
    queue = gpuqueue.Queue.__new__(gpuqueue.Queue)
    with pytest.raises(gpuqueue.ShutDown, match="not open"):
        USES[use](queue)
    assert queue.describe is None and "not open" in repr(queue)
    queue.shutdown()


def test_shutdown_again_does_nothing(open_queue):
    queue = open_queue()
    queue.shutdown()
    queue.shutdown(timeout=0)
    with pytest.raises(gpuqueue.ShutDown):
        with queue:
            pass
    assert "shut down" in repr(queue)


def test_shutdown_says_what_it_gave_up(open_queue):
    queue = open_queue("test_sleep")
    queue.enqueue_batch([sleep_message(0.5)] * 8)
    with pytest.raises(gpuqueue.Timeout, match="given up.*0.05 s"):
        queue.shutdown(timeout=0.05)
    assert queue.closed


def test_shutdown_does_not_wait_for_a_stuck_handler(backend):
    result = run_python(f"""
        import gpuqueue
        queue = gpuqueue.Queue("test_stuck", backend={backend!r}, workers=1)
        queue.enqueue(b"")
        try:
            queue.shutdown(timeout=0.2)
        except (gpuqueue.DeviceLost, gpuqueue.Timeout) as error:
            print(type(error).__name__, queue.closed)
    """)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout in ("DeviceLost True\n", "Timeout True\n")


def test_a_queue_opens_once(open_queue):
    queue = open_queue()
    with pytest.raises(gpuqueue.InvalidOption, match="opened before"):
        queue.__init__()
    assert queue.result(queue.enqueue(b"abc"), timeout=60) == b"abc"
    queue.shutdown()
    with pytest.raises(gpuqueue.InvalidOption, match="opened before"):
        queue.__init__()


def test_a_failed_open_can_be_repeated():
    queue = gpuqueue.Queue.__new__(gpuqueue.Queue)
    with pytest.raises(gpuqueue.InvalidOption):
        queue.__init__(backend="cpu", capacity=1)
    queue.__init__(backend="cpu", capacity=2)
    queue.shutdown()


def test_describe_outlives_the_queue(open_queue, backend):
    queue = open_queue()
    text = queue.describe
    assert text.startswith(backend + ": ") and queue.backend == backend and text in repr(queue)
    queue.shutdown()
    assert queue.describe == text and queue.backend == backend


def test_auto_takes_what_can_run():
    with gpuqueue.Queue() as queue:
        assert queue.backend == ("cuda" if gpuqueue.info()["cuda_usable"] else "cpu")


def test_forgotten_queue_is_shut_down_with_a_warning(open_queue, backend):
    queue = gpuqueue.Queue("test_sleep", backend=backend, workers=2)
    queue.enqueue_batch([sleep_message(0.3)] * 4)
    with pytest.warns(ResourceWarning, match="unclosed <gpuqueue.Queue"):
        del queue
        gc.collect()


def test_forgotten_queue_warned_about_as_an_error_is_shut_down_too(backend):
    result = run_python(f"""
        import gpuqueue
        gpuqueue.Queue(backend={backend!r})
        print("went on")
    """, "-X", "dev", "-W", "error")
    assert result.returncode == 0 and result.stdout == "went on\n"
    assert "ResourceWarning" in result.stderr


def test_global_queue_at_exit(backend):
    result = run_python(f"""
        import gpuqueue, threading
        queue = gpuqueue.Queue("test_sleep", backend={backend!r})
        queue.enqueue(b"\\x00\\x00\\x10\\x00")
        threading.Thread(target=queue.wait, daemon=True).start()
    """)
    assert (result.returncode, result.stderr) == (0, "")


def test_subclass(backend):
    class Counting(gpuqueue.Queue):
        def __init__(self, **options):
            super().__init__(backend=backend, **options)
            self.sent = 0

        def enqueue(self, data, **keywords):
            self.sent += 1
            return super().enqueue(data, **keywords)

    with Counting(capacity=8) as queue:
        assert queue.result(queue.enqueue(b"abc"), timeout=60) == b"abc"
        assert queue.sent == 1
        queue.me = queue  # a cycle
        watcher = weakref.ref(queue)
    del queue
    gc.collect()
    assert watcher() is None


@pytest.mark.skipif(sys.version_info < (3, 9), reason="waitstatus_to_exitcode")
def test_forked_child_is_refused(open_queue):
    queue = open_queue()
    id = queue.enqueue(b"abc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        child = os.fork()
    if child == 0:
        refused = 0
        for use in [*USES.values(), lambda queue: queue.shutdown(), lambda queue: queue.shutdown(0)]:
            try:
                use(queue)
            except gpuqueue.WrongProcess as error:
                refused += str(os.getppid()) in str(error)
        queue.__exit__(None, None, None)
        os._exit(0 if refused == len(USES) + 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert queue.result(id, timeout=60) == b"abc"


def test_forked_child_leaves_the_queue_to_its_parent(backend):
    result = run_python(f"""
        import gpuqueue, os, sys
        with gpuqueue.Queue(backend={backend!r}) as queue:
            child = os.fork()
            if child == 0:
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert queue.result(queue.enqueue(b"abc"), timeout=60) == b"abc"
    """, "-W", "ignore")
    assert (result.returncode, result.stderr) == (0, "")


def used_once(queue):
    ids = queue.enqueue_batch([b"a" * 10, (bytearray(100000), 1, 2)])
    for id in ids:
        queue.result(id, timeout=60)
    queue.enqueue(b"abc", key=3)
    queue.wait(timeout=60)
    queue.stats()
    for bad in (lambda: queue.enqueue("text"), lambda: queue.result(0), lambda: queue.enqueue_batch([b"", 5]),
                lambda: gpuqueue.Queue(nosuch=5), lambda: gpuqueue.Queue(backend="cpu", capacity=1),
                lambda: gpuqueue.Queue(args={"a": 1}, backend="cpu")):
        try:
            bad()
        except (gpuqueue.Error, TypeError):
            pass


def test_nothing_leaks(open_queue):
    queue = open_queue(capacity=8)
    payload = bytearray(100000)
    for _ in range(50):
        used_once(queue)
        queue.result(queue.enqueue(payload), timeout=60)
    gc.collect()
    blocks, before = sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    references = sys.getrefcount(payload), sys.getrefcount(gpuqueue.Status.OK), sys.getrefcount(gpuqueue.Error)
    for _ in range(1000):
        used_once(queue)
        queue.result(queue.enqueue(payload), timeout=60)
    gc.collect()
    # So many turns that what the interpreter keeps, up to some 120 blocks on a busy machine, is little beside a leak.
    assert sys.getallocatedblocks() - blocks < 250  # one block a turn would be 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10000  # KiB; one copy a turn would be 100000
    after = sys.getrefcount(payload), sys.getrefcount(gpuqueue.Status.OK), sys.getrefcount(gpuqueue.Error)
    assert after == references


def test_opening_and_ending_leaks_nothing(backend):
    def turn():
        with gpuqueue.Queue(backend=backend, capacity=8, workers=2) as queue:
            queue.fileno()
            queue.result(queue.enqueue(b"abc"), timeout=60)

    for _ in range(3):
        turn()
    gc.collect()
    blocks, descriptors = sys.getallocatedblocks(), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        turn()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 50
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_interpreter_that_imports_ends_clean():
    result = run_python("""
        import importlib, sys, gc
        import gpuqueue
        for name in [name for name in sys.modules if name.startswith("gpuqueue")]:
            del sys.modules[name]
        del gpuqueue
        gc.collect()
        import gpuqueue
        with gpuqueue.Queue(backend="cpu") as queue:
            assert queue.result(queue.enqueue(b"abc"), timeout=60) == b"abc"
    """, "-X", "dev")
    assert (result.returncode, result.stderr) == (0, "")
