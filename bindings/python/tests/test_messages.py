# SPDX-License-Identifier: Apache-2.0
"""What goes in comes out, in every way of sending and receiving."""

import array
import hashlib
import random
import time

import pytest
from conftest import sleep_message

import gpuqueue
from gpuqueue import Status


@pytest.mark.parametrize("size", [0, 1, 15, 16, 63, 64, 100, 128, 1023, 1024, 1025, 4096, 65536, 65537, 3000001])
def test_result_is_the_handlers(open_queue, size):
    payload = random.Random(size).randbytes(size)
    queue = open_queue("echo")
    assert queue.result(queue.enqueue(payload), timeout=60) == payload


def test_known_digests(open_queue):
    payloads = [b"", b"abc", b"x" * 1000, b"y" * 200000]
    queue = open_queue("sha256")
    ids = queue.enqueue_batch(payloads)
    assert [queue.result(id, timeout=60) for id in ids] == [hashlib.sha256(payload).digest() for payload in payloads]
    crc = open_queue("crc32c")
    assert crc.result(crc.enqueue(b"abc"), timeout=60).hex() == "364b3fb7"


@pytest.mark.parametrize(
    "payload",
    [b"abcdefgh", bytearray(b"abcdefgh"), memoryview(b"abcdefgh"), array.array("b", b"abcdefgh"),
     memoryview(b"0123abcdefgh")[4:], memoryview(array.array("H", [1, 2, 3]))],
    ids=lambda payload: type(payload).__name__,
)
def test_any_contiguous_buffer_is_a_message(open_queue, payload):
    queue = open_queue("echo")
    assert queue.result(queue.enqueue(payload), timeout=60) == bytes(payload)
    [id] = queue.enqueue_batch([payload])
    assert queue.result(id, timeout=60) == bytes(payload)


def test_a_sent_buffer_is_free_again(open_queue):
    queue = open_queue("echo")
    payload = bytearray(b"abc")
    id = queue.enqueue(payload)
    payload += b"d"  # a BufferError while it is exported
    assert queue.result(id, timeout=60) == b"abc"
    [id] = queue.enqueue_batch([payload])
    payload.clear()
    assert queue.result(id, timeout=60) == b"abcd"


def test_try_dequeue_result_tells_nothing_from_empty(open_queue):
    queue = open_queue("test_sleep")
    id = queue.enqueue(sleep_message(0.2))
    assert queue.try_dequeue_result(id) is None
    assert queue.result(id, timeout=60) == sleep_message(0.2)
    id = queue.enqueue(b"")
    queue.drain(timeout=60)
    assert queue.try_dequeue_result(id) == b""
    with pytest.raises(gpuqueue.UnknownId):
        queue.try_dequeue_result(id)


@pytest.mark.parametrize("size", [0, 10, 1500, 300000])
def test_completions_carry_what_was_sent(open_queue, size):
    queue = open_queue("echo")
    payload = bytes(size)
    id = queue.enqueue(payload, key=2**64 - 1, tag=7)
    [completion] = queue.wait(timeout=60)
    assert completion == (id, 7, 2**64 - 1, Status.OK, payload, 0, 1)
    assert completion.id == id and completion.tag == 7 and completion.key == 2**64 - 1
    assert completion.status is Status.OK and completion.data == payload and completion.attempts == 1
    assert queue.poll() == []
    with pytest.raises(gpuqueue.UnknownId):
        queue.result(id)


def test_poll_takes_at_most_max(open_queue):
    queue = open_queue("echo", capacity=1024, ordered=True)
    ids = queue.enqueue_batch((str(n).encode(), 0, n) for n in range(700))
    queue.drain(timeout=60)
    taken = queue.poll(3) + queue.poll(max=300) + queue.wait(1)
    assert len(taken) == 304
    taken += queue.poll(10**6)
    assert [completion.id for completion in taken] == ids
    assert [completion.tag for completion in taken] == list(range(700))
    assert [completion.data for completion in taken] == [str(n).encode() for n in range(700)]


def test_batches_of_any_length_and_item(open_queue):
    queue = open_queue("echo", capacity=4096)
    assert queue.enqueue_batch([]) == []
    ids = queue.enqueue_batch([b"a", (b"b",), (b"c", 5), (b"d", 6, 7)], key=1, tag=2)
    taken = {completion.id: completion for completion in drained(queue, 4)}
    assert [taken[id][1:3] for id in ids] == [(2, 1), (2, 1), (2, 5), (7, 6)]
    assert [taken[id].data for id in ids] == [b"a", b"b", b"c", b"d"]
    payloads = [bytes([n % 251]) * (n % 300) for n in range(1000)]
    ids = queue.enqueue_batch(payload for payload in payloads)
    assert len(set(ids)) == 1000
    assert [queue.result(id, timeout=60) for id in ids] == payloads


def drained(queue, count):
    taken = []
    while len(taken) < count:
        taken += queue.wait(timeout=60)
    return taken


def test_messages_of_one_key_finish_in_order(open_queue):
    queue = open_queue("test_sleep", workers=4)
    ids = queue.enqueue_batch([sleep_message(delay) for delay in (0.05, 0.02, 0.01, 0)], key=9)
    assert [completion.id for completion in drained(queue, 4)] == ids


def test_a_message_not_begun_can_be_cancelled(open_queue):
    queue = open_queue("test_sleep", workers=1)
    running = queue.enqueue(sleep_message(0.3), key=1)
    waiting = queue.enqueue(sleep_message(0), key=1)
    assert queue.cancel(waiting) is True
    with pytest.raises(gpuqueue.Cancelled):
        queue.result(waiting, timeout=60)
    assert queue.result(running, timeout=60) == sleep_message(0.3)
    finished = queue.enqueue(b"")
    queue.drain(timeout=60)
    assert queue.cancel(finished) is False
    assert queue.result(finished) == b""
    with pytest.raises(gpuqueue.UnknownId):
        queue.cancel(finished)


def test_stats_count_the_traffic(open_queue):
    queue = open_queue("test_fail", capacity=64, attempts=2)
    good = queue.enqueue(b"\xff\x01abc")  # asks for one retry
    bad = queue.enqueue(b"\xff\xff")
    assert queue.result(good, timeout=60) == b"\xff\x01abc"
    with pytest.raises(gpuqueue.Failed):
        queue.result(bad, timeout=60)
    stats = queue.stats()
    assert (stats["enqueued"], stats["completed"], stats["failed"], stats["dead_lettered"]) == (2, 1, 1, 1)
    assert (stats["retried"], stats["rejected_full"], stats["unread"]) == (2, 0, 0)
    assert (stats["bytes_in"], stats["bytes_out"]) == (7, 5)
    assert stats["host_bytes"] > 0
    assert set(stats["total"]) == {"samples", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"}
    assert stats["total"].keys() == stats["wait"].keys() == stats["handler"].keys() == stats["deliver"].keys()


def test_a_wait_for_room_is_refused_at_most_once(open_queue):
    queue = open_queue("echo", capacity=2)
    ids = [queue.enqueue(b"a"), queue.enqueue(b"b")]
    started = time.monotonic()
    with pytest.raises(gpuqueue.Full):
        queue.enqueue(b"c", timeout=0.35)  # longer than one slice
    assert 0.3 < time.monotonic() - started < 30
    assert queue.stats()["rejected_full"] == 1
    assert [queue.result(id) for id in ids] == [b"a", b"b"]
    assert queue.result(queue.enqueue(b"c"), timeout=60) == b"c"


def test_handlers_get_arguments_and_a_state(open_queue, tmp_path):
    queue = open_queue("test_context", args={"text": "x=1", "number": -2, "on": False})
    described = queue.result(queue.enqueue(b""), timeout=60)
    assert described[32:40] == (-2).to_bytes(8, "little", signed=True)
    assert described[56:64] == bytes(8) and described[72:] == b"x=1"
    weights = tmp_path / "weights"
    weights.write_bytes(b"0123456789")
    queue = open_queue("test_state", state=str(weights), state_bytes=16)
    assert queue.result(queue.enqueue(b""), timeout=60) == (16).to_bytes(8, "little") + b"0123456789" + bytes(6)
    with pytest.raises(gpuqueue.InvalidOption, match="no argument 'nummer'"):
        open_queue("test_context", args={"nummer": 1})
    with pytest.raises(gpuqueue.InvalidOption, match="needs a state"):
        open_queue("test_state")
    with pytest.raises(gpuqueue.Failed) as refused:
        open_queue("test_context", args={"refuse": 7})
    assert refused.value.code == 7


def test_a_handler_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "twice.cu"
    source.write_text("""
#include <gpuqueue/handler.h>
GQ_HANDLER(twice, GQ_NO_ARGS, GQ_SUMMARY("twice the size") GQ_SCOPES(thread) GQ_OUTPUT(text) GQ_RESULT(0, 20))
{
  gq_reply_decimal(ctx, reply, TIMES * (uint64_t)msg->size);
  return 0;
}
""")
    for how in ("compiled", "from the cache"):
        with gpuqueue.Queue(str(source), backend="cpu", handler_flags="-DTIMES=2") as queue:
            assert queue.result(queue.enqueue(b"abc")) == b"6"
            assert queue.describe.endswith("handler twice " + how)
    with pytest.raises(gpuqueue.BadHandler, match=r"twice.cu:5:.*TIMES"):
        gpuqueue.Queue(str(source), backend="cpu")
