"""Solvers for functions of vectors: SciPy's, and fixed points by iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.typing import Array

#: A function of a vector of all unknowns.
Map = Callable[[Array], Array]


#: With more unknowns no matrix is made.
LARGE = 500


def root_options(options: dict[str, object], precision: float, size: int) -> dict[str, object]:
    """Options of `scipy.optimize.root` for numbers of a precision, where the user leaves them to us; `jac` among them says
    that it is given the Jacobian."""
    options.setdefault("method", "hybr" if size <= LARGE else "krylov")
    options.setdefault("tol", precision**0.75)
    if options["method"] in ("hybr", "lm"):
        options.setdefault("jac", True)
    if options["method"] == "krylov" and "options" not in options:
        options["options"] = {"jac_options": {"rdiff": precision**0.5}}
    return options


def scipy_root(f: Map, x0: Array, **options: Any) -> object:
    """A root by `scipy.optimize.root`."""
    from scipy import optimize

    return optimize.root(f, x0, **options)


def scipy_minimize(f: Callable[[Array], float], x0: Array, jac: Map, **options: Any) -> object:
    """A minimum by `scipy.optimize.minimize`. What rounding keeps from going on has converged if the gradient is small."""
    from scipy import optimize

    options.setdefault("method", "BFGS" if x0.size <= LARGE else "L-BFGS-B")
    found = optimize.minimize(f, x0, jac=jac, **options)
    if not found.success and found.get("status") == 2:
        found.success = bool(np.linalg.norm(jac(found.x)) <= options["tol"] ** 0.7 * max(np.linalg.norm(jac(x0)), 1))
    return found


def anderson(
    f: Map, x0: Array, *, tol: float, memory: int = 5, max_iterations: int = 1000, damping: float = 1.0
) -> Array:
    """A fixed point by Anderson's acceleration: the next iterate combines the last ones so that what they would change adds
    up to the least. Walker and Ni, SIAM J. Numer. Anal. 49 (2011). Where that led further away, the last ones are forgotten.

    Args:
        f: the map.
        x0: where to begin.
        tol: it is done when f(x) - x has at most this norm, relative to f(x).
        memory: how many iterates are combined; 0 for plain iteration.
        max_iterations: how many there are at most.
        damping: the part of the way that is gone, at most 1.

    Raises:
        RuntimeError: it did not converge.
    """
    x = x0
    moves: list[Array] = []
    changes: list[Array] = []
    before: tuple[Array, Array] | None = None
    norm = last = np.inf
    for _ in range(max_iterations):
        mapped = f(x)
        off = mapped - x
        norm = float(np.linalg.norm(off))
        if norm <= tol * float(np.linalg.norm(mapped)) or norm == 0:
            return mapped
        if not np.isfinite(norm):
            break
        if norm > last:
            moves, changes, before = [], [], None
        if memory and before is not None:
            moves, changes = [*moves, x - before[0]][-memory:], [*changes, off - before[1]][-memory:]
        before, last = (x, off), norm
        x = x + damping * off
        if changes:
            weights = np.linalg.lstsq(np.stack(changes, 1), off, rcond=1e-6)[0]
            x = x - (np.stack(moves, 1) + damping * np.stack(changes, 1)) @ weights
    raise RuntimeError(
        f"the iteration did not converge in {max_iterations} steps: f(x) - x still has norm {norm:.1e}. Give more "
        "(max_iterations=), a wider tolerance (tol=), or check that f contracts"
    )


def iterate(f: Map, x0: Array, *, tol: float, max_iterations: int = 10_000, damping: float = 1.0) -> Array:
    """A fixed point by plain iteration. Arguments as of `anderson`."""
    return anderson(f, x0, tol=tol, memory=0, max_iterations=max_iterations, damping=damping)


def outcome(found: object, name: str, like: Array) -> Array:
    """The vector that a solver found: itself, or the `x` of SciPy's result.

    Raises:
        RuntimeError: the solver says that it failed.
        ValueError: it is of another size.
    """
    if isinstance(found, tuple) and found and isinstance(found[0], (np.ndarray, float)):
        found = found[0]  # with full_output
    if hasattr(found, "x"):
        if not getattr(found, "success", True):
            told = " ".join(str(getattr(found, "message", "")).split())
            raise RuntimeError(f"{name}: the solver did not converge: {told}")
        found = found.x
    x = np.atleast_1d(np.asarray(found))
    if x.size != like.size or x.dtype.kind not in "fc":
        raise ValueError(
            f"{name}: the solver gave {x.dtype} {x.shape} for {like.size} unknown(s); it returns the vector that it found, "
            "or a result of SciPy's that has it as x"
        )
    if not np.isfinite(x).all():
        raise RuntimeError(f"{name}: the solver did not converge: what it found is not finite")
    return x.ravel()
