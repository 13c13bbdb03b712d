"""The zeta function of Riemann and Hurwitz, and the derivatives of ln Γ, which are made of it.

References: NIST Digital Library of Mathematical Functions, chapters 5 and 25.
"""

from __future__ import annotations

import contextlib
import math
from typing import cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special.cancellation import polygamma_difference
from tapenet.special.definition import on_flat, scipys, special
from tapenet.typing import Array

#: Bernoulli's numbers B(2m) over (2m)!.
_BERNOULLI = [
    number / math.factorial(2 * m + 2)
    for m, number in enumerate(
        (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
    )
]


def _times(a: list[Array], b: list[Array]) -> list[Array]:
    """The product of two series in the increment of x."""
    return [cast("Array", sum(a[i] * b[k - i] for i in range(k + 1))) for k in range(len(a))]


def _derivative(x: Array, q: Array, n: int) -> Array:
    """The n-th derivative of Hurwitz's zeta function by x, by Euler and Maclaurin: 30 terms or more, and an integral."""
    terms = 30 + math.ceil(min(1e4, max(0.0, -float(np.min(np.real(q), initial=0.0)))))
    logs = [np.log(q + j) for j in range(terms)]
    total = sum((-log) ** n * np.exp(-x * log) for log in logs)
    y = q + terms
    log = np.log(y)
    power = [np.exp(-x * log) * (-log) ** k / math.factorial(k) for k in range(n + 1)]
    pole = [(-1) ** k / (x - 1) ** (k + 1) for k in range(n + 1)]
    rest = [y * a + b / 2 for a, b in zip(_times(power, pole), power, strict=True)]
    rising = [x + 0 * y, *([1 + 0 * x * y] if n else []), *[0 * x * y] * (n - 1)]
    for m, number in enumerate(_BERNOULLI):
        rest = [a + number * y ** (-1 - 2 * m) * b for a, b in zip(rest, _times(power, rising), strict=True)]
        for k in (2 * m + 1, 2 * m + 2):
            rising = _times(rising, [x + k + 0 * y, *([1 + 0 * x * y] if n else []), *[0 * x * y] * (n - 1)])
    return cast("Array", total + math.factorial(n) * rest[n])


@op(
    x=lambda g, x, q, n: g * _slope(x, q, n + 1),
    q=lambda g, x, q, n: -g * (x * _slope(x + 1, q, n) + (n * _slope(x + 1, q, n - 1) if n else 0)),
    broadcasts=True, vmap="leading", doc="The n-th derivative by x of Hurwitz's zeta function.",
)  # fmt: skip
def zeta_by_order(x: Array, q: Array, n: int) -> Array:
    if n == 0:
        with contextlib.suppress(TypeError):  # which takes no complex numbers
            return cast("Array", scipys("zeta")(x, q))
    kind = np.result_type(x, q, np.float16)
    with np.errstate(all="ignore"):
        wide = np.result_type(kind, float)
        return np.asarray(_derivative(np.asarray(x, wide), np.asarray(q, wide), n)).astype(kind)


def _slope(x: Array, q: Array, n: int) -> Array:
    return zeta_by_order(x, q, n)


def _riemann_slope(x: Array) -> Array:
    """Left of 0 it is that of 2 (2π)^(x - 1) sin(πx/2) Γ(1 - x) ζ(1 - x)."""
    left = np.real(x) < 0
    right = _slope(np.where(left, 2.0, x), 1.0, 1)  # type: ignore[arg-type]
    y = 1 - np.where(left, x, -1.0)
    sine, cosine = np.sin(math.pi / 2 * (1 - y)), np.cos(math.pi / 2 * (1 - y))
    scale = 2 * _gamma(y) * np.exp(-y * math.log(2 * math.pi))
    moved = ((math.log(2 * math.pi) - psi(y)) * sine + math.pi / 2 * cosine) * _slope(y, 1.0, 0)  # type: ignore[arg-type]
    return np.where(left, scale * (moved - sine * _slope(y, 1.0, 1)), right)  # type: ignore[arg-type]


_gamma: Op = op(scipys("gamma"), name="gamma_of_zeta", x=lambda g, out, x: g * out * psi(x), doc="Γ.")
riemann = op(
    lambda x: scipys("zeta")(x), name="riemann_zeta", vmap="leading", x=lambda g, x: g * _riemann_slope(x),
    doc="Riemann's zeta function.",
)  # fmt: skip
zetac = special("zetac", "of the series, and of the reflection formula for x < 0", x=lambda g, x: g * _riemann_slope(x))


def zeta(x: Array, q: Array | None = None) -> Array:
    """`scipy.special.zeta`: Hurwitz's zeta function, the sum of (q + k)^-x over k from 0 on; Riemann's without `q`.

    Its derivative by x is computed by Euler and Maclaurin's formula; that by q is -x zeta(x + 1, q).

    >>> import tapenet as tn
    >>> tn.special.zeta(tn.tensor([2.0, 4.0]))
    Tensor([1.64493407, 1.08232323])
    """
    return cast("Array", riemann(x) if q is None else zeta_by_order(x, q, 0))


def polygamma(n: int, x: Array) -> Array:
    """`scipy.special.polygamma`: the n-th derivative of `psi`, element by element; `n` is a whole number of 0 or more.

    >>> import tapenet as tn
    >>> tn.special.polygamma(1, tn.tensor([1.0]))
    Tensor([1.64493407])
    """
    return psi(x) if n == 0 else (-1.0) ** (n + 1) * math.factorial(n) * zeta_by_order(float(n + 1), x, 0)


psi: Op = special("psi", "polygamma(1, x)", x=lambda g, x: g * zeta_by_order(2.0, x, 0))
digamma = psi


@op(
    a=lambda g, a, b, n: g * _next_gain(a, b, n), b=lambda g, a, b, n: g * polygamma(n + 1, a + b),
    broadcasts=True, vmap="leading", doc="polygamma(n, a + b) - polygamma(n, a), for positive a and b of 0 or more.",
)  # fmt: skip
def psi_gain(a: Array, b: Array, n: int = 0) -> Array:
    return on_flat(lambda a, b: polygamma_difference(n, a, b), a, b)


def _next_gain(a: Array, b: Array, n: int) -> Array:
    return psi_gain(a, b, n + 1)


def psi_difference(x: Array, y: Array) -> Array:
    """psi(x + y) - psi(x), also where y is small beside x."""
    up, down = (x > 0) & (y >= 0), (x + y > 0) & (y < 0) & (x > 0)
    either = up | down
    return np.where(
        up,
        psi_gain(np.where(up, x, 1), np.where(up, y, 0)),
        np.where(
            down,
            -psi_gain(np.where(down, x + y, 1), np.where(down, -y, 0)),
            psi(np.where(either, 1, x + y)) - psi(np.where(either, 1, x)),
        ),
    )
