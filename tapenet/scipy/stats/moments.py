"""Mean, variance, skewness and kurtosis as functions of moments about any point, and their derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import cast

import numpy as np

from tapenet.ops.op import Op
from tapenet.scipy.stats.distribution import Gradients, by_formula, element_wise
from tapenet.typing import Array

_NAMES = ("m", "s", "t", "f")
_FORMULAS: dict[str, Callable[..., Array]] = {
    "mean": lambda m: m,
    "var": lambda m, s: s - m * m,
    "skewness": lambda m, s, t: cast("Array", (t - 3 * m * s + 2 * m**3) / (s - m * m) ** 1.5),
    "kurtosis": lambda m, s, t, f: cast("Array", (f - 4 * m * t + 6 * m * m * s - 3 * m**4) / (s - m * m) ** 2 - 3),
}


@functools.cache
def _formula(of: str) -> Op:
    function = _FORMULAS[of]
    return element_wise(f"{of} by moments", _NAMES[: function.__code__.co_argcount], function)


def by_moments(of: str, powers: Sequence[Op], g: Array, wanted: Collection[str], *values: Array) -> Gradients:
    """The gradients of what is a function of moments.

    Args:
        of: a key of the formulas: "mean", "var", "skewness" or "kurtosis".
        powers: the first four moments about one point, ops of the values.
        g: the gradient by it.
        wanted: the inputs whose gradients are wanted.
        *values: what the moments are functions of.
    """
    formula = _formula(of)
    used = dict(zip(formula.differentiable, powers, strict=False))
    weights = by_formula(formula, g, used, *(power(*values) for power in used.values()))
    found: Gradients = {}
    for name, power in used.items():
        for n, part in by_formula(power, weights[name] + np.zeros_like(g), wanted, *values).items():
            found[n] = found[n] + part if n in found else part
    return found
