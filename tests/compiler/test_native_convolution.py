"""Convolutions of medium size in compiled loops: a product with their windows as columns, without Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet.ops.layers.convolution import lowered
from tapenet.program.native import launches
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
#: Shapes of input, kernels and bias, and options: all of more columns than are added tap by tap.
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], bool, dict[str, Any]]] = {
    "plain": ((2, 8, 6, 5), (4, 8, 3, 3), True, {"padding": 1}),
    "one image": ((8, 6, 5), (4, 8, 3, 3), True, {}),
    "strided": ((3, 8, 7, 6), (4, 8, 3, 3), False, {"stride": 2, "padding": 1}),
    "uneven": ((2, 12, 7, 6), (3, 12, 3, 2), True, {"stride": (1, 2), "padding": ((2, 0), (1, 3)), "dilation": (2, 1)}),
    "groups": ((2, 16, 5, 5), (6, 8, 3, 3), True, {"groups": 2, "padding": 1, "stride": 2}),
    "a point": ((2, 40, 3, 3), (4, 40, 1, 1), True, {}),
    "sequences": ((2, 12, 9), (4, 12, 5), True, {"padding": 2}),
    "volumes": ((1, 3, 4, 4, 4), (2, 3, 3, 3, 3), True, {"padding": 1, "stride": 2}),
}


def close(found: Any, right: Any, rtol: float, atol: float = 0.0) -> None:
    np.testing.assert_allclose(*(np.asarray(getattr(v, "data", v)) for v in (found, right)), rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", CASES)
@backends
def test_values_and_gradients(compiled: Compile, name: str) -> None:
    """By each argument, to second order."""
    shape, kernel, biased, options = CASES[name]
    conv = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[len(kernel)]
    args = [RNG.normal(size=s) for s in (shape, kernel, *[kernel[:1]] * biased)]
    assert np.prod(kernel[1:]) > lowered.TAPS

    def f(*args: Any) -> Any:
        def turn(total: Any, i: Any) -> Any:
            return total + (conv(args[0] * (i + 1), *args[1:], **options) ** 2).sum(), None

        return tn.scan(turn, np.float64(0), np.arange(2))[0]

    def second(*args: Any) -> Any:
        return tn.grad(lambda w: (tn.grad(f)(args[0], w, *args[2:]) ** 2).sum())(args[1])

    every = tn.grad(f, argnums=tuple(range(len(args))))
    value, gradients, again = compiled(f), compiled(every), compiled(second)
    for _ in range(2):
        close(value(*args), f(*args), rtol=1e-12)
        for found, right in zip(gradients(*args), every(*args), strict=True):
            close(found, right, rtol=1e-10, atol=1e-10)
        close(again(*args), second(*args), rtol=1e-9, atol=1e-8)
    assert not any(map(calls_python, (value, gradients, again)))


@backends
def test_in_loops(compiled: Compile) -> None:
    """A cell of convolutions, and its training."""
    w = tn.tensor(0.1 * RNG.normal(size=(8, 8, 3, 3)), requires_grad=True)
    opt = tn.optim.SGD([w], lr=0.01)

    def train(x: Any) -> Any:
        opt.zero_grad()
        end, _ = tn.scan(lambda c, _: (np.tanh(F.conv2d(c, w, padding=1)), None), x, np.arange(3))
        loss = (end**2).mean()
        loss.backward()
        opt.step()
        return loss

    x, start = RNG.normal(size=(2, 8, 5, 5)), np.array(w.data)
    rights = [np.array(train(x).data) for _ in range(3)]
    ends = np.array(w.data)
    w.data[...] = start
    step = compiled(train)
    for right in rights:
        close(step(x).data, right, rtol=1e-11)
    close(w.data, ends, rtol=1e-10)
    assert not calls_python(step)


def test_large_ones_and_those_outside_of_loops_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their kernels, without Python where all that they do is to run these."""
    pytest.importorskip("llvmlite")
    x, w = (RNG.normal(size=s).astype(np.float32) for s in ((16, 16, 16, 16), (16, 16, 3, 3)))
    assert x.size * w.size // 16 > lowered.COLUMNS

    def loop(x: Any) -> Any:
        return tn.scan(lambda c, _: (np.tanh(F.conv2d(c, w, padding=1)), None), x, np.arange(2))[0]

    def step(x: Any) -> Any:
        return F.conv2d(x, w, padding=1)

    for f, image in ((loop, x), (step, x[:1])):
        fast = tn.compile(f, backend="native")
        for _ in range(2):
            close(fast(image), f(image), rtol=1e-4, atol=1e-4)
        assert not calls_python(fast)
    monkeypatch.setattr(launches, "record", lambda *args: None)
    fast = tn.compile(step, backend="native")
    for _ in range(2):
        close(fast(x), step(x), rtol=1e-4, atol=1e-4)
    assert calls_python(fast)
