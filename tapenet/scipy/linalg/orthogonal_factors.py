"""Factors with orthonormal columns: QR, RQ, the polar form, and those of singular values."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.conditions import provided
from tapenet.ops.derived import array_like, known
from tapenet.ops.linalg import decompositions, factorizations
from tapenet.ops.linalg.degenerate import Undetermined
from tapenet.ops.linalg.matrices import adjoint, transposed
from tapenet.ops.op import op
from tapenet.scipy.followed import followed
from tapenet.scipy.linalg.definition import LEADING, library, over_stacks
from tapenet.scipy.linalg.matrix_equations import solve_sylvester
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

# -- QR ----------------------------------------------------------------------------------------------------------


def _qr_rule(g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    return cast("Array", factorizations.qr_factors.rules["a"](g, out))


@op(
    name="qr",
    outputs=2,
    sequences=(),
    a=_qr_rule,
    vmap=LEADING,
    formula="Q, R with a = Q @ R",
    gradients="a: (gQ + Q @ sym(triu(gR @ Rᴴ − Qᴴ @ gQ))) @ R⁻ᴴ",
)
def qr_pair(a: Array, mode: str = "full", check_finite: bool = True) -> tuple[Array, ...]:
    """What `qr` gives in the modes "full" and "economic".

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.orthogonal_factors import qr_pair
    >>> abs(qr_pair(np.array([[3.0], [4.0]]), "economic")[1])
    array([[5.]])
    """
    return tuple(library().qr(a, mode=mode, check_finite=check_finite))


def _columns_back(g: Array, order: Array) -> Array:
    """The gradient by a matrix from that by its columns in an order."""
    return np.take_along_axis(g, np.argsort(order, axis=-1)[..., None, :], axis=-1)


@op(
    name="qr",
    outputs=3,
    sequences=(),
    nondiff_outputs=(2,),
    a=lambda g, out: _columns_back(_qr_rule(g[:2], out[:2]), out[2]),
    vmap=LEADING,
    formula="Q, R and an order of columns, with a[:, order] = Q @ R",
    gradients="a: as of qr, its columns put back",
)
def qr_pivoted(a: Array, mode: str = "full", check_finite: bool = True) -> tuple[Array, ...]:
    """What `qr` gives with `pivoting=True` in the modes "full" and "economic".

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.orthogonal_factors import qr_pivoted
    >>> qr_pivoted(np.array([[1.0, 2.0]]))[2].tolist()
    [1, 0]
    """
    return tuple(library().qr(a, mode=mode, pivoting=True, check_finite=check_finite))


@op(
    name="qr",
    outputs=None,
    sequences=(),
    nondiff=("a",),
    vmap=LEADING,
    formula="the factors as LAPACK stores them",
)
def _qr_raw(a: Array, pivoting: bool, check_finite: bool) -> tuple[Array, ...]:
    """The Householder vectors and their factors that `qr` gives in the mode "raw", without gradient."""
    return tuple(library().qr(a, mode="raw", pivoting=pivoting, check_finite=check_finite)[0])


def qr(
    a: ArrayLike, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Array | tuple[Array, ...], ...]:  # fmt: skip
    """The QR factorisation a = Q @ R, as `scipy.linalg.qr`.

    Args:
        a: (..., m, n).
        overwrite_a, lwork: not looked at.
        mode: "full" gives Q (..., m, m) and R (..., m, n); "economic" Q (..., m, k) and R (..., k, n) with k = min(m, n);
            "r" R alone, in a tuple; "raw" the factors as LAPACK stores them, without gradient, and R.
        pivoting: whether columns are exchanged so that the diagonal of R falls; then their order comes last.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: in backward: the first k columns are linearly dependent; or the loss depends on columns of a full Q
            beyond the first k, which the matrix does not determine.

    >>> import numpy as np, tapenet as tn
    >>> Q, R = tn.scipy.linalg.qr(tn.tensor([[3.0], [4.0]]), mode="economic")
    >>> np.abs(R)
    Tensor([[5.]])
    """
    if mode not in ("full", "qr", "r", "economic", "raw"):
        raise ValueError(f"qr: mode must be one of 'full', 'r', 'economic', 'raw', not {mode!r}")
    shape = "economic" if mode in ("economic", "raw", "r") else "full"
    q, r, *order = (qr_pivoted if pivoting else qr_pair)(a, shape, check_finite)
    if mode == "r":
        below = np.shape(a)[-2] - r.shape[-2]
        if below:
            r = np.concatenate([r, np.zeros((*r.shape[:-2], below, r.shape[-1]), r.dtype)], axis=-2)
        return (r, *order)
    if mode == "raw":
        return (tuple(_qr_raw(a, pivoting, check_finite)), r, *order)
    return (q, r, *order)


def _flipped(x: Array) -> Array:
    """The rows in reverse, and the adjoint of that."""
    return adjoint(np.flip(x, -2))


def _rq_rule(g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    """From (J a)ᴴ = (J Q)ᴴ (J R J)ᴴ with J, which reverses rows: that is a QR factorisation."""
    (by_r, by_q), (r, q) = g, out
    made = _qr_rule((_flipped(by_q), _flipped(np.flip(by_r, -1))), (_flipped(q), _flipped(np.flip(r, -1))))
    return np.flip(adjoint(made), -2)


@op(
    name="rq",
    outputs=2,
    sequences=(),
    a=_rq_rule,
    vmap=LEADING,
    formula="R, Q with a = R @ Q",
    gradients="a: as of qr, of the adjoint with its rows reversed",
)
def rq_pair(a: Array, mode: str = "full", check_finite: bool = True) -> tuple[Array, ...]:
    """What `rq` gives in the modes "full" and "economic".

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.orthogonal_factors import rq_pair
    >>> abs(rq_pair(np.array([[3.0, 4.0]]), "economic")[0])
    array([[5.]])
    """
    return tuple(library().rq(a, mode=mode, check_finite=check_finite))


def rq(
    a: ArrayLike, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", check_finite: bool = True
) -> Array | tuple[Array, ...]:
    """The RQ factorisation a = R @ Q, as `scipy.linalg.rq`.

    Args:
        a: (..., m, n).
        overwrite_a, lwork: not looked at.
        mode: "full", "economic" or "r", as of `qr`; "r" gives R alone.
        check_finite: whether infinite and nan are an error.

    >>> import numpy as np, tapenet as tn
    >>> np.abs(tn.scipy.linalg.rq(tn.tensor([[3.0, 4.0]]), mode="r")).numpy().round(9)
    array([[0., 5.]])
    """
    made = rq_pair(a, "full" if mode == "r" else mode, check_finite)
    return made[0] if mode == "r" else tuple(made)


# -- the polar form ----------------------------------------------------------------------------------------------


def _polar_gradient(by_u: Array, by_p: Array, a: Array, u: Array) -> Array:
    """The gradient by a tall matrix a = u @ p, from u = a p⁻¹ and p² = aᴴ a."""
    p = np.matmul(adjoint(u), a)
    p = 0.5 * (p + adjoint(p))
    turned = transposed(np.linalg.solve(p, transposed(by_u)))  # by_u @ p⁻ᵀ
    y = solve_sylvester(transposed(p), transposed(p), by_p - np.matmul(transposed(u), turned))
    return cast("Array", turned + np.matmul(np.conj(a), y + adjoint(y)))


def _polar_rule(g: tuple[Array, ...], out: tuple[Array, ...], a: Array, side: str) -> Array:
    (by_u, by_p), u = g, out[0]
    beside = 0
    if a.shape[-2] >= a.shape[-1]:
        if side == "left" and a.shape[-2] > a.shape[-1]:  # p = a @ uᴴ
            by_u, beside = by_u + np.matmul(adjoint(by_p), np.conj(a)), np.matmul(by_p, np.conj(u))
            by_p = 0 * np.matmul(adjoint(a), a)
        elif side == "left":
            return _turned_polar(by_u, by_p, a, u)
        return _polar_gradient(by_u, by_p, a, u) + beside
    if side == "right":  # p = uᴴ @ a
        by_u, beside = by_u + np.matmul(np.conj(a), adjoint(by_p)), np.matmul(np.conj(u), by_p)
        by_p = 0 * np.matmul(a, adjoint(a))
    return _turned_polar(by_u, by_p, a, u) + beside


def _turned_polar(by_u: Array, by_p: Array, a: Array, u: Array) -> Array:
    """The gradient by a wide matrix a = p @ u, whose adjoint is a tall uᴴ @ p."""
    return adjoint(_polar_gradient(adjoint(by_u), adjoint(by_p), adjoint(a), adjoint(u)))


@op(
    outputs=2,
    sequences=(),
    a=_polar_rule,
    vmap=LEADING,
    formula="u, p with a = u @ p, or p @ u: u with orthonormal columns or rows, p positive",
    gradients="a: from p² = aᴴ @ a, by Sylvester's equation, and u = a @ p⁻¹",
)
def polar(a: Array, side: str = "right") -> tuple[Array, ...]:
    """The polar form of matrices, as `scipy.linalg.polar`.

    Args:
        a: (..., m, n).
        side: "right" for a = u @ p, "left" for a = p @ u.

    Returns:
        u, whose columns or rows are orthonormal, and p, which is Hermitian and positive semidefinite.

    Raises:
        LinAlgError: in backward: `a` has not full rank.

    >>> import tapenet as tn
    >>> u, p = tn.scipy.linalg.polar(tn.tensor([[0.0, -2.0], [2.0, 0.0]]))
    >>> p
    Tensor([[2., 0.],
            [0., 2.]])
    """
    return tuple(library().polar(a, side))


def _procrustes_rule(g: tuple[Array, ...], out: tuple[Array, ...], A: Array, B: Array) -> dict[str, Array]:
    """R is the u of the polar form of Aᴴ @ B, and the scale the sum of its singular values."""
    product = np.matmul(adjoint(A), B)
    by_product = _polar_rule((g[0], 0 * product), (out[0], product), product, "right")
    by_product = by_product + g[1][..., None, None] * np.conj(out[0])
    return {
        "A": np.conj(np.matmul(B, transposed(by_product))),
        "B": np.matmul(np.conj(A), by_product),
    }


@op(
    outputs=2,
    broadcasts=True,
    joint=over_stacks(_procrustes_rule, "A", "B"),
    vmap=LEADING,
    formula="the unitary R for which |A @ R − B| is smallest, and the sum of the singular values of Aᴴ @ B",
    gradients="A: conj(B @ Mᵀ); B: conj(A) @ M, with the gradient M by Aᴴ @ B",
)
def orthogonal_procrustes(A: Array, B: Array, check_finite: bool = True) -> tuple[Array, ...]:
    """The orthogonal matrix that brings A closest to B, as `scipy.linalg.orthogonal_procrustes`.

    Args:
        A, B: (..., m, n).
        check_finite: whether infinite and nan are an error.

    Returns:
        R, and the sum of the singular values of Aᴴ @ B.

    Raises:
        LinAlgError: in backward: Aᴴ @ B is singular.

    >>> import tapenet as tn
    >>> R, scale = tn.scipy.linalg.orthogonal_procrustes(tn.tensor([[2.0]]), tn.tensor([[-3.0]]))
    >>> R.item(), scale.item()
    (-1.0, 6.0)
    """
    r, scale = library().orthogonal_procrustes(A, B, check_finite)
    return r, np.asarray(scale)


# -- singular values ---------------------------------------------------------------------------------------------


@op(
    name="svd",
    outputs=3,
    tell_unused=True,
    sequences=(),
    a=lambda g, out, full_matrices: decompositions.svd_factors.rules["a"](g, out, full_matrices, True),
    vmap=LEADING,
    formula="U, s, Vᴴ with a = U · diag(s) @ Vᴴ",
    gradients="a: as of tn.linalg.svd",
)
def _svd(a: Array, full_matrices: bool, check_finite: bool, lapack_driver: str) -> tuple[Array, ...]:
    """The three factors that `svd` gives."""
    return tuple(library().svd(a, full_matrices, True, False, check_finite, lapack_driver))


@op(
    sequences=(),
    a=lambda g, a: decompositions.svdvals.rules["x"](g, a),
    vmap=LEADING,
    formula="the singular values",
    gradients="a: U · g @ Vᴴ",
)
def svdvals(a: Array, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The singular values of matrices (..., m, n), as `scipy.linalg.svdvals`; at kinks as of `tn.linalg.svdvals`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.svdvals(tn.tensor([[0.0, 2.0], [1.0, 0.0]]))
    Tensor([2., 1.])
    """
    return cast("Array", library().svdvals(a, check_finite=check_finite))


def svd(
    a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False,
    check_finite: bool = True, lapack_driver: str = "gesdd",
) -> Array | tuple[Array, ...]:  # fmt: skip
    """The singular value decomposition U · diag(s) @ Vh, as `scipy.linalg.svd`.

    Args:
        a: (..., m, n).
        full_matrices: U and Vh are (..., m, m) and (..., n, n); else (..., m, k) and (..., k, n) with k = min(m, n).
        compute_uv: whether U and Vh are wanted beside s.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        lapack_driver: "gesdd" or "gesvd".

    Raises:
        LinAlgError: in backward: the loss may depend on what the matrix does not determine, as of `tn.linalg.svd`.

    >>> import tapenet as tn
    >>> U, s, Vh = tn.scipy.linalg.svd(tn.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> s
    Tensor([2., 1.])
    """
    if not compute_uv:
        return svdvals(a, False, check_finite)
    return tuple(_svd(a, full_matrices, check_finite, lapack_driver))


def _of_rank(name: str, basis: Array, s: Array, longest: int, rcond: float | None) -> tuple[Array, int]:
    """A basis, and how many singular values are not 0. Where these are not known yet it must be all of them."""
    rcond = float(np.finfo(s.dtype).eps) * longest if rcond is None else rcond
    values = known(s)
    if values is None:
        small = s <= rcond * np.max(s, axis=-1, initial=0.0, keepdims=True)
        message = (
            f"{name}: the matrix has not full rank. Inside of tn.compile and tn.vmap it must have, as the shape of the "
            "result may not depend on values there"
        )
        return provided(basis, small, Undetermined, message), s.shape[-1]
    counts = np.sum(values > rcond * np.max(values, axis=-1, initial=0.0, keepdims=True), axis=-1)
    if counts.ndim and counts.min() != counts.max():
        raise ValueError(
            f"{name}: the matrices of the stack have different ranks, from {counts.min()} to {counts.max()}"
        )
    return basis, int(counts.flat[0]) if counts.ndim else int(counts)


def orth(A: ArrayLike, rcond: float | None = None) -> Array:
    """An orthonormal basis of what the columns of matrices span, as `scipy.linalg.orth`: the first columns of the U of `svd`.

    Args:
        A: (..., m, n).
        rcond: singular values up to `rcond` times the largest count as 0; by default the precision times the longer side.

    >>> import numpy as np, tapenet as tn
    >>> np.abs(tn.scipy.linalg.orth(tn.tensor([[3.0], [4.0]]))).numpy().round(9)
    array([[0.6],
           [0.8]])
    """
    A = array_like(A)
    u, s, _ = _svd(A, False, True, "gesdd")
    u, rank = _of_rank("orth", u, s, max(A.shape[-2:]), rcond)
    return cast("Array", u[..., :rank])


def null_space(
    A: ArrayLike, rcond: float | None = None, *, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Array:  # fmt: skip
    """An orthonormal basis of the vectors that matrices take to 0, as `scipy.linalg.null_space`.

    It may be any basis: there is a gradient of functions that are the same for each, as the projection Z @ Zᴴ is.

    Args:
        A: (..., m, n).
        rcond: singular values up to `rcond` times the largest count as 0; by default the precision times the longer side.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        lapack_driver: "gesdd" or "gesvd".

    >>> import numpy as np, tapenet as tn
    >>> np.abs(tn.scipy.linalg.null_space(tn.tensor([[3.0, 4.0]]))).numpy().round(9)
    array([[0.8],
           [0.6]])
    """
    A = array_like(A)
    _, s, vh = _svd(A, True, check_finite, lapack_driver)
    vh, rank = _of_rank("null_space", vh, s, max(A.shape[-2:]), rcond)
    return adjoint(vh[..., rank:, :])


@followed("linalg.subspace_angles", "A", "B", broadcasts=True)
def subspace_angles(A: Array, B: Array) -> Array:
    """The angles between what the columns of two matrices span, from the largest, as `scipy.linalg.subspace_angles`.

    There are gradients where the columns of both are linearly independent.

    Args:
        A: (..., m, k).
        B: (..., m, l).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.subspace_angles(tn.tensor([[1.0], [0.0]]), tn.tensor([[1.0], [1.0]])).numpy().round(9)
    array([0.78539816])
    """
    left, right = orth(A), orth(B)
    if left.shape[-2] != right.shape[-2]:
        raise ValueError(f"subspace_angles: A and B must have as many rows, not {left.shape[-2]} and {right.shape[-2]}")
    product = np.matmul(adjoint(left), right)
    cosines = svdvals(product)
    if left.shape[-1] >= right.shape[-1]:
        rest = right - np.matmul(left, product)
    else:
        rest = left - np.matmul(right, adjoint(product))
    small = cosines**2 >= 0.5
    # Each on arguments where it has a derivative, so that none of the other gets in.
    sines = np.where(small, np.clip(svdvals(rest), -1, 1), 0)
    large = np.where(small, 0, np.clip(np.flip(cosines, -1), -1, 1))
    return cast("Array", np.where(small, np.arcsin(sines), np.arccos(large)))


# -- products with Q ---------------------------------------------------------------------------------------------


def _multiplied_rule(
    g: tuple[Array, ...], out: tuple[Array, ...], a: Array, c: Array, mode: str, conjugate: bool
) -> dict[str, Array]:
    made = qr_pivoted(a, "economic") if len(out) == 3 else qr_pair(a, "economic")
    q = np.conj(made[0]) if conjugate else made[0]
    one = c.ndim == 1
    if mode == "left":
        by_out, c = (x[..., None] if one else x for x in (g[0], c))
        by_q, by_c = np.matmul(by_out, transposed(c)), np.matmul(transposed(q), by_out)
        by_c = by_c[..., 0] if one else by_c
    else:
        by_out, c = (x[..., None, :] if one else x for x in (g[0], c))
        by_q, by_c = np.matmul(transposed(c), by_out), np.matmul(by_out, transposed(q))
        by_c = by_c[..., 0, :] if one else by_c
    by_a = _qr_rule((np.conj(by_q) if conjugate else by_q, g[1]), (made[0], made[1]))
    return {"a": by_a if len(out) == 2 else _columns_back(by_a, out[2]), "c": by_c}


@op(
    name="qr_multiply",
    outputs=2,
    broadcasts=True,
    joint=over_stacks(_multiplied_rule, "a", "c"),
    formula="Q @ c or c @ Q, and R, with a = Q @ R",
    gradients="a: as of qr; c: Qᵀ @ g or g @ Qᵀ",
)
def _multiplied(a: Array, c: Array, mode: str, conjugate: bool) -> tuple[Array, ...]:
    """What `qr_multiply` gives without pivoting."""
    return tuple(library().qr_multiply(a, c, mode, False, conjugate))


@op(
    name="qr_multiply",
    outputs=3,
    nondiff_outputs=(2,),
    broadcasts=True,
    joint=over_stacks(_multiplied_rule, "a", "c"),
    formula="Q @ c or c @ Q, R and an order of columns, with a[:, order] = Q @ R",
    gradients="a: as of qr; c: Qᵀ @ g or g @ Qᵀ",
)
def _multiplied_pivoted(a: Array, c: Array, mode: str, conjugate: bool) -> tuple[Array, ...]:
    """What `qr_multiply` gives with pivoting."""
    return tuple(library().qr_multiply(a, c, mode, True, conjugate))


def qr_multiply(
    a: ArrayLike, c: ArrayLike, mode: str = "right", pivoting: bool = False, conjugate: bool = False,
    overwrite_a: bool = False, overwrite_c: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    """The Q of a QR factorisation times a matrix, and R, as `scipy.linalg.qr_multiply`.

    Args:
        a: (..., m, n).
        c: what Q (..., m, k), with k = min(m, n), is multiplied with: a vector or matrices.
        mode: "left" for Q @ c, "right" for c @ Q.
        pivoting: whether columns are exchanged, as of `qr`; then their order comes last.
        conjugate: whether the conjugate of Q is taken.
        overwrite_a, overwrite_c: not looked at: nothing is overwritten.

    >>> import numpy as np, tapenet as tn
    >>> product, R = tn.scipy.linalg.qr_multiply(tn.tensor([[3.0], [4.0]]), tn.tensor([1.0, 0.0]))
    >>> np.abs(product).numpy().round(9)
    array([0.6])
    """
    return (_multiplied_pivoted if pivoting else _multiplied)(a, c, mode, conjugate)
