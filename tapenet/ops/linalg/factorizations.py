"""Factorisations of matrices by elimination and orthogonalisation: Cholesky and QR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tapenet.ops.conditions import provided
from tapenet.ops.derived import array_like, derived
from tapenet.ops.linalg.degenerate import Undetermined, apart, provided_zero
from tapenet.ops.linalg.matrices import adjoint, identity_where, in_triangle, transposed
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.registry import sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class QRResult(NamedTuple):
    """What `qr` returns in the modes "reduced" and "complete"."""

    Q: Array
    R: Array


def inverse_of_triangle(r: Array) -> Array:
    """The inverses of upper triangular matrices. That of a large one is made of those of its blocks, at a third of the
    cost."""
    n = r.shape[-1]
    if n <= 32 or type(r) is not np.ndarray:
        return np.linalg.inv(r)
    first, last = slice(None, n // 2), slice(n // 2, None)
    made = np.zeros_like(r)
    made[..., first, first] = upper = inverse_of_triangle(r[..., first, first])
    made[..., last, last] = lower = inverse_of_triangle(r[..., last, last])
    made[..., first, last] = -np.matmul(np.matmul(upper, r[..., first, last]), lower)
    return made


# -- Cholesky ----------------------------------------------------------------------------------------------------


def _cholesky_rule(g: Array, out: Array, upper: bool) -> Array:
    """From L⁻¹ dA L⁻ᴴ = Ξ + Ξᴴ with the lower triangular Ξ = L⁻¹ dL; derived in docs/mathematics.md."""
    g = transposed(g) if upper else conjugate(g)
    lh = out if upper else adjoint(out)
    n = g.shape[-1]
    half = np.tri(n, n, -1, g.dtype) + 0.5 * np.eye(n, dtype=g.dtype)
    inverse = inverse_of_triangle(lh)
    made = np.matmul(np.matmul(inverse, np.matmul(lh, g) * half), adjoint(inverse))
    return conjugate(in_triangle(0.5 * (made + adjoint(made)), not upper))


def _positive(r: np.random.Generator, *shape: int) -> Array:
    """Symmetric matrices whose eigenvalues are above 1."""
    a = r.normal(size=shape)
    return a @ transposed(a) + np.eye(shape[-1])


@op(
    numpy=np.linalg.cholesky,
    a=_cholesky_rule,
    formula="the lower triangular L with a = L @ Lᴴ; if upper its adjoint",
    gradients="a: L⁻ᴴ @ tril(Lᴴ @ g, half of its diagonal) @ L⁻¹, in the triangle",
    vmap="leading",
    samples=lambda r: [
        sample(_positive(r, 3, 3)),
        sample(_positive(r, 3, 3), upper=True),
        sample(_positive(r, 2, 2, 2)),
        sample(_positive(r, 2, 2) + np.array([[0.0, 5.0], [0.0, 0.0]])),
        sample(np.zeros((0, 0))),
    ],
)
def cholesky(a: Array, *, upper: bool = False) -> Array:
    """The Cholesky factor of Hermitian (real: symmetric) positive definite matrices.

    Only one triangle of `a` is read, and so it alone has a gradient: an element off the diagonal has that of the two places
    it stands for.

    Args:
        a: (..., n, n).
        upper: read the upper triangle, and return the upper triangular Lᴴ, with a = (Lᴴ)ᴴ @ Lᴴ.

    Returns:
        (..., n, n), lower triangular with a positive diagonal.

    Raises:
        LinAlgError: the matrix is not positive definite.

    >>> import tapenet as tn
    >>> tn.linalg.cholesky(tn.tensor([[4.0, 2.0], [2.0, 2.0]]))
    Tensor([[2., 0.],
            [1., 1.]])
    """
    return np.linalg.cholesky(a, upper=upper)


# -- QR ----------------------------------------------------------------------------------------------------------

_RANK = (
    "qr: the first min(m, n) columns of the matrix are linearly dependent, but for rounding: there is no derivative. Drop the "
    "dependent columns, or change the matrix a little"
)
_LATER = (
    "qr: the first min(m, n) columns of a matrix are linearly dependent, but for rounding: there is no second derivative, even "
    "of what does not depend on it here. Drop the dependent columns, or change the matrix a little"
)
_COMPLETE = (
    'qr: with mode="complete" the loss depends on columns of Q beyond those of the matrix, which may be any orthonormal '
    'basis of what the others leave: they have no derivative. Use mode="reduced", or a function that is the same for every '
    "such basis"
)


def _qr_rule(g: Array, out: Array) -> Array:
    """From Qᴴ dA R⁻¹ = Ω + T with the skew Ω = Qᴴ dQ and the upper triangular T = dR R⁻¹; derived in
    docs/mathematics.md."""
    (q, r), (gq, gr) = out, g
    used = np.any(gq != 0, axis=(-2, -1)) | np.any(gr != 0, axis=(-2, -1))
    gq, gr = conjugate(gq), conjugate(gr)
    rows, columns = q.shape[-2], r.shape[-1]
    k = min(rows, columns)
    if q.shape[-1] > k:  # complete
        q1, q2, g2 = q[..., :k], q[..., k:], gq[..., k:]
        turned = np.matmul(adjoint(q2), g2)
        size = np.sqrt(np.sum(np.abs(g2) * np.abs(g2), axis=(-2, -1), keepdims=True))
        gq = provided_zero(gq[..., :k], turned - adjoint(turned), size, _COMPLETE)
        q, gq = q1, gq - np.matmul(q2, np.matmul(adjoint(g2), q1))
        r, gr = r[..., :k, :], gr[..., :k, :]
    if columns > k:  # those right of the square are Qᴴ times the matrix
        right = gr[..., :, k:]
        gq = gq + np.matmul(q, np.matmul(r[..., :, k:], adjoint(right)))
        r, gr = r[..., :, :k], gr[..., :, :k]
    inner = np.matmul(gr, adjoint(r)) - np.matmul(adjoint(q), gq)
    inner = inner * (np.tri(k, k, -1, gq.dtype).T + 0.5 * np.eye(k, dtype=gq.dtype))
    made = gq + np.matmul(q, inner + adjoint(inner))
    made = np.matmul(made, adjoint(inverse_of_triangle(_regular(r, used))))
    if columns > k:
        made = np.concatenate([made, np.matmul(q, right)], axis=-1)
    return conjugate(made)


def _regular(r: Array, used: Array) -> Array:
    """`r`, or the identity in place of matrices that are singular but for rounding and not `used`."""
    k = r.shape[-1]
    if k == 0:
        return r
    pivots = np.sum(np.abs(r) * np.eye(k, dtype=bool), axis=-1)
    least = k * float(np.finfo(r.dtype).eps) * np.max(pivots, axis=-1, keepdims=True)
    singular = ~np.all(pivots > least, axis=-1)
    r = provided(r, singular & used, Undetermined, _RANK)
    singular = np.expand_dims(singular, -1)
    r = apart(r, np.where(singular, 0, np.arange(2)), 0.0, _LATER)  # two values that are equal where it is singular
    return identity_where(np.expand_dims(singular, -1), r)


@op(
    label="qr",
    outputs=2,
    result=QRResult,
    a=_qr_rule,
    formula="Q, R with a = Q @ R, QᴴQ = 1, R upper triangular",
    gradients="a: (gQ + Q @ sym(triu(gR @ Rᴴ − Qᴴ @ gQ))) @ R⁻ᴴ",
    vmap="leading",
    samples=lambda r: [sample(r.normal(size=(3, 2))), sample(r.normal(size=(3, 2)), "complete")],
)
def qr_factors(a: Array, mode: Literal["reduced", "complete"] = "reduced") -> tuple[Array, ...]:
    """The two factors that `qr` returns in the modes "reduced" and "complete".

    Args:
        a: (..., m, n).
        mode: "reduced" or "complete".

    Returns:
        QRResult(Q, R).

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.factorizations import qr_factors
    >>> np.abs(qr_factors(tn.tensor([[3.0], [4.0]])).R)
    Tensor([[5.]])
    """
    return tuple(np.linalg.qr(a, mode))


def _refused(g: Array) -> Array:
    raise NotImplementedError(
        'qr: mode="raw" has no gradient: it gives the factors as LAPACK stores them. Use mode="reduced" or "complete"'
    )


@op(
    label="qr raw",
    outputs=2,
    a=_refused,
    gradients="a: none, asking for g raises an error",
    vmap="leading",
    samples=lambda r: [sample(np.arange(6).reshape(3, 2))],
)
def qr_raw(a: Array) -> tuple[Array, ...]:
    """What `qr` returns in the mode "raw": the factors as LAPACK stores them. Asking for a gradient raises.

    Args:
        a: (..., m, n).

    Returns:
        (..., n, m) and (..., min(m, n)): the transposed matrix of R and the Householder vectors, and their factors.

    >>> import tapenet as tn
    >>> from tapenet.ops.linalg.factorizations import qr_raw
    >>> h, tau = qr_raw(tn.tensor([[2.0], [0.0]]))
    >>> h
    Tensor([[2., 0.]])
    """
    return tuple(np.linalg.qr(a, "raw"))


@derived(
    numpy=np.linalg.qr,
    samples=lambda r: [
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), mode="complete"),
        sample(r.normal(size=(2, 3)), "complete"),
        sample(r.normal(size=(3, 2)), "r"),
        sample(r.normal(size=(2, 3)), "r"),
        sample(np.arange(6).reshape(3, 2), "raw"),
        sample(r.normal(size=(2, 2, 2))),
        sample(np.zeros((0, 2))),
        sample(np.zeros((2, 0))),
        sample(np.zeros((0, 2, 2))),
    ],
)
def qr(a: ArrayLike, mode: str = "reduced") -> QRResult | Array | tuple[Array, ...]:
    """The QR factorisation a = Q @ R, with orthonormal columns in Q and R upper triangular.

    Args:
        a: (..., m, n).
        mode: "reduced" gives Q (..., m, k) and R (..., k, n) with k = min(m, n); "complete" Q (..., m, m) and R
            (..., m, n); "r" only the R of "reduced"; "raw" the factors as LAPACK stores them, without gradient.

    Returns:
        QRResult(Q, R), or what `mode` says.

    Raises:
        ValueError: another mode.
        LinAlgError: in backward: the first k columns are linearly dependent; or the loss depends on columns of a complete Q
            beyond the first k, which the matrix does not determine.
        NotImplementedError: in backward: a gradient through the mode "raw".

    >>> import numpy as np, tapenet as tn
    >>> Q, R = tn.linalg.qr(tn.tensor([[3.0], [4.0]]))
    >>> np.abs(R)
    Tensor([[5.]])
    """
    a = array_like(a)
    if mode in ("reduced", "complete"):
        return qr_factors(a, mode)
    if mode == "r":
        return qr_factors(a).R
    if mode == "raw":
        return qr_raw(a)
    raise ValueError(f'qr: mode={mode!r}; it is "reduced", "complete", "r" or "raw"')
