"""What recording costs: each NumPy function on small tensors beside the same call on arrays, as a table.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.overhead [--write | --count] [NAME ...]

For the first sample of each op that has a derivative: µs of NumPy's own call, and µs more for `tn.f` and for `np.f` on
tensors that need a gradient, forward with recording; and how many instructions Python runs in tapenet's own code for
`tn.f`, which does not depend on the machine. `--write` puts the table into docs/numpy.md, `--count` prints the counts alone;
tests/autodiff/test_overhead.py holds them to the table.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tapenet
import tapenet.ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import numpy_functions
from tapenet.program.trees import tree_map
from tests.benchmarks.harness import fill, interleaved

PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
#: µs that recording a call of one or two small arrays may cost.
BOUND = 2.0
#: How the names of files with tapenet's code begin, that made for an op included.
OWN = (str(Path(tapenet.__file__).parent), "<op ")


class Cost(NamedTuple):
    """One line of the table: µs of NumPy's call, µs more of the two ways to call it on tensors, and the count."""

    name: str
    bare: float
    tn: float
    np: float
    instructions: int


def executed(call: Callable[[], Any], within: tuple[str, ...] = ("",)) -> tuple[list[str], int]:
    """The functions that are entered in files whose names begin so, and how many instructions they run in all: in the
    second of two calls, since Python 3.12 and later have no events of a function the first time it is traced."""
    frames: list[str] = []
    count = 0

    def local(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return local

    def trace(frame: Any, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(within):
            return None
        frames.append(frame.f_code.co_name)
        frame.f_trace_opcodes = True
        return local

    before = sys.gettrace()
    gc.disable()  # others, Hypothesis among them, have functions called by the collector
    try:
        for _ in range(2):
            frames.clear()
            count = 0
            sys.settrace(trace)
            call()
            sys.settrace(None)
    finally:
        sys.settrace(before)
        gc.enable()
    return frames, count


def ops() -> dict[str, tuple[Any, Any]]:
    """NumPy functions with a derivative and what stands for them, by name."""
    tapenet.ops.everything()
    found = {}
    for space, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in sorted(module.__all__):
            function = getattr(module, name)
            op = numpy_functions.get(function) if callable(function) and not isinstance(function, type) else None
            if isinstance(op, (Op, Derived)) and op.differentiable and not (isinstance(op, Derived) and op.inplace):
                found[space + name] = function, op
    return found


def calls(function: Any, op: Any) -> dict[str, Callable[[], Any]]:
    """The first sample's call, by NumPy on arrays, by `tn.f` and by `np.f` on tensors."""
    call = next(iter(op.samples(np.random.default_rng(0))))
    given = tree_map(
        lambda v: Tensor._of(v).requires_grad_(v.dtype.kind in "fc") if isinstance(v, np.ndarray) else v, call.args
    )
    # Most of what makes arrays looks for tensors there alone.
    makes = isinstance(op, Derived) and op.makes and "like : array_like" in function.__doc__
    like = {"like": Tensor._of(np.zeros(()))} if makes else {}
    return {
        "bare": lambda: function(*call.args, **call.kwargs),
        "tn": lambda: op(*given, **call.kwargs),
        "np": lambda: function(*given, **call.kwargs, **like),
    }


def instructions(step: Callable[[], Any]) -> int:
    """How many instructions a call runs in tapenet's code, once shapes are known."""
    step()
    step()
    return executed(step, OWN)[1]


def measure(name: str, function: Any, op: Any) -> Cost:
    """The cost of the first sample's call."""
    steps = calls(function, op)
    count = instructions(steps["tn"])
    found = interleaved(steps, rounds=9, seconds=0.003)
    return Cost(name, found["bare"], found["tn"] - found["bare"], found["np"] - found["bare"], count)


def table(costs: list[Cost]) -> str:
    """The costs as a table, the cheapest first."""
    lines = ["| function | NumPy, µs | `tn.f`, µs more | `np.f`, µs more | instructions |", "|---|---|---|---|---|"]
    lines += [
        f"| `{c.name}` | {c.bare:.1f} | {c.tn:.1f} | {c.np:.1f} | {c.instructions} |"
        for c in sorted(costs, key=lambda c: c.tn)
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure, print, and write with `--write`."""
    chosen = [a for a in arguments if not a.startswith("-")]
    functions = {n: found for n, found in ops().items() if not chosen or n in chosen}
    if "--count" in arguments:
        print(json.dumps({n: instructions(calls(*found)["tn"]) for n, found in functions.items()}))
        return
    costs = [measure(n, *found) for n, found in functions.items()]
    print(table(costs))
    elementwise = [c for c in costs if isinstance(getattr(np, c.name, None), np.ufunc)]
    over = [c.name for c in elementwise if max(c.tn, c.np) > BOUND]
    print(f"{len(elementwise)} unary and binary ufuncs, of which above {BOUND} µs: {', '.join(over) or 'none'}")
    if "--write" in arguments:
        fill(PAGE, "overhead", table(costs))


if __name__ == "__main__":
    main(sys.argv[1:])
