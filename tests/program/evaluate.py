"""What a program means: its instructions evaluated one after another, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.program.ir import Constant, Program, Reference, Value
from tapenet.program.primitives import PRIMITIVES

Array = np.ndarray[Any, Any]


class Results(NamedTuple):
    """What running a program gives."""

    outputs: list[Array]
    writes: dict[Tensor, Array]


def evaluate(program: Program, inputs: Sequence[Any] = (), hosts: Sequence[Any] | None = None) -> Results:
    """What a program returns and what it writes to which tensor; nothing is stored. `hosts` are given where two
    programs shall see the same draws."""
    drawn = [h.evaluate() for h in program.hosts] if hosts is None else hosts
    known: dict[Value, Any] = dict(zip(program.inputs, inputs, strict=True))
    known |= {h: np.asarray(value, h.dtype) for h, value in zip(program.hosts, drawn, strict=True)}

    def get(value: Value) -> Any:
        if isinstance(value, Constant):
            return value.array
        if isinstance(value, Reference):
            return value.tensor._data
        return known[value]

    with np.errstate(all="ignore"):
        for instruction in program.body:
            made = PRIMITIVES[instruction.name].evaluate(*map(get, instruction.args), **instruction.params)
            results = made if isinstance(made, tuple) else (made,)
            wanted = instruction.params.get("specs") or instruction.results  # None for what nobody uses
            for value, result, spec in zip(instruction.results, results, wanted, strict=True):
                found = np.asarray(result)
                assert spec is None or (found.shape, found.dtype) == (value.shape, value.dtype), instruction.name
                known[value] = found
    outputs = [np.array(get(v)) for v in program.outputs]
    return Results(outputs, {w.target.tensor: np.array(get(w.value)) for w in program.writes})


def assert_equal(found: Results, expected: Results, *, rtol: float = 0.0, zeros: bool = True) -> None:
    """The same results, dtypes included, within a tolerance: to the last bit if there is none, but for the payload of
    NaN and, without `zeros`, the sign of zeros. A write that is missing leaves the tensor as it is."""
    assert found.writes.keys() <= expected.writes.keys()
    pairs = list(zip(found.outputs, expected.outputs, strict=True))
    pairs += [(found.writes.get(tensor, tensor._data), value) for tensor, value in expected.writes.items()]
    for f, e in pairs:
        assert (f.shape, f.dtype) == (e.shape, e.dtype)
        np.testing.assert_allclose(f, e, rtol=rtol, atol=rtol * 1e-2)
        if zeros and not rtol and f.dtype.kind == "f":
            numbers = ~np.isnan(e)
            np.testing.assert_array_equal(np.signbit(f)[numbers], np.signbit(e)[numbers])
