"""Memory and depth: a graph frees itself, costs little, and may be as deep as memory allows."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.node import Node


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def live_nodes() -> int:
    return sum(issubclass(type(o), Node) for o in gc.get_objects())


def net(seed: int = 0) -> list[tn.Tensor]:
    r = np.random.default_rng(seed)
    return [tn.tensor(r.normal(size=s), requires_grad=True) for s in ((3, 2), (3,), (1, 3), (1,))]


def loss_of(parameters: list[tn.Tensor], x: Any, y: Any) -> tn.Tensor:
    w1, b1, w2, b2 = parameters
    hidden = np.tanh(tn.linear(x, w1, b1))
    joined = tn.concatenate([hidden, -hidden], axis=1)[:, :3]  # sequences and views too
    return ((tn.linear(joined, w2, b2) - y) ** 2).mean()


def constant_memory(step: Callable[[], object], count: int) -> None:
    """Run `step` `count` times and compare live nodes and traced bytes near the beginning and at the end.

    A collection before each look at the bytes empties Python's stores of freed tuples and the like; that it finds
    nothing to free is part of the test.
    """

    def look() -> tuple[int, int]:
        nodes = live_nodes()
        assert gc.collect() == 0
        return nodes, tracemalloc.get_traced_memory()[0]

    for _ in range(count // 10):
        step()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(count // 10):
            step()
        nodes, bytes_before = look()
        for _ in range(count - count // 5):
            step()
        after, bytes_after = look()
    finally:
        tracemalloc.stop()
    assert after == nodes
    assert bytes_after - bytes_before < count  # less than a byte for each step: NumPy has small stores of its own


def test_forward_passes_without_backward_free_themselves(collector_off: None) -> None:
    parameters = net()
    x, y = np.ones((4, 2)), np.ones((4, 1))
    constant_memory(lambda: loss_of(parameters, x, y), 2_000)


@pytest.mark.slow
def test_training_steps_free_themselves(collector_off: None) -> None:
    parameters = net()
    r = np.random.default_rng(1)
    x, y = r.normal(size=(4, 2)), r.normal(size=(4, 1))

    def step() -> None:
        for p in parameters:
            p.grad = None
        loss_of(parameters, x, y).backward()
        with tn.no_grad():
            for p in parameters:
                p.data = p - 0.01 * p.grad

    first = loss_of(parameters, x, y).item()
    constant_memory(step, 2_000)
    assert loss_of(parameters, x, y).item() < 0.1 * first


@pytest.mark.parametrize(
    "step",
    [
        lambda w: tn.grad(lambda x: (np.tanh(x) * w).sum())(np.ones(3)),
        lambda w: tn.grad(tn.grad(lambda x: (x**3).sum()))(np.ones(1)),
        lambda w: tn.split(w, 3)[1] * 2,
        lambda w: (w * 2).retain_grad(),
        lambda w: (w * 2).register_hook(lambda g: g),
    ],
    ids=["grad", "grad of grad", "split", "retain_grad", "hook"],
)
def test_transformations_leave_nothing_behind(step: Any, collector_off: None) -> None:
    w = tn.tensor(np.ones(3), requires_grad=True)
    step(w)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        step(w)
    # Objects, not bytes: the interpreter's cache of attributes keeps some thousand names.
    assert len(gc.get_objects()) <= before + 2
    assert gc.collect() == 0


@pytest.mark.parametrize(
    "step",
    [
        lambda w: tn.hvp(lambda x: (x**3 * w).sum())(np.ones(3), np.ones(3)),
        lambda w: tn.vmap(lambda x: (x**3 * w).sum())(np.ones((2, 3))),
        lambda w: tn.jvp(lambda x: x**3 * w, (np.ones(3),), (np.ones(3),)),
    ],
    ids=["hvp", "vmap", "jvp"],
)
def test_programs_of_transformations_are_left_to_the_collector(step: Any, collector_off: None) -> None:
    """An instruction and its result know each other. No array hangs on them."""
    w = tn.tensor(np.ones(3), requires_grad=True)
    step(w)
    gc.collect()
    before, nodes = len(gc.get_objects()), live_nodes()
    for _ in range(100):
        step(w)
    assert live_nodes() == nodes
    gc.collect()
    assert len(gc.get_objects()) <= before + 2


def test_a_failed_backward_leaves_nothing_behind(collector_off: None) -> None:
    def rule(g: Any) -> Any:
        raise ValueError("no")

    fails = tn.op(lambda x: x * 1, name="fails", x=rule)
    w = tn.tensor(np.ones(3), requires_grad=True)

    def step() -> None:
        with contextlib.suppress(ValueError):
            np.exp(fails(w * 2)).sum().backward()

    step()
    before = live_nodes()
    for _ in range(100):
        step()
    assert live_nodes() == before
    assert gc.collect() == 0


@functools.cache
def overflows() -> Any:
    def forward(x: Any) -> Any:
        raise OverflowError("no")

    return tn.op(forward, name="overflows", x=lambda g: g)


def fail_when_captured(w: Any) -> None:
    @tn.compile(backend="numpy")
    def step(x: Any) -> Any:
        end, sums = tn.scan(lambda c, a: (c * a, c.sum()), x, np.ones((3, 3)))
        return end if sums.sum() else x

    step(np.ones(3))


def fail_in_a_tape(w: Any) -> None:
    with tn.Tape():
        _ = (w * 2)[9]


FAILURES: dict[str, Callable[[Any], object]] = {
    "ufunc": lambda w: w + np.ones(4),
    "raised as it is": lambda w: overflows()(w),
    "several outputs": lambda w: np.linalg.svd(np.full((3, 3), np.nan) * w),
    "sequence": lambda w: np.concatenate([w, w.reshape(1, 3)]),
    "index": lambda w: w[7],
    "option": lambda w: np.sum(w, axis=5),
    "on a tape": fail_in_a_tape,
    "autocast": lambda w: tn.autocast("float16")(lambda: w @ np.ones(4))(),
    "second backward": lambda w: [loss.backward() for loss in [(w * w).sum()] * 2],
    "capture": fail_when_captured,
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_held_by_nothing(name: str, collector_off: None) -> None:
    """Once the exception is gone, so is what it failed on: its traceback is in no cycle."""
    fails = FAILURES[name]

    def step() -> weakref.ref[Any]:
        w = tn.tensor(np.ones(3), requires_grad=True)
        try:
            fails(w)
        except (ArithmeticError, LookupError, RuntimeError, ValueError):
            return weakref.ref(w.node)
        raise AssertionError("it did not fail")

    step()
    gc.collect()
    assert step()() is None
    assert gc.collect() == 0


def test_a_hook_that_refers_to_its_tensor_does_not_keep_it() -> None:
    def hooked() -> weakref.ref[Any]:
        y = tn.tensor(np.ones(3), requires_grad=True) * 2
        y.register_hook(lambda g: g + y.detach())
        return weakref.ref(y.node)

    node = hooked()
    gc.collect()
    assert node() is None


@pytest.mark.parametrize("raises", [False, True])
def test_a_closed_tape_frees_itself(raises: bool, collector_off: None) -> None:
    w = tn.tensor(np.ones(3), requires_grad=True)

    def record() -> weakref.ref[Any]:
        with contextlib.suppress(KeyError), tn.Tape() as tape:
            tn.tensor(0.0).data = (w * 2).sum()
            (w * w).sum().backward()
            if raises:
                raise KeyError
        assert len(tape) == 4
        return weakref.ref(tape)

    assert record()() is None
    assert gc.collect() == 0


def test_backward_releases_what_the_nodes_saved(collector_off: None) -> None:
    x = tn.tensor(np.ones(100_000), requires_grad=True)
    tracemalloc.start()
    try:
        y = x
        for _ in range(20):
            y = np.sin(y)
        loss = y.sum()
        del y
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        loss.backward()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held > 19 * 800_000
    assert left < 1.1 * 800_000 + 50_000  # the gradient alone
    assert peak < held + 4 * 800_000  # saved arrays go as it goes
    assert len([n for n in tn.tape() if n.name == "sin"]) == 20  # the structure stays


# -- depth -------------------------------------------------------------------------------------------------------

CHAINS: dict[str, Callable[[tn.Tensor], tn.Tensor]] = {
    "unary": np.sin,
    "two parents": lambda y: y * y,
    "sequence": lambda y: tn.concatenate([y, y])[:1],
}


def chain(f: Callable[[tn.Tensor], tn.Tensor], count: int) -> tuple[tn.Tensor, tn.Tensor]:
    x = tn.tensor([0.5], requires_grad=True)
    y = x
    for _ in range(count):
        y = f(y)
    return x, y


@pytest.mark.parametrize("f", CHAINS.values(), ids=CHAINS)
def test_depth_needs_no_recursion(f: Any) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        x, y = chain(f, 20_000)
        y.backward(np.ones(1))
        assert x.grad is not None
        with pytest.raises(RuntimeError, match="second time"):
            y.backward(np.ones(1))
        del y
    finally:
        sys.setrecursionlimit(limit)


def test_a_deep_chain_of_ops_with_several_outputs() -> None:
    pair = tn.op(lambda x: (x, x), name="pair", outputs=2, x=lambda g: g[0] + g[1])
    x, y = chain(lambda y: pair(y)[0], 20_000)
    y.backward(np.ones(1))
    assert x.grad.item() == 1.0
    del y


def test_deep_chains_under_create_graph_and_in_grad() -> None:
    x, y = chain(lambda y: y * 1.0, 5_000)
    (y * y).sum().backward(create_graph=True)
    gradient = x.grad
    x.grad = None
    gradient.backward(np.ones(1))
    assert x.grad.item() == 2.0

    def f(x: tn.Tensor) -> tn.Tensor:
        for _ in range(20_000):
            x = x * 1.0
        return x * x

    assert tn.grad(f)(3.0).item() == 6.0


def test_bytes_per_node() -> None:
    count = 20_000
    chain(np.sin, 10)[1].backward(np.ones(1))
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        x, y = chain(np.sin, count)
        y.backward(np.ones(1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak - before) / count <= 500
    assert x.grad is not None


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("unary", 1_000_000), ("two parents", 300_000), ("sequence", 200_000)])
def test_a_million_nodes(kind: str, count: int) -> None:
    x, y = chain(CHAINS[kind], count)
    y.backward(np.ones(1))
    assert np.isfinite(x.grad.data).all()
    del y


def _lines(count: int) -> int:
    """How many lines of Python a chain of so many nodes takes, forward, backward and release."""
    x = tn.tensor([0.5], requires_grad=True)
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        _chain_there_and_back(x, count)
    finally:
        sys.settrace(before)
    return lines


def _chain_there_and_back(x: tn.Tensor, count: int) -> None:
    y = x
    for _ in range(count):
        y = tn.sin(y)
    y.backward(np.ones(1))


@pytest.mark.usefixtures("no_garbage")  # whose finalizers would be counted
def test_work_per_node_is_the_same_in_a_long_chain_as_in_a_short_one() -> None:
    """By lines that run, which are the same on any machine; `tests.benchmarks.chain` has the time, up to a million nodes."""
    _lines(10)  # what only the first chain does
    short, middle, long = (_lines(count) for count in (500, 1000, 10_000))
    assert (long - middle) / 9000 <= 1.01 * (middle - short) / 500


# -- many reads of a large array ---------------------------------------------------------------------------------


def test_reads_of_a_large_array_cost_by_what_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    size, reads = 1_000_000, 10_000
    x = tn.tensor(np.zeros(size), requires_grad=True)
    made = []
    zeros = np.zeros

    def counting(shape: Any, *args: Any) -> Any:
        if np.prod(shape) >= size:
            made.append(shape)
        return zeros(shape, *args)

    monkeypatch.setattr(np, "zeros", counting)
    total = x[0]
    for i in range(1, reads):
        total = total + x[i % 5000]
    tracemalloc.start()
    try:
        total.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made == [(size,)]
    assert peak < 2 * x.nbytes
    expected = zeros(size)
    expected[:5000] = 2.0
    np.testing.assert_array_equal(x.grad.data, expected)


def test_a_dense_gradient_and_many_sparse_ones_share_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    x = tn.tensor(np.arange(6.0), requires_grad=True)
    made = []
    zeros = np.zeros
    monkeypatch.setattr(np, "zeros", lambda *a: made.append(a) or zeros(*a))
    parts = [x[i : i + 2].sum() for i in range(4)]
    dense = (x * x).sum()
    parts += [x[np.array([0, 0, 5])].sum(), (3 * x).sum(), x[1]]
    total = dense
    for part in parts:
        total = total + part
    total.backward()
    assert len(made) == 1
    np.testing.assert_array_equal(
        x.grad.data, 2 * np.arange(6.0) + [1, 2, 2, 2, 1, 0] + [2, 1, 0, 0, 0, 1] + np.full(6, 3.0)
    )
