"""What recording costs: each NumPy function on small tensors beside the same call on arrays, as a table.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.overhead [--write] [NAME ...]

For the first sample of each op that has a derivative: µs of NumPy's own call, and µs more for `tn.f` and for `np.f` on
tensors that need a gradient, forward with recording. `--write` puts the table into docs/numpy.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tapenet.ops
from tapenet.autodiff.functions import tree_map
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import numpy_functions
from tests.benchmarks.harness import fill, interleaved

PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
#: µs that recording a call of one or two small arrays may cost.
BOUND = 2.0


class Cost(NamedTuple):
    """One line of the table: µs of NumPy's call, and µs more of the two ways to call it on tensors."""

    name: str
    inputs: int
    bare: float
    tn: float
    np: float


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


def measure(name: str, function: Any, op: Any) -> Cost:
    """The cost of the first sample's call."""
    call = next(iter(op.samples(np.random.default_rng(0))))
    given = tree_map(
        lambda v: Tensor._of(v).requires_grad_(v.dtype.kind in "fc") if isinstance(v, np.ndarray) else v, call.args
    )
    steps = {
        "bare": lambda: function(*call.args, **call.kwargs),
        "tn": lambda: op(*given, **call.kwargs),
        "np": lambda: function(*given, **call.kwargs),
    }
    found = interleaved(steps, rounds=9, seconds=0.003)
    inputs = sum(isinstance(t, Tensor) for t in given)
    return Cost(name, inputs, found["bare"], found["tn"] - found["bare"], found["np"] - found["bare"])


def table(costs: list[Cost]) -> str:
    """The costs as a table, the cheapest first."""
    lines = ["| function | NumPy, µs | `tn.f`, µs more | `np.f`, µs more |", "|---|---|---|---|"]
    lines += [f"| `{c.name}` | {c.bare:.1f} | {c.tn:.1f} | {c.np:.1f} |" for c in sorted(costs, key=lambda c: c.tn)]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure, print, and write with `--write`."""
    chosen = [a for a in arguments if not a.startswith("-")]
    costs = [measure(n, *found) for n, found in ops().items() if not chosen or n in chosen]
    print(table(costs))
    elementwise = [c for c in costs if isinstance(getattr(np, c.name, None), np.ufunc)]
    over = [c.name for c in elementwise if max(c.tn, c.np) > BOUND]
    print(f"{len(elementwise)} unary and binary ufuncs, of which above {BOUND} µs: {', '.join(over) or 'none'}")
    if "--write" in arguments:
        fill(PAGE, "overhead", table(costs))


if __name__ == "__main__":
    main(sys.argv[1:])
