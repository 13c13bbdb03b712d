"""Backpropagation written out by hand: no graph, updates in place."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.compiled.workloads import BlackScholes, Dense, Logistic, Update
from tests.benchmarks.side_by_side.tasks import Array, Candidate, mean_squares, means


def build(task: Dense | Logistic | BlackScholes | Update, how: str) -> Candidate:
    """The task by hand; there is one way, so `how` is empty."""
    if isinstance(task, Update):
        p, g, spare = task.parameters(), task.data(), np.empty(task.count, np.float32)
        opt = Adam([p], task.lr)

        def update() -> None:
            spare[...] = g
            opt([spare])

        return Candidate(update, lambda _: None, lambda _: mean_squares([p]))
    if isinstance(task, BlackScholes):
        return Candidate(functools.partial(black_scholes, *task.data()), len, means)
    x, y = task.data()
    step = logistic_step(task) if isinstance(task, Logistic) else dense_step(task)
    if isinstance(task, Dense) and task.batches:
        epoch = lambda: [step(*batch) for batch in zip(x, y, strict=True)]
        return Candidate(epoch, len, lambda losses: [float(np.mean(losses))])
    return Candidate(functools.partial(step, x, y), float, lambda loss: [float(loss)])


def dense_step(task: Dense) -> Callable[[Array, Array], Any]:
    """One step, weights as (in, out)."""
    start = task.parameters()
    ws = [np.ascontiguousarray(w.T) for w in start[0::2]]
    bs = [b.copy() for b in start[1::2]]
    update = Adam([*ws, *bs], task.lr) if task.adam else functools.partial(descend, [*ws, *bs], task.lr)

    def step(x: Array, y: Array) -> Any:
        values = [x]
        for w, b in zip(ws, bs, strict=True):
            z = values[-1].dot(w)
            z += b
            np.tanh(z, out=z)
            values.append(z)
        difference = values[-1] - y
        loss = np.vdot(difference, difference) / difference.size
        g = difference * np.float32(2 / difference.size)
        by_w, by_b = [], []
        for i in range(len(ws) - 1, -1, -1):
            h = values[i + 1]
            g *= 1 - h * h
            by_w.append(values[i].T.dot(g))
            by_b.append(np.add.reduce(g))
            if i:
                g = g.dot(ws[i].T)
        update([*by_w[::-1], *by_b[::-1]])
        return loss

    return step


def descend(parameters: list[Array], lr: float, gradients: list[Array]) -> None:
    """SGD; may write into the gradients."""
    for p, g in zip(parameters, gradients, strict=True):
        g *= lr
        p -= g


class Adam:
    """Adam, with PyTorch's defaults."""

    def __init__(self, parameters: list[Array], lr: float):
        self.parameters, self.lr, self.count = parameters, lr, 0
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]

    def __call__(self, gradients: list[Array]) -> None:
        """One update; may write into the gradients."""
        self.count += 1
        rate = self.lr / (1 - 0.9**self.count)
        correction = 1 / math.sqrt(1 - 0.999**self.count)
        for p, g, (m, v) in zip(self.parameters, gradients, self.moments, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            g *= g
            g *= 0.001
            v += g
            denominator = np.sqrt(v, out=g)
            denominator *= correction
            denominator += 1e-8
            p -= rate * m / denominator


def logistic_step(task: Logistic) -> Callable[[Array, Array], Any]:
    """One step of gradient descent."""
    w, b = task.parameters()

    def step(x: Array, y: Array) -> Any:
        z = x.dot(w)
        z += b
        e = np.exp(-np.abs(z))
        loss = (np.maximum(z, 0) - z * y + np.log1p(e)).mean()
        g = np.where(z >= 0, 1, e) / (1 + e)
        g -= y
        g *= 1 / len(y)
        np.subtract(w, task.lr * g.dot(x), out=w)
        np.subtract(b, task.lr * g.sum(), out=b)
        return loss

    return step


def black_scholes(s: Array, k: Array, r: Array, v: Array, t: Array) -> tuple[Array, ...]:
    """The sum of the prices and the five Greeks, by their formulas."""
    # Loaded here: no other task needs SciPy.
    from scipy.special import erf

    root = np.sqrt(t)
    spread = v * root
    d1 = (np.log(s / k) + (r + 0.5 * v * v) * t) / spread
    d2 = d1 - spread
    n1 = 0.5 + 0.5 * erf(d1 * math.sqrt(0.5))
    n2 = 0.5 + 0.5 * erf(d2 * math.sqrt(0.5))
    discount = np.exp(-r * t)
    density = s * np.exp(-0.5 * d1 * d1) * (1 / math.sqrt(2 * math.pi))
    by_k = -discount * n2
    paid = -k * by_k
    return (s * n1 - paid).sum(), n1, by_k, t * paid, density * root, 0.5 * density * v / root + r * paid
