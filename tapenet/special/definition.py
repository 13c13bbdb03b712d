"""How the ops of `scipy.special` are defined. SciPy says what they compute; rules are in terms of these ops themselves, so that
there are derivatives of every order.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import NoReturn, cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.typing import Array

Rule = Callable[..., object]


@functools.cache
def scipys(name: str) -> np.ufunc:
    """A ufunc of SciPy's, which it wraps where it follows the array API standard."""
    import scipy.special

    found = getattr(scipy.special, name)
    return cast("np.ufunc", getattr(found, "__wrapped__", found))


def none(name: str, argument: str) -> Rule:
    """The rule by an argument that has no derivative in closed form."""

    def rule(g: Array) -> NoReturn:
        raise TypeError(
            f"tn.special.{name} has no derivative by its argument {argument}, an order or a number of degrees of freedom: "
            "give it as a number, or detached"
        )

    return rule


def special(name: str, formula: str, *, fixed: str = "", **rules: Rule) -> Op:
    """The op of a function of SciPy's.

    Args:
        name: SciPy's name.
        formula: the derivatives, in words for the documentation.
        fixed: the arguments by which there is none.
        **rules: those by the others.
    """
    ufunc = scipys(name)
    found: Op = op(
        ufunc,
        name=name,
        numpy=(ufunc,),
        doc=f"`scipy.special.{name}`, element by element. Its derivative: {formula}.",
        **rules,
        **{argument: none(name, argument) for argument in fixed},
    )
    found.module = found.__module__ = sys._getframe(1).f_globals["__name__"]
    return found


def over(numerator: Array, x: Array, limit: float) -> Array:
    """numerator / x, and its limit where x = 0."""
    return np.where(x == 0, limit, numerator / np.where(x == 0, 1, x)).astype(numerator.dtype)
