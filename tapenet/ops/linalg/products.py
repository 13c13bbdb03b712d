"""Products and arrangements of matrices that `np.linalg` has functions of its own for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.products import vectors
from tapenet.ops.products.matmul import matmul
from tapenet.ops.registry import sample
from tapenet.ops.shapes import arranging
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


@derived(
    numpy=np.linalg.outer,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=2)),
        sample(r.normal(size=0), r.normal(size=2)),
    ],
)
def outer(x1: ArrayLike, x2: ArrayLike) -> Array:
    """Every element of the vector `x1` times every element of the vector `x2`.

    Args:
        x1: (n,).
        x2: (m,).

    Returns:
        (n, m).

    Raises:
        ValueError: an argument is no vector; `tn.outer` takes any array for one.

    >>> import tapenet as tn
    >>> tn.linalg.outer(tn.tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]])
    """
    x1, x2 = array_like(x1), array_like(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(
            f"linalg.outer: shapes {x1.shape} and {x2.shape} are not both vectors; np.outer takes any array"
        )
    return vectors.outer(x1, x2)


@derived(
    numpy=np.linalg.cross,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 2)), axis=0),
    ],
)
def cross(x1: ArrayLike, x2: ArrayLike, *, axis: int = -1) -> Array:
    """The cross product of vectors in space, along `axis`; the other axes broadcast.

    Raises:
        ValueError: vectors whose length is not 3.

    >>> import tapenet as tn
    >>> tn.linalg.cross(tn.tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    x1, x2 = array_like(x1), array_like(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            f"linalg.cross: vectors have 3 components, not the {x1.shape[axis]} and {x2.shape[axis]} of axis {axis} of shapes "
            f"{x1.shape} and {x2.shape}"
        )
    return vectors.cross(x1, x2, axis=axis)


@derived(
    numpy=np.linalg.multi_dot,
    samples=lambda r: [
        sample([r.normal(size=(2, 3)), r.normal(size=(3, 2))]),
        sample([r.normal(size=(2, 3)), r.normal(size=(3, 1)), r.normal(size=(1, 2))]),
        sample([r.normal(size=2), r.normal(size=(2, 3)), r.normal(size=(3, 2)), r.normal(size=2)]),
        sample([r.normal(size=(1, 2)), r.normal(size=(2, 3)), r.normal(size=(3, 1)), r.normal(size=(1, 2))]),
    ],
)
def multi_dot(arrays: Sequence[Array]) -> Array:
    """The product of two or more matrices, in the order that takes the fewest multiplications.

    Args:
        arrays: matrices; the first may be a vector, which is a row, and the last one too, which is a column.

    Raises:
        ValueError: fewer than two arrays, or shapes that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> tn.linalg.multi_dot([tn.tensor([1.0, 2.0]), np.eye(2), np.array([3.0, 4.0])])
    Tensor(11.)
    """
    found = [array_like(a) for a in arrays]
    if len(found) < 2:
        raise ValueError("linalg.multi_dot: give two or more arrays")
    shapes = [a.shape for a in found]
    if any(len(s) != 2 for s in shapes[1:-1]) or not (0 < len(shapes[0]) < 3 and 0 < len(shapes[-1]) < 3):
        raise ValueError(
            f"linalg.multi_dot: shapes {', '.join(map(str, shapes))}: matrices, of which the first and the last may be vectors"
        )
    if any(a[-1] != b[0] for a, b in pairwise(shapes)):
        raise ValueError(
            f"linalg.multi_dot: shapes {', '.join(map(str, shapes))}: each must have as many columns as the next has rows"
        )
    if len(found) == 2:
        return matmul(*found)
    lengths = [1 if len(shapes[0]) == 1 else shapes[0][0], *(s[0] for s in shapes[1:])]
    return _multiply(found, _cuts([*lengths, 1 if len(shapes[-1]) == 1 else shapes[-1][1]]), 0, len(found) - 1)


def _cuts(lengths: Sequence[int]) -> dict[tuple[int, int], int]:
    """After which matrix to divide each run of them. Matrix i has lengths[i] rows and lengths[i + 1] columns."""
    count = len(lengths) - 1
    costs = {(i, i): 0 for i in range(count)}
    cuts = {}
    for run in range(1, count):
        for first in range(count - run):
            last = first + run
            costs[first, last], cuts[first, last] = min(
                (costs[first, k] + costs[k + 1, last] + lengths[first] * lengths[k + 1] * lengths[last + 1], k)
                for k in range(first, last)
            )
    return cuts


def _multiply(arrays: Sequence[Array], cuts: dict[tuple[int, int], int], first: int, last: int) -> Array:
    if first == last:
        return arrays[first]
    cut = cuts[first, last]
    return matmul(_multiply(arrays, cuts, first, cut), _multiply(arrays, cuts, cut + 1, last))


@derived(
    numpy=np.linalg.matrix_transpose,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 1, 3)))],
)
def matrix_transpose(x: ArrayLike) -> Array:
    """The last two axes exchanged.

    Raises:
        ValueError: fewer than two axes.

    >>> import tapenet as tn
    >>> tn.linalg.matrix_transpose(tn.tensor([[1.0, 2.0]]))
    Tensor([[1.],
            [2.]])
    """
    return np.swapaxes(_matrices("matrix_transpose", x), -1, -2)


def _matrices(name: str, x: ArrayLike) -> Array:
    x = array_like(x)
    if x.ndim < 2:
        raise ValueError(f"linalg.{name}: a matrix has two axes or more, shape {x.shape} has not")
    return x


@derived(
    numpy=np.linalg.diagonal,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 2, 3)), offset=1),
        sample(r.normal(size=(2, 3)), offset=-1),
        sample(r.normal(size=(2, 2)), offset=5),
    ],
)
def diagonal(x: Array, *, offset: int = 0) -> Array:
    """The diagonals of a stack of matrices.

    Args:
        x: (..., n, m).
        offset: 0 for the main diagonal, n for the n-th above it, -n for the n-th below.

    Raises:
        ValueError: fewer than two axes.

    >>> import tapenet as tn
    >>> tn.linalg.diagonal(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """
    return np.diagonal(_matrices("diagonal", x), offset, -2, -1)


@derived(
    numpy=np.linalg.trace,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 2, 3)), offset=1),
        sample(r.normal(size=(2, 3)), offset=-1),
    ],
)
def trace(x: Array, *, offset: int = 0, dtype: DTypeLike | None = None) -> Array:
    """The sums of the diagonals of a stack of matrices.

    Args:
        x: (..., n, m).
        offset: 0 for the main diagonal, n for the n-th above it, -n for the n-th below.
        dtype: that of the result.

    Raises:
        ValueError: fewer than two axes.

    >>> import tapenet as tn
    >>> tn.linalg.trace(tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.)
    """
    return arranging.trace(_matrices("trace", x), offset, -2, -1, dtype)
