"""Normalisation in machine code, where there is a kernel that pays."""

from __future__ import annotations

from typing import Any

from tapenet import kernels

#: Elements from which a kernel is quicker than NumPy's passes. Its code is for all lengths, and compiled once.
WORTH = 8192
#: Runs of fewer elements are left to NumPy, which takes several at once.
SHORT = 8


def kernel(x: Any, *others: Any, topic: str = "normalization") -> Any:
    """The kernels of a topic, if there are any for these arrays, else None. Those of x's shape must be in C order."""
    if x.size < WORTH or not kernels.fit(x, *others):
        return None
    if any(a is not None and a.shape == x.shape and not a.flags.c_contiguous for a in (x, *others)):
        return None
    return kernels.use(topic)


def groups(x: Any, *others: Any) -> Any:
    """The kernels of `tapenet.kernels.groups`, if they pay for arrays of five axes: not where runs of memory are short."""
    positions, batch = x.shape[3:]
    return kernel(x, *others, topic="groups") if (positions if batch == 1 else batch) >= SHORT else None


def batch_last(x: Any) -> Any:
    """x (..., batch), in C order if there is a kernel that brings it there."""
    moves = kernels.use("moves")
    return x if moves is None or x.flags.c_contiguous else moves.batch_last(x)
