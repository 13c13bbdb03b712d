"""Sequences aligned by Needleman and Wunsch, with a softened maximum, whose gradient is how probable each pair is."""

import numpy as np


def smooth_max(a, b, c, temperature):
    top = max(a, b, c)
    return top + temperature * np.log(
        np.exp((a - top) / temperature) + np.exp((b - top) / temperature) + np.exp((c - top) / temperature)
    )


def needleman_wunsch(scores, gap, temperature):
    n, m = scores.shape
    table = np.zeros((n + 1, m + 1))
    for i in range(1, n + 1):
        table[i, 0] = -gap * i
    for j in range(1, m + 1):
        table[0, j] = -gap * j
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            table[i, j] = smooth_max(
                table[i - 1, j - 1] + scores[i - 1, j - 1], table[i - 1, j] - gap, table[i, j - 1] - gap, temperature
            )
    return table[n, m]


PROGRAM, BY = needleman_wunsch, (0, 1, 2)


def compare(a, b):
    scores = np.empty((len(a), len(b)))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            scores[i, j] = 1.0 if x == y else -1.0
    return scores


def inputs(large=False):
    r = np.random.default_rng(4)
    n = 100 if large else 5
    return compare(r.integers(0, 4, n), r.integers(0, 4, n + 1)), 1.0, 0.5


def check():
    # The example of the method: a score of 0.
    scores = compare("GCATGCG", "GATTACA")
    np.testing.assert_allclose(needleman_wunsch(scores, 1.0, 1e-3), 0, atol=5e-3)


def use(value_and_grad):
    """How probable it is that two letters belong together."""
    a, b = "GATTACA", "GATACA"

    def score(scores):
        return needleman_wunsch(scores, 1.0, 0.2)

    _, pairs = value_and_grad(score)(compare(a, b))
    assert (pairs >= 0).all()
    assert (pairs.sum(axis=0) <= 1 + 1e-12).all()
    assert (pairs.sum(axis=1) <= 1 + 1e-12).all()
    # One of two Ts has no partner, and either one may be it.
    np.testing.assert_allclose(pairs[2, 2], pairs[3, 2], rtol=1e-9)
    np.testing.assert_allclose(pairs[[0, 1, 4, 5, 6], [0, 1, 3, 4, 5]], 1, atol=0.02)
