"""Struve functions and their integrals.

Reference: NIST Digital Library of Mathematical Functions, chapter 11.
"""

from __future__ import annotations

import math

from tapenet.ops.op import Op, op
from tapenet.special import struve_orders
from tapenet.special.definition import over, special
from tapenet.typing import Array


def _struve(name: str) -> Op:
    """The op of a Struve function, and that of its derivatives by the order."""

    def by_argument(g: Array, out: Array, lower: Array, x: Array, y: Array) -> Array:
        found: Array = g * (lower - over(x * out, y, 0))
        return found

    @op(
        name=f"{name}_by_order",
        doc=f"The n-th derivative of `scipy.special.{name}` by its order.",
        broadcasts=True,
        vmap="leading",
        x=lambda g, x, y, n: g * by_order(x, y, n + 1),
        y=lambda g, out, x, y, n: (
            by_argument(g, out, by_order(x - 1, y, n), x, y)
            - g * over(n * (by_order(x, y, n - 1) if n > 1 else found(x, y)), y, 0)
        ),
    )
    def by_order(x: Array, y: Array, n: int = 1) -> Array:
        return struve_orders.derivative(name, x, y, n)

    found: Op = special(
        name,
        f"by x: of the polynomial through values at orders around x; by y: {name}(x - 1, y) - x out/y",
        how={"x": "interpolation"},
        x=lambda g, x, y: g * by_order(x, y),
        y=lambda g, out, x, y: by_argument(g, out, found(x - 1, y), x, y),
    )
    return found


struve = _struve("struve")
modstruve = _struve("modstruve")
itstruve0 = special("itstruve0", "struve(0, x)", x=lambda g, x: g * struve(0.0, x))
it2struve0 = special("it2struve0", "-struve(0, x)/x", x=lambda g, x: -g * over(struve(0.0, x), x, 2 / math.pi))
itmodstruve0 = special("itmodstruve0", "modstruve(0, x)", x=lambda g, x: g * modstruve(0.0, x))
