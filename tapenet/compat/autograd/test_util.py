"""Gradients held against finite differences."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from tapenet.compat.autograd.differential_operators import by_argument, pullback, pushed
from tapenet.compat.autograd.values import Function, Value
from tapenet.program.trees import tree_leaves, tree_map

EPS = 1e-6
TOL = RTOL = 1e-6


def _random(x: Value) -> Value:
    """Numbers in the structure of x, complex where it is."""
    import numpy.random

    def like(leaf: Value) -> Value:
        made = numpy.random.standard_normal(np.shape(leaf))
        return made + 1j * numpy.random.standard_normal(np.shape(leaf)) if np.iscomplexobj(leaf) else made

    return tree_map(like, x)


def _inner(a: Value, b: Value) -> float:
    """The real part of the sum of products of all elements, which pairs a gradient with a tangent."""
    return float(sum(np.real(np.sum(x * y)) for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True)))


def _differences(fun: Function, x: Value, v: Value) -> Value:
    def moved(length: float) -> Value:
        return fun(tree_map(lambda leaf, step: leaf + step * length, x, v))

    return tree_map(lambda a, b: (a - b) / EPS, moved(EPS / 2), moved(-EPS / 2))


def _close(name: str, fun: Function, exact: float, numeric: float) -> None:
    if not (abs(exact - numeric) < TOL or abs(exact - numeric) / abs(exact + numeric) < RTOL):
        raise AssertionError(
            f"Derivative ({name}) check of {getattr(fun, '__name__', 'function')} failed: {exact} is not {numeric}, which "
            "finite differences give"
        )


@by_argument
def check_grads(fun: Function, x: Value, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """Hold products with the Jacobian, from the right ("fwd") and the left ("rev"), against finite differences along random
    directions, and those of these products, up to `order`.

    Raises:
        AssertionError: a product is wrong.

    >>> import tapenet.compat.autograd.numpy as np
    >>> check_grads(np.sin, modes=["rev"], order=2)(0.5)
    """
    for mode in modes or ("fwd", "rev"):
        v, u = _random(x), _random(fun(x))
        numeric = _inner(u, _differences(fun, x, v))
        if mode == "fwd":
            _close("JVP", fun, _inner(u, _push(fun, x, v)), numeric)
        else:
            _close("VJP", fun, _inner(_pull(fun, x, u), v), numeric)
        if order > 1:
            product = functools.partial(_push if mode == "fwd" else _pull, fun)
            product.__name__ = f"{'jvp' if mode == 'fwd' else 'vjp'}_{getattr(fun, '__name__', 'function')}"  # type: ignore[attr-defined]
            check_grads(product, (0, 1), modes, order - 1)(x, v if mode == "fwd" else u)


def _push(fun: Function, x: Value, v: Value) -> Value:
    return pushed(fun, x, v)[1]


def _pull(fun: Function, x: Value, u: Value) -> Value:
    return pullback(fun, x)[0](u)


def combo_check(fun: Function, argnum: int | tuple[int, ...] = 0, **options: Value) -> Function:
    """A function of values for each argument and keyword, which checks gradients for all combinations of them."""

    def check(*args: Sequence[object], **kwargs: Sequence[object]) -> None:
        for given in itertools.product(*args):
            for named in itertools.product(*kwargs.values()):
                check_grads(fun, argnum, **options)(*given, **dict(zip(kwargs, named, strict=True)))

    return check
