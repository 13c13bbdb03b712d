"""Polynomials by their coefficients, the highest power first, as `np.poly1d` and its kin have them.

`np.poly1d` itself is a class, whose objects hold arrays only: give the functions tensors of coefficients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.calculus.sampled import convolve_rule
from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.basic import zmul
from tapenet.ops.op import Op, op
from tapenet.ops.registry import sample


def _row(p: Any) -> Any:
    """Coefficients as an array of one axis."""
    p = array_like(p)
    return p if p.shape else np.reshape(p, (1,))


def _falling(n: int, dtype: Any) -> Any:
    """n, n - 1, ..., 1 in a dtype that does not widen coefficients of the given one."""
    found: Any = np.arange(n, 0, -1)
    return found.astype(dtype) if np.dtype(dtype).kind in "fc" else found


# -- arithmetic --------------------------------------------------------------------------------------------------


def _lined_up(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Two polynomials with equally many coefficients, the shorter with zeros in front."""
    a1, a2 = _row(a1), _row(a2)
    n = max(a1.shape[0], a2.shape[0])
    first, second = (np.concatenate([np.zeros(n - p.shape[0], p.dtype), p]) if p.shape[0] < n else p for p in (a1, a2))
    return first, second


def _last(g: Any, shape: tuple[int, ...]) -> Any:
    """The gradient by coefficients of a given shape, which are the last of those that `g` is for."""
    if not shape:
        return g[-1]
    return g[g.shape[0] - shape[0] :]


def _sum_of_two(numpy: Any, sign: Any, combine: Any, summary: str, formula: str, gradients: str, example: str) -> Op:
    made: Op = op(
        lambda a1, a2: numpy(a1, a2),
        name=numpy.__name__,
        numpy=numpy,
        lower=lambda a1, a2: combine(*_lined_up(a1, a2)),
        a1=lambda g, a1_shape: _last(g, a1_shape),
        a2=lambda g, a2_shape: sign(_last(g, a2_shape)),
        formula=formula,
        gradients=gradients,
        doc=f"""{summary} of two polynomials.

    Args:
        a1, a2: coefficients, the highest power first.

    Returns:
        as many coefficients as the longer has.

    Raises:
        ValueError: shapes of more than one axis.

    >>> import tapenet as tn
    >>> tn.{example}
    """,
        samples=lambda r: [
            sample(r.normal(size=2), r.normal(size=4)),
            sample(r.normal(size=3), r.normal(size=())),
            sample(r.normal(size=()), r.normal(size=2)),
            sample(r.normal(size=0), r.normal(size=2)),
        ],
        mend=lambda a1, a2: f"a1 and a2 must be numbers or have one axis, not {np.shape(a1)} and {np.shape(a2)}",
    )
    made.__module__ = __name__
    return made


polyadd = _sum_of_two(
    np.polyadd, lambda g: g, lambda a, b: a + b, "The sum", "a1 + a2, the shorter with zeros in front", "a1: g; a2: g",
    "polyadd(tn.tensor([1.0, 2.0]), [9.0, 5.0, 4.0])\n    Tensor([9., 6., 6.])",
)  # fmt: skip
polysub = _sum_of_two(
    np.polysub, lambda g: -g, lambda a, b: a - b, "The difference", "a1 − a2, the shorter with zeros in front",
    "a1: g; a2: −g", "polysub(tn.tensor([2.0, 10.0, -2.0]), [3.0, 10.0, -4.0])\n    Tensor([-1.,  0.,  2.])",
)  # fmt: skip


def _padded(g: Any, n: int) -> Any:
    """The gradient by the last coefficients as one by n of them, with zeros for those that were left out in front."""
    length = g.shape[0]
    return g[length - n :] if length >= n else np.concatenate([np.zeros(n - length, g.dtype), g])


def _size(shape: tuple[int, ...]) -> int:
    return shape[0] if shape else 1


def _polymul_rule(g: Any, other: Any, shape: tuple[int, ...]) -> Any:
    return convolve_rule(_padded(g, _size(shape) + np.size(other) - 1), other, shape, "full")


polymul = op(
    lambda a1, a2: np.polymul(a1, a2),
    name="polymul",
    numpy=np.polymul,
    a1=lambda g, a1_shape, a2: _polymul_rule(g, a2, a1_shape),
    a2=lambda g, a1, a2_shape: _polymul_rule(g, a1, a2_shape),
    formula="a1 convolved with a2",
    gradients="a1: g convolved with a2 reversed; a2: g convolved with a1 reversed",
    doc="""The product of two polynomials. Zeros in front are left out of the result, as NumPy does.

    Args:
        a1, a2: coefficients, the highest power first.

    >>> import tapenet as tn
    >>> tn.polymul(tn.tensor([1.0, 2.0]), [1.0, -2.0])
    Tensor([ 1.,  0., -4.])
    """,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=2)),
        sample(r.normal(size=2), r.normal(size=())),
    ],
    mend=lambda a1, a2: f"a1 and a2 must be numbers or have one axis, not {np.shape(a1)} and {np.shape(a2)}",
)


def _polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    q, r = np.polydiv(u, v)
    # NumPy leaves out the zeros in front, but not where rounding, as of float32, has made them something else.
    return q, r[-max(np.size(v) - 1, 1) :]


def _polydiv_rule(g: Any, wanted: Any, out: Any, u: Any, v: Any) -> dict[str, Any]:
    # u = q v + r. Its upper coefficients give q, by back substitution; the lower ones, less those of q v, are r. The
    # gradient by the upper ones is then a substitution in the other direction, which is a division too.
    count, row = np.size(u), np.reshape(v, (-1,))
    degree = row.shape[0] - 1
    divided = count > degree
    low = _padded(g[1], degree if divided else count)
    by_u = low
    if divided:
        high = g[0] - convolve_rule(_padded(low, count), row, g[0].shape, "full")
        high = np.flip(np.polydiv(np.concatenate([np.flip(high), np.zeros(degree, high.dtype)]), row)[0])
        by_u = np.concatenate([high, low])
    found = {}
    if "u" in wanted:
        found["u"] = np.reshape(by_u, np.shape(u))
    if "v" in wanted:  # without a quotient r is u
        found["v"] = -convolve_rule(by_u, out[0], np.shape(v), "full") if divided else np.zeros_like(v)
    return found


polydiv = op(
    _polydiv,
    name="polydiv",
    numpy=np.polydiv,
    outputs=2,
    joint=_polydiv_rule,
    formula="q and r with u = q · v + r, the degree of r below that of v",
    gradients="u: g₀ − vᵀg₁ divided by v from the end, above g₁; v: −(g by u) convolved with q reversed",
    doc="""Division with remainder.

    The remainder has no zeros in front, as NumPy does it: the values decide how long it is.

    Args:
        u: coefficients of the dividend, the highest power first.
        v: coefficients of the divisor, the first not 0.

    Returns:
        the coefficients of the quotient and of the remainder.

    >>> import tapenet as tn
    >>> tn.polydiv(tn.tensor([3.0, 5.0, 2.0]), [2.0, 1.0])
    (Tensor([1.5 , 1.75]), Tensor([0.25]))
    """,
    samples=lambda r: [
        sample(r.normal(size=5), np.array([1.5, -0.7, 0.4])),
        sample(r.normal(size=2), np.array([1.5, -0.7, 0.4])),
        sample(r.normal(size=3), np.array([1.5, 0.6, 0.4])),
        sample(r.normal(size=3), np.array(1.5)),
        sample(r.normal(size=()), np.array(1.5)),
    ],
    mend=lambda u, v: f"u and v must be numbers or have one axis, not {np.shape(u)} and {np.shape(v)}",
)

# -- values, derivatives, integrals ------------------------------------------------------------------------------


def _check_coefficients(name: str, p: Any) -> None:
    if len(p.shape) != 1:
        raise (ValueError if p.shape else TypeError)(f"{name}: p must have one axis, not shape {p.shape}")


@derived(
    numpy=np.polyder,
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=4), 2),
        sample(r.normal(size=2), m=3),
        sample(r.normal(size=2), 0),
    ],
)
def polyder(p: Any, m: int = 1) -> Any:
    """The coefficients of the m-th derivative of a polynomial.

    Args:
        p: coefficients, the highest power first.
        m: how often to differentiate.

    Raises:
        ValueError: `m` is negative, or `p` has several axes.
        TypeError: `p` has none.

    >>> import tapenet as tn
    >>> tn.polyder(tn.tensor([1.0, 1.0, 1.0, 1.0]))
    Tensor([3., 2., 1.])
    """
    p, m = array_like(p), int(m)
    if m < 0:
        raise ValueError(f"polyder: m must be 0 or more, not {m}; see polyint for integrals")
    if not m:
        return p
    _check_coefficients("polyder", p)
    for _ in range(m):
        p = p[:-1] * _falling(max(p.shape[0] - 1, 0), p.dtype)
    return p


def _divisors(n: int, m: int, dtype: Any) -> tuple[Any, Any]:
    """By what m integrations divide n coefficients, and the constants that each of them adds."""
    by_p = np.arange(float(n), 0, -1)
    if m == 1:
        return by_p.astype(dtype), 1.0
    for i in range(1, m):
        by_p = by_p * np.arange(float(n + i), i, -1)
    by_k = np.cumprod(np.maximum(np.arange(float(m)), 1))[::-1]
    return by_p.astype(dtype), by_k.astype(dtype)


def _integrated(p: Any, k: Any, m: int) -> Any:
    by_p, by_k = _divisors(p.shape[0], m, p.dtype if p.dtype.kind in "fc" else np.float64)
    return np.concatenate([p / by_p, (k[:m] if k.shape[0] > 1 else k) / by_k])


def _integrated_k(g: Any, p_shape: Any, k_shape: Any, m: int) -> Any:
    _, by_k = _divisors(p_shape[0], m, g.dtype)
    found = g[p_shape[0] :] / by_k
    if k_shape[0] == 1:
        return np.sum(found, keepdims=True)
    return np.concatenate([found, np.zeros(k_shape[0] - m, found.dtype)]) if k_shape[0] > m else found


integrated = op(
    _integrated,
    name="integrated",
    label="polyint",
    p=lambda g, p_shape, m: g[: p_shape[0]] / _divisors(p_shape[0], m, g.dtype)[0],
    k=_integrated_k,
    formula="p[i] · j!/(j + m)! for its power j, then k[i]/(m − 1 − i)!",
    gradients="p: g[i] · j!/(j + m)!; k: g[n + i]/(m − 1 − i)!",
    doc="""What `polyint` gives for a polynomial and constants that are arrays.

    Args:
        p: (n,) coefficients, the highest power first.
        k: (1,) a constant of integration for all, or one for each, in order of integration.
        m: how often to integrate, 1 or more.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.polynomials import integrated
    >>> integrated(tn.tensor([3.0, 2.0]), np.array([7.0]), 1)
    Tensor([1.5, 2. , 7. ])
    """,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=1), 1),
        sample(r.normal(size=2), r.normal(size=3), 3),
        sample(r.normal(size=2), r.normal(size=1), 3),
        sample(r.normal(size=0), r.normal(size=4), 2),
    ],
)


@derived(
    numpy=np.polyint,
    samples=lambda r: [
        sample(r.normal(size=3)),
        sample(r.normal(size=3), 2, r.normal(size=2)),
        sample(r.normal(size=2), 2, r.normal(size=1)),
        sample(r.normal(size=2), 1, r.normal(size=())),
        sample(r.normal(size=3), m=2, k=[6.0, 5.0]),
        sample(r.normal(size=2), 0),
    ],
)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The coefficients of the m-th antiderivative of a polynomial.

    Args:
        p: coefficients, the highest power first.
        m: how often to integrate.
        k: the constants of integration in order of integration, or one for all; 0 by default. Numbers do not widen a
            float32 `p`.

    Raises:
        ValueError: `m` is negative, `p` has several axes, or there are constants for fewer integrations than `m`.
        TypeError: `p` has no axis.

    >>> import tapenet as tn
    >>> tn.polyint(tn.tensor([3.0, 2.0]), k=7.0)
    Tensor([1.5, 2. , 7. ])
    """
    p, m = array_like(p), int(m)
    if m < 0:
        raise ValueError(f"polyint: m must be 0 or more, not {m}; see polyder for derivatives")
    if not m:
        return p
    _check_coefficients("polyint", p)
    weak = not hasattr(k, "dtype")
    k = _row(0.0 if k is None else k)
    if k.shape[0] < m and k.shape[0] != 1:
        raise ValueError(f"polyint: {k.shape[0]} constants for {m} integrations; give {m}, or one for all")
    dtype = p.dtype if p.dtype.kind in "fc" else np.float64
    return integrated(p, k.astype(dtype) if weak and k.dtype.kind in "iuf" else k, m)


def _horner(p: Any, x: Any) -> Any:
    found = np.zeros_like(x)
    for c in p:
        found = found * x + c
    return found


def _horner_p(g: Any, p_shape: tuple[int, ...], x: Any) -> Any:
    found = []
    for _ in range(p_shape[0]):
        found.append(np.sum(g))
        g = g * x
    return np.stack(found[::-1]) if found else np.zeros(0, g.dtype)


horner: Op = op(
    _horner,
    name="horner",
    label="polyval",
    p=_horner_p,
    x=lambda g, p, x: g * horner(polyder(p), x),
    formula="Σ p[i] · xⁿ⁻ⁱ",
    gradients="p: Σ g · xⁿ⁻ⁱ; x: g · p′(x)",
    doc="""The values of a polynomial given by an array, by Horner's rule.

    Args:
        p: (n + 1,) coefficients, the highest power first.
        x: where to evaluate, an array of any shape.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.polynomials import horner
    >>> horner(np.array([3.0, 0.0, 1.0]), tn.tensor(5.0))
    Tensor(76.)
    """,
    samples=lambda r: [sample(r.normal(size=3), r.normal(size=(2, 2))), sample(np.array([2.0]), np.array(3.0))],
)


@derived(
    numpy=np.polyval,
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=(2, 2))),
        sample(r.normal(size=4), r.normal(size=())),
        sample(r.normal(size=0), r.normal(size=2)),
        sample([2.0, 0.5], r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
    ],
)
def polyval(p: Any, x: Any) -> Any:
    """The values of a polynomial, by Horner's rule.

    Args:
        p: coefficients, the highest power first; numbers in a list do not widen a float32 `x`.
        x: where to evaluate, an array of any shape.

    Returns:
        an array of the shape of `x`.

    >>> import tapenet as tn
    >>> tn.polyval(tn.tensor([3.0, 0.0, 1.0]), 5.0)
    Tensor(76.)
    """
    x = array_like(x)
    if isinstance(p, (list, tuple)):
        if any(hasattr(c, "dtype") or isinstance(c, (list, tuple)) for c in p):
            return _horner(p, x)
        p = np.array(p, np.result_type(x.dtype, *p) if x.dtype.kind in "fc" else None)
    p = array_like(p)
    return horner(p, x) if p.ndim == 1 else _horner(p, x)


# -- powers ------------------------------------------------------------------------------------------------------


def _powers(x: Any, n: int, increasing: bool = False) -> Any:
    out = np.empty((*x.shape, n), x.dtype if x.dtype.kind in "fc" else np.promote_types(x.dtype, int))
    rising = out if increasing else out[..., ::-1]
    rising[..., :1] = 1
    rising[..., 1:] = x[..., None]
    np.multiply.accumulate(rising[..., 1:], -1, out=rising[..., 1:])
    return out


def _powers_lowered(x: Any, n: int, increasing: bool = False) -> Any:
    exponents = _falling(n, x.dtype) - 1
    return np.expand_dims(x, -1) ** (np.flip(exponents) if increasing else exponents)


def _powers_x(g: Any, x: Any, n: int, increasing: bool) -> Any:
    exponents = _falling(max(n - 1, 0), x.dtype)
    slopes = powers(x, len(exponents), increasing)
    slopes = slopes * (np.flip(exponents) if increasing else exponents)
    return np.sum(zmul(g[..., 1:] if increasing else g[..., :-1], slopes), -1)


powers: Op = op(
    _powers,
    name="powers",
    lower=_powers_lowered,
    x=_powers_x,
    formula="xⁿ⁻¹, …, x, 1",
    gradients="x: Σ g[j] · j · xʲ⁻¹ over the powers j",
    doc="""The powers n - 1 to 0 of each element of `x`, along a new last axis.

    Args:
        x: an array of any shape.
        n: how many powers.
        increasing: from x⁰ up, rather than down to it.

    Returns:
        (..., n).

    >>> import tapenet as tn
    >>> from tapenet.ops.calculus.polynomials import powers
    >>> powers(tn.tensor(3.0), 3)
    Tensor([9., 3., 1.])
    """,
    samples=lambda r: [
        sample(r.normal(size=3), 4),
        sample(r.normal(size=(2, 2)), 3, True),
        sample(np.array([0.0, 1.5]), 2),
        sample(r.normal(size=()), 1),
        sample(r.normal(size=2), 0),
    ],
)

# -- roots -------------------------------------------------------------------------------------------------------


def _roots(p: Any) -> Any:
    found = np.roots(p)
    # NumPy's are float64 where all are 0 or there is none.
    return found.astype(np.float32) if getattr(p, "dtype", None) == np.float32 and found.dtype.kind == "f" else found


def _roots_p(g: Any, out: Any, p: Any) -> Any:
    # Along p(r) = 0 a change dp of the coefficients moves r by -dp(r) / p'(r).
    row = np.reshape(p, (-1,))
    n = row.shape[0]
    moved = -zmul(g, 1 / polyval(polyder(row), out))  # these, since NumPy's own widen float32
    return np.reshape(np.sum(zmul(np.expand_dims(moved, -1), powers(out, n)), axis=0), p.shape)


roots = op(
    _roots,
    name="roots",
    numpy=np.roots,
    p=_roots_p,
    formula="the r with p(r) = 0",
    gradients="p: −Σ g · rⁿ⁻ⁱ / p′(r) over the roots r",
    doc="""The roots of a polynomial, from the eigenvalues of its companion matrix.

    Complex, unless all of them are real. Zeros in front of `p` lower the degree. The gradient by a coefficient is that of
    where the roots are; at a multiple root it is infinite.

    Args:
        p: coefficients, the highest power first.

    Returns:
        the roots, as many as the degree of the polynomial.

    Raises:
        ValueError: `p` has several axes.

    >>> import tapenet as tn
    >>> tn.roots(tn.tensor([1.0, 0.0, -4.0]))
    Tensor([-2.,  2.])
    """,
    samples=lambda r: [
        sample(np.array([2.0, -1.0, -4.0, 0.5])),
        sample(np.array([1.0, 0.3, 2.0])),
        sample(np.array([1.5, -0.7, 0.0])),
        sample(np.array([3.0])),
    ],
    mend=lambda p: f"p must have one axis, not shape {np.shape(p)}",
)


def _poly_rule(g: Any, out: Any, seq_of_zeros: Any) -> Any:
    if isinstance(seq_of_zeros, (list, tuple)):
        return tuple(_poly_rule(g, out, np.stack(seq_of_zeros)))
    zeros = seq_of_zeros
    n = zeros.shape[0]
    if zeros.ndim == 2:
        return _characteristic_rule(g, out, zeros)
    if not n:
        return np.zeros_like(zeros)
    before = [np.ones(1, zeros.dtype)]  # before[k]: the product of the first k factors
    nothing = np.zeros(1, zeros.dtype)
    for k in range(n - 1):
        c = before[-1]
        before.append(np.concatenate([c, nothing]) - zeros[k] * np.concatenate([nothing, c]))
    found = []
    for k in range(n - 1, -1, -1):
        found.append(-np.sum(g[1:] * before[k]))
        g = g[:-1] - zeros[k] * g[1:]
    return np.stack(found[::-1])


def _characteristic_rule(g: Any, out: Any, a: Any) -> Any:
    # The derivative of det(λ - a) is -tr(adj(λ - a) da), where adj(λ - a) is a polynomial in λ with coefficients b,
    # a matrix each: b[0] = 1, b[k] = a b[k-1] + out[k]. Eigenvalues that coincide are no exception.
    n = a.shape[0]
    one = np.eye(n, dtype=a.dtype)
    b = one
    found = g[1] * b
    for k in range(1, n):
        b = np.matmul(a, b) + out[k] * one
        found = found + g[k + 1] * np.transpose(b)
    return -found


poly = op(
    lambda seq_of_zeros: np.asarray(np.poly(seq_of_zeros)),
    name="poly",
    numpy=np.poly,
    seq_of_zeros=_poly_rule,
    formula="the coefficients of Π (λ − r), or of det(λ − seq_of_zeros)",
    gradients="seq_of_zeros: −Σ g · coefficients without that factor",
    doc="""The polynomial with given roots, or the characteristic polynomial of a square matrix; its first coefficient is 1.

    Real where the roots are real or in conjugate pairs, as NumPy does it. The gradient by a matrix is right also where
    eigenvalues coincide.

    Args:
        seq_of_zeros: (n,) the roots, or a matrix (n, n).

    Returns:
        (n + 1,) the coefficients, the highest power first.

    Raises:
        ValueError: neither one axis nor a square matrix.

    >>> import tapenet as tn
    >>> tn.poly(tn.tensor([2.0, 3.0]))
    Tensor([ 1., -5.,  6.])
    """,
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=(3, 3))),
        sample(r.normal(size=3) + 1j * r.normal(size=3)),
    ],
    mend=lambda seq_of_zeros: f"give roots (n,) or a square matrix, not shape {np.shape(seq_of_zeros)}",
)
