"""What SciPy's solvers find, differentiable by all that the problem depends on.

A root solves F(x) = 0. A minimum of f with bounds l ≤ x ≤ u and constraints a ≤ g(x) ≤ b, with multipliers m, solves

    x = clip(x - ∇f + (∂g/∂x)ᵀ m, l, u),    g = clip(g - m, a, b)

(the conditions of Karush, Kuhn and Tucker: a bound that holds makes its unknown follow the bound; a constraint that does not
hold has multiplier 0). The derivatives are those of these equations, by `transforms.implicit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np

from tapenet.autodiff.attached import gradients
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import enable_grad, local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.failures import named
from tapenet.optimize.functions import Bound, Functions, backend_of, kept, vector
from tapenet.optimize.unknowns import Limits, between, flat
from tapenet.program.primitives import Spec
from tapenet.program.trees import Structure, replaced
from tapenet.transforms.implicit.equations import Reading, read
from tapenet.transforms.implicit.linear import How, Solve, filled, in_numbers, parts, specs_of
from tapenet.transforms.implicit.roots import Problem, solution
from tapenet.transforms.recorded import end
from tapenet.typing import Array

#: A constraint whose value is so near to a side, relative to it, may hold.
NEAR = 1e-4


class Result(Protocol):
    """SciPy's `OptimizeResult`: a dict whose entries are attributes too."""

    def __getattr__(self, name: str, /) -> Any: ...

    def __setattr__(self, name: str, value: object, /) -> None: ...

    def __getitem__(self, name: str, /) -> object: ...


class Asked(NamedTuple):
    """A problem in numbers, for one of SciPy's solvers.

    Attributes:
        functions: what is minimised or solved, and the constraints.
        bounds: of the unknowns: low, high; None without.
        sides: low, high of each constraint.
        start: where to begin.
    """

    functions: list[Bound]
    bounds: tuple[Array, Array] | None
    sides: list[tuple[Array, Array]]
    start: Array


class Task(NamedTuple):
    """A problem as the user stated it.

    Attributes:
        name: the function that was called.
        functions: what is minimised or solved, and the constraints, each with its further arguments.
        xs, structure: where to begin.
        solve: runs one of SciPy's solvers.
        bounds: of the unknowns.
        sides: of the constraints.
        cost: makes the number that is minimised of what the first function gives; None for a root.
        linear: solves the linear systems of derivatives, where more is known of them.
    """

    name: str
    functions: list[tuple[Callable[..., object], tuple[object, ...]]]
    xs: list[Tensor]
    structure: Structure
    solve: Callable[[Asked], Result]
    bounds: Limits | None = None
    sides: Sequence[tuple[Tensor, Tensor]] = ()
    cost: Callable[[Tensor], Tensor] | None = None
    linear: Solve | None = None


class Found(NamedTuple):
    """What was found: the leaves of the unknowns, and SciPy's result; None of that while a step is captured, in which a solver
    runs later."""

    xs: list[Tensor]
    result: Result | None

    @property
    def in_graph(self) -> bool:
        """Whether it has derivatives."""
        return self.result is None or any(t._node is not None for t in self.xs)


def find(task: Task) -> Found:
    """Solve a problem."""
    if not local.state.grad and capturing() is None:
        with in_numbers(), named(task.name):
            result = task.solve(_asked(task))
        return Found(parts(result.x, specs_of(task.xs)), result)

    def everything(x: object, arguments: Sequence[tuple[object, ...]], *sides: object) -> object:
        made = [vector(f(x, *args)) for (f, _), args in zip(task.functions, arguments, strict=True)]
        return made, sides

    reading = read(
        everything, task.structure, task.xs, ([args for _, args in task.functions], task.bounds, list(task.sides))
    )
    problem = _Solved(task, reading, None if capturing() else lambda: _asked(task))
    values = reading.found[: len(task.functions)]
    xs = [*task.xs, *(Tensor._of(np.zeros(g.shape)) for g in values[1:])]
    found = solution(problem, reading, xs, specs_of(values) if task.cost is None else specs_of(xs))
    return Found(found[: len(task.xs)], None if capturing() else problem.result)


def _asked(task: Task) -> Asked:
    """The problem in the numbers that it has now."""
    specs = specs_of(task.xs)
    made = [Bound(_functions(f, task.structure, specs), replaced(_number, args)) for f, args in task.functions]
    lows, highs = task.bounds or ([], [])
    bounds = (flat([t._data for t in lows]), flat([t._data for t in highs])) if task.bounds else None
    return Asked(made, bounds, [(a._data, b._data) for a, b in task.sides], flat([t._data for t in task.xs]))


def _functions(f: Callable[..., object], structure: Structure, specs: Sequence[Spec]) -> Functions:
    backend = backend_of(f)

    def make() -> Functions:
        return Functions(lambda xs, *args: vector(f(structure.build(xs), *args)), specs, backend, f)

    return kept(f, (structure, *specs, backend), make)


def _number(value: object) -> object:
    """An argument of a program: a float is given anew at each call, rather than part of it."""
    return np.float64(value) if type(value) is float else value.detach() if isinstance(value, Tensor) else value


class _Solved(Problem):
    """A root, or a minimum with its multipliers.

    It holds no tensor: where it is part of a program, that is run with others.

    Attributes:
        result: SciPy's, of the last run.
    """

    def __init__(self, task: Task, reading: Reading, asked: Callable[[], Asked] | None) -> None:
        """State the problem.

        Args:
            task: the problem as the user stated it.
            reading: its functions and all limits.
            asked: gives the problem in numbers; None where these are known at each run alone.
        """
        plain = task.bounds is None and len(task.functions) == 1 and task.cost is not None
        super().__init__(task.name, reading.equation, How(task.name, task.linear, plain, plain), task.solve, {})
        self.result: Result | None = None
        self._solve, self._cost, self._bounded = task.solve, task.cost, task.bounds is not None
        self._count, self._functions = len(task.xs), len(task.functions)
        self._asked = asked
        self._programs: list[Functions] = []
        self._failure = ""

    # -- the equation ------------------------------------------------------------------------------------------------

    def values(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        count = self._count
        if self._cost is None:
            return self.equation(xs, inputs, kept)[:1]
        ends = [end(t) for t in xs[:count]]
        with enable_grad():
            outs = self.equation(ends, inputs, kept)
            constraints, limits = outs[1 : self._functions], outs[self._functions :]
            whole = self._cost(outs[0])
            for g, m in zip(constraints, xs[count:], strict=True):
                whole = whole - (g * m).sum()
        seed = Tensor._of(np.ones(whole.shape, whole.dtype))
        seed._data.flags.writeable = False  # a constant of programs
        found = filled(gradients([t._node for t in ends], [whole], [seed], release=False), specs_of(ends))
        if self._bounded:
            lows, highs, limits = limits[:count], limits[count : 2 * count], limits[2 * count :]
            found = [x - between(x - g, a, b) for x, g, a, b in zip(ends, found, lows, highs, strict=True)]
        sides = zip(constraints, xs[count:], limits[::2], limits[1::2], strict=True)
        return [*found, *(g - between(g - m, a, b) for g, m, a, b in sides)]

    # -- in numbers --------------------------------------------------------------------------------------------------

    def _numbers(self, xs: list[Tensor], inputs: list[Tensor], kept: list[Tensor]) -> Asked:
        if self._asked is not None:
            return self._asked()
        count, begin = self._count, self._functions
        if not self._programs:
            specs = specs_of(xs)
            for i in range(begin):
                self._programs.append(
                    Functions(lambda xs, inputs, kept, i=i: self.equation(xs, inputs, kept)[i], specs)
                )
        limits = [t._data for t in self.equation(xs, inputs, kept)[begin:]]
        bounds = None
        if self._bounded:
            bounds, limits = (flat(limits[:count]), flat(limits[count : 2 * count])), limits[2 * count :]
        made = [Bound(functions, (inputs, kept)) for functions in self._programs]
        return Asked(made, bounds, list(zip(limits[::2], limits[1::2], strict=True)), flat([t._data for t in xs]))

    def solution(self, xs: list[Tensor], inputs: list[Tensor], kept: list[Tensor]) -> list[Tensor]:
        """The unknowns that the solver finds, and the multipliers of the constraints."""
        asked = self._numbers(xs[: self._count], inputs, kept)
        self.result = result = self._solve(asked)
        found = parts(result.x, specs_of(xs[: self._count]))
        if len(asked.functions) > 1:
            found += [Tensor._of(m) for m in _multipliers(asked, np.asarray(result.x, np.float64))]
        if not result.get("success", True) and (inputs or self._asked is None):  # there may be derivatives
            self._examine(found, xs, inputs, kept, str(result.get("message", "")))
        return found

    def _examine(
        self, found: list[Tensor], xs: list[Tensor], inputs: list[Tensor], kept: list[Tensor], told: str
    ) -> None:
        """Look whether a solver that says it failed has come to a solution all the same, as where rounding ends a search."""
        off, before = (_norm(self.values(v, inputs, kept)) for v in (found, xs))
        if not off <= max(1e-5 * before, 1e-8):
            self._failure = (
                f"{self.name}: the solver did not converge, so that what it found has no derivatives: "
                f"{' '.join(told.split())}"
            )
            if self._asked is None:
                raise RuntimeError(self._failure)

    def differentiable(self) -> None:
        """Raise if what was found solves nothing."""
        if self._failure:
            raise RuntimeError(self._failure)


def _norm(ts: Sequence[Tensor]) -> float:
    return float(np.linalg.norm(flat([t._data for t in ts])))


def _multipliers(asked: Asked, x: Array) -> list[Array]:
    """The multipliers of the constraints: those with which what is minimised and the constraints balance best, where no bound
    holds. One is positive on the lower side, negative on the upper one, and 0 between."""
    lsq_linear = import_module("scipy.optimize").lsq_linear
    first, *rest = asked.functions
    _, gradient = first.value_and_grad(x)
    rows, lows, highs, sizes = [], [], [], []
    for g, (a, b) in zip(rest, asked.sides, strict=True):
        value = g.values(x)
        a, b = np.broadcast_to(a, value.shape), np.broadcast_to(b, value.shape)
        rows.append(g.jacobian(x))
        lows.append(np.where(np.abs(value - b) <= NEAR * (1 + np.abs(b)), -np.inf, 0.0))
        highs.append(np.where(np.abs(value - a) <= NEAR * (1 + np.abs(a)), np.inf, 0.0))
        sizes.append(value.size)
    low, high, matrix = flat(lows), flat(highs), np.concatenate(rows)
    free = np.ones(x.size, bool)
    if asked.bounds is not None:
        free = (x > asked.bounds[0] + NEAR * 1e-4) & (x < asked.bounds[1] - NEAR * 1e-4)
    found = np.zeros(low.size)
    holds = low < high
    if holds.any() and free.any():
        made = lsq_linear(matrix[holds][:, free].T, gradient[free], (low[holds], high[holds]), tol=1e-14)
        found[holds] = made.x
    return np.split(found, np.cumsum(sizes)[:-1])
