"""Bessel functions and modified Bessel functions, in their argument and their order, and spherical Bessel functions.

Reference: NIST Digital Library of Mathematical Functions, chapter 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special import bessel_orders
from tapenet.special.bessel_orders import OF_I, OF_J, OF_K, Recurrence
from tapenet.special.definition import HOW, WHOLE, over, scipys, special
from tapenet.typing import Array

i0: Op = special("i0", "i1(x)", x=lambda g, x: g * i1(x))
i1: Op = special("i1", "(i0(x) + iv(2, x)) / 2", x=lambda g, x: g * (i0(x) + iv(2.0, x)) / 2)
i0e = special("i0e", "i1e(x) - sign(x) out", x=lambda g, out, x: g * (i1e(x) - np.sign(x) * out))
i1e: Op = special(
    "i1e", "i0e(x) - (sign(x) + 1/x) out", x=lambda g, out, x: g * (i0e(x) - np.sign(x) * out - over(out, x, 0.5))
)
k0 = special("k0", "-k1(x)", x=lambda g, x: -g * k1(x))
k1: Op = special("k1", "-k0(x) - out/x", x=lambda g, out, x: -g * (k0(x) + out / x))
k0e = special("k0e", "out - k1e(x)", x=lambda g, out, x: g * (out - k1e(x)))
k1e: Op = special("k1e", "out - k0e(x) - out/x", x=lambda g, out, x: g * (out - k0e(x) - out / x))
j0 = special("j0", "-j1(x)", x=lambda g, x: -g * j1(x))
j1: Op = special("j1", "(j0(x) - jv(2, x)) / 2", x=lambda g, x: g * (j0(x) - jv(2.0, x)) / 2)
y0 = special("y0", "-y1(x)", x=lambda g, x: -g * y1(x))
y1: Op = special("y1", "y0(x) - out/x", x=lambda g, out, x: g * (y0(x) - out / x))

#: The derivative of a factor that scales a function: of the gradient, the scaled function and its argument.
Scale = Callable[[Array, Array, Array], Array]


def bessel(name: str, recurrence: Recurrence, scale: Scale | None = None, words: str = "") -> Op:
    """The op of a Bessel function and that of its derivatives.

    Args:
        name: SciPy's name.
        recurrence: that of the derivative by the argument, which holds for all derivatives by the order too.
        scale: what the factor by which SciPy scales the function adds.
        words: the same in words.
    """

    def by_argument(g: Array, out: Array, slope: Array, y: Array) -> Array:
        return g * slope if scale is None else g * slope + scale(g, out, y)

    @op(
        name=f"{name}_derivative",
        doc=f"The n-th derivative of `scipy.special.{name}` by its order, after m steps of the recurrence.",
        broadcasts=True,
        vmap="leading",
        x=lambda g, x, y, n, m: g * slope(x, y, n + 1, m),
        y=lambda g, out, x, y, n, m: by_argument(g, out, slope(x, y, n, m + 1), y),
    )
    def slope(x: Array, y: Array, n: int = 0, m: int = 0) -> Array:
        return bessel_orders.derivative(name, x, y, recurrence, n, m)

    return special(
        name,
        "by x: of the polynomial through values at orders around x; "
        f"by y: {recurrence.lower} {name}(x - 1, y) + {recurrence.upper} {name}(x + 1, y){words}",
        how={"x": "interpolation"},
        x=lambda g, x, y: g * slope(x, y, 1, 0),
        y=lambda g, out, x, y: by_argument(g, out, slope(x, y, 0, 1), y),
    )


def _by_imaginary_part(g: Array, out: Array, y: Array) -> Array:
    """That of exp(-|Im y|)."""
    return 1j * np.sign(np.imag(y)) * np.real(g * out) if y.dtype.kind == "c" else cast("Array", 0)


def _by_real_part(g: Array, out: Array, y: Array) -> Array:
    """That of exp(-|Re y|)."""
    found: Array = -np.sign(np.real(y)) * np.real(g * out)
    return found


jv: Op = bessel("jv", OF_J)
jn = jv
jve = bessel("jve", OF_J, _by_imaginary_part, "; less that of |Im y| out")
yv = bessel("yv", OF_J)
yve = bessel("yve", OF_J, _by_imaginary_part, "; less that of |Im y| out")
hankel1 = bessel("hankel1", OF_J)
hankel1e = bessel("hankel1e", OF_J, lambda g, out, y: -1j * g * out, " - i out")
hankel2 = bessel("hankel2", OF_J)
hankel2e = bessel("hankel2e", OF_J, lambda g, out, y: 1j * g * out, " + i out")
iv: Op = bessel("iv", OF_I)
ive = bessel("ive", OF_I, _by_real_part, "; less that of |Re y| out")
kv = bessel("kv", OF_K)
kve = bessel("kve", OF_K, lambda g, out, y: g * out, " + out")
yn: Op = special(
    "yn", "by y: (yn(x - 1, y) - yn(x + 1, y)) / 2", whole="x",
    y=lambda g, x, y: g * (yn(x - 1, y) - yn(x + 1, y)) / 2,
)  # fmt: skip
kn: Op = special(
    "kn", "by y: -(kn(x - 1, y) + kn(x + 1, y)) / 2", whole="x",
    y=lambda g, x, y: -g * (kn(x - 1, y) + kn(x + 1, y)) / 2,
)  # fmt: skip


def _spherical(name: str, lower: float, upper: float, words: str) -> Op:
    """The op of a spherical Bessel function f, where (2n + 1) f' = lower n f of n - 1 + upper (n + 1) f of n + 1."""
    theirs = scipys(name)

    @op(
        name=name,
        numpy=(theirs,),
        nondiff=("n",),
        broadcasts=True,
        vmap="leading",
        doc=f"`scipy.special.{name}`, element by element; with `derivative` its derivative by z. That is by z: {words}.",
        z=lambda g, n, z, derivative: g * (
            lower * n / (2 * n + 1) * found(np.maximum(n - 1, 0), z, derivative)
            + upper * (n + 1) / (2 * n + 1) * found(n + 1, z, derivative)
        ),
    )  # fmt: skip
    def found(n: Array, z: Array, derivative: bool = False) -> Array:
        return cast("Array", theirs(n, z, derivative))

    HOW[name] = {"n": f"none: {WHOLE}"}
    return found


spherical_jn = _spherical("spherical_jn", 1, -1, "(n f(n - 1, z) - (n + 1) f(n + 1, z)) / (2n + 1)")
spherical_yn = _spherical("spherical_yn", 1, -1, "(n f(n - 1, z) - (n + 1) f(n + 1, z)) / (2n + 1)")
spherical_in = _spherical("spherical_in", 1, 1, "(n f(n - 1, z) + (n + 1) f(n + 1, z)) / (2n + 1)")
spherical_kn = _spherical("spherical_kn", -1, -1, "-(n f(n - 1, z) + (n + 1) f(n + 1, z)) / (2n + 1)")
