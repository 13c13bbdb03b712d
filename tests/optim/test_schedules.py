"""Schedules against PyTorch's schedulers."""

from __future__ import annotations

from typing import Any

import pytest

import tapenet as tn
from tapenet import optim

STEPS = 40


def torch_rates(make: Any) -> list[float]:
    torch = pytest.importorskip("torch")
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make(torch.optim.lr_scheduler, opt)
    rates = []
    for _ in range(STEPS):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (optim.constant(0.3), lambda s, o: s.ConstantLR(o, factor=1.0)),
        (optim.step_decay(0.3, 7, 0.5), lambda s, o: s.StepLR(o, 7, 0.5)),
        (optim.exponential(0.3, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
        (optim.cosine(0.3, STEPS), lambda s, o: s.CosineAnnealingLR(o, STEPS)),
        (optim.cosine(0.3, STEPS, end=0.05), lambda s, o: s.CosineAnnealingLR(o, STEPS, 0.05)),
        (optim.linear(0.1, 0.3, 10), lambda s, o: s.LinearLR(o, 1 / 3, 1.0, 10)),
        (optim.linear(0.3, 0.0, 25), lambda s, o: s.LinearLR(o, 1.0, 0.0, 25)),
        (optim.polynomial(0.3, 30, 2.0), lambda s, o: s.PolynomialLR(o, 30, 2.0)),
        (optim.piecewise([0.3, 0.03, 0.003], [10, 15]), lambda s, o: s.MultiStepLR(o, [10, 15])),
        (
            optim.warmup(optim.cosine(0.3, 30), 5, start=0.1),
            lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1.0, 5), s.CosineAnnealingLR(o, 30)], [5]),
        ),
    ],
)
def test_equals_torch(schedule: optim.Schedule, theirs: Any) -> None:
    steps = range(35) if theirs.__code__.co_names[0] == "SequentialLR" else range(STEPS)
    rates = torch_rates(theirs)
    assert [schedule(step) for step in steps] == pytest.approx([rates[i] for i in steps], rel=1e-9, abs=1e-12)


def test_schedules_stay_at_their_end() -> None:
    for schedule, end in [
        (optim.cosine(1.0, 10, 0.1), 0.1),
        (optim.linear(0.0, 2.0, 10), 2.0),
        (optim.polynomial(1.0, 10, 3.0, 0.2), 0.2),
        (optim.warmup(0.5, 10), 0.5),
    ]:
        assert [schedule(step) for step in (10, 11, 1000)] == pytest.approx([end] * 3)


def test_pieces_count_from_their_own_first_step() -> None:
    schedule = optim.piecewise([optim.linear(0.0, 1.0, 2), 5.0, optim.exponential(1.0, 0.5)], [3, 4])
    assert [schedule(step) for step in range(7)] == [0.0, 0.5, 1.0, 5.0, 1.0, 0.5, 0.25]


def test_an_optimizer_follows_its_schedule() -> None:
    w = tn.tensor([0.0], requires_grad=True)
    opt = optim.SGD([w], lr=optim.piecewise([1.0, 10.0], [2]))
    for _ in range(4):
        w.grad = tn.tensor([-1.0])
        opt.step()
    assert w.item() == 22.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.cosine(0.1, 0), "cosine: steps=0 must be at least 1"),
        (lambda: optim.step_decay(0.1, 0), "step_size=0 must be at least 1"),
        (lambda: optim.polynomial(0.1, -1), "steps=-1"),
        (lambda: optim.warmup(0.1, 0), "steps=0"),
        (lambda: optim.piecewise([1.0, 2.0], []), "2 pieces need 1 boundaries between them, not 0"),
        (lambda: optim.piecewise([1.0, 2.0, 3.0], [5, 5]), r"boundaries \[5, 5\] must be positive and rise"),
        (lambda: optim.piecewise([1.0, 2.0], [0]), r"boundaries \[0\] must be positive"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
