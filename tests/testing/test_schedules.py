"""The check of schedules finds what is wrong with one, and tapenet's own pass it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.testing import check_schedule

OWN = {
    "constant": optim.constant(0.1),
    "step_decay": optim.step_decay(0.1, 30),
    "multistep": optim.multistep(0.1, [10, 50]),
    "exponential": optim.exponential(0.1, 0.99),
    "linear": optim.linear(0.1, 0.0, 100),
    "polynomial": optim.polynomial(0.1, 100),
    "cosine": optim.cosine(0.1, 100),
    "cosine_restarts": optim.cosine_restarts(0.1, 10, 2),
    "one_cycle": optim.one_cycle(0.1, 100),
    "cyclic": optim.cyclic(0.01, 0.1, 10),
    "inverse_sqrt": optim.inverse_sqrt(0.1, 10),
    "multiplicative": optim.multiplicative(0.1, lambda k: 0.95),
    "product": optim.product(optim.cosine(0.1, 100), 0.5),
    "piecewise": optim.piecewise([optim.constant(0.1), 0.2], [50]),
    "warmup": optim.warmup(optim.cosine(0.1, 90), 10),
    "averaging": optim.averaging(optim.cosine(0.1, 100), 0.05, 50, 10),
}


@pytest.mark.parametrize("name", OWN)
def test_own_schedules_pass(name: str) -> None:
    check_schedule(OWN[name], 100)


def test_all_own_schedules_are_tried() -> None:
    from tapenet.names import homes

    assert {n for n, module in homes("tapenet.optim").items() if module.endswith(".schedules")} - {"Schedule"} == {*OWN}


def falls_off(step: int) -> Any:
    if step < 50:
        return 0.1
    if step < 100:
        return 0.01


def _counter() -> Any:
    count = itertools.count()
    return lambda step: 0.1 * 0.99 ** next(count)


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (falls_off, r"check_schedule\(falls_off\): it returns None at step 100: it is to return a number"),
        (lambda step: 0.1 / step, r"it raises ZeroDivisionError \(.*\) at step 0; steps count from 0"),
        (lambda step, epoch: 0.1, r"it raises TypeError \(.*'epoch'\) at step 0"),
        (
            lambda step: 0.1 * (1 - step / 100),
            r"it returns -.*, which is negative, at step 101, beyond its 100 steps; .* min\(",
        ),
        (lambda step: 0.1 * (1 - step / 100) ** 0.5, r"it returns a complex at step 101, beyond its 100 steps"),
        (lambda step: 0.1 * [1.0, 0.5][step // 51], r"it raises IndexError .* at step 201, beyond its 100 steps"),
        (_counter(), r"it gave 0.\d+, and then 0.\d+, at step \d+: .* depends on the step alone.*counts its calls"),
        (lambda step: 0.1 * RANDOM.random(), r"at step \d+: .*nor draws random numbers"),
        (lambda step: np.full(2, 0.1), r"it returns a ndarray at step 0"),
        (lambda step: tn.tensor(0.1), r"it returns a Tensor at step 0"),
        (lambda step: optim.constant(0.1), r"it returns a function at step 0"),
        (lambda step: math.inf if step == 7 else 0.1, r"it returns inf at step 7"),
        (lambda step: math.nan, r"it returns nan at step 0"),
        (lambda step: step > 5, r"it returns a bool at step 0"),
    ],
)
def test_wrong_schedules_are_named(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_schedule(schedule, 100)


@pytest.mark.parametrize(("given", "what"), [(optim.lr_scheduler.StepLR, "the class StepLR"), (0.1, "a float")])
def test_it_takes_functions(given: Any, what: str) -> None:
    with pytest.raises(TypeError, match=f"takes a function of the number of steps so far, not {what}"):
        check_schedule(given)


def test_values_that_are_expected() -> None:
    check_schedule(optim.linear(0.1, 0.0, 100), 100, values={0: 0.1, 25: 0.075})
    with pytest.raises(AssertionError, match=r"it is 0.075 at step 25, and 0.08 was expected"):
        check_schedule(optim.linear(0.1, 0.0, 100), 100, values={25: 0.08})
