"""Tasks: each computed once, by a thread beside or by who asks."""

from __future__ import annotations

import os
import threading
import time

import pytest

from tapenet.llvm import tasks
from tapenet.llvm.tasks import Task


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(1000):  # other tests may have left some
        if not tasks._threads:
            break
        time.sleep(0.01)
    monkeypatch.setattr(tasks, "processors", lambda: 2)


def test_a_task_is_computed_once() -> None:
    who: list[str] = []

    def compute() -> int:
        who.append(threading.current_thread().name)
        time.sleep(0.02)
        return 42

    task = Task(compute)
    task.beside()
    task.ahead()
    assert task.result() == task.result() == 42
    assert len(who) == 1


def test_a_thread_computes_what_nobody_asks_for_and_ends() -> None:
    done = threading.Event()
    Task(done.set).beside()
    assert done.wait(10)
    for _ in range(1000):
        if not any(t.name == "tapenet compiles" for t in threading.enumerate()):
            break
        time.sleep(0.01)
    assert not any(t.name == "tapenet compiles" for t in threading.enumerate())


def test_who_waits_does_what_else_there_is() -> None:
    begun, done = threading.Event(), threading.Event()
    who: list[threading.Thread] = []

    def first() -> bool:
        begun.set()
        return done.wait(10)

    def second() -> None:
        who.append(threading.current_thread())
        done.set()

    task = Task(first)
    task.beside()
    assert begun.wait(10)
    Task(second).beside()
    assert task.result()
    assert who == [threading.current_thread()]


def test_on_one_processor_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "processors", lambda: 1)
    task = Task(threading.current_thread)
    task.beside()
    assert task.result() is threading.current_thread()


def test_who_asks_gets_the_error_and_a_later_call_computes_anew() -> None:
    answers = iter([ValueError("once"), ValueError("twice"), 42])

    def compute() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    task = Task(compute)
    task.ahead()  # in silence
    with pytest.raises(ValueError, match="twice"):
        task.result()
    assert task.result() == 42


def test_a_thread_that_an_interrupt_keeps_from_beginning_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    done = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Task(done.set).beside()
    Task(lambda: 42).beside()
    assert done.wait(10)


def test_an_interrupt_before_it_is_computed_leaves_it_to_who_asks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tasks._lock

    class Interrupted:
        """The lock, and an interrupt where it is let go."""

        def __enter__(self) -> None:
            lock.acquire()

        def __exit__(self, *error: object) -> None:
            lock.release()
            raise KeyboardInterrupt

    task = Task(lambda: 42)
    monkeypatch.setattr(tasks, "_lock", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        task.result()
    monkeypatch.setattr(tasks, "_lock", lock)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(task.result()), daemon=True)
    thread.start()
    thread.join(10)
    assert found == [42]


def test_a_handler_may_ask_for_what_its_thread_computes() -> None:
    asked: list[int] = []

    def compute() -> int:
        if not asked:  # a signal comes, or Python collects
            asked.append(0)
            asked.append(task.result())
        return 42

    task = Task(compute)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(task.result()), daemon=True)
    thread.start()
    thread.join(10)
    assert found == [42]
    assert asked == [0, 42]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_computes_what_a_thread_of_its_parent_has_begun() -> None:
    begun, end = threading.Event(), threading.Event()
    parent = os.getpid()

    def compute() -> int:
        if os.getpid() == parent:
            begun.set()
            end.wait(10)
        return 42

    task = Task(compute)
    task.beside()
    assert begun.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(task.result())
    end.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    assert task.result() == 42
