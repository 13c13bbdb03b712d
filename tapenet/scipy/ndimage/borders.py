"""What is around an image, and how the gradients of that come back to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.indexing.items import scatter_add
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

#: SciPy's modes by NumPy's names.
MODES = {
    "reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap",
    "grid-wrap": "wrap", "constant": "constant", "grid-constant": "constant",
}  # fmt: skip


def output_dtype(name: str, output: object) -> str | None:
    """The dtype of a result by `output=`, as a text, which calls of ops pass on quickest; None for that of the input.

    Raises:
        TypeError: an array, to write into.
    """
    if output is None:
        return None
    if hasattr(output, "shape") and not isinstance(output, (type, np.dtype)):
        raise TypeError(f"{name}: output= is a dtype on tensors, and no array to write into: take what is returned")
    return np.dtype(output).str  # type: ignore[call-overload,no-any-return]


def as_output(x: Array, output: DTypeLike | None) -> Array:
    """A result in the dtype that was asked for."""
    return x if output is None or x.dtype == output else np.astype(x, output)


def for_each(value: object, count: int) -> list[Any]:
    """One value for each axis, or one for all.

    Raises:
        RuntimeError: another number of them.
    """
    if isinstance(value, str) or not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * count
    if len(value) != count:
        raise RuntimeError(f"sequence argument must have length equal to input rank: {count}, not {len(value)}")
    return list(value)


def numbers_for_each(value: object, count: int) -> list[Array]:
    """The same of what may be a vector with gradients."""
    if getattr(value, "ndim", 0) != 1:
        return for_each(value, count)
    if len(value) != count:  # type: ignore[arg-type]
        raise RuntimeError(f"sequence argument must have length equal to input rank: {count}, not {len(value)}")  # type: ignore[arg-type]
    return [value[i] for i in range(count)]  # type: ignore[index]


def axes_of(axes: int | Sequence[int] | None, ndim: int) -> list[int]:
    """Axes as numbers from 0 on."""
    given = range(ndim) if axes is None else [axes] if isinstance(axes, int) else axes
    return [axis % ndim for axis in given]


def by_axis(value: object, along: Sequence[int], ndim: int) -> dict[int, Any]:
    """The option of each axis for a whole window: as in SciPy, in the order of `axes=` only where that leaves some out."""
    return dict(zip(along if len(along) < ndim else range(ndim), for_each(value, len(along)), strict=True))


def bordered(x: Array, axis: int, before: int, after: int, mode: str, cval: complex = 0.0) -> Array:
    """An image with its surroundings along an axis."""
    around = [(0, 0)] * x.ndim
    around[axis] = (before, after)
    if MODES[mode] == "constant":
        return np.pad(x, around, constant_values=cval)
    return np.pad(x, around, MODES[mode])  # type: ignore[call-overload,no-any-return]


def unbordered(g: Array, axis: int, before: int, after: int, mode: str) -> Array:
    """The transpose of `bordered`: what is outside is added to where it came from."""
    g = np.moveaxis(g, axis, 0)
    n = g.shape[0] - before - after
    inside = g[before : before + n]
    if MODES[mode] != "constant" and before + after:
        places = np.pad(np.arange(n), (before, after), MODES[mode])  # type: ignore[call-overload]
        outside = np.concatenate([g[:before], g[before + n :]])
        places = np.concatenate([places[:before], places[before + n :]])
        inside = inside + scatter_add(outside, (places,), (n, *g.shape[1:]))
    return np.moveaxis(inside, 0, axis)
