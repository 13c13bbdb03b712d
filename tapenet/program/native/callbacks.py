"""Ops that loops and branches call back: what has no native form is called from native code, and the rest stays native.

Each argument and result has an array object that is made once. Native code sets where its memory is (a turn's slice, a number
on the stack), and calls a Python function without arguments, which finds all in these arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapenet import kernels
from tapenet.llvm.addresses import address
from tapenet.llvm.code import offset
from tapenet.llvm.emitter import held
from tapenet.program import generated
from tapenet.program.called_ops import Hole, PlainFunction, expression, settling
from tapenet.program.ir import Builder, Constant, Instruction, Value
from tapenet.program.native import draws, entry
from tapenet.program.native.functions import Function
from tapenet.program.native.raising import STATUS
from tapenet.program.native.writer import Family
from tapenet.program.primitives import PRIMITIVES, Spec
from tapenet.typing import Array

_BYTE = np.dtype(np.int8)
_WORD = np.dtype(np.int64)
#: Bytes of results from which on tapenet's own ops are told where to compute them, which takes a microsecond.
_LARGE = 1 << 16
#: Calls a function of Python's; not 0 if it raised.
_CALL = {
    "declare i32 @PyGILState_Ensure()",
    "declare void @PyGILState_Release(i32)",
    "declare ptr @PyObject_CallNoArgs(ptr)",
    "declare void @Py_DecRef(ptr)",
    """define internal i64 @tn_call_back(ptr %function) noinline {
  %state = call i32 @PyGILState_Ensure()
  %found = call ptr @PyObject_CallNoArgs(ptr %function)
  %failed = icmp eq ptr %found, null
  br i1 %failed, label %end, label %fine
fine:
  call void @Py_DecRef(ptr %found)
  br label %end
end:
  call void @PyGILState_Release(i32 %state)
  %status = zext i1 %failed to i64
  ret i64 %status
}""",
}


class Back:
    """What native code calls back.

    Attributes:
        addresses: where the function is, and the arrays of arguments and of results that are of use: a constant of the program.
    """

    def __init__(self, count: int) -> None:
        """Make room for the addresses of a function and so many arrays."""
        self.addresses: Array = np.zeros(1 + count, _WORD)
        self._function: Callable[[], None] = lambda: None
        self._arrays: tuple[Array, ...] = ()

    def put(self, function: Callable[[], None], *arrays: Array) -> None:
        """Say what is called, and its arrays."""
        self._function, self._arrays = function, arrays
        self.addresses[...] = [id(thing) for thing in (function, *arrays)]

    def wrap(self, around: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        """Have a function called that is made of the one that was said."""
        self.put(around(self._function), *self._arrays)


def _kept(instruction: Instruction) -> list[tuple[int, Value]]:
    """The results that are of use, by their positions."""
    pairs = enumerate(zip(instruction.results, instruction.params["specs"], strict=True))
    return [(i, result) for i, (result, spec) in pairs if spec is not None]


def prepared(instruction: Instruction, args: Sequence[Value], builder: Builder) -> tuple[Value, ...] | None:
    """What has no native form in a body, so that native code calls it back; None where that cannot be."""
    if not entry.usable():
        return None
    params = instruction.params
    if instruction.name == "call":
        drawn = draws.prepared(instruction, builder)
        if drawn is not None:
            return drawn
    else:
        template = {f"x{i}": Hole(i) for i in range(len(args))}
        op = PlainFunction(instruction.name, partial(PRIMITIVES[instruction.name].evaluate, **params), [*template])
        params = {"op": op, "template": template, "specs": [Spec(r.shape, r.dtype) for r in instruction.results]}
    values = [*args, *(r for r, spec in zip(instruction.results, _specs(instruction), strict=True) if spec is not None)]
    if not all(v.size and held(v.dtype) for v in values):
        return None
    back = Back(len(values))
    return builder.several("call", *args, Constant(back.addresses), **params, back=back)


def _specs(instruction: Instruction) -> Sequence[object]:
    """What each result is; None for one that nobody uses."""
    specs: Sequence[object] = instruction.params.get("specs", instruction.results)
    return specs


def stored(kept: Sequence[int], own: Sequence[bool], places: Sequence[Array], compute: Callable[[], object]) -> None:
    """Compute something, and put what is kept of it where it belongs; places of its `own` it may be computed in."""
    if any(own):
        with kernels.offering([place for place, offered in zip(places, own, strict=True) if offered]):
            answer = compute()
    else:
        answer = compute()
    answers = answer if isinstance(answer, tuple) else (answer,)
    moved = []
    for i, place in zip(kept, places, strict=True):
        value = answers[i]
        if value is not place and not _same(value, place):
            moved.append((place, value))
    if len(places) > 1:  # one may lie where another is to go
        moved = [(p, v.copy() if any(np.may_share_memory(v, q) for q in places) else v) for p, v in moved]
    for place, value in moved:
        place[...] = value


def _same(a: object, b: Array) -> bool:
    """Whether two arrays are the same memory."""
    return type(a) is np.ndarray and a.strides == b.strides and address(a) == address(b)


def _function(instruction: Instruction, views: Sequence[Array], places: Sequence[Array]) -> Callable[[], None]:
    """What is called: it gives the op its arguments, and puts what it gives where it belongs."""
    params = instruction.params
    op = params["op"]
    space: dict[str, object] = {f"v{i}": view for i, view in enumerate(views)}
    # An op with an effect may keep what it is given.
    names = [f"{name}.copy()" if op.effect else name for name in space]
    kept = _kept(instruction)
    settled = settling(op, params["specs"], bool(params.get("sized")), instruction.line)
    answer = f"settled({expression(op, params['template'], names, space)})"
    space |= {
        "settled": settled,
        "stored": stored,
        "kept": [i for i, _ in kept],
        "own": [True] * len(kept),
        "places": tuple(places),
        "note": instruction.note,
    }
    space |= {f"p{i}": place for (i, _), place in zip(kept, places, strict=True)}
    if not op.effect and sum(result.nbytes for _, result in kept) >= _LARGE:
        text = f"stored(kept, own, places, lambda: {answer})"
    elif len(instruction.results) == 1:
        text = f"{'p0[...] = ' * len(kept)}{answer}"
    else:
        text = "; ".join([f"found = {answer}", *(f"p{i}[...] = found[{i}]" for i, _ in kept)])
    source = f"def back():\n    try: {text}\n    except Exception as error: note(error); raise\n"
    made: Callable[[], None] = generated.function("back", source, space, "compiled program")
    return made


class CallBack(Family):
    """What native code calls back."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return "back" in instruction.params

    def write(self) -> Function:
        """A call of the function, once each array is told where its memory is."""
        instruction, code = self.instruction, self.code
        *args, addresses = instruction.args
        values = [*args, *(result for _, result in _kept(instruction))]
        views = [
            as_strided(np.zeros(1, v.dtype), v.shape, [s * v.dtype.itemsize for s in self.layouts[v].strides])
            for v in values
        ]
        function = _function(instruction, views[: len(args)], views[len(args) :])
        instruction.params["back"].put(function, *views)
        table = self.parameter(self.buffer(addresses))
        for i, value in enumerate(values, 1):
            array = code.emit(f"load ptr, ptr {offset(code, table, i, 1, _WORD)}")
            code.line(f"  store ptr {self.access(value).pointer}, ptr {offset(code, array, entry.DATA, 1, _BYTE)}")
        code.declares |= _CALL
        status = code.emit(f"call i64 @tn_call_back(ptr {code.emit(f'load ptr, ptr {table}')})")
        code.line(f"  store i64 {status}, ptr {self.parameter(STATUS)}")
        return self.done()
