"""Sums, products and quotients of polynomials."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.calculus.sampled import convolve_rule
from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.concatenation import concatenate
from tapenet.ops.shapes.reshaping import reshape
from tapenet.program import symbol_loops
from tapenet.program.symbols import CannotLower, provided
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def row(p: ArrayLike) -> Array:
    """Coefficients as an array of one axis."""
    p = array_like(p)
    return p if p.shape else reshape(p, (1,))


def _fitted(p: Array, n: int) -> Array:
    """The last `n` coefficients, with zeros in front where there are fewer."""
    have = p.shape[0]
    if have > n:
        return p[have - n :]
    return concatenate([np.zeros(n - have, p.dtype), p]) if have < n else p


def _lined_up(name: str, a1: ArrayLike, a2: ArrayLike) -> tuple[Array, Array]:
    """Two polynomials with equally many coefficients."""
    a1, a2 = row(a1), row(a2)
    if a1.ndim > 1 or a2.ndim > 1:
        raise ValueError(f"{name}: {_hint(a1, a2)}")
    n = max(a1.shape[0], a2.shape[0])
    return _fitted(a1, n), _fitted(a2, n)


def _hint(a1: Array, a2: Array) -> str:
    return f"a1 and a2 must be numbers or have one axis, not {np.shape(a1)} and {np.shape(a2)}"


def _sum_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=2), r.normal(size=4)),
        sample(r.normal(size=3), r.normal(size=())),
        sample(r.normal(size=()), r.normal(size=2)),
        sample(r.normal(size=0), r.normal(size=2)),
    ]


@derived(numpy=np.polyadd, samples=_sum_samples)
def polyadd(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The sum of two polynomials.

    Args:
        a1, a2: coefficients, the highest power first.

    Returns:
        as many coefficients as the longer has.

    Raises:
        ValueError: shapes of more than one axis.

    >>> import tapenet as tn
    >>> tn.polyadd(tn.tensor([1.0, 2.0]), [9.0, 5.0, 4.0])
    Tensor([9., 6., 6.])
    """
    a1, a2 = _lined_up("polyadd", a1, a2)
    return a1 + a2


@derived(numpy=np.polysub, samples=_sum_samples)
def polysub(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The difference of two polynomials; the arguments and errors are those of `polyadd`.

    >>> import tapenet as tn
    >>> tn.polysub(tn.tensor([2.0, 10.0, -2.0]), [3.0, 10.0, -4.0])
    Tensor([-1.,  0.,  2.])
    """
    a1, a2 = _lined_up("polysub", a1, a2)
    return a1 - a2


#: What is wrong where NumPy would leave out zeros in front.
_LENGTH = "a polynomial begins with 0: in a program its length must not depend on values"

_DIVISOR = (
    "polydiv: the divisor begins with 0, or the quotient is not finite: in a program the remainder has no length then"
)


def _polymul_rule(g: Array, other: Array, shape: tuple[int, ...]) -> Array:
    # Leading zeros are missing in the result.
    return convolve_rule(_fitted(g, math.prod(shape) + np.size(other) - 1), other, shape, "full")


def _polymul_program(a1: Array, a2: Array) -> Any:
    a1, a2 = np.reshape(a1, -1), np.reshape(a2, -1)
    product: Any = np.convolve(a1, a2)
    for a in (a1, a2):
        if a.shape[0] > 1:
            product = provided(product, a[0] == 0, ValueError, _LENGTH)
    return product


@op(
    numpy=np.polymul,
    lower=_polymul_program,
    a1=lambda g, a1_shape, a2: _polymul_rule(g, a2, a1_shape),
    a2=lambda g, a1, a2_shape: _polymul_rule(g, a1, a2_shape),
    gradients="a1: g convolved with a2 reversed; a2: g convolved with a1 reversed",
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=2)),
        sample(r.normal(size=2), r.normal(size=())),
    ],
    hint=_hint,
)
def polymul(a1: Array, a2: Array) -> Array:
    """The product of two polynomials. Zeros in front are left out of the result, as NumPy does.

    Args:
        a1, a2: coefficients, the highest power first.

    >>> import tapenet as tn
    >>> tn.polymul(tn.tensor([1.0, 2.0]), [1.0, -2.0])
    Tensor([ 1.,  0., -4.])
    """
    return np.polymul(a1, a2)


def _long_division(u: Array, v: Array) -> tuple[Array, Array]:
    """The quotient of two polynomials and what is left, as a loop of a program."""
    builder = symbol_loops.builder_of((u, v))
    degree = v.shape[0] - 1
    if builder is None or not 0 < degree < u.shape[0]:
        raise CannotLower("a division of the shorter polynomial, or by a number")
    dtype = np.result_type(u.dtype, v.dtype, 0.0)
    u, v = u.astype(dtype), v.astype(dtype)
    scale, rest = 1 / v[0], v[1:]

    def step(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        (left,), (after,) = carry, slices
        first = scale * left[0]
        return [np.concatenate([left[1:], after[None]]) - first * rest], [first]

    (left,), (quotient,) = symbol_loops.loop(builder, step, [u[:degree]], [u[degree:]], u.shape[0] - degree, False)
    return quotient, left


def _padded(u: Array, v: Array) -> Array:
    """A dividend with so many zeros behind that the quotient is as long as it was."""
    return np.concatenate([u, np.zeros(v.shape[0] - 1, u.dtype)])


def _series_rule(g: Array, wanted: Collection[str], out: Array, u: Array, v: Array) -> dict[str, Array]:
    # u is q convolved with v. Its gradient is a substitution in the other direction.
    by_u = np.flip(series_quotient(np.flip(g), v))
    found = {"u": by_u} if "u" in wanted else {}
    if "v" in wanted:
        found["v"] = -convolve_rule(concatenate([by_u, np.zeros(v.shape[0] - 1, g.dtype)]), out, v.shape, "full")
    return found


@op(
    label="÷",
    lower=lambda u, v: _long_division(_padded(u, v), v)[0] if v.shape[0] > 1 else 1 / v[0] * u,
    joint=_series_rule,
    gradients="u: g divided by v from the end; v: −(g by u) convolved with q reversed",
    samples=lambda r: [
        sample(r.normal(size=5), np.array([1.5, -0.7, 0.4])),
        sample(r.normal(size=2), np.array([1.5, -0.7, 0.4])),
        sample(r.normal(size=3), np.array([1.5])),
    ],
)
def series_quotient(u: Array, v: Array) -> Array:
    """The first coefficients of the quotient of two power series, by back substitution.

    There are as many as the dividend has, whatever the values: a remainder's number depends on them.

    Args:
        u: coefficients of the dividend, a vector, the first ones first.
        v: those of the divisor, of which the first is not 0.

    Returns:
        a vector as long as `u`.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.polynomials.arithmetic import series_quotient
    >>> series_quotient(tn.tensor([1.0, 0.0, 0.0]), np.array([1.0, -0.5]))  # 1 / (1 - x/2) = 1 + x/2 + x²/4 + ...
    Tensor([1.  , 0.5 , 0.25])
    """
    q: Array = np.polydiv(_padded(u, v), v)[0]
    return q


def _polydiv_rule(g: Array, wanted: Collection[str], u: Array, v: Array) -> dict[str, Array]:
    # u = q v + r. Its upper coefficients give q; the lower ones, less those of q v, are r. q is computed anew, since in the
    # program of a derivative `polydiv` would say what shape the remainder has.
    count, row = np.size(u), np.reshape(v, (-1,))
    degree = row.shape[0] - 1
    divided = count > degree
    low = _fitted(g[1], degree if divided else count)
    by_u = low
    if divided:
        high = g[0] - convolve_rule(_fitted(low, count), row, g[0].shape, "full")
        by_u = np.concatenate([np.flip(series_quotient(np.flip(high), row)), low])
    found = {}
    if "u" in wanted:
        found["u"] = np.reshape(by_u, np.shape(u))
    if "v" in wanted and divided:
        q = series_quotient(np.reshape(u, (-1,))[: g[0].shape[0]], row)
        found["v"] = -convolve_rule(by_u, q, np.shape(v), "full")
    elif "v" in wanted:  # r is u
        found["v"] = np.zeros_like(v)
    return found


def _polydiv_program(u: Array, v: Array) -> tuple[Array, Any]:
    q: Any
    r: Any
    v = np.reshape(v, -1)
    q, r = _long_division(np.reshape(u, -1), v)
    # Of a divisor that begins with 0, and of numbers that are not finite, NumPy's remainder is as long as the dividend.
    r = provided(r, ~(np.isfinite(q) & np.isfinite(v[0])), ValueError, _DIVISOR)
    if r.shape[0] > 1:
        r = provided(r, np.abs(r[0]) <= 1e-8, ValueError, _LENGTH)
    return q, r


@op(
    numpy=np.polydiv,
    outputs=2,
    lower=_polydiv_program,
    joint=_polydiv_rule,
    gradients="u: g₀ − vᵀg₁ divided by v from the end, above g₁; v: −(g by u) convolved with q reversed",
    samples=lambda r: [
        sample(r.normal(size=5), np.array([1.5, -0.7, 0.4])),
        sample(r.normal(size=2), np.array([1.5, -0.7, 0.4])),
        sample(r.normal(size=3), np.array([1.5, 0.6, 0.4])),
        sample(r.normal(size=3), np.array(1.5)),
        sample(r.normal(size=()), np.array(1.5)),
    ],
    hint=lambda u, v: f"u and v must be numbers or have one axis, not {np.shape(u)} and {np.shape(v)}",
)
def polydiv(u: Array, v: Array) -> tuple[Array, Array]:
    """Division with remainder.

    The remainder has no zeros in front, as NumPy does it: the values decide how long it is. Where the divisor begins with 0, or
    the quotient is not finite, it is as long as NumPy's, which may be longer than the divisor; compiled, that is a ValueError.

    Args:
        u: coefficients of the dividend, the highest power first.
        v: coefficients of the divisor, the first not 0.

    Returns:
        the coefficients of the quotient and of the remainder.

    >>> import tapenet as tn
    >>> tn.polydiv(tn.tensor([3.0, 5.0, 2.0]), [2.0, 1.0])
    (Tensor([1.5 , 1.75]), Tensor([0.25]))
    """
    q, r = np.polydiv(u, v)
    # NumPy drops leading zeros, but not what rounding leaves in their place, as in float32. What is not finite is no rounding.
    count = max(np.size(v) - 1, 1)
    if np.isfinite(r[:-count]).all():
        r = r[-count:]
    return q, r
