# SPDX-License-Identifier: Apache-2.0
"""Every error is an exception of its own class that says what was wrong."""

import math
import pickle
import time

import pytest
from conftest import sleep_message

import gpuqueue
from gpuqueue import Status


def test_classes_are_the_built_in_ones_too():
    assert issubclass(gpuqueue.Timeout, TimeoutError)
    assert issubclass(gpuqueue.UnknownId, KeyError)
    assert issubclass(gpuqueue.TooLarge, ValueError)
    assert issubclass(gpuqueue.InvalidOption, ValueError)
    assert issubclass(gpuqueue.UnknownOption, (gpuqueue.InvalidOption, TypeError))
    assert issubclass(gpuqueue.NoMemory, MemoryError)
    assert issubclass(gpuqueue.SystemCallFailed, OSError)
    for name in gpuqueue.__all__:
        thing = getattr(gpuqueue, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            assert issubclass(thing, gpuqueue.Error)
            assert str(thing("why")) == "why"
            assert type(pickle.loads(pickle.dumps(thing("why")))) is thing
    assert gpuqueue.Full.status is Status.FULL
    assert gpuqueue.Error.status is None


def test_unknown_keyword_is_named_with_the_known_ones():
    for known in (TypeError, gpuqueue.InvalidOption):
        with pytest.raises(known, match="'capasity'.*capacity.*timeout_ms"):
            gpuqueue.Queue(backend="cpu", capasity=5)


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"capacity": 1}, gpuqueue.InvalidOption, "capacity.*1.*2 to 1048576"),
        ({"capacity": -5}, gpuqueue.InvalidOption, "capacity.*-5"),
        ({"capacity": "many"}, gpuqueue.InvalidOption, "capacity.*many"),
        ({"capacity": 2**80}, gpuqueue.InvalidOption, "capacity"),
        ({"capacity": 1.5}, TypeError, "capacity.*float"),
        ({"cell_bytes": 100}, gpuqueue.InvalidOption, "cell_bytes.*100.*64, 128, 256 or 512"),
        ({"backend": "tpu"}, gpuqueue.InvalidOption, "backend.*tpu.*auto, cuda, cpu"),
        ({"handler": "nosuch"}, gpuqueue.NoHandler, "nosuch.*echo"),
        ({"handler": "sha256", "scope": "block"}, gpuqueue.NoHandler, "sha256.*block"),
        ({"handler": "ec\0ho"}, ValueError, "handler.*null"),
        ({"handler": b"echo"}, TypeError, "handler.*bytes"),
        ({"args": ["a=b"]}, TypeError, "args.*dict.*list"),
        ({"args": {1: 2}}, TypeError, "args.*str keys"),
        ({"args": {"level": 5}}, gpuqueue.InvalidOption, "echo.*level=5"),
    ],
)
def test_bad_option_is_refused(options, error, text):
    with pytest.raises(error, match=text):
        gpuqueue.Queue(**{"backend": "cpu", **options})


def test_handler_is_the_only_positional_argument():
    with pytest.raises(TypeError, match="positional"):
        gpuqueue.Queue("echo", "cpu")
    with pytest.raises(TypeError, match="multiple values.*handler"):
        gpuqueue.Queue("echo", handler="echo")


def test_bad_environment_is_refused(monkeypatch):
    monkeypatch.setenv("GPUQUEUE_CAPACITY", "lots")
    with pytest.raises(gpuqueue.InvalidOption, match="lots"):
        gpuqueue.Queue(backend="cpu")


def test_cuda_that_cannot_run_is_refused():
    if gpuqueue.info()["cuda_usable"]:
        with pytest.raises(gpuqueue.NoDevice):
            gpuqueue.Queue(backend="cuda", device=1000)
    else:
        with pytest.raises(gpuqueue.NoBackend) as caught:
            gpuqueue.Queue(backend="cuda")
        assert len(str(caught.value)) > 10


@pytest.mark.parametrize(
    "message, error, text",
    [
        ("text", TypeError, "bytes-like.*str"),
        (5, TypeError, "bytes-like.*int"),
        (None, TypeError, "bytes-like.*NoneType"),
        (memoryview(b"abcdef")[::2], BufferError, "contiguous"),
    ],
)
def test_bad_message_is_refused(open_queue, message, error, text):
    queue = open_queue()
    with pytest.raises(error, match=text):
        queue.enqueue(message)
    with pytest.raises(error, match=text) as caught:
        queue.enqueue_batch([b"good"] * 3 + [message])
    assert caught.value.ids == []
    assert queue.stats()["enqueued"] == 0


def test_one_message_is_no_batch(open_queue):
    for message in (b"abc", "abc", memoryview(b"abc")):
        with pytest.raises(TypeError, match="iterable of messages"):
            open_queue().enqueue_batch(message)
    with pytest.raises(TypeError, match="tuple of 4"):
        open_queue().enqueue_batch([(b"", 1, 2, 3)])
    with pytest.raises(TypeError, match="int"):
        open_queue().enqueue_batch(5)


@pytest.mark.parametrize(
    "keywords, error, text",
    [
        ({"key": -1}, OverflowError, "key.*-1"),
        ({"tag": 2**64}, OverflowError, "tag.*18446744073709551616"),
        ({"key": "a"}, TypeError, "key.*int.*str"),
        ({"key": 1.0}, TypeError, "key.*int.*float"),
        ({"timeout": "1"}, TypeError, "timeout.*str"),
        ({"timeout": -1}, ValueError, "timeout.*-1"),
        ({"timeout": math.nan}, ValueError, "timeout.*nan"),
        ({"result_bytes": 2**40}, gpuqueue.InvalidOption, "result_bytes"),
        ({"colour": 1}, TypeError, "colour"),
    ],
)
def test_bad_keyword_is_refused(open_queue, keywords, error, text):
    with pytest.raises(error, match=text):
        open_queue().enqueue(b"", **keywords)


def test_missing_and_surplus_arguments(open_queue):
    queue = open_queue()
    with pytest.raises(TypeError, match="data"):
        queue.enqueue()
    with pytest.raises(TypeError, match="positional"):
        queue.enqueue(b"", 1)
    with pytest.raises(TypeError, match="multiple values"):
        queue.enqueue(b"", data=b"")
    with pytest.raises(TypeError, match="id"):
        queue.result(timeout=1)
    for bad in (0, -1):
        with pytest.raises((ValueError, OverflowError), match="max"):
            queue.poll(bad)


def test_too_large(open_queue):
    queue = open_queue(max_message_bytes=1000)
    with pytest.raises(gpuqueue.TooLarge, match="1001.*1000"):
        queue.enqueue(bytes(1001))
    with pytest.raises(ValueError) as caught:
        queue.enqueue_batch([b"first", bytes(1001), b"third"])
    assert [queue.result(id, timeout=60) for id in caught.value.ids] == [b"first"]


def test_full_batch_says_what_was_sent(open_queue):
    queue = open_queue(capacity=4)
    with pytest.raises(gpuqueue.Full) as caught:
        queue.enqueue_batch([b"%d" % n for n in range(300)], timeout=0)
    assert [queue.result(id, timeout=60) for id in caught.value.ids] == [b"0", b"1", b"2", b"3"]


def test_error_of_the_iterator_says_what_was_sent(open_queue):
    def messages():
        yield from (b"x" for _ in range(200))
        raise ArithmeticError("enough")

    queue = open_queue(capacity=1024)
    with pytest.raises(ArithmeticError, match="enough") as caught:
        queue.enqueue_batch(messages())
    assert len(caught.value.ids) == queue.stats()["enqueued"]
    assert all(queue.result(id, timeout=60) == b"x" for id in caught.value.ids)


def test_failed_has_code_and_attempts(open_queue):
    queue = open_queue("test_fail", attempts=3)
    with pytest.raises(gpuqueue.Failed) as caught:
        queue.result(queue.enqueue(b"\x2a\xff"), timeout=60)
    assert (caught.value.code, caught.value.attempts) == (42, 1)
    with pytest.raises(gpuqueue.Failed) as caught:
        queue.result(queue.enqueue(b"\xff\xff"), timeout=60)  # asks for a retry each time
    assert (caught.value.code, caught.value.attempts) == (-1, 3)
    queue.enqueue(b"\x2a\xff", tag=5)
    [completion] = queue.wait(timeout=60)
    assert (completion.status, completion.tag, completion.code, completion.attempts) == (Status.FAILED, 5, 42, 1)
    assert completion.data is None


def test_result_too_large(open_queue):
    queue = open_queue("test_grow")
    with pytest.raises(gpuqueue.ResultTooLarge):
        queue.result(queue.enqueue(b"abc"), timeout=60)
    queue.enqueue(b"abc")
    assert queue.wait(timeout=60)[0].status is Status.RESULT_TOO_LARGE


def test_unknown_ids(open_queue):
    queue = open_queue()
    taken = queue.enqueue(b"abc")
    queue.result(taken, timeout=60)
    for id in (taken, 0, taken + 1, 2**64 - 1):
        for call in (queue.result, queue.try_dequeue_result, queue.cancel):
            with pytest.raises(gpuqueue.UnknownId, match="^no message"):
                call(id)
    with pytest.raises(OverflowError):
        queue.result(-1)
    with pytest.raises(TypeError):
        queue.result("1")


def test_timeouts_are_kept(open_queue):
    queue = open_queue("test_sleep")
    id = queue.enqueue(sleep_message(1.5))
    for call in (lambda limit: queue.result(id, limit), lambda limit: queue.wait(timeout=limit), queue.drain):
        for limit in (0, 0.05, 0.25):
            started = time.monotonic()
            with pytest.raises(gpuqueue.Timeout, match=f"{limit} s"):
                call(limit)
            assert limit <= time.monotonic() - started < limit + 5
    assert queue.result(id, timeout=math.inf) == sleep_message(1.5)


def test_none_is_the_queues_own_timeout(open_queue):
    queue = open_queue("test_sleep", timeout_ms=50)
    id = queue.enqueue(sleep_message(1))
    with pytest.raises(gpuqueue.Timeout, match="0.05 s"):
        queue.result(id)
    assert queue.result(id, timeout=60) == sleep_message(1)
