"""Options of ufuncs on vectors and matrices, such as `np.matmul`: where these are in the arrays, and what all ufuncs have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import index

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.typing import Array

Axes = tuple[int, ...]


def with_options(ufunc: np.ufunc) -> Callable[..., Array]:
    """What answers calls that have options, for an op that stands for a ufunc on vectors and matrices.

    >>> import numpy as np
    >>> with_options(np.matmul)(np.ones((2, 3)), np.ones((2, 4)), axes=[(1, 0), (0, 1), (0, 1)]).shape
    (3, 4)
    """

    def call(
        *inputs: Array,
        axes: Sequence[int | tuple[int, ...]] | None = None,
        axis: int | None = None,
        keepdims: bool | None = None,
        **options: object,
    ) -> Array:
        if options:  # NumPy's protocol answers them, and comes back with the others alone
            core = {"axes": axes, "axis": axis, "keepdims": keepdims}
            result: Array = ufunc(*inputs, **options, **{name: v for name, v in core.items() if v is not None})
            return result
        arrays = [array_like(v) for v in inputs]
        *places, made = _places(ufunc, [a.ndim for a in arrays], axes, axis, keepdims)
        result = ufunc(*map(_to_end, arrays, places))
        if keepdims:
            return np.expand_dims(result, made)
        last = _last(len(made))
        return result if made == last else np.moveaxis(result, last, made)

    return call


def _last(count: int) -> Axes:
    return tuple(range(-count, 0))


def _to_end(a: Array, axes: Axes) -> Array:
    last = _last(len(axes))
    return a if axes == last else np.moveaxis(a, axes, last)


def _places(
    ufunc: np.ufunc, ndims: Sequence[int], axes: Sequence[int | tuple[int, ...]] | None, axis: int | None,
    keepdims: bool | None,
) -> list[Axes]:  # fmt: skip
    """The axes of the vectors or matrices in each argument and in the result.

    Raises:
        TypeError: `axes` is no list, or the ufunc has not the one axis that `axis` and `keepdims` are about.
        ValueError: too few axes, or `axes` does not name as many as there are.
    """
    name, signature = ufunc.__name__, str(ufunc.signature)
    cores = [part.split(",") if part else [] for part in re.findall(r"\(([^)]*)\)", signature)]
    # An argument with fewer axes is a vector. The axis that it lacks is missing in the result too.
    lacking = {
        n for core, ndim in zip(cores[:-1], ndims, strict=True) for n in core if ndim < len(core) and n.endswith("?")
    }
    counts = [len([n for n in core if n not in lacking]) for core in cores]
    for i, (count, ndim) in enumerate(zip(counts[:-1], ndims, strict=True)):
        if ndim < count:
            raise ValueError(f"{name}: argument {i} has {ndim} axes; by its signature {signature} it needs {count}")
    if (axis is not None or keepdims is not None) and (cores[-1] or len({n for core in cores for n in core}) > 1):
        raise TypeError(f"{name}: axis= and keepdims= are for sums of products over one axis: give axes=, a list")
    if keepdims:
        counts[-1] = 1
    if axis is not None:
        if axes is not None:
            raise TypeError(f"{name}: axis= and axes= say the same: give one of them")
        return [(index(axis),) * count for count in counts]
    if axes is None:
        return [_last(count) for count in counts]
    if not isinstance(axes, list):
        raise TypeError(f"{name}: axes= is a list with an entry for each argument and the result, not {axes!r}")
    if len(axes) != len(cores) and (cores[-1] or len(axes) != len(ndims)):
        raise ValueError(
            f"{name}: axes={axes} should have {len(cores)} entries, one for each argument and one for the result"
        )
    found = [_entry(name, i, item, count) for i, (item, count) in enumerate(zip(axes, counts, strict=False))]
    return found if len(axes) == len(cores) else [*found, _last(counts[-1])]  # that of the result may be left out


def _entry(name: str, i: int, item: Array, count: int) -> Axes:
    """One entry of `axes`, a tuple or a number, as a tuple."""
    axes = item if isinstance(item, tuple) else (item,)
    if len(axes) != count or (count != 1 and not isinstance(item, tuple)):
        raise np.exceptions.AxisError(
            f"{name}: entry {i} of axes= is {item!r}, and should be {'a number or ' * (count == 1)}a tuple of {count}"
        )
    return tuple(map(index, axes))
