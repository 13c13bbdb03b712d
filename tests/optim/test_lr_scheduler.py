"""PyTorch's schedulers over the schedules: the same rates as theirs, alone and together, and in compiled steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.optim import lr_scheduler as ours

torch = pytest.importorskip("torch")
theirs = torch.optim.lr_scheduler

STEPS = 60
Make = Callable[[Any, Any], Any]


def pair(name: str = "SGD", **options: Any) -> tuple[Any, Any]:
    """An optimizer here and PyTorch's, each of two groups with rates of their own."""
    options = {"lr": 0.3, **options}
    made = []
    values = np.array([1.0, -2.0])
    for library, leaf in (
        (optim, lambda: tn.tensor(values, requires_grad=True)),
        (torch.optim, lambda: torch.tensor(values, requires_grad=True)),
    ):
        made.append(getattr(library, name)([{"params": [leaf()]}, {"params": [leaf()], "lr": 0.05}], **options))
    return made[0], made[1]


def rates(optimizer: Any) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


#: Each a scheduler of a library for an optimizer.
ALONE: dict[str, Make] = {
    "lambda": lambda m, o: m.LambdaLR(o, lambda step: 1 / (1 + step)),
    "lambda of each": lambda m, o: m.LambdaLR(o, [lambda step: 0.9**step, lambda step: 1.0]),
    "multiplicative": lambda m, o: m.MultiplicativeLR(o, lambda step: 0.95 if step % 2 else 1.01),
    "step": lambda m, o: m.StepLR(o, 7, gamma=0.5),
    "multistep": lambda m, o: m.MultiStepLR(o, [20, 5, 5, 33], gamma=0.3),
    "constant": lambda m, o: m.ConstantLR(o, factor=0.25, total_iters=9),
    "linear": lambda m, o: m.LinearLR(o, start_factor=0.1, end_factor=0.7, total_iters=13),
    "linear, usual": lambda m, o: m.LinearLR(o),
    "exponential": lambda m, o: m.ExponentialLR(o, 0.93),
    "polynomial": lambda m, o: m.PolynomialLR(o, total_iters=25, power=2.0),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, 15),
    "cosine with an end": lambda m, o: m.CosineAnnealingLR(o, T_max=17, eta_min=0.01),
    "restarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 4, 2, 0.001),
    "restarts alike": lambda m, o: m.CosineAnnealingWarmRestarts(o, T_0=9),
    "one cycle": lambda m, o: m.OneCycleLR(o, [0.5, 0.2], total_steps=STEPS + 1),
    "one cycle in three": lambda m, o: m.OneCycleLR(
        o, 0.5, epochs=1, steps_per_epoch=STEPS + 1, three_phase=True, anneal_strategy="linear", pct_start=0.4,
        div_factor=10.0, final_div_factor=100.0, base_momentum=0.7, max_momentum=0.9,
    ),
    "cyclic": lambda m, o: m.CyclicLR(o, 0.01, 0.5, step_size_up=4, step_size_down=7),
    "cyclic, halved": lambda m, o: m.CyclicLR(o, [0.01, 0.1], [0.5, 0.3], step_size_up=5, mode="triangular2"),
    "cyclic, falling": lambda m, o: m.CyclicLR(o, 0.01, 0.5, 5, mode="exp_range", gamma=0.97, base_momentum=0.5),
    "cyclic by a function": lambda m, o: m.CyclicLR(o, 0.01, 0.5, 5, scale_fn=lambda cycle: 1 / cycle),
    "cyclic by a function of the step": lambda m, o: m.CyclicLR(
        o, 0.01, 0.5, 5, scale_fn=lambda step: 0.99**step, scale_mode="iterations", cycle_momentum=False
    ),
    "a warm-up and a cosine": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, total_iters=5), m.CosineAnnealingLR(o, 30, 1e-3)], [5]
    ),
    "three in sequence": lambda m, o: m.SequentialLR(
        o, [m.ConstantLR(o, 0.1, 4), m.MultiplicativeLR(o, lambda step: 0.9), m.StepLR(o, 4)], milestones=[6, 20]
    ),
    "a factor from the start on": lambda m, o: m.SequentialLR(
        o, [m.MultiplicativeLR(o, lambda step: 0.9), m.StepLR(o, 4)], milestones=[6]
    ),
    "one cycle after a warm-up": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, total_iters=5), m.OneCycleLR(o, 0.5, STEPS, cycle_momentum=False)], [5]
    ),
    "chained": lambda m, o: m.ChainedScheduler([m.ConstantLR(o, 0.1, 8), m.ExponentialLR(o, 0.9)]),
    "chained, an end": lambda m, o: m.ChainedScheduler(
        [m.LinearLR(o, 0.2, 1.0, 10), m.CosineAnnealingLR(o, 11, 0.004), m.MultiStepLR(o, [3, 20], 0.5)], optimizer=o
    ),
    "chained to nothing": lambda m, o: m.ChainedScheduler([m.PolynomialLR(o, 10), m.StepLR(o, 5, 0.5)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_rates_are_those_of_torch(name: str) -> None:
    """At every step, and momenta; and where a run was saved and goes on."""
    opt, their_opt = pair(momentum=0.9)
    mine, their = ALONE[name](ours, opt), ALONE[name](theirs, their_opt)
    for step in range(STEPS):
        np.testing.assert_allclose(rates(opt), rates(their_opt), rtol=1e-12, atol=1e-16, err_msg=f"step {step}")
        np.testing.assert_allclose(mine.get_last_lr(), their.get_last_lr(), rtol=1e-12, atol=1e-16)
        momenta = [[group["momentum"] for group in o.param_groups] for o in (opt, their_opt)]
        np.testing.assert_allclose(*momenta, rtol=1e-12)
        if step == 21:
            saved, their_saved = (opt.state_dict(), mine.state_dict()), (their_opt.state_dict(), their.state_dict())
            opt, their_opt = pair(momentum=0.9)
            mine, their = ALONE[name](ours, opt), ALONE[name](theirs, their_opt)
            for made, state in zip((opt, mine, their_opt, their), (*saved, *their_saved), strict=True):
                made.load_state_dict(state)
        their_opt.step()
        mine.step()
        their.step()


def test_rates_go_on_from_what_another_made_of_them() -> None:
    """As in PyTorch, where a step moves the rate rather than setting it: two schedulers, and a rate changed by hand."""
    for make in (ALONE["step"], ALONE["exponential"], ALONE["cosine with an end"], ALONE["linear"]):
        opt, their_opt = pair()
        schedulers = [(ALONE["multistep"](m, o), make(m, o)) for m, o in ((ours, opt), (theirs, their_opt))]
        for step in range(30):
            if step == 10:
                for o in (opt, their_opt):
                    for group in o.param_groups:
                        group["lr"] *= 3
            their_opt.step()
            for both in schedulers:
                for scheduler in both:
                    scheduler.step()
            np.testing.assert_allclose(rates(opt), rates(their_opt), rtol=1e-12)


def test_a_plateau_is_that_of_torch() -> None:
    metrics = np.abs(np.sin(np.arange(80.0))) + 1 / (1 + np.arange(80.0))
    for options in (
        {}, {"patience": 2, "factor": 0.5}, {"mode": "max", "patience": 1, "cooldown": 2, "min_lr": [1e-3, 1e-5]},
        {"threshold_mode": "abs", "threshold": 0.05, "patience": 3},
    ):  # fmt: skip
        opt, their_opt = pair()
        mine, their = ours.ReduceLROnPlateau(opt, **options), theirs.ReduceLROnPlateau(their_opt, **options)
        for i, metric in enumerate(metrics):
            mine.step(tn.tensor(metric))
            their.step(metric)
            np.testing.assert_allclose(rates(opt), rates(their_opt), rtol=1e-12)
            assert mine.best == their.best
            if i == 30:
                again = ours.ReduceLROnPlateau(opt, **options)
                again.load_state_dict(their.state_dict() if options else mine.state_dict())
                mine = again


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop"])
@pytest.mark.parametrize("cycle", ["one cycle in three", "cyclic, falling"])
def test_steps_with_a_moving_momentum_are_those_of_torch(name: str, cycle: str) -> None:
    options = {} if name == "Adam" else {"momentum": 0.9}
    opt, their_opt = pair(name, **options)
    mine, their = ALONE[cycle](ours, opt), ALONE[cycle](theirs, their_opt)
    for _ in range(40):
        for o in (opt, their_opt):
            o.zero_grad()
            sum(((p - 0.5) ** 2).sum() for g in o.param_groups for p in g["params"]).backward()
            o.step()
        mine.step()
        their.step()
    for group, their_group in zip(opt.param_groups, their_opt.param_groups, strict=True):
        np.testing.assert_allclose(group["params"][0].data, their_group["params"][0].detach().numpy(), rtol=1e-10)


def test_a_compiled_step_reads_the_rate_anew() -> None:
    """It is captured once, though each call has another rate, and its parameters are those of eager steps."""
    results = []
    for compiled in (False, True):
        w = tn.tensor([1.0, -2.0], requires_grad=True)
        opt = optim.SGD([w], lr=0.1, momentum=0.9)
        scheduler = ours.OneCycleLR(opt, 0.2, total_steps=30)

        def step(w: Any = w, opt: Any = opt) -> None:
            opt.zero_grad()
            ((w - 0.5) ** 2).sum().backward()
            opt.step()

        run = tn.compile(step) if compiled else step
        for _ in range(30):
            run()
            scheduler.step()
        if compiled:
            assert len(run.variants) == 1  # type: ignore[attr-defined]
        results.append(w.numpy().copy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-14)


def test_what_cannot_be_scheduled_is_refused() -> None:
    opt, _ = pair(momentum=0.9)
    cases: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (TypeError, "StepLR takes an optimizer, not list", lambda: ours.StepLR([], 3)),  # type: ignore[arg-type]
        (ValueError, "of group 0 is a schedule already", lambda: ours.StepLR(optim.SGD(pair()[0].groups[0]["params"],
         lr=optim.cosine(0.1, 10)), 3)),
        (KeyError, "group 0 has no 'initial_lr'", lambda: ours.StepLR(opt, 3, last_epoch=4)),
        (ValueError, "max_lr has 3 values for 2 groups", lambda: ours.OneCycleLR(opt, [1, 2, 3], 10)),
        (ValueError, "needs total_steps, or epochs", lambda: ours.OneCycleLR(opt, 0.1, epochs=2)),
        (ValueError, "has no momentum to move", lambda: ours.CyclicLR(pair("Adagrad")[0], 0.1, 0.2)),
        (ValueError, "scale_mode='never' must be", lambda: ours.CyclicLR(opt, 0.1, 0.2, scale_mode="never")),
        (ValueError, "start_factor=0.0 must be above 0", lambda: ours.LinearLR(opt, 0.0)),
        (ValueError, "1 schedulers need 0 milestones", lambda: ours.SequentialLR(opt, [ours.StepLR(opt, 2)], [3])),
        (TypeError, "SequentialLR takes no ReduceLROnPlateau",
         lambda: ours.SequentialLR(opt, [ours.ReduceLROnPlateau(opt), ours.StepLR(opt, 2)], [3])),
        (TypeError, "SequentialLR takes no ChainedScheduler",
         lambda: ours.SequentialLR(opt, [ours.ChainedScheduler([ours.StepLR(opt, 2)]), ours.StepLR(opt, 2)], [3])),
        (TypeError, "ChainedScheduler takes no ReduceLROnPlateau",
         lambda: ours.ChainedScheduler([ours.ReduceLROnPlateau(opt)])),
        (ValueError, "schedulers of one optimizer", lambda: ours.ChainedScheduler([ours.StepLR(opt, 2)], pair()[0])),
        (ValueError, "has no last_epoch, base_lrs", lambda: ours.StepLR(opt, 3).load_state_dict({})),
    ]  # fmt: skip
    for kind, words, case in cases:
        with pytest.raises(kind, match=words):
            case()
    scheduler = ours.OneCycleLR(opt, 0.1, total_steps=2)
    scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match="step 3 of 2"):
        scheduler.step()
    assert scheduler.last_epoch == 2


@pytest.mark.parametrize("make", [
    lambda o: ours.ExponentialLR(o, 0.5),
    lambda o: ours.SequentialLR(o, [ours.ConstantLR(o, 0.5), ours.StepLR(o, 2)], [3]),
    lambda o: ours.ChainedScheduler([ours.ExponentialLR(o, 0.5)]),
])  # fmt: skip
def test_a_step_that_is_refused_is_not_counted(make: Any) -> None:
    """Such as in a step that is captured, where an option cannot be set."""
    opt, _ = pair()
    scheduler = make(opt)
    before = rates(opt), scheduler.state_dict()
    with pytest.raises(tn.CaptureError, match="changes the option 'lr'"):
        tn.compile(lambda x: (scheduler.step(), x + 1)[1])(tn.tensor(1.0))
    assert (rates(opt), scheduler.state_dict()) == before


def test_a_state_before_the_first_step_can_be_loaded() -> None:
    """Where a scheduler, or an option that was set, has changed what is kept of each parameter."""
    states = []
    for _ in range(2):
        opt, _ = pair("Adam")
        ours.OneCycleLR(opt, 0.5, total_steps=9)
        states.append(opt.state_dict())
        opt.load_state_dict(states[0])
    assert states[0]["state"][0].keys() == {"step", "exp_avg", "exp_avg_sq"}
    opt, _ = pair()
    opt.groups[0]["momentum"] = 0.9
    state = opt.state_dict()
    assert "momentum_buffer" in state["state"][0]
    opt.load_state_dict(state)


def test_a_run_that_goes_on_may_say_where() -> None:
    opt, their_opt = pair()
    for m, o in ((ours, opt), (theirs, their_opt)):
        scheduler = m.ExponentialLR(o, 0.9)
        for _ in range(5):
            o.step()
            scheduler.step()
        m.ExponentialLR(o, 0.9, last_epoch=5)
    np.testing.assert_allclose(rates(opt), rates(their_opt), rtol=1e-12)


@pytest.mark.parametrize("name", ALONE)
def test_a_run_of_torch_goes_on_here(name: str) -> None:
    """By the states of its optimizer and scheduler."""
    opt, their_opt = pair(momentum=0.9)
    mine, their = ALONE[name](ours, opt), ALONE[name](theirs, their_opt)
    for _ in range(12):
        their_opt.step()
        their.step()
    opt.load_state_dict(their_opt.state_dict())
    mine.load_state_dict(their.state_dict())
    for _ in range(20):
        np.testing.assert_allclose(rates(opt), rates(their_opt), rtol=1e-12, atol=1e-16)
        their_opt.step()
        mine.step()
        their.step()


def test_a_scheduler_made_after_a_state_of_torch_begins_with_its_first_rate() -> None:
    opt, their_opt = pair()
    for _ in range(3):
        scheduler = theirs.ExponentialLR(their_opt, 0.5)
        their_opt.step()
        scheduler.step()
    opt.load_state_dict(their_opt.state_dict())
    found = [m.LambdaLR(o, lambda step: 1.0).base_lrs for m, o in ((ours, opt), (theirs, their_opt))]
    assert found[0] == found[1] == [0.3, 0.05]


#: What torch.optim.lr_scheduler has besides, by the reason.
ABSENT: dict[str, str] = {}


def test_every_scheduler_of_torch_is_here_with_its_arguments() -> None:
    import inspect

    for name in theirs.__all__:
        assert (name in vars(ours)) != (name in ABSENT)
        expected, found = (list(inspect.signature(getattr(m, name)).parameters) for m in (theirs, ours))
        assert found == expected
    public = {n for n in dir(theirs.LRScheduler) if not n.startswith("_")}
    assert public <= set(dir(ours.LRScheduler))
