"""Clusters by Lloyd's method."""

import numpy as np


def k_means(points, centres, turns):
    centres = centres.copy()
    for _ in range(turns):
        distances = np.sum((points[:, None, :] - centres[None, :, :]) ** 2, axis=2)
        labels = np.argmin(distances, axis=1)
        for k in range(len(centres)):
            centres[k] = points[labels == k].mean(axis=0)
    inertia = np.sum((points - centres[labels]) ** 2)
    return centres, labels, inertia


PROGRAM, BY = k_means, (0,)


def inputs(large=False):
    r = np.random.default_rng(9)
    k, each, turns = (8, 500, 20) if large else (3, 5, 2)
    middles = r.normal(size=(k, 2)) * 4
    points = (middles[:, None] + r.normal(size=(k, each, 2))).reshape(-1, 2)
    return points, points[::each].copy(), turns


def check():
    # At the end each point is nearest to the mean of its own.
    points, centres, _ = inputs()
    found, labels, inertia = k_means(points, centres, 8)
    assert inertia <= k_means(points, centres, 1)[2]
    for point, label in zip(points, labels, strict=True):
        assert np.argmin([np.linalg.norm(point - np.mean(points[labels == k], axis=0)) for k in range(3)]) == label
    np.testing.assert_allclose(found[1], np.mean(points[labels == 1], axis=0))


def use(value_and_grad):
    """How much each feature says about the clusters (after Witten and Tibshirani 2010): noise is weighed less and less."""
    points, _, turns = inputs()
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    points = np.concatenate([points, np.random.default_rng(10).normal(size=(len(points), 1))], axis=1)

    def spread(w):
        scaled = points * w
        return k_means(scaled, scaled[::5].copy(), turns)[2] / np.sum(scaled**2)

    w = np.full(3, 0.5)
    first = spread(w)
    differentiated = value_and_grad(spread)
    for _ in range(20):
        w = np.maximum(w - 0.3 * differentiated(w)[1], 0)
    assert spread(w) < 0.8 * first
    assert w[2] < 0.2 < w[:2].max()
