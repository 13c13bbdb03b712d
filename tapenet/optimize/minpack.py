"""`fsolve` and `leastsq`: MINPACK's solvers under the names that SciPy had for them first."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.optimize.equations import rooted
from tapenet.optimize.functions import vector
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.residuals import cost_of, covariance
from tapenet.optimize.results import tupled
from tapenet.optimize.sharpening import sharpened
from tapenet.optimize.unknowns import unknowns


def _flat(x0: object) -> object:
    """Where to begin: an array, or nested lists, as one vector, which is what SciPy's functions of these names work on."""
    if isinstance(x0, (Tensor, np.ndarray)):
        return x0.reshape(-1)
    return np.ravel(x0) if isinstance(x0, list) and x0 and isinstance(x0[0], list) else x0


@boundary
def fsolve(
    func: Callable[..., object], x0: object, args: object = (), fprime: Callable[..., object] | None = None,
    full_output: bool = False,
    col_deriv: bool = False, xtol: float = 1.49012e-08, maxfev: int = 0, band: tuple[int, int] | None = None,
    epsfcn: float | None = None, factor: float = 100, diag: object = None,
) -> object:  # fmt: skip
    """`scipy.optimize.fsolve`: a root of a function of nested unknowns, with its exact Jacobian. See `root`.

    Args:
        func: a function of the unknowns and of `args` that gives as many values as there are unknowns.
        x0, args: as in `root`.
        fprime: not needed: the exact Jacobian is used, also where one is given.
        full_output: whether to return infodict, ier and mesg too.
        xtol, maxfev, factor, diag: as in SciPy.
        col_deriv, band, epsfcn: of no effect: they are of given Jacobians, and of differences.

    Returns:
        the unknowns, structured as `x0`, differentiable by `args` and by tensors that the function closes over.

    Raises:
        TypeError: x0 holds no real numbers.
        RuntimeError: a derivative is asked for of what did not converge. The value alone comes with a warning, as in SciPy.

    >>> import tapenet as tn
    >>> tn.grad(lambda a: tn.optimize.fsolve(lambda x: x**2 - a, [1.0])[0])(4.0).round(6)
    Tensor(0.25)
    """
    name = "tn.optimize.fsolve"
    options = {"xtol": xtol, "maxfev": maxfev, "factor": factor, "diag": diag}
    found = rooted(name, func, _flat(x0), args, options=options)
    if found.get("status") is None:  # in a compiled step, where what does not converge is an error
        if full_output:
            raise TypeError(f"{name}: full_output=True tells of a run of the solver, which a compiled step makes later")
        return found.x
    if full_output:
        infodict = {key: found[key] for key in ("nfev", "njev", "fjac", "r", "qtf")} | {"fvec": found.fun}
        return found.x, infodict, found.status, found.message
    if found.status == 0:
        raise TypeError(f"{name}: {found.message}")
    if found.status != 1:
        warnings.warn(f"{name}: {found.message}", RuntimeWarning, stacklevel=3)
    return found.x


@boundary
def leastsq(
    func: Callable[..., object], x0: object, args: object = (), Dfun: Callable[..., object] | None = None,
    full_output: bool = False,
    col_deriv: bool = False, ftol: float = 1.49012e-08, xtol: float = 1.49012e-08, gtol: float = 0.0, maxfev: int = 0,
    epsfcn: float | None = None, factor: float = 100, diag: object = None,
) -> tuple[object, ...]:  # fmt: skip
    """`scipy.optimize.leastsq`: least squares of a function of nested parameters, by Levenberg and Marquardt's method with the
    exact Jacobian. See `least_squares`.

    Args:
        func: a function of the parameters and of `args` that gives the residuals.
        x0, args: as in `least_squares`.
        Dfun: not needed: the exact Jacobian is used, also where one is given.
        full_output: whether to return cov_x, infodict and mesg too.
        ftol, xtol, gtol, maxfev, factor, diag: as in SciPy.
        col_deriv, epsfcn: of no effect: they are of given Jacobians, and of differences.

    Returns:
        the parameters, structured as `x0`, and SciPy's ier; with `full_output` the parameters, (Jᵀ J)⁻¹ for their Jacobian J,
        infodict, mesg and ier. Parameters and matrix are differentiable by `args` and by tensors that the function closes over.

    Raises:
        TypeError: x0 holds no real numbers.
        RuntimeError: a derivative is asked for of what did not converge. The value alone comes with a warning, as in SciPy.

    >>> import numpy as np, tapenet as tn
    >>> t = np.arange(4.0)
    >>> x, ier = tn.optimize.leastsq(lambda p, y: p[0] * np.exp(-p[1] * t) - y, [1.0, 1.0], args=(3 * np.exp(-0.5 * t),))
    >>> x.round(6)
    Tensor([3. , 0.5])
    """
    name = "tn.optimize.leastsq"
    xs, structure = unknowns(name, _flat(x0))

    def residuals(x: object, *args: object) -> Tensor:
        return vector(func(x, *args))

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        optimize = import_module("scipy.optimize")
        x, _, infodict, message, status = optimize.leastsq(
            f.values, asked.start, Dfun=f.jacobian, full_output=True, ftol=ftol, xtol=xtol, gtol=gtol, maxfev=maxfev,
            factor=factor, diag=diag,
        )  # fmt: skip
        success = status in (1, 2, 3, 4)
        if success:
            x = sharpened(f, x, None, None)
            infodict["fvec"] = f.values(x)
        made: Result = optimize.OptimizeResult(x=x, success=success, infodict=infodict, message=message, status=status)
        return made

    found = find(Task(name, [(func, tupled(args))], xs, structure, solve, None, (), cost_of("linear", 1.0)))
    x, told = structure.build(found.xs), found.result
    if told is None:
        if full_output:
            raise TypeError(f"{name}: full_output=True tells of a run of the solver, which a compiled step makes later")
        return x, 1
    if full_output:
        try:
            matrix: Tensor | None = covariance(residuals, tupled(args), found.xs, structure, True, ("linear", 1.0))
        except np.linalg.LinAlgError:
            matrix = None
        told.infodict["fvec"] = asarray(told.infodict["fvec"])
        return x, matrix, told.infodict, told.message, told.status
    if told.status not in (1, 2, 3, 4):
        warnings.warn(f"{name}: {told.message}", RuntimeWarning, stacklevel=3)
    return x, told.status
