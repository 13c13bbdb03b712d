"""Where a matrix has no inverse: pseudoinverses and least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.linalg import decompositions, least_squares
from tapenet.ops.linalg.matrices import adjoint, transposed
from tapenet.ops.op import op
from tapenet.scipy.linalg.definition import LEADING, column, library, over_stacks
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _pinv_gradient(g: Array, out: Array, a: Array, hermitian: bool = False) -> Array:
    return cast("Array", least_squares.pinv.rules["a"](g, out, a, hermitian))


@op(
    name="pinv",
    outputs=2,
    nondiff_outputs=(1,),
    sequences=(),
    a=lambda g, out, a: _pinv_gradient(g[0], out[0], a),
    vmap=LEADING,
    formula="the pseudoinverse, and the rank",
    gradients="a: as of tn.linalg.pinv",
)
def _pinv_and_rank(a: Array, atol: float | None, rtol: float | None, check_finite: bool) -> tuple[Array, ...]:
    """What `pinv` gives with `return_rank=True`."""
    made, rank = library().pinv(a, atol=atol, rtol=rtol, return_rank=True, check_finite=check_finite)
    return made, np.asarray(rank)


@op(
    name="pinv",
    sequences=(),
    a=_pinv_gradient,
    vmap=LEADING,
    formula="the pseudoinverse",
    gradients="a: as of tn.linalg.pinv",
)
def _pinv(a: Array, atol: float | None, rtol: float | None, check_finite: bool) -> Array:
    """What `pinv` gives."""
    return cast("Array", library().pinv(a, atol=atol, rtol=rtol, check_finite=check_finite))


def pinv(
    a: ArrayLike, *, atol: float | None = None, rtol: float | None = None, return_rank: bool = False,
    check_finite: bool = True,
) -> Array | tuple[Array, ...]:  # fmt: skip
    """The pseudoinverse of matrices, as `scipy.linalg.pinv`. The gradient keeps the rank, as that of `tn.linalg.pinv`.

    Args:
        a: (..., m, n).
        atol, rtol: singular values up to atol + rtol times the largest count as 0; by default atol is 0 and rtol the precision
            times the longer side.
        return_rank: whether the rank is wanted too.
        check_finite: whether infinite and nan are an error.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.pinv(tn.tensor([[2.0, 0.0], [0.0, 0.0]]))
    Tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    return _pinv_and_rank(a, atol, rtol, check_finite) if return_rank else _pinv(a, atol, rtol, check_finite)


def _pinvh_rule(g: tuple[Array, ...], out: tuple[Array, ...], a: Array, lower: bool) -> Array:
    if lower:
        return _pinv_gradient(g[0], out[0], a, True)
    return adjoint(_pinv_gradient(g[0], out[0], adjoint(a), True))


@op(
    name="pinvh",
    outputs=2,
    nondiff_outputs=(1,),
    sequences=(),
    a=_pinvh_rule,
    vmap=LEADING,
    formula="the pseudoinverse of Hermitian matrices, and the rank",
    gradients="a: as of tn.linalg.pinv, in the triangle that is read",
)
def _pinvh(a: Array, atol: float | None, rtol: float | None, lower: bool, check_finite: bool) -> tuple[Array, ...]:
    """What `pinvh` gives with `return_rank=True`."""
    made, rank = library().pinvh(a, atol=atol, rtol=rtol, lower=lower, return_rank=True, check_finite=check_finite)
    return made, np.asarray(rank)


def pinvh(
    a: ArrayLike, atol: float | None = None, rtol: float | None = None, lower: bool = True, return_rank: bool = False,
    check_finite: bool = True,
) -> Array | tuple[Array, ...]:  # fmt: skip
    """The pseudoinverse of Hermitian matrices, as `scipy.linalg.pinvh`.

    Args:
        a: (..., n, n); one triangle is read, and it alone has a gradient.
        atol, rtol, return_rank, check_finite: as of `pinv`.
        lower: which triangle is read.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.pinvh(tn.tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    made, rank = _pinvh(a, atol, rtol, lower, check_finite)
    return (made, rank) if return_rank else made


def _lstsq_rule(
    g: tuple[Array | None, ...], out: tuple[Array, ...], a: Array, b: Array, cond: float | None
) -> dict[str, Array]:
    """x = P @ b with the pseudoinverse P; then what comes from the residuals |b - a @ x|², and from the singular values."""
    vector = b.ndim == 1
    by_x, by_residuals, _, by_s = g
    x = column(out[0], vector)
    b = column(b, vector)
    cond = float(np.finfo(a.dtype).eps) if cond is None else cond
    found = {"a": np.zeros_like(a), "b": np.zeros_like(b)}
    if by_x is not None:
        by_x = column(by_x, vector)
        inverse = _pinv(a, None, cond, True)
        found["b"] = np.matmul(transposed(inverse), by_x)
        found["a"] = _pinv_gradient(np.matmul(by_x, transposed(b)), inverse, a)
    if by_residuals is not None and out[1].shape[-1:] != (0,):
        by_residuals = np.real(by_residuals[..., None] if vector else by_residuals)  # SciPy 1.18 gives complex numbers
        by_rest = 2 * np.conj(b - np.matmul(a, x)) * by_residuals[..., None, :]
        found["b"] = found["b"] + by_rest
        found["a"] = found["a"] - np.matmul(by_rest, transposed(x))
    if by_s is not None and out[3].shape[-1]:
        found["a"] = found["a"] + decompositions.svdvals.rules["x"](by_s, a)
    if vector:
        found["b"] = found["b"][..., 0]
    return found


@op(
    name="lstsq",
    outputs=4,
    nondiff_outputs=(2,),
    tell_unused=True,
    broadcasts=True,
    joint=over_stacks(_lstsq_rule, "a", "b"),
    formula="x = a⁺ @ b, Σ abs(b − a @ x)², rank and singular values of a",
    gradients="a, b: of x by the pseudoinverse, of the residuals, of the singular values",
)
def _lstsq(a: Array, b: Array, cond: float | None, check_finite: bool, lapack_driver: str | None) -> tuple[Array, ...]:
    """What `lstsq` gives, without singular values where the driver finds none."""
    x, residuals, rank, s = library().lstsq(a, b, cond, check_finite=check_finite, lapack_driver=lapack_driver)
    return x, np.asarray(residuals), np.asarray(rank), np.empty(0) if s is None else s


def lstsq(
    a: ArrayLike, b: ArrayLike, cond: float | None = None, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, lapack_driver: str | None = None,
) -> tuple[Array, Array, Array, Array | None]:  # fmt: skip
    """The x that makes |b - a @ x| smallest, as `scipy.linalg.lstsq`. The gradient keeps the rank, as that of `pinv`.

    Args:
        a: (..., m, n).
        b: (m,) or (..., m, k).
        cond: singular values up to `cond` times the largest count as 0.
        overwrite_a, overwrite_b: not looked at: nothing is overwritten.
        check_finite: whether infinite and nan are an error.
        lapack_driver: "gelsd", "gelsy" or "gelss".

    Returns:
        x; the squared lengths of the residuals, empty if `a` has not full column rank or m <= n; the rank; the singular values
        of `a`, None for "gelsy".

    >>> import tapenet as tn
    >>> x, residuals, rank, s = tn.scipy.linalg.lstsq(tn.tensor([[1.0], [1.0]]), tn.tensor([1.0, 3.0]))
    >>> x.numpy().round(9), rank.item()
    (array([2.]), 1)
    """
    x, residuals, rank, s = _lstsq(a, b, cond, check_finite, lapack_driver)
    return x, residuals, rank, None if lapack_driver == "gelsy" else s
