"""Products of vectors, and of arrays that are taken for vectors or for stacks of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.op import array_like, derived, sample
from tapenet.ops.products import operand, to_end


def conjugate(a: Any) -> Any:
    """The conjugate of a complex array, and any other as it is."""
    return np.conj(a) if a.dtype.kind == "c" else a


def added(product: Any, axis: int, keepdims: bool = False) -> Any:
    """Products summed in their own dtype, as products of matrices are, where a sum widens small integers."""
    return np.sum(product, axis=axis, dtype=product.dtype, keepdims=keepdims)


def flat(a: Any) -> Any:
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
def vdot(a: Any, b: Any) -> Any:
    """The inner product of two arrays of any shape as long vectors: Σ conj(a) · b.

    Args:
        a, b: arrays of equally many elements; those of a complex `a` are conjugated.

    Raises:
        ValueError: the numbers of elements differ.

    >>> import tapenet as tn
    >>> tn.vdot(tn.tensor([[1.0, 2.0]]), [3.0, 4.0])
    Tensor(11.)
    """
    x, y = flat(a), flat(b)
    if x.shape != y.shape:
        raise ValueError(f"vdot: {x.shape[0]} and {y.shape[0]} elements; both arrays must have equally many")
    return np.matmul(conjugate(x), y)


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
def inner(a: Any, b: Any) -> Any:
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
    a, b = operand(a), operand(b)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"inner: the last axes of shapes {a.shape} and {b.shape} must be equally long")
    return np.tensordot(a, b, (-1, -1))


@derived(
    numpy=np.outer,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=2)),
        sample(r.normal(size=(2, 2)), r.normal(size=(1, 3))),
        sample(r.normal(size=()), r.normal(size=2)),
        sample(r.normal(size=0), r.normal(size=2)),
    ],
)
def outer(a: Any, b: Any) -> Any:
    """Every element of `a` times every element of `b`: a matrix with a row for each of `a`.

    >>> import tapenet as tn
    >>> tn.outer(tn.tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]])
    """
    x, y = flat(a), flat(b)
    return np.multiply(np.reshape(x, (-1, 1)), np.reshape(y, (1, -1)))


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
def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: `a` with each element replaced by that element times `b`. The array with fewer axes gets
    axes of length one in front.

    Returns:
        an array whose axes are as long as the products of those of `a` and `b`.

    >>> import tapenet as tn
    >>> tn.kron(tn.tensor([1.0, 2.0]), [1.0, 10.0])
    Tensor([ 1., 10.,  2., 20.])
    """
    a, b = operand(a), operand(b)
    ndim = max(np.ndim(a), np.ndim(b))
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    left, right = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    spread = np.reshape(a, tuple(n for m in left for n in (m, 1)))
    repeated = np.reshape(b, tuple(n for m in right for n in (1, m)))
    return np.reshape(np.multiply(spread, repeated), tuple(m * n for m, n in zip(left, right, strict=True)))


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
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
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
    a, b = np.moveaxis(array_like(a), axisa, -1), np.moveaxis(array_like(b), axisb, -1)
    for x in (a, b):
        if x.shape[-1] not in (2, 3):
            raise ValueError(
                f"cross: vectors have 3 components (or 2), not the {x.shape[-1]} of axes {a.shape}, {b.shape}"
            )
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    (a0, a1, a2), (b0, b1, b2) = _components(a), _components(b)
    return np.moveaxis(np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1), -1, axisc)


def _components(a: Any) -> tuple[Any, Any, Any]:
    return a[..., 0], a[..., 1], a[..., 2] if a.shape[-1] == 3 else np.zeros_like(a[..., 0])


def _fitting(name: str, x1: Any, x2: Any, left: int, right: int, axes: Any, cores: tuple[int, int]) -> tuple[Any, Any]:
    """Both arrays with the axes of `axes=` moved to the end.

    Raises:
        ValueError: too few axes, or axis `left` of one is not as long as axis `right` of the other.
    """
    x1, x2 = array_like(x1), array_like(x2)
    if axes is not None:
        x1, x2 = (to_end(x, axis) for x, axis in zip((x1, x2), axes[:2], strict=True))
    if x1.ndim < cores[0] or x2.ndim < cores[1]:
        raise ValueError(f"{name}: shapes {x1.shape} and {x2.shape}: x1 needs {cores[0]} axes and x2 {cores[1]}")
    if x1.shape[left] != x2.shape[right]:
        raise ValueError(
            f"{name}: shapes {x1.shape} and {x2.shape} do not fit: axis {left} of x1 must be as long as axis {right} of x2"
        )
    return x1, x2


@derived(
    numpy=getattr(np, "vecdot", ()),
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 2)), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 0)), r.normal(size=0)),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2)), r.normal(size=2) + 1j * r.normal(size=2)),
    ],
)
def vecdot(x1: Any, x2: Any, *, axis: int = -1, keepdims: bool = False, axes: Any = None) -> Any:
    """The dot products of two stacks of vectors: Σ conj(x1) · x2 over one axis; the other axes broadcast.

    Args:
        x1, x2: vectors of equal length along `axis`; those of a complex `x1` are conjugated.
        axis: where the vectors are.
        keepdims: leave that axis, with length one.
        axes: instead of `axis`, that of `x1` and that of `x2`.

    Raises:
        ValueError: the vectors differ in length.

    >>> import tapenet as tn
    >>> tn.vecdot(tn.tensor([[1.0, 2.0], [0.0, 1.0]]), [3.0, 4.0])
    Tensor([11.,  4.])
    """
    x1, x2 = _fitting("vecdot", x1, x2, -1, -1, (axis, axis) if axes is None else axes, (1, 1))
    found = added(conjugate(x1) * x2, -1, keepdims)
    return np.moveaxis(found, -1, axis) if keepdims else found


@derived(
    numpy=getattr(np, "matvec", ()),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 0)), r.normal(size=0)),
    ],
)
def matvec(x1: Any, x2: Any, *, axes: Any = None) -> Any:
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
    x1, x2 = _fitting("matvec", x1, x2, -1, -1, axes, (2, 1))
    found = np.matmul(x1, x2[..., None])[..., 0]
    return found if axes is None else np.moveaxis(found, -1, _axis(axes[2]))


@derived(
    numpy=getattr(np, "vecmat", ()),
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 1, 3, 2))),
        sample(r.normal(size=0), r.normal(size=(0, 2))),
        sample(r.normal(size=2) + 1j * r.normal(size=2), r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2))),
    ],
)
def vecmat(x1: Any, x2: Any, *, axes: Any = None) -> Any:
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
    x1, x2 = _fitting("vecmat", x1, x2, -1, -2, axes, (1, 2))
    found = np.matmul(conjugate(x1)[..., None, :], x2)[..., 0, :]
    return found if axes is None else np.moveaxis(found, -1, _axis(axes[2]))


def _axis(axis: Any) -> Any:
    return axis[0] if isinstance(axis, tuple) else axis
