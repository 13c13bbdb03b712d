"""Where a matrix has no inverse: pseudoinverses, least squares and ranks."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.linalg.factorizations import inverse_of_triangle
from tapenet.ops.linalg.matrices import adjoint, finite, in_triangle, regular, transposed
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate, real
from tapenet.ops.registry import sample
from tapenet.program import symbol_loops
from tapenet.program.low import real_of
from tapenet.program.symbols import CannotLower, provided
from tapenet.typing import Array

# -- Stein's equation --------------------------------------------------------------------------------------------


def _stein_rule(g: Array, out: Array, w: Array, e: Array) -> dict[str, Array]:
    back = stein(g, transposed(w), transposed(e))
    return {
        "r": back,
        "w": np.matmul(back, transposed(np.matmul(out, e))),
        "e": np.matmul(transposed(np.matmul(w, out)), back),
    }


_STEIN = "the largest eigenvalues of w and e have no product below 1: the sum does not converge"
#: Each step doubles the number of terms.
_STEPS = 64


def _largest(x: Array) -> Array:
    """The largest magnitude of each matrix, (..., 1, 1)."""
    return np.max(np.abs(x), axis=(-2, -1), keepdims=True)  # type: ignore[no-any-return]


def _balanced(w: Array, e: Array) -> tuple[Array, Array]:
    """`w` divided and `e` multiplied by a number, so that they are alike: powers of the larger one would overflow."""
    by = np.sqrt(_largest(w)) / np.sqrt(_largest(e))
    by = np.where(np.isfinite(by) & (by > 0), by, 1)
    return w / by, e * by


def _more(found: Array, w: Array, e: Array, going: Array) -> tuple[Array, Array]:
    """The sum with twice as many terms, and which matrices go on: each of a stack ends by its own magnitude."""
    more = np.matmul(np.matmul(w, found), e)
    found = np.where(going, found + more, found)
    return found, going & (_largest(more) > float(np.finfo(found.dtype).eps) * _largest(found))


def _converged(r: Array, found: Array, going: Array) -> tuple[Array, Any]:
    """The sum, nan where it did not converge; and whether that is so of a matrix whose first term was finite."""
    converged = ~going & np.isfinite(_largest(found))
    failed = np.any(~converged & np.all(np.isfinite(r), axis=(-2, -1), keepdims=True))
    return np.where(converged, found, math.nan), failed


def _stein_program(r: Array, w: Array, e: Array) -> object:
    """`stein` as a loop of a program."""
    builder = symbol_loops.builder_of((r, w, e))
    shape = np.broadcast_shapes(r.shape, np.matmul(np.matmul(w, r), e).shape)
    if builder is None or 0 in shape:
        raise CannotLower("a matrix without elements")
    dtype = np.result_type(r, w, e, np.float32)
    r, w, e = (x.astype(dtype) for x in (r, w, e))
    w, e = _balanced(w, e)

    def turn(values: list[Any]) -> list[Any]:
        found, w, e, going, count = values
        found, going = _more(found, w, e, going)
        return [found, np.matmul(w, w), np.matmul(e, e), going, count + 1]

    def goes_on(values: list[Any]) -> Any:
        return np.any(values[3]) & (values[4] < _STEPS)

    carry = [np.broadcast_to(r, shape), w, e, np.ones((*shape[:-2], 1, 1), bool), np.int64(0)]
    found, _, _, going, _ = symbol_loops.repeat(builder, goes_on, turn, carry, _STEPS)
    found, failed = _converged(r, found, going)
    return provided(found, failed, np.linalg.LinAlgError, _STEIN)


@op(
    joint=_stein_rule,
    lower=_stein_program,
    vmap="leading",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 0.3 * r.normal(size=(2, 2)), 0.3 * r.normal(size=(3, 3))),
        sample(r.normal(size=(2, 2, 1)), 0.3 * r.normal(size=(2, 2, 2)), 0.3 * r.normal(size=(2, 1, 1))),
    ],
)
def stein(r: Array, w: Array, e: Array) -> Array:
    """The solution x of Stein's equation x = r + w @ x @ e, the sum of all wᵖ @ r @ eᵖ.

    It serves the gradient of `pinv` where singular values are cut off.

    Args:
        r: (..., m, n).
        w: (..., m, m).
        e: (..., n, n); the largest eigenvalues of `w` and `e` have a product below 1.

    Raises:
        LinAlgError: that product is 1 or more.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.least_squares import stein
    >>> stein(tn.tensor([[1.0]]), np.array([[0.5]]), np.array([[0.5]])).numpy().round(3)
    array([[1.333]])
    """
    found, w, e = (1.0 * x for x in (r, w, e))  # powers of integers would overflow
    shape = np.broadcast_shapes(r.shape, np.matmul(np.matmul(w, found), e).shape)
    if 0 in shape:
        return np.zeros(shape, np.result_type(found, w, e))
    going = np.ones((*shape[:-2], 1, 1), bool)
    with np.errstate(all="ignore"):
        w, e = _balanced(w, e)
        for _ in range(_STEPS):
            found, going = _more(found, w, e, going)
            if not going.any():
                break
            w, e = np.matmul(w, w), np.matmul(e, e)
        found, failed = _converged(r, found, going)
    if failed:
        raise np.linalg.LinAlgError(_STEIN)
    return found


# -- the pseudoinverse -------------------------------------------------------------------------------------------


def _length(a: Array) -> Array:
    return array_like(np.linalg.matrix_norm(a, keepdims=True))


# An op, so that the derivative is 1 also where the value is set to 0.
@op(
    nondiff=("size",),
    x=lambda g: g,
    vmap="leading",
    samples=lambda r: [sample(r.normal(size=(2, 3, 2)), np.ones((2, 1, 1)))],
)
def cleared(x: Array, size: Array) -> Array:
    """The matrices `x`, with 0 for those that are rounding alone.

    Args:
        x: (..., m, n), a difference.
        size: (..., 1, 1), the magnitude of what it is a difference of.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.least_squares import cleared
    >>> cleared(tn.tensor([[1e-17, 0.0]]), np.ones((1, 1)))
    Tensor([[0., 0.]])
    """
    return np.where(_length(x) <= 100 * np.finfo(x.dtype).eps * size, np.zeros((), x.dtype), x)


def _from_lower(a: Array) -> Array:
    """The Hermitian matrix whose lower triangle is that of `a`."""
    full = np.where(np.tri(a.shape[-1], dtype=bool), a, adjoint(a))
    return 0.5 * (full + adjoint(full)) if a.dtype.kind == "c" else full  # a real diagonal


def _pinv_a(g: Array, out: Array, a: Array, hermitian: bool) -> Array:
    # Golub and Pereyra 1973: with P for out,
    # dP = -P da P + P Pᴴ daᴴ (1 - a P) + (1 - P a) daᴴ Pᴴ P as long as the rank stays the same.
    if hermitian and a.size:  # one without elements need not be square
        a = _from_lower(a)
    turned, out_h = transposed(g), adjoint(out)
    rows, columns = a.shape[-2:]
    # In an order that makes no matrix of the longer side squared.
    if rows > columns:
        d = -np.matmul(transposed(out), np.matmul(g, transposed(out)))
    else:
        d = -np.matmul(np.matmul(transposed(out), g), transposed(out))
    if type(a) is np.ndarray and _has_full_rank(a, out):  # then P a = 1, or a P = 1
        if rows > columns:
            d = d + conjugate(np.matmul(turned - np.matmul(a, np.matmul(out, turned)), np.matmul(out, out_h)))
        elif rows < columns:
            d = d + conjugate(np.matmul(np.matmul(out_h, out), turned - np.matmul(np.matmul(turned, out), a)))
    else:
        d = d + conjugate(_outside(g, out, a))
    return in_triangle(0.5 * (d + adjoint(d)), True) if hermitian and a.size else d


def _has_full_rank(a: Array, inverse: Array) -> bool:
    """Whether all matrices have full rank. The rank is the trace of the product with the pseudoinverse."""
    return bool(np.all(np.sum((inverse * transposed(a)).real, axis=(-2, -1)) > min(a.shape[-2:]) - 0.5))


def _outside(g: Array, out: Array, a: Array) -> Array:
    """The part of the gradient of a pseudoinverse that comes from beyond its rows and columns, conjugated.

    What `rest` of the matrix was cut off turns with it: then the denominators are σ² - τ² for a singular value σ that was
    kept and τ of the rest, where they are σ² without a rest; derived in docs/mathematics.md.
    """
    turned, bar, out_h = transposed(g), conjugate(g), adjoint(out)
    onto, along = np.matmul(a, out), np.matmul(out, a)
    length = _length(a)
    rest = cleared(a - np.matmul(onto, a), length * (length * _length(out)))
    rest_h = adjoint(rest)
    left = turned - np.matmul(onto, turned) + np.matmul(np.matmul(rest, bar), out_h)
    right = turned - np.matmul(turned, along) + np.matmul(np.matmul(out_h, bar), rest)
    found: Array = stein(np.matmul(np.matmul(left, out), out_h), np.matmul(rest, rest_h), np.matmul(out, out_h))
    found = found + stein(np.matmul(out_h, np.matmul(out, right)), np.matmul(out_h, out), np.matmul(rest_h, rest))
    return found


def _pinv_by_rtol(a: Array, rcond: Array | None = None, hermitian: bool = False, *, rtol: object) -> Array:
    """`pinv` with its cutoff under the other name."""
    if rtol is np._NoValue:
        return pinv(a, rcond, hermitian)
    if rcond is not None:
        raise ValueError("pinv: rcond and rtol are two names of one number: give one of them")
    if rtol is None:
        a = array_like(a)
        rtol = max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    return pinv(a, rtol, hermitian)


def _pinv_lanes(batched: frozenset[str], a: Array, rcond: Array | None, hermitian: bool) -> object:
    return NotImplemented if "rcond" in batched else pinv(a, rcond, hermitian)


@op(
    more=_pinv_by_rtol,
    numpy=np.linalg.pinv,
    label="⁺",
    nondiff=("rcond",),
    a=_pinv_a,
    formula="a⁺",
    gradients="a: −Pᵀ @ g @ Pᵀ + (I − aP) gᵀPPᵀ + PᵀP gᵀ(I − Pa), P = out",
    vmap=_pinv_lanes,
    samples=lambda r: [
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), 1e-10),
        sample(regular(r, 2, 2, 2), rcond=np.array([1e-3, 1e-4])),
        sample(regular(r, 2, 2), hermitian=True),
        sample(r.normal(size=(2, 1, 2)), rtol=None),
        sample(r.normal(size=(2, 2)), rtol=1e-8),
        sample(np.empty((0, 2))),
    ],
    hint=lambda a, *_: f"a must be a matrix or a stack of them (..., m, n), not {np.shape(a)}",
)
def pinv(a: Array, rcond: Array | None = None, hermitian: bool = False) -> Array:
    """The pseudoinverse (Moore and Penrose) of a matrix, or of each in a stack.

    The gradient is that along changes of `a` which keep its rank. A matrix of full rank keeps it in every direction, and so
    does one some of whose singular values count as 0 and are not; in others a matrix of lower rank has no derivative, as its
    pseudoinverse jumps.

    Args:
        a: (..., m, n).
        rcond: singular values up to `rcond` times the largest count as 0; 1e-15 by default. May be an array, one number
            for each matrix.
        hermitian: take `a` as Hermitian, and read its lower triangle alone, which gets the whole gradient.
        rtol: another name of `rcond`; None is the precision of the dtype times the longer side.

    Returns:
        (..., n, m).

    Raises:
        LinAlgError: an element is infinite or nan, unless `hermitian`; or the iteration does not converge.

    >>> import tapenet as tn
    >>> tn.linalg.pinv(tn.tensor([[2.0, 0.0], [0.0, 0.0]]))
    Tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    return np.linalg.pinv(a if hermitian else finite(a), rcond, hermitian)


# -- least squares -----------------------------------------------------------------------------------------------


def _full_inverse(a: Array) -> Array:
    """The pseudoinverse of a matrix of full rank: by orthogonalisation, at a third of the cost of singular values."""
    if a.shape[0] < a.shape[1]:
        return adjoint(_full_inverse(adjoint(a)))
    q, r = np.linalg.qr(a)
    return array_like(np.matmul(inverse_of_triangle(r), adjoint(q)))


def _lstsq_rule(g: Array, wanted: Collection[str], out: Array, a: Array, b: Array, rcond: Array) -> dict[str, Array]:
    by_x, by_residuals, _, by_s = g
    vector = b.ndim == 1
    x = out[0]
    if vector:
        b, x, by_x = (np.expand_dims(v, -1) for v in (b, x, by_x))
    # While a step is captured the rank is a tensor, also that of a plain matrix.
    full = type(a) is type(out[2]) is np.ndarray and out[2] == min(a.shape)
    inverse = _full_inverse(a) if full else np.linalg.pinv(a, _cutoff(a.shape, rcond))
    rest = b - np.matmul(a, x)
    by_b = np.matmul(transposed(inverse), by_x)
    by_rest = 2 * conjugate(rest) * by_residuals if out[1].shape[0] else 0  # else they are not given
    found = {"b": by_b + by_rest}
    if vector:
        found["b"] = found["b"][..., 0]
    if "a" in wanted:
        if full:
            # As the rule of `pinv`, which is x for b = 1.
            turned, inverse_h = transposed(by_x), adjoint(inverse)
            onto = np.matmul(turned, inverse)
            outside = np.matmul(rest, np.matmul(onto, inverse_h)) + np.matmul(
                np.matmul(inverse_h, x), turned - np.matmul(onto, a)
            )
            by_a = conjugate(outside) - np.matmul(by_b, transposed(x))
        else:
            by_a = _pinv_a(np.matmul(by_x, transposed(b)), inverse, a, False)
        if out[1].shape[0]:
            by_a = by_a - np.matmul(by_rest, transposed(x))
        if type(by_s) is not np.ndarray or by_s.any():
            u, _, vh = np.linalg.svd(a, full_matrices=False)
            by_a = by_a + np.matmul(conjugate(u) * by_s, conjugate(vh))
        found["a"] = by_a
    return found


def _cutoff(shape: tuple[int, ...], rcond: Array) -> float:
    """What `pinv` calls `rcond`, for that of `lstsq`. LAPACK's routine runs in float64 for any dtype, and takes what is not
    between 0 and 1 for the precision."""
    if rcond is None:
        return math.ulp(1.0) * max(shape)
    return float(rcond) if 0 < rcond < 1 else math.ulp(1.0)


#: Elements of a matrix up to which a program solves by singular values: LAPACK's own way takes less time for large ones.
_FEW = 4096


def _lstsq_program(a: Any, b: Any, rcond: Any) -> tuple[Any, ...]:
    """By singular values. Residuals are those of a matrix of full rank: nobody who reads none has the error."""
    if not 0 < a.size <= _FEW or not b.size:
        raise CannotLower("least squares with a large matrix, or one without elements")
    dtype = np.result_type(*(x.dtype if x.dtype.kind in "fc" else np.float64 for x in (a, b)))
    wide = np.result_type(dtype, np.float64)
    m, n = a.shape
    a, columns = a.astype(wide), np.reshape(b, (m, -1)).astype(wide)
    u, s, vh = np.linalg.svd(finite(a), full_matrices=False)
    kept = s > _cutoff(a.shape, rcond) * s[0]
    rank: Any = np.sum(kept, dtype=np.int32)
    x = np.matmul(adjoint(vh), np.where(kept[:, None], np.matmul(adjoint(u), columns) / s[:, None], 0))
    residuals: Any = np.zeros(0)
    if m > n:
        rest = columns - np.matmul(a, x)
        residuals = np.sum(real(rest * conjugate(rest)), axis=0)
        text = "lstsq gives no residuals for a matrix of lower rank: a program must have them always or never"
        residuals = provided(residuals, rank < n, ValueError, text)
    x = np.reshape(x, (n, *b.shape[1:]))
    return x.astype(dtype), residuals.astype(real_of(dtype)), rank, s.astype(real_of(dtype))


def _lstsq_hint(a: Array, b: Array, rcond: Array) -> str:
    left, right = np.shape(a), np.shape(b)
    return (
        f"a must be a matrix (m, n) and b (m,) or (m, k), not {left} and {right}. For stacks write "
        "np.linalg.pinv(a) @ b"
    )


@op(
    numpy=np.linalg.lstsq,
    label="least squares",
    outputs=4,
    nondiff=("rcond",),
    nondiff_outputs=(2,),
    joint=_lstsq_rule,
    lower=_lstsq_program,
    formula="x = a⁺ @ b, Σ abs(b − a @ x)², rank and singular values of a",
    gradients="a: −(by b) @ xᵀ + pinv's outer terms + U g₃ Vᵀ; b: a⁺ᵀ @ g₀ + 2 (b − ax) g₁",
    samples=lambda r: [
        sample(r.normal(size=(4, 2)), r.normal(size=4)),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 2)), 1e-8),
        sample(r.normal(size=(2, 3)), r.normal(size=2), rcond=-1),
        sample(r.normal(size=(2, 2)), r.normal(size=(2, 1))),
        sample(np.empty((0, 2)), np.empty(0)),
    ],
    hint=_lstsq_hint,
)
def lstsq(a: Array, b: Array, rcond: float | None = None) -> tuple[Array, ...]:
    """The x that makes |b - a @ x| smallest, and the smallest such x where there are several.

    The gradient is that along changes of `a` which keep its rank, as for `pinv`: it is the derivative where `a` has full
    rank of columns or rows; a matrix of lower rank has none in other directions, as x jumps.

    Args:
        a: (m, n).
        b: (m,) or (m, k).
        rcond: singular values up to `rcond` times the largest count as 0; by default the precision of float64 times the
            longer side, for -1 the precision alone.

    Returns:
        x (n,) or (n, k); the sums of squared residuals (1,) or (k,), empty if `a` has not full column rank or m <= n;
        the rank, without gradient; and the singular values of `a`.

    Raises:
        LinAlgError: the shapes do not fit, or an element of `a` is infinite or nan.

    >>> import tapenet as tn
    >>> x, residuals, rank, s = tn.linalg.lstsq(tn.tensor([[1.0], [1.0]]), tn.tensor([1.0, 3.0]))
    >>> x, residuals, rank.item()
    (Tensor([2.]), Tensor([2.]), 1)
    """
    x, residuals, rank, s = np.linalg.lstsq(finite(a), b, rcond)
    return x, residuals, np.asarray(rank), s


def _rank_lanes(A: Array, tol: Array | None, hermitian: bool, rtol: Array | None) -> object:
    """Of a vector the rank is a number, of two axes that of one matrix."""
    return NotImplemented if A.ndim < 3 else matrix_rank(A, tol, hermitian, rtol=rtol)


@op(
    numpy=np.linalg.matrix_rank,
    label="rank",
    nondiff=("A",),
    vmap=_rank_lanes,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(np.ones((2, 3, 3)), 0.5),
        sample(np.eye(2), hermitian=True),
        sample(np.diag([1.0, 1e-5]), rtol=1e-3),
        sample(np.zeros(3)),
    ],
)
def matrix_rank(A: Array, tol: Array | None = None, hermitian: bool = False, *, rtol: Array | None = None) -> Array:
    """The rank of a matrix, or of each in a stack. Returns a tensor without gradient.

    Args:
        A: (..., m, n); of a vector the rank is whether it is not 0.
        tol: singular values up to this one count as 0.
        hermitian: take `A` as Hermitian, which is faster.
        rtol: `tol` over the largest singular value; by default the precision of the dtype times the longer side.

    >>> import tapenet as tn
    >>> tn.linalg.matrix_rank(tn.tensor([[1.0, 2.0], [2.0, 4.0]])).item()
    1
    """
    return array_like(np.linalg.matrix_rank(A, tol, hermitian, rtol=rtol))
