"""What a profile sees, and what it leaves as it was."""

from __future__ import annotations

import doctest
import gc
import importlib
import itertools
import linecache
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.observe.profile import Timing
from tapenet.autodiff.state import local
from tapenet.profiling.profile import Profile


@pytest.fixture(autouse=True)
def _switches_are_left_as_they_were() -> Any:
    state = local.state
    before = (state.grad, state.debug, state.fast, state.layers, state.profile, state.tape, state.scope)
    yield
    assert (state.grad, state.debug, state.fast, state.layers, state.profile, state.tape, state.scope) == before


class Net(nn.Module):
    def __init__(self) -> None:
        self.first = nn.Linear(3, 4)
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.5))

    def forward(self, x: Any) -> Any:
        return self.layers(F.relu(self.first(x)))


class Training:
    """A step of training, the same for all that are made."""

    def __init__(self) -> None:
        tn.random.seed(3)
        self.net = Net()
        self.opt = optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.x = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)
        self.y = np.array([0, 1, 2, 3, 0])

    def __call__(self) -> Any:
        loss = F.cross_entropy(self.net(self.x), self.y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss


def names(records: Any) -> list[str]:
    return [r.op for r in records]


STEP = ["linear", "relu", "linear", "tanh", "dropout", "cross_entropy"]


def test_the_example_in_the_documentation_runs() -> None:
    assert doctest.testmod(importlib.import_module("tapenet.profiling.profile")) == (0, 6)


# -- what it sees ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [False, True])
def test_a_step_is_the_same_with_a_profile(values: bool) -> None:
    plain = Training()
    expected = [plain().numpy() for _ in range(3)]
    training, prof = Training(), tn.profile(values=values)
    found = []
    for _ in range(3):
        with prof:
            found.append(training().numpy())
    np.testing.assert_array_equal(found, expected)
    for p, q in zip(training.net.parameters(), plain.net.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        np.testing.assert_array_equal(p.grad.data, q.grad.data)


@pytest.mark.parametrize("around", ["nothing", "tape", "tape outside", "debug", "values"])
def test_records_are_the_nodes_of_the_graph(around: str) -> None:
    training = Training()
    prof = tn.profile(values=around == "values")
    tape, debug = tn.Tape(), tn.debug()
    if around == "nothing" or around == "values":
        with prof:
            loss = training()
    elif around == "tape":
        with prof, tape:
            loss = training()
    elif around == "tape outside":
        with tape, prof:
            loss = training()
    else:
        with debug, prof:
            loss = training()
    nodes, at = [], [loss.node]
    while at:
        node = at.pop()
        nodes.append(node)
        at += [p for p in node.parents if p.name != "leaf"]
    (step,) = prof.steps
    assert names(step.records) == STEP
    by_number = {r.number: r for r in step.records}
    assert set(by_number) == {n.number for n in nodes}
    for node in nodes:
        r = by_number[node.number]
        assert (r.op, r.path, r.shape, r.dtype) == (node.name, node.path, node.shape, node.dtype)
        assert r.root == ("" if r.op == "cross_entropy" else "Net")
        assert r.forward > 0
        assert r.backward > 0
    assert [r.path for r in step.records] == ["first", "", "layers.0", "layers.1", "layers.2", ""]


def test_time_is_that_of_the_op() -> None:
    @tn.op(x=lambda g: (time.sleep(0.004), g)[1])
    def slow(x: Any) -> Any:
        time.sleep(0.008)
        return x + 0

    x = tn.tensor([1.0], requires_grad=True)
    with tn.profile() as prof:
        time.sleep(0.002)
        (slow(x) * 2).backward()
    step = prof.steps[0]
    record = prof.nodes()[0]
    assert record.op == "slow"
    assert record.forward >= 0.008
    assert record.backward >= 0.004
    assert record.seconds == record.forward + record.backward
    assert step.other >= 0.002
    assert step.total == pytest.approx(step.forward + step.backward + step.other)
    other = next(r for r in step.records if r.op == "multiply")
    assert other.forward < record.forward
    assert other.backward < record.backward


def test_a_step_is_more_than_its_parts() -> None:
    training, prof = Training(), tn.profile()
    for _ in range(5):
        with prof:
            training()
    assert len(prof.steps) == 5
    for step in prof.steps:
        assert set(step.spans) == {"SGD.step"}
        assert step.spans["SGD.step"] > 0
        parts = step.forward + step.backward + step.spans["SGD.step"]
        assert 0 < parts < step.total
        assert step.other == pytest.approx(step.total - parts)


def test_generated_calls_and_the_driver_tell_a_profile_that_is_the_only_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Around each call and each pull it takes three times as long."""
    monkeypatch.delattr(Timing, "call")
    monkeypatch.delattr(Timing, "pull")
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    with tn.profile() as prof:
        (np.tanh(x) * 2).sum().backward()
    assert [r.op for r in prof.steps[0].records] == ["tanh", "multiply", "sum"]
    assert all(r.forward > 0 and r.backward > 0 for r in prof.steps[0].records)


def test_what_needs_no_gradient_is_seen_too() -> None:
    net = Net()
    with tn.profile() as prof, tn.no_grad():
        net(np.zeros((2, 3), np.float32))
    records = prof.steps[0].records
    assert names(records) == STEP[:-1]
    assert [(r.number, r.backward, r.saved) for r in records] == [(None, 0.0, 0)] * 5
    assert [r.path for r in records][:2] == ["first", ""]
    assert records[0].multiply_adds == 2 * 3 * 4
    assert records[0].backward_multiply_adds == 0


def test_what_is_no_tensor_is_not_seen() -> None:
    with tn.profile() as prof:
        tn.exp(np.ones(3))
        tn.concatenate([np.ones(2), np.ones(2)])
    assert prof.steps[0].records == []


def test_functions_of_functions_are_seen() -> None:
    with tn.profile() as prof:
        tn.grad(lambda x: (x * x).sum())(np.ones(3))
    assert names(prof.steps[0].records) == ["multiply", "sum"]
    assert all(r.backward > 0 for r in prof.steps[0].records)


def test_second_derivatives_count_each_moment_once() -> None:
    """Rules are ops then, which run inside the time of their node."""
    f = tn.grad(tn.grad(lambda x: np.tanh(x) ** 3))
    for _ in range(3):
        with tn.profile() as prof:
            f(0.5)
        step = prof.steps[0]
        assert len(step.records) > 6
        assert all(r.forward >= 0 and r.backward >= 0 for r in step.records)
        assert step.forward + step.backward <= step.total


def test_hooks_and_stopped_passes_are_seen() -> None:
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    with tn.profile() as prof:
        y = x * x
        y.register_hook(lambda g: g * 2)
        y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [4, 8])
    assert [r.backward > 0 for r in prof.steps[0].records if r.number is not None] == [True, True]


# -- graphs from before ------------------------------------------------------------------------------------------


def test_a_graph_from_before_the_block_has_rows_of_its_rules() -> None:
    training = Training()
    loss = F.cross_entropy(training.net(training.x), training.y)
    with tn.profile() as prof:
        loss.backward()
    records = prof.steps[0].records
    assert sorted(names(records)) == sorted(STEP)
    assert all(r.forward == 0 and r.backward > 0 for r in records)
    assert next(r for r in records if r.path == "layers.0").multiply_adds == 5 * 4 * 4
    assert next(r for r in records if r.path == "layers.0").root == "Net"


def test_a_graph_kept_for_another_pass_has_rows_in_each_step() -> None:
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    y = np.exp(x).sum()
    prof = tn.profile()
    for _ in range(2):
        with prof:
            y.backward(retain_graph=True)
            y.backward(retain_graph=True)
    assert [names(s.records) for s in prof.steps] == [["sum", "exp"]] * 2
    assert all(r.backward > 0 for s in prof.steps for r in s.records)


def test_what_follows_a_graph_from_before_is_one_graph_with_it() -> None:
    with tn.Tape():
        w = tn.tensor(np.ones((2, 3)), requires_grad=True)
        h = np.tanh(w @ np.ones((3, 4))) * tn.tensor(2.0)
    with tn.profile() as prof:
        (h @ np.ones((4, 1))).sum().backward()
    assert names(prof.steps[0].records) == ["matmul", "sum", "multiply", "tanh", "matmul"]
    assert prof.steps[0].records[-1].multiply_adds == 2 * 3 * 4
    assert prof.steps[0].records[-1].backward_multiply_adds == 2 * 3 * 4


# -- what it leaves as it was ------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [False, True])
def test_nothing_of_the_graph_is_kept_alive(values: bool) -> None:
    """Nor what was saved for a backward pass that never ran."""
    x = tn.tensor(np.ones(1000), requires_grad=True)
    gc.disable()
    try:
        prof = tn.profile(values=values)
        with prof:
            y = np.exp(x * 2)
            z = tn.concatenate([y, y]).sum()
            held = [weakref.ref(t.node) for t in (y, z)] + [weakref.ref(y.data)]
            assert all(r() is not None for r in held)
            del y, z
        assert [r() for r in held] == [None] * 3
        assert names(prof.steps[0].records) == ["multiply", "exp", "concatenate", "sum"]
    finally:
        gc.enable()


def test_a_tape_is_not_kept_alive() -> None:
    net = Net()
    tape = tn.Tape()
    prof = tn.profile()
    with prof, tape:
        x = tn.tensor(np.zeros((2, 3), np.float32))
        held = weakref.ref(x.data)
        net(x)
    del x
    assert held() is not None
    del tape
    gc.collect()
    assert held() is None
    assert [r.path for r in prof.steps[0].records][-1] == "layers.2"


def test_names_of_modules_outlive_them() -> None:
    prof = tn.profile()
    for i in range(3):
        net = Net()
        with prof:
            net(np.zeros((2, 3), np.float32))
        if i == 1:
            assert len(prof.steps) == 2
        del net
        gc.collect()
    assert [[(r.root, r.path) for r in s.records][2:4] for s in prof.steps] == [
        [(root, "layers.0"), (root, "layers.1")] for root in ("Net", "Net 2", "Net 3")
    ]


def test_modules_that_are_gone_within_the_block_go_by_their_classes() -> None:
    with tn.profile() as prof:
        Net()(np.zeros((2, 3), np.float32))
    assert [(r.root, r.path) for r in prof.steps[0].records][:3] == [
        ("Net", "Linear"), ("Net", ""), ("Net", "Sequential.Linear"),
    ]  # fmt: skip


def test_modules_are_not_kept_once_their_names_are_read() -> None:
    net = Net()
    with tn.profile() as prof:
        net(np.zeros((2, 3), np.float32))
    assert len(prof.steps) == 1
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


def test_two_models_of_one_class_are_told_apart() -> None:
    a, b = Net(), Net()
    with tn.profile() as prof:
        b(a(np.zeros((2, 3), np.float32))[:, :3])
        a(np.zeros((2, 3), np.float32))
    roots = [r.root for r in prof.steps[0].records if r.op == "tanh"]
    assert roots == ["Net", "Net 2", "Net"]


def test_an_error_ends_the_step() -> None:
    x = tn.tensor(np.ones(3), requires_grad=True)
    prof = tn.profile()
    with pytest.raises(ValueError, match="matmul"), prof:
        tn.matmul(np.exp(x), np.ones((2, 2)))
    assert local.state.fast
    assert names(prof.steps[0].records) == ["exp"]
    bad = tn.op(lambda x: x * 1.0, name="bad", x=lambda g: 1 // 0)
    with pytest.raises(ZeroDivisionError), prof:
        bad(np.exp(x)).sum().backward()
    assert names(prof.steps[1].records) == ["exp", "bad", "sum"]
    with prof:
        np.exp(x)
    assert len(prof.steps) == 3


def test_an_op_has_no_clock_of_its_own() -> None:
    twice = tn.op(lambda x: x * 2, name="twice_without_a_clock", x=lambda g: g * 2)
    x = tn.tensor([1.0], requires_grad=True)

    def text() -> str:
        return "".join(linecache.getlines(f"<op {twice.__module__}.twice_without_a_clock __call__>"))

    twice(x)
    usual = text()
    with tn.profile() as prof:
        twice(x)
        twice(x)
    assert names(prof.steps[0].records) == ["twice_without_a_clock"] * 2
    assert text() == usual
    assert "clock(" not in usual


# -- one at a time -----------------------------------------------------------------------------------------------


def test_only_one_is_on_in_a_thread() -> None:
    with tn.profile() as outer:
        np.exp(tn.tensor(1.0))
        for inner in (outer, tn.profile()):
            with (
                pytest.raises(RuntimeError, match=r"test_profile.py:\d+ enters a tn.profile\(\) while one is on"),
                inner,
            ):
                pass
        np.sin(tn.tensor(1.0))
    assert names(outer.steps[0].records) == ["exp", "sin"]


def test_threads_have_profiles_of_their_own() -> None:
    turns = threading.Barrier(2)
    found: dict[str, Profile] = {}

    def run(name: str) -> None:
        x = tn.tensor(np.ones(4), requires_grad=True)
        f = getattr(np, name)
        with tn.profile() as prof:
            for _ in range(50):
                turns.wait()
                f(x).sum().backward()
        found[name] = prof

    threads = [threading.Thread(target=run, args=(name,)) for name in ("sin", "cos")]
    for t in threads:
        t.start()
    with tn.profile() as mine:
        np.exp(tn.tensor(1.0))
    for t in threads:
        t.join()
    assert names(mine.steps[0].records) == ["exp"]
    for name in ("sin", "cos"):
        assert names(found[name].steps[0].records) == [name, "sum"] * 50
        assert all(r.backward > 0 for r in found[name].steps[0].records)


def test_one_is_not_for_two_threads_at_once() -> None:
    prof = tn.profile()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with prof:
                pass
        except RuntimeError as error:
            errors.append(error)

    with prof:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert "in another thread" in str(errors[0])
    run()
    assert len(errors) == 1
    assert len(prof.steps) == 2


# -- compiled functions ------------------------------------------------------------------------------------------


def test_a_compiled_function_has_one_row() -> None:
    training = Training()
    plain = Training()
    x, y = training.x, training.y

    @tn.compile(backend="numpy")
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(training.net(x), y)
        training.opt.zero_grad()
        loss.backward()
        training.opt.step()
        return loss

    prof = tn.profile()
    losses = []
    tn.random.seed(4)
    for _ in range(3):
        with prof:
            losses.append(step(x, y).item())
    assert len(step.variants) == 1
    tn.random.seed(4)
    np.testing.assert_allclose(losses, [plain().item() for _ in range(3)], rtol=1e-6)
    for s in prof.steps:
        assert s.records == []
        assert list(s.spans) == ["compiled step"]
        assert 0 < s.spans["compiled step"] < s.total
    assert step(x, y).item() < losses[0]


# -- the same op in several steps --------------------------------------------------------------------------------


def test_history_finds_the_op_at_the_same_place() -> None:
    training, prof = Training(), tn.profile()
    numbers = []
    for _ in range(3):
        with prof:
            loss = training()
        numbers.append(loss.node.number)
    for number in numbers:
        assert [r.number for r in prof.history(number)] == numbers
    assert [[r.number for r in prof.history(s.records[2].number)] for s in prof.steps] == [
        [s.records[2].number for s in prof.steps]
    ] * 3
    assert prof.history(10**12) == [None] * 3
    weight = training.net.first.weight.node.number
    assert prof.leaf_history(weight) == [None] * 3


def test_history_counts_where_steps_differ() -> None:
    x = tn.tensor([1.0], requires_grad=True)
    prof = tn.profile()
    made = []
    for count in (1, 3, 2):
        with prof:
            made.append([np.exp(x) for _ in range(count)] + [np.sin(x)])
    second = made[1][1].node.number
    assert [r and r.number for r in prof.history(second)] == [None, second, made[2][1].node.number]
    last = made[0][-1].node.number
    assert [r.number for r in prof.history(last)] == [m[-1].node.number for m in made]


@pytest.mark.parametrize("values", [False, True])
def test_steps_are_read_while_more_come(values: bool) -> None:
    training, prof = Training(), tn.profile(values=values)
    for count in range(1, 4):
        with prof:
            training()
            assert len(prof.steps) == count - 1
        assert len(prof.steps) == count
    first = prof.steps[0]
    with prof:
        training()
    with prof:
        training.net(training.x)
        assert len(prof.steps) == 4
        training()
    assert prof.steps[0] is first
    assert [names(s.records) for s in prof.steps] == [*[STEP] * 4, STEP[:-1] + STEP]
    assert [r.path for r in prof.steps[4].records if r.op == "linear"] == ["first", "layers.0"] * 2


def test_a_step_that_is_not_there() -> None:
    prof = tn.profile()
    with pytest.raises(IndexError, match="no block has ended"):
        prof.nodes()
    with prof:
        pass
    assert prof.nodes() == prof.modules() == prof.ops() == []
    with pytest.raises(IndexError, match="1 were measured"):
        prof.modules(3)


def test_a_long_chain() -> None:
    x = tn.tensor([1.0], requires_grad=True)
    with tn.profile() as prof:
        y = x
        for _ in itertools.repeat(None, 20_000):
            y = np.sin(y)
        y.backward()
    assert len(prof.nodes()) == 20_000
    assert all(r.backward > 0 and r.saved == (8 if i else 0) for i, r in enumerate(prof.steps[0].records))
    assert len(str(prof).splitlines()) < 60
