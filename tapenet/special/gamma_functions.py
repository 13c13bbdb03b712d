"""Gamma and beta functions, complete and incomplete.

References: NIST Digital Library of Mathematical Functions, chapters 5 and 8.
"""

from __future__ import annotations

import math
from typing import cast

from tapenet import ops
from tapenet.special.definition import special
from tapenet.special.zeta_functions import psi
from tapenet.typing import Array

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
