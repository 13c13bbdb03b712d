"""Matrices that are made of the elements of vectors or of other matrices.

Which element stands where is what SciPy's function makes of their numbers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.scipy.followed import followed
from tapenet.scipy.linalg.definition import library, magnitude
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


@functools.lru_cache(maxsize=64)
def _places(name: str, lengths: tuple[int, ...], *options: object) -> Array:
    """Where each element of a matrix comes from: 0 for a zero, else the number of the element, counted from 1."""
    ends = np.cumsum(lengths)
    given = [np.arange(end - n, end) + 1 for n, end in zip(lengths, ends, strict=True)]
    return np.asarray(getattr(library(), name)(*given, *options)).astype(np.intp)


def _line(x: Array) -> Array:
    """A number as a vector."""
    return x if x.ndim else x[None]


def _joined(*vectors: Array) -> Array:
    """Vectors behind each other; the axes before the last broadcast."""
    shape = np.broadcast_shapes(*(x.shape[:-1] for x in vectors))
    dtype = np.result_type(*(x.dtype for x in vectors))
    same = [x if x.dtype == dtype else ops.multiply(x, np.ones((), dtype)) for x in vectors]
    same = [x if x.shape[:-1] == shape else np.broadcast_to(x, (*shape, x.shape[-1])) for x in same]
    return cast("Array", np.concatenate(same, axis=-1))


def _filled(name: str, vectors: tuple[Array, ...], *options: object) -> Array:
    places = _places(name, tuple(x.shape[-1] for x in vectors), *options)
    return _joined(np.zeros(1, vectors[0].dtype), *vectors)[..., places]


@followed("linalg.toeplitz", "c", "r", broadcasts=True)
def toeplitz(c: Array, r: Array | None = None) -> Array:
    """Matrices with constant diagonals, as `scipy.linalg.toeplitz`.

    Args:
        c: the first column, (..., m).
        r: the first row, (..., n), whose first element is not read; by default the conjugate of `c`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.toeplitz(tn.tensor([1.0, 2.0]), [1.0, 3.0, 4.0])
    Tensor([[1., 3., 4.],
            [2., 1., 3.]])
    """
    c = _line(c)
    return _filled("toeplitz", (c, conjugate(c) if r is None else _line(r)))


def _one_axis(c: Array, r: Array | None) -> None:
    if c.ndim > 1 or (r is not None and r.ndim > 1):
        raise ValueError("hankel: c and r must be vectors; write .ravel() for what SciPy before 1.19 made of others")


@followed("linalg.hankel", "c", "r", broadcasts=True, check=_one_axis)
def hankel(c: Array, r: Array | None = None) -> Array:
    """A matrix with constant diagonals from the lower left to the upper right, as `scipy.linalg.hankel`.

    Args:
        c: the first column, (m,).
        r: the last row, (n,), whose first element is not read; zeros by default.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.hankel(tn.tensor([1.0, 2.0]), [2.0, 3.0])
    Tensor([[1., 2.],
            [2., 3.]])
    """
    return _filled("hankel", (c, np.zeros_like(c) if r is None else r))


@followed("linalg.circulant", "c", broadcasts=True)
def circulant(c: Array) -> Array:
    """Circulant matrices, as `scipy.linalg.circulant`.

    Args:
        c: the first column, (..., n).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.circulant(tn.tensor([1.0, 2.0, 3.0]))
    Tensor([[1., 3., 2.],
            [2., 1., 3.],
            [3., 2., 1.]])
    """
    return _filled("circulant", (_line(c),))


@followed("linalg.leslie", "f", "s", broadcasts=True)
def leslie(f: Array, s: Array) -> Array:
    """The matrix of a population's growth, as `scipy.linalg.leslie`.

    Args:
        f: how many children each age has, (..., n).
        s: which part of each age survives, (..., n - 1).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.leslie(tn.tensor([0.1, 2.0]), [0.5])
    Tensor([[0.1, 2. ],
            [0.5, 0. ]])
    """
    return _filled("leslie", (_line(f), _line(s)))


@followed("linalg.convolution_matrix", "a", broadcasts=True)
def convolution_matrix(a: Array, n: int, mode: str = "full") -> Array:
    """The matrix whose product with a vector of `n` elements is its convolution with `a`, as `scipy.linalg.convolution_matrix`.

    Args:
        a: (..., m).
        n: how many columns there are.
        mode: "full", "same" or "valid", as of `np.convolve`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.convolution_matrix(tn.tensor([1.0, 2.0]), 2)
    Tensor([[1., 0.],
            [2., 1.],
            [0., 2.]])
    """
    return _filled("convolution_matrix", (a,), n, mode)


@followed("linalg.diagsvd", "s", broadcasts=True)
def diagsvd(s: Array, M: int, N: int) -> Array:
    """The matrix Σ of a singular value decomposition, as `scipy.linalg.diagsvd`.

    Args:
        s: the singular values, (..., min(M, N)).
        M, N: rows and columns.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.diagsvd(tn.tensor([3.0]), 1, 2)
    Tensor([[3., 0.]])
    """
    return _filled("diagsvd", (s,), M, N)


# -- of polynomials ----------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _companion_places(name: str, n: int) -> Array:
    """0 for a zero, 1 for a one, k + 1 for minus the coefficient k."""
    return np.asarray(getattr(library(), name)(-np.arange(1.0, n + 1) * np.sign(np.arange(n) - 0.5))).astype(np.intp)


def _of_polynomial(name: str, a: Array) -> Array:
    a = _line(a)
    places = _companion_places(name, a.shape[-1])
    minus = -a[..., 1:] / (1.0 * a[..., :1])
    return _joined(np.arange(2).astype(minus.dtype), minus)[..., places]


@followed("linalg.companion", "a", broadcasts=True)
def companion(a: Array) -> Array:
    """The matrix whose characteristic polynomial is given, as `scipy.linalg.companion`.

    Args:
        a: the coefficients, (..., n), the first of which is not 0.

    Returns:
        (..., n - 1, n - 1).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.companion(tn.tensor([1.0, -10.0, 31.0]))
    Tensor([[ 10., -31.],
            [  1.,   0.]])
    """
    return _of_polynomial("companion", a)


@followed("linalg.fiedler_companion", "a", broadcasts=True)
def fiedler_companion(a: Array) -> Array:
    """A matrix of five diagonals whose characteristic polynomial is given, as `scipy.linalg.fiedler_companion`.

    Args:
        a: the coefficients, (..., n), the first of which is not 0.

    Returns:
        (..., n - 1, n - 1).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.fiedler_companion(tn.tensor([1.0, -16.0, 86.0, -176.0]))
    Tensor([[ 16., -86.,   1.],
            [  1.,   0.,   0.],
            [  0., 176.,   0.]])
    """
    return _of_polynomial("fiedler_companion", a)


# -- others ------------------------------------------------------------------------------------------------------


@followed("linalg.fiedler", "a", broadcasts=True)
def fiedler(a: Array) -> Array:
    """The matrix of abs(a[i] - a[j]), as `scipy.linalg.fiedler`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.fiedler(tn.tensor([1.0, 4.0]))
    Tensor([[0., 3.],
            [3., 0.]])
    """
    a = _line(a)
    return magnitude(a[..., :, None] - a[..., None, :])


def block_diag(*arrs: ArrayLike) -> Array:
    """The matrix with these along its diagonal, as `scipy.linalg.block_diag`.

    Args:
        arrs: matrices (..., m, n); vectors are rows. Axes before the last two broadcast.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.block_diag(tn.tensor([[1.0, 2.0]]), [[3.0]])
    Tensor([[1., 2., 0.],
            [0., 0., 3.]])
    """
    given: tuple[ArrayLike, ...] = arrs or ([],)
    found: list[Array] = [np.atleast_2d(array_like(x)) for x in given]
    shape = np.broadcast_shapes(*(a.shape[:-2] for a in found))
    dtype = np.result_type(*(a.dtype for a in found))
    columns, rows, left = sum(a.shape[-1] for a in found), [], 0
    for a in found:
        a = np.broadcast_to(a, (*shape, *a.shape[-2:])) if a.shape[:-2] != shape else a
        m, n = a.shape[-2:]
        rows.append(
            np.concatenate(
                [np.zeros((*shape, m, left), dtype), a, np.zeros((*shape, m, columns - left - n), dtype)], axis=-1
            )
        )
        left += n
    return cast("Array", np.concatenate(rows, axis=-2))


def _partners(w: Array) -> tuple[Array, Array]:
    """Of complex eigenvalues, in conjugate pairs: which is whose, as a matrix of 0 and 1, and which is the first of two."""
    paired = w.imag != 0
    count = np.cumsum(paired, axis=-1)
    first = paired & (count % 2 == 1)
    second = paired & ~first
    meet = first[..., :, None] & second[..., None, :] & (count[..., :, None] + 1 == count[..., None, :])
    return meet | np.swapaxes(meet, -1, -2), first


def _real_form_rule(g: tuple[Array, ...], w: Array) -> dict[str, Array]:
    partner, first = _partners(w)
    unit = np.eye(w.shape[-1], dtype=bool)
    by_real, by_imag = (np.sum(np.where(where, g[0], 0), axis=-1) for where in (unit, partner))
    left, paired = first[..., None, :], np.any(partner, axis=-1)[..., None, :]
    # v @ u with the columns (v[j], v[k]) @ [[i, 1], [-i, 1]] / 2 for each pair j, k
    turned = np.where(paired, np.where(left, 0.5j * np.where(unit, 1, -1), 0.5), 1) * (unit | partner)
    return {"w": by_real - 1j * by_imag, "v": np.matmul(g[1], np.swapaxes(turned, -1, -2))}


@op(
    outputs=2,
    joint=_real_form_rule,
    vmap="leading",
    formula="real blocks of two rows for pairs of conjugate eigenvalues, and the vectors that go with them",
    gradients="w: g₀ where it stands; v: g₁ @ uᵀ with the u of v @ u",
)
def cdf2rdf(w: Array, v: Array) -> tuple[Array, ...]:
    """The real block diagonal form of complex eigenvalues and vectors of real matrices, as `scipy.linalg.cdf2rdf`.

    Args:
        w: the eigenvalues, (..., n), in conjugate pairs.
        v: the eigenvectors, (..., n, n).

    Returns:
        the block diagonal matrix, and the vectors that go with it, both real.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.linalg.cdf2rdf(tn.tensor([1 + 2j, 1 - 2j]), np.eye(2))[0]
    Tensor([[ 1.,  2.],
            [-2.,  1.]])
    """
    return tuple(library().cdf2rdf(w, v))
