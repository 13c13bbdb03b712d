"""What solves an equation, with the derivatives that follow from it: roots, fixed points and minima.

Where F(x, p) = 0, the derivatives of x by p are those of the equation: ∂F/∂x dx + ∂F/∂p dp = 0 (the implicit function
theorem). So they hang on no solver, and cost one linear system.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from tapenet import ops
from tapenet.autodiff.attached import attach, gradients
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.state import enable_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.failures import named
from tapenet.ops.op import op
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.trees import Structure, flatten
from tapenet.transforms.implicit.equations import Equation, Reading, read
from tapenet.transforms.implicit.linear import (
    DENSE,
    How,
    Operator,
    Product,
    Solve,
    filled,
    in_numbers,
    parts,
    same_size,
    solve_numbers,
    solved,
    specs_of,
    vector,
)
from tapenet.transforms.implicit.solvers import anderson, iterate, outcome, root_options, scipy_minimize, scipy_root
from tapenet.transforms.recorded import end
from tapenet.transforms.rule_functions import TracedRule
from tapenet.transforms.whole_calls import is_array, zeros
from tapenet.typing import Array

#: Finds what is asked for: given a function of a vector of all unknowns, and where to begin.
Solver = Callable[..., object]


class Problem:
    """What is to be solved: F(x, ...) = 0.

    Attributes:
        name: the function that the user called.
        equation: what the user gave, as a function of x.
        how: how linear systems of its derivative are solved.
    """

    def __init__(self, name: str, equation: Equation, how: How, solver: Solver, options: dict[str, object]) -> None:
        self.name = name
        self.equation = equation
        self.how = how
        self.solver = solver
        self.options = options

    def values(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        """F at x."""
        return self.equation(xs, inputs, kept)

    def call(self, xs: list[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> object:
        """What the solver finds. It is run inside of an op, on numbers."""
        raise NotImplementedError

    def solution(self, xs: list[Tensor], inputs: list[Tensor], kept: list[Tensor]) -> list[Tensor]:
        """The unknowns that the solver finds, which must solve the equation."""
        found = outcome(self.call(xs, inputs, kept), self.name, vector([t._data for t in xs]))
        made = parts(found, specs_of(xs))
        _check(self, made, xs, inputs, kept)
        return made

    def differentiable(self) -> None:
        """Raise if what was found has no derivative."""

    @staticmethod
    def start(xs: Sequence[Tensor]) -> Array:
        """Where the solver begins, as a vector of double precision."""
        v = vector([t._data for t in xs])
        return v if v.dtype.kind == "c" else v.astype(np.float64)

    @staticmethod
    def of_vector(
        f: Callable[..., list[Tensor]], xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Callable[[Array], Array]:
        """A function of the unknowns as one of a vector."""
        specs = [Spec(t.shape, np.dtype(np.float64) if t.dtype == np.float64 else t.dtype) for t in xs]

        def function(v: Array) -> Array:
            found = vector([t._data for t in f(parts(np.asarray(v), specs), inputs, kept)])
            return found if found.dtype.kind == "c" else found.astype(np.float64)

        return function


class _Root(Problem):
    """F itself is what the user gave."""

    def call(self, xs: list[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> object:
        options = dict(self.options)
        if self.solver is scipy_root:
            options = root_options(options, precision(xs), vector([t._data for t in xs]).size)
            if "jac" in options:
                options["jac"] = self._jacobian(xs, inputs, kept)
        return self.solver(self.of_vector(self.values, xs, inputs, kept), self.start(xs), **options)

    def _jacobian(self, xs: list[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> Callable[[Array], Array]:
        """The matrix ∂F/∂x at a vector."""

        def function(v: Array) -> Array:
            at = parts(v, specs_of(xs))
            values = specs_of(self.values(at, inputs, kept))
            multiply = _Jacobian(self, values, len(xs)).at([*at, *inputs], kept)
            return np.stack([vector([t._data for t in multiply(parts(e, values))]) for e in np.eye(v.size)])

        return function


class _FixedPoint(Problem):
    """x - f(x) = 0."""

    def values(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        return [ops.subtract(x, y) for x, y in zip(xs, self.equation(xs, inputs, kept), strict=True)]

    def call(self, xs: list[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> object:
        options = dict(self.options)
        if self.solver in (anderson, iterate):
            options.setdefault("tol", precision(xs) ** 0.8)
        return self.solver(self.of_vector(self.equation, xs, inputs, kept), self.start(xs), **options)


class _Minimum(Problem):
    """The gradient of f is 0."""

    def values(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        ends = [end(t) for t in xs]
        with enable_grad():
            (value,) = self.equation(ends, inputs, kept)
        seed = Tensor._of(np.ones(value.shape, value.dtype))
        seed._data.flags.writeable = False  # a constant of programs
        return filled(gradients([t._node for t in ends], [value], [seed], release=False), specs_of(xs))

    def call(self, xs: list[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> object:
        value = self.of_vector(self.equation, xs, inputs, kept)
        gradient = self.of_vector(self.values, xs, inputs, kept)
        options = dict(self.options)
        if self.solver is scipy_minimize:
            options.setdefault("tol", precision(xs) ** 0.6)
        found = self.solver(lambda v: float(value(v)[0]), self.start(xs), jac=gradient, **options)
        if self.solver is not scipy_minimize or options.keys() & {"bounds", "constraints"}:
            return found
        if found.x.size > DENSE or not found.success:  # type: ignore[attr-defined]
            return found
        return self._sharpened(found.x, gradient, xs, inputs, kept)  # type: ignore[attr-defined]

    def _sharpened(
        self,
        x: Array,
        gradient: Callable[[Array], Array],
        xs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        kept: Sequence[Tensor],
    ) -> Array:
        """A minimum after some steps of Newton's method, as long as they help: where the gradient is small the function is
        flat, and who compares its values finds half of the digits alone."""
        g = gradient(x)
        for _ in range(3):
            at = parts(x, specs_of(xs))
            step = solve_numbers(
                [t._data for t in parts(g, specs_of(xs))],
                [t._data for t in (*at, *inputs)],
                [t._data for t in kept],
                _Jacobian(self, specs_of(xs), len(xs)),
            )
            after = x - vector(step)
            g_after = gradient(after)
            if not np.linalg.norm(g_after) < np.linalg.norm(g):
                break
            x, g = after, g_after
        return x


def precision(xs: Sequence[Tensor]) -> float:
    """The distance of the numbers next to 1, in the least exact of the dtypes."""
    return max(float(np.finfo(t.dtype).eps) for t in xs)


def _solve(xs: Sequence[Array], inputs: Sequence[Array], kept: Sequence[Array], problem: Problem) -> tuple[Array, ...]:
    with in_numbers(), named(problem.name):
        given = [[Tensor._of(np.asarray(a)) for a in part] for part in (xs, inputs, kept)]
        return tuple(t._data for t in problem.solution(*given))


def _check(problem: Problem, found: list[Tensor], xs: list[Tensor], *further: list[Tensor]) -> None:
    """Raise if what was found does not solve the equation, not even about.

    Raises:
        RuntimeError: it does not.
    """
    off, before = (np.linalg.norm(vector([t._data for t in problem.values(v, *further)])) for v in (found, xs))
    if off > 1e-2 * before and off > 1e-3 * (1 + np.linalg.norm(vector([t._data for t in found]))):
        what = "gradient" if isinstance(problem, _Minimum) else "residual"
        raise RuntimeError(
            f"{problem.name}: what the solver found does not solve the equation: the {what} has norm {off:.1e} there, and "
            f"{before:.1e} where it began. The derivatives are those of a {what} that is 0"
        )


solver_op = op(
    _solve,
    name="solver",
    outputs=None,
    nondiff=("xs", "inputs", "kept"),
    opaque="a solver runs until it is done",
    precision="same",
    label=lambda problem: problem.name.removeprefix("tn.implicit."),
    formula="x with F(x) = 0",
    doc="""Runs a solver; `tn.implicit` calls it.

    Args:
        xs: where to begin.
        inputs, kept: what the equation depends on.
        problem: what is to be solved.

    Returns:
        what was found.
    """,
)


class _Jacobian(Operator):
    """The transpose of ∂F/∂x at x. It depends on x and on what F depends on."""

    def __init__(self, problem: Problem, specs: Sequence[Spec], count: int) -> None:
        super().__init__(specs, problem.how)
        self.problem = problem
        self.count = count

    def at(self, inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> Product:
        ends = [end(t) for t in inputs[: self.count]]
        with enable_grad():
            made = self.problem.values(ends, inputs[self.count :], kept)
        specs = specs_of(ends)
        return lambda us: filled(gradients([t._node for t in ends], made, us, release=False), specs)


class _Implicit(TracedRule):
    """The rule of what solves F(x, p) = 0: with u that solves (∂F/∂x)ᵀ u = g, the gradient by p is -(∂F/∂p)ᵀ u."""

    def __init__(self, problem: Problem, values: Sequence[Spec]) -> None:
        self.name = problem.name.removeprefix("tn.implicit.")
        self.problem = problem
        self.values = values

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by what the equation depends on."""
        self.problem.differentiable()
        full = [zeros(t) if g is None else g for g, t in zip(gs, outs, strict=True)]
        us = solved(_Jacobian(self.problem, self.values, len(outs)), full, [*outs, *inputs], kept)
        ends = [end(t) for t in inputs]
        with enable_grad():
            made = self.problem.values(outs, ends, kept)
        return gradients([t._node for t in ends], made, [ops.negative(u) for u in us], release=False)


def solution(problem: Problem, read: Reading, xs: list[Tensor], values: Sequence[Spec]) -> list[Tensor]:
    """What solves a problem, with its derivatives by all that the equation depends on.

    Args:
        problem: what is to be solved.
        read: its equation, read.
        xs: where to begin.
        values: shapes and dtypes of what F gives.
    """
    found = solver_op([t.detach() for t in xs], [t.detach() for t in read.inputs], list(read.kept), problem=problem)
    return attach(_Implicit(problem, values), read.inputs, list(found), list(read.kept))


def _found(problem: Problem, read: Reading, xs: list[Tensor], structure: Structure) -> object:
    values = specs_of(xs) if isinstance(problem, _Minimum) else specs_of(read.found)
    return structure.build(solution(problem, read, xs, values))


def _unknowns(x0: object, name: str) -> tuple[list[Tensor], Structure]:
    leaves, structure = flatten(x0)
    xs = []
    for leaf, path in zip(leaves, structure.paths("x0"), strict=True):
        if not is_array(leaf) and not isinstance(leaf, (int, float, complex)):
            raise TypeError(f"{name}: {path} is {type(leaf).__name__}, not an array")
        t = asarray(leaf).detach()
        if not is_inexact(t.dtype):
            raise TypeError(
                f"{name}: {path} holds {t.dtype}, and unknowns are floats: write x0.astype(float), or 1.0 for 1"
            )
        xs.append(t)
    if not xs:
        raise TypeError(f"{name}: x0 holds no array")
    return xs, structure


@boundary
def root(
    residual: Callable[..., object],
    x0: object,
    *params: object,
    solver: Solver = scipy_root,
    solve: Solve | None = None,
    **options: object,
) -> Any:
    """The x with residual(x, *params) = 0, and its derivatives by the parameters, in both modes and of every order.

    The solver is free, since it is not differentiated. The function is a call and no decorator around a solver: so the
    equation, which the derivatives are those of, is in one place with its parameters, and a solver is used as it is.

    Args:
        residual: a function of the unknowns and the parameters, which gives as many values as there are unknowns.
        x0: where to begin: an array of floats, or a nested structure of such. The derivative by it is 0.
        *params: nested structures of arrays; modules stand for their parameters. What the residual closes over gets
            gradients too.
        solver: solver(f, x0, **options) with f a function of a vector of all unknowns in NumPy, and x0 such a vector; returns
            the vector that it found, or a result of SciPy's. By default `scipy.optimize.root`.
        solve: solves the linear system of the derivative, as for `linear_solve`.
        **options: given to the solver: of `scipy.optimize.root` method, tol, options.

    Raises:
        TypeError: x0 holds integers.
        ValueError: the residual gives another number of values than there are unknowns; in the derivative, the Jacobian is
            singular.
        RuntimeError: the solver did not converge.

    >>> import numpy as np, tapenet as tn
    >>> def kepler(anomaly, eccentricity):
    ...     return tn.implicit.root(lambda x, m, e: x - e * np.sin(x) - m, anomaly, anomaly, eccentricity)
    >>> f"{kepler(1.0, 0.3).item():.6f} {tn.grad(kepler, 1)(1.0, 0.3).item():.6f}"
    '1.288091 1.048008'
    """
    name = "tn.implicit.root"
    xs, structure = _unknowns(x0, name)
    reading = read(residual, structure, xs, params)
    same_size(reading.found, xs, name, "the residual", "x0")
    return _found(_Root(name, reading.equation, How(name, solve), solver, options), reading, xs, structure)


@boundary
def fixed_point(
    f: Callable[..., object],
    x0: object,
    *params: object,
    solver: Solver | Literal["anderson", "iteration"] = "anderson",
    solve: Solve | None = None,
    **options: object,
) -> Any:
    """The x with f(x, *params) = x, and its derivatives by the parameters, in both modes and of every order.

    Args:
        f: a function of the unknowns and the parameters, that gives what is structured as the unknowns.
        x0, *params, solve: as for `root`.
        solver: "anderson", "iteration", or solver(f, x0, **options) as for `root`, such as `scipy.optimize.fixed_point`.
        **options: given to the solver: of these two tol (of f(x) - x relative to f(x)), max_iterations, damping (the part of
            the way that is gone), and of the first memory (how many iterates are combined).

    Raises:
        TypeError: x0 holds integers.
        ValueError: f gives other shapes than the unknowns have.
        RuntimeError: the solver did not converge.

    >>> import numpy as np, tapenet as tn
    >>> def sqrt(a):
    ...     return tn.implicit.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    >>> sqrt(2.0), tn.grad(sqrt)(2.0), tn.grad(tn.grad(sqrt))(2.0)
    (Tensor(1.41421356), Tensor(0.35355339), Tensor(-0.08838835))
    """
    name = "tn.implicit.fixed_point"
    xs, structure = _unknowns(x0, name)
    if isinstance(solver, str):
        named = {"anderson": anderson, "iteration": iterate}
        if solver not in named:
            raise ValueError(f'{name}: solver={solver!r}; give "anderson", "iteration", or a function')
        solver = named[solver]
    reading = read(f, structure, xs, params)
    shapes = [t.shape for t in reading.found], [t.shape for t in xs]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{name}: f gives shapes {shapes[0]}, and x0 has {shapes[1]}: they must be the same")
    return _found(_FixedPoint(name, reading.equation, How(name, solve), solver, options), reading, xs, structure)


@boundary
def minimize(
    f: Callable[..., object],
    x0: object,
    *params: object,
    solver: Solver = scipy_minimize,
    solve: Solve | None = None,
    **options: object,
) -> Any:
    """The x that minimises f(x, *params), and its derivatives by the parameters, in both modes and of every order.

    They are those of the equation that the gradient is 0, and take second derivatives of f; the Hessian must be invertible at
    the minimum.

    Args:
        f: a function of the unknowns and the parameters, which gives a number.
        x0, *params, solve: as for `root`.
        solver: solver(f, x0, jac=gradient, **options) for functions of a vector of all unknowns in NumPy; returns the vector
            that it found, or a result of SciPy's. By default `scipy.optimize.minimize` with BFGS.
        **options: given to the solver: of `scipy.optimize.minimize` method, tol, options. With bounds or constraints that
            hold, the gradient is not 0, and the derivatives would be others.

    Raises:
        TypeError: x0 holds integers.
        ValueError: f gives no single number.
        RuntimeError: the solver did not converge.

    >>> import numpy as np, tapenet as tn
    >>> data = np.array([1.0, 2.0, 6.0])
    >>> def ridge(penalty):
    ...     return tn.implicit.minimize(lambda x, p: ((x - data) ** 2).sum() + p * x**2, 0.0, penalty)
    >>> np.round(ridge(1.0).numpy(), 6), np.round(tn.grad(ridge)(1.0).numpy(), 6)
    (np.float64(2.25), np.float64(-0.5625))
    """
    name = "tn.implicit.minimize"
    xs, structure = _unknowns(x0, name)
    reading = read(f, structure, xs, params)
    if len(reading.found) != 1 or reading.found[0].size != 1:
        raise ValueError(f"{name}: f gives shape(s) {[t.shape for t in reading.found]}, and must give a single number")
    return _found(
        _Minimum(name, reading.equation, How(name, solve, True, True), solver, options), reading, xs, structure
    )
