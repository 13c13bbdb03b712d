"""tapenet: `tn.parallel`, eager or under `tn.compile`, and the derivatives that it splits over ranks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.autodiff.observe.layer import of_backward
from tests.benchmarks.layers.tapenet_side import compiled
from tests.benchmarks.networks.tapenet_side import training
from tests.benchmarks.parallel import mpi4py_side
from tests.benchmarks.parallel.workloads import Task
from tests.benchmarks.side_by_side.tasks import Array, Candidate, means


def build(task: Task, how: str) -> Candidate:
    """The task, `how` being "eager" or "native"."""
    numbers = lambda out: means([np.asarray(out)])
    if isinstance(task.of, int):
        x = np.ones(task.of // 4, np.float32)
        return Candidate(partial(compiled(how, tn.parallel.allreduce), x), id, numbers)
    if isinstance(task.of, str):
        made, x = derivative(task.of)
        solo, together = (partial(compiled(how, made(over=over)), x) for over in (None, tn.parallel))
        return Candidate(together, id, numbers, {"solo 1": solo})
    step, opt = training(task.of, how)
    averaged, averaging = training(task.of, how)
    tn.parallel.optimizer(averaging)

    def alone(*data: Array) -> Any:
        kept = of_backward[:]
        of_backward.clear()  # what averages the other module looks at each pass
        try:
            return step(*data)
        finally:
            of_backward[:] = kept

    def update() -> None:
        for slot in opt.slots:
            if slot.param.grad is None:  # a compiled step leaves none
                slot.param.grad = tn.zeros_like(slot.param)
        opt.step()

    return mpi4py_side.training(task, alone, averaged, update)


def derivative(name: str) -> tuple[Callable[..., Callable[..., Any]], Any]:
    """What is split over ranks, and what it is taken of."""
    draw = np.random.default_rng(0).normal
    of, _, size = name.partition("-")
    n = int(size or 32)
    weights = [draw(size=(n, n)) / n**0.5 for _ in range(3)]
    draws = draw(size=(20_000, 32))

    def layers(x: Any) -> Any:
        for w in weights:
            x = np.tanh(w @ x)
        return x

    def orbit(x: Any) -> Any:  # Lorenz' equations, by 100 steps of Euler's
        def turn(x: Any, _: Any) -> tuple[Any, None]:
            return x + 0.01 * np.stack(
                [10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]]
            ), None

        return tn.scan(turn, x, length=100)[0]

    def payoff(volatility: Any, steps: Any) -> Any:  # of an option on the mean of a path
        return np.maximum(np.exp(np.cumsum(volatility * steps - volatility**2 / 2)).mean() - 1.0, 0.0)

    def price(volatility: Any, over: Any) -> Any:
        return tn.vmap(payoff, (None, 0), over=over)(volatility, draws).mean()

    kinds: dict[str, tuple[Callable[..., Callable[..., Any]], Any]] = {
        "orbits": (partial(tn.vmap, orbit), draw(size=(4096, 3))),
        "jacobian": (partial(tn.jacobian, layers), draw(size=n)),
        "hessian": (partial(tn.hessian, lambda x: (layers(x) ** 2).sum()), draw(size=n)),
        "draws": (lambda over: tn.grad(partial(price, over=over)), 0.02),
    }
    return kinds[of]
