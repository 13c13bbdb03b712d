"""Loops and branches as primitives: instructions whose parameters are programs.

A body has no references, no hosts and no writes: all it reads comes in, and what it changes goes out and comes in again
at the next turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapenet.program.interpreter import evaluate
from tapenet.program.ir import Program
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Spec
from tapenet.typing import Array


def _infer_loop(args: list[Spec], params: Params) -> list[Spec]:
    """Arguments: what is carried, the arrays that are cut into slices, what is the same in each turn. Results: what is
    carried after the last turn, the other results of the body stacked."""
    body, carries, slices, length = params["body"], params["carries"], params["slices"], params["length"]
    found = [Spec(v.shape, v.dtype) for v in body.inputs]
    given = [*args[:carries], *(_slice(a, length) for a in args[carries : carries + slices]), *args[carries + slices :]]
    if given != found:
        raise ValueError(f"a body that takes {found} is given {given}")
    outs = [Spec(v.shape, v.dtype) for v in body.outputs]
    if outs[:carries] != args[:carries]:
        raise ValueError(f"carries {args[:carries]} become {outs[:carries]}")
    return [*outs[:carries], *(Spec((length, *s.shape), s.dtype) for s in outs[carries:])]


def _slice(spec: Spec, length: int) -> Spec:
    if not spec.shape or spec.shape[0] != length:
        raise ValueError(f"{spec.shape} has no {length} slices")
    return Spec(spec.shape[1:], spec.dtype)


def turns(body: Callable[..., Sequence[Array]], params: Params) -> Callable[..., tuple[Array, ...]]:
    """A loop as a function of its arguments.

    Args:
        body: runs one turn; its results are new arrays.
        params: the loop's.
    """
    carries, slices, length = params["carries"], params["slices"], params["length"]
    stacked = [((length, *v.shape), v.dtype) for v in params["body"].outputs[carries:]]
    order = range(length)[:: -1 if params.get("reverse") else 1]

    def run(*args: Array) -> tuple[Array, ...]:
        carried: Sequence[Array] = args[:carries] if length else [np.copy(a) for a in args[:carries]]
        xs, rest = args[carries : carries + slices], args[carries + slices :]
        columns = [np.empty(shape, dtype) for shape, dtype in stacked]
        for i in order:
            results = body(*carried, *[x[i, ...] for x in xs], *rest)
            carried = results[:carries]
            for column, y in zip(columns, results[carries:], strict=True):
                column[i] = y
        return (*carried, *columns)

    return run


def _loop(*args: Array, **params: Any) -> Array | tuple[Array, ...]:
    outs = turns(lambda *given: evaluate(params["body"], given), params)(*args)
    return outs[0] if len(outs) == 1 else outs


def _infer_branch(args: list[Spec], params: Params) -> list[Spec]:
    """Arguments: the condition, a boolean scalar; what both bodies are given."""
    condition, *rest = args
    if condition != Spec((), np.dtype(bool)):
        raise ValueError(f"a condition of {condition}")
    outs = []
    for body in (params["true"], params["false"]):
        found = [Spec(v.shape, v.dtype) for v in body.inputs]
        if found != rest:
            raise ValueError(f"a body that takes {found} is given {rest}")
        outs.append([Spec(v.shape, v.dtype) for v in body.outputs])
    if outs[0] != outs[1]:
        raise ValueError(f"branches that give {outs[0]} and {outs[1]}")
    return outs[0]


def _branch(
    condition: Any, *args: Any, true: Program, false: Program, effect: bool = False, sized: bool = False
) -> Any:
    outs = tuple(evaluate(true if condition else false, list(args)))
    return outs[0] if len(outs) == 1 else outs


PRIMITIVES["loop"] = Primitive("control", _infer_loop, _loop)
PRIMITIVES["branch"] = Primitive("control", _infer_branch, _branch)
