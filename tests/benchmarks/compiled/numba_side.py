"""Numba: one loop over elements, with derivatives by hand, dealt out to threads where there are several."""

from __future__ import annotations

import functools
import math
from typing import Any

import numba
import numpy as np

from tests.benchmarks.compiled.workloads import BlackScholes, Logistic, Update
from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.tasks import Array, Candidate, mean_squares, means

loop = functools.partial(numba.njit, parallel=cores() > 1, fastmath=True)


def build(task: Logistic | BlackScholes | Update, how: str) -> Candidate:
    """The task as a loop; there is one way, so `how` is empty."""
    if isinstance(task, BlackScholes):
        data = task.data()
        out = [np.empty_like(data[0]) for _ in data]
        return Candidate(lambda: (black_scholes(*data, *out), *out), len, means)
    if isinstance(task, Update):
        return update(task)
    w, b = task.parameters()
    x, y = task.data()

    def step() -> Any:
        nonlocal b
        loss, by_w, by_b = logistic(x, y, w, np.float32(b))
        w[...] -= np.float32(task.lr) * by_w
        b = b - np.float32(task.lr) * by_b
        return loss

    return Candidate(step, float, lambda loss: [float(loss)])


@loop
def logistic(x: Array, y: Array, w: Array, b: Any) -> Any:
    """The loss and its gradients."""
    n, k = x.shape
    blocks = 64
    by_w, by_b, losses = np.zeros((blocks, k), np.float32), np.zeros(blocks, np.float32), np.zeros(blocks, np.float32)
    for block in numba.prange(blocks):
        for i in range(block * n // blocks, (block + 1) * n // blocks):
            z = b
            for j in range(k):
                z += x[i, j] * w[j]
            e = np.exp(-abs(z))
            losses[block] += max(z, np.float32(0)) - z * y[i] + np.log1p(e)
            g = (np.float32(1) if z >= 0 else e) / (np.float32(1) + e) - y[i]
            by_b[block] += g
            for j in range(k):
                by_w[block, j] += g * x[i, j]
    return losses.sum() / n, by_w.sum(0) / np.float32(n), by_b.sum() / np.float32(n)


@loop
def black_scholes(
    s: Array, k: Array, r: Array, v: Array, t: Array, by_s: Array, by_k: Array, by_r: Array, by_v: Array, by_t: Array
) -> Any:
    """The sum of the prices; the five Greeks are written."""
    total = 0.0
    half, one = np.float32(0.5), np.float32(1)
    for i in numba.prange(len(s)):
        root = np.sqrt(t[i])
        spread = v[i] * root
        d1 = (np.log(s[i] / k[i]) + (r[i] + half * v[i] * v[i]) * t[i]) / spread
        d2 = d1 - spread
        n1 = half * (one + np.float32(math.erf(d1 * np.float32(math.sqrt(0.5)))))
        n2 = half * (one + np.float32(math.erf(d2 * np.float32(math.sqrt(0.5)))))
        discount = np.exp(-r[i] * t[i])
        density = s[i] * np.exp(-half * d1 * d1) * np.float32(1 / math.sqrt(2 * math.pi))
        paid = k[i] * discount * n2
        total += s[i] * n1 - paid
        by_s[i], by_k[i], by_r[i], by_v[i] = n1, -discount * n2, t[i] * paid, density * root
        by_t[i] = half * density * v[i] / root + r[i] * paid
    return total


def update(task: Update) -> Candidate:
    """Steps of Adam."""
    p, g = task.parameters(), task.data()
    m, v = np.zeros_like(p), np.zeros_like(p)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        rate, correction = task.lr / (1 - 0.9**count), 1 / math.sqrt(1 - 0.999**count)
        adam(p, g, m, v, np.float32(rate), np.float32(correction))

    return Candidate(step, lambda _: None, lambda _: mean_squares([p]))


@loop
def adam(p: Array, g: Array, m: Array, v: Array, rate: Any, correction: Any) -> None:
    """One update, with PyTorch's defaults."""
    for i in numba.prange(len(p)):
        m[i] = np.float32(0.9) * m[i] + np.float32(0.1) * g[i]
        v[i] = np.float32(0.999) * v[i] + np.float32(0.001) * g[i] * g[i]
        p[i] -= rate * m[i] / (np.sqrt(v[i]) * correction + np.float32(1e-8))
