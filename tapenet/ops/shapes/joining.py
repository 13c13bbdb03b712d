"""Joining, cutting and repeating arrays by NumPy's many names."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import array_like, derived
from tapenet.ops.indexing.selecting import taken
from tapenet.ops.op import Op, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.basic import whole
from tapenet.ops.shapes.concatenation import cast, concatenate, cut, one_array, split


def _parts(tup: Any) -> list[Any]:
    """What is to be joined, as arrays."""
    return [array_like(a) for a in tup]


def at_least(a: Any, ndim: int) -> Any:
    """An array with axes of length one in front, up to `ndim` axes."""
    return a if a.ndim >= ndim else np.reshape(a, (1,) * (ndim - a.ndim) + a.shape)


def at_least_3d(a: Any) -> Any:
    """An array with three axes or more, as `np.atleast_3d` counts them: a row is (1, n, 1), a matrix (m, n, 1)."""
    return at_least(a, 2)[..., None] if a.ndim < 3 else a


def _rule(wide: Callable[[tuple[int, ...]], tuple[int, ...]], axis: int) -> Callable[..., Any]:
    """The gradient of arrays that are brought to the shape `wide` and joined along an axis: to each its part."""

    def rule(g: Any, tup_shape: Any) -> Any:
        one = one_array(tup_shape)
        shapes = (tup_shape[1:],) * tup_shape[0] if one else tup_shape
        lead = (slice(None),) * min(axis, g.ndim - 1)  # hstack joins rows along their only axis
        parts, start = [], 0
        for shape in shapes:
            stop = start + wide(shape)[len(lead)]
            part = g[(*lead, slice(start, stop))]
            parts.append(part if part.shape == shape else np.reshape(part, shape))
            start = stop
        return np.stack(parts) if one else tuple(parts)

    return rule


def _at_least(ndim: int) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    return lambda shape: (1,) * (ndim - len(shape)) + shape


def _deep(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*_at_least(2)(shape), 1) if len(shape) < 3 else shape


def _fit(tup: Any) -> str:
    return "The other axes must have equal lengths: " + ", ".join(str(np.shape(a)) for a in tup)


def _hstack_lowered(tup: Any) -> Any:
    parts = [at_least(a, 1) for a in _parts(tup)]
    return np.concatenate(parts, 0 if parts[0].ndim == 1 else 1)


def _column(a: Any) -> Any:
    return np.reshape(a, (-1, 1)) if a.ndim < 2 else a


hstack: Op = op(
    lambda tup: np.hstack(tup),
    name="hstack",
    numpy=np.hstack,
    more=lambda tup, *, dtype=None, casting="same_kind": hstack(cast("hstack", tup, dtype, casting)),
    lower=_hstack_lowered,
    tup=_rule(_at_least(1), 1),
    formula="arrays joined side by side",
    gradients="tup: the part of g that each became",
    doc="""Arrays joined side by side: along the second axis, those of one axis along it.

    Args:
        tup: a sequence of arrays, or an array: its parts along the first axis.
        dtype: of the result (by keyword).
        casting: what may be cast to it (by keyword).

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.hstack([tn.tensor([1.0]), tn.tensor([2.0, 3.0])])
    Tensor([1., 2., 3.])
    """,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=3)]),
        sample((r.normal(size=(2, 1)), r.normal(size=(2, 2)))),
        sample([r.normal(size=()), r.normal(size=2)]),
        sample([r.normal(size=(2, 0)), r.normal(size=(2, 1))], dtype=np.int32, casting="unsafe"),
        sample(r.normal(size=(2, 2, 1))),
    ],
    mend=_fit,
)

vstack: Op = op(
    lambda tup: np.vstack(tup),
    name="vstack",
    numpy=np.vstack,
    more=lambda tup, *, dtype=None, casting="same_kind": vstack(cast("vstack", tup, dtype, casting)),
    lower=lambda tup: np.concatenate([at_least(a, 2) for a in _parts(tup)], 0),
    tup=_rule(_at_least(2), 0),
    formula="arrays joined one below the other",
    gradients="tup: the part of g that each became",
    doc="""Arrays joined one below the other: along the first axis, those of one axis as rows.

    Args:
        tup: a sequence of arrays, or an array: its parts along the first axis.
        dtype: of the result (by keyword).
        casting: what may be cast to it (by keyword).

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.vstack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[1., 2.],
            [3., 4.]])
    """,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=(1, 2)), r.normal(size=(2, 2)), r.normal(size=2))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample([r.normal(size=(0, 2)), r.normal(size=2)], dtype=np.int32, casting="unsafe"),
        sample(r.normal(size=(2, 2, 1))),
    ],
    mend=_fit,
)

#: The name that NumPy 2 has given up.
row_stack = vstack

dstack: Op = op(
    lambda tup: np.dstack(tup),
    name="dstack",
    numpy=np.dstack,
    lower=lambda tup: np.concatenate([at_least_3d(a) for a in _parts(tup)], 2),
    tup=_rule(_deep, 2),
    formula="arrays joined along the third axis",
    gradients="tup: the part of g that each became",
    doc="""Arrays joined along the third axis; a row counts as (1, n, 1), a matrix as (m, n, 1).

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.dstack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[[1., 3.],
             [2., 4.]]])
    """,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=(2, 3)), r.normal(size=(2, 3, 1)))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample(r.normal(size=(2, 2, 0))),
    ],
    mend=_fit,
)

column_stack: Op = op(
    lambda tup: np.column_stack(tup),
    name="column_stack",
    label="column stack",
    numpy=np.column_stack,
    lower=lambda tup: np.concatenate([_column(a) for a in _parts(tup)], 1),
    tup=_rule(lambda shape: shape if len(shape) > 1 else (math.prod(shape), 1), 1),
    formula="arrays joined, rows as columns",
    gradients="tup: the part of g that each became",
    doc="""Arrays joined along the second axis, those of one axis as columns.

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.column_stack([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])])
    Tensor([[1., 3.],
            [2., 4.]])
    """,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=2)]),
        sample((r.normal(size=2), r.normal(size=(2, 3)))),
        sample([r.normal(size=()), r.normal(size=())]),
        sample(r.normal(size=(2, 3))),
    ],
    mend=_fit,
)


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


def _lengths(shape: tuple[int, ...], reps: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How often each axis is repeated, and how long it is: as many numbers for both."""
    counts = tuple(map(operator.index, reps)) if np.ndim(reps) else (operator.index(reps),)
    ndim = max(len(shape), len(counts))
    return (1,) * (ndim - len(counts)) + counts, (1,) * (ndim - len(shape)) + shape


def _tile_a(g: Any, A_shape: Any, reps: Any) -> Any:
    A_shape = whole(A_shape)
    counts, lengths = _lengths(A_shape, reps)
    # Each axis is cut in two, of which the first counts the repetitions.
    apart = np.reshape(g, tuple(k for pair in zip(counts, lengths, strict=True) for k in pair))
    return np.reshape(np.sum(apart, axis=tuple(range(0, 2 * len(counts), 2))), A_shape)


def _tile_lowered(A: Any, reps: Any) -> Any:
    counts, lengths = _lengths(A.shape, reps)
    apart = np.reshape(A, tuple(k for n in lengths for k in (1, n)))
    wide = np.broadcast_to(apart, tuple(k for pair in zip(counts, lengths, strict=True) for k in pair))
    return np.reshape(wide, tuple(c * n for c, n in zip(counts, lengths, strict=True)))


tile = op(
    lambda A, reps: np.tile(A, reps),
    name="tile",
    numpy=np.tile,
    lower=_tile_lowered,
    A=_tile_a,
    formula="A repeated as a whole along each axis",
    gradients="A: Σ g over the repetitions",
    doc="""An array repeated as a whole, `reps` times along each axis.

    Args:
        A: an array.
        reps: an integer, or one per axis; where their numbers differ the shorter side gets ones in front.

    Returns:
        an array whose lengths are those of `A` times `reps`. The gradient is the sum over the repetitions.

    >>> import tapenet as tn
    >>> tn.tile(tn.tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """,
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


def _each_repeated(shape: tuple[int, ...], repeats: Any, axis: int | None) -> tuple[tuple[int, ...], int, int | None]:
    """The shape and the axis along which elements are repeated, and how often if all are equally."""
    if axis is None or not shape:
        shape, axis = (math.prod(shape),), 0
    axis = normalize_axis_index(axis, len(shape))
    return shape, axis, max(int(np.reshape(repeats, ())), 0) if np.size(repeats) == 1 else None


#: Up to how many elements one after another are added as exactly as in pairs.
_FEW = 32


def _repeat_a(g: Any, a_shape: Any, repeats: Any, axis: int | None) -> Any:
    shape, along, count = _each_repeated(whole(a_shape), repeats, axis)
    if count is None:
        return taken(g, a_shape, repeat(np.arange(shape[along]), repeats), axis)
    apart = np.reshape(g, (math.prod(shape[: along + 1]), count, math.prod(shape[along + 1 :])))
    # Of few elements each einsum makes sums several times as quickly as np.sum.
    few = type(g) is np.ndarray and count <= _FEW
    return np.reshape(np.einsum("ijk->ik", apart) if few else np.sum(apart, 1), whole(a_shape))


def _repeat_lowered(a: Any, repeats: Any, axis: int | None) -> Any:
    shape, along, count = _each_repeated(a.shape, repeats, axis)
    a = np.reshape(a, shape)
    if count is None:
        return np.take(a, np.repeat(np.arange(shape[along]), repeats), along)
    wide = np.broadcast_to(np.expand_dims(a, along + 1), (*shape[: along + 1], count, *shape[along + 1 :]))
    return np.reshape(wide, (*shape[:along], shape[along] * count, *shape[along + 1 :]))


repeat: Op = op(
    lambda a, repeats, axis=None: np.repeat(a, repeats, axis),
    name="repeat",
    numpy=np.repeat,
    nondiff=("repeats",),
    lower=_repeat_lowered,
    a=_repeat_a,
    formula="each element of a repeated next to itself",
    gradients="a: Σ g over the repetitions",
    doc="""Each element repeated, next to itself, along an axis.

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
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), 2),
        sample(r.normal(size=(2, 3)), 2, axis=-1),
        sample(r.normal(size=(2, 3)), [0, 2], 0),
        sample(r.normal(size=(2, 2)), np.array([1, 0, 2, 1])),
        sample(r.normal(size=(2, 2)), [3], axis=1),
        sample(r.normal(size=()), 3),
        sample(r.normal(size=(2, 1)), 0, 1),
    ],
    mend=lambda a, repeats, axis: (
        f"a has shape {np.shape(a)}: give one number of repeats, 0 or more, or one for each element along the axis"
    ),
)
