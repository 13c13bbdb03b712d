"""Global minima, by SciPy's solvers: what they find is differentiable as a minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np

from tapenet.ops.tracebacks import boundary
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.results import result, tupled
from tapenet.optimize.unknowns import limits, listed, unknowns
from tapenet.typing import Array


def _low(name: str, bounds: object) -> object:
    """Unknowns with these bounds: a vector, or such nested."""
    if isinstance(bounds, Mapping):
        return {part: _within(name, pair) for part, pair in bounds.items()}
    if hasattr(bounds, "lb"):
        return np.array(bounds.lb, np.float64)
    return np.zeros(len(listed(name, bounds)))


def _within(name: str, pair: object) -> Array:
    sides = [pair.lb, pair.ub] if hasattr(pair, "lb") and hasattr(pair, "ub") else listed(name, pair)
    return np.zeros(np.broadcast_shapes(*map(np.shape, sides)))


def _searched(
    method: str,
    func: Callable[..., object],
    bounds: object,
    args: object,
    options: Mapping[str, object],
    locally: bool = False,
    x0: object = None,
) -> Result:
    name = f"tn.optimize.{method}"
    xs, structure = unknowns(name, _low(name, bounds) if x0 is None else x0)
    limited = None if bounds is None else limits(name, bounds, xs, structure, by_element=True)

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        given = dict(options)
        optimize = import_module("scipy.optimize")
        if locally:  # the searches around a place get exact gradients
            around: object = given.get("minimizer_kwargs") or {}
            if not isinstance(around, Mapping):
                raise TypeError(f"{name}: minimizer_kwargs is {type(around).__name__}, not a dict")
            given["minimizer_kwargs"] = {
                "method": "L-BFGS-B", "jac": lambda v: f.value_and_grad(v)[1], **around
            }  # fmt: skip
        if asked.bounds is not None:
            given["bounds"] = list(zip(*asked.bounds, strict=True))
        start = (asked.start,) if bounds is None else ()
        found: Result = getattr(optimize, method)(lambda v: f.value(np.asarray(v)), *start, **given)
        if not hasattr(found, "success"):
            found.success = True
        return found

    task = Task(name, [(func, tupled(args))], xs, structure, solve, limited, (), lambda out: out.reshape(()))
    return result(find(task), task)


@boundary
def differential_evolution(func: Callable[..., object], bounds: object, args: object = (), **options: object) -> Result:
    """`scipy.optimize.differential_evolution`, with a compiled function of unknowns that may be nested.

    Args:
        func: a function of the unknowns and of `args` that gives one number.
        bounds: SciPy's, or a dict of pairs (low, high): then the unknowns are a dict of such arrays.
        args: further arguments of `func`.
        **options: SciPy's, by name: strategy, maxiter, popsize, tol, rng, polish ... Constraints and x0 are of the vector of
            all unknowns. Of constraints that hold there are no derivatives.

    Returns:
        SciPy's result; `x` is a tensor or a dict, `fun` a tensor, both differentiable by `args`, by bounds that hold, and by
        tensors that the function closes over.

    Raises:
        ValueError: a lower bound is above the upper one.

    >>> import numpy as np, tapenet as tn
    >>> def f(p):
    ...     return (p["x"] ** 2 - 2) ** 2 + np.cos(3 * p["x"]) + p["y"] ** 2
    >>> found = tn.optimize.differential_evolution(f, {"x": (0, 4), "y": (-1, 1)}, rng=0)
    >>> round(found.x["x"].item(), 4)
    1.2758
    """
    return _searched("differential_evolution", func, bounds, args, options)


@boundary
def dual_annealing(func: Callable[..., object], bounds: object, args: object = (), **options: object) -> Result:
    """`scipy.optimize.dual_annealing`, whose local searches get exact gradients. Arguments and result as of
    `differential_evolution`; `minimizer_kwargs` as in SciPy.

    >>> import numpy as np, tapenet as tn
    >>> found = tn.optimize.dual_annealing(lambda x: (x**2).sum() + 2 * np.sin(5 * x).sum(), [(-2, 2)] * 2, rng=0, maxiter=20)
    >>> found.x.numpy().round(4)
    array([-0.3021, -0.3021])
    """
    return _searched("dual_annealing", func, bounds, args, options, locally=True)


@boundary
def shgo(func: Callable[..., object], bounds: object, args: object = (), **options: object) -> Result:
    """`scipy.optimize.shgo`, whose local searches get exact gradients. Arguments and result as of `differential_evolution`;
    `minimizer_kwargs` as in SciPy.

    >>> import numpy as np, tapenet as tn
    >>> tn.optimize.shgo(lambda x: (x**2).sum() + 2 * np.sin(5 * x).sum(), [(-2, 2)] * 2).x.numpy().round(4)
    array([-0.3021, -0.3021])
    """
    return _searched("shgo", func, bounds, args, options, locally=True)


@boundary
def direct(func: Callable[..., object], bounds: object, args: object = (), **options: object) -> Result:
    """`scipy.optimize.direct`. Arguments and result as of `differential_evolution`.

    >>> import numpy as np, tapenet as tn
    >>> tn.optimize.direct(lambda x: ((x - 0.3) ** 2).sum(), [(-2, 2)] * 2, eps=1e-6).x.numpy().round(2)
    array([0.3, 0.3])
    """
    return _searched("direct", func, bounds, args, options)


@boundary
def basinhopping(func: Callable[..., object], x0: object, args: object = (), **options: object) -> Result:
    """`scipy.optimize.basinhopping`, whose local searches get exact gradients. Result as of `minimize`.

    Args:
        func, args: as of `minimize`.
        x0: where to begin: a vector, or a nested structure of arrays of floats.
        **options: SciPy's, by name: niter, T, stepsize, minimizer_kwargs, rng ...

    >>> import numpy as np, tapenet as tn
    >>> found = tn.optimize.basinhopping(lambda x: (x**2).sum() + 2 * np.sin(5 * x).sum(), [1.0, 1.0], stepsize=1.0, rng=0)
    >>> found.x.numpy().round(4)
    array([-0.3021, -0.3021])
    """
    return _searched("basinhopping", func, None, args, options, locally=True, x0=x0)
