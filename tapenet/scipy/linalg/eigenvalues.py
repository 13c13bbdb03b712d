"""Eigenvalues and vectors, also of two matrices, of bands and of three diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np

from tapenet.ops.linalg import eigen
from tapenet.ops.linalg.matrices import adjoint, transposed
from tapenet.ops.op import op
from tapenet.scipy.linalg import positive
from tapenet.scipy.linalg.banded import diagonals
from tapenet.scipy.linalg.definition import LEADING, library, of_hermitian, over_stacks, transposed_system, triangle
from tapenet.scipy.linalg.systems import solve_triangular
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Pair = tuple[Array | None, ...]


def _of_whole(g: Pair, out: Pair, whole: Pair, start: Array) -> tuple[Pair, Pair]:
    """The gradient and the result for all eigenvalues, of those from a place on."""
    w, v = whole
    assert w is not None
    assert v is not None
    count = cast("Array", out[0]).shape[-1]
    if count == w.shape[-1]:
        return g, (w, v if out[1] is None else out[1])
    place = np.arange(w.shape[-1]) - start[..., None]
    inside, at = (place >= 0) & (place < count), np.clip(place, 0, max(count - 1, 0))

    def spread(part: Array | None, rest: Array | int) -> Array | None:
        if part is None:
            return None
        if part.ndim == w.ndim:
            return cast("Array", np.where(inside, np.take_along_axis(part, at, axis=-1), rest))
        across = np.broadcast_to(at[..., None, :], (*part.shape[:-1], at.shape[-1]))
        return cast("Array", np.where(inside[..., None, :], np.take_along_axis(part, across, axis=-1), rest))

    return (spread(g[0], 0), spread(g[1], 0)), (w, spread(out[1], v))


def _hermitian_rule(g: Pair, out: Pair, lower: bool, phases: bool) -> Array:
    """The gradient in the triangle that is read, from all eigenvalues and vectors."""
    return cast("Array", eigen.eigh_factors.rules["a"](g, out, "L" if lower else "U", phases))


# -- Hermitian matrices ------------------------------------------------------------------------------------------


def _start(out: Pair, whole: Pair) -> Array:
    """Where the eigenvalues of a part begin among all, which are the same but for rounding."""
    w, part = cast("Array", whole[0]), cast("Array", out[0])
    if part.shape[-1] in (0, w.shape[-1]):
        return np.zeros(w.shape[:-1], int)
    gaps = np.abs(w[..., : w.shape[-1] - part.shape[-1] + 1] - part[..., :1])
    return cast("Array", np.argmin(gaps, axis=-1))


def _pairs_rule(
    g: Pair, out: Pair, a: Array, b: Array | None, lower: bool, type: int, phases: bool
) -> dict[str, Array]:
    if cast("Array", out[0]).shape[-1] != a.shape[-1]:
        whole = eigh_pairs(a, b, lower, type, phases)
        g, out = _of_whole(g, out, whole, _start(out, whole))
    if b is None:
        return {"a": _hermitian_rule(g, out, lower, phases)}
    return _generalised_rule(g, out, a, b, lower, type, phases)


def _generalised_rule(g: Pair, out: Pair, a: Array, b: Array, lower: bool, type: int, phases: bool) -> dict[str, Array]:
    """By the factor L of b = L @ Lᴴ it is a common problem: of c = L⁻¹ a L⁻ᴴ for the first type, else of Lᴴ a L."""
    w, v = cast("tuple[Array, Array]", out)
    factor = positive.cholesky(b, lower)
    factor = factor if lower else adjoint(factor)

    def solved(x: Array, trans: int) -> Array:
        return solve_triangular(factor, x, trans, True)

    if type == 3:  # v = L @ y
        y = solved(v, 0)
        by_y = None if g[1] is None else np.matmul(transposed(factor), g[1])
        by_factor = 0 if g[1] is None else np.matmul(g[1], transposed(y))
    else:  # v = L⁻ᴴ @ y
        y = np.matmul(adjoint(factor), v)
        by_y, by_factor = (None, 0) if g[1] is None else transposed_system(solved, g[1], v, 2, False)
    by_c = _hermitian_rule((g[0], by_y), (w, y), True, phases)
    c = np.matmul(y * w[..., None, :], adjoint(y))
    if type == 1:
        half = solved(by_c, 1)  # L⁻ᵀ @ by_c
        by_a = transposed(solved(transposed(half), 2))  # ... @ conj(L)⁻¹
        by_factor = by_factor - np.matmul(half, transposed(c))
        by_factor = by_factor - np.conj(solved(np.matmul(transposed(by_c), c), 2))
    else:
        by_a = np.matmul(np.conj(factor), np.matmul(by_c, transposed(factor)))
        by_factor = by_factor + np.conj(solved(np.matmul(c, transposed(by_c)), 2))
        by_factor = by_factor + solved(np.matmul(transposed(c), by_c), 1)
    by_b = positive.cholesky.rules["a"](triangle(by_factor, True), triangle(factor, True), True)
    return {"a": of_hermitian(by_a, lower), "b": cast("Array", by_b if lower else adjoint(by_b))}


def _options(by_index: object, by_value: object, driver: str | None, check_finite: bool) -> dict[str, object]:
    """Those of SciPy's `eigh`, which takes lists and no arrays."""
    if by_index is None and by_value is None:
        return {"driver": driver, "check_finite": check_finite}
    ends = {"subset_by_index": by_index, "subset_by_value": by_value}
    given = {n: None if x is None else np.asarray(x).tolist() for n, x in ends.items()}
    return {**given, "driver": driver, "check_finite": check_finite}


@op(
    name="eigh",
    outputs=2,
    tell_unused=True,
    broadcasts=True,
    joint=over_stacks(_pairs_rule, "a", "b"),
    nondiff=("by_index", "by_value", "driver"),
    vmap=LEADING,
    formula="the λ and v with a @ v = λ · v, or a @ v = λ · b @ v",
    gradients="a, b: as of tn.linalg.eigh, by Cholesky's factor of b",
)
def eigh_pairs(
    a: Array, b: Array | None = None, lower: bool = True, type: int = 1, phases: bool = True,
    by_index: Sequence[int] | None = None, by_value: Sequence[float] | None = None, driver: str | None = None,
    check_finite: bool = True,
) -> tuple[Array, ...]:  # fmt: skip
    """The eigenvalues and vectors that `eigh` gives, also for rules: these use vectors so that the phases cancel.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.eigenvalues import eigh_pairs
    >>> eigh_pairs(np.diag([2.0, 1.0]))[0]
    array([1., 2.])
    """
    options = _options(by_index, by_value, driver, check_finite)
    return cast("tuple[Array, ...]", library().eigh(a, b, lower=lower, type=type, **options))


def _values_rule(g: Array, out: Array, a: Array, b: Array | None, lower: bool, type: int) -> dict[str, Array]:
    whole = eigh_pairs(a, b, lower, type, False)
    part, _ = _of_whole((g, None), (out, None), whole, _start((out,), whole))
    return _pairs_rule(part, whole, a, b, lower, type, False)


@op(
    name="eigvalsh",
    broadcasts=True,
    joint=over_stacks(_values_rule, "a", "b"),
    nondiff=("by_index", "by_value", "driver"),
    vmap=LEADING,
    formula="the λ with a @ v = λ · v, or a @ v = λ · b @ v, rising",
    gradients="a: v · g @ vᴴ, in the triangle that is read; b: −v · λ g @ vᴴ",
)
def _eigvalsh(
    a: Array, b: Array | None = None, lower: bool = True, type: int = 1, by_index: Sequence[int] | None = None,
    by_value: Sequence[float] | None = None, driver: str | None = None, check_finite: bool = True,
) -> Array:  # fmt: skip
    """What `eigvalsh` gives."""
    options = _options(by_index, by_value, driver, check_finite)
    return cast("Array", library().eigh(a, b, lower=lower, eigvals_only=True, type=type, **options))


def eigvalsh(
    a: ArrayLike, b: ArrayLike | None = None, *, lower: bool = True, overwrite_a: bool = False,
    overwrite_b: bool = False, type: int = 1, check_finite: bool = True, subset_by_index: Sequence[int] | None = None,
    subset_by_value: Sequence[float] | None = None, driver: str | None = None,
) -> Array:  # fmt: skip
    """The eigenvalues of Hermitian matrices, as `scipy.linalg.eigvalsh`.

    Where some are equal their gradients are those for one choice of the vectors, as of `tn.linalg.eigvalsh`.

    Args:
        as of `eigh`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.eigvalsh(tn.tensor([[2.0, 0.0], [0.0, 1.0]]), subset_by_index=[1, 1])
    Tensor([2.])
    """
    return _eigvalsh(a, b, lower, type, subset_by_index, subset_by_value, driver, check_finite)


def eigh(
    a: ArrayLike, b: ArrayLike | None = None, *, lower: bool = True, eigvals_only: bool = False,
    overwrite_a: bool = False, overwrite_b: bool = False, type: int = 1, check_finite: bool = True,
    subset_by_index: Sequence[int] | None = None, subset_by_value: Sequence[float] | None = None,
    driver: str | None = None,
) -> Array | tuple[Array, ...]:  # fmt: skip
    """Eigenvalues and vectors of Hermitian matrices, as `scipy.linalg.eigh`.

    Args:
        a: (..., n, n); one triangle is read, and it alone has a gradient.
        b: (..., n, n), positive definite, read likewise; the identity by default.
        lower: which triangles are read.
        eigvals_only: whether the eigenvalues alone are wanted.
        overwrite_a, overwrite_b: not looked at: nothing is overwritten.
        type: 1 for a @ v = λ b @ v, 2 for a @ b @ v = λ v, 3 for b @ a @ v = λ v.
        check_finite: whether infinite and nan are an error.
        subset_by_index: the first and last of the eigenvalues wanted.
        subset_by_value: the interval, open on the left, in which they lie.
        driver: LAPACK's routine.

    Raises:
        LinAlgError: `b` is not positive definite. In backward: the loss may depend on what the matrices do not determine.

    >>> import tapenet as tn
    >>> w, v = tn.scipy.linalg.eigh(tn.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> w
    Tensor([1., 2.])
    """
    if eigvals_only:
        return _eigvalsh(a, b, lower, type, subset_by_index, subset_by_value, driver, check_finite)
    return eigh_pairs(a, b, lower, type, True, subset_by_index, subset_by_value, driver, check_finite)


# -- three diagonals, and bands ----------------------------------------------------------------------------------


def _band_gradient(g: Pair, out: Pair, whole: Pair, phases: bool) -> Array:
    """The gradient in the lower triangle, from a part of the eigenvalues."""
    w, part = cast("Array", whole[0]), cast("Array", out[0])
    if w is not part and part.shape[-1] != w.shape[-1]:
        g, out = _of_whole(g, out, whole, _start(out, whole))
    return _hermitian_rule(g, out, True, phases)


def _tridiagonal_rule(g: Pair, out: Pair, d: Array, e: Array, phases: bool) -> dict[str, Array]:
    whole = out if cast("Array", out[0]).shape[-1] == d.shape[-1] else tridiagonal_pairs(d, e, phases)
    made = _band_gradient(g, out, whole, phases)
    return {"d": np.diagonal(made, 0, -2, -1), "e": np.diagonal(made, -1, -2, -1)}


@op(
    name="eigh_tridiagonal",
    outputs=2,
    tell_unused=True,
    broadcasts=True,
    joint=over_stacks(_tridiagonal_rule, "d", "e"),
    vmap=LEADING,
    formula="the λ and v of the symmetric matrix with these diagonals",
    gradients="d, e: the diagonals of the gradient of eigh",
)
def tridiagonal_pairs(
    d: Array, e: Array, phases: bool = True, select: str = "a", select_range: Sequence[float] | None = None,
    check_finite: bool = True, tol: float = 0.0, lapack_driver: str = "auto",
) -> tuple[Array, ...]:  # fmt: skip
    """The eigenvalues and vectors that `eigh_tridiagonal` gives, also for rules.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.eigenvalues import tridiagonal_pairs
    >>> tridiagonal_pairs(np.array([2.0, 1.0]), np.zeros(1))[0]
    array([1., 2.])
    """
    return tuple(library().eigh_tridiagonal(d, e, False, select, select_range, check_finite, tol, lapack_driver))


def _tridiagonal_values_rule(g: Array, out: Array, d: Array, e: Array) -> dict[str, Array]:
    whole = tridiagonal_pairs(d, e, False)
    part, _ = _of_whole((g, None), (out, None), whole, _start((out,), whole))
    return _tridiagonal_rule(part, whole, d, e, False)


@op(
    broadcasts=True,
    joint=over_stacks(_tridiagonal_values_rule, "d", "e"),
    vmap=LEADING,
    formula="the λ of the symmetric matrix with these diagonals",
    gradients="d, e: the diagonals of v · g @ vᴴ",
)
def eigvalsh_tridiagonal(
    d: Array, e: Array, select: str = "a", select_range: Sequence[float] | None = None, check_finite: bool = True,
    tol: float = 0.0, lapack_driver: str = "auto",
) -> Array:  # fmt: skip
    """The eigenvalues of symmetric matrices of three diagonals, as `scipy.linalg.eigvalsh_tridiagonal`.

    Args:
        as of `eigh_tridiagonal`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.eigvalsh_tridiagonal(tn.tensor([2.0, 1.0]), tn.tensor([0.0]))
    Tensor([1., 2.])
    """
    options = (select, select_range, check_finite, tol, lapack_driver)
    return cast("Array", library().eigvalsh_tridiagonal(d, e, *options))


def eigh_tridiagonal(
    d: ArrayLike, e: ArrayLike, eigvals_only: bool = False, select: str = "a",
    select_range: Sequence[float] | None = None, check_finite: bool = True, tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Array | tuple[Array, ...]:  # fmt: skip
    """Eigenvalues and vectors of symmetric matrices of three diagonals, as `scipy.linalg.eigh_tridiagonal`.

    The gradient takes the memory of the full matrix.

    Args:
        d: the main diagonal, (..., n).
        e: the diagonals beside it, (..., n - 1).
        eigvals_only: whether the eigenvalues alone are wanted.
        select: "a" for all, "v" for those in an interval, "i" for those with these indices.
        select_range: the two ends of what is selected.
        check_finite: whether infinite and nan are an error.
        tol: how exact the driver "stebz" is.
        lapack_driver: LAPACK's routine.

    >>> import tapenet as tn
    >>> w, v = tn.scipy.linalg.eigh_tridiagonal(tn.tensor([2.0, 1.0]), tn.tensor([0.0]))
    >>> w
    Tensor([1., 2.])
    """
    if eigvals_only:
        return eigvalsh_tridiagonal(d, e, select, select_range, check_finite, tol, lapack_driver)
    return tuple(tridiagonal_pairs(d, e, True, select, select_range, check_finite, tol, lapack_driver))


def _banded_rule(g: Pair, out: Pair, a_band: Array, lower: bool, phases: bool) -> Array:
    whole = out if cast("Array", out[0]).shape[-1] == a_band.shape[-1] else banded_pairs(a_band, lower, phases)
    made = _band_gradient(g, out, whole, phases)
    return diagonals(made if lower else adjoint(made), a_band.shape[-2], lower)


@op(
    name="eig_banded",
    outputs=2,
    tell_unused=True,
    sequences=(),
    a_band=_banded_rule,
    vmap=LEADING,
    formula="the λ and v of the Hermitian matrix with these diagonals",
    gradients="a_band: the diagonals of the gradient of eigh",
)
def banded_pairs(
    a_band: Array, lower: bool = False, phases: bool = True, select: str = "a",
    select_range: Sequence[float] | None = None, max_ev: int = 0, check_finite: bool = True,
) -> tuple[Array, ...]:  # fmt: skip
    """The eigenvalues and vectors that `eig_banded` gives, also for rules.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.eigenvalues import banded_pairs
    >>> banded_pairs(np.array([[2.0, 1.0]]))[0]
    array([1., 2.])
    """
    options = {"select": select, "select_range": select_range, "max_ev": max_ev, "check_finite": check_finite}
    return tuple(library().eig_banded(a_band, lower, **options))


def _banded_values_rule(g: Array, out: Array, a_band: Array, lower: bool) -> Array:
    whole = banded_pairs(a_band, lower, False)
    part, _ = _of_whole((g, None), (out, None), whole, _start((out,), whole))
    return _banded_rule(part, whole, a_band, lower, False)


@op(
    sequences=(),
    a_band=_banded_values_rule,
    vmap=LEADING,
    formula="the λ of the Hermitian matrix with these diagonals",
    gradients="a_band: the diagonals of v · g @ vᴴ",
)
def eigvals_banded(
    a_band: Array, lower: bool = False, overwrite_a_band: bool = False, select: str = "a",
    select_range: Sequence[float] | None = None, check_finite: bool = True,
) -> Array:  # fmt: skip
    """The eigenvalues of Hermitian matrices that are bands, as `scipy.linalg.eigvals_banded`.

    Args:
        as of `eig_banded`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.eigvals_banded(tn.tensor([[2.0, 1.0]]))
    Tensor([1., 2.])
    """
    options = {"select": select, "select_range": select_range, "check_finite": check_finite}
    return cast("Array", library().eigvals_banded(a_band, lower, **options))


def eig_banded(
    a_band: ArrayLike, lower: bool = False, eigvals_only: bool = False, overwrite_a_band: bool = False,
    select: str = "a", select_range: Sequence[float] | None = None, max_ev: int = 0, check_finite: bool = True,
) -> Array | tuple[Array, ...]:  # fmt: skip
    """Eigenvalues and vectors of Hermitian matrices that are bands, as `scipy.linalg.eig_banded`.

    The gradient takes the memory of the full matrix.

    Args:
        a_band: the diagonals of one triangle, (..., u + 1, n): a_band[u + i - j, j] = a[i, j], or a_band[i - j, j] if `lower`.
        lower: which triangle is given.
        eigvals_only: whether the eigenvalues alone are wanted.
        overwrite_a_band: not looked at: nothing is overwritten.
        select: "a" for all, "v" for those in an interval, "i" for those with these indices.
        select_range: the two ends of what is selected.
        max_ev: how many there are at most, for "v".
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> w, v = tn.scipy.linalg.eig_banded(tn.tensor([[2.0, 1.0]]))
    >>> w
    Tensor([1., 2.])
    """
    if eigvals_only:
        return eigvals_banded(a_band, lower, False, select, select_range, check_finite)
    return tuple(banded_pairs(a_band, lower, True, select, select_range, max_ev, check_finite))


# -- all matrices ------------------------------------------------------------------------------------------------


def _by_two(by_c: Array, c: Array, b: Array) -> tuple[Array, Array]:
    """The gradients by a and b, from that by c = b⁻¹ @ a."""
    by_a = np.linalg.solve(transposed(b), by_c)
    return by_a, -np.matmul(by_a, transposed(c))


def _right_vectors(g: Pair, out: Pair, a: Array, b: Array | None) -> tuple[Array, Array | None]:
    rule = eigen.eig_factors.rules["a"]
    if b is None:
        return cast("Array", rule(g, out, a.dtype, True)), None
    c = np.linalg.solve(b, a)
    return _by_two(cast("Array", rule(g, out, c.dtype, True)), c, b)


def _left_vectors(g: Pair, out: Pair, a: Array, b: Array | None) -> tuple[Array, Array | None]:
    """Left vectors of a are right ones of its adjoint, with the conjugate eigenvalues."""
    out = (np.conj(cast("Array", out[0])), out[1])
    by_w = None if g[0] is None else np.conj(g[0])
    by_a, by_b = _right_vectors((by_w, g[1]), out, adjoint(a), None if b is None else adjoint(b))
    return adjoint(by_a), None if by_b is None else adjoint(by_b)


def _both(found: tuple[Array, Array | None]) -> dict[str, Array]:
    return {n: x for n, x in zip("ab", found, strict=True) if x is not None}


def _eig_rule(g: Pair, out: Pair, a: Array, b: Array | None, left: bool) -> dict[str, Array]:
    return _both((_left_vectors if left else _right_vectors)(g, out, a, b))


@op(
    name="eig",
    outputs=2,
    tell_unused=True,
    broadcasts=True,
    joint=over_stacks(_eig_rule, "a", "b"),
    vmap=LEADING,
    formula="the λ and v with a @ v = λ · v, or a @ v = λ · b @ v; left ones with vᴴ @ a = λ · vᴴ",
    gradients="a, b: as of tn.linalg.eig, of b⁻¹ @ a",
)
def _eig(a: Array, b: Array | None, left: bool, check_finite: bool) -> tuple[Array, ...]:
    """The eigenvalues, and the vectors of one side, that `eig` gives."""
    return cast("tuple[Array, ...]", library().eig(a, b, left, not left, check_finite=check_finite))


def _eig_both_rule(g: Pair, out: Pair, a: Array, b: Array | None) -> dict[str, Array]:
    found = _both(_right_vectors((g[0], g[2]), (out[0], out[2]), a, b)) if g[0] is not None or g[2] is not None else {}
    if g[1] is not None:
        for n, x in _both(_left_vectors((None, g[1]), (out[0], out[1]), a, b)).items():
            found[n] = found[n] + x if n in found else x
    return found


@op(
    name="eig",
    outputs=3,
    tell_unused=True,
    broadcasts=True,
    joint=over_stacks(_eig_both_rule, "a", "b"),
    vmap=LEADING,
    formula="the λ, and the vectors of both sides",
    gradients="a, b: the sum of those of both sides",
)
def _eig_both(a: Array, b: Array | None, check_finite: bool) -> tuple[Array, ...]:
    """What `eig` gives with `left=True`."""
    return tuple(library().eig(a, b, True, True, check_finite=check_finite))


def _eigvals_rule(g: Array, out: Array, a: Array, b: Array | None) -> dict[str, Array]:
    rule = eigen.eigvals.rules["a"]
    if b is None:
        return {"a": cast("Array", rule(g, out, a))}
    c = np.linalg.solve(b, a)
    return _both(_by_two(cast("Array", rule(g, out, c)), c, b))


@op(
    name="eigvals",
    broadcasts=True,
    joint=over_stacks(_eigvals_rule, "a", "b"),
    vmap=LEADING,
    formula="the λ with a @ v = λ · v, or a @ v = λ · b @ v",
    gradients="a, b: V⁻ᴴ · g @ Vᴴ, of b⁻¹ @ a",
)
def _eigvals(a: Array, b: Array | None, check_finite: bool) -> Array:
    """What `eigvals` gives."""
    return cast("Array", library().eigvals(a, b, check_finite=check_finite))


def _no_pairs(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name}: homogeneous_eigvals=True is not there: of the two numbers of a pair only the quotient has a derivative"
    )


def eigvals(
    a: ArrayLike, b: ArrayLike | None = None, overwrite_a: bool = False, check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Array:  # fmt: skip
    """The eigenvalues of square matrices, as `scipy.linalg.eigvals`.

    Args:
        as of `eig`.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.eigvals(tn.tensor([[2.0, 0.0], [0.0, 1.0]])).real
    Tensor([2., 1.])
    """
    if homogeneous_eigvals:
        _no_pairs("eigvals")
    return _eigvals(a, b, check_finite)


def eig(
    a: ArrayLike, b: ArrayLike | None = None, left: bool = False, right: bool = True, overwrite_a: bool = False,
    overwrite_b: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False,
) -> Array | tuple[Array, ...]:  # fmt: skip
    """The eigenvalues and vectors of square matrices, as `scipy.linalg.eig`.

    Args:
        a: (..., n, n).
        b: (..., n, n), for a @ v = λ b @ v; the identity by default. A singular one has no gradient.
        left, right: which vectors are wanted, in this order.
        overwrite_a, overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        homogeneous_eigvals: not there.

    Raises:
        LinAlgError: in backward: the matrix is defective, or the loss may depend on what it does not determine: vectors of
            equal eigenvalues, or the phases of complex vectors.

    >>> import tapenet as tn
    >>> w, v = tn.scipy.linalg.eig(tn.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> w.real
    Tensor([2., 1.])
    """
    if homogeneous_eigvals:
        _no_pairs("eig")
    if left and right:
        return _eig_both(a, b, check_finite)
    if left or right:
        return _eig(a, b, left, check_finite)
    return _eigvals(a, b, check_finite)
