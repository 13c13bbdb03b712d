"""Eigenvalues and eigenvectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tapenet.ops.conditions import provided
from tapenet.ops.derived import array_like, derived
from tapenet.ops.linalg.degenerate import Undetermined, equal, lengths, once, over_gaps, rounding
from tapenet.ops.linalg.matrices import adjoint, identity_where, in_triangle, on_diagonal
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.registry import sample
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Array
    eigenvectors: Array


class EigResult(NamedTuple):
    """What `eig` returns."""

    eigenvalues: Array
    eigenvectors: Array


# -- Hermitian matrices ------------------------------------------------------------------------------------------


def _eigh_rule(g: tuple[Array | None, ...], out: tuple[Array, ...], UPLO: str, phases: bool) -> Array:
    """From Vᴴ dA V = dΛ + Ω Λ − Λ Ω with the skew Ω = Vᴴ dV; derived in docs/mathematics.md."""
    (w, v), (gw, gv) = out, g
    floor = rounding(w, w.shape[-1])
    v = once("eigh", v, w, floor)
    if gv is None:
        assert gw is not None
        made = v * gw[..., None, :]
    else:
        gv = conjugate(gv)
        along = np.matmul(adjoint(v), gv)
        size = lengths(gv)
        size = size + np.swapaxes(size, -1, -2)
        turned = over_gaps("eigh", 0.5 * (along - adjoint(along)), w, floor, size, (along,), gw, phases)
        made = np.matmul(v, turned if gw is None else turned + on_diagonal(gw))
    return conjugate(in_triangle(np.matmul(made, adjoint(v)), UPLO.upper() == "L"))


@op(
    label="eigh",
    outputs=2,
    tell_unused=True,
    result=EighResult,
    a=_eigh_rule,
    formula="Λ, V with a = V · Λ @ Vᴴ",
    gradients="a: V @ (diag(gΛ) + part of Vᴴ @ gV over λₖ − λⱼ) @ Vᴴ, in the triangle",
    vmap="leading",
    samples=lambda r: [sample(r.normal(size=(3, 3))), sample(r.normal(size=(2, 2)), "U", False)],
)
def eigh_factors(a: Array, UPLO: Literal["L", "U"] = "L", phases: bool = True) -> tuple[Array, ...]:
    """What `eigh` returns, also for rules: these use vectors so that the phases cancel, which rounding must not hide.

    Args:
        a: (..., n, n), Hermitian.
        UPLO: "L" or "U", which triangle is read.
        phases: whether a loss that depends on the phases of complex vectors is refused.

    Returns:
        EighResult(eigenvalues, eigenvectors).

    >>> import tapenet as tn
    >>> from tapenet.ops.linalg.eigen import eigh_factors
    >>> eigh_factors(tn.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Tensor([1., 2.])
    """
    return tuple(np.linalg.eigh(a, UPLO))


@derived(
    numpy=np.linalg.eigh,
    samples=lambda r: [
        sample(r.normal(size=(3, 3))),
        sample(r.normal(size=(3, 3)), UPLO="U"),
        sample(r.normal(size=(2, 2, 2)), "l"),
        sample(np.ones((1, 1))),
        sample(np.zeros((0, 0))),
        sample(np.zeros((0, 2, 2)), "u"),
    ],
)
def eigh(a: ArrayLike, UPLO: str = "L") -> EighResult:
    """The eigenvalues and eigenvectors of Hermitian (real: symmetric) matrices: a = V · Λ @ Vᴴ.

    Only one triangle of `a` is read, and so it alone has a gradient: an element off the diagonal has that of the two places
    it stands for.

    Args:
        a: (..., n, n).
        UPLO: which triangle is read, "L" (lower) or "U" (upper).

    Returns:
        EighResult(eigenvalues, eigenvectors): (..., n), real and rising, and (..., n, n), a vector in each column.

    Raises:
        LinAlgError: the iteration does not converge. In backward: the loss may depend on what the matrix does not
            determine: vectors of equal eigenvalues, or the phases of complex vectors.

    >>> import tapenet as tn
    >>> w, V = tn.linalg.eigh(tn.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> w
    Tensor([1., 3.])
    """
    return eigh_factors(array_like(a), UPLO)


def _eigvalsh_rule(g: Array, a: Array, UPLO: str) -> Array:
    return _eigh_rule((g, None), eigh_factors(a, UPLO, False), UPLO, False)


@op(
    formula="the λ with a @ v = λ · v, rising",
    label="eigenvalues",
    numpy=np.linalg.eigvalsh,
    a=_eigvalsh_rule,
    gradients="a: V · g @ Vᴴ, in the triangle that is read",
    vmap="leading",
    samples=lambda r: [
        sample(r.normal(size=(3, 3))),
        sample(r.normal(size=(2, 2, 2)), "U"),
        sample(r.normal(size=(2, 2)), UPLO="l"),
        sample(np.zeros((0, 0))),
    ],
)
def eigvalsh(a: Array, UPLO: Literal["L", "U"] = "L") -> Array:
    """The eigenvalues of Hermitian (real: symmetric) matrices, from the smallest to the largest.

    Where some are equal their gradients are those for one choice of the eigenvectors: right for functions that treat them
    alike, as a sum does, and one of many at a kink, as of the largest alone.

    Args:
        a: (..., n, n).
        UPLO: which triangle is read, "L" (lower) or "U" (upper); it alone has a gradient.

    Returns:
        (..., n), real.

    Raises:
        LinAlgError: the iteration does not converge.

    >>> import tapenet as tn
    >>> tn.linalg.eigvalsh(tn.tensor([[2.0, 1.0], [1.0, 2.0]]))
    Tensor([1., 3.])
    """
    return np.linalg.eigvalsh(a, UPLO)


# -- all matrices ------------------------------------------------------------------------------------------------

_DEFECTIVE = (
    "eig: the matrix has not as many independent eigenvectors as rows (it is defective, but for rounding): there its "
    "eigenvalues have no derivative. Change the matrix a little"
)


def _inverse(v: Array) -> Array:
    """The inverse of eigenvectors. The lengths of its rows say how much the eigenvalues move with the matrix."""
    inverse = np.linalg.inv(v)
    limit = 0.1 / float(np.finfo(v.dtype).eps)
    return provided(inverse, ~(lengths(adjoint(inverse)) < limit), Undetermined, _DEFECTIVE)


def _eig_rule(g: tuple[Array | None, ...], out: tuple[Array, ...], a_dtype: DType, phases: bool) -> Array:
    """From V⁻¹ dA V = dΛ + Ω Λ − Λ Ω with Ω = V⁻¹ dV; derived in docs/mathematics.md."""
    (w, v), (gw, gv) = out, g
    if gv is not None and w.dtype.kind == "c" != a_dtype.kind:
        # Of a real matrix the vectors of real eigenvalues are real, also where they are given as complex numbers.
        gv = np.where(w.imag[..., None, :] == 0, gv.real, gv)
    floor = rounding(w, w.shape[-1])
    v = once("eig", v, w, floor)
    # A matrix that may be defective is left out if the loss does not depend on it.
    idle = np.any(equal(w, floor), axis=(-2, -1), keepdims=True)
    if gw is not None:
        idle = idle & np.all(gw == 0, axis=-1)[..., None, None]
    if gv is not None:
        idle = idle & np.all(gv == 0, axis=(-2, -1), keepdims=True)
    v = identity_where(idle, v)
    outer = adjoint(_inverse(v))
    if gv is None:
        assert gw is not None
        made = outer * conjugate(gw)[..., None, :]
    else:
        gv = conjugate(gv)
        along = np.matmul(adjoint(v), gv)
        here = np.eye(w.shape[-1], dtype=bool)
        # The vectors keep their lengths: a column cannot grow along itself.
        kept = np.sum(np.where(here, along.real, 0), axis=-2, keepdims=True)
        size = 2 * lengths(gv) + np.zeros(w.shape[-1], w.real.dtype)[:, None]
        free = along - np.matmul(adjoint(v), v) * kept
        turned = over_gaps("eig", free, w, floor, size, (along,), gw, phases)
        made = np.matmul(outer, turned if gw is None else turned + on_diagonal(conjugate(gw)))
    return conjugate(np.matmul(made, adjoint(v)))


def _distinct(r: np.random.Generator, *shape: int) -> Array:
    """Matrices whose eigenvalues are real and apart."""
    return np.diag(np.arange(1.0, shape[-1] + 1)) + 0.2 * r.normal(size=shape)


@op(
    label="eig",
    outputs=2,
    tell_unused=True,
    result=EigResult,
    a=_eig_rule,
    formula="Λ, V with a @ V = V · Λ",
    gradients="a: V⁻ᴴ @ (diag(gΛ) + part of Vᴴ @ gV over λₖ − λⱼ) @ Vᴴ",
    vmap="leading",
    samples=lambda r: [sample(_distinct(r, 2, 2)), sample(_distinct(r, 2, 2), False)],
)
def eig_factors(a: Array, phases: bool = True) -> tuple[Array, ...]:
    """What `eig` returns, also for rules: these use vectors so that the phases cancel, which rounding must not hide.

    Args:
        a: (..., n, n).
        phases: whether a loss that depends on the phases of complex vectors is refused.

    Returns:
        EigResult(eigenvalues, eigenvectors).

    >>> import tapenet as tn
    >>> from tapenet.ops.linalg.eigen import eig_factors
    >>> eig_factors(tn.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues.real
    Tensor([2., 1.])
    """
    return tuple(np.linalg.eig(a))


@derived(
    numpy=np.linalg.eig,
    samples=lambda r: [
        sample(_distinct(r, 3, 3)),
        sample(_distinct(r, 2, 2, 2)),
        sample(np.ones((1, 1))),
        sample(np.zeros((0, 0))),
        sample(np.zeros((0, 2, 2))),
    ],
)
def eig(a: ArrayLike) -> EigResult:
    """The eigenvalues and right eigenvectors of square matrices: a @ V = V · Λ.

    The vectors have length 1. Results are complex; before NumPy 2.5 they are real if all eigenvalues of a real `a` are.

    Args:
        a: (..., n, n).

    Returns:
        EigResult(eigenvalues, eigenvectors): (..., n), in no order, and (..., n, n), a vector in each column.

    Raises:
        LinAlgError: the iteration does not converge. In backward: the matrix is defective, or the loss may depend on what
            the matrix does not determine: vectors of equal eigenvalues, or the phases of complex vectors.

    >>> import tapenet as tn
    >>> w, V = tn.linalg.eig(tn.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> w.real
    Tensor([2., 1.])
    """
    return eig_factors(array_like(a))


# For large matrices LAPACK finds the eigenvalues in another order when it finds the eigenvectors too.
def _nearest_lanes(batched: frozenset[str], values: Array, found: Array) -> object:
    return nearest_order(values, found) if len(batched) == 2 else NotImplemented


@op(
    label="nearest order",
    nondiff=True,
    vmap=_nearest_lanes,
    samples=lambda r: [
        sample(np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])),
        sample(np.array([[1j, -1j]]), np.array([[-1j, 1j]])),
        sample(np.zeros((2, 0)), np.zeros((2, 0))),
    ],
)
def nearest_order(values: Array, found: Array) -> Array:
    """Where each of the `values` numbers is among those `found`, which are the same but for order and rounding.

    Args:
        values: (..., n).
        found: (..., n).

    Returns:
        (..., n), integers: along the last axis a permutation.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.eigen import nearest_order
    >>> nearest_order(np.array([1.0, 2.0, 1.0]), np.array([2.0, 1.0, 1.0]))
    array([1, 0, 2])
    """
    left = np.array(found)
    order = np.empty(values.shape, int)
    for i in range(values.shape[-1]):
        nearest = np.argmin(np.abs(left - values[..., i : i + 1]), axis=-1)
        order[..., i] = nearest
        np.put_along_axis(left, nearest[..., None], np.inf, axis=-1)
    return order


def _eigvals_rule(g: Array, out: Array, a: Array) -> Array:
    w, v = eig_factors(a, False)
    v = np.take_along_axis(v, nearest_order(out, w)[..., None, :], axis=-1)
    return _eig_rule((g, None), (out, v), a.dtype, False)


@op(
    formula="the λ with a @ v = λ · v",
    label="eigenvalues",
    numpy=np.linalg.eigvals,
    a=_eigvals_rule,
    gradients="a: V⁻ᴴ · g @ Vᴴ",
    vmap="leading",
    samples=lambda r: [
        sample(_distinct(r, 3, 3)),
        sample(_distinct(r, 2, 2, 2)),
        sample(np.zeros((0, 0))),
    ],
)
def eigvals(a: Array) -> Array:
    """The eigenvalues of square matrices, in no order.

    Complex; before NumPy 2.5 real if all eigenvalues of a real `a` are.

    Args:
        a: (..., n, n).

    Returns:
        (..., n).

    Raises:
        LinAlgError: the iteration does not converge. In backward: the matrix is defective.

    >>> import tapenet as tn
    >>> tn.linalg.eigvals(tn.tensor([[2.0, 0.0], [0.0, 1.0]])).real
    Tensor([2., 1.])
    """
    return np.linalg.eigvals(a)
