"""Arrays that nobody may write to, and whether somebody did."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from tapenet.program.trees import tree_leaves, tree_map

T = TypeVar("T")


def guarded(tree: T, *, writeable: bool = False) -> T:
    """A tree with its arrays copied, read-only if nobody may write to them by mistake. What is compiled may write all the
    same: `changed` says so."""

    def copied(value: object) -> object:
        if isinstance(value, np.ndarray):
            value = value.copy(order="K")
            value.flags.writeable = writeable
        return value

    made: T = tree_map(copied, tree)
    return made


def changed(tree: object, before: object) -> bool:
    """Whether an array of a tree has not the values that it had."""
    pairs = zip(tree_leaves(tree), tree_leaves(before), strict=True)
    return any(isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.tobytes() != b.tobytes() for a, b in pairs)
