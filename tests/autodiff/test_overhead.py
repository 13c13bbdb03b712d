"""What recording an op costs, counted: frames that Python enters and instructions that it runs.

A time would depend on the machine; these do not. The bounds are those of the code as it is, with a little room for
another Python's instructions.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tests.benchmarks import overhead
from tests.benchmarks.overhead import executed

UFUNCS = {
    op.name: op
    for _, op in sorted(registry.items())
    if isinstance(op, Op) and op.__module__.startswith("tapenet.ops.") and op.differentiable
    and op.outputs == 1 and any(isinstance(f, np.ufunc) and f.nin <= 2 and f.signature is None for f in op.numpy)
}  # fmt: skip


def arguments(op: Any) -> list[tn.Tensor]:
    """The first of its samples that holds nothing but arrays of floats."""
    for call in op.samples(np.random.default_rng(0)):
        if all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in call.args) and not call.kwargs:
            return [tn.tensor(a, requires_grad=True) for a in call.args]
    return []


@pytest.mark.parametrize("name", UFUNCS)
def test_recording_an_elementwise_op(name: str) -> None:
    op = UFUNCS[name]
    given = arguments(op)
    if not given:
        assert name == "ldexp"  # whose exponents are integers
        return
    forward = op.forward
    bare = 0 if isinstance(forward, np.ufunc) else executed(lambda: forward(*(t.data for t in given)))[1]
    op(*given)  # shapes are known from here on
    (_, *frames), count = executed(lambda: op(*given))
    own = [f for f in frames if f == op.name or f == "__call__"]
    assert len(own) == 1
    assert len(frames) == 1 or not isinstance(forward, np.ufunc), frames
    assert count - bare <= (110 if len(given) == 1 else 155)


@pytest.mark.parametrize("name", ["sin", "multiply", "logaddexp"])
def test_numpys_own_name_adds_one_function(name: str) -> None:
    f, op = getattr(np, name), UFUNCS[name]
    given = arguments(op)
    f(*given)
    (_, *frames), count = executed(lambda: f(*given))
    assert len(frames) == 2
    assert "__array_ufunc__" in frames
    assert count - executed(lambda: op(*given))[1] <= 45


def test_what_is_counted_is_noticed() -> None:
    _, count = executed(lambda: [abs(i) for i in range(20)] and "a".join(["b"]).replace("c", "d"))
    assert count > 100
    assert executed(lambda: len(()))[1] < 10
    assert executed(lambda: arguments(UFUNCS["sin"]))[0][1] == "arguments"


# -- every function of NumPy -------------------------------------------------------------------------------------

TABLE = {
    name: int(count)
    for name, count in re.findall(
        r"^\| `([\w.]+)` \|(?: -?[\d.]+ \|){3} (\d+) \|$", overhead.PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
}


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    """In a process of its own: once low types are met, functions that are composed of ops do more."""
    command = [sys.executable, "-m", "tests.benchmarks.overhead", "--count"]
    done = subprocess.run(command, cwd=overhead.PAGE.parents[1], capture_output=True, encoding="utf-8", check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", overhead.ops())
def test_no_function_costs_more_than_the_documentation_says(name: str, counts: dict[str, int]) -> None:
    """After a change that is meant: python -m tests.benchmarks.overhead --write."""
    # Pythons differ in what they make one instruction of.
    assert 0 < counts[name] <= 1.3 * TABLE[name] + 10
