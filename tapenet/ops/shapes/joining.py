"""Joining, cutting and repeating arrays by NumPy's many names."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.indexing.basic import raw_index
from tapenet.ops.op import array_like, derived, sample
from tapenet.ops.shapes.concatenation import concatenate, cut, split


def _parts(tup: Any) -> list[Any]:
    """What is to be joined, as arrays."""
    return [array_like(a) for a in tup]


def _joined(parts: list[Any], axis: int, dtype: Any, casting: str) -> Any:
    if dtype is None and casting == "same_kind":
        return concatenate(parts, axis)
    return concatenate(parts, axis, dtype=dtype, casting=casting)


def at_least(a: Any, ndim: int) -> Any:
    """An array with axes of length one in front, up to `ndim` axes."""
    return a if a.ndim >= ndim else np.reshape(a, (1,) * (ndim - a.ndim) + a.shape)


def at_least_3d(a: Any) -> Any:
    """An array with three axes or more, as `np.atleast_3d` counts them: a row is (1, n, 1), a matrix (m, n, 1)."""
    return at_least(a, 2)[..., None] if a.ndim < 3 else a


@derived(
    numpy=np.hstack,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=3)]),
        sample((r.normal(size=(2, 1)), r.normal(size=(2, 2)))),
        sample([r.normal(size=()), r.normal(size=2)]),
        sample([r.normal(size=(2, 0)), r.normal(size=(2, 1))], dtype=np.int32, casting="unsafe"),
        sample(r.normal(size=(2, 2, 1))),
    ],
)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
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
    parts = [at_least(a, 1) for a in _parts(tup)]
    return _joined(parts, 0 if parts and parts[0].ndim == 1 else 1, dtype, casting)


@derived(
    numpy=np.vstack,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=(1, 2)), r.normal(size=(2, 2)), r.normal(size=2))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample([r.normal(size=(0, 2)), r.normal(size=2)], dtype=np.int32, casting="unsafe"),
        sample(r.normal(size=(2, 2, 1))),
    ],
)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
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
    return _joined([at_least(a, 2) for a in _parts(tup)], 0, dtype, casting)


#: The name that NumPy 2 has given up.
row_stack = vstack


@derived(
    numpy=np.dstack,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=(2, 3)), r.normal(size=(2, 3, 1)))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample(r.normal(size=(2, 2, 0))),
    ],
)
def dstack(tup: Any) -> Any:
    """Arrays joined along the third axis; a row counts as (1, n, 1), a matrix as (m, n, 1).

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.dstack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[[1., 3.],
             [2., 4.]]])
    """
    return concatenate([at_least_3d(a) for a in _parts(tup)], 2)


@derived(
    numpy=np.column_stack,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=2), r.normal(size=(2, 3)))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample(r.normal(size=(2, 3))),
    ],
)
def column_stack(tup: Any) -> Any:
    """Arrays joined along the second axis, those of one axis as columns.

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.column_stack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return concatenate([np.transpose(at_least(a, 2)) if a.ndim < 2 else a for a in _parts(tup)], 1)


@derived(
    numpy=np.block,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=1), r.normal(size=())]),
        sample([[r.normal(size=(2, 2)), r.normal(size=(2, 1))], [r.normal(size=(1, 3))]]),
        sample([[r.normal(size=(2, 1)), r.normal(size=(2, 1))], [r.normal(size=()), r.normal(size=())]]),
        sample([[[r.normal(size=(1, 2, 2))]], [[r.normal(size=(2, 2))]]]),
        sample(r.normal(size=(2, 2))),
        sample([r.normal(size=(2, 1, 2)), r.normal(size=(2, 1, 0))]),
    ],
)
def block(arrays: Any) -> Any:
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
    depth, widest = _depth(arrays)
    if not isinstance(arrays, list):
        return np.copy(array_like(arrays))
    return _join_blocks(arrays, depth, max(depth, widest))


def _depth(arrays: Any) -> tuple[int, int]:
    """How deep lists of blocks are nested, and the most axes that a block has."""
    if isinstance(arrays, tuple):
        raise TypeError("block: a tuple among the blocks: write the rows as lists")
    if not isinstance(arrays, list):
        return 0, len(np.shape(arrays))
    if not arrays:
        raise ValueError("block: an empty list among the blocks: leave it out")
    depths, ndims = zip(*map(_depth, arrays), strict=True)
    if len(set(depths)) > 1:
        raise ValueError(f"block: the lists differ in depth ({', '.join(str(d + 1) for d in depths)}); nest all alike")
    return depths[0] + 1, max(ndims)


def _join_blocks(arrays: Any, depth: int, ndim: int) -> Any:
    if not isinstance(arrays, list):
        return at_least(array_like(arrays), ndim)
    return concatenate([_join_blocks(a, depth - 1, ndim) for a in arrays], -depth)


# -- cutting -----------------------------------------------------------------------------------------------------


@derived(
    numpy=np.array_split,
    samples=lambda r: [
        sample(r.normal(size=(5, 2)), 3),
        sample(r.normal(size=(2, 3)), 4, -1),
        sample(r.normal(size=5), [1, 3]),
        sample(r.normal(size=(2, 4)), (1, -1), axis=1),
        sample(r.normal(size=(0, 2)), 2),
    ],
)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Split into sections as equal as can be, the longer ones first, or before the given indices, along an axis.

    Raises:
        ValueError: less than one section, or no such axis.

    >>> import tapenet as tn
    >>> tn.array_split(tn.tensor([1.0, 2.0, 3.0]), 2)
    [Tensor([1., 2.]), Tensor([3.])]
    """
    ary = array_like(ary)
    axis = normalize_axis_index(axis, ary.ndim)
    length = ary.shape[axis]
    if np.ndim(indices_or_sections):
        return cut(ary, [*(int(i) for i in indices_or_sections), length], axis)
    sections = int(indices_or_sections)
    if sections < 1:
        raise ValueError(f"array_split: {sections} sections; give one or more")
    each, longer = divmod(length, sections)
    return cut(ary, [each * (i + 1) + min(i + 1, longer) for i in range(sections)], axis)


def _split_along(name: str, ary: Any, indices_or_sections: Any, axis: int) -> list[Any]:
    ary = array_like(ary)
    if ary.ndim <= axis:
        raise ValueError(
            f"{name}: an array of shape {ary.shape} has no axis {axis} to split along; use split with axis= of your own"
        )
    return split(ary, indices_or_sections, axis)  # type: ignore[no-any-return]


@derived(
    numpy=np.hsplit,
    samples=lambda r: [
        sample(r.normal(size=4), 2),
        sample(r.normal(size=(2, 3, 1)), [1]),
        sample(r.normal(size=3), []),
    ],
)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the second axis, or the only one.

    Raises:
        ValueError: the axis does not divide into equal sections, or there is none.

    >>> import tapenet as tn
    >>> tn.hsplit(tn.tensor([[1.0, 2.0]]), 2)
    [Tensor([[1.]]), Tensor([[2.]])]
    """
    ary = array_like(ary)
    return _split_along("hsplit", ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@derived(numpy=np.vsplit, samples=lambda r: [sample(r.normal(size=(4, 2)), 2), sample(r.normal(size=(3, 2)), [1, 5])])
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the first of two or more axes.

    Raises:
        ValueError: the axis does not divide into equal sections, or there are fewer than two.

    >>> import tapenet as tn
    >>> tn.vsplit(tn.tensor([[1.0], [2.0]]), 2)
    [Tensor([[1.]]), Tensor([[2.]])]
    """
    ary = array_like(ary)
    if ary.ndim < 2:
        raise ValueError(f"vsplit: an array of shape {ary.shape} has no rows to split; use split")
    return _split_along("vsplit", ary, indices_or_sections, 0)


@derived(
    numpy=np.dsplit, samples=lambda r: [sample(r.normal(size=(1, 2, 4)), 2), sample(r.normal(size=(2, 1, 3)), [0, 2])]
)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the third axis.

    Raises:
        ValueError: the axis does not divide into equal sections, or there is none.

    >>> import tapenet as tn
    >>> tn.dsplit(tn.tensor([[[1.0, 2.0]]]), 2)
    [Tensor([[[1.]]]), Tensor([[[2.]]])]
    """
    return _split_along("dsplit", ary, indices_or_sections, 2)


@derived(
    numpy=getattr(np, "unstack", ()),  # NumPy 2.1
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(3, 2)), axis=-1), sample(r.normal(size=2))],
)
def unstack(x: Any, *, axis: int = 0) -> tuple[Any, ...]:
    """The parts of an array along an axis, without that axis: what `stack` undoes.

    Raises:
        ValueError: an array without axes, or no such axis.

    >>> import tapenet as tn
    >>> tn.unstack(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    (Tensor([1., 3.]), Tensor([2., 4.]))
    """
    if not x.ndim:
        raise ValueError("unstack: an array without axes has no parts")
    lead = (slice(None),) * normalize_axis_index(axis, x.ndim)
    return tuple(x[(*lead, i)] for i in range(x.shape[axis]))


# -- repeating ---------------------------------------------------------------------------------------------------


@derived(
    numpy=np.tile,
    samples=lambda r: [
        sample(r.normal(size=3), 2),
        sample(r.normal(size=(2, 2)), (1, 2)),
        sample(r.normal(size=2), (2, 1, 3)),
        sample(r.normal(size=(2, 1, 2)), (2,)),
        sample(r.normal(size=()), (2, 2)),
        sample(r.normal(size=2), (2, 0)),
        sample(r.normal(size=(2, 2)), ()),
    ],
)
def tile(A: Any, reps: Any) -> Any:
    """An array repeated as a whole, `reps` times along each axis.

    Args:
        A: an array.
        reps: an integer, or one per axis; where their numbers differ the shorter side gets ones in front.

    Returns:
        an array whose lengths are those of `A` times `reps`. The gradient is the sum over the repetitions.

    >>> import tapenet as tn
    >>> tn.tile(tn.tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """
    A = array_like(A)
    counts = tuple(map(operator.index, reps)) if np.ndim(reps) else (operator.index(reps),)
    ndim = max(A.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - A.ndim) + A.shape
    if all(n == 1 for n in counts):
        return np.copy(np.reshape(A, shape))
    # Each axis gets one of length 1 before it, and is repeated along that.
    apart = np.reshape(A, tuple(k for n in shape for k in (1, n)))
    wide = np.broadcast_to(apart, tuple(k for pair in zip(counts, shape, strict=True) for k in pair))
    return np.reshape(wide, tuple(c * n for c, n in zip(counts, shape, strict=True)))


@derived(
    numpy=np.repeat,
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), 2),
        sample(r.normal(size=(2, 3)), 2, axis=-1),
        sample(r.normal(size=(2, 3)), [0, 2], 0),
        sample(r.normal(size=(2, 2)), [1, 0, 2, 1]),
        sample(r.normal(size=(2, 2)), [3], axis=1),
        sample(r.normal(size=()), 3),
        sample(r.normal(size=(2, 1)), 0, 1),
    ],
)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated, next to itself, along an axis.

    Args:
        a: an array.
        repeats: how many times, for all elements or one number for each along the axis.
        axis: an axis, or None for all elements in row-major order.

    Returns:
        an array that is longer along the axis. The gradient is the sum over the repetitions.

    Raises:
        ValueError: a negative number, or as many numbers as the axis is not long.
        TypeError: numbers that are no integers.

    >>> import tapenet as tn
    >>> tn.repeat(tn.tensor([1.0, 2.0]), [1, 3])
    Tensor([1., 2., 2., 2.])
    """
    a, repeats = array_like(a), raw_index(repeats)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = normalize_axis_index(axis, a.ndim)
    length = a.shape[axis]
    if np.size(repeats) == 1:
        count = operator.index(np.reshape(repeats, ())[()])
        if count < 0:
            raise ValueError(f"repeat: {count} repeats; give 0 or more")
        wide = np.broadcast_to(np.expand_dims(a, axis + 1), (*a.shape[: axis + 1], count, *a.shape[axis + 1 :]))
        return np.reshape(wide, (*a.shape[:axis], length * count, *a.shape[axis + 1 :]))
    if np.shape(repeats) != (length,):
        raise ValueError(
            f"repeat: {np.size(repeats)} numbers of repeats for axis {axis} of shape {a.shape}; give one, or {length}"
        )
    return a[((slice(None),) * axis + (np.repeat(np.arange(length), repeats),))]
