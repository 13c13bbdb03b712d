"""Compiled and eager agree, on every op of the registry, with its gradients; and the table of what is compiled.

After a change that is meant, write the table in docs/compiler.md anew and look at what git shows of it:

    TAPENET_OVERWRITE=1 python -m pytest tests/compiler/test_equality.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.functions import tree_leaves, tree_map
from tapenet.autodiff.tape import Capture
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler import numpy_plan
from tapenet.compiler.capture import Argument
from tapenet.compiler.ir import Program, check
from tapenet.compiler.lowering import Called, lower
from tapenet.compiler.passes import simplify
from tapenet.ops.op import Derived, Op, Sample, registry

OPS = {name: op for name, op in sorted(registry.items()) if name.startswith("tapenet.ops.")}
#: By name of a backend: what makes a program callable.
BACKENDS: dict[str, Callable[[Program], Callable[..., Any]]] = {"numpy": numpy_plan.build}
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"


class Step(NamedTuple):
    """A call of an op with its gradients, as a function of the arrays among its arguments."""

    op: Op | Derived
    call: Sample
    weights: list[Any]

    def __call__(self, *tensors: Tensor) -> list[Any]:
        """Its outputs, and the gradients of their projection on the weights by all float tensors."""
        stream = iter(tensors)
        args = tree_map(lambda v: next(stream) if isinstance(v, np.ndarray) else v, self.call.args)
        outs = tree_leaves(self.op(*args, **self.call.kwargs))
        floats = [t for t in tensors if t.dtype.kind == "f"]
        roots = [(o, w) for o, w in zip(outs, self.weights, strict=True) if isinstance(o, Tensor) and o.requires_grad]
        if roots:
            parts = [(o * w).sum() for o, w in roots]
            sum(parts[1:], parts[0]).backward()
        return [*outs, *(t.grad for t in floats if t.grad is not None)]


def arrays_of(call: Sample) -> list[Any]:
    return [a for a in tree_leaves(list(call.args)) if isinstance(a, np.ndarray)]


def tensor(array: Any) -> Tensor:
    return Tensor._of(array).requires_grad_(array.dtype.kind == "f")


def step_of(op: Op | Derived, call: Sample) -> Step:
    r = np.random.default_rng(1)
    with tn.no_grad():
        outs = tree_leaves(op(*tree_map(lambda v: tensor(v) if isinstance(v, np.ndarray) else v, call.args), **call.kwargs))
    return Step(op, call, [np.asarray(r.normal(size=np.shape(o))).astype(o.dtype) for o in outs])


def program_of(step: Step) -> tuple[Program, list[Called]]:
    """The program of a step whose arrays are arguments."""
    with Capture() as tape:
        arguments = [Argument(a, "") for a in arrays_of(step.call)]
        tensors = []
        for array, argument in zip(arrays_of(step.call), arguments, strict=True):
            given = Tensor._of(array, None, argument)
            tensors.append(given.requires_grad_(array.dtype.kind == "f"))
        outs = step(*tensors)
        lowered = lower(tape, arguments, outs)
    return simplify(check(lowered.program)), lowered.called


def samples(op: Op | Derived, dtype: str) -> list[Sample]:
    assert op.samples is not None
    found = []
    for call in op.samples(np.random.default_rng(0)):
        cast = tree_map(
            lambda v: v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v, call.args
        )
        found.append(Sample(cast, call.kwargs))
    return found


def other(array: Any) -> Any:
    """Other data of the same shape: floats a little away, integers and truths in another order."""
    if array.dtype.kind == "f":
        return np.asarray(array * (1 + array.dtype.type(0.03)))
    return np.flip(array).copy()


def strided(array: Any) -> Any:
    """The same values, every other element of a larger array."""
    if not array.ndim:
        return array
    room = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    room[..., ::2] = array
    return room[..., ::2]


def close(found: Any, expected: Any, tolerance: float) -> None:
    found, expected = (v.data if isinstance(v, Tensor) else np.asarray(v) for v in (found, expected))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if expected.dtype.kind == "f":
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)
    else:
        np.testing.assert_array_equal(found, expected)


def cases() -> list[Any]:
    return [
        pytest.param(backend, dtype, name, id=f"{backend}-{dtype}-{name.removeprefix('tapenet.ops.')}")
        for backend in BACKENDS
        for dtype in TOLERANCE
        for name in OPS
    ]


@pytest.mark.parametrize(("backend", "dtype", "name"), cases())
def test_compiled_and_eager_agree(backend: str, dtype: str, name: str) -> None:
    op = OPS[name]
    if isinstance(op, Op) and op.effect:
        return
    for call in samples(op, dtype):
        step = step_of(op, call)
        program, _ = program_of(step)
        run = BACKENDS[backend](program)
        given = arrays_of(call)
        moved = [other(a) for a in given]
        for arrays in (given, moved, [np.array(a, order='F') for a in moved], [strided(a) for a in moved]):
            tn.random.seed(7)
            expected = step(*map(tensor, arrays))
            tn.random.seed(7)
            found = run(*arrays)
            assert len(found) == len(expected)
            for f, e in zip(found, expected, strict=True):
                assert not any(np.may_share_memory(f, a) for a in arrays)
                close(f, e, TOLERANCE[dtype])
