"""Matrices of derivatives on several ranks: a dense Hessian by its columns, a sparse one by its colours, and the gradient of a
mean over many draws. Each rank computes its part, and all get the whole, which is compared with what each computes alone.

    mpiexec -n 4 python examples/parallel_hessian.py
"""

from time import perf_counter
from typing import Any

import numpy as np

import tapenet as tn
from tapenet import parallel


def energy(x: Any) -> Any:
    """Of a chain of bodies, each of which pulls at all others."""
    apart = x[:, None] - x + np.eye(len(x))
    return (0.5 / apart**2).sum() + ((x[1:] - x[:-1]) ** 4).sum()


def neighbours(x: Any) -> Any:
    """Of a chain of bodies that pull at their neighbours alone: a sparse Hessian."""
    return ((x[1:] - x[:-1]) ** 4).sum() + np.cos(x[2:] - x[:-2]).sum()


def payoff(volatility: Any, draws: Any) -> Any:
    """What an option on the mean price of a year pays, in one of many futures."""
    steps = volatility * draws / np.sqrt(len(draws)) - volatility**2 / (2 * len(draws))
    return np.maximum(np.exp(np.cumsum(steps)).mean() - 1.0, 0.0)


def compare(name: str, found: Any, alone: Any) -> None:
    """Compare what ranks computed together with what each computes alone."""
    begin = perf_counter()
    together = found()
    seconds = perf_counter() - begin
    want = alone()
    error = float(abs(together - want).max()) / float(abs(want).max())
    if parallel.rank == 0:
        print(f"{name}: {seconds:.2f} s on {parallel.size} ranks, {error:.1e} from that of one")
    assert error < 1e-12, error


def main() -> None:
    """Each in both ways."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 150, 150)) + np.arange(150)
    together, alone = (tn.hessian(energy, over=over) for over in (parallel, None))
    compare("dense Hessian", lambda: together(x).numpy(), lambda: alone(x).numpy())

    long = rng.normal(size=50_000)
    split, whole = (tn.hessian(neighbours, sparse=True, over=over) for over in (parallel, None))
    compare("sparse Hessian", lambda: split(long), lambda: whole(long))

    draws = rng.normal(size=(20_000, 50))

    def price(over: Any) -> Any:
        return lambda volatility: tn.vmap(payoff, (None, 0), over=over)(volatility, draws).mean()

    slopes = [tn.grad(price(over)) for over in (parallel, None)]
    compare("slope of a price", lambda: slopes[0](0.2).numpy(), lambda: slopes[1](0.2).numpy())


if __name__ == "__main__":
    main()
