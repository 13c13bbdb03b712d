"""A picture of spheres by marching along rays (Hart 1996), pixel by pixel."""

import math

import numpy as np
from scipy.optimize import minimize


def distance(x, y, z, spheres):
    nearest = 1e9
    for k in range(len(spheres)):
        dx, dy, dz = x - spheres[k, 0], y - spheres[k, 1], z - spheres[k, 2]
        nearest = min(nearest, math.sqrt(dx * dx + dy * dy + dz * dz) - spheres[k, 3])
    return nearest


def ray_marching(spheres, n, far, marches):
    depth = np.full((n, n), far)
    for i in range(n):
        for j in range(n):
            x, y, z = (2 * j + 1) / n - 1, (2 * i + 1) / n - 1, 0.0
            for _ in range(marches):
                d = distance(x, y, z, spheres)
                z += d
                if d < 1e-6:
                    depth[i, j] = z
                    break
                if z > far:
                    break
    return depth


PROGRAM, BY = ray_marching, (0,)


def inputs(large=False):
    spheres = np.array([[0.2, 0.1, 2.0, 0.7], [-0.5, -0.4, 1.5, 0.3]])
    return spheres, 24 if large else 3, 5.0, 60


def check():
    spheres, *_ = inputs()
    n = 12
    depth = ray_marching(spheres[:1], n, 5.0, 200)
    x = (2 * np.arange(n) + 1) / n - 1
    inside = 0.7**2 - (x - 0.2) ** 2 - (x[:, None] - 0.1) ** 2
    known = np.where(inside > 0, 2.0 - np.sqrt(np.maximum(inside, 0)), 5.0)
    np.testing.assert_allclose(depth[np.abs(inside) > 1e-3], known[np.abs(inside) > 1e-3], atol=1e-4)


def use(value_and_grad):
    """How far away a ball is, by its picture."""
    seen = ray_marching(np.array([[0.05, -0.05, 2.2, 0.8]]), 3, 5.0, 20)

    def misfit(p):
        sphere = np.array([[0.05, -0.05, 0.0, 0.8]])
        sphere[0, 2] = p[0]
        return np.sum((ray_marching(sphere, 3, 5.0, 20) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([2.0]), jac=True, options={"maxiter": 5})
    np.testing.assert_allclose(found.x, 2.2, atol=1e-4)
