"""Python functions applied to parts of an array."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.indexing.items import setitem
from tapenet.ops.indexing.selecting import axis_or_flat
from tapenet.ops.registry import sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


@derived(
    numpy=np.piecewise,
    samples=lambda r: [
        sample(np.array([-1.2, 0.3, 2.4]), [np.array([True, False, False])], [lambda v: v * v, lambda v: 3 * v]),
        sample(
            np.array([[-1.2, 0.3]]),
            [np.array([[True, False]]), np.array([[False, True]])],
            [0.5, lambda v, scale, power=1: scale * v**power],
            2.0,
            power=3,
        ),
        sample(np.array(1.5), [True], [lambda v: v * v]),
    ],
)
def piecewise(x: ArrayLike, condlist: Any, funclist: Sequence[object], *args: ArrayLike, **kw: object) -> Array:
    """A function in pieces: each of `funclist` applied to the elements of `x` where its condition holds.

    Args:
        x: an array.
        condlist: boolean arrays of its shape, or one. Where several hold the last counts.
        funclist: a function or a number for each condition, and perhaps one more for where none holds, else that is 0.
        *args, **kw: passed on to the functions.

    Returns:
        an array of the shape and dtype of `x`.

    Raises:
        ValueError: there are too few or too many functions.

    >>> import tapenet as tn
    >>> x = tn.tensor([-2.0, 3.0])
    >>> tn.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: v * v])
    Tensor([2., 9.])
    """
    x = array_like(x)
    single = not isinstance(condlist, (list, tuple)) and not np.ndim(condlist)
    if single or (x.ndim and not isinstance(condlist[0], list) and not np.ndim(condlist[0])):
        condlist = [condlist]
    conditions = [array_like(c).astype(bool) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(np.stack(conditions), axis=0))
    if len(funclist) != len(conditions):
        raise ValueError(
            f"piecewise: {len(conditions)} conditions need as many functions, or one more, not {len(funclist)}"
        )
    out = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            out = setitem(out, function, condition)
        elif (part := x[condition]).size:
            out = setitem(out, function(part, *args, **kw), condition)
    return out


@derived(
    numpy=np.apply_along_axis,
    samples=lambda r: [
        sample(lambda v: (v * v).sum(), 0, r.normal(size=(2, 3))),
        sample(lambda v, scale, shift=0: scale * v[1:] ** 2 + shift, -1, r.normal(size=(2, 3)), 2.0, shift=1.0),
        sample(lambda v: v[:, None] * v, 1, r.normal(size=(2, 2, 1))),
    ],
)
def apply_along_axis(
    func1d: Callable[..., ArrayLike], axis: int, arr: ArrayLike, *args: ArrayLike, **kwargs: object
) -> Array:
    """A function applied to each of the slices of one axis that make up an array.

    Args:
        func1d: the function, of an array of one axis. It may return an array of any shape, the same each time.
        axis: the axis of the slices.
        arr: an array.
        *args, **kwargs: passed on to the function.

    Returns:
        an array with the axes of the function's result in place of `axis`.

    Raises:
        ValueError: there is no such axis, or another axis has length 0, so that there is nothing to apply it to.

    >>> import tapenet as tn
    >>> tn.apply_along_axis(lambda v: v[0] * v, 1, tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[ 1.,  2.],
            [ 9., 12.]])
    """
    arr, axis = axis_or_flat("apply_along_axis", arr, operator.index(axis))
    moved = arr if axis == arr.ndim - 1 else np.moveaxis(arr, axis, -1)
    lead = moved.shape[:-1]
    if 0 in lead:
        raise ValueError(f"apply_along_axis: an array of shape {arr.shape} has no slice along axis {axis}")
    parts = [array_like(func1d(moved[at], *args, **kwargs)) for at in np.ndindex(lead)]
    inner = parts[0].ndim
    out = np.stack(parts)
    if len(lead) != 1:
        out = np.reshape(out, lead + parts[0].shape)
    if not inner or axis == len(lead):
        return out
    return np.moveaxis(out, tuple(range(len(lead), len(lead) + inner)), tuple(range(axis, axis + inner)))


@derived(
    numpy=np.apply_over_axes,
    samples=lambda r: [
        sample(np.sum, r.normal(size=(2, 3, 2)), (0, -1)),
        sample(lambda a, axis: np.sum(a * a, axis, keepdims=True), r.normal(size=(2, 3)), 1),
    ],
)
def apply_over_axes(func: Callable[..., Array], a: ArrayLike, axes: int | Sequence[int]) -> Array:
    """A function applied over several axes, one after the other.

    Args:
        func: called as `func(a, axis)`; it keeps the axis, or drops it, in which case it comes back with length one.
        a: an array.
        axes: an axis or several.

    Raises:
        ValueError: the function returned an array of another number of axes.

    >>> import numpy as np, tapenet as tn
    >>> tn.apply_over_axes(np.sum, tn.tensor([[1.0, 2.0], [3.0, 4.0]]), (0, 1))
    Tensor([[10.]])
    """
    value = array_like(a)
    count = value.ndim
    for axis in (axes,) if isinstance(axes, int) else axes:
        axis = axis + count if axis < 0 else axis
        made = func(value, axis)
        made = made if made.ndim == value.ndim else np.expand_dims(made, axis)
        if made.ndim != value.ndim:
            raise ValueError(
                f"apply_over_axes: of an array of shape {value.shape} the function made one of shape {made.shape}: it "
                "keeps the axis or drops it"
            )
        value = made
    return value
