"""Instructions that run in Python, between native segments, on views of the program's memory.

Views are made once where the memory stays where it is: a view costs as much as a small NumPy function.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapenet import kernels
from tapenet.program.called_ops import caller
from tapenet.program.ir import Constant, Instruction, Reference, Value
from tapenet.program.layout import Place
from tapenet.program.native.memory import Arena
from tapenet.program.native.module import Module
from tapenet.program.primitives import PRIMITIVES, Params, Results
from tapenet.typing import Array, Shape

#: From the arguments and results of a call of the program, a value's array.
Read = Callable[[Sequence[Array]], Array]


class Calls:
    """The calls of Python in one program."""

    def __init__(self, module: Module, arena: Array, arrays: Mapping[Value, Array]) -> None:
        """Make ready.

        Args:
            module: the program's native form.
            arena: the memory of what it computes on the way, in bytes.
            arrays: the arrays of constants, of numbers from the host, and those of references, which may change.
        """
        self._module = module
        self._arena = arena
        self._arrays = arrays
        self._given = {v: i for i, v in enumerate((*module.program.inputs, *module.program.outputs))}

    def function(self, instruction: Instruction) -> Callable[[Sequence[Array]], None]:
        """What runs an instruction, given the arguments and results of a call."""
        params = instruction.params
        op = params.get("op")
        if op is None:
            evaluate: Callable[[Sequence[Array]], Results] = partial(
                _apart, PRIMITIVES[instruction.name].evaluate, params
            )
        else:
            evaluate = caller(op, params["template"], params["specs"], bool(params.get("sized")), instruction.line)
        wanted = params.get("specs") or instruction.results  # None for what nobody uses
        stored = self._module.memory.stored
        kept = [
            (i, result)
            for i, (result, spec) in enumerate(zip(instruction.results, wanted, strict=True))
            if spec is not None and result in stored
        ]
        reads = [self._read(a) for a in instruction.args]
        effect = op is not None and op.effect
        if effect:  # it may keep what it is given; into a tensor it may write
            for i, arg in enumerate(instruction.args):
                if not isinstance(self._module.layouts[arg].root, Reference):
                    reads[i] = _copied(reads[i])
        targets = [(i, self._read(result)) for i, result in kept]
        # What an op raises in the midst must not leave marks on tensors; one with an effect may keep what it makes.
        roots = [self._module.layouts[result].root for _, result in kept]
        own = [not effect and (r in self._given or isinstance(self._module.memory.buffer(r), Arena)) for r in roots]

        def run(given: Sequence[Array]) -> None:
            places = [read(given) for _, read in targets]
            operands = [read(given) for read in reads]
            with np.errstate(all="ignore"), kernels.offering(list(itertools.compress(places, own))):
                answer = evaluate(operands)
            answers = answer if isinstance(answer, tuple) else (answer,)
            moved = []
            for (i, _), place in zip(targets, places, strict=True):
                value = answers[i]
                if value is not place and not _same(value, place):
                    moved.append((place, value))
            if len(places) > 1:  # one may lie where another is to go
                moved = [(p, v.copy() if any(np.may_share_memory(v, q) for q in places) else v) for p, v in moved]
            for place, value in moved:
                place[...] = value

        return run

    def _read(self, value: Value) -> Read:
        """How to come by the array of a value."""
        place = self._module.layouts[value]
        root, shape = place.root, value.shape
        if root in self._given:
            position = self._given[root]
            return lambda given: _view(given[position], place, shape)
        if isinstance(root, Constant) and root.size == 1:
            number: Array = np.broadcast_to(root.array.reshape(()), shape)
            return lambda given: number
        base = root
        if root not in self._arrays:
            buffer = self._module.memory.buffer(root)
            if isinstance(buffer, Arena):
                flat = self._arena[buffer.offset : buffer.offset + root.nbytes].view(root.dtype)
                view = _view(flat, place, shape)
                return lambda given: view
            base = self._module.memory.owner(buffer)  # the tensor that it is written to
        held: list[Array] = []

        def read(given: Sequence[Array]) -> Array:
            array = self._arrays[base]
            if not held or array is not held[0]:  # a tensor may be given another array between calls
                held[:] = array, _view(array, place, shape)
            return held[1]

        return read


def _copied(read: Read) -> Read:
    return lambda given: read(given).copy()


def _same(a: object, b: Array) -> bool:
    """Whether two arrays are the same memory."""
    return (
        type(a) is np.ndarray
        and a.strides == b.strides
        and a.__array_interface__["data"][0] == b.__array_interface__["data"][0]
    )


def _view(base: Array, place: Place, shape: Shape) -> Array:
    """A view of dense memory, in which a place's offset and strides lead to elements of `base` only: it was made from
    the layout of that."""
    steps = tuple(s * base.itemsize for s in place.strides)
    if place.offset == 0 and base.shape == shape and base.strides == steps:
        return base
    if 0 in shape:
        return np.empty(shape, base.dtype)
    if base.flags.forc:
        whole = base if base.flags.c_contiguous else base.T
        found: Array = np.ndarray(shape, base.dtype, whole, place.offset * base.itemsize, steps)
        return found
    flat = as_strided(base, (1,), (base.itemsize,))
    at: Array = as_strided(flat, (place.offset + 1,), (base.itemsize,))[place.offset :]
    return as_strided(at, shape, steps)


def _apart(evaluate: Callable[..., Results], params: Params, args: Sequence[Array]) -> Results:
    """A primitive of arguments that are given in a sequence."""
    return evaluate(*args, **params)
