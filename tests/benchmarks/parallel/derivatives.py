"""Derivatives that are split over ranks: lanes, columns and draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tapenet as tn

draw = np.random.default_rng(0).normal
#: Of three layers, by their width.
WEIGHTS = {n: [draw(size=(n, n)) / n**0.5 for _ in range(3)] for n in (256, 512)}
DRAWS = draw(size=(20_000, 32))


def layers(x: Any) -> Any:
    """A network of one sample."""
    for w in WEIGHTS[len(x)]:
        x = np.tanh(w @ x)
    return x


def energy(x: Any) -> Any:
    """A number whose Hessian is full."""
    return (layers(x) ** 2).sum()


def orbit(x: Any) -> Any:
    """Lorenz' equations, by 100 steps of Euler's."""

    def turn(x: Any, _: Any) -> tuple[Any, None]:
        return x + 0.01 * np.stack([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]]), None

    return tn.scan(turn, x, length=100)[0]


def payoff(volatility: Any, steps: Any) -> Any:
    """Of an option on the mean of a path."""
    return np.maximum(np.exp(np.cumsum(volatility * steps - volatility**2 / 2)).mean() - 1.0, 0.0)


def price(volatility: Any, over: Any) -> Any:
    """The mean over many draws."""
    return tn.vmap(payoff, (None, 0), over=over)(volatility, DRAWS).mean()


#: By name, the derivative split over ranks, and what it is taken of.
DERIVATIVES: dict[str, tuple[Callable[..., Callable[..., object]], object]] = {
    "vmap of 4,096 orbits": (partial(tn.vmap, orbit), draw(size=(4096, 3))),
    **{f"Jacobian of a network, {n} columns": (partial(tn.jacobian, layers), draw(size=n)) for n in WEIGHTS},
    **{f"Hessian of a network, {n} columns": (partial(tn.hessian, energy), draw(size=n)) for n in WEIGHTS},
    "gradient of a mean over 20,000 draws": (lambda over: tn.grad(partial(price, over=over)), 0.02),
}


def steps() -> dict[str, Callable[[], object]]:
    """Of each the compiled call: by one rank, and by all together."""
    found: dict[str, Callable[[], object]] = {}
    for name, (made, x) in DERIVATIVES.items():
        found[f"solo {name}"] = partial(tn.compile(made(over=None)), x)
        found[name] = partial(tn.compile(made(over=tn.parallel)), x)
    return found
