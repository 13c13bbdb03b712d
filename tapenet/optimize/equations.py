"""Roots of functions of nested unknowns, by SciPy's solvers with exact Jacobians."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Literal, overload

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.optimize.functions import around
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.results import Given, callback_of, result, tupled, value_of
from tapenet.optimize.unknowns import unknowns
from tapenet.program.trees import flatten
from tapenet.transforms.implicit.linear import specs_of
from tapenet.typing import Array

#: The methods of `root` that take a Jacobian.
_JACOBIANS = frozenset({"hybr", "lm"})
#: The derivatives that methods of `root_scalar` take.
_ORDERS = {"newton": 1, "halley": 2}


@boundary
def root(
    fun: Callable[..., object],
    x0: object,
    args: object = (),
    method: str = "hybr",
    jac: Given | bool | None = None,
    tol: float | None = None,
    callback: Callable[..., object] | None = None,
    options: Mapping[str, object] | None = None,
) -> Result:
    """`scipy.optimize.root` of a function of nested unknowns, with its Jacobian where the method takes one, exact and compiled.

    The result is differentiable by `args` and by tensors that the function closes over.

    Args:
        fun: a function of the unknowns and of `args` that gives as many values as there are unknowns, nested in any way.
        x0: where to begin: a vector, or a nested structure of arrays of floats.
        args: further arguments of `fun`.
        method: SciPy's name of a method. "hybr" and "lm" take a Jacobian.
        jac: None for the exact Jacobian, which is also used where a function is given; False for differences. With True `fun`
            gives its values and its Jacobian, as in SciPy; the values are taken.
        tol, options: as in SciPy.
        callback: as in SciPy; it gets the unknowns as `fun` does, and the values.

    Returns:
        SciPy's result; `x` is a tensor, or structured as `x0`, and `fun` the vector of all values.

    Raises:
        TypeError: x0 holds no real numbers.
        ValueError: `fun` gives another number of values than there are unknowns.
        RuntimeError: a derivative is asked for of what a solver found that did not converge.

    >>> import numpy as np, tapenet as tn
    >>> def equations(x, a):
    ...     return x["u"] ** 2 + x["v"] - a, x["u"] - x["v"]
    >>> found = tn.optimize.root(equations, {"u": 1.0, "v": 1.0}, args=(2.0,))
    >>> {name: round(v.item(), 6) for name, v in found.x.items()}
    {'u': 1.0, 'v': 1.0}
    >>> slope = tn.grad(lambda a: tn.optimize.root(equations, {"u": 1.0, "v": 1.0}, args=(a,)).x["u"])(2.0)
    >>> round(slope.item(), 6)
    0.333333
    """
    return rooted("tn.optimize.root", fun, x0, args, method, jac, tol, callback, options)


def rooted(
    name: str,
    fun: Callable[..., object],
    x0: object,
    args: object = (),
    method: str = "hybr",
    jac: Given | bool | None = None,
    tol: float | None = None,
    callback: Callable[..., object] | None = None,
    options: Mapping[str, object] | None = None,
) -> Result:
    """`root`, for the public function of this name."""
    xs, structure = unknowns(name, x0)
    nested = callback_of(callback, specs_of(xs), structure)
    exact = jac is not False and method.lower() in _JACOBIANS
    count = sum(t.size for t in xs)

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        found = f.values(asked.start).size
        if found != count and method.lower() != "lm":
            raise ValueError(
                f"{name}: fun gives {found} value(s) for {count} unknown(s): there must be as many of both"
            )
        given = {"callback": nested} if nested is not None else {}
        made: Result = import_module("scipy.optimize").root(
            f.values,
            asked.start,
            method=method,
            jac=f.jacobian if exact else None,
            tol=tol,
            options=None if options is None else dict(options),
            **given,
        )
        return made

    task = Task(name, [(value_of(fun, jac), tupled(args))], xs, structure, solve)
    return result(find(task), task, vector_as="fun")


@boundary
def root_scalar(
    f: Callable[..., object],
    args: object = (),
    method: str | None = None,
    bracket: Sequence[object] | None = None,
    fprime: Callable[..., object] | bool | None = None,
    fprime2: Callable[..., object] | bool | None = None,
    x0: float | None = None,
    x1: float | None = None,
    xtol: float | None = None,
    rtol: float | None = None,
    maxiter: int | None = None,
    options: Mapping[str, object] | None = None,
) -> Result:
    """`scipy.optimize.root_scalar`: a root of a function of one number. "newton" and "halley" get exact derivatives. With
    `x0` alone the method is "newton".

    Args:
        f: a function of a number and of `args` that gives a number.
        fprime, fprime2: not needed, since derivatives are exact. With True `f` gives them beside its value, as in SciPy; the
            value is taken.
        args, method, bracket, x0, x1, xtol, rtol, maxiter, options: as in SciPy.

    Returns:
        SciPy's result; `root` is a tensor, differentiable by `args` and by tensors that the function closes over.

    Raises:
        ValueError: as of SciPy's.
        RuntimeError: a derivative is asked for of what a solver found that did not converge.

    >>> import numpy as np, tapenet as tn
    >>> def kepler(e, eccentricity):
    ...     return e - eccentricity * np.sin(e) - 1.0
    >>> tn.optimize.root_scalar(kepler, args=(0.3,), bracket=[0, 3]).root
    Tensor(1.28809131)
    >>> tn.grad(lambda e: tn.optimize.root_scalar(kepler, args=(e,), x0=1.0).root)(0.3)
    Tensor(1.04800831)
    """
    given = {"x0": x0, "x1": x1, "xtol": xtol, "rtol": rtol, "maxiter": maxiter, "options": options}
    if method is None and bracket is None and fprime:
        method = "halley" if fprime2 else "newton"
    function = value_of(f, fprime is True or fprime2 is True)
    return scalar_root("tn.optimize.root_scalar", function, args, method, bracket, given)


def scalar_root(
    name: str,
    f: Callable[..., object],
    args: object,
    method: str | None,
    bracket: Sequence[object] | None,
    given: Mapping[str, object],
) -> Result:
    """`root_scalar`, for the public function of this name.

    Args:
        given: SciPy's other arguments; those that are None are left out.
    """
    x0, x1 = given.get("x0"), given.get("x1")
    if method is None and bracket is None and x0 is None:
        raise ValueError(f"{name}: unable to select a solver, as neither bracket nor x0, where to begin, is given")
    if method is None:
        method = "brentq" if bracket is not None else "newton" if x1 is None else "secant"
    ends = None if bracket is None else [float(asarray(b).detach()) for b in bracket]
    start = x0 if x0 is not None else 0.0 if ends is None else ends[0]
    xs = [asarray(float(asarray(start).detach()))]
    structure = flatten(0.0)[1]
    settings: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if x0 is not None:
        settings["x0"] = float(xs[0])
    orders = _ORDERS.get(method.lower(), 0)

    def solve(asked: Asked) -> Result:
        function = asked.functions[0]

        derivatives: dict[str, object] = {}
        if orders > 0:
            derivatives["fprime"] = lambda x: float(function.value_and_grad(np.array([x]))[1][0])
        if orders > 1:
            derivatives["fprime2"] = lambda x: float(function.hessian(np.array([x]))[0, 0])
        optimize = import_module("scipy.optimize")
        all_of_them = settings | derivatives
        scalar = optimize.root_scalar(
            lambda x: function.value(np.array([x])), method=method, bracket=ends, **all_of_them
        )
        made: Result = optimize.OptimizeResult(
            x=np.array([scalar.root]), success=scalar.converged, message=scalar.flag, scalar=scalar
        )
        return made

    task = Task(name, [(f, tupled(args))], xs, structure, solve)
    found = find(task)
    made: Result = import_module("scipy.optimize").OptimizeResult() if found.result is None else found.result.scalar
    made.root = found.xs[0]
    return made


@overload
def newton(
    func: Callable[..., object], x0: object, fprime: Callable[..., object] | None = None, args: object = (),
    tol: float = 1.48e-8, maxiter: int = 50, fprime2: Callable[..., object] | bool | None = None, x1: None = None,
    rtol: float = 0.0, full_output: Literal[False] = False, disp: bool = True,
) -> Tensor: ...  # fmt: skip


@overload
def newton(
    func: Callable[..., object], x0: object, fprime: Callable[..., object] | None = None, args: object = (),
    tol: float = 1.48e-8, maxiter: int = 50, fprime2: Callable[..., object] | bool | None = None, x1: None = None,
    rtol: float = 0.0, *, full_output: Literal[True], disp: bool = True,
) -> tuple[object, ...]: ...  # fmt: skip


@boundary
def newton(
    func: Callable[..., object],
    x0: object,
    fprime: Callable[..., object] | None = None,
    args: object = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
    fprime2: Callable[..., object] | bool | None = None,
    x1: None = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Tensor | tuple[object, ...]:
    """`scipy.optimize.newton`: roots by Newton's method with exact derivatives, for all elements of an array at once.

    Args:
        func: a function that works element by element: of numbers and of `args`, whose arrays broadcast with them.
        x0: where to begin: a number, or an array of any shape.
        fprime: not needed, since it is exact.
        args, tol, maxiter, rtol, disp: as in SciPy.
        fprime2: with True or a function second derivatives are used too, which are exact (Halley's method).
        x1: not taken: it is of the secant method.
        full_output: whether to return what SciPy does beside the roots: of one number its `RootResults`; of an array where the
            method converged, and where the derivative was 0.

    Returns:
        the roots, in the shape of `x0`, differentiable by `args` and by tensors that the function closes over.

    Raises:
        RuntimeError: it did not converge. As in SciPy, where some elements of an array did it is a warning; a derivative is
            then an error.
        TypeError: x1 is given.

    >>> import numpy as np, tapenet as tn
    >>> def kepler(e, eccentricity, anomaly):
    ...     return e - eccentricity * np.sin(e) - anomaly
    >>> anomalies = np.array([0.5, 1.0, 2.0])
    >>> tn.optimize.newton(kepler, anomalies, args=(0.3, anomalies))
    Tensor([0.69125029, 1.28809131, 2.2360315 ])
    """
    name = "tn.optimize.newton"
    if x1 is not None:
        raise TypeError(f"{name}: x1= is of the secant method; derivatives are exact here: leave it out")
    begin = asarray(x0)
    xs, structure = unknowns(name, begin)
    shape = begin.shape

    def flat(x: Tensor, *args: object) -> Tensor:
        return asarray(func(x.reshape(shape), *args))

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        if f.values(asked.start).size != asked.start.size:
            raise ValueError(f"{name}: func gives other shapes than x0 has, {shape}: it works element by element")
        second = {"fprime2": f.second_derivative} if fprime2 else {}
        optimize = import_module("scipy.optimize")
        x, *told = optimize.newton(
            f.values, asked.start, fprime=f.derivative, tol=tol, maxiter=maxiter, rtol=rtol, full_output=True, disp=disp,
            **second,
        )  # fmt: skip
        done = np.all(told[0]) if x.size > 1 else told[0].converged
        message = f"more than {maxiter} iterations"
        made: Result = optimize.OptimizeResult(x=x, success=bool(done), message=message, told=told)
        return made

    f = around(func, ("newton", shape), flat)
    found = find(Task(name, [(f, tupled(args))], xs, structure, solve, linear=_by_element))
    roots: Tensor = found.xs[0].reshape(shape)
    if not full_output:
        return roots
    if found.result is None:
        raise TypeError(f"{name}: full_output=True tells of a run of the solver, which a compiled step makes later")
    if roots.size > 1:
        return roots, *(np.reshape(t, shape) for t in found.result.told)
    (told,) = found.result.told
    told.root = roots
    return roots, told


def _by_element(multiply: Callable[[Array], Array], b: Array) -> Array:
    """Solves a linear system whose matrix is diagonal."""
    diagonal = multiply(np.ones_like(b))
    if not diagonal.all():
        raise ValueError("tn.optimize.newton: at a root the derivative by the unknown is 0, so that the root has none")
    found: Array = b / diagonal
    return found


@boundary
def newton_krylov(
    F: Callable[..., object], xin: object, iter: int | None = None, rdiff: float | None = None, method: str = "lgmres",
    inner_maxiter: int = 20, inner_M: object = None, outer_k: int = 10, verbose: bool = False,
    maxiter: int | None = None, f_tol: float | None = None, f_rtol: float | None = None, x_tol: float | None = None,
    x_rtol: float | None = None, tol_norm: Callable[..., object] | None = None,
    line_search: Literal["armijo", "wolfe"] | None = "armijo", callback: Callable[..., object] | None = None,
    **kw: object,
) -> object:  # fmt: skip
    """`scipy.optimize.newton_krylov`: a root of a function of nested unknowns, by Newton's method that solves its systems by
    iteration; the arguments are SciPy's. See `root`.

    Returns:
        the unknowns, structured as `xin`, differentiable by tensors that the function closes over.

    Raises:
        scipy.optimize.NoConvergence: it did not converge.

    >>> import numpy as np, tapenet as tn
    >>> tn.optimize.newton_krylov(lambda x: x**3 + x - np.array([2.0, 10.0]), np.ones(2), f_tol=1e-10).round(6)
    Tensor([1., 2.])
    """
    inner = {
        "rdiff": rdiff, "method": method, "inner_maxiter": inner_maxiter, "inner_M": inner_M, "outer_k": outer_k, **kw,
    }  # fmt: skip
    options = {
        "nit": iter, "disp": verbose, "maxiter": maxiter, "fatol": f_tol, "ftol": f_rtol, "xatol": x_tol, "xtol": x_rtol,
        "tol_norm": tol_norm, "line_search": line_search, "jac_options": inner,
    }  # fmt: skip
    found = rooted("tn.optimize.newton_krylov", F, xin, method="krylov", callback=callback, options=options)
    if not found.get("success", True):
        raise import_module("scipy.optimize").NoConvergence(found.x)
    return found.x
