"""Products of vectors, and of arrays that are taken for vectors or for stacks of them.

Rules are stated: derived ones take 1.1 to 2.2 times as long on small arrays.
"""

from __future__ import annotations

import math
from functools import cache
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.products.contractions import LETTERS, contract
from tapenet.ops.products.cores import with_options
from tapenet.ops.products.matmul import matmul, operands, rows
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def flat(a: ArrayLike) -> Array:
    """All elements in one row."""
    a = array_like(a)
    return a if a.ndim == 1 else np.reshape(a, (-1,))


@derived(
    numpy=np.vdot,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2))),
        sample(r.normal(size=()), r.normal(size=())),
        sample(r.normal(size=0), r.normal(size=0)),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2)), r.normal(size=4) + 1j * r.normal(size=4)),
    ],
)
def vdot(a: Array, b: Array) -> Array:
    """The inner product of two arrays of any shape as long vectors: Σ conj(a) · b.

    Args:
        a, b: arrays of equally many elements; those of a complex `a` are conjugated.

    Raises:
        ValueError: the numbers of elements differ.

    >>> import tapenet as tn
    >>> tn.vdot(tn.tensor([[1.0, 2.0]]), [3.0, 4.0])
    Tensor(11.)
    """
    x, y = (a, b) if getattr(a, "ndim", 0) == getattr(b, "ndim", 0) == 1 else (flat(a), flat(b))
    if x.shape != y.shape:
        raise ValueError(f"vdot: {x.shape[0]} and {y.shape[0]} elements; both arrays must have equally many")
    return matmul(conjugate(x), y)


@derived(
    numpy=np.inner,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 2)), r.normal(size=2)),
        sample(r.normal(size=2), r.normal(size=(3, 2))),
        sample(r.normal(size=()), r.normal(size=3)),
        sample(r.normal(size=3), 2.0),
        sample(r.normal(size=(2, 0)), r.normal(size=(3, 0))),
    ],
)
def inner(a: Array, b: Array) -> Array:
    """The sum of products over the last axes of both arrays; with a number the plain product.

    Args:
        a: (..., k).
        b: (..., k).

    Returns:
        the other axes of `a`, then those of `b`.

    Raises:
        ValueError: the last axes differ in length.

    >>> import tapenet as tn
    >>> tn.inner(tn.tensor([[1.0, 2.0], [0.0, 1.0]]), [3.0, 4.0])
    Tensor([11.,  4.])
    """
    a, b, left, right = operands(a, b)
    if left == 0 or right == 0:
        return np.multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"inner: the last axes of shapes {a.shape} and {b.shape} must be equally long")
    if left == right == 1:
        return matmul(a, b)
    return np.tensordot(array_like(a), array_like(b), (-1, -1))


@derived(
    numpy=np.outer,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=2)),
        sample(r.normal(size=(2, 2)), r.normal(size=(1, 3))),
        sample(r.normal(size=()), r.normal(size=2)),
        sample(r.normal(size=0), r.normal(size=2)),
    ],
)
def outer(a: Array, b: ArrayLike) -> Array:
    """Every element of `a` times every element of `b`: a matrix with a row for each of `a`.

    >>> import tapenet as tn
    >>> tn.outer(tn.tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]])
    """
    return contract(flat(a), flat(b), "i,j->ij")


@derived(
    numpy=np.kron,
    samples=lambda r: [
        sample(r.normal(size=2), r.normal(size=3)),
        sample(r.normal(size=(2, 1)), r.normal(size=(1, 3))),
        sample(r.normal(size=(1, 2, 2)), r.normal(size=2)),
        sample(r.normal(size=2), r.normal(size=(2, 1, 2))),
        sample(r.normal(size=()), r.normal(size=(2, 2))),
        sample(r.normal(size=(2, 2)), 3.0),
        sample(r.normal(size=(0, 2)), r.normal(size=(2, 1))),
    ],
)
def kron(a: Array, b: Array) -> Array:
    """The Kronecker product: `a` with each element replaced by that element times `b`. The array with fewer axes gets
    axes of length one in front.

    Returns:
        an array whose axes are as long as the products of those of `a` and `b`.

    >>> import tapenet as tn
    >>> tn.kron(tn.tensor([1.0, 2.0]), [1.0, 10.0])
    Tensor([ 1., 10.,  2., 20.])
    """
    a, b, left, right = operands(a, b)
    if left == 0 or right == 0:
        return np.multiply(a, b)
    if left < right:
        a = np.reshape(a, (1,) * (right - left) + a.shape)
    elif right < left:
        b = np.reshape(b, (1,) * (left - right) + b.shape)
    found = contract(a, b, _alternating(max(left, right)))
    return np.reshape(found, tuple(map(mul, a.shape, b.shape)))


@cache
def _alternating(ndim: int) -> str:
    """The subscripts for all products of two arrays, whose axes take turns in the result."""
    first, second = LETTERS[:ndim], LETTERS[ndim : 2 * ndim]
    return f"{first},{second}->{''.join(i + j for i, j in zip(first, second, strict=True))}"


@derived(
    numpy=np.cross,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(3, 2)), r.normal(size=(2, 3)), axisa=0, axisc=0),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 2)), axis=0),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(3, 2)), -1, 0, 1),
        sample(r.normal(size=(0, 3)), r.normal(size=3)),
    ],
)
def cross(
    a: ArrayLike, b: ArrayLike, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    """The cross product a × b of vectors in space; the axes beside the vectors' broadcast.

    Args:
        a, b: vectors of length 3 along `axisa` and `axisb`. Vectors of length 2 have 0 for a third component; of two such
            vectors the third component of the product is the result.
        axisc: where the result has its vectors.
        axis: the same axis for all three.

    Raises:
        ValueError: vectors of another length.

    >>> import tapenet as tn
    >>> tn.cross(tn.tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = array_like(a), array_like(b)
    if axisa != -1:
        a = np.moveaxis(a, axisa, -1)
    if axisb != -1:
        b = np.moveaxis(b, axisb, -1)
    for x in (a, b):
        if x.shape[-1:] not in ((2,), (3,)):
            raise ValueError(
                f"cross: vectors have 3 components (or 2) along their axis, which arrays of shapes {a.shape} and {b.shape} "
                "have not there"
            )
    if a.shape[-1] == b.shape[-1] == 2:
        return array_like(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
    found = cross_product(_in_space(a), _in_space(b))
    return found if axisc == -1 else np.moveaxis(found, -1, axisc)


def _in_space(a: Array) -> Array:
    """Vectors with their third component."""
    return a if a.shape[-1] == 3 else np.concatenate([a, np.zeros_like(a[..., :1])], -1)


def _cross_b(g: Array, a: Array) -> Array:
    return cross_product(g, a)


@op(
    label="cross",
    broadcasts=True,
    a=lambda g, b: _cross_b(b, g),
    b=_cross_b,
    formula="a × b",
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=3) + 1j * r.normal(size=3), r.normal(size=(1, 3))),
    ],
)
def cross_product(a: Array, b: Array) -> Array:
    """The cross product of vectors along the last axis, which `cross` takes from other places; the other axes broadcast.

    Args:
        a, b: (..., 3).

    >>> import tapenet as tn
    >>> from tapenet.ops.products.vectors import cross_product
    >>> cross_product(tn.tensor([1.0, 0.0, 0.0]), tn.tensor([0.0, 1.0, 0.0]))
    Tensor([0., 0., 1.])
    """
    (a0, a1, a2), (b0, b1, b2) = ((v[..., 0], v[..., 1], v[..., 2]) for v in (a, b))
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1)


@op(
    numpy=(np.vecdot, np.linalg.vecdot),
    more=with_options(np.vecdot),
    multiply_adds=lambda x1_shape, out_shape: math.prod(out_shape) * x1_shape[-1],
    x1=lambda g, x1_shape, x2: unbroadcast(conjugate(np.expand_dims(g, -1) * x2), x1_shape),
    x2=lambda g, x1, x2_shape: unbroadcast(np.expand_dims(g, -1) * conjugate(x1), x2_shape),
    gradients="x1: conj(g · x2); x2: g · conj(x1)",
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 2)), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 0)), r.normal(size=0)),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2)), r.normal(size=2) + 1j * r.normal(size=2)),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 1)), axis=0),
    ],
    hint=lambda x1, x2: f"The last axes of shapes {np.shape(x1)} and {np.shape(x2)} must be equally long",
)
def vecdot(x1: Array, x2: Array) -> Array:
    """The dot products of two stacks of vectors: Σ conj(x1) · x2 over one axis; the other axes broadcast.

    Args:
        x1, x2: vectors of equal length along `axis`; those of a complex `x1` are conjugated.
        axis: where the vectors are (default: -1).
        keepdims: leave that axis, with length one.
        axes: instead of `axis`, a list of that of `x1`, that of `x2` and, with `keepdims`, that of the result.

    Raises:
        ValueError: the vectors differ in length.

    >>> import tapenet as tn
    >>> tn.vecdot(tn.tensor([[1.0, 2.0], [0.0, 1.0]]), [3.0, 4.0])
    Tensor([11.,  4.])
    """
    return array_like(np.vecdot(x1, x2))


def _column(x1: Array, x2: Array) -> Array:
    return array_like(np.matmul(x1, np.expand_dims(x2, -1)))[..., 0]


def _matvec_x1(g: Array, x1_shape: tuple[int, ...], x2: Array) -> Array:
    if len(x1_shape) == 2:  # one matrix for all: summed by the product
        return array_like(np.matmul(rows(g).T, rows(x2)))
    return unbroadcast(np.expand_dims(g, -1) * np.expand_dims(x2, -2), x1_shape)


@op(
    numpy=np.matvec,
    more=with_options(np.matvec),
    multiply_adds=lambda x2_shape, out_shape: math.prod(out_shape) * x2_shape[-1],
    x1=_matvec_x1,
    x2=lambda g, x1, x2_shape: (
        np.matmul(g, x1) if x1.ndim == 2 else unbroadcast(_column(np.swapaxes(x1, -1, -2), g), x2_shape)
    ),
    gradients="x1: g x2ᵀ; x2: x1ᵀ @ g",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 0)), r.normal(size=0)),
        sample(r.normal(size=(3, 2)), r.normal(size=3), axes=[(1, 0), 0, 0]),
    ],
    hint=lambda x1, x2: (
        "x1 is a matrix (or a stack of them), x2 a vector"
        if np.ndim(x1) < 2
        else f"Axis -1 of x1 {np.shape(x1)} must be as long as axis -1 of x2 {np.shape(x2)}"
    ),
)
def matvec(x1: Array, x2: Array) -> Array:
    """The products of a stack of matrices with a stack of vectors (columns); the axes beside these broadcast.

    Args:
        x1: (..., n, k).
        x2: (..., k).
        axes: where the matrices, the vectors and those of the result are, in place of the last axes.

    Returns:
        (..., n).

    Raises:
        ValueError: the axes summed over differ in length.

    >>> import tapenet as tn
    >>> tn.matvec([[1.0, 2.0], [0.0, 1.0]], tn.tensor([[3.0, 4.0], [1.0, 0.0]]))
    Tensor([[11.,  4.],
            [ 1.,  0.]])
    """
    return array_like(np.matvec(x1, x2))


def _vecmat_x2(g: Array, x1: Array, x2_shape: tuple[int, ...]) -> Array:
    if len(x2_shape) == 2:  # one matrix for all: summed by the product
        return array_like(np.matmul(rows(conjugate(x1)).T, rows(g)))
    return unbroadcast(np.expand_dims(conjugate(x1), -1) * np.expand_dims(g, -2), x2_shape)


@op(
    numpy=np.vecmat,
    more=with_options(np.vecmat),
    multiply_adds=lambda x1_shape, out_shape: math.prod(out_shape) * x1_shape[-1],
    x1=lambda g, x1_shape, x2: conjugate(np.matmul(g, x2.T) if x2.ndim == 2 else unbroadcast(_column(x2, g), x1_shape)),
    x2=_vecmat_x2,
    gradients="x1: conj(x2 @ g); x2: conj(x1) gᵀ",
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 1, 3, 2))),
        sample(r.normal(size=0), r.normal(size=(0, 2))),
        sample(r.normal(size=2) + 1j * r.normal(size=2), r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2))),
        sample(r.normal(size=3), r.normal(size=(2, 3)), axes=[0, (1, 0), 0]),
    ],
    hint=lambda x1, x2: f"Axis -1 of x1 {np.shape(x1)} must be as long as axis -2 of x2 {np.shape(x2)}",
)
def vecmat(x1: Array, x2: Array) -> Array:
    """The products of a stack of vectors (rows, conjugated if complex) with a stack of matrices; the axes beside these
    broadcast.

    Args:
        x1: (..., k).
        x2: (..., k, m).
        axes: where the vectors, the matrices and the vectors of the result are, in place of the last axes.

    Returns:
        (..., m).

    Raises:
        ValueError: the axes summed over differ in length.

    >>> import tapenet as tn
    >>> tn.vecmat(tn.tensor([3.0, 4.0]), [[1.0, 2.0], [0.0, 1.0]])
    Tensor([ 3., 10.])
    """
    return array_like(np.vecmat(x1, x2))
