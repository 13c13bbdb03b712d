"""Work dealt out to threads. Kernels run without the interpreter's lock, so threads of Python do."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tapenet.native.processor import processors

#: Multiply-adds from which a second thread pays: waking it takes some 50 µs.
WORTH = 4_000_000


def deal(work: Callable[[int, int], None], length: int, cost: int) -> None:
    """Run `work(first, last)` over range(length), in parts on several threads where `cost` multiply-adds are worth it.

    Parts write to places of their own, so that results do not depend on how many there are.
    """
    count = min(processors(), length) if cost >= WORTH else 1
    if count < 2:
        work(0, length)
        return
    bounds = [length * i // count for i in range(count + 1)]
    others = [_pool().submit(work, first, last) for first, last in itertools.pairwise(bounds[1:])]
    work(0, bounds[1])
    for other in others:
        other.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, processors() - 1), "tapenet")
