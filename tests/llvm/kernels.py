"""Loops over elementwise primitives, compiled for the tests."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np

from tapenet.llvm.emitter import Emitter, llvm_type, load, store
from tapenet.llvm.processor import processor
from tapenet.llvm.scalar import apply, definitions

DType = np.dtype[Any]


class Loop(NamedTuple):
    """A loop over arrays: dtypes of the operands and of the result, and what it emits for one element. Literals may
    take the place of some operands."""

    dtypes_in: tuple[DType, ...]
    dtype_out: DType
    body: Callable[[Emitter, list[str]], str]
    literals: tuple[str | None, ...]

    def text(self, symbol: str, needs: set[str]) -> str:
        """IR of a function of pointers (arguments, result) and a count."""
        e = Emitter()
        operands = []
        for k, (dtype, given) in enumerate(zip(self.dtypes_in, self.literals, strict=True)):
            if given is None:
                e.line(f"  %p{k} = getelementptr inbounds {llvm_type(dtype, memory=True)}, ptr %a{k}, i64 %i")
                operands.append(load(e, f"%p{k}", dtype))
            else:
                operands.append(given)
        result = self.body(e, operands)
        e.line(f"  %q = getelementptr inbounds {llvm_type(self.dtype_out, memory=True)}, ptr %out, i64 %i")
        store(e, result, "%q", self.dtype_out)
        needs |= e.needs
        lines = "\n".join(e.lines)
        parameters = "".join(f"ptr noalias %a{k}, " for k in range(len(self.dtypes_in)))
        return f"""
define void @{symbol}({parameters}ptr noalias %out, i64 %n) "prefer-vector-width"="512" {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{lines}
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %end, label %loop
end:
  ret void
}}"""


def kernel(name: str, dtypes_in: Sequence[DType], dtype_out: DType, literals: Sequence[str | None] = ()) -> Loop:
    """A loop over one primitive."""
    dtypes = tuple(dtypes_in)
    return Loop(
        dtypes,
        dtype_out,
        lambda e, operands: apply(e, name, dtypes, dtype_out, operands),
        tuple(literals) or (None,) * len(dtypes),
    )


class Compiled:
    """Loops in one module, each as a function of arrays of one length."""

    def __init__(self, loops: dict[str, Loop], host: bool = True, simd: bool = True) -> None:
        """For the processor that code is made for, or with only the instructions that every machine of its kind has;
        with SIMD loops or plain ones."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features = "", ""
        if host:
            cpu, features, _ = processor()
        self.machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu, features=features, opt=3, reloc="pic"
        )
        needs: set[str] = set()
        texts = [loop.text(symbol, needs) for symbol, loop in loops.items()]
        header = f'target triple = "{llvm.get_process_triple()}"\ntarget datalayout = "{self.machine.target_data}"\n'
        self.module = llvm.parse_assembly(header + definitions(needs) + "\n".join(texts))
        self.module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = simd
        builder = llvm.create_pass_builder(self.machine, options)
        builder.getModulePassManager().run(self.module, builder)
        self.loops = loops
        self._engine = llvm.create_mcjit_compiler(self.module, self.machine)
        self._engine.finalize_object()

    def assembly(self, symbol: str) -> str:
        """The machine code of one loop, as text."""
        _, _, text = self.machine.emit_assembly(self.module).partition(f"\n{symbol}:")
        return text.partition(".Lfunc_end")[0]

    def run(self, symbol: str, *arrays: Any) -> None:
        """Run a loop on arrays of its dtypes, the last of them for the result. (A method, so that the code lives.)"""
        pointers = [ctypes.c_void_p] * len(arrays)
        address = self._engine.get_function_address(symbol)
        function = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(address)
        function(*(a.ctypes.data for a in arrays), arrays[-1].size)

    def __getitem__(self, symbol: str) -> Callable[..., Any]:
        """A loop as a function of arrays that makes its result."""
        loop = self.loops[symbol]

        def call(*arrays: Any) -> Any:
            given = [np.ascontiguousarray(a, d) for a, d in zip(arrays, loop.dtypes_in, strict=True)]
            out = np.empty(given[0].shape, loop.dtype_out)
            self.run(symbol, *given, out)
            return out

        return call
