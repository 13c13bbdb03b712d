"""Borders as layers give them: pairs of widths, the last axis first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.registry import sample
from tapenet.ops.shapes.padding import pad as _pad
from tapenet.typing import Array, Number

#: By PyTorch's name of a mode, NumPy's.
MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), (1, 2)),
        sample(r.normal(size=(2, 3)), (0, -1, 2, 1), "constant", 0.5),
        sample(r.normal(size=(2, 3)), (2, 1, 0, 1), "reflect"),
        sample(r.normal(size=(2, 2)), (3, -1, 0, 1), "replicate"),
        sample(r.normal(size=(2, 3)), (2, 3), "circular"),
    ],
)
def pad(x: Array, pad: int | Sequence[int], mode: str = "constant", value: Number | Array = 0) -> Array:
    """A border around the last axes of an array, as PyTorch's function of the name: `tn.pad` with widths in another order.

    Args:
        x: an array.
        pad: widths (before, after) of the last axis, then of the one before it, and so on, in one flat tuple: (left, right)
            or (left, right, top, bottom), as of an image. A negative width cuts off as much; what is cut off
            still stands in a border that reflects or replicates it, as in PyTorch.
        mode: what stands in the border: "constant" (`value`), "reflect" (x in a mirror on its edge), "replicate" (the
            edge), or "circular" (the other end).
        value: a number, for "constant". None is 0.

    Raises:
        ValueError: an unknown mode, widths that are not two for each of at most all axes, more cut off than there is, or
            a border that is wider than what it is made of: reflected fewer elements than the axis has, circular no more.

    >>> import tapenet as tn
    >>> import tapenet.nn.functional as F
    >>> F.pad(tn.tensor([[1.0, 2.0, 3.0]]), (1, 2))
    Tensor([[0., 1., 2., 3., 0., 0.]])
    >>> F.pad(tn.tensor([[1.0, 2.0, 3.0]]), (1, 2), mode="reflect")
    Tensor([[2., 1., 2., 3., 2., 1.]])
    """
    x = array_like(x)
    shape = tuple(x.shape)
    if mode not in MODES:
        raise ValueError(f"pad: mode={mode!r} is none of {', '.join(map(repr, MODES))}")
    widths = _widths(shape, pad)
    cut = [(max(-b, 0), max(-a, 0)) for b, a in widths]
    widths = [(max(b, 0), max(a, 0)) for b, a in widths]
    if mode in ("constant", "circular"):
        x = _without(x, cut)
    if mode == "constant":
        return _pad(x, widths, constant_values=0 if value is None else value)
    if value:
        raise ValueError(f"pad: value={value!r} is for mode='constant', not {mode!r}")
    for axis, (n, pair) in enumerate(zip(x.shape, widths, strict=True)):
        least = max(pair) + (mode == "reflect")
        if mode != "replicate" and any(pair) and n < least:
            raise ValueError(
                f"pad: a {'reflected' if mode == 'reflect' else mode} border of {pair} along axis {axis} of shape "
                f"{tuple(x.shape)} is made of {least} elements or more: pad less, or use mode='replicate'"
            )
    made = _pad(x, widths, MODES[mode])
    return made if mode == "circular" else _without(made, cut)


def _without(x: Array, cut: list[tuple[int, int]]) -> Array:
    """Less so many elements at the ends of each axis."""
    if not any(map(any, cut)):
        return x
    return x[tuple(slice(b, n - a) for n, (b, a) in zip(x.shape, cut, strict=True))]


def _widths(shape: tuple[int, ...], pad: int | Sequence[int]) -> list[tuple[int, int]]:
    """A pair (before, after) for each axis, the first one first."""
    flat = tuple(pad) if isinstance(pad, (tuple, list)) else (pad,)
    if len(flat) % 2 or len(flat) > 2 * len(shape) or not all(isinstance(w, (int, np.integer)) for w in flat):
        raise ValueError(
            f"pad: pad={pad!r}: give integers (before, after) of the last axis, then of the one before it, and so on, "
            f"at most for the {len(shape)} axes of x"
        )
    given = [(int(b), int(a)) for b, a in zip(flat[::2], flat[1::2], strict=True)]
    widths = [(0, 0)] * (len(shape) - len(given)) + given[::-1]
    for axis, (n, (b, a)) in enumerate(zip(shape, widths, strict=True)):
        if max(-b, 0) + max(-a, 0) > n:
            raise ValueError(f"pad: {(b, a)} cuts more off axis {axis} than the {n} that shape {shape} has there")
    return widths
