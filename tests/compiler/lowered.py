"""Programs of functions, as the compiler makes them of a capture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.capture import Argument
from tapenet.compiler.lowering import Lowered, lower
from tapenet.program.ir import Program, check
from tapenet.program.passes import simplify


def lowered(function: Callable[..., Any], *arrays: Any) -> Lowered:
    """A function captured on tensors that stand for arrays, and lowered. It runs for real, once."""
    with Capture() as tape:
        arguments = [Argument(a, "") for a in arrays]
        outs = function(*(Tensor._of(a, None, node) for a, node in zip(arrays, arguments, strict=True)))
        outs = outs if isinstance(outs, (list, tuple)) else (outs,)
        outs = [t if isinstance(t, Tensor) else Tensor._of(np.asarray(t)) for t in outs if t is not None]
        return lower(tape, arguments, outs)


def program_of(function: Callable[..., Any], *arrays: Any) -> Program:
    """The program of a function, after all passes."""
    return simplify(check(lowered(function, *arrays).program))


def reasons(function: Callable[..., Any], *arrays: Any) -> dict[str, str]:
    """The ops that a function's program calls as they stand, and why."""
    return {called.op.name: called.reason for called in lowered(function, *arrays).called}
