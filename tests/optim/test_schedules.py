"""Schedules against PyTorch's schedulers."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def _shrinking(step: float) -> float:
    return 1 / (1 + 0.1 * step)


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
        (optim.multistep(0.3, [10, 15, 15], 0.5), lambda s, o: s.MultiStepLR(o, [10, 15, 15], 0.5)),
        (optim.piecewise([0.1, 0.3], [6]), lambda s, o: s.ConstantLR(o, 1 / 3, 6)),
        (optim.cosine_restarts(0.3, 7, end=0.01), lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, eta_min=0.01)),
        (optim.cosine_restarts(0.3, 3, factor=2), lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2)),
        (optim.one_cycle(0.3, STEPS), lambda s, o: s.OneCycleLR(o, 0.3, STEPS, cycle_momentum=False)),
        (
            optim.one_cycle(0.3, STEPS, 0.41, 0.03, 0.003, anneal="linear"),
            lambda s, o: s.OneCycleLR(o, 0.3, STEPS, None, None, 0.41, "linear", False, 0, 0, 10, 10),
        ),
        (
            optim.one_cycle(0.3, STEPS, 0.2, three_phase=True),
            lambda s, o: s.OneCycleLR(o, 0.3, STEPS, pct_start=0.2, cycle_momentum=False, three_phase=True),
        ),
        (optim.cyclic(0.1, 0.4, 4), lambda s, o: s.CyclicLR(o, 0.1, 0.4, 4, cycle_momentum=False)),
        (
            optim.cyclic(0.1, 0.4, 3, 5, scale="triangular2"),
            lambda s, o: s.CyclicLR(o, 0.1, 0.4, 3, 5, "triangular2", cycle_momentum=False),
        ),
        (
            optim.cyclic(0.1, 0.4, 5, 2, scale="exp_range", gamma=0.95),
            lambda s, o: s.CyclicLR(o, 0.1, 0.4, 5, 2, "exp_range", 0.95, cycle_momentum=False),
        ),
        (
            optim.cyclic(0.1, 0.4, 5, scale=_shrinking),
            lambda s, o: s.CyclicLR(o, 0.1, 0.4, 5, scale_fn=_shrinking, cycle_momentum=False),
        ),
        (optim.multiplicative(0.3, _shrinking), lambda s, o: s.MultiplicativeLR(o, _shrinking)),
        (
            optim.product(optim.exponential(0.3, 0.9), optim.step_decay(1.0, 7, 0.5), 1.0),
            lambda s, o: s.ChainedScheduler([s.ExponentialLR(o, 0.9), s.StepLR(o, 7, 0.5)]),
        ),
        (lambda step: 0.3 * _shrinking(step), lambda s, o: s.LambdaLR(o, _shrinking)),
    ],
)
def test_equals_torch(schedule: optim.Schedule, theirs: Any) -> None:
    steps = range(35) if theirs.__code__.co_names[0] == "SequentialLR" else range(STEPS)
    rates = torch_rates(theirs)
    assert [schedule(step) for step in steps] == pytest.approx([rates[i] for i in steps], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("steps", [0, 1, 6])
def test_averaging_equals_torch(anneal: str, steps: int) -> None:
    torch = pytest.importorskip("torch")
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    rates = []
    for step in range(30):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        if step == 9:  # the rate after it is the first of ten steps, from which the annealing starts
            scheduler.step()
            scheduler = torch.optim.swa_utils.SWALR(opt, 0.05, steps, anneal)
            if not steps:
                opt.param_groups[0]["lr"] = 0.05
        else:
            scheduler.step()
    schedule = optim.averaging(optim.exponential(0.3, 0.9), 10, 0.05, steps, anneal)
    assert [schedule(step) for step in range(30)] == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize("three_phase", [False, True])
def test_momentum_cycles_against_the_rate_as_in_torch(three_phase: bool) -> None:
    torch = pytest.importorskip("torch")
    for kind in ("SGD", "Adam"):
        q = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        other = getattr(torch.optim, kind)([q], lr=0.1)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(other, 0.1, STEPS, three_phase=three_phase)
        momentum = optim.one_cycle(0.85, STEPS, start=0.95, end=0.95, three_phase=three_phase)
        options = {"momentum": momentum} if kind == "SGD" else {"betas": _first_of_two(momentum)}
        p = tn.tensor([1.0, 1.0, 1.0], requires_grad=True)
        opt = getattr(optim, kind)([p], lr=optim.one_cycle(0.1, STEPS, three_phase=three_phase), **options)
        for step in range(STEPS):
            g = np.random.default_rng(step).normal(size=3)
            p.grad, q.grad = g, torch.from_numpy(g)
            opt.step()
            other.step()
            scheduler.step()
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, err_msg=f"{kind} {step}")


def _first_of_two(momentum: Any) -> Any:
    return lambda step: (momentum(step), 0.999)


def test_options_that_are_functions_of_the_step() -> None:
    w = tn.tensor([0.0], requires_grad=True)
    opt = optim.SGD([w], lr=1.0, momentum=optim.linear(0.5, 0.9, 4))
    w.grad = tn.tensor([-1.0])
    opt.step()
    opt.step()
    assert w.item() == pytest.approx(1 + 0.6 + 1)
    state = opt.state_dict()
    assert state["param_groups"][0]["momentum"] == pytest.approx(0.7)  # of the next step
    assert "scheduled" not in state["param_groups"][0]
    v = tn.tensor([w.item()], requires_grad=True)
    other = optim.SGD([v], lr=1.0, momentum=optim.linear(0.5, 0.9, 4))
    other.load_state_dict(state)
    w.grad = v.grad = tn.tensor([-1.0])
    opt.step()
    other.step()
    assert v.item() == w.item()
    fixed = optim.SGD([tn.tensor([0.0], requires_grad=True)], lr=1.0, momentum=0.9)
    fixed.load_state_dict(state)
    assert fixed.groups[0]["momentum"] == pytest.approx(0.7)
    opt.groups[0]["momentum"] = 0.25
    assert opt.groups[0].scheduled == ()
    opt.step()
    assert opt.state_dict()["param_groups"][0]["momentum"] == 0.25
    with pytest.raises(ValueError, match=r"momentum=-1.0 must be at least 0"):
        optim.SGD([v], momentum=optim.constant(-1.0))


def test_inverse_square_root() -> None:
    schedule = optim.inverse_sqrt((512 * 4000) ** -0.5, 4000)
    for step in (0, 10, 3999, 4000, 100_000):
        expected = 512**-0.5 * min((step + 1) ** -0.5, (step + 1) * 4000**-1.5)
        assert schedule(step) == pytest.approx(expected, rel=1e-12)


def test_a_product_of_factors_may_be_asked_for_in_any_order() -> None:
    schedule = optim.multiplicative(1.0, lambda step: 0.5)
    assert [schedule(step) for step in (3, 1, 1, 4, 0)] == [0.125, 0.5, 0.5, 0.0625, 1.0]


# -- plateau -----------------------------------------------------------------------------------------------------

METRICS = [5, 4, 3, 3, 3, 2.9999, 2.99, 2.98, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "min_lr": 0.05},
        {"patience": 1, "cooldown": 3, "factor": 0.5},
        {"patience": 2, "threshold": 0.02},
        {"patience": 2, "threshold": 0.02, "threshold_mode": "abs"},
        {"patience": 3, "mode": "max"},
        {"patience": 3, "mode": "max", "threshold_mode": "abs", "threshold": 0.5},
        {"patience": 0, "eps": 0.01, "factor": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("sign", [1, -1])
def test_plateau_follows_torch(options: dict[str, Any], sign: int) -> None:
    torch = pytest.importorskip("torch")
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    plateau = optim.Plateau(0.3, **options)
    opt = optim.SGD([tn.tensor([0.0], requires_grad=True)], lr=plateau)
    rates = set()
    for i, metric in enumerate(METRICS):
        scheduler.step(sign * metric)
        plateau.update(tn.tensor(sign * metric))
        assert opt.lr == other.param_groups[0]["lr"], i
        rates.add(opt.lr)
        fresh = optim.Plateau(7.0, **options)
        fresh.load_state_dict(plateau.state_dict())
        plateau.load_state_dict(fresh.state_dict())
        assert plateau.best == scheduler.best
    assert len(rates) > 1


def test_a_plateau_is_a_factor_too_and_compiled_steps_see_it() -> None:
    plateau = optim.Plateau(1.0, factor=0.5, patience=0)
    w = tn.tensor([0.0], requires_grad=True)
    opt = optim.SGD([w], lr=optim.product(optim.exponential(1.0, 0.5), plateau))

    @tn.compile
    def step(x: Any) -> Any:
        opt.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        opt.step()
        return loss

    for metric in (1.0, 1.0, 1.0):
        step(-np.ones(1))
        plateau.update(metric)
    assert w.item() == 1 + 0.5 + 0.25 * 0.5
    assert opt.lr == 0.125 * 0.25
    assert repr(plateau) == "Plateau(lr=0.25, best=1.0)"


def test_schedules_stay_at_their_end() -> None:
    for schedule, end in [
        (optim.cosine(1.0, 10, 0.1), 0.1),
        (optim.linear(0.0, 2.0, 10), 2.0),
        (optim.polynomial(1.0, 10, 3.0, 0.2), 0.2),
        (optim.warmup(0.5, 10), 0.5),
        (optim.one_cycle(1.0, 10, end=0.25), 0.25),
        (optim.averaging(1.0, 3, 0.5, 5), 0.5),
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
        (lambda: optim.cosine_restarts(0.1, 5, 0), "factor=0 must be at least 1"),
        (lambda: optim.one_cycle(0.1, 10, rise=1.5), r"rise=1.5 must be in \[0, 1\]"),
        (lambda: optim.one_cycle(0.1, 10, anneal="sin"), "anneal='sin' must be 'cos' or 'linear'"),
        (lambda: optim.cyclic(0.1, 1.0, 0), "up=0 must be at least 1"),
        (lambda: optim.cyclic(0.1, 1.0, scale="square"), "scale='square' must be"),
        (lambda: optim.inverse_sqrt(0.1, 0), "warmup_steps=0 must be at least 1"),
        (lambda: optim.Plateau(0.1, factor=1.0), r"Plateau: factor=1.0 must be in \[0, 1\)"),
        (lambda: optim.Plateau(0.1, mode="less"), "mode='less' must be 'min' or 'max'"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (
            lambda k: 0.1 if k < 2 else None,
            TypeError,
            r"SGD: the schedule given as lr returned None at step 2; .* number",
        ),
        (lambda k: 0.1 - 0.06 * k, ValueError, r"returned -0.0\d* at step 2; .* finite number of at least 0"),
        (lambda k: 0.1 if k < 2 else float("nan"), ValueError, r"returned nan at step 2"),
        (lambda k: 0.1 if k < 2 else "0.1", TypeError, r"returned the str '0.1' at step 2"),
        (lambda k: 0.1 if k < 2 else np.ones(2), TypeError, r"returned the ndarray array\(\[1., 1.\]\) at step 2"),
        (lambda k: 0.1 if k < 2 else optim.constant(0.1), TypeError, r"returned another function"),
        (lambda k: (1 - k) ** 0.5, TypeError, r"returned the complex .* at step 2"),
    ],
)
def test_a_wrong_value_of_a_schedule_is_an_error(
    schedule: Any, error: type[Exception], message: str, compiled: bool
) -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    opt = optim.SGD([w], lr=schedule)

    def step() -> None:
        opt.zero_grad()
        (w * w).sum().backward()
        opt.step()

    run = tn.compile(step) if compiled else step
    for _ in range(2):
        run()
    before = w.numpy().copy()
    with pytest.raises(error, match=message):
        run()
    np.testing.assert_array_equal(w.data, before)


def test_an_error_in_a_schedule_says_where() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=lambda k: 1 / k)
    assert caught.value.__notes__[0].startswith(
        "SGD: in the schedule given as lr, at step 0; it is called with the number"
    )
