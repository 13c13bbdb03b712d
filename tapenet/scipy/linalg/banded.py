"""Systems whose matrices are bands, given by their diagonals.

A matrix A is the array `ab` of its diagonals: ab[k, j] = A[j + s, j] with the shift s of row k, from -upper to lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import known
from tapenet.ops.linalg import factorizations
from tapenet.ops.op import op
from tapenet.scipy.linalg.definition import LEADING, OverColumns, back_through, column, library, over_stacks
from tapenet.transforms.gradients import vjp
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def shifted(x: Array, by: int, axis: int = -1) -> Array:
    """y[j] = x[j + by] along an axis, 0 where there is no such x."""
    n = x.shape[axis]
    by = max(-n, min(by, n))
    if by == 0:
        return x
    x = np.moveaxis(x, axis, -1)
    zero = np.zeros((*x.shape[:-1], abs(by)), x.dtype)
    made = np.concatenate([x[..., by:], zero] if by > 0 else [zero, x[..., :by]], axis=-1)
    return cast("Array", np.moveaxis(made, -1, axis))


def _shifts(rows: int, lower: bool) -> range:
    """Those of a triangle that is a band."""
    return range(rows) if lower else range(1 - rows, 1)


def _gathered(rows: Sequence[Array]) -> Array:
    return np.stack(rows, axis=-2)


def _products(left: Array, right: Array, shifts: Sequence[int]) -> Array:
    """The diagonals of left @ rightᵀ, of matrices with a row for each row of A."""
    return _gathered([np.sum(shifted(left, s, -2) * right, axis=-1) for s in shifts])


def _times(ab: Array, x: Array, shifts: Sequence[int]) -> Array:
    """A @ x."""
    parts = [shifted(ab[..., k, :, None] * x, -s, -2) for k, s in enumerate(shifts)]
    return sum(parts[1:], parts[0])


def _turned_times(ab: Array, x: Array, shifts: Sequence[int]) -> Array:
    """Aᵀ @ x."""
    parts = [ab[..., k, :, None] * shifted(x, s, -2) for k, s in enumerate(shifts)]
    return cast("Array", sum(parts[1:], parts[0]))


# -- any band ----------------------------------------------------------------------------------------------------


def _banded_rule(g: Array, out: Array, ab: Array, b: Array, lower: int, upper: int) -> dict[str, Array]:
    vector = b.ndim == 1
    turned = _gathered([shifted(ab[..., upper - s, :], s) for s in range(-lower, upper + 1)])
    back = back_through(lambda x: _solve_banded(turned, x, upper, lower), g, vector)
    by_ab = -_products(column(back, vector), column(out, vector), range(-upper, lower + 1))
    return {"b": back, "ab": by_ab}


@op(
    name="solve_banded",
    joint=over_stacks(_banded_rule, "ab", "b"),
    broadcasts=True,
    vmap=OverColumns(__name__, "_solve_banded", "ab", "b", "lower", "upper", "check_finite"),
    formula="a⁻¹ @ b",
    gradients="ab: the diagonals of −(a⁻ᵀ @ g) @ outᵀ; b: a⁻ᵀ @ g",
)
def _solve_banded(ab: Array, b: Array, lower: int, upper: int, check_finite: bool = True) -> Array:
    """What `solve_banded` gives."""
    return cast("Array", library().solve_banded((lower, upper), ab, b, check_finite=check_finite))


def solve_banded(
    l_and_u: tuple[int, int], ab: ArrayLike, b: ArrayLike, overwrite_ab: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:  # fmt: skip
    """The solution x of a @ x = b for a matrix that is a band, as `scipy.linalg.solve_banded`.

    Args:
        l_and_u: how many diagonals are below and above the main one.
        ab: (..., l + u + 1, n), the diagonals: ab[u + i - j, j] = a[i, j]. Elements outside of a are not read.
        b: (n,) or (..., n, k).
        overwrite_ab, overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: the matrix is singular.

    >>> import tapenet as tn
    >>> ab = tn.tensor([[0.0, 1.0], [2.0, 4.0]])
    >>> tn.scipy.linalg.solve_banded((0, 1), ab, tn.tensor([3.0, 4.0]))
    Tensor([1., 1.])
    """
    lower, upper = l_and_u
    return _solve_banded(ab, b, lower, upper, check_finite)


# -- Hermitian bands ---------------------------------------------------------------------------------------------


def _solveh_rule(g: Array, out: Array, ab: Array, b: Array, lower: bool) -> dict[str, Array]:
    vector = b.ndim == 1
    back = np.conj(back_through(lambda x: solveh_banded(ab, x, lower=lower), np.conj(g), vector))
    left, right = column(back, vector), column(out, vector)
    shifts = _shifts(ab.shape[-2], lower)
    both = _products(left, right, shifts) + np.conj(_products(right, left, shifts))
    weight = np.where(np.asarray(shifts) == 0, 0.5, 1)[:, None].astype(both.real.dtype)  # the diagonal stands once in a
    return {"b": back, "ab": -both * weight}


@op(
    joint=over_stacks(_solveh_rule, "ab", "b"),
    broadcasts=True,
    vmap=OverColumns(__name__, "solveh_banded", "ab", "b", "overwrite_ab", "overwrite_b", "lower", "check_finite"),
    formula="a⁻¹ @ b, of a Hermitian positive definite a",
    gradients="ab: the diagonals of −(by b) @ outᵀ, with those they are mirrored to; b: conj(a⁻¹ @ conj(g))",
)
def solveh_banded(
    ab: Array, b: Array, overwrite_ab: bool = False, overwrite_b: bool = False, lower: bool = False,
    check_finite: bool = True,
) -> Array:  # fmt: skip
    """The solution x of a @ x = b for a positive definite matrix that is a band, as `scipy.linalg.solveh_banded`.

    Args:
        ab: (..., u + 1, n), the diagonals of one triangle: ab[u + i - j, j] = a[i, j], or ab[i - j, j] if `lower`.
        b: (n,) or (..., n, k).
        overwrite_ab, overwrite_b: not looked at: nothing is overwritten.
        lower: which triangle is given.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: the matrix is not positive definite.

    >>> import tapenet as tn
    >>> ab = tn.tensor([[0.0, 1.0], [2.0, 4.0]])
    >>> tn.scipy.linalg.solveh_banded(ab, tn.tensor([3.0, 5.0])).numpy().round(9)
    array([1., 1.])
    """
    return cast("Array", library().solveh_banded(ab, b, lower=lower, check_finite=check_finite))


def full_triangle(ab: Array, lower: bool) -> Array:
    """The triangular matrix whose diagonals are given."""
    n = ab.shape[-1]
    place = np.arange(n)
    shift = place[:, None] - place
    made = 0 * ab[..., :1, :]  # with the dtype, and rows as broadcast
    for k, s in enumerate(_shifts(ab.shape[-2], lower)):
        made = made + np.where(shift == s, ab[..., k, None, :], 0)
    return made


def diagonals(a: Array, rows: int, lower: bool) -> Array:
    """The inverse: the diagonals of a matrix, 0 where there is no element."""
    found = []
    for s in _shifts(rows, lower):
        line = np.diagonal(a, -s, -2, -1)
        zero = np.zeros((*line.shape[:-1], a.shape[-1] - line.shape[-1]), a.dtype)
        found.append(np.concatenate([line, zero] if s > 0 else [zero, line], axis=-1))
    return _gathered(found)


def _by_full_matrices(back: Array, factor: Array, lower: bool) -> Array:
    """What `cholesky_back` gives, by the full matrices."""
    rule = factorizations.cholesky.rules["a"]
    made = rule(full_triangle(back, lower), full_triangle(factor, lower), not lower)
    return diagonals(cast("Array", made), factor.shape[-2], lower)


def _other_triangle(ab: Array) -> Array:
    """The lower diagonals of the adjoint, from the upper ones, or the inverse: each row is moved to where it begins."""
    rows = ab.shape[-2]
    upper = [np.roll(ab[..., rows - 1 - k, :], -k, axis=-1) for k in range(rows)]
    return cast("Array", np.conj(np.stack(upper, axis=-2)))


def _own_triangle(ab: Array) -> Array:
    rows = ab.shape[-2]
    lower = [np.roll(ab[..., rows - 1 - k, :], rows - 1 - k, axis=-1) for k in range(rows)]
    return cast("Array", np.conj(np.stack(lower, axis=-2)))


def _back_rule(g: Array, back: Array, factor: Array, lower: bool) -> dict[str, Array]:
    _, pull = vjp(lambda b, f: _by_full_matrices(b, f, lower), back, factor)
    found = dict(zip(("back", "factor"), pull(np.conj(g)), strict=True))  # conjugate gradients are what users see
    if type(g) is type(back) is type(factor) is np.ndarray:
        return {n: np.conj(known(x)) for n, x in found.items()}
    return {n: np.conj(x) for n, x in found.items()}


@op(
    joint=_back_rule,
    broadcasts=True,
    vmap="leading",
    formula="the diagonals of the gradient of cholesky",
    gradients="back, factor: by the full matrices",
)
def cholesky_back(back: Array, factor: Array, lower: bool = True) -> Array:
    """The gradient of `cholesky_banded` from that by its result, column by column from the last, in the memory of the
    diagonals: Smith 1995, Differentiation of the Cholesky algorithm.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.banded import cholesky_back
    >>> cholesky_back(np.array([[1.0]]), np.array([[2.0]]))
    array([[0.25]])
    """
    if not lower:
        return _own_triangle(cholesky_back(_other_triangle(back), _other_triangle(factor)))
    made = np.conj(np.broadcast_to(back, factor.shape)).astype(np.result_type(back, factor))
    rows, n = factor.shape[-2:]
    place = np.arange(rows)
    for k in range(n - 1, -1, -1):
        here = min(rows, n - k)  # elements of the column that are in the matrix
        made[..., here:, k] = 0
        column, pivot = factor[..., 1:here, k], factor[..., 0, k].real
        below = made[..., 1:here, k]
        if here > 1:
            i, j = place[: here - 1, None], place[: here - 1]
            block = np.where(i >= j, made[..., abs(i - j), k + 1 + j], 0)
            below = below - (block @ column[..., None])[..., 0]
            below = (below - (np.conj(np.swapaxes(block, -1, -2)) @ column[..., None])[..., 0]) / pivot[..., None]
            made[..., 1:here, k] = below
        own = made[..., 0, k].real - np.sum(np.conj(column) * below, axis=-1).real
        made[..., 0, k] = own / (2 * pivot)
    return cast("Array", np.conj(made))


def _cholesky_rule(g: Array, out: Array, lower: bool) -> Array:
    return cholesky_back(g, out, lower)


@op(
    sequences=(),
    ab=_cholesky_rule,
    vmap=LEADING,
    formula="the diagonals of the factor of cholesky",
    gradients="ab: the diagonals of the gradient of cholesky",
)
def cholesky_banded(ab: Array, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True) -> Array:
    """Cholesky's factor of a positive definite matrix that is a band, as `scipy.linalg.cholesky_banded`.

    The gradient takes the memory of the diagonals; derivatives of higher order that of the full matrix.

    Args:
        ab: (..., u + 1, n), the diagonals of one triangle, as of `solveh_banded`.
        overwrite_ab: not looked at: nothing is overwritten.
        lower: which triangle is given, and the factor is.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: the matrix is not positive definite.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.cholesky_banded(tn.tensor([[4.0, 2.0], [2.0, 0.0]]), lower=True)
    Tensor([[2., 1.],
            [1., 0.]])
    """
    return cast("Array", library().cholesky_banded(ab, lower=lower, check_finite=check_finite))


def _cho_rule(g: Array, out: Array, cb: Array, b: Array, lower: bool) -> dict[str, Array]:
    """As of `cho_solve`; of the gradient by the matrix, -back @ outᵀ, one of the two is multiplied by the factor."""
    vector = b.ndim == 1
    back = np.conj(back_through(lambda x: _cho_solve_banded(cb, x, lower), np.conj(g), vector))
    left, right = column(back, vector), column(out, vector)
    shifts = _shifts(cb.shape[-2], lower)
    conjugated = np.conj(cb)
    if lower:
        one = _products(left, _turned_times(conjugated, right, shifts), shifts)
        two = _products(np.conj(right), _turned_times(conjugated, np.conj(left), shifts), shifts)
    else:
        one = _products(_times(conjugated, left, shifts), right, shifts)
        two = _products(_times(conjugated, np.conj(right), shifts), np.conj(left), shifts)
    return {"b": back, "cb": -(one + two)}


@op(
    name="cho_solve_banded",
    joint=over_stacks(_cho_rule, "cb", "b"),
    broadcasts=True,
    vmap=OverColumns(__name__, "_cho_solve_banded", "cb", "b", "lower", "check_finite"),
    formula="(L @ Lᴴ)⁻¹ @ b, or (Uᴴ @ U)⁻¹ @ b",
    gradients="cb: the diagonals of the gradient of cho_solve; b: conj((L @ Lᴴ)⁻¹ @ conj(g))",
)
def _cho_solve_banded(cb: Array, b: Array, lower: bool, check_finite: bool = True) -> Array:
    """What `cho_solve_banded` gives."""
    return cast("Array", library().cho_solve_banded((cb, lower), b, check_finite=check_finite))


def cho_solve_banded(
    cb_and_lower: tuple[ArrayLike, bool], b: ArrayLike, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """The solution x of a @ x = b from what `cholesky_banded` made of a, as `scipy.linalg.cho_solve_banded`.

    Args:
        cb_and_lower: the diagonals of the factor, (..., u + 1, n), and whether it is the lower one.
        b: (n,) or (..., n, k).
        overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> factor = tn.scipy.linalg.cholesky_banded(tn.tensor([[4.0, 2.0], [2.0, 0.0]]), lower=True)
    >>> tn.scipy.linalg.cho_solve_banded((factor, True), tn.tensor([8.0, 6.0]))
    Tensor([1., 2.])
    """
    cb, lower = cb_and_lower
    return _cho_solve_banded(cb, b, lower, check_finite)
