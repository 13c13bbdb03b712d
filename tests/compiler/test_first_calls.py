"""What makes first calls quick: kernels of gradients are compiled ahead, programs checked once."""

from __future__ import annotations

import gc
import inspect
import os
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.observe.capture import Capture
from tapenet.compiler import capture, lowering
from tapenet.llvm import rehearsal
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.toolchain import Library
from tapenet.ops import reading, variants
from tapenet.ops.formula import Fused
from tapenet.ops.op import Op
from tapenet.program import passes
from tapenet.program.ir import Program, Value, check
from tapenet.program.passes import Step


def test_gradients_kernels_are_begun_in_the_forward_call(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, bool]] = []
    whole = Kernel._begun

    def noted(self: Kernel, text: str) -> Callable[[], Library]:
        begun.append((self.name, rehearsal.state.on))
        return whole(self, text)

    monkeypatch.setattr(Kernel, "_begun", noted)
    net = nn.Conv2d(5, 7, 3, padding=1)
    x = np.random.default_rng(0).normal(size=(18, 5, 13, 11)).astype(np.float32)  # a shape that no other test has

    def step(x: np.ndarray) -> tn.Tensor:
        y = net(x)
        (y * y).sum().backward()
        grad: tn.Tensor = net.weight.grad
        return grad

    captured = tn.compile(step, keep_grads=True)(x).numpy()
    assert ("sums", False) in begun
    assert ("weight_sums", True) in begun
    assert len({name for name, _ in begun}) == len(begun)  # none is begun twice
    net.weight.grad = net.bias.grad = None
    assert np.array_equal(captured, step(x).numpy())


def test_a_capture_makes_no_kernels_that_its_program_does_not_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little work runs once by NumPy: where a step is captured, not where it runs in eager mode."""
    begun: list[str] = []
    made: list[str] = []
    whole, kernel = Kernel._begun, variants.kernel

    def begin(self: Kernel, text: str) -> Callable[[], Library]:
        begun.append(self.name)
        return whole(self, text)

    def make(fused: Fused, values: tuple[object, ...], options: dict[str, object]) -> Callable[..., object]:
        made.append(fused.op.name)
        return kernel(fused, values, options)

    monkeypatch.setattr(Kernel, "_begun", begin)
    monkeypatch.setattr(variants, "kernel", make)
    r = np.random.default_rng(0)
    x, w = r.normal(size=(517, 83)).astype(np.float32), r.normal(size=(83, 71)).astype(np.float32)  # of no other test

    def step(x: np.ndarray, w: np.ndarray) -> tn.Tensor:
        return F.layer_norm(F.linear(tn.asarray(x), tn.asarray(w).T), (71,))

    captured = tn.compile(step)(x, w).numpy()
    assert (made, begun) == ([], [])
    np.testing.assert_allclose(captured, step(x, w).numpy(), rtol=1e-4, atol=1e-5)
    assert made == ["layer_norm"]


def test_kernels_do_not_run_in_a_rehearsal() -> None:
    k = Kernel("ones", np.float32)
    out = k.array(4)
    for i in k.turns(4):
        out.store(k.number(1.0), i)
    run = k.compile()
    found = np.zeros(4, np.float32)
    with rehearsal.rehearsing():
        run(found)
    assert not found.any()
    run(found)
    assert found.all()


def test_a_call_is_captured_without_looking_for_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    on: list[bool] = []
    simplify, record = passes.simplify, capture._Recording.run

    def noted(program: Program, steps: list[Step]) -> Program:
        on.append(gc.isenabled())
        return simplify(program, steps)

    def recorded(self: capture._Recording, *args: Any) -> object:
        on.append(gc.isenabled())
        return record(self, *args)

    monkeypatch.setattr(passes, "simplify", noted)
    monkeypatch.setattr(capture._Recording, "run", recorded)
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            tn.compile(lambda x: np.sin(x) + 1)(np.ones(3))
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
    assert on == [False] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_looks_for_cycles_though_a_thread_compiled_when_it_was_forked() -> None:
    inside, done = threading.Event(), threading.Event()

    def compiling() -> None:
        with capture._uncollected():
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=compiling)
    thread.start()
    try:
        assert inside.wait(60)
        child = os.fork()
        if not child:
            os._exit(not gc.isenabled())
        assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_looks_for_cycles_that_a_function_forks_while_it_is_captured() -> None:
    def f(x: tn.Tensor) -> object:
        child = os.fork()
        if not child:
            os._exit(not gc.isenabled())
        assert os.waitpid(child, 0)[1] == 0
        return np.sin(x)

    tn.compile(f)(np.ones(3))
    assert gc.isenabled()


def test_calls_alike_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other shapes, options or arguments are not, and each comes from its own line."""
    found: list[str] = []

    def noted(op: Op, *given: Any, **options: Any) -> list[Value]:
        found.append(op.name)
        return reading.read(op, *given, **options)

    monkeypatch.setattr(lowering, "read", noted)

    def f(x: tn.Tensor, y: tn.Tensor) -> object:
        a = np.multiply(np.sin(x), np.sin(y))
        b = np.multiply(np.sin(a), np.sin(a))
        c = np.multiply(b, b)
        return a, b, c, np.sum(c, axis=0), np.sum(b, axis=0), np.sum(c, axis=1), np.sin(c[0]), np.sin(c[1]), c[0], c[-1]

    made = tn.compile(f, backend="numpy")
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4))
    made(x, y)
    assert found == ["sin", "multiply", "multiply", "sum", "sum", "getitem", "sin", "getitem", "getitem"]
    for one, other in zip(made(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-12)
    lines = [i.line for i in made.variants[0].captured.body if i.name == "multiply"]
    assert len(set(lines)) == 3


def test_a_program_is_checked_once_behind_all_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Program] = []

    def noted(program: Program) -> Program:
        checked.append(program)
        return check(program)

    monkeypatch.setattr(passes, "check", noted)
    steps: list[Step] = []
    made = tn.compile(lambda x: ((x + 0) * 1 + (x + 0)).sum(), backend="numpy")
    made(np.ones(3))
    captured = made.variants[0].captured
    checked.clear()
    found = passes.simplify(captured, steps)
    assert len(steps) > 1
    assert checked == [found]


def held(call: Callable[[], object]) -> float:
    """The most memory that a call holds, in arrays of a million bytes."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return (tracemalloc.get_traced_memory()[1] - before) / 1e6
    finally:
        tracemalloc.stop()


def test_the_captured_call_keeps_no_more_than_a_gradient_needs() -> None:
    x = np.linspace(0, 1, 125_000)

    def long(x: np.ndarray) -> np.ndarray:
        for _ in range(60):
            x = np.concatenate([np.sin(x)[:1000], x[1000:]]) + 0.5
        return x

    held(lambda: tn.compile(long)(x))  # what is made once
    assert held(lambda: tn.compile(long)(x)) < 8  # each of its ops gives an array
    slope = tn.grad(lambda x: long(x).sum())
    eager = held(lambda: slope(x))
    assert held(lambda: tn.compile(slope)(x)) < eager + 8


def test_the_captured_call_keeps_no_value_that_has_been_written() -> None:
    def stepping() -> object:
        params = [tn.tensor(np.ones(125_000), requires_grad=True) for _ in range(10)]
        opt = optim.SGD(params, lr=0.1, momentum=0.9)

        @tn.compile
        def step() -> None:
            for p in params:
                p.grad = tn.ones_like(p)
            opt.step()

        return step

    held(stepping())  # what is made once
    assert held(stepping()) < 40  # gradients, and what puts parameters and momentum back, are 30


@pytest.mark.parametrize("policy", [None, "products"])
def test_what_reads_the_recording_finds_the_values_there(policy: str | None) -> None:
    """Those made before that a checkpoint, or an equation, closes over, and those that a policy keeps."""

    def loss(x: tn.Tensor) -> tn.Tensor:
        h = tn.exp(x) * 2
        block = tn.checkpoint(lambda y: tn.tanh(tn.sin(y) @ tn.cos(h).T), policy=policy)
        half = tn.checkpoint(lambda y: (tn.grad(lambda z: (tn.sin(z * h) * z).sum())(y) ** 2).sum())
        return (block(tn.sin(h)) ** 2).sum() + half(tn.cos(h))

    x = np.linspace(-1, 1, 6).reshape(2, 3)
    for f in (loss, tn.grad(loss)):
        step = tn.compile(f)
        for _ in range(2):
            np.testing.assert_allclose(step(x), f(x), rtol=1e-9)


def test_a_reference_gets_tensors_among_the_options() -> None:
    """Second derivatives of attention, whose scale is computed in the step."""
    q = np.linspace(-1, 1, 12).reshape(1, 1, 4, 3)

    def loss(q: tn.Tensor, scale: tn.Tensor) -> tn.Tensor:
        return (F.scaled_dot_product_attention(tn.exp(q), tn.sin(q), tn.cos(q), scale=tn.exp(scale)) ** 2).sum()

    twice = tn.grad(lambda q, scale: (tn.grad(loss)(q, scale) ** 2).sum())
    expected = twice(q, np.array(0.3)).numpy()
    np.testing.assert_allclose(tn.compile(twice)(q, np.array(0.3)).numpy(), expected, rtol=1e-9)


def test_a_value_that_is_gone_is_not_computed_with() -> None:
    with Capture(compiles=True) as tape:
        tn.sin(tn.exp(tn.tensor([1.0])))
    gone = tape.nodes[1].call["x"].data
    for read in (np.sum, np.shape, np.asarray, lambda a: np.ones(1) + a, lambda a: a.dtype):
        with pytest.raises(RuntimeError, match="has let go"):
            read(gone)
    assert inspect.unwrap(gone) is gone  # as doctest does with every name of a module
