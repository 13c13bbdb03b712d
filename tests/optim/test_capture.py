"""A whole training step captured as a program and replayed on other data does what the eager steps do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.autodiff.tape import Capture
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
    assert names.count("host") == 4  # the update's number, lr, momentum, the step's number
    assert set(names) == {"host", "assign", "multiply", "add", "subtract"}


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


def test_a_replay_that_cannot_follow_says_so() -> None:
    ps = parameters()
    opt = optim.SGD(ps, lr=0.1)
    for p in ps:
        p.grad = tn.tensor(np.ones(p.shape))
    with Capture() as tape:
        opt.step()
        result = ps[0] * 1.0
    replay = Replay(tape, [], result)
    opt.groups[0]["lr"] = 0.5
    before = ps[0].data.copy()
    np.testing.assert_allclose(replay(), before - 0.5)
    opt.groups[0]["weight_decay"] = 0.1
    with pytest.raises(RuntimeError, match=r"an option was set to 0 or from 0.*capture it again"):
        replay()
    opt.groups[0]["weight_decay"] = 0.0
    ps[0].grad = None
    opt.step()
    with pytest.raises(RuntimeError, match="different number of times: capture it again"):
        replay()
