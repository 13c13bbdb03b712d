"""What is around an image, and how the gradients of that come back to it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.indexing.items import scatter_add
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

#: SciPy's modes by NumPy's names.
MODES = {
    "reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap",
    "grid-wrap": "wrap", "constant": "constant", "grid-constant": "constant",
}  # fmt: skip


def output_dtype(name: str, output: DTypeLike | None) -> str | DType | None:
    """The dtype of a result by `output=`; a text as it is, since SciPy promotes other ones to complex numbers; None for that of
    the input.

    Raises:
        TypeError: an array, to write into.
    """
    if hasattr(output, "shape") and not isinstance(output, (type, np.dtype)):
        raise TypeError(f"{name}: output= is a dtype on tensors, and no array to write into: take what is returned")
    return output if output is None or isinstance(output, str) else np.dtype(output)


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


def axis_of(axis: int, ndim: int) -> int:
    """An axis as a number from 0 on.

    Raises:
        AxisError: there is no such axis.
    """
    return normalize_axis_index(axis, ndim)


def axes_of(axes: int | Sequence[int] | None, ndim: int) -> list[int]:
    """Axes as numbers from 0 on.

    Raises:
        ValueError: there is no such axis, or one is named twice.
        TypeError: an axis that is no integer.
    """
    given = range(ndim) if axes is None else [axes] if np.isscalar(axes) else axes
    found = []
    for axis in map(operator.index, given):  # type: ignore[arg-type]
        if not -ndim <= axis < ndim:
            raise ValueError(f"specified axis: {axis} is out of range")
        found.append(axis % ndim)
    if len(set(found)) != len(found):
        raise ValueError("axes must be unique")
    return found


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
