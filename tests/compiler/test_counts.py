"""What a compiled step costs, in counts: calls of Python, memory, kernels. Time is for the benchmarks; counts do not
depend on the machine, and go up when something regresses."""

from __future__ import annotations

import itertools
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.compiler.compile import Compiled
from tapenet.program.fusion import Kernel

R = np.random.default_rng(0)


def dense(sizes: list[int], batch: int, make: Callable[[Any], optim.Optimizer]) -> tuple[Callable[..., Any], Any, Any]:
    """A training step of a tanh network, and its data."""
    layers: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    net = nn.Sequential(*layers)
    opt = make(net.parameters())

    def step(x: Any, y: Any) -> Any:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    x, y = (R.random((batch, n)).astype(np.float32) for n in (sizes[0], sizes[-1]))
    return step, x, y


def sgd(ps: Any) -> optim.Optimizer:
    return optim.SGD(ps, lr=0.01)


def adam(ps: Any) -> optim.Optimizer:
    return optim.Adam(ps, lr=0.01)


def calls(step: Compiled, *args: Any) -> int:
    """How many functions, of Python or C, one call runs."""
    count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    step(*args)
    sys.setprofile(profile)
    try:
        step(*args)
    finally:
        sys.setprofile(None)
    return count - 1  # setprofile's own


def peak_bytes(step: Compiled, *args: Any) -> int:
    """The most memory that a call has allocated at any time."""
    step(*args)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step(*args)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("make", "limit"), [(sgd, 30), (adam, 34)], ids=["SGD", "Adam"])
def test_a_native_step_calls_little_python_however_large_the_model(make: Any, limit: int) -> None:
    pytest.importorskip("llvmlite")
    counts = []
    for sizes in ([2, 3, 1], [8, 8, 8, 8, 8, 8]):
        step, x, y = dense(sizes, 4, make)
        compiled = tn.compile(step, backend="native")
        compiled(x, y)
        counts.append(calls(compiled, x, y))
    assert counts[0] == counts[1] <= limit


def test_a_numpy_step_calls_numpy_once_per_instruction() -> None:
    step, x, y = dense([2, 3, 1], 4, sgd)
    compiled = tn.compile(step, backend="numpy")
    compiled(x, y)
    instructions = len(compiled.variants[0].program.body)
    assert calls(compiled, x, y) <= instructions + 40


def test_a_step_allocates_its_results_alone() -> None:
    pytest.importorskip("llvmlite")
    step, x, y = dense([64, 128, 128, 8], 256, adam)  # a layer's output is 128 KB
    compiled = tn.compile(step, backend="native")
    compiled(x, y)
    assert peak_bytes(compiled, x, y) < 64_000


def entries(step: Callable[..., Any], *args: Any) -> list[str]:
    """The kernels (by what they contain) and other instructions of a compiled step."""
    compiled = tn.compile(step, backend="native")
    compiled(*args)
    module = compiled.variants[0].runner.module  # type: ignore[attr-defined]
    return ["+".join(sorted({m.name for m in e.members})) if isinstance(e, Kernel) else e.name for e in module.entries]


def test_kernels_of_a_dense_step() -> None:
    pytest.importorskip("llvmlite")
    found = entries(*dense([784, 100, 50, 10], 64, sgd))
    products = [e for e in found if e in ("dot", "dot_add")]
    assert len(products) == 8  # three forward, three by weights (two of them into the weight), two by inputs
    assert products.count("dot_add") == 2
    assert len(found) - len(products) <= 12


def test_kernels_of_adam() -> None:
    pytest.importorskip("llvmlite")
    found = entries(*dense([784, 100, 10], 64, adam))
    assert sum("sqrt" in e for e in found) == 4  # one kernel for each parameter


def test_softmax_and_normalisation_are_one_kernel_each() -> None:
    pytest.importorskip("llvmlite")
    x = R.normal(size=(64, 32)).astype(np.float32)
    w, b = np.ones(32, np.float32), np.zeros(32, np.float32)
    assert len(entries(lambda x: tn.softmax(x), x)) == 1
    assert len(entries(lambda x: tn.log_softmax(x), x)) == 1
    assert len(entries(lambda x, w, b: F.layer_norm(x, (32,), w, b), x, w, b)) == 1
