"""Work dealt out to threads. Kernels run without the interpreter's lock, so threads of Python do."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tapenet.native.processor import processors

#: Multiply-adds from which a second thread pays: half a millisecond. To wake it and to be woken when it is done takes some
#: 50 µs each; and what the next kernel reads that another core has written comes up to four times as slowly as its own.
WORTH = 30_000_000


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
    begun = [_begin(work, *part) for part in parts]
    try:
        work(*own)
        for part, other in zip(parts, begun, strict=True):
            if other is None or other.cancel():  # no thread has come to it
                work(*part)
            else:
                other.result()
    except BaseException:
        for other in begun:
            if other is not None and not other.cancel():
                other.exception()  # it writes until it is done
        raise


def _begin(work: Callable[[int, int], None], first: int, last: int) -> Future[None] | None:
    """A part handed to another thread; None if there is none."""
    try:
        return _pool().submit(work, first, last)
    except RuntimeError:  # the system gives no more threads, or Python is about to end
        _pool().shutdown(wait=False, cancel_futures=True)
        _pool.cache_clear()
        return None


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, processors() - 1), "tapenet")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child of a fork has none of the threads
