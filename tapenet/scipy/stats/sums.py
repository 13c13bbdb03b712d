"""Sums over the values of a discrete distribution, differentiated term by term."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import cast

import numpy as np

from tapenet.ops.op import Op
from tapenet.scipy.stats.distribution import Gradients, by_formula, element_wise, named, widened
from tapenet.typing import Array

#: Terms that are computed at once.
_BLOCK = 1 << 20


def summed(name: str, term: Op, shapes: Sequence[str], fixed: Collection[str]) -> Op:
    """The sum of term(j, *shapes) over the whole numbers j from `first` to `last`.

    Args:
        name: what it is called.
        term: an op of j and the shapes.
        shapes: the names of the shapes.
        fixed: those without a derivative.
    """
    free = [n for n in shapes if n not in fixed]

    @functools.cache
    def slope(shape: str) -> Op:
        def formula(j: Array, *values: Array) -> Array:
            j = j + sum(np.zeros_like(v) for v in values)
            return by_formula(term, np.ones_like(j), {shape}, j, *widened(values, j))[shape]

        derivative = element_wise(f"{term.name} by {shape}", ("j", *shapes), formula, {"j", *fixed})
        return summed(f"{name} by {shape}", derivative, shapes, fixed)

    def rule(g: Array, wanted: Collection[str], first: Array, last: Array, *values: Array) -> Gradients:
        return {n: g * slope(n)(first, last, *values) for n in wanted}

    def forward(first: Array, last: Array, *values: Array) -> Array:
        first, last, *values_ = np.broadcast_arrays(first, last, *values)
        count = int(np.max(last - first, initial=-1)) + 1
        total = np.zeros(first.shape)
        block = max(1, _BLOCK // max(1, first.size))
        with np.errstate(all="ignore"):
            for begin in range(0, count, block):
                j = first[..., None] + np.arange(begin, min(begin + block, count))
                terms = term(np.minimum(j, last[..., None]), *(v[..., None] for v in values_))
                total += np.where(j <= last[..., None], terms, 0.0).sum(-1)
        return cast("Array", total)

    arguments = ("first", "last", *shapes)
    return Op(
        named(name, arguments, forward), name=name, nondiff=frozenset({"first", "last", *fixed}), broadcasts=True,
        joint=named(f"{name} rule", ("g", "wanted", *arguments), rule) if free else None, vmap="leading",
        opaque="the values say how many terms there are", doc=f"A sum of {term.name}.", module=__name__,
    )  # fmt: skip
