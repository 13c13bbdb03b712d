"""The last steps to a least-squares solution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.optimize.functions import Bound
from tapenet.typing import Array

#: With more parameters no matrix is taken apart once more.
FEW = 128
#: How many steps there are at most.
STEPS = 50


def sharpened(
    f: Bound,
    x: Array,
    bounds: tuple[Array, Array] | None,
    weights: Callable[[Array], Array] | None,
) -> Array:
    """A least-squares solution after steps of Gauss and Newton, as long as these bring the residuals nearer to the normal of
    what the curve can reach. A solver compares sums of squares, which are flat there, and finds half of the digits alone.

    The measure is that of Bates and Watts, Technometrics 23 (1981): the part of the residuals in the range of the Jacobian.

    Args:
        f: the residuals.
        x: what the solver found.
        bounds: low, high. Parameters on one stay there.
        weights: what residuals count beside their squares, of these; for losses that are no sum of squares.
    """
    if x.size > FEW:
        return x
    free = np.ones(x.size, bool) if bounds is None else (x > bounds[0]) & (x < bounds[1])
    if not free.any():
        return x
    best, least, at = x, np.inf, x
    step, part = np.zeros(x.size), 1.0
    for _ in range(STEPS):
        if bounds is not None and not ((at >= bounds[0]) & (at <= bounds[1])).all():
            break
        r, j = f.values_and_jacobian(at)
        j = j if bounds is None else j[:, free]
        if weights is not None:
            root = np.sqrt(np.maximum(weights(r), 0))
            r, j = root * r, root[:, None] * j
        if r.size < j.shape[1] or not (np.isfinite(r).all() and np.isfinite(j).all()):
            break
        scale = np.linalg.norm(j, axis=0)
        if not scale.all():
            break
        q, triangle = np.linalg.qr(j / scale)
        inside = q.T @ r
        off = float(np.linalg.norm(inside))
        if np.abs(np.diag(triangle)).min() < 1e-14:
            break
        if off < least:
            best, least, part = at, off, 1.0
            step[free] = np.linalg.solve(triangle, inside) / scale
        elif part > 0.05 and least > 1e-6 * float(np.linalg.norm(r)):  # too far, rather than all that rounding lets be
            part /= 2
        else:
            break
        at = best - part * step
    return best
