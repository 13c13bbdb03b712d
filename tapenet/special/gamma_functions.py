"""Gamma and beta functions, complete and incomplete.

References: NIST Digital Library of Mathematical Functions, chapters 5 and 8.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.special.zeta_functions import psi, psi_difference
from tapenet.typing import Array

gamma = special("gamma", "out psi(x)", x=lambda g, out, x: g * out * psi(x))
gammaln = special("gammaln", "psi(x)", x=lambda g, x: g * psi(x))
loggamma = special("loggamma", "psi(x)", x=lambda g, x: g * psi(x))


def _rgamma_slope(x: Array) -> Array:
    """That of 1/Γ, also where psi and Γ are infinite: left of 1/2 that of Γ(1 - x) sin(πx) / π."""
    if x.dtype.kind == "c":
        return cast("Array", -rgamma(x) * psi(x))
    left = x < 0.5
    y = 1 - np.where(left, x, 0)
    turn = np.where(left, x, 0) % 2 * math.pi
    found: Array = np.where(
        left,
        gamma(y) * (np.cos(turn) - psi(y) * np.sin(turn) / math.pi),
        -rgamma(np.where(left, 1, x)) * psi(np.where(left, 1, x)),
    )
    return found


def _pole(x: Array) -> Array:
    """Whether Γ has a pole."""
    return cast("Array", (x <= 0) & (x == np.floor(x)))


rgamma: Op = special("rgamma", "-out psi(x), and its limit at poles of Γ", x=lambda g, x: g * _rgamma_slope(x))
gammasgn = special("gammasgn", "0", x=lambda g: 0 * g)


def _beta_slope(out: Array, x: Array, y: Array) -> Array:
    """out (psi(x) - psi(x + y)), and as that of a product where out = 0, at a pole of psi."""
    at = _pole(x + y)
    x_, y_ = np.where(at, x, 1), np.where(at, y, 1)
    limit = gamma(x_) * gamma(y_) * (psi(x_) * rgamma(x_ + y_) + _rgamma_slope(x_ + y_))
    return cast("Array", np.where(at, limit, -out * psi_difference(np.where(at, 1, x), np.where(at, 1, y))))


beta = special(
    "beta", "out (psi(x) - psi(x + y)); the same by y",
    x=lambda g, out, x, y: g * _beta_slope(out, x, y), y=lambda g, out, x, y: g * _beta_slope(out, y, x),
)  # fmt: skip
betaln = special(
    "betaln", "psi(x) - psi(x + y); the same by y",
    x=lambda g, x, y: -g * psi_difference(x, y), y=lambda g, x, y: -g * psi_difference(y, x),
)  # fmt: skip
binom = special(
    "binom", "out (psi(x + 1) - psi(x - y + 1)); out (psi(x - y + 1) - psi(y + 1))",
    x=lambda g, out, x, y: g * _binom_by_n(out, x, y), y=lambda g, out, x, y: g * _binom_by_k(out, x, y),
)  # fmt: skip


def _binom_by_n(out: Array, n: Array, k: Array) -> Array:
    at = _pole(n - k + 1) & ~_pole(n + 1)
    n_, k_ = np.where(at, n, 1), np.where(at, k, 1)
    limit = gamma(n_ + 1) * rgamma(k_ + 1) * (psi(n_ + 1) * rgamma(n_ - k_ + 1) + _rgamma_slope(n_ - k_ + 1))
    return cast("Array", np.where(at, limit, out * psi_difference(np.where(at, 1, n - k + 1), np.where(at, 1, k))))


def _binom_by_k(out: Array, n: Array, k: Array) -> Array:
    at = (_pole(n - k + 1) | _pole(k + 1)) & ~_pole(n + 1)
    n_, k_ = np.where(at, n, 1), np.where(at, k, 1)
    first, last = _rgamma_slope(k_ + 1) * rgamma(n_ - k_ + 1), rgamma(k_ + 1) * _rgamma_slope(n_ - k_ + 1)
    limit = gamma(n_ + 1) * (first - last)
    return cast("Array", np.where(at, limit, out * (psi(np.where(at, 0, n - k) + 1) - psi(np.where(at, 1, k) + 1))))


poch = special(
    "poch", "out (psi(x + y) - psi(x)); out psi(x + y)",
    x=lambda g, out, x, y: g * _poch_by_start(out, x, y), y=lambda g, out, x, y: g * out * psi(x + y),
)  # fmt: skip


def _poch_by_start(out: Array, x: Array, m: Array) -> Array:
    """out (psi(x + m) - psi(x)), and what it is at poles of one of these, or of both."""
    start, end = _pole(x), _pole(x + m)
    alone, both = start & ~end, start & end
    x_, end_ = np.where(alone, x, 1), np.where(alone, x + m, 1)
    limit = gamma(end_) * (psi(end_) * rgamma(x_) + _rgamma_slope(x_))
    # Where both are infinite, the difference is that of the reflected ones.
    first = np.where(both, 1 - x, np.where(alone, 1, x))
    gain = psi_difference(first, np.where(both, -m, np.where(alone, 1, m)))
    return cast("Array", np.where(alone, limit, out * gain))


def multigammaln(a: Array, d: int) -> Array:
    """`scipy.special.multigammaln`: the logarithm of the multivariate gamma function, of `d` dimensions, element by element.

    >>> import tapenet as tn
    >>> tn.special.multigammaln(tn.tensor([2.0]), 1)
    Tensor([0.])
    """
    return cast("Array", ops.add(sum(gammaln(a - j / 2) for j in range(d)), d * (d - 1) / 4 * math.log(math.pi)))
