"""The code of Fourier transforms: calls of the loops that NumPy runs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np

from tapenet.llvm.code import places
from tapenet.llvm.emitter import literal, store
from tapenet.llvm.inner_loops import InnerLoop, call, inner_loop
from tapenet.program.ir import Instruction
from tapenet.program.low import real_of
from tapenet.program.native.functions import Function
from tapenet.program.native.ufunc_calls import merged
from tapenet.program.native.writer import Family

#: What the transform back does that is asked for the norm of one forth: who is divided is the other.
_SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _real(instruction: Instruction) -> np.dtype:
    """The dtype of the real parts."""
    return real_of(instruction.results[0].dtype)


def loop_of(instruction: Instruction) -> InnerLoop | None:
    """The loop that computes a transform; None where NumPy does not have it as it is known to."""
    name = instruction.name
    if name == "rfft":
        name = "rfft_n_odd" if instruction.params["n"] % 2 else "rfft_n_even"
    try:
        ufunc: np.ufunc = getattr(importlib.import_module("numpy.fft._pocketfft_umath"), name)
    except (ImportError, AttributeError):
        return None
    if ufunc.signature not in ("(n),()->(m)", "(m),()->(n)"):
        return None
    return inner_loop(
        ufunc, f"{instruction.args[0].dtype.char}{_real(instruction).char}->{instruction.results[0].dtype.char}"
    )


def _factor(instruction: Instruction) -> float:
    """By what the results are multiplied, rounded as NumPy rounds it."""
    n, norm, dtype = instruction.params["n"], instruction.params["norm"], _real(instruction)
    if instruction.name in ("ifft", "irfft"):
        norm = _SWAPPED[norm]
    if norm == "backward":
        return 1.0
    return float(np.reciprocal(np.sqrt(n, dtype=dtype) if norm == "ortho" else n, dtype=dtype))


class Transform(Family):
    """Fourier transforms."""

    kind = "transform"

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        return loop_of(instruction) is not None

    def write(self) -> Function:
        """Calls of NumPy's loop."""
        instruction, code = self.instruction, self.code
        axis, loop = instruction.params["axis"], loop_of(instruction)
        assert loop is not None
        pointers, along, others = [], [], []
        values = (*instruction.args, *instruction.results)
        for value in values:
            access = self.access(value)
            strides = [s * value.dtype.itemsize for s in access.strides]
            pointers.append(access.pointer)
            along.append(strides.pop(axis))
            others.append(strides)
        shape = values[-1].shape
        lengths, steps = merged((*shape[:axis], *shape[axis + 1 :]), others)
        factor = code.cell(_real(instruction))
        store(code, literal(_factor(instruction), _real(instruction)), factor, _real(instruction))

        def run(at: Sequence[str]) -> None:
            sizes = [lengths[-1], *(v.shape[axis] for v in values)]
            call(code, loop, [at[0], factor, at[1]], sizes, [steps[0][-1], 0, steps[1][-1], *along])

        places(code, lengths[:-1], pointers, [s[:-1] for s in steps], run)
        return self.done()
