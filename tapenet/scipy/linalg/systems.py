"""Linear systems whose matrix is given as it is, inverses, determinants and norms."""

from __future__ import annotations

from typing import cast

import numpy as np

from tapenet.ops.linalg import determinants, matrices, norms
from tapenet.ops.op import op
from tapenet.program import linear_algebra
from tapenet.program.symbols import CannotLower, Operand
from tapenet.scipy.followed import followed
from tapenet.scipy.linalg.definition import (
    LEADING,
    OverColumns,
    back_through,
    finite,
    library,
    magnitude,
    of_hermitian,
    outer,
    over_stacks,
    transposed_system,
    triangle,
)
from tapenet.typing import Array

_UPPER, _LOWER = "upper triangular", "lower triangular"
_SYMMETRIC = ("sym", "symmetric")
_HERMITIAN = ("her", "hermitian", "pos", "positive definite")


def _read(g: Array, assume_a: str | None, lower: bool) -> Array:
    """The gradient by a matrix of which only a part is read, from that by all its elements."""
    if assume_a in _SYMMETRIC + _HERMITIAN:
        return of_hermitian(g, lower, conjugated=assume_a in _HERMITIAN)
    if assume_a in (_UPPER, _LOWER):
        return triangle(g, assume_a == _LOWER)
    if assume_a in ("diagonal", "tridiagonal"):
        place = np.arange(g.shape[-1])
        return cast("Array", np.where(abs(place[:, None] - place) <= (assume_a == "tridiagonal"), g, 0))
    return g


def _solve_rule(
    g: Array, out: Array, a: Array, b: Array, lower: bool, assume_a: str | None, transposed: bool
) -> dict[str, Array]:
    if a.size == 1:  # SciPy divides then, whatever the shape of b
        back = g / np.reshape(a, ())
        return {"b": back, "a": np.reshape(-np.sum(back * out), a.shape)}
    vector = b.ndim == 1
    flipped = {_UPPER: _LOWER, _LOWER: _UPPER}.get(assume_a or "", assume_a)
    if transposed:
        back = back_through(lambda g: solve(a, g, lower, assume_a=assume_a), g, vector)
        by_a = matrices.transposed(outer(back, out, vector))
    else:
        turned = matrices.transposed(a)
        back = back_through(lambda g: solve(turned, g, not lower, assume_a=flipped), g, vector)
        by_a = outer(back, out, vector)
    return {"b": back, "a": _read(by_a, assume_a, lower)}


def _solve_program(
    a: Operand, b: Operand, lower: bool, overwrite_a: bool, overwrite_b: bool, check_finite: bool, assume_a: str | None,
    transposed: bool,
) -> Operand:  # fmt: skip
    """Without SciPy's search for a form that takes less time, and its warning where few digits are right."""
    a, b = cast("Array", finite(a, check_finite)), cast("Array", finite(b, check_finite))
    if assume_a in (_UPPER, _LOWER):
        return linear_algebra.solve_triangular(a, b, assume_a == _LOWER, transposed)
    if assume_a not in (None, "gen", "general") or a.shape[-1] == 1:
        raise CannotLower(f"a matrix that is {assume_a}, or a number")
    return np.linalg.solve(matrices.transposed(a) if transposed else a, b)


@op(
    joint=over_stacks(_solve_rule, "a", "b"),
    lower=_solve_program,
    broadcasts=True,
    vmap=OverColumns(
        __name__, "solve", "a", "b", "lower", "overwrite_a", "overwrite_b", "check_finite", "assume_a", "transposed"
    ),
    formula="a⁻¹ @ b",
    gradients="a: −(a⁻ᵀ @ g) @ outᵀ, where it is read; b: a⁻ᵀ @ g",
)
def solve(
    a: Array, b: Array, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, assume_a: str | None = None, transposed: bool = False,
) -> Array:  # fmt: skip
    """The solution x of a @ x = b, as `scipy.linalg.solve`.

    What `assume_a` says is taken for granted. So a symmetric, Hermitian or positive definite matrix has its gradient in the
    triangle that is read, where an element off the diagonal has that of the two places it stands for.

    Args:
        a: (..., n, n).
        b: (n,) or (..., n, k).
        lower: which triangle of a symmetric matrix is read.
        overwrite_a, overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        assume_a: "gen", "sym", "her", "pos", "diagonal", "tridiagonal", "banded", "upper triangular" or "lower triangular".
        transposed: solve aᵀ @ x = b; of real matrices.

    Raises:
        LinAlgError: the matrix is singular.
        ValueError: shapes that do not fit.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve(tn.tensor([[2.0, 0.0], [0.0, 4.0]]), tn.tensor([1.0, 2.0]))
    Tensor([0.5, 0.5])
    """
    options = {} if assume_a is None else {"assume_a": assume_a}
    return cast("Array", library().solve(a, b, lower, check_finite=check_finite, transposed=transposed, **options))


# -- triangles ---------------------------------------------------------------------------------------------------

TRANS = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}


def _triangular_rule(
    g: Array, out: Array, a: Array, b: Array, trans: int | str, lower: bool, unit_diagonal: bool
) -> dict[str, Array]:
    def solved(x: Array, trans: int) -> Array:
        return solve_triangular(a, x, trans, lower, unit_diagonal)

    back, by_a = transposed_system(solved, g, out, TRANS[trans], b.ndim == 1)
    return {"b": back, "a": triangle(by_a, lower, not unit_diagonal)}


def _triangular_program(
    a: Operand, b: Operand, trans: int | str, lower: bool, unit_diagonal: bool, overwrite_b: bool, check_finite: bool
) -> Operand:
    a, b = finite(a, check_finite), finite(b, check_finite)
    return linear_algebra.solve_triangular(a, b, lower, TRANS[trans], unit_diagonal)


@op(
    joint=over_stacks(_triangular_rule, "a", "b"),
    lower=_triangular_program,
    broadcasts=True,
    vmap=OverColumns(
        __name__, "solve_triangular", "a", "b", "trans", "lower", "unit_diagonal", "overwrite_b", "check_finite"
    ),
    formula="a⁻¹ @ b, of a triangle a",
    gradients="a: −(a⁻ᵀ @ g) @ outᵀ in the triangle; b: a⁻ᵀ @ g",
)
def solve_triangular(
    a: Array, b: Array, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False,
    overwrite_b: bool = False, check_finite: bool = True,
) -> Array:  # fmt: skip
    """The solution x of a @ x = b for a triangular matrix, as `scipy.linalg.solve_triangular`.

    Args:
        a: (..., n, n); only one triangle is read, and it alone has a gradient.
        b: (n,) or (..., n, k).
        trans: 0 or "N", 1 or "T" to solve aᵀ @ x = b, 2 or "C" to solve aᴴ @ x = b.
        lower: whether the lower triangle is read.
        unit_diagonal: whether the diagonal is taken to be 1, and not read.
        overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: the matrix is singular.
        ValueError: shapes that do not fit.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve_triangular(tn.tensor([[2.0, 1.0], [0.0, 4.0]]), tn.tensor([3.0, 4.0]))
    Tensor([1., 1.])
    """
    return cast("Array", library().solve_triangular(a, b, trans, lower, unit_diagonal, False, check_finite))


# -- inverses and determinants -----------------------------------------------------------------------------------


def _inv_rule(g: Array, out: Array, assume_a: str | None, lower: bool) -> Array:
    turned = matrices.transposed(out)
    return _read(-np.matmul(turned, np.matmul(g, turned)), assume_a, lower)


def _inv_program(a: Operand, overwrite_a: bool, check_finite: bool, assume_a: str | None, lower: bool) -> Operand:
    if assume_a not in (None, "gen", "general"):
        raise CannotLower(f"a matrix that is {assume_a}")
    return np.linalg.inv(cast("Array", finite(a, check_finite)))


@op(
    sequences=(),
    a=_inv_rule,
    lower=_inv_program,
    vmap=LEADING,
    formula="a⁻¹",
    gradients="a: −outᵀ @ g @ outᵀ, where it is read",
)
def inv(
    a: Array, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: str | None = None, lower: bool = False
) -> Array:
    """The inverse of square matrices (..., n, n), as `scipy.linalg.inv`.

    Args:
        a: the matrices.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        assume_a, lower: as of `solve`.

    Raises:
        LinAlgError: a matrix is singular.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.inv(tn.tensor([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    options = {} if assume_a is None else {"assume_a": assume_a, "lower": lower}
    return cast("Array", library().inv(a, check_finite=check_finite, **options))


def _det_program(a: Operand, overwrite_a: bool, check_finite: bool) -> Operand:
    return cast("Operand", np.linalg.det(cast("Array", finite(a, check_finite))))


@op(
    sequences=(),
    a=determinants.det.rules["a"],
    lower=_det_program,
    vmap="leading",
    formula="the determinant",
    gradients="a: g · adj(a)ᵀ, adj(a) = out · a⁻¹",
)
def det(a: Array, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinant of square matrices (..., n, n), as `scipy.linalg.det`. The gradient is right for singular ones too.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.det(tn.tensor([[2.0, 0.0], [0.0, 4.0]])).item()
    8.0
    """
    return np.asarray(library().det(a, check_finite=check_finite))


@followed("linalg.norm", "a", sequences=())
def norm(
    a: Array, ord: float | str | None = None, axis: int | tuple[int, int] | None = None, keepdims: bool = False,
    check_finite: bool = True,
) -> Array:  # fmt: skip
    """The norm of vectors or matrices, as `scipy.linalg.norm`; at kinks as of `tn.linalg.norm`.

    Args:
        a: an array; with `axis` of any shape, else a vector or a matrix.
        ord: which norm, as of `np.linalg.norm`.
        axis: one axis of vectors, or two of matrices.
        keepdims: whether these axes are kept, with length 1.
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.norm(tn.tensor([3.0, 4.0]))
    Tensor(5.)
    """
    extreme = isinstance(ord, (int, float)) and abs(ord) in (1, np.inf)  # whose formula has absolute values
    return norms.norm(magnitude(a) if extreme else a, ord, axis, keepdims)
