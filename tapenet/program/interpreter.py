"""Runs a program primitive by primitive: what it means, in NumPy. The backends are held against it, and loops whose
body cannot be compiled are run by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapenet.program.ir import Constant, Program, Reference, Value
from tapenet.program.primitives import PRIMITIVES, note_line

Array = np.ndarray[Any, Any]


def evaluate(program: Program, arrays: Sequence[Array], store: bool = True) -> list[Array]:
    """The results of a program.

    Args:
        program: any program.
        arrays: its arguments.
        store: whether what it writes is written.
    """
    known: dict[Value, Any] = dict(zip(program.inputs, arrays, strict=True))
    for host in program.hosts:
        known[host] = np.asarray(host.evaluate(), host.dtype).reshape(host.shape)

    def value(v: Value) -> Any:
        if isinstance(v, Constant):
            return v.array
        return v.tensor._data if isinstance(v, Reference) else known[v]

    with np.errstate(all="ignore"):
        for instruction in program.body:
            try:
                results = PRIMITIVES[instruction.name].evaluate(*map(value, instruction.args), **instruction.params)
            except Exception as error:
                note_line(error, instruction.line)
                raise
            if len(instruction.results) == 1:
                results = (results,)
            known.update(zip(instruction.results, map(np.asarray, results), strict=True))
    outputs = [np.array(value(v)) for v in program.outputs]
    if store:
        new = [np.array(value(w.value)) for w in program.writes]
        for write, array in zip(program.writes, new, strict=True):
            np.copyto(write.target.tensor._data, array)
    return outputs
