"""Selecting elements by index, condition or choice.

Rules are stated: they give sparse gradients, and derived ones take up to 1.8 times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tapenet.ops.derived import array_like, array_or_number, derived
from tapenet.ops.indexing.items import scatter_add
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast, whole
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def along(shape: tuple[int, ...], indices: Array, axis: int) -> tuple[Array, ...]:
    """The index that selects, of an array of `shape`, the elements `indices` along one axis and those in the same
    place along the others."""
    grids: list[Array] = list(np.ogrid[tuple(slice(n) for n in shape)])
    grids[axis] = indices
    return tuple(grids)


def within(indices: Array, length: int, mode: str | None) -> Array:
    """Indices into an axis as NumPy's `mode` means them; None is "raise"."""
    if mode is None or mode == "raise":
        return indices
    if mode not in ("wrap", "clip"):
        raise ValueError(f"mode={mode!r} is none of 'raise', 'wrap' and 'clip'")
    if length == 0 and np.size(indices):
        raise IndexError("cannot take anything from an axis of length 0")
    return np.remainder(indices, max(length, 1)) if mode == "wrap" else np.clip(indices, 0, max(length - 1, 0))


def integers(indices: ArrayLike) -> Array:
    """Indices that a function takes as integers: booleans count as 0 and 1, and an empty list has none."""
    if isinstance(indices, int):
        return int(indices)
    found = array_like(indices)
    return found.astype(np.intp) if found.dtype == bool or 0 in found.shape else found


def axis_or_flat(name: str, arr: ArrayLike, axis: int | None) -> tuple[Array, int]:
    """An array and an axis of it that counts from 0; without axes it is flat."""
    arr = array_like(arr)
    if axis is None:
        return (arr if arr.ndim == 1 else np.reshape(arr, -1)), 0
    if not -arr.ndim <= axis < arr.ndim:
        raise ValueError(f"{name}: axis {axis} is out of bounds for an array of shape {arr.shape}")
    return arr, axis % arr.ndim


def taken(g: Array, shape: tuple[int, ...], indices: Array, axis: int | None) -> Array | Scatter:
    """The gradient, by an array of `shape`, of its elements at `indices` along an axis (None: of all as one)."""
    found = whole(shape)
    if not found:
        return array_like(np.sum(g))
    if 0 in g.shape:  # then what it was taken from may have had no elements either
        return np.zeros(found, g.dtype)
    if axis is None and len(found) > 1:
        return np.reshape(scatter_add(g, indices, (math.prod(found),)), found)
    index = indices if axis is None else (*(slice(None),) * (axis % len(found)), indices)
    return Scatter(index, g) if found is shape else scatter_add(g, index, found)


def _take_a(g: Array, a_shape: Shape, indices: Array, axis: int | None, mode: str) -> Array | Scatter:
    shape = whole(a_shape)
    length = math.prod(shape) if axis is None else shape[axis] if shape else 1
    return taken(g, a_shape, within(integers(indices), length, mode), axis)


def _reach(a: Array, axis: int | None) -> str:
    """Which indices there are, in words."""
    length = np.size(a) if axis is None else np.shape(a)[axis]
    along = "over all elements" if axis is None else f"along axis {axis}"
    return f"a has shape {np.shape(a)}: {along} the indices run from {-length} to {length - 1}"


@op(
    precision="moves",
    numpy=np.take,
    nondiff=("indices",),
    a=_take_a,
    gradients="a: zeros with g added at indices",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[0, 5], [5, -1]])),
        sample(r.normal(size=(2, 3)), np.array([2, 0, 2]), -1),
        sample(r.normal(size=(2, 3)), 1, axis=0),
        sample(r.normal(size=(3, 2)), [[4, -5]], 0, mode="wrap"),
        sample(r.normal(size=(3, 2)), np.array([4, -5]), 0, mode="clip"),
        sample(r.normal(size=3), np.zeros((2, 0), int), 0),
        sample(r.normal(size=()), np.array(0)),
    ],
    hint=lambda a, indices, axis, mode: _reach(a, axis),
)
def take(a: Array, indices: Array, axis: int | None = None, mode: Literal["raise", "wrap", "clip"] = "raise") -> Array:
    """The elements of `a` at `indices` along an axis.

    Args:
        a: an array.
        indices: integers of any shape.
        axis: the axis they count along; None counts through all elements in row-major order.
        mode: what an index out of range means: "raise" an error, "wrap" around, or "clip" to the ends.

    Returns:
        an array with the axes of `indices` in place of `axis`. Elements taken several times get the sum of the
        gradients.

    Raises:
        IndexError: an index out of range.

    >>> import tapenet as tn
    >>> tn.take(tn.tensor([[1.0, 2.0, 3.0]]), [0, 2], axis=1)
    Tensor([[1., 3.]])
    """
    return np.take(a, indices, axis, None, mode)


def _take_along_axis_arr(g: Array, arr_shape: Shape, indices: Array, axis: int | None) -> Array | Scatter:
    arr_shape, indices = whole(arr_shape), array_like(indices)
    return taken(g, arr_shape, indices, None) if axis is None else Scatter(along(arr_shape, indices, axis), g)


@op(
    label="take along",
    numpy=np.take_along_axis,
    nondiff=("indices",),
    arr=_take_along_axis_arr,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[0, 2, 2, -1], [1, 1, 0, 0]]), -1),
        sample(r.normal(size=(2, 3)), np.array([[1, 0, 1]]), axis=0),
        sample(r.normal(size=(2, 3, 2)), np.array([[[0], [2]]]), 1),
        sample(r.normal(size=(2, 3)), np.array([5, 0, 5]), None),
        sample(r.normal(size=(2, 3)), np.zeros((2, 0), int), 1),
    ],
    hint=lambda arr, indices, axis: (
        f"arr has shape {np.shape(arr)}, the indices {np.shape(indices)}: integers with as many axes; with axis=None one"
    ),
)
def take_along_axis(arr: Array, indices: Array, axis: int | None = -1) -> Array:
    """For each position along the other axes, the elements of `arr` at `indices` along `axis`: what `argsort`,
    `argmax(..., keepdims=True)` and the like return selects what they found.

    Args:
        arr: an array.
        indices: integers, with as many axes as `arr`; the other axes broadcast against those of `arr`.
        axis: the axis they count along; None counts through all elements, and `indices` has one axis.

    Returns:
        an array of the shape of `indices`, broadcast. Elements taken several times get the sum of the gradients.

    Raises:
        ValueError: the numbers of axes differ.
        IndexError: an index out of range, or indices that are no integers.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> tn.take_along_axis(t, t.argmax(axis=1, keepdims=True), axis=1)
    Tensor([[2.],
            [4.]])
    """
    return np.take_along_axis(arr, indices, axis)


def _choose_choices(g: Array, a: Array, choices_shape: Any, mode: str) -> Any:
    one = isinstance(choices_shape[0], int)  # an array, whose parts along the first axis are the choices
    shapes = (choices_shape[1:],) * choices_shape[0] if one else choices_shape
    a = within(a, len(shapes), mode)
    if one and choices_shape[1:] == g.shape:
        a = integers(a)
        return Scatter(along(choices_shape, np.reshape(a, (1, *np.shape(a))), 0), g[np.newaxis])
    parts = tuple(unbroadcast(np.where(np.equal(a, k), g, 0), shape) for k, shape in enumerate(shapes))
    return np.stack(parts) if one else parts


@op(
    sequences=("choices",),
    numpy=np.choose,
    nondiff=("a",),
    choices=_choose_choices,
    gradients="choices: g where a chose it, else 0",
    samples=lambda r: [
        sample(np.array([1, 0, 2]), [r.normal(size=3), r.normal(size=(2, 1)), r.normal(size=())]),
        sample(np.array([[1], [0]]), r.normal(size=(2, 3))),
        sample(np.array([3, -1]), (r.normal(size=2), r.normal(size=2)), mode="wrap"),
        sample(np.array([3, -1]), [r.normal(size=2), r.normal(size=2)], mode="clip"),
    ],
    hint=lambda a, choices, mode: f"there are {len(choices)} choices: the indices run from 0 to {len(choices) - 1}",
)
def choose(a: Array, choices: Sequence[Array], mode: Literal["raise", "wrap", "clip"] = "raise") -> Array:
    """For each element of `a`, that of the choice it names.

    Args:
        a: integers.
        choices: a sequence of arrays that broadcast with `a`, or an array whose parts along the first axis are the
            choices.
        mode: what an index out of range means: "raise" an error, "wrap" around, or "clip" to the ends.

    Raises:
        ValueError: an index out of range, or the shapes do not broadcast.

    >>> import numpy as np, tapenet as tn
    >>> tn.choose(np.array([1, 0]), [tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([3., 2.])
    """
    return np.choose(a, choices, mode=mode)


@derived(
    numpy=np.select,
    samples=lambda r: [
        sample([np.array([True, False, False]), np.array([True, True, False])], [r.normal(size=3), r.normal(size=3)]),
        sample([np.array([[True], [False]])], [r.normal(size=3)], r.normal(size=(2, 1))),
        sample([np.array([True, False])], [1.5], default=r.normal(size=2)),
    ],
)
def select(condlist: Array, choicelist: Sequence[ArrayLike], default: ArrayLike = 0) -> Array:
    """Element by element, that of the first choice whose condition holds, or of `default` where none does.

    Args:
        condlist: arrays of booleans.
        choicelist: as many arrays. All broadcast.
        default: an array or a number.

    Returns:
        an array. What was not chosen has gradient 0, also where it is infinite or nan.

    Raises:
        ValueError: there are not as many choices as conditions, or none.
        TypeError: a condition is not boolean.

    >>> import tapenet as tn
    >>> x = tn.tensor([-1.0, 0.5, 3.0])
    >>> tn.select([x < 0, x > 1], [-x, x * x])
    Tensor([1., 0., 9.])
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(
            f"select: {len(condlist)} conditions and {len(choicelist)} choices: give one choice for each, and at least one"
        )
    values = [array_or_number(v) for v in (*choicelist, default)]
    dtype = np.result_type(*(v.dtype if hasattr(v, "dtype") else v for v in values))
    *choices, out = (v if hasattr(v, "dtype") else np.asarray(v, dtype) for v in values)
    for i, (condition, choice) in reversed(list(enumerate(zip(map(array_like, condlist), choices, strict=True)))):
        if condition.dtype != bool:
            raise TypeError(f"select: condition {i} is not boolean but {condition.dtype}")
        out = np.where(condition, choice, out)
    return out


@op(
    numpy=np.compress,
    nondiff=("condition",),
    a=lambda g, condition, a_shape, axis: taken(g, a_shape, np.flatnonzero(array_like(condition)), axis),
    gradients="a: g where the condition holds, else 0",
    samples=lambda r: [
        sample(np.array([True, False, True]), r.normal(size=(3, 2)), 0),
        sample([0, 1], r.normal(size=(2, 3)), axis=-1),
        sample(np.array([True, False, True, True]), r.normal(size=(2, 3))),
    ],
)
def compress(condition: Array, a: Array, axis: int | None = None) -> Array:
    """The parts of `a` along an axis whose condition holds.

    Args:
        condition: booleans, one for each; of those it has too few for there is none.
        a: an array.
        axis: the axis along which; None takes all elements as one.

    Raises:
        IndexError: a condition holds beyond the end of the axis.
        ValueError: the condition has not one axis.

    >>> import tapenet as tn
    >>> tn.compress([False, True], tn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([[3., 4.]])
    """
    return np.compress(condition, a, axis)


@derived(
    replaces=True,
    numpy=np.extract,
    samples=lambda r: [
        sample(np.array([[True, False], [False, True]]), r.normal(size=(2, 2))),
        sample([0, 1, 2], r.normal(size=(3, 1))),
    ],
)
def extract(condition: ArrayLike, arr: ArrayLike) -> Array:
    """The elements of `arr` where a condition holds, in one axis.

    Args:
        condition: booleans, of as many elements as `arr`.
        arr: an array.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, -2.0], [3.0, 4.0]])
    >>> tn.extract(t > 0, t)
    Tensor([1., 3., 4.])
    """
    return compress(np.reshape(array_like(condition), -1), array_like(arr))
