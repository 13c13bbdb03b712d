"""Triangular and Hessenberg forms by unitary transformations: A = Z @ T @ Zᴴ.

With the skew Ω = Zᴴ dZ and M = Zᴴ dA Z, dT = M - Ω T + T Ω. Where T is 0 so is dT, which determines Ω.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.linalg.degenerate import gap_quotient, provided_zero
from tapenet.ops.linalg.matrices import adjoint, on_diagonal, transposed
from tapenet.ops.op import op
from tapenet.scipy.linalg.definition import LEADING, library, over_stacks
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

_PHASES = (
    "{}: the loss depends on the phases of the columns of Z, which the matrix does not determine: there is no gradient. Use a "
    "function that is the same for all phases"
)
_TURNED = (
    "schur: a block of two rows is a rotation times a number, so that the matrix does not determine its columns of Z, and the "
    "loss depends on them. Use output='complex', or change the matrix a little"
)


def _pairs(t: Array) -> Array:
    """Whether rows i and i + 1 are a block of two, (..., n - 1)."""
    return cast("Array", np.diagonal(t, -1, -2, -1) != 0)


def _below_blocks(t: Array) -> Array:
    """Which places are below the diagonal blocks."""
    n = t.shape[-1]
    place = np.arange(n)
    pair = np.concatenate([_pairs(t), np.zeros((*t.shape[:-2], min(n, 1)), bool)], axis=-1)[..., None, :n]
    return cast("Array", (place[:, None] > place) & ~(pair & (place[:, None] == place + 1)))


def _below_rule(g: Array, out: Array, t: Array, turned: bool) -> dict[str, Array]:
    back = below_solve(t, g, not turned)
    first, second = (back, out) if turned else (out, back)
    by_t = np.matmul(second, transposed(first)) - np.matmul(transposed(first), second)
    return {"m": back, "t": np.where(_below_blocks(t), 0, by_t)}


@op(
    broadcasts=True,
    joint=over_stacks(_below_rule, "t", "m"),
    vmap="leading",
    formula="the X below the blocks of t with X @ t − t @ X = m there; if turned, X @ tᵀ − tᵀ @ X = m",
    gradients="m: the X of the turned equation for g; t: from both solutions",
)
def below_solve(t: Array, m: Array, turned: bool = False) -> Array:
    """The X that is 0 but below the diagonal blocks of a triangle `t`, with X @ t - t @ X = m there: for rules of `schur`.

    Args:
        t: (..., n, n), an upper triangle, or with blocks of two rows.
        m: (..., n, n), read below the blocks.
        turned: take tᵀ for t.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.schur_form import below_solve
    >>> below_solve(np.diag([3.0, 1.0]), np.array([[0.0, 0.0], [4.0, 0.0]]))
    array([[0., 0.],
           [2., 0.]])
    """
    dtype = np.result_type(t, m)
    m = np.where(_below_blocks(t), m, np.zeros((), dtype))
    shape = np.broadcast_shapes(t.shape, m.shape)
    every, right = np.broadcast_to(t, shape).astype(dtype, copy=False), np.broadcast_to(m, shape)
    made = np.zeros(shape, dtype)
    (solve,) = library().get_lapack_funcs(("trsyl",), (made,))
    for at in np.ndindex(shape[:-2]):
        _solve_below(solve, every[at], right[at], made[at], turned)
    return made


def _solve_below(trsyl: Callable[..., tuple[Array, float, int]], t: Array, m: Array, x: Array, turned: bool) -> None:
    """Block column by block column: each is a Sylvester equation of triangles."""
    n = len(t)
    starts = [0, *(np.flatnonzero(~_pairs(t)) + 1)] if n else []
    blocks = list(zip(starts, [*starts[1:], n], strict=True))
    for i, j in blocks[::-1] if turned else blocks:
        if j == n:
            continue
        here, rest = slice(i, j), slice(j, n)
        if turned:
            right = m[rest, here] - x[rest, rest] @ t[here, rest].T
            options, a, b = {"trana": "C", "tranb": "C"}, t[rest, rest].conj(), t[here, here].conj()
        else:
            right = m[rest, here] - x[rest, :i] @ t[:i, here]
            options, a, b = {}, t[rest, rest], t[here, here]
        found, scale, info = trsyl(a, b, right, isgn=-1, **options)
        if info:
            raise np.linalg.LinAlgError(
                "schur: two eigenvalues are equal but for rounding, so that the matrix does not determine its form: there is "
                "no gradient. Change the matrix a little so that they differ"
            )
        x[rest, here] = -found / scale


def _form_gradient(by_t: Array, by_z: Array, t: Array, z: Array) -> Array:
    by_t = np.where(_below_blocks(t), 0, by_t)
    by_turn = np.matmul(transposed(z), by_z) - np.matmul(by_t, transposed(t)) + np.matmul(transposed(t), by_t)
    skew = by_turn - adjoint(by_turn)
    size = np.max(np.abs(by_turn), axis=(-2, -1), keepdims=True, initial=0) * t.shape[-1]
    if t.dtype.kind == "c":
        unit = np.eye(t.shape[-1], dtype=bool)
        by_t = provided_zero(by_t, np.where(unit, skew, 0), size, _PHASES.format("schur"))
    else:
        # A block of two rows is turned so that its diagonal is one number twice.
        pair = _pairs(t)
        above, under = np.diagonal(t, 1, -2, -1), np.diagonal(t, -1, -2, -1)
        by_angle = np.where(pair, np.diagonal(skew, -1, -2, -1), 0)
        sums = np.where(pair, 2 * (above + under), 1)
        floor = 64 * np.finfo(t.dtype).eps * np.max(np.abs(t), axis=(-2, -1), initial=0)[..., None]
        by_half = gap_quotient(by_angle, sums, size[..., 0], np.where(pair, floor, 0), _TURNED)
        zero = np.zeros((*by_half.shape[:-1], min(t.shape[-1], 1)), by_half.dtype)
        straight = np.concatenate([zero, by_half], axis=-1) - np.concatenate([by_half, zero], axis=-1)
        more = on_diagonal(straight)
        by_t = by_t + more
        by_turn = by_turn - np.matmul(more, transposed(t)) + np.matmul(transposed(t), more)
        skew = by_turn - transposed(by_turn)
    made = by_t + below_solve(t, skew, True)
    return cast("Array", np.matmul(np.conj(z), np.matmul(made, transposed(z))))


def _schur_rule(g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    return _form_gradient(g[0], g[1], out[0], out[1])


@op(
    name="schur",
    outputs=3,
    nondiff_outputs=(2,),
    sequences=(),
    a=_schur_rule,
    vmap=LEADING,
    formula="T, Z with a = Z @ T @ Zᴴ, and how many eigenvalues were sorted to the front",
    gradients="a: conj(Z) @ (gT + X) @ Zᵀ, with the X of a Sylvester equation below the diagonal",
)
def _sorted_schur(a: Array, output: str, sort: object, check_finite: bool) -> tuple[Array, ...]:
    """What `schur` gives with `sort`."""
    t, z, count = library().schur(a, output, sort=sort, check_finite=check_finite)
    return t, z, np.asarray(count)


@op(
    name="schur",
    outputs=2,
    sequences=(),
    a=_schur_rule,
    vmap=LEADING,
    formula="T, Z with a = Z @ T @ Zᴴ",
    gradients="a: conj(Z) @ (gT + X) @ Zᵀ, with the X of a Sylvester equation below the diagonal",
)
def _schur(a: Array, output: str, check_finite: bool) -> tuple[Array, ...]:
    """What `schur` gives."""
    return cast("tuple[Array, ...]", library().schur(a, output, check_finite=check_finite))


def schur(
    a: ArrayLike, output: str = "real", lwork: int | None = None, overwrite_a: bool = False,
    sort: str | Callable[..., bool] | None = None, check_finite: bool = True,
) -> tuple[Array, ...]:  # fmt: skip
    """The Schur form a = Z @ T @ Zᴴ, as `scipy.linalg.schur`.

    Args:
        a: (..., n, n).
        output: "real" or "complex"; in the real form pairs of complex eigenvalues are blocks of two rows.
        lwork, overwrite_a: not looked at.
        sort: which eigenvalues come first, "lhp", "rhp", "iuc", "ouc" or a function; their number is then returned too.
        check_finite: whether infinite and nan are an error.

    Raises:
        LinAlgError: in backward: two eigenvalues are equal, or the loss depends on the phases of complex columns of Z.

    >>> import tapenet as tn
    >>> T, Z = tn.scipy.linalg.schur(tn.tensor([[2.0, 1.0], [0.0, 3.0]]))
    >>> T
    Tensor([[2., 1.],
            [0., 3.]])
    """
    return _schur(a, output, check_finite) if sort is None else _sorted_schur(a, output, sort, check_finite)


def _complex_form_rule(g: tuple[Array, ...], out: tuple[Array, ...], Z: Array) -> dict[str, Array]:
    turn = np.matmul(adjoint(Z), out[1])
    by_t = _form_gradient(g[0], np.matmul(transposed(Z), g[1]), out[0], turn)
    return {"T": by_t, "Z": np.matmul(g[1], transposed(turn))}


@op(
    outputs=2,
    broadcasts=True,
    joint=over_stacks(_complex_form_rule, "T", "Z"),
    vmap=LEADING,
    formula="the complex Schur form of the same matrix",
    gradients="T, Z: by the unitary matrix between the two forms",
)
def rsf2csf(T: Array, Z: Array, check_finite: bool = True) -> tuple[Array, ...]:
    """The complex Schur form from the real one, as `scipy.linalg.rsf2csf`.

    Args:
        T, Z: (..., n, n), what `schur` gave.
        check_finite: whether infinite and nan are an error.

    >>> import numpy as np, tapenet as tn
    >>> T, Z = tn.scipy.linalg.rsf2csf(tn.tensor([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2))
    >>> np.abs(np.diagonal(T)).numpy().round(9)
    array([1., 1.])
    """
    return tuple(library().rsf2csf(T, Z, check_finite))


# -- Hessenberg's form -------------------------------------------------------------------------------------------


def _hessenberg_gradient(by_h: Array, by_q: Array, h: Array, q: Array) -> Array:
    """Ω is 0 in its first column. Column j of dH below the diagonal, 0 or real, determines column j + 1 of Ω from its
    diagonal on; this goes backwards over the columns."""
    n = h.shape[-1]
    place = np.arange(n)
    by_h = np.where(place[:, None] > place + 1, 0, by_h)
    by_turn = np.matmul(transposed(q), by_q) - np.matmul(by_h, transposed(h)) + np.matmul(transposed(h), by_h)
    by_x = np.where(place[:, None] >= place, by_turn - adjoint(by_turn), 0)
    by_x = by_x * np.where(place[:, None] == place, 0.5, 1)
    columns = [np.zeros_like(h[..., :, 0])] * n
    for j in range(n - 2, -1, -1):
        back = by_x[..., :, j + 1] / h[..., j + 1, j][..., None]
        back = np.where(place > j + 1, back, np.where(place == j + 1, 0.5 * (back - np.conj(back)), 0))
        columns[j] = back
        earlier = np.where((place >= 1) & (place <= j), h[..., :, j], 0)
        by_x = by_x - back[..., :, None] * earlier[..., None, :]
        later = np.where(place >= j, np.matmul(back[..., None, :], h)[..., 0, :], 0)
        by_x = by_x + later[..., :, None] * (place == j)
    made = by_h + np.stack(columns, axis=-1)
    return cast("Array", np.matmul(np.conj(q), np.matmul(made, transposed(q))))


def _hessenberg_rule(g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    if out[0].shape[-1] < 3:  # SciPy gives back what it is given
        return g[0]
    return _hessenberg_gradient(g[0], g[1], out[0], out[1])


@op(
    name="hessenberg",
    outputs=2,
    sequences=(),
    a=_hessenberg_rule,
    vmap=LEADING,
    formula="H, Q with a = Q @ H @ Qᴴ, H 0 below the diagonal under the main one",
    gradients="a: conj(Q) @ (gH + Y) @ Qᵀ, with a Y that is found column by column",
)
def _hessenberg(a: Array, check_finite: bool) -> tuple[Array, ...]:
    """What `hessenberg` gives."""
    h, q = library().hessenberg(a, True, check_finite=check_finite)
    return h, q.astype(h.dtype, copy=False)


def _only_h_rule(g: Array, a: Array) -> Array:
    h, q = _hessenberg(a, True)
    return _hessenberg_rule((g, 0 * q), (h, q))


@op(
    name="hessenberg",
    sequences=(),
    a=_only_h_rule,
    vmap=LEADING,
    formula="the H of a = Q @ H @ Qᴴ",
    gradients="a: as of hessenberg with Q",
)
def _only_h(a: Array, check_finite: bool) -> Array:
    """What `hessenberg` gives without Q."""
    return cast("Array", library().hessenberg(a, check_finite=check_finite))


def hessenberg(
    a: ArrayLike, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Array | tuple[Array, ...]:
    """Hessenberg's form a = Q @ H @ Qᴴ, as `scipy.linalg.hessenberg`.

    Args:
        a: (..., n, n).
        calc_q: whether Q is wanted beside H.
        overwrite_a: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.

    >>> import numpy as np, tapenet as tn
    >>> H = tn.scipy.linalg.hessenberg(tn.tensor([[1.0, 0.0, 0.0], [3.0, 1.0, 0.0], [4.0, 0.0, 1.0]]))
    >>> np.abs(H).numpy().round(9)
    array([[1., 0., 0.],
           [5., 1., 0.],
           [0., 0., 1.]])
    """
    return tuple(_hessenberg(a, check_finite)) if calc_q else _only_h(a, check_finite)


# -- balance -----------------------------------------------------------------------------------------------------


@op(
    name="matrix_balance",
    outputs=2,
    nondiff_outputs=(1,),
    sequences=(),
    A=lambda g, out: np.matmul(np.matmul(transposed(np.linalg.inv(out[1])), g[0]), transposed(out[1])),
    vmap=LEADING,
    formula="T⁻¹ @ A @ T and T, a permutation of a diagonal of powers of 2",
    gradients="A: T⁻ᵀ @ g @ Tᵀ",
)
def _balanced(A: Array, permute: bool, scale: bool) -> tuple[Array, ...]:
    """What `matrix_balance` gives."""
    return tuple(library().matrix_balance(A, permute, scale))


def _parts_rule(g: tuple[Array, ...], A: Array, permute: bool, scale: bool) -> Array:
    turn = _balanced(A, permute, scale)[1]
    return cast("Array", np.matmul(np.matmul(transposed(np.linalg.inv(turn)), g[0]), transposed(turn)))


@op(
    name="matrix_balance",
    outputs=3,
    nondiff_outputs=(1, 2),
    sequences=(),
    A=_parts_rule,
    vmap=LEADING,
    formula="T⁻¹ @ A @ T, the scale and the order in T",
    gradients="A: T⁻ᵀ @ g @ Tᵀ",
)
def _balanced_in_parts(A: Array, permute: bool, scale: bool) -> tuple[Array, ...]:
    """What `matrix_balance` gives with `separate=True`."""
    balanced, (scales, order) = library().matrix_balance(A, permute, scale, True)
    return balanced, scales, order


def matrix_balance(
    A: ArrayLike, permute: bool = True, scale: bool = True, separate: bool = False, overwrite_a: bool = False
) -> tuple[Array | tuple[Array, Array], ...]:
    """The matrix T⁻¹ @ A @ T whose rows and columns have about the same lengths, and T, as `scipy.linalg.matrix_balance`.

    T is made of powers of 2, and constant but for jumps: it has no gradient.

    Args:
        A: (..., n, n).
        permute, scale: whether rows are exchanged, and scaled.
        separate: whether T is given as a tuple of the scale and the order of its rows.
        overwrite_a: not looked at: nothing is overwritten.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.matrix_balance(tn.tensor([[1.0, 64.0], [1.0, 1.0]]))[0]
    Tensor([[1., 8.],
            [8., 1.]])
    """
    if not separate:
        return _balanced(A, permute, scale)
    balanced, scales, order = _balanced_in_parts(A, permute, scale)
    return balanced, (scales, order)
