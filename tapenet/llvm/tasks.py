"""What is computed once, by a thread beside or by whoever asks for it first.

Threads live as long as there is something to do. There is one for each processor but that of who asks.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tapenet.llvm.processor import processors
from tapenet.locks import lock

T = TypeVar("T")

_waiting: deque[Task[Any]] = deque()
_threads = 0
#: How many forks lie between the first process and this one: who had begun something before the last is not here.
_forks = 0
_lock = lock()


class Task(Generic[T]):
    """Something to compute. Where that fails who asks for it computes it anew, and gets the error."""

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute: Callable[[], T] | None = compute
        self._found: list[T] = []
        #: Who computes it: after how many forks, which thread, and what says that it is done.
        self._begun: tuple[int, int, threading.Event] | None = None

    def result(self) -> T:
        """What is computed, here if nobody has begun to; else this thread does what else there is meanwhile."""
        while not self._found:
            other = self._run()
            if other is not None and not _help():
                other.wait()
        return self._found[0]

    def ahead(self) -> None:
        """Compute it, unless somebody does or has done so. Errors are left to who asks."""
        if not self._found:
            with contextlib.suppress(Exception):
                self._run()

    def beside(self) -> None:
        """Have a thread compute it, if there are several processors."""
        most = processors() - 1
        if most < 1:
            return
        with _lock:
            _waiting.append(self)
            if _threads >= most:
                return
        with contextlib.suppress(RuntimeError):  # the system gives no more threads
            threading.Thread(target=_work, args=(most,), name="tapenet compiles").start()

    def _run(self) -> threading.Event | None:
        """Compute it, if it is the caller's to compute; else what says when another has. A signal's handler may interrupt it at
        any point, and may ask for what the thread was about to compute."""
        thread, done = threading.get_ident(), threading.Event()
        begun = _forks, thread, done
        try:
            with _lock:
                other = self._begun
                if other is not None and other[0] == _forks and other[1] != thread:
                    return other[2]
                self._begun = begun
            if not self._found:
                assert self._compute is not None
                self._found.append(self._compute())
            self._compute = None
        except BaseException:
            if self._begun is begun:
                self._begun = None
            raise
        finally:
            done.set()
        return None


class _Helping(threading.local):
    """Whether a thread does something else while it waits."""

    now = False


_helping = _Helping()


def _help() -> bool:
    """Do the next that waits, where this thread does not do so already; False if it did nothing. A ResNet-18's first two calls
    take 2.60 s in place of 2.69, at best 2.40 in place of 2.58."""
    with _lock:
        if _helping.now or not _waiting:
            return False
        task = _waiting.popleft()
    _helping.now = True
    try:
        task.ahead()
    finally:
        _helping.now = False
    return True


def _work(most: int) -> None:
    """What a thread does: all that waits, unless Python is about to end, or there are that many others. It counts itself:
    who starts it may be interrupted."""
    global _threads
    with _lock:
        if _threads >= most:
            return
        _threads += 1
    while True:
        with _lock:
            if not _waiting or not threading.main_thread().is_alive():
                _waiting.clear()
                _threads -= 1
                return
            task = _waiting.popleft()
        task.ahead()
        del task


def _forked() -> None:
    """A child has none of the threads."""
    global _threads, _forks
    _threads = 0
    _forks += 1
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
