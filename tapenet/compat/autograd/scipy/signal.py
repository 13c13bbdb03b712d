"""Convolution along some axes, with sums over others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.values import Value

Axes = Sequence[Sequence[int]]


def convolve(
    A: Value,
    B: Value,
    axes: Axes | None = None,
    dot_axes: Axes | None = None,
    mode: Literal["full", "valid", "same"] = "full",
) -> Value:
    """A convolved with B along pairs of axes, as `scipy.signal.convolve` does along all.

    Args:
        axes: those of A, and those of B, along which to convolve; all of them if None.
        dot_axes: those of A, and those of B, over whose products to sum.
        mode: "full", "valid", where one lies within the other, or "same", of the lengths of A.

    Returns:
        an array with A's other axes, then B's, then the convolved ones.

    Raises:
        ValueError: a mode that is none of these, or neither lies within the other.

    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]))
    array([ 1., 12., 23., 30.])
    """
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"convolve: mode={mode!r} must be 'full', 'valid' or 'same'")
    A, B = (a if hasattr(a, "shape") else np.asarray(a) for a in (A, B))
    along = [list(range(A.ndim)), list(range(B.ndim))] if axes is None else [list(a) for a in axes]
    summed = [[], []] if dot_axes is None else [list(a) for a in dot_axes]
    lengths = [(A.shape[a], B.shape[b]) for a, b in zip(*along, strict=True)]
    swapped = mode == "valid" and any(a < b for a, b in lengths)
    if swapped and any(a > b for a, b in lengths):
        raise ValueError("convolve: with mode='valid' one array must be at least as long as the other along each axis")
    if swapped:
        A, B, along, summed = B, A, along[::-1], summed[::-1]
    others = [[n for n in range(x.ndim) if n not in (*c, *s)] for x, c, s in zip((A, B), along, summed, strict=True)]
    # Both with their axes in order: others, summed, convolved.
    A = np.transpose(A, [*others[0], *summed[0], *along[0]])
    B = np.transpose(B, [*others[1], *summed[1], *along[1]])
    n = len(along[0])
    window = B.shape[B.ndim - n :]
    if mode != "valid":
        ends = [(k - 1, k - 1) if mode == "full" else (k // 2, (k - 1) // 2) for k in window]
        A = np.pad(A, [(0, 0)] * (A.ndim - n) + ends)
    last = range(A.ndim - n, A.ndim)
    views = ops.sliding_window_view(A, window, tuple(last)) if n else A
    flipped = np.flip(B, tuple(range(B.ndim - n, B.ndim)))
    # views: A's others, summed, places, window; B: others, summed, window.
    first, second = len(others[0]), len(others[1])
    dots = len(summed[0])
    left = [*range(first, first + dots), *range(views.ndim - n, views.ndim)]
    result = np.tensordot(views, flipped, (left, list(range(second, second + dots + n))))
    # A's others, places, B's others.
    order = [*range(first), *range(first + n, first + n + second), *range(first, first + n)]
    if swapped:
        order = [*range(first + n, first + n + second), *range(first), *range(first, first + n)]
    return np.transpose(result, order)
