"""Rolling and turning arrays; diagonals and triangles of matrices.

The rule of `roll` is stated: the derived one takes 1.2 to 2.5 times as long. So is that of `diagonal`, whose gradient is
sparse: of many diagonals of one matrix each adds its own elements alone, where the derived one adds a matrix for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import array_like, derived
from tapenet.ops.indexing.items import scatter_add
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import flip, reshape
from tapenet.typing import Array, Axis, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapenet.typing import ArrayLike, DTypeLike


def _opposite(shift: Array | Sequence[int] | int) -> Array | Sequence[int] | int:
    if isinstance(shift, int):
        return -shift
    if isinstance(shift, (tuple, list)):
        return [-s for s in shift]
    return -cast("Array", shift).astype(np.int64)


@op(
    precision="moves",
    numpy=np.roll,
    a=lambda g, shift, axis: np.roll(g, _opposite(shift), axis),
    gradients="a: g, shifted back",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 2),
        sample(r.normal(size=(2, 3)), -1, axis=-1),
        sample(r.normal(size=(2, 3, 2)), (1, -4), (0, 1)),
        sample(r.normal(size=(2, 3)), (1, 1), axis=1),
        sample(r.normal(size=(2, 3)), 1, (0, -1)),
        sample(r.normal(size=(2, 2)), (1, 2)),
        sample(r.normal(size=(0, 3)), 1, 0),
        sample(r.normal(size=()), 1),
    ],
    hint=lambda a, shift, axis: (
        f"axis must lie within the {np.ndim(a)} axes of a, with one shift for each or one for all"
    ),
)
def roll(a: Array, shift: Array, axis: Axis = None) -> Array:
    """The elements moved along axes; those that leave at one end come in at the other.

    Args:
        a: an array.
        shift: by how many places, for all axes or one number for each.
        axis: an axis or a tuple of them; an axis named twice is shifted twice. None rolls all elements in row-major
            order.

    >>> import tapenet as tn
    >>> tn.roll(tn.tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.])
    """
    return np.roll(a, shift, axis)


@derived(
    numpy=np.rot90,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), 2),
        sample(r.normal(size=(2, 3)), -1),
        sample(r.normal(size=(2, 3)), k=4),
        sample(r.normal(size=(2, 1, 3)), 1, (0, -1)),
        sample(r.normal(size=(2, 3, 1)), 3, axes=(1, 0)),
    ],
)
def rot90(m: ArrayLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """An array turned by `k` right angles in the plane of two axes, from the first towards the second.

    Raises:
        ValueError: no two different axes of the array.

    >>> import tapenet as tn
    >>> tn.rot90(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[2., 4.],
            [1., 3.]])
    """
    m = array_like(m)
    if len(axes) != 2:
        raise ValueError(f"rot90: axes={tuple(axes)} must be two axes")
    first, second = (normalize_axis_index(i, m.ndim) for i in axes)
    if first == second:
        raise ValueError(f"rot90: axes={tuple(axes)} must be two different axes")
    k = k % 4
    if k == 0:
        return m[...]
    if k == 2:
        return np.flip(m, (first, second))
    if k == 1:
        return np.swapaxes(np.flip(m, second), first, second)
    return np.flip(np.swapaxes(m, first, second), second)


@derived(
    numpy=np.fliplr,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 2, 1)))],
)
def fliplr(m: ArrayLike) -> Array:
    """The columns in reverse order: a flip along the second axis.

    Raises:
        ValueError: less than two axes.

    >>> import tapenet as tn
    >>> tn.fliplr(tn.tensor([[1.0, 2.0]]))
    Tensor([[2., 1.]])
    """
    m = array_like(m)
    if m.ndim < 2:
        raise ValueError(f"fliplr: an array of shape {m.shape} has no columns; use flip")
    return flip(m, 1)


@derived(
    numpy=np.flipud,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=3))],
)
def flipud(m: ArrayLike) -> Array:
    """The rows in reverse order: a flip along the first axis.

    Raises:
        ValueError: an array without axes.

    >>> import tapenet as tn
    >>> tn.flipud(tn.tensor([1.0, 2.0]))
    Tensor([2., 1.])
    """
    m = array_like(m)
    if m.ndim < 1:
        raise ValueError("flipud: an array without axes has no rows")
    return flip(m, 0)


@derived(
    numpy=np.rollaxis,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 1, 3)), 2),
        sample(r.normal(size=(2, 1, 3)), 0, 2),
        sample(r.normal(size=(2, 1, 3)), -3, start=3),
        sample(r.normal(size=(2, 1, 3)), 1, -1),
    ],
)
def rollaxis(a: ArrayLike, axis: int, start: int = 0) -> Array:
    """An axis moved to before the one that is at position `start` now. `moveaxis` says it more plainly.

    Raises:
        ValueError: no such axis, or position.

    >>> import numpy as np, tapenet as tn
    >>> tn.rollaxis(tn.tensor(np.zeros((2, 3, 4))), 2).shape
    (4, 2, 3)
    """
    a = array_like(a)
    axis = normalize_axis_index(axis, a.ndim)
    if not -a.ndim <= start <= a.ndim:
        raise ValueError(f"rollaxis: start={start} is no position among the axes of shape {a.shape}")
    start = start + a.ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


# -- diagonals and triangles -------------------------------------------------------------------------------------


def _diagonal_index(shape: Shape, offset: int, axis1: int, axis2: int) -> tuple[tuple[slice | Array, ...], int]:
    """The index that reads a diagonal, and the place among the axes of what it gives that the diagonal gets."""
    axis1, axis2 = normalize_axis_index(axis1, len(shape)), normalize_axis_index(axis2, len(shape))
    row, column = max(-offset, 0), max(offset, 0)
    along = np.arange(max(min(shape[axis1] - row, shape[axis2] - column), 0))
    index: list[slice | Array] = [slice(None)] * len(shape)
    index[axis1], index[axis2] = along + row, along + column
    return tuple(index), min(axis1, axis2) if abs(axis1 - axis2) == 1 else 0


def _diagonal_a(g: Array, a_shape: Shape, offset: int, axis1: int, axis2: int) -> Scatter:
    index, place = _diagonal_index(a_shape, offset, axis1, axis2)
    return Scatter(index, np.moveaxis(g, -1, place))


@op(
    precision="moves",
    numpy=np.diagonal,
    a=_diagonal_a,
    gradients="a: zeros with g added on the diagonal",
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), 1),
        sample(r.normal(size=(3, 3)), offset=-1),
        sample(r.normal(size=(2, 2, 3)), 0, 2, 0),
        sample(r.normal(size=(2, 2, 3)), 1, axis1=-2, axis2=-1),
        sample(r.normal(size=(2, 2)), 5),
        sample(r.normal(size=(0, 2))),
    ],
    hint=lambda a, offset, axis1, axis2: f"a has shape {np.shape(a)}: give two different ones of its axes",
)
def diagonal(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of a matrix, or of each matrix that two axes span.

    Args:
        a: an array with two axes or more.
        offset: which diagonal: above the main one if positive, below if negative.
        axis1, axis2: the axes of rows and columns.

    Returns:
        an array without these axes, and with the diagonals along a new last one; a view, read-only.

    Raises:
        ValueError: less than two axes, or twice the same one.

    >>> import tapenet as tn
    >>> tn.diagonal(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """
    return np.diagonal(a, offset, axis1, axis2)


@derived(
    numpy=np.trace,
    samples=lambda r: [
        sample(r.normal(size=(3, 3))),
        sample(r.normal(size=(2, 3)), 1),
        sample(r.normal(size=(2, 2, 3)), 0, 2, -2),
        sample(r.normal(size=(2, 2)), offset=3),
    ],
)
def trace(a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Array:
    """The sum of the diagonal of a matrix, or of each matrix that two axes span; the arguments are those of `diagonal`,
    and the dtype of the sum.

    Raises:
        ValueError: less than two axes, or twice the same one.

    >>> import tapenet as tn
    >>> tn.trace(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.)
    """
    return np.sum(diagonal(array_like(a), offset, axis1, axis2), -1, dtype)


@derived(
    numpy=np.diag,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=2)),
        sample(r.normal(size=2), 1),
        sample(r.normal(size=2), k=-1),
        sample(r.normal(size=0), 1),
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), -1),
    ],
)
def diag(v: ArrayLike, k: int = 0) -> Array:
    """A square matrix with a vector on its `k`-th diagonal; or the `k`-th diagonal of a matrix.

    Raises:
        ValueError: neither a vector nor a matrix.

    >>> import tapenet as tn
    >>> tn.diag(tn.tensor([1.0, 2.0]))
    Tensor([[1., 0.],
            [0., 2.]])
    """
    v = array_like(v)
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(
            f"diag: an array of shape {v.shape} is neither a vector nor a matrix; use diagonal or diagflat"
        )
    return diagflat(v, k)


@derived(
    numpy=np.diagflat,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(1, 2))),
        sample(r.normal(size=()), -1),
        sample(r.normal(size=2), k=1),
        sample(r.normal(size=0), 2),
    ],
)
def diagflat(v: ArrayLike, k: int = 0) -> Array:
    """A square matrix with all elements of an array, in row-major order, on its `k`-th diagonal.

    >>> import tapenet as tn
    >>> tn.diagflat(tn.tensor([[1.0], [2.0]]))
    Tensor([[1., 0.],
            [0., 2.]])
    """
    row = array_like(v)
    if row.ndim != 1:
        row = reshape(row, -1)
    count = row.shape[0]
    n = count + abs(k)
    # In the flattened matrix a diagonal is every (n + 1)-th element.
    start = k if k >= 0 else -k * n
    place = slice(start, start + (count - 1) * (n + 1) + 1 if count else start, n + 1)
    return reshape(scatter_add(row, place, (n * n,)), (n, n))


def _triangle_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), 1),
        sample(r.normal(size=(2, 2, 2)), k=-1),
        sample(r.normal(size=2)),
        sample(r.normal(size=(0, 3))),
    ]


@derived(numpy=np.tril, replaces=True, samples=_triangle_samples)
def tril(m: ArrayLike, k: int = 0) -> Array:
    """A matrix, or each of a stack, with zeros above the `k`-th diagonal. A vector stands for a matrix of equal rows.

    Raises:
        TypeError: an array without axes.

    >>> import tapenet as tn
    >>> tn.tril(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 0.],
            [3., 4.]])
    """
    m = array_like(m)
    return np.where(_lower_triangle("tril", m, k), m, np.zeros((), m.dtype))


@derived(numpy=np.triu, replaces=True, samples=_triangle_samples)
def triu(m: ArrayLike, k: int = 0) -> Array:
    """A matrix, or each of a stack, with zeros below the `k`-th diagonal. A vector stands for a matrix of equal rows.

    Raises:
        TypeError: an array without axes.

    >>> import tapenet as tn
    >>> tn.triu(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 2.],
            [0., 4.]])
    """
    m = array_like(m)
    return np.where(_lower_triangle("triu", m, k - 1), np.zeros((), m.dtype), m)


def _lower_triangle(name: str, m: Array, k: int) -> Array:
    if not m.ndim:
        raise TypeError(f"{name}: m has shape (): a matrix has two axes")
    rows, columns = m.shape[-2:] if m.ndim > 1 else m.shape * 2
    return np.tri(rows, columns, k, bool)
