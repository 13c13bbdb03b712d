"""tapenet: modules and an optimizer, eager or under `tn.compile`, called with NumPy arrays."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.benchmarks.compiled.workloads import BlackScholes, Dense, Growth, Logistic, Update
from tests.benchmarks.side_by_side import clock
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares, means

#: The backend of `tn.compile` by the candidate's name.
BACKENDS = {"plan": "numpy", "native": "native"}


def build(task: Dense | Logistic | BlackScholes | Update, how: str) -> Candidate:
    """The task, `how` being "eager", "plan" or "native"."""
    made = functools.partial(compiled, how)
    if isinstance(task, Update):
        return update(task, how)
    data = task.data()
    if isinstance(task, BlackScholes):
        prices = made(tn.value_and_grad(total, argnums=(0, 1, 2, 3, 4)))
        return Candidate(
            functools.partial(prices, *data), len, lambda out: means([out[0].numpy(), *(g.numpy() for g in out[1])])
        )
    if isinstance(task, Dense) and task.batches:
        return epoch(task, how)
    step = made(dense_step(task) if isinstance(task, Dense) else logistic_step(task))
    return Candidate(functools.partial(step, *data), tn.Tensor.item, lambda loss: [loss.item()])


def compiled(how: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """The function as this candidate runs it."""
    return f if how == "eager" else tn.compile(f, backend=BACKENDS[how])


def dense_step(task: Dense) -> Callable[..., Any]:
    """Forward, backward, update."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(task.sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    net = nn.Sequential(*layers)
    for p, value in zip(net.parameters(), task.parameters(), strict=True):
        p.data = value
    opt = optim.Adam(net.parameters(), lr=task.lr) if task.adam else optim.SGD(net.parameters(), lr=task.lr)

    def step(x: Any, y: Any) -> Any:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def logistic_step(task: Logistic) -> Callable[..., Any]:
    """Forward, backward, update."""
    w, b = (tn.tensor(value, requires_grad=True) for value in task.parameters())
    opt = optim.SGD([w, b], lr=task.lr)

    def step(x: Any, y: Any) -> Any:
        loss = F.binary_cross_entropy_with_logits(x @ w + b, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def update(task: Update, how: str) -> Candidate:
    """An optimizer's step; compiled, with the gradient as what goes in."""
    p = tn.tensor(task.parameters(), requires_grad=True)
    opt = optim.Adam([p], lr=task.lr)

    def step(gradient: Any) -> None:
        p.grad = gradient
        opt.step()

    call = functools.partial(compiled(how, step), task.data())
    return Candidate(call, lambda _: None, lambda _: mean_squares([p.data]))


def epoch(task: Dense, how: str) -> Candidate:
    """One `tn.scan` over the batches; eager, a loop of steps."""
    data = task.data()
    step = dense_step(task)
    if how == "eager":
        run = lambda: [step(*batch) for batch in zip(*data, strict=True)]
        return Candidate(run, len, lambda losses: means([[loss.item() for loss in losses]]))
    body = lambda carry, batch: (carry, step(*batch))
    scan = compiled(how, lambda xs, ys: tn.scan(body, None, (xs, ys))[1])
    return Candidate(functools.partial(scan, *data), len, lambda losses: means([losses.numpy()]))


def total(s: Any, k: Any, r: Any, v: Any, t: Any) -> Any:
    """The sum of the prices."""
    spread = v * tn.sqrt(t)
    d1 = (tn.log(s / k) + (r + 0.5 * v * v) * t) / spread
    n1, n2 = (0.5 + 0.5 * tn.erf(d * math.sqrt(0.5)) for d in (d1, d1 - spread))
    return (s * n1 - k * tn.exp(-r * t) * n2).sum()


def grow(task: Growth, how: str, count: int) -> float:
    """Microseconds per node of capturing, optimising and compiling that many nodes: the first call less the second."""
    if task.shape == "chain":
        x = np.full(4, 0.5, np.float32)
        run = compiled(
            how, tn.value_and_grad(lambda x: functools.reduce(lambda y, _: tn.sin(y), range(count), x).sum())
        )
        call = functools.partial(run, x)
    else:
        net = Dense((8,) * (count // 2 + 1), 4, 0.01)
        call = functools.partial(compiled(how, dense_step(net)), *net.data())
    times = []
    for _ in range(2):
        start = clock()
        call()
        times.append(clock() - start)
    return (times[0] - times[1]) / count * 1e6
