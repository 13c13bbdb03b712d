"""Minima of functions of nested parameters, by SciPy's solvers with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple, Protocol

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.optimize.functions import Bound
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.results import Given, callback_of, differences, result, tupled, value_of
from tapenet.optimize.unknowns import limits, unknowns
from tapenet.program.trees import flatten
from tapenet.transforms.implicit.linear import parts, specs_of
from tapenet.typing import Array

#: The methods that take no gradient, those that take products with the Hessian, and those that take the Hessian.
_VALUES = frozenset({"nelder-mead", "powell", "cobyla", "cobyqa"})
_PRODUCTS = frozenset({"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"})
_HESSIANS = frozenset({"dogleg", "trust-exact"})


@boundary
def minimize(
    fun: Callable[..., object],
    x0: object,
    args: object = (),
    method: str | Callable[..., Result] | None = None,
    jac: Given | bool | None = None,
    hess: object = None,
    hessp: Callable[..., object] | None = None,
    bounds: object = None,
    constraints: object = (),
    tol: float | None = None,
    callback: Callable[..., object] | None = None,
    options: Mapping[str, object] | None = None,
) -> Result:
    """`scipy.optimize.minimize` of a function of nested parameters, with its gradient, Hessian or products with that, as the
    method takes them: exact and compiled.

    The result is differentiable by all that the problem depends on: `args`, tensors that the functions close over, and bounds.

    Args:
        fun: a function of the unknowns and of `args` that gives one number.
        x0: where to begin: a vector as in SciPy, or a nested structure of arrays of floats of any shapes.
        args: further arguments of `fun`.
        method: SciPy's name of a method, or one of your own.
        jac: None for the exact gradient, which is also used where a function is given. With True `fun` gives its value and its
            gradient, as in SciPy; the value is taken. "2-point", "3-point" or "cs" ask SciPy for differences.
        hess: None for exact second derivatives, which are also used where a function is given. One of the words above, or an
            update strategy such as `scipy.optimize.BFGS()`.
        hessp: not needed, since it is exact.
        bounds: as in SciPy. In nested unknowns such bounds, or a pair (low, high), in the place of each leaf.
        constraints: SciPy's: dicts, `NonlinearConstraint`, `LinearConstraint` (of all unknowns as one vector). Their functions
            take the unknowns as `fun` does; their derivatives are exact, a `jac` or `hess` in them is not used.
        tol, options: as in SciPy.
        callback: as in SciPy; it gets the unknowns as `fun` does.

    Returns:
        SciPy's result. `x` is a tensor, or structured as `x0`; `fun` a tensor; `jac` is structured as `x`. What else it has is
        about the vector of all unknowns. In a compiled step it has `x` and `fun` alone.

    Raises:
        TypeError: x0 holds no real numbers.
        ValueError: `fun` gives no single number.
        RuntimeError: a derivative is asked for of what a solver found that did not converge; in a compiled step, it did not.

    >>> import numpy as np, tapenet as tn
    >>> def misfit(p, data):
    ...     return ((p["level"] + p["slope"] * np.arange(3) - data) ** 2).sum() + p["slope"] ** 2
    >>> start, data = {"level": 0.0, "slope": 0.0}, np.array([1.0, 2.0, 4.0])
    >>> found = tn.optimize.minimize(misfit, start, args=(data,))
    >>> found.success, {name: round(v.item(), 4) for name, v in found.x.items()}
    (True, {'level': 1.3333, 'slope': 1.0})
    >>> tn.grad(lambda data: tn.optimize.minimize(misfit, start, args=(data,)).x["slope"])(data).numpy().round(4)
    array([-0.3333, -0.    ,  0.3333])
    """
    name = "tn.optimize.minimize"
    words, strategy = differences(jac), None if callable(hess) and not hasattr(hess, "initialize") else hess
    xs, structure = unknowns(name, x0)
    limited = None if bounds is None else limits(name, bounds, xs, structure, by_element=True)
    stated = [_constraint(name, c) for c in _several(constraints)]
    forms, nested = [c.form for c in stated], callback_of(callback, specs_of(xs), structure)
    settings: dict[str, object] = {"method": method, "tol": tol, "options": None if options is None else dict(options)}
    task = Task(
        name,
        [(value_of(fun, jac), tupled(args)), *((c.f, c.args) for c in stated)],
        xs,
        structure,
        lambda asked: _minimized(asked, settings, forms, words, strategy, nested),
        limited,
        [c.sides for c in stated],
        lambda out: out.reshape(()),
    )
    found = result(find(task), task)
    if isinstance(found.get("jac"), np.ndarray):
        found.jac = structure.build(parts(found.jac, specs_of(xs)))
    return found


class _Both:
    """A function that solvers ask for its value, and then for its gradient at the same place: both are computed at once."""

    def __init__(self, f: Bound) -> None:
        self._f = f
        self._at = b""

    def value(self, v: Array) -> float:
        value, self._gradient = self._f.value_and_grad(v)
        self._at = v.tobytes()
        return value

    def gradient(self, v: Array) -> Array:
        if v.tobytes() != self._at:
            self.value(v)
        return self._gradient


def _minimized(
    asked: Asked,
    settings: Mapping[str, object],
    forms: Sequence[_Form],
    jac: str | None,
    hess: object,
    callback: Callable[..., object] | None,
) -> Result:
    optimize = import_module("scipy.optimize")
    f, *rest = asked.functions
    given = dict(settings)
    kind = given["method"]
    if kind is None:
        kind = "SLSQP" if forms else "BFGS" if asked.bounds is None else "L-BFGS-B"
    kind = kind.lower() if isinstance(kind, str) else ""
    exact = jac is None and kind not in _VALUES
    both = _Both(f)
    given["jac"] = both.gradient if exact else jac
    if hess is not None:
        given["hess"] = hess
    elif kind in _HESSIANS:
        given["hess"] = f.hessian
    elif kind in _PRODUCTS or not kind:
        given["hessp"] = f.product
    if asked.bounds is not None:
        given["bounds"] = optimize.Bounds(*asked.bounds)
    if forms:
        given["constraints"] = [
            form.made(g, kind, sides) for form, g, sides in zip(forms, rest, asked.sides, strict=True)
        ]
    if callback is not None:
        given["callback"] = callback
    found: Result = optimize.minimize(both.value if exact else f.value, asked.start, **given)
    return found


# -- constraints -------------------------------------------------------------------------------------------------


class _Form(Protocol):
    """How SciPy is given a constraint."""

    def made(self, g: Bound, kind: str, sides: tuple[Array, Array]) -> object:
        """A constraint of SciPy's, for a method."""
        ...


class _Nonlinear(NamedTuple):
    feasible: object

    def made(self, g: Bound, kind: str, sides: tuple[Array, Array]) -> object:
        make = import_module("scipy.optimize").NonlinearConstraint
        if kind == "trust-constr":
            return make(g.values, *sides, g.sparse_jacobian, g.weighted_hessian, self.feasible)
        derivative = {} if kind in _VALUES else {"jac": g.jacobian}
        return make(g.values, *sides, keep_feasible=self.feasible, **derivative)


class _Linear(NamedTuple):
    stated: object

    def made(self, g: Bound, kind: str, sides: tuple[Array, Array]) -> object:
        return self.stated


class _Constraint(NamedTuple):
    """A constraint.

    Attributes:
        f, args: its function, with further arguments.
        sides: between which its values are.
        form: how SciPy is given it.
    """

    f: Callable[..., object]
    args: tuple[object, ...]
    sides: tuple[Tensor, Tensor]
    form: _Form


def _several(constraints: object) -> list[object]:
    return list(constraints) if isinstance(constraints, (list, tuple)) else [constraints]


def _constraint(name: str, stated: object) -> _Constraint:
    """A constraint of a user's.

    Raises:
        TypeError, ValueError: it is none.
    """
    if isinstance(stated, Mapping):
        kind = str(stated.get("type", "")).lower()
        if kind not in ("eq", "ineq") or not callable(stated.get("fun")):
            raise ValueError(f"{name}: a constraint that is a dict has a type, 'eq' or 'ineq', and a function, fun")
        sides = asarray(0.0), asarray(0.0 if kind == "eq" else np.inf)
        return _Constraint(stated["fun"], tuple(stated.get("args", ())), sides, _Nonlinear(False))
    if hasattr(stated, "A") and hasattr(stated, "lb") and hasattr(stated, "ub"):
        matrix = stated.A.toarray() if hasattr(stated.A, "toarray") else np.asarray(stated.A)

        def product(x: object) -> Tensor:
            found: Tensor = ops.matmul(matrix, ops.concatenate([asarray(t).reshape(-1) for t in flatten(x)[0]]))
            return found

        return _Constraint(product, (), (asarray(stated.lb), asarray(stated.ub)), _Linear(stated))
    if hasattr(stated, "fun") and hasattr(stated, "lb") and hasattr(stated, "ub"):
        form = _Nonlinear(getattr(stated, "keep_feasible", False))
        return _Constraint(stated.fun, (), (asarray(stated.lb), asarray(stated.ub)), form)
    raise TypeError(
        f"{name}: {type(stated).__name__} is no constraint: give a dict, scipy.optimize.NonlinearConstraint or LinearConstraint"
    )


# -- functions of a number ---------------------------------------------------------------------------------------


@boundary
def minimize_scalar(
    fun: Callable[..., object],
    bracket: Sequence[float] | None = None,
    bounds: Sequence[object] | None = None,
    args: object = (),
    method: str | None = None,
    tol: float | None = None,
    options: Mapping[str, object] | None = None,
) -> Result:
    """`scipy.optimize.minimize_scalar`: a minimum of a function of one number, differentiable by `args`, by tensors that the
    function closes over, and by bounds.

    Args:
        fun: a function of a number and of `args` that gives a number.
        bracket, bounds, args, method, tol, options: as in SciPy.

    Returns:
        SciPy's result; `x` and `fun` are tensors.

    Raises:
        ValueError: as of SciPy's.
        RuntimeError: a derivative is asked for of what a solver found that did not converge.

    >>> import numpy as np, tapenet as tn
    >>> def lowest(a):
    ...     return tn.optimize.minimize_scalar(lambda x: np.cosh(x - a**2), options={"xtol": 1e-9}).x
    >>> round(lowest(1.5).item(), 6), round(tn.grad(lowest)(1.5).item(), 6)
    (2.25, 3.0)
    """
    name = "tn.optimize.minimize_scalar"
    start, structure = [asarray(0.0)], flatten(0.0)[1]
    limited = None if bounds is None else limits(name, tuple(bounds), start, structure, by_element=False)
    given = {"bracket": bracket, "method": method, "tol": tol, "options": options}

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        ends = None if asked.bounds is None else [float(side[0]) for side in asked.bounds]
        scalar = import_module("scipy.optimize").minimize_scalar(lambda x: f.value(np.array([x])), bounds=ends, **given)
        scalar.x = np.array([scalar.x])
        made: Result = scalar
        return made

    task = Task(name, [(fun, tupled(args))], start, structure, solve, limited, (), lambda out: out.reshape(()))
    return result(find(task), task)
