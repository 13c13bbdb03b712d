"""Selecting elements by index, condition or choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.op import array_like, derived, sample


def along(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """The index that selects, of an array of `shape`, the elements `indices` along one axis and those in the same
    place along the others."""
    grids: list[Any] = list(np.ogrid[tuple(slice(n) for n in shape)])
    grids[axis] = indices
    return tuple(grids)


def within(indices: Any, length: int, mode: str) -> Any:
    """Indices into an axis as NumPy's `mode` means them."""
    if mode == "raise":
        return indices
    if mode not in ("wrap", "clip"):
        raise ValueError(f"mode={mode!r} is none of 'raise', 'wrap' and 'clip'")
    if length == 0 and np.size(indices):
        raise IndexError("cannot take anything from an axis of length 0")
    return np.remainder(indices, max(length, 1)) if mode == "wrap" else np.clip(indices, 0, max(length - 1, 0))


def integers(indices: Any) -> Any:
    """Indices that a function takes as integers: booleans count as 0 and 1, and an empty list has none."""
    if isinstance(indices, int):
        return int(indices)
    found = array_like(indices)
    return found.astype(np.intp) if found.dtype == bool or found.shape == (0,) else found


@derived(
    numpy=np.take,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[0, 5], [5, -1]])),
        sample(r.normal(size=(2, 3)), np.array([2, 0, 2]), -1),
        sample(r.normal(size=(2, 3)), 1, axis=0),
        sample(r.normal(size=(3, 2)), [[4, -5]], 0, mode="wrap"),
        sample(r.normal(size=(3, 2)), np.array([4, -5]), 0, mode="clip"),
        sample(r.normal(size=3), np.zeros((2, 0), int), 0),
        sample(r.normal(size=()), np.array(0)),
    ],
)
def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
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
    a, indices = array_like(a), integers(indices)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    if not -a.ndim <= axis < a.ndim:
        raise ValueError(f"take: axis {axis} is out of bounds for an array of shape {a.shape}")
    return a[(*(slice(None),) * (axis % a.ndim), within(indices, a.shape[axis], mode))]


@derived(
    numpy=np.take_along_axis,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[0, 2, 2, -1], [1, 1, 0, 0]]), -1),
        sample(r.normal(size=(2, 3)), np.array([[1, 0, 1]]), axis=0),
        sample(r.normal(size=(2, 3, 2)), np.array([[[0], [2]]]), 1),
        sample(r.normal(size=(2, 3)), np.array([5, 0, 5]), None),
        sample(r.normal(size=(2, 3)), np.zeros((2, 0), int), 1),
    ],
)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """For each position along the other axes, the elements of `arr` at `indices` along `axis`: what `argsort`,
    `argmax(..., keepdims=True)` and their kin return selects what they found.

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
    arr, indices = array_like(arr), array_like(indices)
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    if indices.ndim != arr.ndim:
        raise ValueError(
            f"take_along_axis: the indices have shape {indices.shape}, the array {arr.shape}: both need as many axes"
        )
    if indices.dtype.kind not in "iu":
        raise IndexError(f"take_along_axis: the indices must be integers, not {indices.dtype}")
    if not -arr.ndim <= axis < arr.ndim:
        raise ValueError(f"take_along_axis: axis {axis} is out of bounds for an array of shape {arr.shape}")
    return arr[along(arr.shape, indices, axis % arr.ndim)]
