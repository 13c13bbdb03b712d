"""Joining arrays by NumPy's many names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import Op, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.concatenation import cast, parted
from tapenet.ops.shapes.reshaping import reshape


def _parts(tup: Any) -> list[Any]:
    """What is to be joined, as arrays."""
    return [array_like(a) for a in tup]


def at_least(a: Any, ndim: int) -> Any:
    """An array with axes of length one in front, up to `ndim` axes."""
    shape = a.shape
    return a if len(shape) >= ndim else reshape(a, (1,) * (ndim - len(shape)) + shape)


def at_least_3d(a: Any) -> Any:
    """An array with three axes or more, as `np.atleast_3d` counts them: a row is (1, n, 1), a matrix (m, n, 1)."""
    return a if len(a.shape) >= 3 else reshape(a, _deep(a.shape))


def _rule(wide: Callable[[tuple[int, ...]], tuple[int, ...]], axis: int) -> Callable[..., Any]:
    """The gradient of arrays that are brought to the shape `wide` and joined along an axis; rows along their only one."""
    return lambda g, tup_shape: parted(g, tup_shape, min(axis, g.ndim - 1), wide)


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
    sequences=("tup",),
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
    hint=_fit,
)

vstack: Op = op(
    lambda tup: np.vstack(tup),
    name="vstack",
    sequences=("tup",),
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
    hint=_fit,
)

#: The name that NumPy 2 has given up.
row_stack = vstack

dstack: Op = op(
    lambda tup: np.dstack(tup),
    name="dstack",
    sequences=("tup",),
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
    hint=_fit,
)

column_stack: Op = op(
    lambda tup: np.column_stack(tup),
    name="column_stack",
    sequences=("tup",),
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
    hint=_fit,
)


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
    if isinstance(arrays, tuple):
        raise TypeError(_TUPLE)
    if not isinstance(arrays, list):
        return np.copy(array_like(arrays))
    leaves: list[Any] = []
    tree, depth = _numbered(arrays, leaves)
    return blocks(leaves, tree, max(depth, *(len(a.shape) for a in leaves)))


_TUPLE = "block: a tuple among the blocks: write the rows as lists"


def _numbered(arrays: list[Any], leaves: list[Any]) -> tuple[Any, int]:
    """Nested lists of blocks as nested tuples of their numbers, and how deep these are; the blocks are put into a list."""
    if not arrays:
        raise ValueError("block: an empty list among the blocks: leave it out")
    trees: list[Any] = []
    depths: list[int] = []
    for a in arrays:
        if isinstance(a, list):
            tree, depth = _numbered(a, leaves)
        elif isinstance(a, tuple):
            raise TypeError(_TUPLE)
        else:
            tree, depth = len(leaves), 0
            leaves.append(array_like(a))
        trees.append(tree)
        depths.append(depth)
    if len(set(depths)) > 1:
        raise ValueError(f"block: the lists differ in depth ({', '.join(str(d + 1) for d in depths)}); nest all alike")
    return tuple(trees), depths[0] + 1


def _nested(tree: Any, arrays: Any) -> Any:
    return [_nested(t, arrays) for t in tree] if isinstance(tree, tuple) else arrays[tree]


def _laid(tree: Any, axis: int, shapes: list[tuple[int, ...]]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The shape of blocks that are joined along an axis, those of inner lists along the next; and where each begins."""
    if not isinstance(tree, tuple):
        return shapes[tree], [(0,) * len(shapes[tree])]
    starts: list[tuple[int, ...]] = []
    length = 0
    for t in tree:
        shape, inner = _laid(t, axis + 1, shapes)
        starts += [(*s[:axis], s[axis] + length, *s[axis + 1 :]) for s in inner]
        length += shape[axis]
    return (*shape[:axis], length, *shape[axis + 1 :]), starts


def _blocks_lowered(arrays: Any, tree: Any, ndim: int) -> Any:
    def join(t: Any) -> tuple[Any, int]:
        if not isinstance(t, tuple):
            return at_least(arrays[t], ndim), 0
        parts, depths = zip(*map(join, t), strict=True)
        return np.concatenate(parts, -1 - depths[0]), depths[0] + 1

    return join(tree)[0]


def _blocks_arrays(g: Any, arrays_shape: Any, tree: Any, ndim: int) -> Any:
    depth, node = 0, tree
    while isinstance(node, tuple):
        depth, node = depth + 1, node[0]
    wide = list(map(_at_least(ndim), arrays_shape))
    starts = _laid(tree, ndim - depth, wide)[1]
    parts = []
    for start, lengths, shape in zip(starts, wide, arrays_shape, strict=True):
        part = g[tuple(slice(b, b + n) for b, n in zip(start, lengths, strict=True))]
        parts.append(part if lengths == shape else np.reshape(part, shape))
    return tuple(parts)


blocks: Op = op(
    lambda arrays, tree, ndim: np.block(_nested(tree, arrays)),
    name="blocks",
    sequences=("arrays",),
    label="block",
    lower=_blocks_lowered,
    arrays=_blocks_arrays,
    formula="arrays put together as blocks",
    gradients="arrays: the part of g that each became",
    doc="""Blocks put together, which `block` is made of.

    Args:
        arrays: a list of the blocks.
        tree: nested tuples of their numbers: those of innermost ones are joined along the last axis, and so on.
        ndim: of the result; blocks of fewer axes get axes of length one in front.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.shapes.joining import blocks
    >>> blocks([tn.tensor([1.0]), np.zeros(1), np.ones(2)], ((0, 1), (2,)), 2)
    Tensor([[1., 0.],
            [1., 1.]])
    """,
    samples=lambda r: [
        sample([r.normal(size=2), r.normal(size=())], (0, 1), 1),
        sample([r.normal(size=(1, 1, 2)), r.normal(size=2), r.normal(size=(1, 1, 4))], ((0, 1), (2,)), 3),
    ],
    hint=lambda arrays, tree, ndim: "The blocks have shapes " + ", ".join(str(np.shape(a)) for a in arrays),
)
