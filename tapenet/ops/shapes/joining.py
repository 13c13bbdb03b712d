"""Joining arrays by NumPy's many names: compositions of `concatenate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.registry import sample
from tapenet.ops.shapes.concatenation import cast, concatenate
from tapenet.ops.shapes.reshaping import reshape
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def at_least(a: Array, ndim: int) -> Array:
    """An array with axes of length one in front, up to `ndim` axes."""
    shape = a.shape
    return a if len(shape) >= ndim else reshape(a, (1,) * (ndim - len(shape)) + shape)


def at_least_3d(a: Array) -> Array:
    """An array with three axes or more, as `np.atleast_3d` counts them: a row is (1, n, 1), a matrix (m, n, 1)."""
    shape = a.shape
    return a if len(shape) >= 3 else reshape(a, (*(1, 1, *shape)[-2:], 1))


def _parts(name: str, tup: Sequence[ArrayLike], dtype: DTypeLike | None, casting: str) -> list[Array]:
    """What is to be joined, as arrays, in a dtype if one is given."""
    if dtype is None and casting == "same_kind":
        return [array_like(a) for a in tup]
    return cast(name, tup, dtype, casting)


def joined(name: str, parts: list[Array], axis: int) -> Array:
    """Arrays joined along an axis, for the function `name`, which the error for shapes that do not fit names."""
    try:
        return concatenate(parts, axis)
    except ValueError as error:
        if not parts:
            raise
        shapes = ", ".join(str(a.shape) for a in parts)
        raise ValueError(f"{name}(): the other axes must have equal lengths: {shapes}") from error


@derived(
    numpy=np.hstack,
    replaces=True,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=3)]),
        sample((r.normal(size=(2, 1)), r.normal(size=(2, 2)))),
        sample([r.normal(size=()), r.normal(size=2)]),
        sample([r.normal(size=(2, 0)), r.normal(size=(2, 1))], dtype=np.int32, casting="unsafe"),
        sample(r.normal(size=(2, 2, 1))),
    ],
)
def hstack(tup: Sequence[ArrayLike], *, dtype: DTypeLike | None = None, casting: str = "same_kind") -> Array:
    """Arrays joined side by side: along the second axis, those of one axis along it.

    Args:
        tup: a sequence of arrays, or an array: its parts along the first axis.
        dtype: of the result.
        casting: what may be cast to it.

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.hstack([tn.tensor([1.0]), tn.tensor([2.0, 3.0])])
    Tensor([1., 2., 3.])
    """
    parts = [at_least(a, 1) for a in _parts("hstack", tup, dtype, casting)]
    return joined("hstack", parts, 1 if parts and parts[0].ndim > 1 else 0)


@derived(
    numpy=np.vstack,
    replaces=True,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=(1, 2)), r.normal(size=(2, 2)), r.normal(size=2))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample([r.normal(size=(0, 2)), r.normal(size=2)], dtype=np.int32, casting="unsafe"),
        sample(r.normal(size=(2, 2, 1))),
    ],
)
def vstack(tup: Sequence[ArrayLike], *, dtype: DTypeLike | None = None, casting: str = "same_kind") -> Array:
    """Arrays joined one below the other: along the first axis, those of one axis as rows.

    Args:
        tup: a sequence of arrays, or an array: its parts along the first axis.
        dtype: of the result.
        casting: what may be cast to it.

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.vstack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[1., 2.],
            [3., 4.]])
    """
    return joined("vstack", [at_least(a, 2) for a in _parts("vstack", tup, dtype, casting)], 0)


#: The name that NumPy 2 has given up.
row_stack = vstack


@derived(
    numpy=np.dstack,
    replaces=True,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=(2, 3)), r.normal(size=(2, 3, 1)))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample(r.normal(size=(2, 2, 0))),
    ],
)
def dstack(tup: Sequence[ArrayLike]) -> Array:
    """Arrays joined along the third axis; a row counts as (1, n, 1), a matrix as (m, n, 1).

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.dstack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[[1., 3.],
             [2., 4.]]])
    """
    return joined("dstack", [at_least_3d(array_like(a)) for a in tup], 2)


@derived(
    numpy=np.column_stack,
    replaces=True,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=2), r.normal(size=(2, 3)))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample(r.normal(size=(2, 3))),
    ],
)
def column_stack(tup: Sequence[ArrayLike]) -> Array:
    """Arrays joined along the second axis, those of one axis as columns.

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.column_stack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[1., 3.],
            [2., 4.]])
    """
    parts = [array_like(a) for a in tup]
    return joined("column_stack", [reshape(a, (-1, 1)) if a.ndim < 2 else a for a in parts], 1)


@derived(
    numpy=np.block,
    replaces=True,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=1), r.normal(size=())]),
        sample([[r.normal(size=(2, 2)), r.normal(size=(2, 1))], [r.normal(size=(1, 3))]]),
        sample([[r.normal(size=(2, 1)), r.normal(size=(2, 1))], [r.normal(size=()), r.normal(size=())]]),
        sample([[[r.normal(size=(1, 2, 2))]], [[r.normal(size=(2, 2))]]]),
        sample(r.normal(size=(2, 2))),
        sample([r.normal(size=(2, 1, 2)), r.normal(size=(2, 1, 0))]),
    ],
)
def block(arrays: Array) -> Array:
    """An array put together from blocks, given as nested lists: the innermost lists are joined along the last axis, the
    lists of these along the one before it, and so on.

    Args:
        arrays: an array (copied), or lists of arrays, of lists of arrays ..., all equally deep. An array of fewer axes
            gets axes of length one in front.

    Raises:
        ValueError: lists of different depth, an empty list, or blocks that do not fit.
        TypeError: a tuple among the lists.

    >>> import tapenet as tn
    >>> a = tn.tensor([[1.0, 2.0]])
    >>> tn.block([[a, 0.0], [a * 10, 0.0]])
    Tensor([[ 1.,  2.,  0.],
            [10., 20.,  0.]])
    """
    leaves: list[Array] = []
    depth = _block_depth(arrays, leaves)
    if not depth:
        return np.copy(leaves[0])
    ndim = max(depth, *(len(a.shape) for a in leaves))
    rest = iter(leaves)

    def join(nested: Array, axis: int) -> Array:
        if not isinstance(nested, list):
            return at_least(next(rest), ndim)
        return joined("block", [join(part, axis + 1) for part in nested], axis)

    return join(arrays, -depth)


def _block_depth(nested: Array, leaves: list[Array]) -> int:
    """How deep lists of blocks are nested; the blocks are put into a list, as arrays."""
    if isinstance(nested, tuple):
        raise TypeError("block: a tuple among the blocks: write the rows as lists")
    if not isinstance(nested, list):
        leaves.append(array_like(nested))
        return 0
    if not nested:
        raise ValueError("block: an empty list among the blocks: leave it out")
    depths = [_block_depth(a, leaves) for a in nested]
    if len(set(depths)) > 1:
        raise ValueError(f"block: the lists differ in depth ({', '.join(str(d + 1) for d in depths)}); nest all alike")
    return depths[0] + 1
