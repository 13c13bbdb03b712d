"""Derivatives, integrals and values of polynomials, and the powers of numbers.

The rules of `horner` are stated: derived ones take 1.3 times as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.calculus.polynomials.arithmetic import row
from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import derive, op
from tapenet.ops.registry import sample
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _falling(n: int, dtype: DType) -> Array:
    """n, n - 1, ..., 1 in a dtype that does not widen coefficients of the given one."""
    found: Array = np.arange(n, 0, -1)
    return found.astype(dtype) if np.dtype(dtype).kind in "fc" else found


# -- derivatives and integrals -----------------------------------------------------------------------------------


def _check_coefficients(name: str, p: Array) -> None:
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
def polyder(p: ArrayLike, m: int = 1) -> Array:
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


def _divisors(n: int, m: int, dtype: DTypeLike | None) -> tuple[Array, Array | float]:
    """By what m integrations divide n coefficients, and the constants that each of them adds."""
    by_p = np.arange(float(n), 0, -1)
    if m == 1:
        return by_p.astype(dtype), 1.0
    for i in range(1, m):
        by_p = by_p * np.arange(float(n + i), i, -1)
    by_k = np.cumprod(np.maximum(np.arange(float(m)), 1))[::-1]
    return by_p.astype(dtype), by_k.astype(dtype)


def _integrated_k(g: Array, p_shape: Shape, k_shape: Shape, m: int) -> Array:
    _, by_k = _divisors(p_shape[0], m, g.dtype)
    found: Array = g[p_shape[0] :] / by_k
    if k_shape[0] == 1:
        return array_like(np.sum(found, axis=0, keepdims=True))
    return np.concatenate([found, np.zeros(k_shape[0] - m, found.dtype)]) if k_shape[0] > m else found


# Stated, as derived rules take no complex numbers.
@op(
    label="polyint",
    p=lambda g, p_shape, m: g[: p_shape[0]] / _divisors(p_shape[0], m, g.dtype)[0],
    k=_integrated_k,
    gradients="p: g[i] · j!/(j + m)!; k: g[n + i]/(m − 1 − i)!",
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=1), 1),
        sample(r.normal(size=2), r.normal(size=3), 3),
        sample(r.normal(size=2), r.normal(size=1), 3),
        sample(r.normal(size=0), r.normal(size=4), 2),
    ],
)
def integrated(p: Array, k: Array, m: int) -> Array:
    """What `polyint` gives for a polynomial and constants that are arrays.

    Args:
        p: (n,) coefficients, the highest power first.
        k: (1,) a constant of integration for all, or one for each, in order of integration.
        m: how often to integrate, 1 or more.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.polynomials.evaluation import integrated
    >>> integrated(tn.tensor([3.0, 2.0]), np.array([7.0]), 1)
    Tensor([1.5, 2. , 7. ])
    """
    by_p, by_k = _divisors(p.shape[0], m, p.dtype if p.dtype.kind in "fc" else np.float64)
    return np.concatenate([p / by_p, (k[:m] if k.shape[0] > 1 else k) / by_k])


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
def polyint(p: Array, m: int = 1, k: Array | None = None) -> Array:
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
    k = row(0.0 if k is None else k)
    if k.shape[0] < m and k.shape[0] != 1:
        raise ValueError(f"polyint: {k.shape[0]} constants for {m} integrations; give {m}, or one for all")
    dtype = p.dtype if p.dtype.kind in "fc" else np.float64
    return integrated(p, k.astype(dtype) if weak and k.dtype.kind in "iuf" else k, m)


# -- values ------------------------------------------------------------------------------------------------------


def _horner_p(g: Array, p_shape: tuple[int, ...], x: Array) -> Array:
    found = []
    for _ in range(p_shape[0]):
        found.append(np.sum(g))
        g = g * x
    return np.stack(found[::-1]) if found else np.zeros(0, g.dtype)


def _horner_x(g: Array, p: Array, x: Array) -> Array:
    return g * array_like(horner(polyder(p), x))


@op(
    label="polyval",
    p=_horner_p,
    x=_horner_x,
    gradients="p: Σ g · xⁿ⁻ⁱ",
    samples=lambda r: [sample(r.normal(size=3), r.normal(size=(2, 2))), sample(np.array([2.0]), np.array(3.0))],
)
def horner(p: Iterable[Array], x: Array) -> Array:
    """The values of a polynomial given by an array, by Horner's rule.

    Args:
        p: (n + 1,) coefficients, the highest power first.
        x: where to evaluate, an array of any shape.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.polynomials.evaluation import horner
    >>> horner(np.array([3.0, 0.0, 1.0]), tn.tensor(5.0))
    Tensor(76.)
    """
    found = np.zeros_like(x)
    for c in p:
        found = found * x + c
    return found


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
def polyval(p: ArrayLike, x: ArrayLike) -> Array:
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
            return array_like(horner.forward(p, x))
        p = np.array(p, np.result_type(x.dtype, *p) if x.dtype.kind in "fc" else None)
    p = array_like(p)
    return horner(p, x) if p.ndim == 1 else horner.forward(p, x)


# -- powers ------------------------------------------------------------------------------------------------------


@op(
    x=derive,
    gradients="x: Σ g[j] · j · xʲ⁻¹ over the powers j",
    samples=lambda r: [
        sample(r.normal(size=3), 4),
        sample(r.normal(size=(2, 2)), 3, True),
        sample(np.array([0.0, 1.5]), 2),
        sample(r.normal(size=()), 1),
        sample(r.normal(size=2), 0),
    ],
)
def powers(x: Array, n: int, increasing: bool = False) -> Array:
    """The powers n - 1 to 0 of each element of `x`, along a new last axis.

    Args:
        x: an array of any shape.
        n: how many powers.
        increasing: from x⁰ up, rather than down to it.

    Returns:
        (..., n).

    >>> import tapenet as tn
    >>> from tapenet.ops.calculus.polynomials.evaluation import powers
    >>> powers(tn.tensor(3.0), 3)
    Tensor([9., 3., 1.])
    """
    kind = x.dtype if x.dtype.kind in "fc" else np.promote_types(x.dtype, int)
    if not n:
        return np.zeros_like(x, kind, shape=(*x.shape, 0))
    found = [np.ones_like(x, kind)]
    for _ in range(n - 1):
        found.append(found[-1] * x)
    return np.stack(found if increasing else found[::-1], -1)
