"""The zeta function of Riemann and Hurwitz, and the derivatives of ln Γ, which are made of it.

References: NIST Digital Library of Mathematical Functions, chapters 5 and 25.
"""

from __future__ import annotations

import math
from typing import cast

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
