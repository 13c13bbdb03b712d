"""Where something is in an array: positions as indices, and bits. Without a derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from tapenet.ops.op import op
from tapenet.ops.registry import answer, sample
from tapenet.program.symbols import array_of, builder_of, provided
from tapenet.typing import Array


@op(
    numpy=np.argwhere,
    nondiff=True,
    samples=lambda r: [sample(np.array([[0.0, 1.5], [2.5, 0.0]])), sample(np.zeros((2, 2)))],
)
def argwhere(a: Array) -> Array:
    """The indices of the elements that are not zero, a row for each. Returns a tensor without gradient.

    >>> import tapenet as tn
    >>> tn.argwhere(tn.tensor([0.0, 2.0, 1.0])).tolist()
    [[1], [2]]
    """
    return np.argwhere(a)


@op(
    numpy=np.flatnonzero,
    nondiff=True,
    samples=lambda r: [sample(np.array([[0.0, 1.5], [2.5, 0.0]])), sample(np.array([True, False]))],
)
def flatnonzero(a: Array) -> Array:
    """The indices of the elements that are not zero, counted through all in row-major order. Returns a tensor without
    gradient.

    >>> import tapenet as tn
    >>> tn.flatnonzero(tn.tensor([[0.0, 2.0], [1.0, 0.0]])).tolist()
    [1, 2]
    """
    return np.flatnonzero(a)


@op(
    numpy=np.nonzero,
    nondiff=True,
    outputs=None,
    samples=lambda r: [sample(np.array([[0.0, 1.5], [2.5, 0.0]])), sample(np.array([True, False]))],
)
def nonzero(a: Array) -> tuple[Array, ...]:
    """The indices of the elements that are not zero: a tuple with one array per axis. Returns tensors without
    gradient.

    >>> import tapenet as tn
    >>> [i.tolist() for i in tn.nonzero(tn.tensor([[0.0, 2.0], [1.0, 0.0]]))]
    [[0, 1], [1, 0]]
    """
    return np.nonzero(a)


def _ravelled(
    multi_index: Any, dims: int | Sequence[int], mode: str | Sequence[str] = "raise", order: str = "C"
) -> Any:
    """The same in a program."""
    lengths = [dims] if isinstance(dims, int) else [*dims]
    modes = [mode] * len(lengths) if isinstance(mode, str) else mode
    builder = builder_of(multi_index)
    axes = [*zip(multi_index, lengths, modes, strict=True)]
    found: Any = 0
    for given, n, how in axes[::-1] if order == "F" else axes:
        i: Any = array_of(builder, given).astype(np.intp)
        if how == "raise":
            i = provided(i, (i < 0) | (i >= n), ValueError, "invalid entry in coordinates array")
        found = found * n + (i % n if how == "wrap" else np.clip(i, 0, n - 1) if how == "clip" else i)
    return found


@op(
    label="ravel multi-index",
    lower=_ravelled,  # NumPy does not ask the arrays in a tuple
    numpy=np.ravel_multi_index,
    nondiff=("multi_index",),
    samples=lambda r: [
        sample((np.array([0, 1]), np.array([2, 0])), (2, 3)),
        sample(np.array([[0, 1], [2, 0]]), (3, 3), order="F"),
        sample((np.array([0, 3]), np.array([-1, 0])), (2, 3), ("clip", "wrap")),
    ],
)
def ravel_multi_index(
    multi_index: Array,
    dims: int | Sequence[int],
    mode: Literal["raise", "wrap", "clip"] = "raise",
    order: Literal["C", "F"] = "C",
) -> Array:
    """The flat indices of elements whose indices along each axis are given. Returns a tensor without gradient.

    Args:
        multi_index: a tuple of integer arrays, one per axis, or an array whose rows are these.
        dims: the shape.
        mode: what an index out of range means: "raise" an error, "wrap" around, or "clip" to the ends; or one for each
            axis.
        order: row-major "C" or column-major "F".

    >>> import tapenet as tn
    >>> tn.ravel_multi_index((tn.tensor([0, 1]), tn.tensor([2, 0])), (2, 3)).tolist()
    [2, 3]
    """
    return np.asarray(np.ravel_multi_index(multi_index, dims, mode, order))


@op(
    label="unravel index",
    numpy=np.unravel_index,
    nondiff=("indices",),
    outputs=None,
    vmap="leading",
    samples=lambda r: [
        sample(np.array([[2, 3], [0, 5]]), (2, 3)),
        sample(np.array([2, 3]), (2, 3), "F"),
        sample(np.array(3), (4,)),
    ],
)
def unravel_index(indices: Array, shape: int | Sequence[int], order: Literal["C", "F"] = "C") -> tuple[Array, ...]:
    """The indices along each axis of elements whose flat indices are given: a tuple with one array per axis. Returns
    tensors without gradient.

    Args:
        indices: integers of any shape.
        shape: the shape they count in.
        order: row-major "C" or column-major "F".

    >>> import tapenet as tn
    >>> [i.item() for i in tn.unravel_index(tn.argmax(tn.tensor([[0.0, 1.0], [3.0, 2.0]])), (2, 2))]
    [1, 0]
    """
    return np.unravel_index(indices, shape, order)


def diag_indices_from(arr: Array) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array: plain arrays, since the shape alone decides.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> t[tn.diag_indices_from(t)]
    Tensor([1., 4.])
    """
    return np.diag_indices_from(np.broadcast_to(0, arr.shape))


def tril_indices_from(arr: Array, k: int = 0) -> tuple[Array, ...]:
    """The indices of the elements of a matrix on and below its k-th diagonal: plain arrays, since the shape alone
    decides.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> t[tn.tril_indices_from(t)]
    Tensor([1., 3., 4.])
    """
    return np.tril_indices_from(np.broadcast_to(0, arr.shape), k)


def triu_indices_from(arr: Array, k: int = 0) -> tuple[Array, ...]:
    """The indices of the elements of a matrix on and above its k-th diagonal: plain arrays, since the shape alone
    decides.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> t[tn.triu_indices_from(t, 1)]
    Tensor([2.])
    """
    return np.triu_indices_from(np.broadcast_to(0, arr.shape), k)


answer(np.diag_indices_from, diag_indices_from)
answer(np.tril_indices_from, tril_indices_from)
answer(np.triu_indices_from, triu_indices_from)

# -- bits --------------------------------------------------------------------------------------------------------


@op(
    numpy=np.packbits,
    nondiff=True,
    vmap="axis",
    samples=lambda r: [
        sample(np.array([[True, False, True], [True, True, False]])),
        sample(np.array([[1, 0, 2]]), 1, "little"),
    ],
)
def packbits(a: Array, axis: int | None = None, bitorder: Literal["big", "little"] = "big") -> Array:
    """Each eight elements as the bits of one byte: 1 where they are not zero. Returns a tensor without gradient.

    Args:
        a: integers or booleans.
        axis: the axis along which; None takes all elements as one.
        bitorder: whether the first is the highest bit ("big") or the lowest ("little").

    >>> import tapenet as tn
    >>> tn.packbits(tn.tensor([True, False, True])).tolist()
    [160]
    """
    return np.packbits(a, axis, bitorder)


@op(
    numpy=np.unpackbits,
    nondiff=True,
    vmap="axis",
    samples=lambda r: [
        sample(np.array([[3], [130]], np.uint8)),
        sample(np.array([[3], [130]], np.uint8), 1, count=-5, bitorder="little"),
    ],
)
def unpackbits(
    a: Array, axis: int | None = None, count: int | None = None, bitorder: Literal["big", "little"] = "big"
) -> Array:
    """The eight bits of each byte, as bytes 0 and 1. Returns a tensor without gradient.

    Args:
        a: bytes (uint8).
        axis: the axis along which; None takes all elements as one.
        count: how many bits to return; a negative number says how many of the last to leave out.
        bitorder: whether the first is the highest bit ("big") or the lowest ("little").

    >>> import numpy as np, tapenet as tn
    >>> tn.unpackbits(tn.tensor(np.array([160], np.uint8)), count=3).tolist()
    [1, 0, 1]
    """
    return np.unpackbits(a, axis, count, bitorder)
