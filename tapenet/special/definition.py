"""How the ops of `scipy.special` are defined. SciPy says what they compute; rules are in terms of these ops themselves, so that
there are derivatives of every order.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn, cast

import numpy as np

from tapenet.ops.functions import make_primitive
from tapenet.ops.op import Op, op
from tapenet.ops.registry import registry
from tapenet.typing import Array

Rule = Callable[..., object]


@functools.cache
def scipys(name: str) -> np.ufunc:
    """A function of SciPy's; of ufuncs, which it wraps where it follows the array API standard, the ufunc."""
    import scipy.special

    found = getattr(scipy.special, name)
    wrapped = getattr(found, "__wrapped__", None)
    return cast("np.ufunc", wrapped if isinstance(wrapped, np.ufunc) else found)


#: Why there is no derivative by a whole number.
WHOLE = "a whole number"
#: How each function's derivative by each argument is computed, by name: "formula", "series", "quadrature", "interpolation"; or,
#: behind "none: ", why there is none. What is not here is a formula.
HOW: dict[str, dict[str, str]] = {}


def none(name: str, argument: str, why: str = "an order or a number of degrees of freedom") -> Rule:
    """The rule by an argument that has no derivative."""
    HOW.setdefault(name, {})[argument] = f"none: {why}"

    def rule(g: Array) -> NoReturn:
        raise TypeError(
            f"tn.special.{name} has no derivative by its argument {argument}, {why}: give it as a number, or detached"
        )

    return rule


def special(
    name: str,
    formula: str,
    *,
    fixed: str = "",
    whole: Iterable[str] = "",
    how: dict[str, str] | None = None,
    **rules: Rule,
) -> Op:
    """The op of a function of SciPy's.

    Args:
        name: SciPy's name.
        formula: the derivatives, in words for the documentation.
        fixed: the arguments by which there is none.
        whole: those that are whole numbers: no derivative is missing there.
        how: how the derivatives are computed that are no formula: as in `HOW`.
        **rules: those by the others.
    """
    ufunc = scipys(name)
    make_primitive(ufunc)
    HOW.setdefault(name, {}).update(how or {})
    made: Op = op(
        ufunc,
        name=name,
        numpy=(ufunc,),
        outputs=ufunc.nout,
        doc=f"`scipy.special.{name}`, element by element. Its derivative: {formula}.",
        **rules,
        **{argument: none(name, argument) for argument in fixed},
        **{argument: none(name, argument, WHOLE) for argument in whole},
    )
    return placed(made, sys._getframe(1).f_globals["__name__"])


def placed(op: Op, module: str) -> Op:
    """An op that is defined in a module by a function of another one."""
    op.module = op.__module__ = module
    registry[f"{module}.{op.name}"] = op
    return op


def over(numerator: Array, x: Array, limit: complex) -> Array:
    """numerator / x, and its limit where x = 0."""
    return np.where(x == 0, limit, numerator / np.where(x == 0, 1, x)).astype(numerator.dtype)


def on_flat(f: Callable[..., Array], *arrays: Array) -> Array:
    """`f` on the elements of these arrays, broadcast, in one dimension and float64; nan where one is nan."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    flat = [np.broadcast_to(a, shape).ravel().astype(float) for a in arrays]
    with np.errstate(all="ignore"):
        return np.asarray(f(*flat)).reshape(shape).astype(np.result_type(*arrays, np.float16))
