"""A whole training step captured as a program and replayed on other data does what the eager steps do."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.autodiff.observe import epoch
from tapenet.autodiff.observe.capture import Capture
from tests.replay import Replay

R = np.random.default_rng(0)
DATA = [(R.normal(size=(6, 3)), R.normal(size=(6, 2))) for _ in range(7)]

MAKERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01),
    "nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "plain": lambda ps: optim.SGD(ps, lr=0.1, maximize=True),
    "schedule": lambda ps: optim.Adam(ps, lr=optim.warmup(optim.cosine(0.1, 5), 2)),
    "groups": lambda ps: optim.Adam([{"params": ps[:2], "lr": 0.1}, {"params": ps[2:], "weight_decay": 0.1}], lr=0.01),
    "adamw": lambda ps: optim.AdamW(ps, lr=0.05, amsgrad=True),
    "rmsprop": lambda ps: optim.RMSprop(ps, lr=0.01, centered=True, momentum=0.5),
    "adagrad": lambda ps: optim.Adagrad(ps, lr=0.1, lr_decay=0.1),
    "asgd": lambda ps: optim.ASGD(ps, lr=0.1, t0=2),
    "nadam": lambda ps: optim.NAdam(ps, lr=0.05, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda ps: optim.RAdam(ps, lr=0.05, betas=(0.9, 0.9)),
    "adamax": lambda ps: optim.Adamax(ps, lr=0.05, weight_decay=0.1),
    "adadelta": lambda ps: optim.Adadelta(ps),
    "rprop": lambda ps: optim.Rprop(ps, lr=0.05),
    "lion": lambda ps: optim.Lion(ps, lr=0.02, weight_decay=0.1),
    "lamb": lambda ps: optim.LAMB(ps, lr=optim.cosine(0.1, 5), trust_clip=True),
    "lars": lambda ps: optim.LARS(ps, lr=0.5, nesterov=True, trust_coefficient=0.1),
    "adafactor": lambda ps: optim.Adafactor([{"params": ps[:3]}, {"params": ps[3:], "lr": 0.5}], weight_decay=0.1),
    "muon": lambda ps: optim.Muon(ps[::2], lr=0.1),
    "sparse adam": lambda ps: optim.SparseAdam(ps, lr=0.1),
    "scheduled momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=optim.linear(0.5, 0.9, 5), nesterov=True),
    "scheduled betas": lambda ps: optim.Adam(ps, lr=0.1, betas=lambda step: (max(0.5, 0.9 - 0.1 * step), 0.99)),
}


def parameters(dtype: Any = np.float64) -> list[tn.Tensor]:
    r = np.random.default_rng(1)
    w1, b1, w2, b2 = (r.normal(size=s).astype(dtype) for s in [(5, 3), (5,), (2, 5), (2,)])
    return [tn.tensor(a, requires_grad=True) for a in (w1.copy("F"), b1, w2.copy("F"), b2)]


def train(ps: list[tn.Tensor], opts: list[optim.Optimizer], x: Any, y: Any, clip: float | None = None) -> tn.Tensor:
    w1, b1, w2, b2 = ps
    loss = ((np.tanh(x @ w1.T + b1) @ w2.T + b2 - y) ** 2).mean()
    for opt in opts:
        opt.zero_grad()
    loss.backward()
    if clip is not None:
        optim.clip_grad_norm(ps, clip)
    for opt in opts:
        opt.step()
    return loss


def assert_same(a: list[optim.Optimizer], b: list[optim.Optimizer], ps: Any, qs: Any, rtol: float = 1e-12) -> None:
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=rtol)
    for one, other in zip(a, b, strict=True):
        left, right = one.state_dict(), other.state_dict()
        assert left["step"] == right["step"]
        assert left["param_groups"] == right["param_groups"]
        for i, entry in left["state"].items():
            assert entry["step"] == right["state"][i]["step"]
            for name, value in entry.items():
                np.testing.assert_allclose(value, right["state"][i][name], rtol=rtol, err_msg=name)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_captured_step_replays_as_eager_steps_go(make: Callable[[Any], optim.Optimizer]) -> None:
    eager, captured = parameters(), parameters()
    opt_eager, opt_captured = make(eager), make(captured)
    train(eager, [opt_eager], *DATA[0])
    train(captured, [opt_captured], *DATA[0])  # the capture is not of the first step
    x, y = (tn.tensor(a) for a in DATA[1])
    with Capture() as tape:
        loss = train(captured, [opt_captured], x, y)
    replay = Replay(tape, [x, y], loss)
    expected = [train(eager, [opt_eager], *d).item() for d in DATA[1:]]
    assert loss.item() == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose([float(replay(*d)) for d in DATA[2:]], expected[1:], rtol=1e-12)
    assert_same([opt_captured], [opt_eager], captured, eager)


def test_the_captured_step_is_the_rule_and_scalars_come_from_the_host() -> None:
    ps = parameters()
    opt = optim.SGD(ps, lr=0.1, momentum=0.9)
    for p in ps:
        p.grad = tn.tensor(np.ones(p.shape))
    with Capture() as tape:
        opt.step()
    names = [node.name for node in tape]
    assert names.count("assign") == 8
    assert names.count("host") == 2  # the update's number with lr and momentum, the step's number
    assert set(names) == {"host", "getitem", "assign", "multiply", "add", "subtract"}
    assert [node.shape for node in tape if node.name == "host"] == [(2,), ()]


def test_eager_steps_and_replays_mix() -> None:
    eager, mixed = parameters(), parameters()
    opt_eager, opt_mixed = (optim.Adam(ps, lr=optim.exponential(0.1, 0.9)) for ps in (eager, mixed))
    x, y = (tn.tensor(a) for a in DATA[0])
    with Capture() as tape:
        loss = train(mixed, [opt_mixed], x, y)
    replay = Replay(tape, [x, y], loss)
    train(mixed, [opt_mixed], *DATA[1])
    replay(*DATA[2])
    opt_mixed.load_state_dict(opt_mixed.state_dict())
    replay(*DATA[3])
    train(mixed, [opt_mixed], *DATA[4])
    for d in DATA[:5]:
        train(eager, [opt_eager], *d)
    assert_same([opt_mixed], [opt_eager], mixed, eager)


def test_two_optimizers_two_steps_and_clipping_in_one_capture() -> None:
    eager, captured = parameters(), parameters()
    opts_eager, opts_captured = (
        [optim.SGD(ps, lr=0.05, momentum=0.5), optim.Adam(ps[1:], lr=0.02)] for ps in (eager, captured)
    )

    def twice(ps: list[tn.Tensor], opts: list[optim.Optimizer], x: Any, y: Any) -> tn.Tensor:
        train(ps, opts, x, y, clip=0.3)
        return train(ps, opts, x, y, clip=0.3)

    x, y = (tn.tensor(a) for a in DATA[0])
    with Capture() as tape:
        loss = twice(captured, opts_captured, x, y)
    replay = Replay(tape, [x, y], loss)
    expected = [twice(eager, opts_eager, *d).item() for d in DATA]
    np.testing.assert_allclose([float(replay(*d)) for d in DATA[1:]], expected[1:], rtol=1e-12)
    assert_same(opts_captured, opts_eager, captured, eager)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_clipping_is_captured(norm_type: float) -> None:
    w = tn.tensor([3.0, -4.0], requires_grad=True)
    v = tn.tensor([[12.0]], requires_grad=True)
    x = tn.tensor(1.0)
    with Capture() as tape:
        ((w * w).sum() * x + (v * v).sum() * x).backward()
        norm = optim.clip_grad_norm([w, v], 1.0, norm_type)
        optim.clip_grad_value([w], 0.25)
        result = tn.concatenate([w.grad, v.grad.ravel(), norm.reshape(1)])
    got = Replay(tape, [x], result)(np.array(2.0))
    w.grad, v.grad = tn.tensor([12.0, -16.0]), tn.tensor([[48.0]])
    norm = optim.clip_grad_norm([w, v], 1.0, norm_type)
    optim.clip_grad_value([w], 0.25)
    np.testing.assert_allclose(got, [*w.grad.data, v.grad.data.item(), norm], rtol=1e-12)


def test_float32_stays_float32() -> None:
    ps = parameters(np.float32)
    opt = optim.Adam(ps)
    for p in ps:
        p.grad = tn.tensor(np.ones(p.shape, np.float32))
    with Capture() as tape:
        opt.step()
    kinds = {node.dtype for node in tape if node.name != "host"}
    assert kinds == {np.dtype("float32")}
    assert all(p.dtype == np.float32 for p in ps)


def capture_step(opt: optim.Optimizer, ps: list[tn.Tensor]) -> tuple[Capture, Replay]:
    """The step of an optimizer over parameters that have gradients."""
    x = tn.tensor(0.0)
    with Capture() as tape:
        opt.step()
        result = x * 1.0
    return tape, Replay(tape, [x], result)


def holds(tape: Capture) -> bool:
    return all(fingerprint() == value for _, fingerprint, value in tape.dependencies)


def counts(opt: optim.Optimizer) -> list[int]:
    state = opt.state_dict()
    return [state["step"], *(entry["step"] for entry in state["state"].values())]


def give(ps: list[tn.Tensor]) -> None:
    for p in ps:
        p.grad = np.ones(p.shape)


def _set(opt: optim.Optimizer, ps: list[tn.Tensor], key: str, value: Any) -> None:
    opt.groups[0][key] = value


def _leave_out(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    ps[0].grad = None
    opt.step()


def _toggle(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    for value in (0.0, 0.9):  # the momentum begins anew, in other storage
        opt.groups[0]["momentum"] = value
        opt.step()


def _load_other_counts(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    state = opt.state_dict()
    state["state"][1]["step"] = 7
    opt.load_state_dict(state)


def _recast(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    ps[0]._rebind(ps[0]._data.astype(np.float32))
    give(ps)
    opt.step()


def _add(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    opt.add_param_group({"params": [tn.tensor([1.0], requires_grad=True)]})


CHANGES: dict[str, Callable[[optim.Optimizer, list[tn.Tensor]], None]] = {
    "weight decay": lambda opt, ps: _set(opt, ps, "weight_decay", 0.1),
    "no momentum": lambda opt, ps: _set(opt, ps, "momentum", 0.0),
    "one is left out": _leave_out,
    "momentum begins anew": _toggle,
    "other counts": _load_other_counts,
    "other storage": _recast,
    "another group": _add,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_replay_that_cannot_follow_says_so_before_it_counts(change: Any) -> None:
    ps = parameters()
    opt = optim.SGD([{"params": ps[:2]}, {"params": ps[2:]}], lr=0.1, momentum=0.9)
    give(ps)
    tape, replay = capture_step(opt, ps)
    replay(np.array(0.0))
    assert holds(tape)
    change(opt, ps)
    assert not holds(tape)
    before = counts(opt), [p.data.copy() for p in ps]
    with pytest.raises(RuntimeError, match=r"SGD: since this step was captured an option was .*capture it again"):
        replay(np.array(0.0))
    assert counts(opt) == before[0]
    for p, value in zip(ps, before[1], strict=True):
        np.testing.assert_array_equal(p.data, value)
    give(ps)
    again, replay = capture_step(opt, ps)  # what it asks for is possible
    replay(np.array(0.0))
    assert holds(again)


def _idle(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    opt.zero_grad()
    opt.step()
    give(ps)


def _decay_once(opt: optim.Optimizer, ps: list[tn.Tensor]) -> None:
    for value in (0.1, 0.0):  # the state is laid anew, and stays
        opt.groups[0]["weight_decay"] = value
        opt.step()


KEPT: dict[str, Callable[[optim.Optimizer, list[tn.Tensor]], None]] = {
    "another rate": lambda opt, ps: _set(opt, ps, "lr", 0.5),
    "a schedule": lambda opt, ps: _set(opt, ps, "lr", optim.exponential(0.1, 0.9)),
    "another momentum": lambda opt, ps: _set(opt, ps, "momentum", 0.5),
    "its own state": lambda opt, ps: opt.load_state_dict(opt.state_dict()),
    "an eager step": lambda opt, ps: opt.step(),
    "nothing to do": _idle,
    "decay and back": _decay_once,
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("make", [optim.SGD, optim.RMSprop])
def test_a_replay_follows_what_is_read_anew(make: Any, change: Any) -> None:
    eager, mixed = parameters(), parameters()
    opts = [make(ps, lr=0.1, momentum=0.9) for ps in (eager, mixed)]
    for ps in (eager, mixed):
        give(ps)
    opts[0].step()
    tape, replay = capture_step(opts[1], mixed)
    for opt, ps in zip(opts, (eager, mixed), strict=True):
        change(opt, ps)
    assert holds(tape)
    opts[0].step()
    replay(np.array(0.0))
    assert_same([opts[0]], [opts[1]], eager, mixed)


def test_steps_over_parts_of_the_parameters_do_not_disturb_each_other() -> None:
    """Two captured steps that take turns, each with gradients for some of an optimizer's parameters."""
    eager, mixed = parameters(), parameters()
    opts = [optim.Adam(ps, lr=0.1) for ps in (eager, mixed)]

    def only(ps: list[tn.Tensor], which: slice) -> None:
        for p in ps:
            p.grad = None
        give(ps[which])

    parts = [slice(0, 2), slice(2, 4), slice(1, 2)]
    replays = []
    for part in (*parts, *parts):  # at the second time around nothing is shared any more
        only(mixed, part)
        replays.append(capture_step(opts[1], mixed))
        only(eager, part)
        opts[0].step()
    assert [holds(tape) for tape, _ in replays] == [False, True, True, True, True, True]
    for k in (1, 2, 0, 0, 2, 1):
        replays[3 + k][1](np.array(0.0))
        only(eager, parts[k])
        opts[0].step()
    assert all(holds(tape) for tape, _ in replays[3:])
    assert_same([opts[0]], [opts[1]], eager, mixed)


def test_counting_is_one_clock_for_parameters_that_are_updated_together() -> None:
    ps = parameters()
    opt = optim.SGD(ps, lr=0.1)
    slots = opt._slots
    assert len({slot.clock for slot in slots}) == 1
    before = epoch.current
    give(ps)
    opt.step()
    assert epoch.current == before
    ps[1].grad = None
    opt.step()
    assert epoch.current > before
    assert [slot.step for slot in slots] == [2, 1, 2, 2]
    assert [len(slot.clock.slots) for slot in slots] == [1, 1, 2, 2]
    assert all(slot in slot.clock.slots for slot in slots)
    state = opt.state_dict()
    for entry in state["state"].values():
        entry["step"] = 5
    before = epoch.current
    clocks = [slot.clock for slot in slots]
    opt.load_state_dict(state)
    assert [slot.step for slot in slots] == [5] * 4
    assert [slot.clock for slot in slots] == clocks  # captured steps go on with them
    give(ps)
    opt.step()
    assert [slot.step for slot in slots] == [6] * 4


def test_a_step_without_any_gradient_is_captured() -> None:
    ps = parameters()
    opt = optim.SGD(ps, lr=0.1)
    tape, replay = capture_step(opt, ps)
    replay(np.array(0.0))
    assert counts(opt) == [2, 0, 0, 0, 0]
    assert all(use.entry_read for use in tape.grads.values())
    assert len(tape.grads) == 4


def test_the_host_is_asked_twice_per_step_and_makes_few_calls() -> None:
    """Counts, not times: what the host does at each replay of the usual step."""
    ps = parameters(np.float32)
    opt = optim.SGD(ps, lr=0.1)
    give(ps)
    tape, replay = capture_step(opt, ps)
    replay(np.array(0.0))
    hosts = [node.call["evaluate"] for node in tape if node.name == "host"]
    called: list[str] = []

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            called.append(frame.f_code.co_name if event == "call" else argument.__name__)

    sys.setprofile(profile)
    try:
        values = [evaluate() for evaluate in hosts]
    finally:
        sys.setprofile(None)
    assert values == [(0.1,), 3]
    assert called[:-1] == ["<listcomp>", "advance", "scalars", "common", "values", "_tick"] or called[:-1] == [
        "advance", "scalars", "common", "values", "_tick"
    ]  # fmt: skip


def test_a_custom_rule_without_scalars_is_captured() -> None:
    class Halve(optim.Optimizer):
        def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
            return {}

        @staticmethod
        def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
            return p * 0.5, {}

    ps = [tn.tensor([8.0], requires_grad=True)]
    opt = Halve(ps, lr=0.1)
    give(ps)
    _, replay = capture_step(opt, ps)
    replay(np.array(0.0))
    assert ps[0].item() == 2.0
