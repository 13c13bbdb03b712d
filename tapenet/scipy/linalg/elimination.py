"""Triangular factors by elimination, and systems that are solved with them: LU and LDLᴴ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tapenet.ops.functions import stand_for_primitive
from tapenet.ops.linalg.matrices import transposed
from tapenet.ops.op import op
from tapenet.program import linear_algebra, symbol_loops
from tapenet.program.low import real_of
from tapenet.program.symbols import CannotLower
from tapenet.scipy.linalg.definition import (
    LEADING,
    OverColumns,
    finite,
    library,
    of_hermitian,
    over_stacks,
    transposed_system,
    triangle,
)
from tapenet.scipy.linalg.systems import solve_triangular
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def rows(x: Array, order: Array) -> Array:
    """The rows of matrices in another order, (..., m)."""
    return np.take_along_axis(x, order[..., None], axis=-2)


def _right(r: Array, x: Array) -> Array:
    """x @ r⁻ᵀ, of an upper triangle r."""
    return transposed(solve_triangular(r, transposed(x)))


def _lu_gradient(by_l: Array, by_u: Array, lower: Array, upper: Array) -> Array:
    """The gradient by L @ U, from L⁻¹ dA U⁻¹ = L⁻¹ dL + dU U⁻¹, whose parts are a strictly lower and an upper triangle.

    What is below the square of L is dA U⁻¹ - L dU U⁻¹, and what is right of that of U is L⁻¹ dA - L⁻¹ dL U.
    """
    k = min(lower.shape[-2], upper.shape[-1])
    tall, wide = lower.shape[-2] > k, upper.shape[-1] > k
    by_l1, by_u1, l1, u1 = by_l[..., :k, :], by_u[..., :k], lower[..., :k, :], upper[..., :k]
    if tall:
        below = _right(u1, by_l[..., k:, :])
        by_u1 = by_u1 - np.matmul(transposed(lower[..., k:, :]), below)
    if wide:
        beside = solve_triangular(l1, by_u[..., k:], 1, True, True)
        by_l1 = by_l1 - np.matmul(beside, transposed(upper[..., k:]))
    inner = triangle(np.matmul(transposed(l1), by_l1), True, False)
    inner = inner + triangle(np.matmul(by_u1, transposed(u1)), False)
    made = _right(u1, solve_triangular(l1, inner, 1, True, True))
    if tall:
        made = np.concatenate([made, below], axis=-2)
    if wide:
        made = np.concatenate([made, beside], axis=-1)
    return made


def _lu_rule(g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    return rows(_lu_gradient(g[1], g[2], out[1], out[2]), out[0])


def _factors_program(a: Any, check_finite: bool) -> tuple[Any, ...]:
    """The order of rows p, L and U with a = L[p] @ U."""
    packed: Any
    packed, pivots = linear_algebra.lu_factor(finite(a, check_finite))
    return (np.argsort(order_of_pivots(pivots, packed.shape[-2])).astype(np.int32), *_unpacked(packed))


def _permuted_program(a: Any, check_finite: bool) -> tuple[Any, ...]:
    order, lower, upper = _factors_program(a, check_finite)
    return rows(lower, order), upper


def _with_matrix_program(a: Any, check_finite: bool) -> tuple[Any, ...]:
    order, lower, upper = _factors_program(a, check_finite)
    return (order[..., None] == np.arange(a.shape[-2])).astype(real_of(lower.dtype)), lower, upper


@op(
    name="lu",
    outputs=3,
    nondiff_outputs=(0,),
    sequences=(),
    lower=_factors_program,
    a=_lu_rule,
    vmap="leading",
    formula="p, L, U with a = L[p] @ U",
    gradients="a: (L⁻ᵀ @ (tril(Lᵀ @ gL, −1) + triu(gU @ Uᵀ)) @ U⁻ᵀ)[p]",
)
def lu_with_indices(a: Array, check_finite: bool = True) -> tuple[Array, ...]:
    """What `lu` gives with `p_indices=True`.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.elimination import lu_with_indices
    >>> lu_with_indices(np.array([[0.0, 1.0], [1.0, 0.0]]))[0].tolist()
    [1, 0]
    """
    return tuple(library().lu(a, check_finite=check_finite, p_indices=True))


def _permuted_rule(g: tuple[Array, ...], a: Array) -> Array:
    order, lower, upper = lu_with_indices(a)
    return rows(_lu_gradient(rows(g[0], np.argsort(order, axis=-1)), g[1], lower, upper), order)


@op(
    name="lu",
    outputs=2,
    sequences=(),
    lower=_permuted_program,
    a=_permuted_rule,
    vmap="leading",
    formula="P @ L and U with a = P @ L @ U",
    gradients="a: as of lu",
)
def _lu_permuted(a: Array, check_finite: bool) -> tuple[Array, ...]:
    """What `lu` gives with `permute_l=True`."""
    return tuple(library().lu(a, True, check_finite=check_finite))


@op(
    name="lu",
    outputs=3,
    nondiff_outputs=(0,),
    sequences=(),
    lower=_with_matrix_program,
    a=lambda g, out: np.matmul(out[0], _lu_gradient(g[1], g[2], out[1], out[2])),
    vmap="leading",
    formula="P, L, U with a = P @ L @ U",
    gradients="a: P @ L⁻ᵀ @ (tril(Lᵀ @ gL, −1) + triu(gU @ Uᵀ)) @ U⁻ᵀ",
)
def _lu_with_matrix(a: Array, check_finite: bool) -> tuple[Array, ...]:
    """What `lu` gives by itself."""
    return tuple(library().lu(a, check_finite=check_finite))


def lu(
    a: ArrayLike, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> tuple[Array, ...]:
    """The factors P, L, U of matrices P @ L @ U, as `scipy.linalg.lu`.

    Args:
        a: (..., m, n).
        permute_l: return P @ L and U.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        p_indices: P as the order p of rows, (..., m): the matrix is L[p] @ U.

    Raises:
        LinAlgError: in backward: the first min(m, n) columns or rows are linearly dependent.

    >>> import tapenet as tn
    >>> P, L, U = tn.scipy.linalg.lu(tn.tensor([[0.0, 2.0], [1.0, 0.0]]))
    >>> U
    Tensor([[1., 0.],
            [0., 2.]])
    """
    if permute_l:
        return tuple(_lu_permuted(a, check_finite))
    return tuple(lu_with_indices(a, check_finite) if p_indices else _lu_with_matrix(a, check_finite))


# -- packed ------------------------------------------------------------------------------------------------------


def _order_program(pivots: Any, count: int) -> Any:
    """By a loop over the exchanges."""
    places = np.arange(count)
    stack = pivots.shape[:-1]

    def turn(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        (order,), (i, pivot) = carry, slices
        chosen = places == pivot[..., None]
        other = np.sum(np.where(chosen, order, 0), axis=-1, keepdims=True)
        moved = np.where(chosen, np.take(order, i, axis=-1)[..., None], order)
        return [np.where(places == i, other, moved)], []

    length = pivots.shape[-1]
    xs = [np.arange(length), np.moveaxis(pivots, -1, 0)]
    (order,), _ = symbol_loops.loop(pivots.builder, turn, [np.broadcast_to(places, (*stack, count))], xs, length, False)
    return order


@op(nondiff=True, lower=_order_program, vmap="leading")
def order_of_pivots(pivots: Array, count: int) -> Array:
    """The order in which rows are after the exchanges that LAPACK's pivots say.

    Args:
        pivots: (..., k): row i was exchanged with row pivots[i].
        count: how many rows there are.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.elimination import order_of_pivots
    >>> order_of_pivots(np.array([1, 1]), 2).tolist()
    [1, 0]
    """
    order = np.broadcast_to(np.arange(count), (*pivots.shape[:-1], count)).copy()
    flat, of = order.reshape(-1, count), pivots.reshape(-1, pivots.shape[-1])
    every = np.arange(len(flat))
    for i in range(pivots.shape[-1]):
        flat[every, i], flat[every, of[:, i]] = flat[every, of[:, i]], flat[every, i]
    return order


def _unpacked(packed: Array) -> tuple[Array, Array]:
    """L, whose diagonal is 1, and U of both in one array."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    lower = triangle(packed[..., :, :k], True, False) + np.eye(m, k, dtype=packed.dtype)
    return lower, triangle(packed[..., :k, :], False)


def _lu_factor_rule(g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    packed, pivots = out
    k = min(packed.shape[-2:])
    made = _lu_gradient(g[0][..., :, :k], g[0][..., :k, :], *_unpacked(packed))
    return rows(made, np.argsort(order_of_pivots(pivots, packed.shape[-2]), axis=-1))


@op(
    outputs=2,
    nondiff_outputs=(1,),
    sequences=(),
    lower=lambda a, overwrite_a, check_finite: linear_algebra.lu_factor(finite(a, check_finite)),
    a=_lu_factor_rule,
    vmap=LEADING,
    formula="L − 1 + U and the pivots, as LAPACK has them",
    gradients="a: as of lu",
)
def lu_factor(a: Array, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, ...]:
    """L (its diagonal of ones left out) and U in one array, and the pivots, as `scipy.linalg.lu_factor`.

    Args:
        a: (..., m, n).
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> lu, piv = tn.scipy.linalg.lu_factor(tn.tensor([[2.0, 0.0], [1.0, 4.0]]))
    >>> lu
    Tensor([[2. , 0. ],
            [0.5, 4. ]])
    """
    return tuple(library().lu_factor(a, check_finite=check_finite))


stand_for_primitive("lu_factor", lu_factor)


def _lu_solve_rule(g: Array, out: Array, lu: Array, piv: Array, b: Array, trans: int) -> dict[str, Array]:
    back, by_a = transposed_system(lambda x, trans: _lu_solve(lu, piv, x, trans), g, out, trans, b.ndim == 1)
    lower, upper = _unpacked(lu)
    by_product = rows(by_a, order_of_pivots(piv, lu.shape[-1]))
    by_lower = triangle(np.matmul(by_product, transposed(upper)), True, False)
    return {"b": back, "lu": by_lower + triangle(np.matmul(transposed(lower), by_product), False)}


def _lu_solve_program(lu: Any, piv: Any, b: Any, trans: int, check_finite: bool) -> Any:
    if piv.ndim != 1 or b.ndim > 2 or b.shape[0] != lu.shape[0]:
        raise CannotLower("systems of stacks of matrices")
    lu, b = finite(lu, check_finite), finite(b, check_finite)
    order = order_of_pivots(piv, lu.shape[0])
    if trans:
        b = linear_algebra.solve_triangular(lu, b, False, trans, refuses=False)
        return linear_algebra.solve_triangular(lu, b, True, trans, True)[np.argsort(order)]
    b = linear_algebra.solve_triangular(lu, b[order], True, 0, True)
    return linear_algebra.solve_triangular(lu, b, False, 0, refuses=False)


@op(
    name="lu_solve",
    lower=_lu_solve_program,
    joint=over_stacks(_lu_solve_rule, "lu", "b"),
    nondiff=("piv",),
    broadcasts=True,
    vmap=OverColumns(__name__, "_lu_solve", "lu", "piv", "b", "trans", "check_finite", vectors=("piv",)),
    formula="a⁻¹ @ b, of the factors of a",
    gradients="lu: by a = P @ L @ U; b: a⁻ᵀ @ g",
)
def _lu_solve(lu: Array, piv: Array, b: Array, trans: int = 0, check_finite: bool = True) -> Array:
    """What `lu_solve` gives."""
    return cast("Array", library().lu_solve((lu, piv), b, trans, check_finite=check_finite))


def lu_solve(
    lu_and_piv: tuple[ArrayLike, ArrayLike], b: ArrayLike, trans: int = 0, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:  # fmt: skip
    """The solution x of a @ x = b from what `lu_factor` made of a, as `scipy.linalg.lu_solve`.

    Args:
        lu_and_piv: the factors (..., n, n) and the pivots (..., n).
        b: (n,) or (..., n, k).
        trans: 1 to solve aᵀ @ x = b, 2 to solve aᴴ @ x = b.
        overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> factors = tn.scipy.linalg.lu_factor(tn.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> tn.scipy.linalg.lu_solve(factors, tn.tensor([1.0, 2.0]))
    Tensor([0.5, 0.5])
    """
    lu, piv = lu_and_piv
    return _lu_solve(lu, piv, b, trans, check_finite)


# -- symmetric matrices ------------------------------------------------------------------------------------------


def _ldl_rule(g: tuple[Array, ...], out: tuple[Array, ...], lower: bool, hermitian: bool) -> Array:
    """With W = L⁻¹ dA L⁻ᴴ, dD is W in the blocks of D, and L⁻¹ dL is the part of W beyond them times D⁻¹."""
    (left, d, order), by_left = out, g[0]
    n = left.shape[-1]
    factor, by_factor = rows(left, order), rows(by_left, order)
    below = np.diagonal(d, -1 if lower else 1, -2, -1) != 0  # a block of two rows
    below = np.concatenate([below, np.zeros((*below.shape[:-1], 1), bool)], axis=-1)
    place = np.arange(n)
    pair = below[..., None, :] & (place[:, None] == place + 1)
    block = pair | transposed(pair) | np.eye(n, dtype=bool)
    turned = np.matmul(np.matmul(transposed(factor), by_factor), transposed(np.linalg.inv(d)))
    inner = np.where(block, g[1], triangle(turned, lower))
    back = solve_triangular(factor, inner, 1, lower, True)  # L⁻ᵀ @ inner
    other = np.conj(factor) if hermitian else factor
    back = transposed(solve_triangular(other, transposed(back), 1, lower, True))  # ... @ conj(L)⁻¹
    places = np.argsort(order, axis=-1)
    back = rows(transposed(rows(back, places)), places)
    return of_hermitian(transposed(back), lower, hermitian)


@op(
    outputs=3,
    nondiff_outputs=(2,),
    sequences=(),
    A=_ldl_rule,
    vmap=LEADING,
    formula="L, D and an order of rows, with A = L @ D @ Lᴴ",
    gradients="A: from L⁻¹ dA L⁻ᴴ, whose part in the blocks is dD and whose other part is L⁻¹ dL D",
)
def ldl(
    A: Array, lower: bool = True, hermitian: bool = True, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, ...]:
    """The factors L and D of symmetric or Hermitian matrices L @ D @ Lᴴ, as `scipy.linalg.ldl`.

    Args:
        A: (..., n, n); one triangle is read, and it alone has a gradient.
        lower: which one, and whether L is a lower triangle.
        hermitian: else a complex matrix is taken to be symmetric.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    Returns:
        L, whose rows are out of order; D, with blocks of one or two rows; and the order of rows that makes L a triangle.

    Raises:
        LinAlgError: in backward: the matrix is singular.

    >>> import tapenet as tn
    >>> L, D, order = tn.scipy.linalg.ldl(tn.tensor([[2.0, 1.0], [1.0, 3.0]]))
    >>> D
    Tensor([[2. , 0. ],
            [0. , 2.5]])
    """
    return tuple(library().ldl(A, lower, hermitian, check_finite=check_finite))
