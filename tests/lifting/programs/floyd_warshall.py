"""The lengths of all shortest ways by Floyd and Warshall."""

import numpy as np


def floyd_warshall(lengths):
    d = lengths.copy()
    n = len(d)
    for k in range(n):
        for i in range(n):
            for j in range(n):
                if d[i, k] + d[k, j] < d[i, j]:
                    d[i, j] = d[i, k] + d[k, j]
    return d


PROGRAM, BY = floyd_warshall, (0,)


def inputs(large=False):
    n = 50 if large else 5
    lengths = np.random.default_rng(3).uniform(1, 10, (n, n))
    np.fill_diagonal(lengths, 0)
    return (lengths,)


def check():
    from scipy.sparse.csgraph import floyd_warshall as known

    (lengths,) = inputs()
    np.testing.assert_allclose(floyd_warshall(lengths), known(lengths), rtol=1e-14)


def use(value_and_grad):
    """Which road is used most: the gradient of the sum of all ways counts the shortest ways that use it."""
    # A ring of five towns, and a bridge across.
    n = 5
    lengths = np.full((n, n), 1e3)
    np.fill_diagonal(lengths, 0)
    for i in range(n):
        lengths[i, (i + 1) % n] = lengths[(i + 1) % n, i] = 2 + 0.1 * i
    lengths[0, 2] = lengths[2, 0] = 1.0

    def total(d):
        return np.sum(floyd_warshall(d))

    value, used = value_and_grad(total)(lengths)
    # Each way that a road is used by makes the sum longer by what is added to the road.
    for road in np.argwhere((lengths > 0) & (lengths < 1e3)):
        longer = lengths.copy()
        longer[tuple(road)] += 1e-3
        np.testing.assert_allclose((total(longer) - value) / 1e-3, used[tuple(road)], atol=1e-6)
    np.testing.assert_allclose(np.sum(used * lengths), value, rtol=1e-7)
