"""Work on large arrays a block at a time, so that what one step writes the next one finds in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: Elements of a block: several of them fit the second cache, and a call of NumPy costs little beside its work on one.
BLOCK = 1 << 15


def in_blocks(compute: Callable[..., None], inputs: tuple[Any, ...], results: tuple[Any, ...]) -> None:
    """`compute(*inputs, *results, room)` on pieces of arrays of one shape: it writes the results, and what it likes into
    `room`, which is like one of them. The results are dense and in one memory order."""
    first = results[0]
    if first.size <= BLOCK:
        compute(*inputs, *results, np.empty_like(first))
        return
    # In the order of their memory the results are flat views; an input in another order is copied.
    axes = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    parts = [np.transpose(a, axes).reshape(-1) for a in (*inputs, *results)]
    room = np.empty(BLOCK, first.dtype)
    for start in range(0, first.size, BLOCK):
        pieces = [p[start : start + BLOCK] for p in parts]
        compute(*pieces, room[: pieces[0].size])
