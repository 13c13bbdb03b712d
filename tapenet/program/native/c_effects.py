"""The code of ops with an effect that C functions do (`program/c_effects.py`)."""

from __future__ import annotations

import numpy as np

from tapenet.llvm import loops, toolchain
from tapenet.llvm.code import offset
from tapenet.llvm.emitter import supported
from tapenet.program.c_effects import CEffect, Where, effect_of
from tapenet.program.ir import Builder, Constant, Instruction, Value
from tapenet.program.layout import Layouts, alike, c_strides
from tapenet.program.native import raising
from tapenet.program.native.functions import Function
from tapenet.program.native.raising import STATUS
from tapenet.program.native.writer import Family

_WORD = np.dtype(np.int64)
#: Around what waits: other threads of Python's run meanwhile. A segment may have released the interpreter's lock itself.
_RELEASED = {
    "declare i32 @PyGILState_Check()",
    "declare ptr @PyEval_SaveThread()",
    "declare void @PyEval_RestoreThread(ptr)",
    """define internal ptr @tn_released() noinline {
  %held = call i32 @PyGILState_Check()
  %free = icmp eq i32 %held, 0
  br i1 %free, label %end, label %release
release:
  %state = call ptr @PyEval_SaveThread()
  ret ptr %state
end:
  ret ptr null
}""",
    """define internal void @tn_taken(ptr %state) noinline {
  %free = icmp eq ptr %state, null
  br i1 %free, label %end, label %take
take:
  call void @PyEval_RestoreThread(ptr %state)
  br label %end
end:
  ret void
}""",
}


def prepared(
    instruction: Instruction, args: tuple[Value, ...], layouts: Layouts, builder: Builder
) -> tuple[Value, ...] | None:
    """A call that C functions do, so that native code calls these; None for what is none. Where its result goes on from its
    argument, it is in the same memory if nobody else needs that."""
    effect = effect_of(instruction)
    (result,) = instruction.results if effect is not None else [None]
    if effect is None or result is None or not result.size or not supported(result.dtype):
        return None
    (x,) = args
    if not alike(x.shape, layouts[x].strides, c_strides(x.shape)):
        x = builder.emit("copy", x, row_major=True)
    words = Constant(np.array([w % (1 << 64) for w in effect.words], np.uint64).view(_WORD))
    carries = int(effect.goes_on)
    (found,) = builder.several("call", x, words, **instruction.params, c_effect=effect, carries=carries)
    if effect.divisor > 1:
        found = builder.emit("divide", found, Constant(np.asarray(effect.divisor, found.dtype)))
    return (found,)


def find(entry: object) -> CEffect | None:
    """What native code calls for an entry, if it is such a call."""
    found: CEffect | None = entry.params.get("c_effect") if isinstance(entry, Instruction) else None
    return found


class CCall(Family):
    """Calls of C functions with an effect."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return find(instruction) is not None

    def write(self) -> Function:
        """The calls, one after the other; the first that fails is an error."""
        effect = find(self.instruction)
        assert effect is not None
        (x, words), (result,) = self.instruction.args, self.instruction.results
        code = self.code
        stays = self.buffer(self.layouts[x].root) == self.buffer(result)
        source, target = self.access(x), self.access(result)
        table = self.parameter(self.buffer(words))

        def word(i: int, bits: int = 64) -> str:
            found = code.emit(f"load i64, ptr {offset(code, table, i, 1, _WORD)}")
            return found if bits == 64 else code.emit(f"trunc i64 {found} to i{bits}")

        here = Where.RESULT in effect.given
        if effect.goes_on and here and not stays:
            loops.copy(code, x.shape, source, target)
        if effect.waits is not None:
            state = code.emit(f"inttoptr i64 {word(len(effect.words) - 2)} to ptr")
            label = offset(code, state, 1, 1, _WORD)
            code.declares |= _RELEASED
        count = 0
        for call in effect.calls:
            given = []
            for argument in call.arguments:
                if isinstance(argument, Where):
                    given.append(f"ptr {(target if argument is Where.RESULT else source).pointer}")
                else:
                    given.append(f"i{argument.bits} {word(count, argument.bits)}")
                    count += 1
            toolchain.symbols[call.name] = call.address
            code.declares.add(f"declare i32 @{call.name}({', '.join(g.split()[0] for g in given)})")
            if effect.waits is not None:
                number = code.emit(f"load i64, ptr {state}")
                code.line(f"  store i64 {code.emit(f'add i64 {number}, 1')}, ptr {state}")
                code.line(f"  store volatile i64 {word(len(effect.words) - 1)}, ptr {label}")
                held = code.emit("call ptr @tn_released()")
            status = code.emit(f"call i32 @{call.name}({', '.join(given)})")
            if effect.waits is not None:
                code.line(f"  call void @tn_taken(ptr {held})")
                code.line(f"  store volatile i64 0, ptr {label}")
            wrong = code.emit(f"icmp ne i32 {status}, 0")
            raising.write(code, wrong, RuntimeError, effect.error, self.parameter(STATUS))
        if not here:
            # The functions have written to memory that they were not given here.
            code.line(f'  call void asm sideeffect "", "r,~{{memory}}"(ptr {source.pointer})')
            if not stays:
                loops.copy(code, x.shape, source, target)
        return self.done()
