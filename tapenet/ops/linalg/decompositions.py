"""The singular value decomposition. Those by eigenvalues are in `eigen`, others in `factorizations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.ops.conditions import provided
from tapenet.ops.derived import array_like, derived
from tapenet.ops.linalg.degenerate import (
    Undetermined,
    gap_quotient,
    lengths,
    once,
    over_gaps,
    provided_zero,
    rounding,
)
from tapenet.ops.linalg.matrices import adjoint, finite, on_diagonal
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.registry import sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Array
    S: Array
    Vh: Array


_FULL = (
    "svd: with full_matrices=True the loss depends on singular vectors beyond the first min(m, n), which may be any "
    "orthonormal basis of what the others leave: they have no derivative. Use full_matrices=False, or a function that is "
    "the same for every such basis"
)
_RANK = (
    "svd: a singular value is 0, so that the matrix does not determine its vectors, and the loss may depend on the choice. "
    "Use the singular values alone (svdvals), or change the matrix a little so that it has full rank"
)


def _floor(u: Array, s: Array, vh: Array) -> Array | float:
    return rounding(s, max(u.shape[-2], vh.shape[-1]))


def _once(u: Array, s: Array, vh: Array) -> tuple[Array, Array]:
    """u and vh as a rule may use them that is not differentiated where singular values are equal, or where one is 0 and the
    matrix is not square."""
    floor = _floor(u, s, vh)
    if u.shape[-2] != vh.shape[-1]:
        s = np.concatenate([s, np.zeros((*s.shape[:-1], 1), s.dtype)], axis=-1)
    return once("svd", u, s, floor), once("svd", vh, s, floor)


def _svd_rule(g: tuple[Array | None, ...], out: tuple[Array, ...], full_matrices: bool, phases: bool) -> Array:
    """From Uᴴ dA V = Ω S + dS − S Ψ with the skew Ω = Uᴴ dU and Ψ = Vᴴ dV; derived in docs/mathematics.md."""
    (u, s, vh), (gu, gs, gvh) = out, g
    k, rows, columns = s.shape[-1], u.shape[-2], vh.shape[-1]
    u, vh = _once(u, s, vh)
    first_u, first_vh = u[..., :k], vh[..., :k, :]
    if gu is None and gvh is None:
        assert gs is not None
        return conjugate(np.matmul(first_u * gs[..., None, :], first_vh))
    gu = np.zeros_like(u) if gu is None else conjugate(gu)
    gv = adjoint(np.zeros_like(vh) if gvh is None else conjugate(gvh))
    v = adjoint(vh)
    along_u, along_v = np.matmul(adjoint(u), gu), np.matmul(vh, gv)
    skew_u, skew_v = along_u - adjoint(along_u), along_v - adjoint(along_v)
    long_u, long_v = lengths(gu), lengths(gv)
    size = long_u[..., :k] + long_v[..., :k]
    size = size + np.swapaxes(size, -1, -2)

    inner = slice(None, k)
    inner_u, inner_v = skew_u[..., inner, inner], skew_v[..., inner, inner]
    parts = along_u[..., inner, inner], along_v[..., inner, inner]
    turned = over_gaps("svd", inner_u + inner_v, s, _floor(u, s, vh), size, parts, gs, phases)
    sums = s[..., None, :] + s[..., :, None]
    core = 0.5 * (turned + gap_quotient(inner_u - inner_v, sums, size, 0.0, _RANK))
    core = core if gs is None else core + on_diagonal(gs)
    made = np.matmul(np.matmul(first_u, core), first_vh)

    def rest(basis: Array, g: Array, along: Array, skew: Array, long: Array) -> Array:
        """What turns out of the span of the first k columns of a basis, over the singular values."""
        size = long
        if full_matrices:
            size = np.sum(long, axis=-1, keepdims=True)
            beyond = provided_zero(skew[..., k:, :k], skew[..., k:, k:], size, _FULL)
        else:
            beyond = g - np.matmul(basis, along)
        if gs is not None:
            beyond = provided(beyond, (s == 0) & (gs != 0), Undetermined, _RANK)
        quotient: Array = gap_quotient(beyond, s[..., None, :], size, 0.0, _RANK)
        if full_matrices:
            quotient = np.matmul(basis[..., k:], quotient)
        return quotient

    if rows > k:
        made = made + np.matmul(rest(u, gu, along_u, skew_u, long_u), first_vh)
    if columns > k:
        made = made + np.matmul(first_u, adjoint(rest(v, gv, along_v, skew_v, long_v)))
    return conjugate(made)


@op(
    label="svd",
    outputs=3,
    tell_unused=True,
    result=SVDResult,
    a=_svd_rule,
    formula="U, S, Vᴴ with a = U · diag(S) @ Vᴴ",
    gradients="a: U @ (diag(gS) + parts of g over sₖ − sⱼ and sₖ + sⱼ) @ Vᴴ",
    vmap="leading",
    samples=lambda r: [sample(r.normal(size=(2, 2))), sample(r.normal(size=(3, 2)), False, False)],
)
def svd_factors(a: Array, full_matrices: bool = True, phases: bool = True) -> tuple[Array, ...]:
    """The three factors that `svd` returns, also for rules: these use vectors so that the phases cancel, which rounding
    must not hide.

    Args:
        a: (..., m, n).
        full_matrices: whether U and Vh are square.
        phases: whether a loss that depends on the phases of complex vectors is refused.

    Returns:
        SVDResult(U, S, Vh).

    >>> import tapenet as tn
    >>> from tapenet.ops.linalg.decompositions import svd_factors
    >>> svd_factors(tn.tensor([[2.0, 0.0], [0.0, 1.0]])).S
    Tensor([2., 1.])
    """
    return tuple(np.linalg.svd(finite(a), full_matrices))


def _svdvals_rule(g: Array, x: Array) -> Array:
    return _svd_rule((None, g, None), svd_factors(x, False, False), False, False)


@op(
    label="singular values",
    numpy=np.linalg.svdvals,
    x=_svdvals_rule,
    gradients="x: U · g @ Vᴴ",
    vmap="leading",
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 2, 2))),
        sample(np.zeros((0, 2))),
        sample(np.zeros((0, 2, 2))),
    ],
)
def svdvals(x: Array) -> Array:
    """The singular values of matrices, from the largest to the smallest.

    Where some are equal their gradients are those for one choice of the singular vectors: right for functions that treat
    them alike, as a sum does, and one of many at a kink, as of the largest alone. At 0, which is a kink too, likewise.

    Args:
        x: (..., m, n).

    Returns:
        (..., min(m, n)), real.

    Raises:
        LinAlgError: the iteration does not converge.

    >>> import tapenet as tn
    >>> tn.linalg.svdvals(tn.tensor([[0.0, 2.0], [1.0, 0.0]]))
    Tensor([2., 1.])
    """
    return np.linalg.svdvals(x)


def _hermitian_svd(a: Array, compute_uv: bool) -> Array | SVDResult:
    """The singular value decomposition by eigenvalues: the singular values are their magnitudes."""
    if not compute_uv:
        return np.flip(np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1), -1)
    w, v = np.linalg.eigh(a)
    s = np.abs(w)
    order = np.flip(np.argsort(s, axis=-1), -1)
    s, sign = (np.take_along_axis(x, order, axis=-1) for x in (s, np.copysign(1.0, w)))
    u = np.take_along_axis(v, order[..., None, :], axis=-1)
    return SVDResult(u, s, adjoint(u * sign[..., None, :]))


@derived(
    numpy=np.linalg.svd,
    samples=lambda r: [
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(3, 2)), full_matrices=False),
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(1, 3)), full_matrices=False),
        sample(r.normal(size=(2, 2, 2)), False),
        sample(r.normal(size=(2, 3)), True, False),
        sample(r.normal(size=(3, 3)), hermitian=True),
        sample(r.normal(size=(2, 2, 2)), compute_uv=False, hermitian=True),
        sample(np.zeros((0, 2)), full_matrices=False),
        sample(np.zeros((0, 2, 2))),
    ],
)
def svd(
    a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Array | SVDResult:
    """The singular value decomposition a = U · diag(S) @ Vh.

    Args:
        a: (..., m, n).
        full_matrices: U and Vh are (..., m, m) and (..., n, n); else (..., m, k) and (..., k, n) with k = min(m, n).
        compute_uv: whether U and Vh are wanted beside S.
        hermitian: `a` is taken to be Hermitian: only its lower triangle is read, and has a gradient.

    Returns:
        SVDResult(U, S, Vh), S falling and real; only S if `compute_uv` is False.

    Raises:
        LinAlgError: the iteration does not converge, as where an element is infinite or nan. In backward: the loss may
            depend on what the matrix does not determine: vectors of equal singular values, vectors of 0, those of a full U
            or Vh beyond the first k, or the phases of complex vectors.

    >>> import tapenet as tn
    >>> U, S, Vh = tn.linalg.svd(tn.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> S
    Tensor([2., 1.])
    """
    a = array_like(a)
    if hermitian:
        return _hermitian_svd(a, compute_uv)
    if not compute_uv:
        return svdvals(a)
    return svd_factors(a, full_matrices)
