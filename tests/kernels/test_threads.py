"""Work dealt out to threads: whatever becomes of them, it is done once and whole."""

from __future__ import annotations

import functools
import gc
import importlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

threads = importlib.import_module("tapenet.kernels.threads")


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three processors, work of any size, and threads of our own."""
    monkeypatch.setattr(threads, "processors", lambda: 3)
    monkeypatch.setattr(threads, "WORTH", 0)
    fresh = functools.cache(lambda: ThreadPoolExecutor(2))
    monkeypatch.setattr(threads, "_pool", fresh)
    yield fresh
    fresh().shutdown()


def counted(length: int) -> list[int]:
    """How often each place was worked on."""
    found = np.zeros(length, int)

    def work(first: int, last: int) -> None:
        time.sleep(1e-3)
        found[first:last] += 1

    threads.deal(work, length, 1)
    return found.tolist()


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10])
def test_each_part_is_done_once(length: int) -> None:
    assert counted(length) == [1] * length


@pytest.mark.parametrize(("cost", "dealt"), [(26_000_000, False), (50_000_000, True)])
def test_short_work_stays_with_the_caller(monkeypatch: pytest.MonkeyPatch, cost: int, dealt: bool) -> None:
    """The convolutions of a training step: the shorter ones took longer with two threads, the longer ones less."""
    monkeypatch.undo()
    monkeypatch.setattr(threads, "processors", lambda: 2)
    parts: list[tuple[int, int]] = []
    threads.deal(lambda *part: parts.append(part), 8, cost)
    assert sorted(parts) == ([(0, 4), (4, 8)] if dealt else [(0, 8)])


def test_several_callers_at_once() -> None:
    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(counted, [7] * 20)) == [[1] * 7] * 20


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_comes_when_nobody_writes_any_more(failing: int) -> None:
    at_work: set[int] = set()

    def work(first: int, last: int) -> None:
        at_work.add(first)
        try:
            if first == failing:
                raise MemoryError(str(first))
            time.sleep(0.02)
        finally:
            at_work.discard(first)

    with pytest.raises(MemoryError, match=str(failing)):
        threads.deal(work, 3, 1)
    assert not at_work


def test_without_threads_the_caller_does_it(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as m:
        m.setattr(threading.Thread, "start", refuse)
        assert counted(9) == [1] * 9
    assert counted(9) == [1] * 9
    pool().shutdown()
    assert counted(9) == [1] * 9


def test_a_part_is_done_once_where_a_second_thread_cannot_be_started(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first may come to a part whose handing over failed, and would write while nobody waits for it."""
    pool().submit(int).result()
    at_work: list[int] = []
    ended: list[int] = []

    def work(first: int, last: int) -> None:
        at_work.append(first)
        time.sleep(0.05)
        ended.append(first)

    def refuse(self: Any) -> None:
        while not at_work:  # the first thread is at work on the part that a second one was to be started for
            time.sleep(1e-3)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool()._idle_semaphore, "acquire", lambda timeout: False)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads.deal(work, 3, 1)
    assert sorted(at_work) == sorted(ended) == [0, 1, 2]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_is_held_by_nobody(failing: int) -> None:
    class Held(MemoryError):
        pass

    def work(first: int, last: int) -> None:
        time.sleep(0.01)
        if first == failing:
            raise Held

    def fails() -> weakref.ref[Held]:
        try:
            threads.deal(work, 3, 1)
        except Held as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        held = fails()
        threads.deal(lambda first, last: None, 3, 1)  # a thread of the pool lets go of what it did last
        for _ in range(1000):  # until the pool's threads have come round
            if held() is None:
                break
            time.sleep(0.01)
        assert held() is None
    finally:
        gc.enable()


def test_where_all_threads_are_busy_the_caller_does_it(pool: Any) -> None:
    free = threading.Event()
    busy = [pool().submit(free.wait, 10) for _ in range(2)]
    try:
        assert counted(9) == [1] * 9
        assert not any(other.done() for other in busy)
    finally:
        free.set()


def shared() -> bool:
    """Whether more than one thread has a part in the work, each place of which is worked on once."""
    seen = set()

    def work(first: int, last: int) -> None:
        seen.add(threading.get_ident())
        time.sleep(0.1)

    threads.deal(work, 3, 1)
    return len(seen) > 1 and counted(6) == [1] * 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork")  # of JAX, if other tests have loaded it, and of later Pythons
def test_a_child_of_a_fork_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(threads, "processors", lambda: 3)
    monkeypatch.setattr(threads, "WORTH", 0)
    assert shared()
    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(not shared()))
    child.start()
    child.join(20)
    found = child.exitcode
    child.kill()
    assert found == 0


def test_a_thread_that_outlives_the_main_one() -> None:
    code = """
import threading, time
from tapenet.kernels import threads
threads.processors, threads.WORTH = lambda: 3, 0
def late():
    threading.main_thread().join()
    time.sleep(0.05)
    found = []
    threads.deal(lambda first, last: found.append((first, last)), 3, 1)
    print(sorted(found))
threading.Thread(target=late).start()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split("\n")[0] == "[(0, 1), (1, 2), (2, 3)]", run.stderr
