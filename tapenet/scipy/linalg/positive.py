"""Factors of positive definite matrices by Cholesky's method, and systems that are solved with them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tapenet.ops.linalg import factorizations
from tapenet.ops.linalg.matrices import adjoint
from tapenet.ops.op import op
from tapenet.program.linear_algebra import solve_triangular
from tapenet.scipy.linalg.definition import (
    LEADING,
    OverColumns,
    back_through,
    finite,
    library,
    outer,
    over_stacks,
    triangle,
)
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def by_factor(by_a: Array, factor: Array, lower: bool) -> Array:
    """The gradient by the factor L of L @ Lᴴ, or U of Uᴴ @ U, from that by the product."""
    both, conjugated = by_a + adjoint(by_a), np.conj(factor)
    return triangle(np.matmul(both, conjugated) if lower else np.matmul(conjugated, both), lower)


def _rule(g: Array, out: Array, lower: bool) -> Array:
    return cast("Array", factorizations.cholesky.rules["a"](triangle(g, lower), triangle(out, lower), not lower))


def _program(a: Any, lower: bool, overwrite_a: bool, check_finite: bool) -> Any:
    return np.linalg.cholesky(finite(a, check_finite), upper=not lower)  # type: ignore[arg-type]  # a symbol


@op(
    sequences=(),
    a=_rule,
    lower=_program,
    vmap=LEADING,
    formula="the upper triangular U with a = Uᴴ @ U, or the lower L with a = L @ Lᴴ",
    gradients="a: L⁻ᴴ @ tril(Lᴴ @ g, half of its diagonal) @ L⁻¹, in the triangle",
)
def cholesky(a: Array, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """Cholesky's factor of positive definite matrices, as `scipy.linalg.cholesky`.

    Args:
        a: (..., n, n); one triangle is read, and it alone has a gradient.
        lower: which one: the result is the lower L of L @ Lᴴ, or the upper U of Uᴴ @ U.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: a matrix is not positive definite.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.cholesky(tn.tensor([[4.0, 2.0], [2.0, 2.0]]))
    Tensor([[2., 1.],
            [0., 1.]])
    """
    return cast("Array", library().cholesky(a, lower, check_finite=check_finite))


@functools.cache
def _keeps_the_rest() -> bool:
    """Whether the other triangle of a factor is that of the matrix, as before SciPy 1.18; since then it is 0."""
    return bool(library().cho_factor(np.array([[1.0, 0.5], [0.5, 1.0]]))[0][1, 0])


def _factor_rule(g: Array, out: Array, lower: bool) -> Array:
    found = _rule(g, out, lower)
    return found + triangle(g, not lower, False) if _keeps_the_rest() else found


def _factor_program(a: Any, lower: bool, check_finite: bool) -> Any:
    found = _program(a, lower, False, check_finite)
    return np.where(triangle(np.ones(a.shape[-2:], bool), lower), found, a) if _keeps_the_rest() else found


@op(
    name="cho_factor",
    sequences=(),
    lower=_factor_program,
    a=_factor_rule,
    vmap=LEADING,
    formula="the factor of cholesky; what is in the other triangle means nothing",
    gradients="a: as of cholesky",
)
def _factor(a: Array, lower: bool, check_finite: bool) -> Array:
    """The array that `cho_factor` gives."""
    return cast("Array", library().cho_factor(a, lower, check_finite=check_finite)[0])


def cho_factor(
    a: ArrayLike, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, bool]:
    """Cholesky's factor for `cho_solve`, and whether it is the lower one, as `scipy.linalg.cho_factor`.

    Args:
        a: (..., n, n).
        lower: which triangle of `a` is read, and of the result to be used; in the other one is what was there.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: a matrix is not positive definite.

    >>> import tapenet as tn
    >>> c, lower = tn.scipy.linalg.cho_factor(tn.tensor([[4.0, 2.0], [2.0, 2.0]]))
    >>> tn.scipy.linalg.cho_solve((c, lower), tn.tensor([8.0, 6.0]))
    Tensor([1., 2.])
    """
    return _factor(a, lower, check_finite), lower


def _cho_solve_rule(g: Array, out: Array, c: Array, b: Array, lower: bool) -> dict[str, Array]:
    vector = b.ndim == 1
    back = np.conj(back_through(lambda x: _cho_solve(c, x, lower), np.conj(g), vector))
    return {"b": back, "c": by_factor(outer(back, out, vector), triangle(c, lower), lower)}


def _cho_solve_program(c: Any, b: Any, lower: bool, check_finite: bool) -> Any:
    c, b = finite(c, check_finite), finite(b, check_finite)
    half = solve_triangular(c, b, lower, 0 if lower else 2, refuses=False)
    return solve_triangular(c, half, lower, 2 if lower else 0, refuses=False)


@op(
    name="cho_solve",
    lower=_cho_solve_program,
    joint=over_stacks(_cho_solve_rule, "c", "b"),
    broadcasts=True,
    vmap=OverColumns(__name__, "_cho_solve", "c", "b", "lower", "check_finite"),
    formula="(L @ Lᴴ)⁻¹ @ b, or (Uᴴ @ U)⁻¹ @ b",
    gradients="b: conj((L @ Lᴴ)⁻¹ @ conj(g)); c: (G + Gᴴ) @ conj(L) in the triangle, G = −(by b) @ outᵀ",
)
def _cho_solve(c: Array, b: Array, lower: bool, check_finite: bool = True) -> Array:
    """What `cho_solve` gives."""
    return cast("Array", library().cho_solve((c, lower), b, check_finite=check_finite))


def cho_solve(
    c_and_lower: tuple[ArrayLike, bool], b: ArrayLike, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """The solution x of a @ x = b from what `cho_factor` made of a, as `scipy.linalg.cho_solve`.

    Args:
        c_and_lower: the factor (..., n, n), and whether it is the lower one.
        b: (n,) or (..., n, k).
        overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.cho_solve((tn.tensor([[2.0, 0.0], [0.0, 1.0]]), True), tn.tensor([8.0, 3.0]))
    Tensor([2., 3.])
    """
    c, lower = c_and_lower
    return _cho_solve(c, b, lower, check_finite)
