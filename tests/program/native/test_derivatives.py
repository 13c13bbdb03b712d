"""Derivatives of programs on the native backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Program
from tests.program.differentiated import free, like, pulled, pushed
from tests.program.native.generate import Loops, Rows

pytest.importorskip("llvmlite")

from tests.program.native.running import assert_native


def derivatives(program: Program) -> list[Program]:
    """Both first derivatives of a program, and a second one."""
    back = pulled(program)
    return [pushed(program), back, pushed(back)]


@pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 6))])
@pytest.mark.parametrize("kind", [Rows, Loops])
def test_random_programs(seed: int, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    program = free(kind(rng).program(8))
    for made in derivatives(program):
        arrays = like(made.inputs, rng)
        assert_native(made, *arrays, rtol=1e-9, times=1)
