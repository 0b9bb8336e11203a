# SPDX-License-Identifier: Apache-2.0
"""A wait lets other threads run, and ends when a signal or a shutdown says so."""

import asyncio
import os
import select
import signal
import threading
import time

import pytest
from conftest import sleep_message

import gpuqueue

SOON = 5.0  # far above a slice, far below what the waits below would take


class Interrupted(Exception):
    pass


@pytest.fixture
def alarm():
    """Sends this thread a signal after some time, with a handler of the test's."""

    def set_alarm(seconds, handler):
        signal.signal(signal.SIGALRM, lambda number, frame: handler())
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.getsignal(signal.SIGALRM)
    yield set_alarm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt():
    raise Interrupted


def waits(queue, id):
    """One of each call that waits, for a queue where it would wait until a handler ends."""
    return {
        "result": lambda: queue.result(id),
        "wait": lambda: queue.wait(),
        "drain": lambda: queue.drain(),
        "enqueue": lambda: queue.enqueue(b""),
        "enqueue_batch": lambda: queue.enqueue_batch([b""]),
    }


WAITS = ["result", "wait", "drain", "enqueue", "enqueue_batch"]


@pytest.fixture
def busy(open_queue):
    """A full queue whose handlers go on for 1.5 s: 15 slices, and short enough for a shutdown to see them end."""
    queue = open_queue("test_sleep", capacity=2)
    ids = [queue.enqueue(sleep_message(1.5)) for _ in range(2)]
    return queue, ids[0]


@pytest.mark.parametrize("call", WAITS)
def test_signal_ends_a_wait(busy, alarm, call):
    queue, id = busy
    started = time.monotonic()
    alarm(0.15, interrupt)
    with pytest.raises(Interrupted):
        waits(queue, id)[call]()
    assert time.monotonic() - started < 1.2


@pytest.fixture
def heeded_sigint():
    """SIGINT as Python sets it up, which it does not where the shell started it in the background, ignoring SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_sigint")
def test_ctrl_c_is_a_keyboard_interrupt(busy):
    queue, id = busy
    threading.Timer(0.1, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        queue.result(id)


def test_interrupted_batch_says_what_was_sent(open_queue, alarm):
    queue = open_queue(capacity=4)
    alarm(0.15, interrupt)
    with pytest.raises(Interrupted) as caught:
        queue.enqueue_batch(b"%d" % n for n in range(10))
    assert [queue.result(id) for id in caught.value.ids] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("call", WAITS)
def test_shutdown_ends_waits_of_other_threads(busy, call):
    queue, id = busy
    errors = []

    def waiter():
        try:
            waits(queue, id)[call]()
        except gpuqueue.Error as error:
            errors.append(type(error))

    threads = [threading.Thread(target=waiter) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    started = time.monotonic()
    with pytest.raises((gpuqueue.Timeout, gpuqueue.DeviceLost)):  # which, is up to how soon the handlers end
        queue.shutdown(timeout=0)
    for thread in threads:
        thread.join(SOON)
    assert errors == [gpuqueue.ShutDown] * 3
    assert time.monotonic() - started < SOON


def test_shutdown_can_be_called_by_a_signal_handler(open_queue, alarm):
    queue = open_queue("test_sleep")
    alarm(0.15, lambda: queue.shutdown(0))
    with pytest.raises(gpuqueue.ShutDown):
        queue.wait()
    assert queue.closed


def test_interrupted_shutdown_ends_the_queue(busy, alarm):
    queue, id = busy
    alarm(0.15, interrupt)
    started = time.monotonic()
    with pytest.raises(Interrupted):
        queue.shutdown(timeout=60)
    assert queue.closed and time.monotonic() - started < SOON
    with pytest.raises(gpuqueue.ShutDown):
        queue.result(id)


def test_signal_handler_may_shut_down_during_shutdown(busy, alarm):
    queue, _ = busy
    alarm(0.15, lambda: queue.shutdown(0))
    queue.shutdown(timeout=60)
    assert queue.closed


def test_other_threads_run_during_a_wait(open_queue):
    queue = open_queue("test_sleep")
    id = queue.enqueue(sleep_message(0.5))
    turns = []
    stop = threading.Event()

    def count():
        while not stop.is_set():
            turns.append(None)
            time.sleep(0.01)

    thread = threading.Thread(target=count)
    thread.start()
    queue.result(id, timeout=60)
    stop.set()
    thread.join()
    assert len(turns) > 10


def test_many_threads_share_a_queue(open_queue):
    queue = open_queue("echo", capacity=64)
    wrong = []

    def work(number):
        for turn in range(200):
            payload = b"%d %d " % (number, turn) * (turn % 40)
            if queue.result(queue.enqueue(payload, timeout=60), timeout=60) != payload:
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert queue.stats()["completed"] == 1600


def test_threads_race_for_completions_and_shutdown(open_queue):
    for turn in range(10):
        queue = open_queue("echo", capacity=64)
        problems = []

        def use(queue=queue, problems=problems):
            try:
                while True:
                    queue.enqueue_batch([b"a", bytes(70000)], timeout=0.01)
                    queue.poll(2)
                    queue.stats()
            except gpuqueue.ShutDown:
                pass
            except gpuqueue.Full:
                pass
            except BaseException as problem:  # noqa: B902  (a thread's exception is lost otherwise)
                problems.append(problem)

        def close(queue=queue, problems=problems):
            try:
                queue.shutdown()
            except BaseException as problem:  # noqa: B902
                problems.append(problem)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.005 * turn)
        closers = [threading.Thread(target=close) for _ in range(2)]
        for thread in closers:
            thread.start()
        for thread in threads + closers:
            thread.join(30)
            assert not thread.is_alive()
        assert queue.closed and not problems


def readable(queue, seconds):
    return bool(select.select([queue], [], [], seconds)[0])


def test_descriptor_is_readable_while_completions_are_there(open_queue):
    queue = open_queue("test_sleep", capacity=64)
    assert queue.fileno() == queue.fileno()
    assert not readable(queue, 0.05)
    queue.enqueue_batch([sleep_message(0.05)] * 5)
    assert readable(queue, SOON)
    taken = queue.poll(1)
    while len(taken) < 5:  # level-triggered: what was left or came later shows again
        assert readable(queue, SOON)
        taken += queue.poll(1)
    stale = 0
    while readable(queue, 0.05):  # once at most for each completion, if the library looked before we took it
        assert queue.poll() == []
        stale += 1
        assert stale <= 5
    queue.enqueue(b"")
    assert readable(queue, SOON)
    assert len(queue.wait(timeout=60)) == 1


def test_user_may_read_the_descriptor(open_queue):
    queue = open_queue()
    queue.fileno()
    queue.enqueue(b"abc")
    assert readable(queue, SOON)
    assert len(os.read(queue.fileno(), 8)) == 8
    assert [completion.data for completion in queue.wait(timeout=60)] == [b"abc"]


def test_asyncio(open_queue):
    queue = open_queue("sha256", capacity=64)

    async def main():
        loop = asyncio.get_running_loop()
        pending = {}

        def completed():
            for completion in queue.poll():
                pending.pop(completion.id).set_result(completion.data)

        loop.add_reader(queue, completed)
        try:
            for _ in range(50):
                pending[queue.enqueue(b"abc")] = loop.create_future()
            return await asyncio.wait_for(asyncio.gather(*pending.values()), 60)
        finally:
            loop.remove_reader(queue)

    digests = asyncio.run(main())
    assert len(digests) == 50 and {digest.hex()[:8] for digest in digests} == {"ba7816bf"}
