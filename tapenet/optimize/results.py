"""What all of the solvers take and give: further arguments, derivatives that users give, callbacks, results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.optimize.functions import around, vector
from tapenet.optimize.problems import Found, Result, Task
from tapenet.program.primitives import Spec
from tapenet.program.trees import Structure
from tapenet.transforms.implicit.linear import parts
from tapenet.typing import Array


def tupled(args: object) -> tuple[object, ...]:
    """Further arguments: one that is no tuple is the only one."""
    return args if isinstance(args, tuple) else (args,)


def result(found: Found, task: Task, *, number: str = "fun", vector_as: str = "") -> Result:
    """SciPy's result, with tensors.

    Args:
        found: what was found.
        task: the problem.
        number: its entry for what was minimised.
        vector_as: its entry for all values of the function, if it has one.
    """
    x = task.structure.build(found.xs)
    made: Result = import_module("scipy.optimize").OptimizeResult(found.result or {})
    made.x = x
    entries = [name for name in (vector_as, number if task.cost is not None else "") if name]
    if found.in_graph:
        (f, args), *_ = task.functions
        out = vector(f(x, *args))
        for name in entries:
            setattr(made, name, out if name == vector_as or task.cost is None else task.cost(out))
    else:
        for name in entries:
            setattr(made, name, asarray(getattr(made, name)))
    return made


#: A derivative that a user gives to a solver: a function, or a word that asks for differences.
Given = str | Callable[..., object]


def differences(jac: object) -> str | None:
    """The word for differences, where a user asks for these; None for the exact derivative. That takes the place of one that is
    given as a function, as programs written for SciPy have it.
    """
    return jac if isinstance(jac, str) else None


def value_of(fun: Callable[..., object], jac: object) -> Callable[..., object]:
    """A user's function, which with `jac=True` gives its value and its derivative: the function of the value alone."""
    if jac is not True:
        return fun

    def value(*args: object) -> object:
        return cast("tuple[object, ...]", fun(*args))[0]

    return around(fun, ("value",), value)


def callback_of(
    callback: Callable[..., object] | None, specs: Sequence[Spec], structure: Structure
) -> Callable[..., object] | None:
    """A callback that gets the unknowns as the function does."""
    if callback is None:
        return None
    user = callback

    def nested(v: Array) -> object:
        return structure.build(parts(np.array(v), specs))

    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:

        def with_result(*, intermediate_result: Result) -> object:
            made: Result = import_module("scipy.optimize").OptimizeResult(intermediate_result)
            made.x = nested(made.x)
            return user(intermediate_result=made)

        return with_result
    return lambda v, *more: user(nested(v), *more)
