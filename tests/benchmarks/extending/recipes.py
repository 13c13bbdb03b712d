"""What the ops are called with, and what their gradients are meant to be where that is no derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.typing import Array


class Recipe(NamedTuple):
    """An op of the cookbook.

    section: its heading there.
    arguments: makes what it is called with.
    by: the positions of the arguments that are differentiated.
    meant: the function whose gradient the op's is meant to be, where that is not its own.
    random: it gives the same only after the same seed.
    """

    section: str
    arguments: Callable[[np.random.Generator], tuple[object, ...]]
    by: tuple[int, ...] = (0,)
    meant: Callable[..., Array] | None = None
    random: bool = False


def _places() -> tuple[Array, Array]:
    return np.array([0, 1, 1, 2]), np.array([0, 0, 2, 1])


RECIPES: dict[str, Recipe] = {
    "erf": Recipe("C by ctypes", lambda r: (r.normal(size=3),)),
    "bessel_j0": Recipe("C by cffi", lambda r: (r.uniform(1, 2, size=3),)),
    "ellip_k": Recipe("Cython", lambda r: (r.uniform(0.2, 0.8, size=3),)),
    "recurrence": Recipe("Numba", lambda r: (r.uniform(size=4), r.normal(size=4)), by=(0, 1)),
    "jv": Recipe("A function of SciPy", lambda r: (np.array(2.0), r.uniform(1, 3, size=3)), by=(1,)),
    "sparse_product": Recipe(
        "A sparse matrix", lambda r: (r.normal(size=4), *_places(), r.normal(size=(3, 2)), 3), by=(0, 3)
    ),
    "expm": Recipe("A matrix exponential", lambda r: (r.normal(size=(3, 3)),)),
    "lu_solve": Recipe("A saved factorisation", lambda r: (r.normal(size=(3, 3)), r.normal(size=3)), by=(0, 1)),
    "convolve": Recipe("A convolution by FFT", lambda r: (r.normal(size=5), r.normal(size=3)), by=(0, 1)),
    "swing": Recipe(
        "A differential equation with its adjoint", lambda r: (np.array([0.5, 1.0]), np.array(1.3), 1.0), by=(0, 1)
    ),
    "population": Recipe("Another process", lambda r: (np.array(3.2), np.array(0.4)), by=(0, 1)),
    "equilibrium": Recipe("A fixed point", lambda r: (0.3 * r.normal(size=(3, 3)), r.normal(size=3)), by=(0, 1)),
    "kepler": Recipe("A root by its tangent", lambda r: (r.uniform(size=3), np.full(3, 0.3)), by=(0, 1)),
    "plan": Recipe("Optimal transport by Sinkhorn", lambda r: (r.uniform(size=(3, 4)), 0.5)),
    "soft_sort": Recipe("A soft sort", lambda r: (r.normal(size=5), 0.7)),
    "soft_dtw": Recipe("Dynamic programming", lambda r: (r.uniform(size=(3, 4)), 1.0)),
    "rounded": Recipe("Straight through", lambda r: (r.normal(size=3),), meant=lambda x: x),
    "reverse": Recipe("Gradient reversal", lambda r: (r.normal(size=3), 0.5), meant=lambda x, strength: -strength * x),
    "lookup": Recipe("A lookup with a sparse gradient", lambda r: (r.normal(size=(3, 2)), np.array([0, 2, 2]))),
    "modrelu": Recipe(
        "Complex numbers", lambda r: (r.normal(size=3) + 1j * r.normal(size=3), np.array(0.3)), by=(0, 1)
    ),
    "jacobi": Recipe("Several outputs", lambda r: (r.normal(size=3), np.full(3, 0.4))),
    "block_diag": Recipe("Any number of arrays", lambda r: (r.normal(size=(2, 2)), r.normal(size=(1, 3))), by=(0, 1)),
    "average": Recipe("An optional input", lambda r: (r.normal(size=3), r.uniform(size=3)), by=(0, 1)),
    "watch": Recipe("An op that keeps a record", lambda r: (r.normal(size=3), [])),
    "waiting_time": Recipe("Random numbers", lambda r: (r.uniform(1, 2, size=3),), random=True),
    "log1mexp": Recipe("Exact in float32", lambda r: (-r.uniform(0.1, 3, size=4),)),
}
