"""Gamma and beta functions, complete and incomplete.

References: NIST Digital Library of Mathematical Functions, chapters 5 and 8.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op, op
from tapenet.special.definition import none, scipys, special
from tapenet.typing import Array


@op(
    x=none("zeta", "x"),
    q=lambda g, x, q: _zeta_slope(g, x, q),
    broadcasts=True,
    vmap="leading",
    doc="`scipy.special.zeta`, Hurwitz's, element by element. Its derivative: by q: -x zeta(x + 1, q).",
)
def zeta(x: Array, q: Array) -> Array:
    return cast("Array", scipys("zeta")(x, q))


def _zeta_slope(g: Array, x: Array, q: Array) -> Array:
    return cast("Array", -g * x * zeta(x + 1, q))


def polygamma(n: int, x: Array) -> Array:
    """`scipy.special.polygamma`: the n-th derivative of `psi`, element by element; `n` is a whole number of 0 or more.

    >>> import tapenet as tn
    >>> tn.special.polygamma(1, tn.tensor([1.0]))
    Tensor([1.64493407])
    """
    return psi(x) if n == 0 else (-1.0) ** (n + 1) * math.factorial(n) * zeta(float(n + 1), x)


psi: Op = special("psi", "polygamma(1, x)", x=lambda g, x: g * zeta(2.0, x))
digamma = psi
gamma = special("gamma", "out psi(x)", x=lambda g, out, x: g * out * psi(x))
gammaln = special("gammaln", "psi(x)", x=lambda g, x: g * psi(x))
loggamma = special("loggamma", "psi(x)", x=lambda g, x: g * psi(x))
rgamma = special("rgamma", "-out psi(x)", x=lambda g, out, x: -g * out * psi(x))
gammasgn = special("gammasgn", "0", x=lambda g: 0 * g)
beta = special(
    "beta", "out (psi(x) - psi(x + y)); the same by y",
    x=lambda g, out, x, y: g * out * (psi(x) - psi(x + y)), y=lambda g, out, x, y: g * out * (psi(y) - psi(x + y)),
)  # fmt: skip
betaln = special(
    "betaln", "psi(x) - psi(x + y); the same by y",
    x=lambda g, x, y: g * (psi(x) - psi(x + y)), y=lambda g, x, y: g * (psi(y) - psi(x + y)),
)  # fmt: skip
binom = special(
    "binom", "out (psi(x + 1) - psi(x - y + 1)); out (psi(x - y + 1) - psi(y + 1))",
    x=lambda g, out, x, y: g * out * (psi(x + 1) - psi(x - y + 1)),
    y=lambda g, out, x, y: g * out * (psi(x - y + 1) - psi(y + 1)),
)  # fmt: skip
poch = special(
    "poch", "out (psi(x + y) - psi(x)); out psi(x + y)",
    x=lambda g, out, x, y: g * out * (psi(x + y) - psi(x)), y=lambda g, out, x, y: g * out * psi(x + y),
)  # fmt: skip


def multigammaln(a: Array, d: int) -> Array:
    """`scipy.special.multigammaln`: the logarithm of the multivariate gamma function, of `d` dimensions, element by element.

    >>> import tapenet as tn
    >>> tn.special.multigammaln(tn.tensor([2.0]), 1)
    Tensor([0.])
    """
    return cast("Array", ops.add(sum(gammaln(a - j / 2) for j in range(d)), d * (d - 1) / 4 * math.log(math.pi)))


def gamma_density(a: Array, x: Array) -> Array:
    """The density of the gamma distribution with shape `a` and scale 1."""
    found: Array = np.exp((a - 1) * np.log(x) - x - gammaln(a))
    return found


def beta_density(a: Array, b: Array, x: Array) -> Array:
    """The density of the beta distribution."""
    found: Array = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b))
    return found


gammainc = special("gammainc", "by y: y^(x - 1) exp(-y) / Γ(x)", fixed="x", y=lambda g, x, y: g * gamma_density(x, y))
gammaincc = special(
    "gammaincc", "by y: -y^(x - 1) exp(-y) / Γ(x)", fixed="x", y=lambda g, x, y: -g * gamma_density(x, y)
)
gammaincinv = special(
    "gammaincinv", "by y: 1 / that of gammainc", fixed="x", y=lambda g, out, x: g / gamma_density(x, out)
)
gammainccinv = special(
    "gammainccinv", "by y: 1 / that of gammaincc", fixed="x", y=lambda g, out, x: -g / gamma_density(x, out)
)
betainc = special(
    "betainc", "by z: the density of Beta(x, y)", fixed="xy", z=lambda g, x, y, z: g * beta_density(x, y, z)
)
betaincc = special(
    "betaincc", "by z: -the density of Beta(x, y)", fixed="xy", z=lambda g, x, y, z: -g * beta_density(x, y, z)
)
betaincinv = special(
    "betaincinv", "by z: 1 / that of betainc", fixed="xy", z=lambda g, out, x, y: g / beta_density(x, y, out)
)
