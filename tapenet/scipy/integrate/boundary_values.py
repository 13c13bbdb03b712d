"""Boundary value problems: SciPy's solver, with derivatives by the equations of its collocation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.scipy.integrate.ode_result import Result
from tapenet.scipy.integrate.states import floats
from tapenet.scipy.integrate.unread import numbers, plain
from tapenet.scipy.integrate.values import TensorsFound, library, only_values
from tapenet.transforms.implicit.roots import root
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class BVPResult(Result):
    """What `solve_bvp` gives.

    Attributes:
        sol: the solution as a function of x, a cubic between two nodes each.
        p: the parameters that were found; None without.
        x: the nodes.
        y, yp: the solution and its derivative there, shape (n, nodes).
        rms_residuals: how far each interval is off.
        niter: the iterations.
        status, message, success: how it ended.
    """

    sol: Callable[..., Tensor]
    p: Tensor | None
    x: Tensor
    y: Tensor
    yp: Tensor
    rms_residuals: Array
    niter: int
    status: int
    message: str
    success: bool


class Spline:
    """A function of x through values with derivatives at nodes: cubic between two of them each."""

    def __init__(self, x: Array, y: Tensor, yp: Tensor) -> None:
        self.x, self.y, self.yp = x, y, yp

    def __call__(self, x: ArrayLike, nu: int = 0) -> Tensor:
        """Its values, shape (n, *x.shape); with `nu` the derivatives of this order.

        Raises:
            ValueError: nu is not 0, 1, 2 or 3.
        """
        if nu not in (0, 1, 2, 3):
            raise ValueError(f"nu={nu}; give 0, 1, 2 or 3")
        at = floats(x)
        i = np.clip(np.searchsorted(self.x, at._data, side="right") - 1, 0, self.x.size - 2)
        h = np.diff(self.x)[i]
        s = at - self.x[i]
        first, slope, other, after = self.y[:, i], self.yp[:, i], self.yp[:, i + 1], self.y[:, i + 1]
        mean = (after - first) / h
        square, cube = (3.0 * mean - 2.0 * slope - other) / h, (slope + other - 2.0 * mean) / h**2
        found: Tensor
        if nu == 0:
            found = first + s * (slope + s * (square + s * cube))
        elif nu == 1:
            found = slope + s * (2.0 * square + 3.0 * s * cube)
        else:
            found = 2.0 * square + 6.0 * s * cube if nu == 2 else 6.0 * cube
        return found


@boundary
def solve_bvp(
    fun: Callable[..., object],
    bc: Callable[..., object],
    x: ArrayLike,
    y: ArrayLike,
    p: ArrayLike | None = None,
    S: ArrayLike | None = None,
    fun_jac: Callable[..., object] | None = None,
    bc_jac: Callable[..., object] | None = None,
    tol: float = 1e-3,
    max_nodes: int = 1000,
    verbose: int = 0,
    bc_tol: float | None = None,
) -> BVPResult:
    """The solution of y' = fun(x, y, p) + S y / (x - a) with bc(y(a), y(b), p) = 0, by `scipy.integrate.solve_bvp`, with
    derivatives of every order.

    Derivatives are by what `fun` and `bc` close over, and by `S`: those of the collocation on the mesh that the solver ended
    with, by the implicit function theorem. They are as exact as the solution on that mesh, and cost a linear system of all its
    numbers. It is no part of compiled functions, since nobody knows how many nodes there will be.

    Args:
        fun: fun(x, y) or fun(x, y, p), of nodes (m,) and values (n, m), gives (n, m).
        bc: bc(ya, yb) or bc(ya, yb, p) gives as many numbers as there are unknowns: n, and one for each of p.
        x: the first mesh, rising; a constant.
        y, p: guesses, in which derivatives are 0.
        S: the matrix of a singular term, (n, n).
        fun_jac, bc_jac, tol, max_nodes, verbose, bc_tol: as SciPy's.

    Raises:
        ValueError: SciPy's.
        CaptureError: within `tn.compile`.

    >>> import numpy as np, tapenet as tn
    >>> def middle(k):  # y'' = -k² y from 0 to 1, whose value at 1/2 is 1 / (2 cos(k / 2))
    ...     def fun(x, y):
    ...         return np.stack([y[1], -(k**2) * y[0]])
    ...     def bc(a, b):
    ...         return np.stack([a[0], b[0] - 1])
    ...     return tn.scipy.integrate.solve_bvp(fun, bc, [0, 0.5, 1], np.zeros((2, 3)), tol=1e-6).sol(0.5)[0]
    >>> f"{middle(2.0).item():.5f} {tn.grad(middle)(2.0).item():.5f} {0.25 * np.sin(1) / np.cos(1) ** 2:.5f}"
    '0.92541 0.72062 0.72062'
    """
    mesh = asarray(x)
    singular = None if S is None else floats(S)
    jacobians = [None if j is None else (lambda *a, j=j: _numbers(j(*a))) for j in (fun_jac, bc_jac)]
    found = library().solve_bvp(
        plain(fun, ()), plain(bc, ()), mesh._data, asarray(y)._data, None if p is None else asarray(p)._data,
        None if singular is None else singular._data, *jacobians, tol, max_nodes, verbose, bc_tol,
    )  # fmt: skip
    try:
        ends = found.y[:, 0], found.y[:, -1]
        given_p = () if found.p is None else (found.p,)
        only_values(partial(fun, found.x, found.y, *given_p), partial(bc, *ends, *given_p), lambda: S)
        return _values(found)
    except TensorsFound:
        pass
    nodes, count = found.x, found.y.shape[0]
    h, begin = np.diff(nodes), nodes[0]

    def slope(at: Array, values: Tensor, given: list[Tensor]) -> Tensor:
        made = fun(at, values, *given)
        f: Tensor = ops.stack([asarray(v) for v in made]) if isinstance(made, (list, tuple)) else asarray(made)
        if singular is None:
            return f
        away = np.where(at > begin, at - begin, 1.0)
        f = f + (singular @ values) / away * (at > begin)
        if at[0] != begin:
            return f
        # At the singular end y' = (1 - S)⁻¹ f of values for which S y is 0.
        first = ops.reshape(np.linalg.pinv(np.eye(count) - singular) @ f[:, :1], (count, 1))
        return ops.concatenate([first, f[:, 1:]], axis=1)  # type: ignore[no-any-return]

    def residual(unknown: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        values, given = unknown[0], list(unknown[1:])
        f = slope(nodes, values, given)
        middle = (values[:, 1:] + values[:, :-1]) / 2.0 - h / 8.0 * (f[:, 1:] - f[:, :-1])
        between = slope(nodes[:-1] + h / 2.0, middle, given)
        collocation = values[:, 1:] - values[:, :-1] - h / 6.0 * (f[:, :-1] + f[:, 1:] + 4.0 * between)
        made = bc(values[:, 0], values[:, -1], *given)
        ends = ops.stack([asarray(v) for v in made]) if isinstance(made, (list, tuple)) else asarray(made)
        return collocation, ends

    start = (found.y,) if found.p is None else (found.y, found.p)
    values, *given = start if not found.success else root(residual, start, solver=lambda f, x0: x0, solve=_dense)
    values, given = asarray(values), [asarray(v) for v in given]
    result = BVPResult(found)
    yp = slope(nodes, values, given)
    result["x"], result["y"], result["yp"] = asarray(nodes), values, yp
    result["p"] = given[0] if given else None
    result["sol"] = Spline(nodes, values, yp)
    return result


def _values(found: BVPResult) -> BVPResult:
    """What SciPy found, as tensors."""
    result, sol = BVPResult(found), found.sol
    for name in ("x", "y", "yp", "p"):
        result[name] = None if found[name] is None else asarray(found[name])
    result["sol"] = lambda x, nu=0: asarray(sol(floats(x)._data, nu))
    return result


def _numbers(found: object) -> object:
    """Jacobians as SciPy takes them: one, or several in a tuple."""
    return tuple(map(numbers, found)) if isinstance(found, tuple) else numbers(found)


def _dense(multiply: Callable[[Array], Array], b: Array) -> Array:
    """The solution of a linear system that is known by its products."""
    matrix = np.stack([multiply(e) for e in np.eye(b.size)], axis=1)
    found: Array = np.linalg.solve(matrix, b)
    return found
