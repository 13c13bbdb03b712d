"""Products and systems with matrices whose diagonals are constant: Toeplitz's and circulant ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.fft import transforms
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.scipy.linalg.definition import OverColumns, back_through, column, library, over_stacks
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _ends(c_or_cr: ArrayLike | tuple[ArrayLike, ArrayLike]) -> tuple[Array, Array]:
    """The first column and the first row."""
    if isinstance(c_or_cr, tuple):
        c, r = c_or_cr
        return array_like(c), array_like(r)
    c = array_like(c_or_cr)
    return c, conjugate(c)


def _transposed(c: Array, r: Array) -> tuple[Array, Array]:
    """The first column and row of the transpose. What is in the corner is the first element of c, not of r."""
    corner, rest = c[..., :1], r[..., 1:]
    if corner.ndim != rest.ndim:
        shape = np.broadcast_shapes(corner.shape[:-1], rest.shape[:-1])
        corner, rest = (np.broadcast_to(x, (*shape, x.shape[-1])) for x in (corner, rest))
    return np.concatenate([corner, rest], axis=-1), c


def _correlated(u: Array, v: Array, count: int) -> Array:
    """The sums over i and the columns of u[i] v[i - k], for each k below `count`: the product of a Toeplitz matrix with u."""
    short = v.shape[-2] - u.shape[-2]
    if short < 0:
        v = np.concatenate([v, np.zeros((*v.shape[:-2], -short, v.shape[-1]), v.dtype)], axis=-2)
    v = np.swapaxes(v[..., : u.shape[-2], :], -1, -2)
    corner = np.concatenate([v[..., :1], np.zeros((*v.shape[:-1], count - 1), v.dtype)], axis=-1)

    def product(k: int) -> Array:
        return back_through(lambda x: _product(corner[..., k, :], v[..., k, :], x), u[..., k], True)

    return sum((product(k) for k in range(1, u.shape[-1])), product(0))


def _by_ends(left: Array, right: Array, c: Array, r: Array, vector: bool) -> dict[str, Array]:
    """The gradients by the first column and row from the factors of that by the matrix, left @ rightᵀ."""
    left, right = column(left, vector), column(right, vector)
    by_r = _correlated(right, left, r.shape[-1])
    return {
        "c": _correlated(left, right, c.shape[-1]),
        "r": np.where(np.arange(r.shape[-1]) == 0, 0, by_r),  # its first element is not read
    }


def _product_rule(g: Array, c: Array, r: Array, b: Array) -> dict[str, Array]:
    vector = b.ndim == 1
    back = back_through(lambda x: _product(*_transposed(c, r), x), g, vector)
    return {"b": back, **_by_ends(g, b, c, r, vector)}


@op(
    name="matmul_toeplitz",
    joint=over_stacks(_product_rule, "c", "r", "b"),
    broadcasts=True,
    vmap=OverColumns(__name__, "_product", "c", "r", "b", "check_finite", "workers", vectors=("c", "r")),
    formula="toeplitz(c, r) @ b",
    gradients="b: toeplitz(c, r)ᵀ @ g; c, r: sums along the diagonals of g @ bᵀ, by Toeplitz matrices of them",
)
def _product(c: Array, r: Array, b: Array, check_finite: bool = False, workers: int | None = None) -> Array:
    """What `matmul_toeplitz` gives."""
    return cast("Array", library().matmul_toeplitz((c, r), b, check_finite, workers))


def matmul_toeplitz(
    c_or_cr: ArrayLike | tuple[ArrayLike, ArrayLike], x: ArrayLike, check_finite: bool = False,
    workers: int | None = None,
) -> Array:  # fmt: skip
    """The product of a Toeplitz matrix with x by Fourier transforms, as `scipy.linalg.matmul_toeplitz`.

    Args:
        c_or_cr: the first column (..., m), or a tuple of it and the first row (..., n), which is its conjugate otherwise.
        x: (n,) or (..., n, k).
        check_finite: whether infinite and nan are an error.
        workers: how many threads transform.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.matmul_toeplitz((tn.tensor([1.0, 2.0]), [1.0, 3.0]), tn.tensor([1.0, 1.0])).numpy().round(9)
    array([4., 3.])
    """
    return _product(*_ends(c_or_cr), x, check_finite, workers)


def _solve_rule(g: Array, out: Array, c: Array, r: Array, b: Array) -> dict[str, Array]:
    vector = b.ndim == 1
    back = back_through(lambda x: _solve_toeplitz(*_transposed(c, r), x), g, vector)
    return {"b": back, **_by_ends(-back, out, c, r, vector)}


@op(
    name="solve_toeplitz",
    joint=over_stacks(_solve_rule, "c", "r", "b"),
    broadcasts=True,
    vmap=OverColumns(__name__, "_solve_toeplitz", "c", "r", "b", "check_finite", vectors=("c", "r")),
    formula="toeplitz(c, r)⁻¹ @ b",
    gradients="b: toeplitz(c, r)⁻ᵀ @ g; c, r: sums along the diagonals of −(by b) @ outᵀ",
)
def _solve_toeplitz(c: Array, r: Array, b: Array, check_finite: bool = True) -> Array:
    """What `solve_toeplitz` gives."""
    return cast("Array", library().solve_toeplitz((c, r), b, check_finite))


def solve_toeplitz(c_or_cr: ArrayLike | tuple[ArrayLike, ArrayLike], b: ArrayLike, check_finite: bool = True) -> Array:
    """The solution x of T @ x = b for a Toeplitz matrix T, as `scipy.linalg.solve_toeplitz`.

    Args:
        c_or_cr: the first column (..., n), or a tuple of it and the first row (..., n), which is its conjugate otherwise.
        b: (n,) or (..., n, k).
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: a leading part of T is singular.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve_toeplitz(tn.tensor([2.0, 1.0]), tn.tensor([3.0, 3.0]))
    Tensor([1., 1.])
    """
    return _solve_toeplitz(*_ends(c_or_cr), b, check_finite)


def _circulant_rule(
    g: Array, out: Array, c: Array, b: Array, tol: float | None, caxis: int, baxis: int, outaxis: int
) -> dict[str, Array]:
    """x is the inverse transform of that of b over that of c, which are the eigenvalues."""
    values = transforms.fft(np.moveaxis(c, caxis, -1), axis=-1)
    size = np.abs(values)
    if tol is None:
        tol = np.max(size, axis=-1, keepdims=True) * (values.shape[-1] * float(np.finfo(np.float64).eps))
    null = size <= tol
    back = transforms.ifft(np.moveaxis(g, outaxis, -1), axis=-1) / np.where(null, 1, values)
    back = np.where(null, 0, back)
    by_c = -transforms.fft(back * transforms.fft(np.moveaxis(out, outaxis, -1), axis=-1), axis=-1)
    by_b = transforms.fft(back, axis=-1)
    found = {"c": unbroadcast(by_c, np.moveaxis(c, caxis, -1).shape)}
    found["b"] = np.moveaxis(unbroadcast(by_b, np.moveaxis(b, baxis, -1).shape), -1, baxis)
    found["c"] = np.moveaxis(found["c"], -1, caxis)
    return {n: x if given.dtype.kind == "c" else x.real for (n, x), given in zip(found.items(), (c, b), strict=True)}


@op(
    joint=_circulant_rule,
    broadcasts=True,
    nondiff=("tol",),
    formula="circulant(c)⁻¹ @ b",
    gradients="b: circulant(c)⁻ᵀ @ g, by Fourier transforms; c: sums along the diagonals of −(by b) @ outᵀ",
)
def solve_circulant(
    c: Array, b: Array, singular: str = "raise", tol: float | None = None, caxis: int = -1, baxis: int = 0,
    outaxis: int = 0,
) -> Array:  # fmt: skip
    """The solution x of C @ x = b for a circulant matrix C, by Fourier transforms, as `scipy.linalg.solve_circulant`.

    Args:
        c: the first column of C, along `caxis`.
        b: the right side, along `baxis`; the other axes of both broadcast.
        singular: "raise", or "lstsq" for the smallest of the x that come closest. Its gradient keeps the rank.
        tol: eigenvalues up to this magnitude count as 0; by default the rounding of the largest.
        caxis, baxis, outaxis: which axes of `c`, `b` and the result are solved along.

    Raises:
        LinAlgError: C is singular, but for rounding.
        ValueError: shapes that do not fit.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve_circulant(tn.tensor([2.0, 0.0, 1.0]), tn.tensor([3.0, 3.0, 3.0])).numpy().round(9)
    array([1., 1., 1.])
    """
    return cast("Array", library().solve_circulant(c, b, singular, tol, caxis, baxis, outaxis))
