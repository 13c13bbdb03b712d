"""Thirty programs of the literature, as they are: plain, differentiated, compiled, and with their gradients put to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.benchmarks.lifting.cases import (
    along_gradient,
    case,
    copies,
    differentiable,
    loss,
    npbench_names,
    results,
    slopes,
)  # fmt: skip
from tests.benchmarks.lifting.measure import CHECKS, near
from tests.benchmarks.lifting.measure import check as checked
from tests.checkouts import checkout
from tests.lifting.programs import NAMES, load


def lifted_gradient(f: Callable[..., Any]) -> Callable[[Any], tuple[float, np.ndarray]]:
    """The value and the gradient of a program, as NumPy has them."""
    run = tn.value_and_grad(tn.lift(f))

    def both(x: Any) -> tuple[float, np.ndarray]:
        value, gradient = run(x)
        return value.item(), gradient.numpy()

    return both


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_what_is_known(name: str) -> None:
    load(name).check()


@pytest.mark.parametrize("name", NAMES)
def test_a_program_runs_and_is_differentiated(name: str) -> None:
    program = case(name, large=False)
    lifted = tn.lift(program.function)
    given = program.arguments()
    near(results(program, given, lifted(*given)), results(program, given, program.function(*given)))
    floats = differentiable(program)
    along, slope, error = slopes(program, floats)
    value, gradients = tn.value_and_grad(loss(program, lifted), program.by)(*copies(floats))
    np.testing.assert_allclose(value.item(), loss(program, program.function)(*floats), rtol=1e-12)
    np.testing.assert_allclose(along_gradient(gradients, along), slope, atol=error + 1e-6 * abs(slope))


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_is_of_use(name: str) -> None:
    load(name).use(lifted_gradient)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("name", NAMES)
def test_a_program_is_compiled_with_its_gradient(name: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    program = case(name, large=False)
    compiled = tn.compile(program.function, lift=True, backend=backend)
    given = program.arguments()
    expected = results(program, given, program.function(*given))
    for _ in range(2):
        near(results(program, given, compiled(*given)), expected)
    assert len(compiled.variants) == 1
    floats = differentiable(program)
    along, slope, error = slopes(program, floats)
    gradient = tn.compile(tn.value_and_grad(loss(program, tn.lift(program.function)), program.by), backend=backend)
    for _ in range(2):
        _, gradients = gradient(*floats)
        np.testing.assert_allclose(along_gradient(gradients, along), slope, atol=error + 1e-6 * abs(slope))


@pytest.mark.slow
def test_nine_in_ten_of_npbench_run_differentiate_and_compile() -> None:
    checkout("TAPENET_NPBENCH", "NPBench")
    pytest.importorskip("llvmlite")
    found = [checked(f"npbench:{name}") for name in npbench_names()]
    for what in CHECKS:
        failed = [f["name"] for f in found if f.get(what) is False]
        assert len(failed) <= 0.1 * sum(what in f for f in found), f"{what}: not {', '.join(failed)}"
