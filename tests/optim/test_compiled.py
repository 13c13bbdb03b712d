"""Every update rule compiled does what it does eagerly, step after step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.llvm import toolchain
from tests.optim.test_capture import MAKERS, assert_same, parameters, train

R = np.random.default_rng(0)
DATA = [(R.normal(size=(6, 3)), R.normal(size=(6, 2))) for _ in range(22)]


native = pytest.param("native", marks=pytest.mark.skipif(not toolchain.available(), reason="needs llvmlite"))


@pytest.mark.parametrize("backend", [native, "numpy"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_compiled_steps_go_as_eager_ones(make: Callable[[Any], optim.Optimizer], backend: str) -> None:
    eager, compiled = parameters(), parameters()
    opts = make(eager), make(compiled)
    step = tn.compile(lambda x, y: train(compiled, [opts[1]], x, y), backend=backend)
    for x, y in DATA:
        expected = train(eager, [opts[0]], x, y)
        assert step(x, y).item() == pytest.approx(expected.item(), rel=1e-9)
    assert_same([opts[1]], [opts[0]], compiled, eager, rtol=1e-8)
    # The biases, which Muon does not take, have a gradient of the step before from the second step on.
    assert len(step.variants) == (2 if isinstance(opts[0], optim.Muon) else 1)


def test_an_array_that_a_rule_of_the_users_reads_is_read_at_each_call() -> None:
    scale, runs = np.ones(2), []

    class Scaled(optim.Optimizer):
        @staticmethod
        def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
            runs.append(p)
            return p - s["lr"] * (g * scale), {}

    w = tn.tensor([1.0, 2.0], requires_grad=True)
    opt = Scaled([w], lr=1.0)

    @tn.compile
    def step() -> Any:
        opt.zero_grad()
        w.sum().backward()
        opt.step()
        return w * 1

    before = len(runs)
    np.testing.assert_array_equal(step(), [0.0, 1.0])
    assert len(runs) == before + 1  # it may do more than to compute
    scale *= 10
    np.testing.assert_array_equal(step(), [-10.0, -9.0])


@pytest.mark.parametrize(
    "options",
    [
        {"ns_steps": 2},
        {"nesterov": False},
        {"eps": 3.0},
        {"adjust_lr_fn": "match_rms_adamw"},
        {"ns_coefficients": (2, -1.5, 0.5)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_groups_of_equal_shapes_are_updated_by_their_own_constants(options: dict[str, Any]) -> None:
    """What was read of an update stands for those with the same constants alone."""

    def trained(how: Callable[[Any], Any]) -> list[Any]:
        w, v = (tn.tensor(np.arange(6.0).reshape(2, 3) % 4, requires_grad=True) for _ in range(2))
        opt = optim.Muon([{"params": [w]}, {"params": [v], **options}], lr=0.1)

        @how
        def step(x: Any) -> Any:
            opt.zero_grad()
            ((w - x) ** 2 + (v - x) ** 2).sum().backward()
            opt.step()

        for x, _ in DATA[:3]:
            step(x[:2])
        return [w.numpy(), v.numpy()]

    eager, compiled = trained(lambda f: f), trained(tn.compile)
    assert np.abs(eager[0] - eager[1]).max() > 1e-3
    for found, expected in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
