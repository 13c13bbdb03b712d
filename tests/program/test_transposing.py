"""The transpose of a linear program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Program
from tapenet.program.passes import simplify
from tapenet.program.pullback import NoDerivative, pullback
from tapenet.program.transposing import transposed
from tests.program.differentiated import floats, free, like, pushed
from tests.program.native.generate import Loops, Rows
from tests.program.passes.programs import Build

FLOAT = np.dtype(np.float64)


def test_what_pulls_becomes_what_pushes() -> None:
    b = Build()
    x, w = b.input(2, 3, dtype=FLOAT), b.input(3, 3, dtype=FLOAT)
    program = b.program(b.emit("tanh", b.emit("dot", x, w)))
    pull = pullback(program, [0, 1])
    made = transposed(pull, [2])
    assert made.inputs[:2] == program.inputs
    rng = np.random.default_rng(0)
    given = like(made.inputs, rng)
    np.testing.assert_allclose(made.evaluate(given)[0], pushed(program).evaluate(given)[1])
    assert not {"tanh"} - {i.name for i in made.body}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [Rows, Loops])
def test_of_random_programs(seed: int, kind: Any) -> None:
    """The transpose of the pullback is the pushforward, and that of the pushforward's tangents the pullback."""
    rng = np.random.default_rng(seed)
    program = free(kind(rng).program(8))
    count, wanted = len(program.inputs), floats(program)
    values = [rng.normal(size=v.shape).astype(v.dtype) for v in program.inputs]
    pull = pullback(program, wanted)
    push = transposed(pull, range(count, len(pull.inputs)))
    v = like([program.inputs[i] for i in wanted], rng)
    forward = pushed(program)
    tangents = Program(forward.inputs, [], forward.body, forward.outputs[len(program.outputs) :], [])
    for a, b in zip(push.evaluate([*values, *v]), tangents.evaluate([*values, *v]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    back = transposed(tangents, range(count, len(forward.inputs)))
    u = like(program.outputs, rng)
    for a, b in zip(back.evaluate([*values, *u]), simplify(pull).evaluate([*values, *u]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_what_is_not_linear_is_refused() -> None:
    b = Build()
    x = b.input(2, dtype=FLOAT)
    with pytest.raises(NoDerivative, match="is not linear"):
        transposed(b.program(b.emit("square", x)), [0])
