"""Decompositions of matrices: singular values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tapenet.ops.linalg.degenerate import gap_quotient, provided
from tapenet.ops.op import array_like, derived, op, sample


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


def conj(x: Any) -> Any:
    """The complex conjugate; of real numbers nothing is computed."""
    return np.conj(x) if x.dtype.kind == "c" else x


def adjoint(x: Any) -> Any:
    """The conjugate transpose of matrices."""
    return np.swapaxes(conj(x), -1, -2)


def lengths(x: Any) -> Any:
    """The Euclidean length of each column, (..., 1, k)."""
    x = np.abs(x)
    return np.sqrt(np.sum(x * x, axis=-2, keepdims=True))


def tolerance(values: Any, order: int) -> Any:
    """How far apart values may be that are equal but for rounding, as the values of a matrix of `order` rows are computed:
    an array (..., 1, 1)."""
    if 0 in values.shape:
        return 0.0
    return order * float(np.finfo(values.dtype).eps) * np.max(np.abs(values), axis=-1)[..., None, None]


_APART = "Use only functions of the singular values (svdvals), or change the matrix a little so that its singular values differ"
_FULL = (
    "svd: with full_matrices=True the loss depends on singular vectors beyond the first min(m, n), which are any "
    "orthonormal basis of what the others leave: they have no derivative. Use full_matrices=False, or a function that is "
    "the same for every such basis"
)
_PHASE = (
    "svd: the loss depends on the phases of the singular vectors, which the matrix does not determine (u and v may both be "
    "multiplied by the same number of modulus 1): there is no gradient. Use a function that is the same for all phases, "
    "such as one of abs(U), or of U and Vh together"
)


def _svd_rule(g: Any, out: Any, full_matrices: bool) -> Any:
    """With dA = dU S Vᴴ + U dS Vᴴ + U S dVᴴ, U and V square, and the skew Ω = Uᴴ dU, Ψ = Vᴴ dV: Uᴴ dA V = Ω S + dS − S Ψ.
    Off the diagonal this and its adjoint are two equations for Ω and Ψ, with the solution

        Ω ± Ψ = (P ± Pᴴ)/… : the sum of both divides by sₖ − sⱼ, their difference by sₖ + sⱼ,

    whence the two quotients below. The rest of U and V, beyond the k = min(m, n) pairs, turns by Uᴴ dA v/s."""
    (u, s, vh), (gu, gs, gvh) = out, g
    k, rows, columns = s.shape[-1], u.shape[-2], vh.shape[-1]
    gu, gvh = conj(gu), conj(gvh)
    gv = adjoint(gvh)
    along_u, along_v = np.matmul(adjoint(u), gu), np.matmul(vh, gv)
    skew_u, skew_v = along_u - adjoint(along_u), along_v - adjoint(along_v)
    length_u, length_v = lengths(gu), lengths(gv)
    long_u, long_v = length_u[..., :k], length_v[..., :k]
    each = long_u + long_v
    size = each + np.swapaxes(each, -1, -2)

    inner_u, inner_v = skew_u[..., :k, :k], skew_v[..., :k, :k]
    floor = tolerance(s, max(rows, columns))
    here = np.eye(k, dtype=bool)
    gap = np.where(here, 1, s[..., None, :] - s[..., :, None])
    both = inner_u + inner_v
    if both.dtype.kind == "c":
        both = np.where(here, 0, provided(both, np.where(here, both, 0), size, _PHASE))
    closed = np.abs(gap) <= floor
    both = _undetermined(both, closed, (along_u[..., :k, :k], along_v[..., :k, :k]), size)
    core = 0.5 * (
        gap_quotient(both, gap, size, floor, "svd", _APART)
        + gap_quotient(inner_u - inner_v, s[..., None, :] + s[..., :, None], size, 0.0, "svd", _APART)
    )
    core = core + np.eye(k, dtype=s.dtype) * gs[..., None, :]
    u1, vh1 = u[..., :, :k], vh[..., :k, :]
    made = np.matmul(np.matmul(u1, core), vh1)
    if rows > k:
        if full_matrices:
            beyond = provided(skew_u[..., k:, :k], skew_u[..., k:, k:], _sum(length_u[..., k:]), _FULL)
            rest = np.matmul(u[..., :, k:], gap_quotient(beyond, s[..., None, :], _sum(length_u), 0.0, "svd", _APART))
        else:
            rest = gap_quotient(gu - np.matmul(u, along_u), s[..., None, :], long_u, 0.0, "svd", _APART)
        made = made + np.matmul(rest, vh1)
    if columns > k:
        if full_matrices:
            beyond = provided(skew_v[..., k:, :k], skew_v[..., k:, k:], _sum(length_v[..., k:]), _FULL)
            rest = gap_quotient(beyond, s[..., None, :], _sum(length_v), 0.0, "svd", _APART)
            rest = np.matmul(adjoint(rest), vh[..., k:, :])
        else:
            rest = gap_quotient(gv - np.matmul(adjoint(vh), along_v), s[..., None, :], long_v, 0.0, "svd", _APART)
            rest = adjoint(rest)
        made = made + np.matmul(u1, rest)
    return conj(made)


def _sum(lengths: Any) -> Any:
    return np.sum(lengths, axis=-1, keepdims=True)


def _undetermined(value: Any, closed: Any, parts: Any, size: Any) -> Any:
    """`value`, provided that the loss does not depend on vectors whose values are equal."""
    for part in parts:
        value = provided(value, np.where(closed, part, 0), size, f"svd: {_EQUAL} {_APART}")
    return value


_EQUAL = "singular values are equal but for rounding and the loss depends on their vectors, which the matrix does not determine."

svd_factors = op(
    lambda a, full_matrices=True: tuple(np.linalg.svd(a, full_matrices)),
    name="svd_factors",
    label="svd",
    outputs=3,
    result=SVDResult,
    a=_svd_rule,
    formula="U, S, Vᴴ with a = U · diag(S) @ Vᴴ",
    gradients="a: U @ (terms of g over sₖ − sⱼ and sₖ + sⱼ) @ Vᴴ",
    doc="""The three factors that `svd` returns, without its rarer options.

    Args:
        a: (..., m, n).
        full_matrices: whether U and Vh are square.

    Returns:
        SVDResult(U, S, Vh).

    >>> import tapenet as tn
    >>> tn.linalg.svd_factors(tn.tensor([[2.0, 0.0], [0.0, 1.0]])).S
    Tensor([2., 1.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 2))),
        sample(r.normal(size=(3, 2)), False),
        sample(r.normal(size=(2, 3)), full_matrices=True),
    ],
)


def _svdvals_rule(g: Any, a: Any) -> Any:
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return conj(np.matmul(u * g[..., None, :], vh))


svdvals = op(
    lambda x: np.linalg.svdvals(x),
    name="svdvals",
    label="singular values",
    numpy=np.linalg.svdvals,
    x=lambda g, x: _svdvals_rule(g, x),
    formula="the square roots of the eigenvalues of xᴴ @ x, falling",
    gradients="x: U · g @ Vᴴ",
    doc="""The singular values of matrices, from the largest to the smallest.

    Where some are equal the gradient is that of one choice of singular vectors: sums over equal ones are differentiated
    rightly, single ones have a kink there.

    Args:
        x: (..., m, n).

    Returns:
        (..., min(m, n)), real.

    >>> import tapenet as tn
    >>> tn.linalg.svdvals(tn.tensor([[0.0, 2.0], [1.0, 0.0]]))
    Tensor([2., 1.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 2, 2))),
        sample(np.zeros((0, 2))),
        sample(np.zeros((0, 2, 2))),
    ],
)


@derived(
    numpy=np.linalg.svd,
    samples=lambda r: [
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(3, 2)), full_matrices=False),
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(1, 3)), full_matrices=False),
        sample(r.normal(size=(2, 2, 2)), False),
        sample(r.normal(size=(2, 3)), True, False),
        sample(np.zeros((0, 2)), full_matrices=False),
        sample(np.zeros((0, 2, 2))),
    ],
)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The singular value decomposition a = U · diag(S) @ Vh.

    Args:
        a: (..., m, n).
        full_matrices: U and Vh are (..., m, m) and (..., n, n); else (..., m, k) and (..., k, n) with k = min(m, n).
        compute_uv: whether U and Vh are wanted beside S.
        hermitian: `a` is taken to be Hermitian: of its entries only the lower triangle is read.

    Returns:
        SVDResult(U, S, Vh), S falling and real; only S if `compute_uv` is False.

    Raises:
        LinAlgError: the iteration does not converge. In backward: the loss depends on what the matrix does not determine
            (the vectors of equal singular values; beyond the first k, those of a full U or Vh; the phases of complex
            vectors).

    >>> import tapenet as tn
    >>> U, S, Vh = tn.linalg.svd(tn.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> S
    Tensor([2., 1.])
    """
    a = array_like(a)
    if not compute_uv:
        return svdvals(a)
    return svd_factors(a, full_matrices)
