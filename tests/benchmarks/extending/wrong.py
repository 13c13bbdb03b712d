"""Rules that are wrong, each in its own way, and what the check of each library says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tapenet.typing import Array
from tests.benchmarks.extending.libraries import Library


class Wrong(NamedTuple):
    """An op with a wrong rule.

    `forward` and `rule` get the library's own NumPy first; the rule then the gradient, and the arguments; it returns a gradient
    for each. `named` are words of which one is in a message that says what is wrong.
    """

    forward: Callable[..., Any]
    rule: Callable[..., tuple[Any, ...]]
    arguments: Callable[[np.random.Generator], tuple[Array, ...]]
    named: tuple[str, ...]


def _one(r: np.random.Generator) -> tuple[Array, ...]:
    return (r.uniform(0.5, 1, size=3),)


def _two(r: np.random.Generator) -> tuple[Array, ...]:
    return r.uniform(0.5, 1, size=3), r.uniform(1.5, 2, size=3)


def _in_place(xp: Any, g: Any, x: Any) -> tuple[Any, ...]:
    g *= 2
    return (g * x,)


#: By kind. What the rule should be is on the right.
KINDS: dict[str, Wrong] = {
    "sign": Wrong(lambda xp, x: xp.sin(x), lambda xp, g, x: (-g * xp.cos(x),), _one, ("sign",)),  # g cos x
    "factor": Wrong(lambda xp, x: x * x, lambda xp, g, x: (g * x,), _one, ("factor",)),  # 2 g x
    "no conjugate": Wrong(
        lambda xp, z: xp.conj(z),
        lambda xp, g, z: (g,),  # conj g
        lambda r: (r.normal(size=3) + 1j * r.normal(size=3),),
        ("conj",),
    ),
    "transposed": Wrong(
        lambda xp, x, w: x @ w,
        lambda xp, g, x, w: (g @ w, x.T @ g),  # g wᵀ
        lambda r: (r.normal(size=(3, 3)), r.normal(size=(3, 3))),
        ("transpos",),
    ),
    "no sum over broadcast axes": Wrong(
        lambda xp, x, b: x * b,
        lambda xp, g, x, b: (g * b, g * x),  # (g x).sum(0)
        lambda r: (r.normal(size=(2, 3)), r.normal(size=3)),
        ("sum", "broadcast"),
    ),
    "inputs swapped": Wrong(lambda xp, x, y: x * y, lambda xp, g, x, y: (g * x, g * y), _two, ("swap",)),  # g y, g x
    "wrong dtype": Wrong(
        lambda xp, x: 2 * x,
        lambda xp, g, x: (g * (2 * xp.ones(1, dtype=xp.float64)),),  # 2 g
        _one,
        ("float64", "dtype"),
    ),
    "wrong shape": Wrong(lambda xp, x: 2 * x, lambda xp, g, x: (2 * g[:2],), _one, ("shape", "size")),  # 2 g
    "forgotten input": Wrong(
        lambda xp, x, y: x * y,
        lambda xp, g, x, y: (g * y, 0 * g),  # g x
        _two,
        ("missing", "forgot"),
    ),
    "None": Wrong(lambda xp, x, y: x * y, lambda xp, g, x, y: (g * y, None), _two, ("None",)),  # g x
    "writes into g": Wrong(lambda xp, x: x * x, _in_place, _one, ("writes", "read-only")),  # g = g * 2
    "right at first order alone": Wrong(
        lambda xp, x: x * x * x,
        lambda xp, g, x: (g * 3 * xp.constant(x * x),),  # not constant
        _one,
        ("order 2", "second order"),
    ),
}


def verdict(library: Library, kind: str) -> str:
    """What the library's check of an op with that wrong rule comes to."""
    wrong = KINDS[kind]
    arguments = wrong.arguments(np.random.default_rng(0))
    op = library.made("op", wrong.forward, wrong.rule, len(arguments))
    try:
        library.check(op, arguments)
    except Exception as error:
        said = str(error) + "".join(getattr(error, "__notes__", []))
        return "named" if any(word in said for word in wrong.named) else "found"
    return "not noticed"
