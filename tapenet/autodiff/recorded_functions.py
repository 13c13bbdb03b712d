"""Functions that are one node of a captured step, in place of one for each op that they call: they run on arrays, and are read
on symbols, once for all calls that are alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from tapenet.autodiff.node import Node, Output, Traced, intern_shape, next_number
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.program.ir import Builder, Input, Program
from tapenet.program.low import is_low
from tapenet.program.symbols import Symbol, array_of
from tapenet.typing import Array

function_op = Op(
    lambda inputs, program: None, name="function", rules={}, nondiff=frozenset({"inputs"}), module=__name__,
    doc="A program of some inputs, for the compiler alone.",
)  # fmt: skip


class FunctionNode(Node):
    """What a function gave: one array; or several, each with an `Output`."""

    __slots__ = ("call", "line", "title")

    op = function_op
    title: str

    @property
    def name(self) -> str:
        return self.title


def read(function: Callable[..., Sequence[object]], values: Sequence[object]) -> Program | None:
    """What a function computes of the arrays among some values; None where it cannot be read as a whole."""
    builder = Builder()
    inputs: list[Input] = []

    def symbol(value: object) -> object:
        if type(value) is not np.ndarray:
            return value
        inputs.append(Input(value.shape, value.dtype))
        return Symbol(builder, inputs[-1], shared=True)

    try:
        found: Sequence[Any] = function(*map(symbol, values))
        outputs = [array_of(builder, value).value for value in found]
    except Exception:  # whatever it makes of a symbol
        return None
    if any(i.effect or i.params.get("sized") or i.name == "call" for i in builder.body):
        return None
    if any(is_low(value.dtype) for value in (*inputs, *outputs)):  # NumPy does not compute with these (`low_types`)
        return None
    return Program(inputs, [], builder.body, outputs, [])


def given(tape: Capture, value: Traced | Array) -> object:
    """An array as the tape keeps it for a function."""
    if isinstance(value, Traced) and value.node is not None:
        return tape.gone.get(value.node, value)
    return tape.values.as_given(value)


def record(
    tape: Capture,
    title: str,
    program: Program,
    arrays: Sequence[object],
    inputs: list[object],
    results: Sequence[Array],
) -> list[Tensor]:
    """The results of a function as tensors that the tape knows.

    Args:
        tape, title: the capture, and what to call the function.
        program: what it computes.
        arrays: what it is given, maybe among other values.
        inputs: the arrays among that as the tape keeps them.
        results: what it gave.
    """
    node = FunctionNode()
    node.title = title
    node.number = next_number()
    node.scope = local.state.scope
    node.released = None
    node.line = tape.user_line() if tape.line is None else tape.line
    node.call = {"inputs": inputs, "program": program}
    tape.nodes.append(node)
    picks: list[Node] = []
    if len(results) == 1:
        node.shape, node.dtype = intern_shape(results[0].shape), results[0].dtype
    else:
        node.shape, node.dtype = (intern_shape(tuple([getattr(r, of) for r in results])) for of in ("shape", "dtype"))
        picks += [Output(node, i, r) for i, r in enumerate(results)]
        tape.nodes += picks
    given = list(map(id, arrays))
    shared = [r for r in results if r.base is not None or id(r) in given]
    if shared:
        tape.note(node, picks, results, ())
    else:  # what `note` finds out, in a third of the time
        if tape.constants.issuperset([getattr(v, "node", None) for v in inputs]):
            tape.constants.update((node, *picks))
        for each in (node, *picks):
            tape.owns(each)
    return [Tensor._of(r, None, made) for r, made in zip(results, picks or [node], strict=True)]


def called(
    tape: Capture,
    title: str,
    known: dict[Hashable, Program | None],
    key: Hashable,
    function: Callable[..., Sequence[Any]],
    tensors: Sequence[Tensor],
) -> Sequence[Any]:
    """What a function gives for tensors, recorded as one node where it can be read; else it runs on these.

    Args:
        tape, title: the capture, and what to call the function.
        known: what was read before.
        key: what is alike of calls that compute the same of arrays of the same shapes and dtypes.
        function: a pure function of arrays, in NumPy and ops. Its results are arrays.
        tensors: what it is given.
    """
    if tape.reads_functions():
        arrays = [t._data for t in tensors]
        told = key, *[(a.shape, a.dtype) for a in arrays]
        if told not in known:
            known[told] = read(function, arrays)
        program = known[told]
        if program is not None:
            results = [np.asarray(r) for r in function(*arrays)]
            if [(r.shape, r.dtype) for r in results] == [(v.shape, v.dtype) for v in program.outputs]:
                inputs = [given(tape, Traced(t, t._trace, t._data)) for t in tensors]
                return record(tape, title, program, arrays, inputs, results)
    return function(*tensors)
