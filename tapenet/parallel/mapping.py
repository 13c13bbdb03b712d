"""Independent work, split over ranks: starts of an optimisation, settings of a training, draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tapenet.autodiff.observe.capture import capturing
from tapenet.parallel.ranks import world

T = TypeVar("T")
R = TypeVar("R")


def map(f: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What a function gives for each of some items: each rank computes every `size`-th, and all get the whole list.

    What `f` does is a rank's own: it must not exchange anything with other ranks (no `parallel.optimizer` in it). Give random
    numbers their seed in it, and it does not matter how many ranks there are. An item may take longer than the timeout of
    `parallel.init`: others wait for a rank that computes.

    Args:
        f: any function. On several ranks what it returns is pickled: arrays, modules, tensors in no graph (`t.detach()`).
        items: the same on all ranks.

    Returns:
        as `[f(item) for item in items]`.

    Raises:
        RuntimeError: on all ranks, where they have different numbers of items; or it is called in a compiled function or
            another transformation, which would run `f` once.

    >>> import numpy as np, tapenet as tn
    >>> found = tn.parallel.map(lambda start: tn.optimize.minimize(tn.optimize.rosen, start), [[0.0, 0.0], [3.0, -1.0]])
    >>> min(found, key=lambda result: result.fun.item()).x.numpy().round(2)
    array([1., 1.])
    """
    if capturing() is not None:
        raise RuntimeError("parallel.map: it is called inside of tn.compile or another transformation: call it outside")
    every, ranks = list(items), world()
    ranks.agree(f"map of {len(every)} items")
    with ranks.at_work():
        own = [f(item) for item in every[ranks.rank :: ranks.size]]
    if ranks.size == 1:
        return own
    with ranks.waiting("map"):
        parts = ranks.comm.allgather(own)
    found: list[Any] = [None] * len(every)
    for rank, part in enumerate(parts):
        found[rank :: ranks.size] = part
    return found
