"""A hidden Markov model: how likely what was seen is, by the scaled forward recursion (Rabiner 1989)."""

import numpy as np


def hidden_markov(start, change, emit, seen):
    n, k = len(seen), len(start)
    alpha = np.zeros((n, k))
    scale = np.zeros(n)
    for t in range(n):
        for j in range(k):
            if t == 0:
                alpha[t, j] = start[j] * emit[j, seen[t]]
            else:
                for i in range(k):
                    alpha[t, j] += alpha[t - 1, i] * change[i, j] * emit[j, seen[t]]
        scale[t] = alpha[t].sum()
        alpha[t] /= scale[t]
    return alpha, np.log(scale).sum()


PROGRAM, BY = hidden_markov, (0, 1, 2)


def inputs(large=False):
    r = np.random.default_rng(15)
    n, k = (400, 5) if large else (4, 2)
    emit = r.uniform(size=(k, 3)) + 0.1
    change = r.uniform(size=(k, k)) + 2 * np.eye(k)
    return np.full(k, 1 / k), change / change.sum(1)[:, None], emit / emit.sum(1)[:, None], r.integers(0, 3, n)


def check():
    from itertools import product

    start, change, emit, seen = inputs()
    total = 0.0
    for path in product(range(2), repeat=len(seen)):
        chance = start[path[0]] * emit[path[0], seen[0]]
        for t in range(1, len(seen)):
            chance *= change[path[t - 1], path[t]] * emit[path[t], seen[t]]
        total += chance
    np.testing.assert_allclose(hidden_markov(start, change, emit, seen)[1], np.log(total), rtol=1e-12)


def use(value_and_grad):
    """The model learned by Baum and Welch's method: weights times their gradient are the expected counts."""
    start, change, emit, _ = inputs()
    seen = np.array([0, 0, 1, 0, 2, 2, 1, 2])

    def likelihood(emit):
        return hidden_markov(start, change, emit, seen)[1]

    differentiated = value_and_grad(likelihood)
    before = -np.inf
    for _ in range(5):
        value, slope = differentiated(emit)
        assert value > before
        before = value
        counts = emit * slope
        np.testing.assert_allclose(counts.sum(), len(seen), rtol=1e-8)
        emit = counts / counts.sum(axis=1)[:, None]
