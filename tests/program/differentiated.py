"""Holds the derivatives of programs against differences, and against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapenet.program.ir import (
    Answer,
    Builder,
    Host,
    Input,
    Instruction,
    Program,
    Reference,
    Value,
    check,
    rewrite,
    substitute,
)
from tapenet.program.passes import simplify
from tapenet.program.primitives import BODIES
from tapenet.program.pullback import pullback
from tapenet.program.pushforward import pushforward

Arrays = Sequence[Any]


def floats(program: Program) -> list[int]:
    """The positions of the inputs that have derivatives."""
    return [i for i, v in enumerate(program.inputs) if v.dtype.kind == "f"]


def free(program: Program) -> Program:
    """The program with inputs in place of all that it reads from outside, without writes, and with a limit of turns."""
    outside = {v: Input(v.shape, v.dtype) for v in program.values() if isinstance(v, (Reference, Host))}
    made = Program([*program.inputs, *outside.values()], [], program.body, program.outputs, [])
    return rewrite(substitute(made, dict(outside)), limited)


def limited(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
    """Give a `while` a limit, also in the bodies of others."""
    new: dict[str, Any] = {n: rewrite(instruction.params[n], limited) for n in BODIES.get(instruction.name, ())}
    if instruction.name == "while":
        new["length"] = instruction.params.get("length", 8)
    if all(instruction.params.get(n) is value for n, value in new.items()):
        return None
    return builder.several(instruction.name, *args, **{**instruction.params, **new})


def pushed(program: Program, wanted: Sequence[int] | None = None) -> Program:
    """What pushes tangents forward, as it is run."""
    return simplify(check(pushforward(program, floats(program) if wanted is None else wanted)))


def pulled(program: Program, wanted: Sequence[int] | None = None) -> Program:
    """What pulls gradients back, as it is run."""
    return simplify(check(pullback(program, floats(program) if wanted is None else wanted)))


def like(values: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Numbers of the shapes and dtypes of values, zeros where they have no derivative."""
    return [(rng.normal(size=v.shape) if v.dtype.kind == "f" else np.zeros(v.shape)).astype(v.dtype) for v in values]


def inner(a: Arrays, b: Arrays) -> float:
    return float(sum(np.sum(np.multiply(x, y, dtype=float)) for x, y in zip(a, b, strict=True) if x.dtype.kind == "f"))


def of_law(program: Program, arrays: Arrays, seed: int = 0, rtol: float = 1e-9) -> list[Any]:
    """Hold <u, J v> against <Jᵀ u, v>, and what the pushforward gives beside tangents against the program; J v is returned,
    of v drawn with this seed."""
    rng = np.random.default_rng(seed)
    wanted = floats(program)
    v = like([program.inputs[i] for i in wanted], rng)
    u = like(program.outputs, rng)
    found = pushed(program).evaluate([*arrays, *v])
    outs, tangents = found[: len(u)], found[len(u) :]
    for a, b in zip(outs, program.evaluate(arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    gradients = pulled(program).evaluate([*arrays, *u])
    for i, g in zip(wanted, gradients, strict=True):
        assert (g.shape, g.dtype) == (program.inputs[i].shape, program.inputs[i].dtype)
    one, other = inner([x for x in u if x.dtype.kind == "f"], tangents), inner(gradients, v)
    size = sum(float(np.sum(np.abs(a * b))) for a, b in zip(gradients, v, strict=True))
    np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * (size + 1e-3))
    return tangents


def of_differences(program: Program, arrays: Arrays, seed: int = 0, step: float = 1e-6) -> None:
    """Hold both derivatives of a program against differences."""
    tangents = of_law(program, arrays, seed)
    rng = np.random.default_rng(seed)
    v = dict(zip(floats(program), like([program.inputs[i] for i in floats(program)], rng), strict=True))
    ends = [program.evaluate([a + s * step * v[i] if i in v else a for i, a in enumerate(arrays)]) for s in (1, -1)]
    slopes = [(a - b) / (2 * step) for a, b in zip(*ends, strict=True) if a.dtype.kind == "f"]
    for t, slope in zip(tangents, slopes, strict=True):
        np.testing.assert_allclose(t, slope, rtol=1e-5, atol=1e-6 * (1 + np.max(np.abs(slope), initial=0)))


def to_second_order(program: Program, arrays: Arrays, seed: int = 0) -> None:
    """Hold the first derivatives of a program, both ways, and the second, all four ways, against differences."""
    rng = np.random.default_rng(seed)
    of_differences(program, arrays, seed)
    of_differences(pulled(program), [*arrays, *like(program.outputs, rng)], seed)
    of_differences(pushed(program), [*arrays, *like([program.inputs[i] for i in floats(program)], rng)], seed)
