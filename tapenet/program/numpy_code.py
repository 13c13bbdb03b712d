"""A program as plain NumPy code, which runs on arrays and on tensors alike."""

from __future__ import annotations

import itertools
import linecache
import math
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tapenet.program import primitives
from tapenet.program.ir import Constant, Instruction, Program, Value
from tapenet.program.primitives import PRIMITIVES, numpy_slices

_numbers = itertools.count(1)


def function(program: Program, others: Mapping[str, Callable[..., Any]] = {}) -> Callable[..., list[Any]]:
    """The function of a program's inputs that gives the list of its outputs.

    Args:
        program: one without references, hosts and writes.
        others: what to call for primitives, by name, in place of the function behind them.
    """
    names: dict[Value, str] = {value: f"x{i}" for i, value in enumerate(program.inputs)}
    space: dict[str, Any] = {}

    def name(value: Value) -> str:
        if value not in names:
            assert isinstance(value, Constant)
            names[value] = f"c{len(names)}"
            space[names[value]] = value.array
        return names[value]

    def operand(value: Value, instruction: Instruction) -> str:
        """An argument; a single float beside an array is a Python number, which says nothing of the dtype."""
        beside = any(a.dtype == value.dtype and not isinstance(a, Constant) for a in instruction.args)
        if beside and isinstance(value, Constant) and not value.shape and value.dtype.char in "fd":
            number = value.array.item()
            if math.isfinite(number):
                return f"({number!r})"
        return name(value)

    last: dict[Value, int] = {}
    for i, instruction in enumerate(program.body):
        last.update(dict.fromkeys(instruction.args, i))
    kept = {*program.outputs, *program.inputs}
    lines = []
    for i, instruction in enumerate(program.body):
        (result,) = instruction.results
        names[result] = f"v{i}"
        if instruction.name in PRIMITIVES and instruction.kind == "elementwise" and instruction.name not in _OTHERS:
            space[f"f{i}"] = others.get(instruction.name) or primitives.function(instruction.name)
            args = ", ".join(operand(a, instruction) for a in instruction.args)
        else:
            run = others.get(instruction.name) or _OTHERS.get(instruction.name) or PRIMITIVES[instruction.name].evaluate
            space[f"f{i}"] = partial(run, **instruction.params) if instruction.params else run
            args = ", ".join(map(name, instruction.args))
        lines.append(f"v{i} = f{i}({args})")
        gone = [names[a] for a in dict.fromkeys(instruction.args) if last[a] == i and a not in kept and a in names]
        gone = [n for n in gone if n[0] == "v"]
        if gone:
            lines.append(f"del {', '.join(gone)}")
    lines.append(f"return [{', '.join(map(name, program.outputs))}]")
    source = f"def run({', '.join(names[v] for v in program.inputs)}):\n" + "\n".join(f"    {x}" for x in lines) + "\n"
    filename = f"<formula {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), space)
    made: Callable[..., list[Any]] = space["run"]
    weakref.finalize(made, linecache.cache.pop, filename, None)
    return made


def _sum(a: Any, axes: tuple[int, ...]) -> Any:
    return np.sum(a, axis=axes, dtype=a.dtype)


def _swapped(a: Any, swap: bool) -> Any:
    return np.swapaxes(a, -1, -2) if swap else a


def _dot(a: Any, b: Any, ta: bool = False, tb: bool = False) -> Any:
    return np.matmul(_swapped(a, ta), _swapped(b, tb))


#: What is not elementwise, as functions that tensors answer.
_OTHERS: dict[str, Callable[..., Any]] = {
    "cast": lambda a, dtype: a.astype(dtype),
    "copy": lambda a, row_major=False: np.copy(a),
    "reduce_add": _sum,
    "reduce_multiply": lambda a, axes: np.prod(a, axis=axes, dtype=a.dtype),
    "reduce_maximum": lambda a, axes: np.max(a, axis=axes),
    "reduce_minimum": lambda a, axes: np.min(a, axis=axes),
    "reduce_logical_and": lambda a, axes: np.all(a, axis=axes),
    "reduce_logical_or": lambda a, axes: np.any(a, axis=axes),
    "slice": lambda a, slices: a[numpy_slices(slices)],
    "dot": _dot,
    "dot_add": lambda c, a, b, **flags: c + _dot(a, b, **flags),
}
