"""Learning rates as plain functions of the step, which counts from 0: `SGD(params, lr=cosine(0.1, 1000))`.

Each function here returns such a function; any other function of the step will do, and other options may be such
functions too: `momentum=linear(0.85, 0.95, 1000)`. After its last step a schedule stays where it is. Where PyTorch has
a scheduler of the kind, the values are the same.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeAlias

#: From the number of steps taken so far to the learning rate of the next.
Schedule: TypeAlias = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """lr at every step.

    >>> constant(0.1)(7)
    0.1
    """
    return lambda step: lr


def step_decay(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """lr · gamma^⌊step / step_size⌋: times `gamma` every `step_size` steps (PyTorch's StepLR).

    >>> schedule = step_decay(1.0, 10, gamma=0.5)
    >>> [schedule(step) for step in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    _positive("step_decay", "step_size", step_size)
    return lambda step: lr * gamma ** (step // step_size)


def multistep(lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """lr · gamma^(number of milestones up to the step): times `gamma` at each milestone (PyTorch's MultiStepLR).

    >>> schedule = multistep(1.0, [10, 20], gamma=0.5)
    >>> [schedule(step) for step in (9, 10, 20)]
    [1.0, 0.5, 0.25]
    """
    steps = sorted(milestones)
    return lambda step: lr * gamma ** bisect_right(steps, step)


def exponential(lr: float, gamma: float) -> Schedule:
    """lr · gamma^step (PyTorch's ExponentialLR).

    >>> exponential(1.0, 0.5)(3)
    0.125
    """
    return lambda step: lr * gamma**step


def cosine(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """end + (lr - end) · (1 + cos(π · step / steps)) / 2: from `lr` down to `end` in `steps` steps, then
    `end` (PyTorch's CosineAnnealingLR, up to its last step).

    >>> schedule = cosine(1.0, 100)
    >>> [round(schedule(step), 3) for step in (0, 25, 50, 100, 200)]
    [1.0, 0.854, 0.5, 0.0, 0.0]
    """
    _positive("cosine", "steps", steps)
    return lambda step: end + (lr - end) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def cosine_restarts(lr: float, steps: int, factor: int = 1, end: float = 0.0) -> Schedule:
    """`cosine` again and again: a cycle of `steps` steps, then one of `factor` times as many, and so on; each begins at
    `lr` (PyTorch's CosineAnnealingWarmRestarts). Loshchilov and Hutter, "SGDR" (2017).

    >>> schedule = cosine_restarts(1.0, 2, factor=2)
    >>> [round(schedule(step), 2) for step in range(7)]
    [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """
    _positive("cosine_restarts", "steps", steps)
    _positive("cosine_restarts", "factor", factor)

    def schedule(step: int) -> float:
        length = steps
        if factor == 1:
            step %= steps
        while step >= length:
            step -= length
            length *= factor
        return end + (lr - end) * (1 + math.cos(math.pi * step / length)) / 2

    return schedule


def one_cycle(
    lr: float,
    steps: int,
    rise: float = 0.3,
    start: float | None = None,
    end: float | None = None,
    *,
    anneal: str = "cos",
    three_phase: bool = False,
) -> Schedule:
    """From `start` up to `lr` in the fraction `rise` of the `steps`, then down to `end` at the last of them (PyTorch's
    OneCycleLR). Momentum goes the other way: `momentum=one_cycle(0.85, steps, start=0.95, end=0.95)`.

    Args:
        lr: the highest learning rate.
        steps: of the whole cycle.
        rise: the fraction of the steps that go up.
        start: where it begins; None: lr / 25.
        end: where it ends; None: start / 10⁴.
        anneal: "cos", along a half wave of the cosine, or "linear".
        three_phase: down to `start` as fast as it went up, and from there to `end`.

    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates" (2018).

    >>> schedule = one_cycle(1.0, 11, rise=0.5, start=0.0, end=0.0, anneal="linear")
    >>> [round(schedule(step), 2) for step in (0, 2, 4, 6, 10)]
    [0.0, 0.44, 0.89, 0.73, 0.0]
    """
    _positive("one_cycle", "steps", steps)
    if not 0 <= rise <= 1:
        raise ValueError(f"one_cycle: rise={rise} must be in [0, 1]")
    between = _annealing("one_cycle", anneal)
    start = lr / 25 if start is None else start
    end = start / 1e4 if end is None else end
    # Where each phase ends, which may lie between two steps, and the value there.
    phases = [(rise * steps - 1, lr), (2 * rise * steps - 2, start)] if three_phase else [(rise * steps - 1, lr)]
    phases.append((steps - 1, end))

    def schedule(step: int) -> float:
        before, value = 0.0, start
        for until, goal in phases:
            if step <= until:
                return between(value, goal, (step - before) / (until - before) if until > before else 1.0)
            before, value = until, goal
        return end

    return schedule


def cyclic(
    low: float,
    high: float,
    up: int = 2000,
    down: int | None = None,
    *,
    scale: str | Callable[[float], float] = "triangular",
    gamma: float = 1.0,
) -> Schedule:
    """From `low` up to `high` in `up` steps and back in `down`, again and again (PyTorch's CyclicLR).

    Args:
        low, high: the lowest and the highest learning rate.
        up, down: steps on the way up, and on the way down (None: as many).
        scale: by what the height high - low is multiplied: "triangular", 1; "triangular2", halved at each cycle;
            "exp_range", gamma^step; or a function of the number of the cycle, which counts from 1.
        gamma: for "exp_range".

    Smith, "Cyclical learning rates for training neural networks" (2017).

    >>> schedule = cyclic(0.0, 1.0, up=2, scale="triangular2")
    >>> [schedule(step) for step in range(8)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    """
    down = up if down is None else down
    _positive("cyclic", "up", up)
    _positive("cyclic", "down", down)
    if not callable(scale) and scale not in ("triangular", "triangular2", "exp_range"):
        raise ValueError(f"cyclic: scale={scale!r} must be 'triangular', 'triangular2', 'exp_range' or a function")

    def schedule(step: int) -> float:
        cycle, at = divmod(step, up + down)
        height = at / up if at <= up else (up + down - at) / down
        if callable(scale):
            height *= scale(cycle + 1)
        elif scale == "triangular2":
            height /= 2**cycle
        elif scale == "exp_range":
            height *= gamma**step
        return low + (high - low) * height

    return schedule


def inverse_sqrt(lr: float, warmup_steps: int) -> Schedule:
    """lr · min((step + 1) / warmup_steps, √(warmup_steps / (step + 1))): up to `lr` in a line, then down with the root of
    the number of steps. Vaswani et al., "Attention is all you need" (2017), where lr is (width · warmup_steps)^-1/2.

    >>> schedule = inverse_sqrt(1.0, 4)
    >>> [schedule(step) for step in (0, 1, 3, 15)]
    [0.25, 0.5, 1.0, 0.5]
    """
    _positive("inverse_sqrt", "warmup_steps", warmup_steps)
    return lambda step: lr * min((step + 1) / warmup_steps, math.sqrt(warmup_steps / (step + 1)))


def polynomial(lr: float, steps: int, power: float = 1.0, end: float = 0.0) -> Schedule:
    """end + (lr - end) · (1 - step / steps)^power: from `lr` to `end` in `steps` steps, then `end` (PyTorch's
    PolynomialLR).

    >>> polynomial(1.0, 4, power=2.0)(2)
    0.25
    """
    _positive("polynomial", "steps", steps)
    return lambda step: end + (lr - end) * (1 - min(step / steps, 1)) ** power


def linear(start: float, end: float, steps: int) -> Schedule:
    """start + (end - start) · step / steps: from `start` to `end` in `steps` steps, then `end` (PyTorch's
    LinearLR).

    >>> linear(0.0, 1.0, 4)(1)
    0.25
    """
    return polynomial(start, steps, end=end)


def piecewise(pieces: Sequence[float | Schedule], boundaries: Sequence[int]) -> Schedule:
    """One learning rate or schedule after the other: the first up to `boundaries[0]`, and so on. A schedule
    counts from its own first step. (PyTorch's MultiStepLR and SequentialLR.)

    Raises:
        ValueError: not one boundary less than pieces, or boundaries that do not rise.

    >>> schedule = piecewise([0.1, 0.01, 0.001], [100, 200])
    >>> [schedule(step) for step in (0, 99, 100, 250)]
    [0.1, 0.1, 0.01, 0.001]
    """
    if len(boundaries) != len(pieces) - 1:
        raise ValueError(
            f"piecewise: {len(pieces)} pieces need {len(pieces) - 1} boundaries between them, not {len(boundaries)}"
        )
    starts = [0, *boundaries]
    if any(a >= b for a, b in zip(starts[:-1], boundaries, strict=True)):
        raise ValueError(f"piecewise: boundaries {list(boundaries)} must be positive and rise")
    schedules = [piece if callable(piece) else constant(piece) for piece in pieces]

    def schedule(step: int) -> float:
        i = bisect_right(starts, step) - 1
        return schedules[i](step - starts[i])

    return schedule


def product(*schedules: float | Schedule) -> Schedule:
    """The product of schedules and numbers: a learning rate, and factors of it (PyTorch's ChainedScheduler).

    >>> schedule = product(exponential(1.0, 0.5), linear(0.0, 1.0, 4))
    >>> [schedule(step) for step in (0, 1, 4)]
    [0.0, 0.125, 0.0625]
    """
    return lambda step: math.prod(s(step) if callable(s) else s for s in schedules)


def multiplicative(lr: float, factor: Callable[[int], float]) -> Schedule:
    """lr · factor(1) · factor(2) ⋯ factor(step), for a factor that is a function of the step (PyTorch's MultiplicativeLR).

    The latest product is kept, so that the next step costs one multiplication.

    >>> schedule = multiplicative(1.0, lambda step: 1 / step)
    >>> [schedule(step) for step in (0, 1, 2, 4)]
    [1.0, 1.0, 0.5, 0.041666666666666664]
    """
    latest = 0, lr

    def schedule(step: int) -> float:
        nonlocal latest
        at, value = latest if latest[0] <= step else (0, lr)
        for k in range(at + 1, step + 1):
            value *= factor(k)
        latest = step, value
        return value

    return schedule


def averaging(schedule: float | Schedule, start: int, lr: float, steps: int = 10, anneal: str = "cos") -> Schedule:
    """The schedule up to step `start`; from its value there to `lr` in `steps` steps, and on with that, for averaging the
    parameters from then on (PyTorch's SWALR). `anneal` is "cos" or "linear".

    Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018).

    >>> rates = averaging(1.0, 10, 0.5, steps=2)
    >>> [rates(step) for step in (10, 11, 12, 50)]
    [1.0, 0.75, 0.5, 0.5]
    """
    between = _annealing("averaging", anneal)
    first = schedule(start) if callable(schedule) else schedule
    return piecewise([schedule, lambda step: between(first, lr, min(1.0, step / steps) if steps else 1.0)], [start])


def warmup(schedule: float | Schedule, steps: int, start: float = 0.0) -> Schedule:
    """In `steps` steps from `start` times the schedule's first value up to that value, then the schedule from
    its beginning (PyTorch's SequentialLR of LinearLR and the schedule).

    >>> schedule = warmup(cosine(1.0, 100), 4)
    >>> [schedule(step) for step in (0, 1, 2, 3, 4, 54)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.5]
    """
    first = schedule(0) if callable(schedule) else schedule
    return piecewise([linear(start * first, first, steps), schedule], [steps])


def _annealing(name: str, kind: str) -> Callable[[float, float, float], float]:
    """The value between two others at a fraction of the way."""
    if kind == "cos":
        return lambda a, b, x: b + (a - b) * (1 + math.cos(math.pi * x)) / 2
    if kind == "linear":
        return lambda a, b, x: a + (b - a) * x
    raise ValueError(f"{name}: anneal={kind!r} must be 'cos' or 'linear'")


def _positive(name: str, argument: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}: {argument}={value} must be at least 1")
