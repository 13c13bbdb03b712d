"""Fixed points of functions of nested unknowns."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from tapenet.ops.tracebacks import boundary
from tapenet.optimize.functions import around, vector
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.results import tupled
from tapenet.optimize.unknowns import unknowns
from tapenet.typing import Array


@boundary
def fixed_point(
    func: Callable[..., object], x0: object, args: object = (), xtol: float = 1e-8, maxiter: int = 500,
    method: str = "del2",
) -> object:  # fmt: skip
    """`scipy.optimize.fixed_point`: unknowns x with f(x) = x, by iteration.

    Args:
        func: a function of the unknowns and of `args` that gives values of the unknowns' shapes.
        x0: where to begin: a number, an array, or a nested structure of arrays of floats.
        args: further arguments of `func`.
        xtol, maxiter: as in SciPy.
        method: "del2" with Steffensen's acceleration, element by element, or "iteration".

    Returns:
        the unknowns, structured as `x0`, differentiable by `args` and by tensors that the function closes over. The derivative
        is that of the fixed point, whatever the way there: the system with the matrix 1 - ∂f/∂x is solved.

    Raises:
        RuntimeError: it did not converge.
        ValueError: `func` gives another number of values than there are unknowns.

    >>> import numpy as np, tapenet as tn
    >>> tn.optimize.fixed_point(lambda x, a: np.sqrt(a + x), 1.0, args=(2.0,)).round(6)
    Tensor(2.)
    >>> tn.grad(lambda a: tn.optimize.fixed_point(lambda x: np.sqrt(a + x), 1.0))(2.0).round(6)
    Tensor(0.333333)
    """
    name = "tn.optimize.fixed_point"
    xs, structure = unknowns(name, x0)
    number = structure.kind is None and getattr(x0, "ndim", 0) == 0 and not isinstance(x0, (list, tuple))

    def off(x: object, *args: object) -> object:
        return vector(func(x, *args)) - vector(x)

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        if f.values(asked.start).size != asked.start.size:
            raise ValueError(f"{name}: func gives another number of values than the {asked.start.size} unknowns")
        optimize = import_module("scipy.optimize")

        def step(v: Array) -> Array:
            moved: Array = v + f.values(v)
            return moved

        x = optimize.fixed_point(step, asked.start, xtol=xtol, maxiter=maxiter, method=method)
        made: Result = optimize.OptimizeResult(x=x, success=True)
        return made

    f = around(func, ("fixed point",), off)
    found = find(Task(name, [(f, tupled(args))], xs, structure, solve)).xs
    return found[0].reshape(()) if number else structure.build(found)
