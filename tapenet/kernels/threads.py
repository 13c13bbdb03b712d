"""Work dealt out to threads. Kernels run without the interpreter's lock, so threads of Python do."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tapenet.llvm.processor import processors

#: Multiply-adds from which a second thread pays: half a millisecond. To wake it and to be woken when it is done takes some
#: 50 µs each; and what the next kernel reads that another core has written comes up to four times as slowly as its own.
WORTH = 30_000_000
#: How the names of the threads begin.
KERNELS = "tapenet kernels"


def deal(work: Callable[[int, int], None], length: int, cost: int) -> None:
    """Run `work(first, last)` over range(length), in parts on several threads where `cost` multiply-adds are worth it.

    Parts write to places of their own, so that results do not depend on how many there are.
    """
    count = min(processors(), length) if cost >= WORTH else 1
    if count < 2:
        work(0, length)
        return
    bounds = [length * i // count for i in range(count + 1)]
    own, *parts = itertools.pairwise(bounds)
    begun = [Future[None]() for _ in parts]
    try:
        for i, part in enumerate(parts):
            _offer(begun[i], work, *part)
        work(*own)
        for i, part in enumerate(parts):
            if begun[i].cancel():  # no thread has come to it
                work(*part)
            else:
                begun[i].result()
    except BaseException:
        for i in range(len(parts)):
            if not begun[i].cancel():
                begun[i].exception()  # it writes until it is done
        raise
    finally:
        begun.clear()  # an error's traceback holds this frame, and would be held by the part


def _offer(part: Future[None], work: Callable[[int, int], None], first: int, last: int) -> None:
    """Let another thread do a part, if there is one. Whoever claims the part first does it, thread or caller: where no
    further thread can be started, one that runs already may still come to it."""
    try:
        _pool().submit(_claim, [(part, work, first, last)])
    except RuntimeError:  # the system gives no more threads, or Python is about to end
        _pool().shutdown(wait=False, cancel_futures=True)
        _pool.cache_clear()


def _claim(task: list[tuple[Future[None], Callable[[int, int], None], int, int]]) -> None:
    ((part, work, first, last),) = task
    task.clear()  # an error's traceback holds whoever called this, and so what it was called with
    if not part.set_running_or_notify_cancel():
        return
    try:
        work(first, last)
    except BaseException as error:
        part.set_exception(error)
        del part
    else:
        part.set_result(None)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, processors() - 1), KERNELS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child of a fork has none of the threads
