"""Derivatives of Bessel functions by their argument, as functions.

Reference: NIST Digital Library of Mathematical Functions, 10.6.7 and 10.29.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.special.bessel import hankel1, hankel2, iv, jv, kv, yv
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _derivative(name: str, of: Callable[..., Array], sign: int, v: ArrayLike, z: ArrayLike, n: int) -> Array:
    """2^-n Σ sign^i (n over i) C(v - n + 2 i, z)."""
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"{name}: n is {n!r}; it is the order of a derivative, 0 or above")
    order, at = array_like(v), array_like(z)
    found, factor = of(order - n, at), 1.0
    for i in range(1, n + 1):
        factor = sign * factor * (n - i + 1) / i
        found = found + factor * of(order - n + 2 * i, at)
    return found / 2.0**n


def jvp(v: ArrayLike, z: ArrayLike, n: int = 1) -> Array:
    """The derivative of order n of `jv` by its argument. It has derivatives by order and argument.

    >>> import tapenet as tn
    >>> tn.special.jvp(0.0, tn.tensor(1.0)).round(6), tn.grad(tn.special.jv, argnums=1)(0.0, 1.0).round(6)
    (Tensor(-0.440051), Tensor(-0.440051))
    """
    return _derivative("jvp", jv, -1, v, z, n)


def yvp(v: ArrayLike, z: ArrayLike, n: int = 1) -> Array:
    """The derivative of order n of `yv` by its argument. It has derivatives by order and argument.

    >>> import tapenet as tn
    >>> tn.special.yvp(0.0, tn.tensor(1.0)).round(6)
    Tensor(0.781213)
    """
    return _derivative("yvp", yv, -1, v, z, n)


def ivp(v: ArrayLike, z: ArrayLike, n: int = 1) -> Array:
    """The derivative of order n of `iv` by its argument. It has derivatives by order and argument.

    >>> import tapenet as tn
    >>> tn.special.ivp(0.0, tn.tensor(1.0)).round(6)
    Tensor(0.565159)
    """
    return _derivative("ivp", iv, 1, v, z, n)


def kvp(v: ArrayLike, z: ArrayLike, n: int = 1) -> Array:
    """The derivative of order n of `kv` by its argument. It has derivatives by order and argument.

    >>> import tapenet as tn
    >>> tn.special.kvp(0.0, tn.tensor(1.0)).round(6)
    Tensor(-0.601907)
    """
    found = _derivative("kvp", kv, 1, v, z, n)
    return -found if n % 2 else found


def h1vp(v: ArrayLike, z: ArrayLike, n: int = 1) -> Array:
    """The derivative of order n of `hankel1` by its argument. It has derivatives by order and argument.

    >>> import tapenet as tn
    >>> tn.special.h1vp(0.0, tn.tensor(1.0)).round(6)
    Tensor(-0.440051+0.781213j, dtype=complex128)
    """
    return _derivative("h1vp", hankel1, -1, v, z, n)


def h2vp(v: ArrayLike, z: ArrayLike, n: int = 1) -> Array:
    """The derivative of order n of `hankel2` by its argument. It has derivatives by order and argument.

    >>> import tapenet as tn
    >>> tn.special.h2vp(0.0, tn.tensor(1.0)).round(6)
    Tensor(-0.440051-0.781213j, dtype=complex128)
    """
    return _derivative("h2vp", hankel2, -1, v, z, n)
