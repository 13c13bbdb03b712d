"""Ops whose kernels a program calls by itself: their forwards are recorded when the program is made (`llvm.recording`), and no
Python runs from then on.

A forward can be recorded if all that it does is to call shared code, chosen by shapes, dtypes and strides alone. What else it
does is found out, and then it stays a call of Python: writing to an array, giving code what NumPy has made, a result that is
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapenet import kernels
from tapenet.kernels import moves
from tapenet.llvm import rehearsal, sharing
from tapenet.llvm.addresses import LINE, address
from tapenet.llvm.code import Code
from tapenet.llvm.recording import Launch, Place, Recording, recording
from tapenet.llvm.sharing import EACH, INTEGER, SCRATCH
from tapenet.program.called_ops import Hole, filled
from tapenet.program.ir import Builder, Constant, Instruction, Value
from tapenet.program.layout import Layouts, alike, ordered_strides
from tapenet.program.native import pieces
from tapenet.program.native.functions import Function, Offset
from tapenet.typing import Array

#: Where the ops are that choose their kernels by shapes, dtypes and strides alone.
RECORDED = tuple(f"tapenet.ops.layers.{name}." for name in ("attention", "convolution", "pooling", "recurrent"))
#: And where those are whose images have the batch innermost in memory.
CONVOLUTIONS = "tapenet.ops.layers.convolution."
_BYTE = np.dtype(np.int8)


class Plan(NamedTuple):
    """What an op's forward calls.

    Attributes:
        launches: the calls.
        made: where in its workspace each of the arrays begins that are made in between.
        room: the bytes of these.
        constants: what it reads that stays.
        threads: for how many threads there is memory.
    """

    launches: Sequence[Launch]
    made: Sequence[int]
    room: int
    constants: Sequence[Constant]
    threads: int

    def __str__(self) -> str:
        return f"{len(self.launches)} kernels"

    @property
    def cycles(self) -> float:
        """Roughly how many cycles it takes."""
        return sum(launch.cost for launch in self.launches) / 32

    @property
    def workspace(self) -> int:
        """The bytes that it needs for itself."""
        return self.room + self.threads * max((_scratch(launch) for launch in self.launches), default=0)


def find(entry: object) -> Plan | None:
    """The plan of an instruction that is a call of an op, if it has one."""
    found: Plan | None = entry.params.get("plan") if isinstance(entry, Instruction) else None
    return found


def record(instruction: Instruction, args: Sequence[Value], layouts: Layouts) -> Plan | None:
    """The plan of a call of an op, on these arguments in place of its own; None for one that Python calls.

    Args:
        instruction: the call.
        args: its arguments.
        layouts: where they lie, and where its results are to lie.
    """
    op, params = instruction.params["op"], instruction.params
    if not op.module.startswith(RECORDED) or instruction.effect or params.get("sized") or not kernels.on():
        return None
    if all(value.size == 0 for value in instruction.results):
        return None
    with recording() as made:
        arrays, results = [], []
        for i, value in enumerate(args):
            array = _stand_in(value, layouts)
            made.know(("argument", i), array)
            arrays.append(array)
        for i, value in enumerate(instruction.results):
            array = _stand_in(value, layouts)
            made.know(("result", i), array)
            results.append(array)
        given = {a.name: filled(params["template"][a.name], arrays) for a in op.arguments}
        options = {a.name: given.pop(a.name) for a in op.arguments if a.keyword_only}
        asked = [spec is not None for spec in params["specs"]]
        try:
            with kernels.offering(results, asked), np.errstate(all="ignore"):  # what NumPy computes is of no meaning
                answer = op.checked()(*given.values(), **options)
        except Exception:  # of any kind: NumPy may not write
            return None
        answers = answer if isinstance(answer, tuple) else (answer,)
        for found, place, spec in zip(answers, results, params["specs"], strict=True):
            if spec is not None and not _same(found, place):
                return None
    return _plan(made)


def _plan(made: Recording) -> Plan | None:
    """The plan of what was recorded; None if there is nothing, or what has no name in other code."""
    if not made.launches or not all(launch.code.symbol() for launch in made.launches):
        return None
    begins, room = [], 0
    for size in made.made:
        begins.append(room)
        room += -(-size // LINE) * LINE
    constants = [Constant(array) for array in made.constants]
    return Plan(made.launches, begins, room, constants, pieces.threads())


def images(instruction: Instruction) -> list[Value]:
    """The batches of images that a convolution reads."""
    if instruction.name != "call" or not instruction.params["op"].module.startswith(CONVOLUTIONS):
        return []
    axes = max(v.ndim for v in (*instruction.args, *instruction.results))
    holes = (instruction.params["template"].get(name) for name in ("x", "y"))
    found = [instruction.args[hole.position] for hole in holes if isinstance(hole, Hole)]
    return [v for v in found if v.ndim == axes]


def innermost(value: Value, layouts: Layouts, builder: Builder) -> Value | None:
    """A copy of a batch of images with the batch innermost in memory, as each convolution would else make one: the step of a
    small network (28x28, 8 and 16 channels, 64 images) takes 0.97 of the time. None if there is nothing to copy."""
    order = (*range(1, value.ndim), 0)
    if not kernels.on() or alike(value.shape, layouts[value].strides, ordered_strides(value.shape, order)):
        return None
    with recording() as made:
        source = _stand_in(value, layouts)
        target = np.moveaxis(np.empty((*value.shape[1:], value.shape[0]), value.dtype), -1, 0)
        made.know(("argument", 0), source)
        made.know(("result", 0), target)
        target.flags.writeable = False
        try:
            moves.put(*(a.transpose(order) for a in (source, target)))
        except (rehearsal.Unrecorded, ValueError):  # it would be NumPy's
            return None
    plan = _plan(made)
    if plan is None:
        return None
    copy = builder.emit("copy", value, plan=plan)
    layouts.put(copy, ordered_strides(value.shape, order))
    return copy


def _stand_in(value: Value, layouts: Layouts) -> Array:
    """An array that lies as a value does, and that nobody writes: that of a constant, or memory with anything in it."""
    if not value.size:
        return np.empty(value.shape, value.dtype)
    place = layouts[value]
    steps = tuple(s * value.dtype.itemsize for s in place.strides)
    if isinstance(place.root, Constant):
        root = np.ascontiguousarray(place.root.array)
        if place.root is value:
            return root
        flat = root.reshape(-1)[place.offset :]
        return as_strided(flat, value.shape, steps, writeable=False)
    ends = [(n - 1) * s for n, s in zip(value.shape, place.strides, strict=True)]
    low, high = sum(e for e in ends if e < 0), sum(e for e in ends if e > 0)
    room = np.empty(high - low + 1, value.dtype)[-low:]
    return as_strided(room, value.shape, steps, writeable=False)


def _same(found: object, place: Array) -> bool:
    """Whether an array is the one that a result is to be."""
    return (
        type(found) is np.ndarray
        and found.dtype == place.dtype
        and found.shape == place.shape
        and (not place.size or (address(found) == address(place) and alike(place.shape, found.strides, place.strides)))
    )


def _scratch(launch: Launch) -> int:
    """The bytes that each thread has for itself."""
    kinds = zip(launch.code.kinds, launch.arguments, strict=True)
    return sum(-(-a // LINE) * LINE for kind, a in kinds if kind == SCRATCH and isinstance(a, int))


def write(
    instruction: Instruction, plan: Plan, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable | None
) -> Function:  # fmt: skip
    """The function of a call."""
    code = Code()
    pointers: dict[Hashable, str] = {}

    def pointer(place: Place) -> str:
        what, i = place.memory
        if what == "made":
            key = Offset.of(workspace, plan.made[i] + place.bytes, _BYTE)
        elif what == "constant":
            key = Offset.of(buffer(plan.constants[i]), place.bytes, _BYTE)
        else:
            value = (instruction.args if what == "argument" else instruction.results)[i]
            at = layouts[value]
            ends = [(n - 1) * s for n, s in zip(value.shape, at.strides, strict=True)]
            first = (at.offset + sum(e for e in ends if e < 0)) * value.dtype.itemsize
            key = Offset.of(buffer(at.root), first + place.bytes, _BYTE)
        return pointers.setdefault(key, f"%b{len(pointers)}")

    for launch in plan.launches:
        room = _scratch(launch)
        memory = "null"
        if room:
            key = Offset.of(workspace, plan.room, _BYTE)
            memory = pointers.setdefault(key, f"%b{len(pointers)}")
        count = _parts(code, launch)
        values: list[str] = []
        before = 0
        for kind, a, apart in zip(launch.code.kinds, launch.arguments, launch.apart, strict=True):
            if kind == SCRATCH:
                values.append(f"i64 {before}")
                assert isinstance(a, int)
                before += -(-a // LINE) * LINE
            elif kind == INTEGER:
                values.append(f"i64 {a}")
            else:
                assert isinstance(a, Place)
                values += [f"ptr {pointer(a)}", *([f"i64 {apart}"] if kind == EACH else [])]
        pieces.launch(
            code, launch.code, launch.length, count, values, (memory, room), plan.threads, launch.cost >= sharing.WAKES
        )
    return Function.of(code, pointers)


def _parts(code: Code, launch: Launch) -> str:
    """In how many parts a call is done."""
    return str(launch.parts) if launch.parts is not None else pieces.parts(code, *launch.most, launch.code.rounds)
