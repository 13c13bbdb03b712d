"""PageRank (Brin and Page 1998) by the power method, until it stands still."""

import numpy as np


def page_rank(links, damping, tolerance):
    n = len(links)
    chances = links.copy()
    for j in range(n):
        total = chances[:, j].sum()
        if total > 0:
            chances[:, j] /= total
        else:
            chances[:, j] = 1 / n
    rank = np.full(n, 1 / n)
    change = 1.0
    while change > tolerance:
        new = damping * chances @ rank + (1 - damping) / n
        change = np.abs(new - rank).sum()
        rank = new
    return rank


PROGRAM, BY = page_rank, (0, 1)


def inputs(large=False):
    n = 300 if large else 5
    r = np.random.default_rng(8)
    links = r.uniform(0.5, 1.5, (n, n)) * (r.uniform(size=(n, n)) < (0.05 if large else 0.5))
    links[:, 1] = 0  # a page without links
    return links, 0.85, 1e-13


def check():
    links, damping, tolerance = inputs()
    n = len(links)
    total = links.sum(axis=0)
    chances = np.where(total > 0, links / np.where(total > 0, total, 1), 1 / n)
    known = np.linalg.solve(np.eye(n) - damping * chances, np.full(n, (1 - damping) / n))
    np.testing.assert_allclose(page_rank(links, damping, tolerance), known, rtol=1e-11)


def use(value_and_grad):
    """Which link is worth most to a page."""
    links, damping, tolerance = inputs()
    links = np.where(np.eye(5) > 0, 0, links + 0.1)

    def visits(links):
        return page_rank(links, damping, tolerance)[0]

    value, worth = value_and_grad(visits)(links)
    best = np.unravel_index(worth.argmax(), worth.shape)
    assert best[0] == 0
    more = links.copy()
    more[best] += 1e-5
    np.testing.assert_allclose((visits(more) - value) / 1e-5, worth[best], rtol=1e-3)
