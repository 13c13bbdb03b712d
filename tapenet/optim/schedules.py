"""Learning rates as plain functions of the step, which counts from 0: `SGD(params, lr=cosine(0.1, 1000))`.

Each function here returns such a function; any other function of the step will do. After its last step a
schedule stays where it is. Where PyTorch has a scheduler of the kind, the values are the same.
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


def warmup(schedule: float | Schedule, steps: int, start: float = 0.0) -> Schedule:
    """In `steps` steps from `start` times the schedule's first value up to that value, then the schedule from
    its beginning (PyTorch's SequentialLR of LinearLR and the schedule).

    >>> schedule = warmup(cosine(1.0, 100), 4)
    >>> [schedule(step) for step in (0, 1, 2, 3, 4, 54)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.5]
    """
    first = schedule(0) if callable(schedule) else schedule
    return piecewise([linear(start * first, first, steps), schedule], [steps])


def _positive(name: str, argument: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}: {argument}={value} must be at least 1")
