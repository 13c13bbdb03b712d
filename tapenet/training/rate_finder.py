"""Which learning rate to train with, by trying them all."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import DTypeLike

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms.curve import curve
from tapenet.nn.module import Module
from tapenet.optim.optimizer import Optimizer
from tapenet.training.batches import looped, split, whole
from tapenet.training.compiled_step import Routine
from tapenet.training.fit_arguments import bind, check_loss, check_model, check_optimizer
from tapenet.training.seeding import random_states, set_random_states
from tapenet.training.steps import Clip, Loss, forward_of, measured_by, whole_step
from tapenet.training.training_mode import mode


class Rates:
    """What `find_lr` found.

    Attributes:
        rates: the learning rates that were tried, rising.
        losses: the loss of the batch after each, before the update.
        smooth: the same smoothed, in both directions so that it comes neither later nor sooner.
        suggestion: where the smoothed losses fall fastest, a good rate to begin with; nan where it falls nowhere.
    """

    def __init__(self, rates: list[float], losses: list[float]) -> None:
        self.rates = rates
        self.losses = losses
        self.smooth = _running(_running(losses)[::-1])[::-1]
        self.suggestion = _steepest(rates, self.smooth)

    def plot(self, path: str | os.PathLike[str] | None = None) -> str:
        """Draw the losses over the rates, with the suggestion marked, as SVG; written to `path` where that is given.

        Raises:
            ValueError: the suffix of `path` is not .svg, .png or .pdf.
        """
        mark = None if math.isnan(self.suggestion) else (self.suggestion, f"suggestion {self.suggestion:.2g}")
        most = 1.5 * max(self.smooth[: int(np.argmin(self.smooth)) + 1])  # what comes after the fall needs no room
        shown = {"loss": self.losses, "smoothed": self.smooth}
        text = curve(
            {name: [v if v <= most else math.nan for v in values] for name, values in shown.items()},
            "Which learning rate?", "learning rate", "loss", x=self.rates, log_x=True, mark=mark,
        )  # fmt: skip
        if path is not None:
            Chart(text).save(path)
        return text

    def _repr_html_(self) -> str:
        return self.plot()

    def __repr__(self) -> str:
        low, high = self.rates[0], self.rates[-1]
        return f"<{len(self.rates)} learning rates from {low:.2g} to {high:.2g}; suggestion {self.suggestion:.2g}>"


def find_lr(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    data: object,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    compile: bool = True,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    precision: DTypeLike | None = None,
) -> Rates:
    """Train for a few updates with a learning rate that rises from one to the next, and look at the loss: it stays, falls, and
    rises again. It ends early where the loss is four times the least, or not finite.

    Model, optimizer, random generators, the position in the data and modes are as before afterwards, whatever happens. But
    gradients are cleared, and an optimizer that had no parameters has those of the model.

    Args:
        model, loss, optimizer, data, batch_size, compile, clip_norm, clip_value, precision: as for `fit`.
        low, high: the rates to begin and to end with. In between they are equally far apart on a logarithmic scale.
        steps: how many.

    Returns:
        rates and losses, with a suggestion; shown in a notebook it is the curve. Where groups have different rates, they are
        those of the first, and the others are changed by the same factor.

    Smith, "Cyclical learning rates for training neural networks" (2017), section 3.3.

    Raises:
        ValueError: rates that do not rise, fewer than 10 steps, or data without a batch.
        TypeError, RuntimeError: a model, loss or optimizer that `fit` would not take, as one of another model.

    >>> import tapenet as tn
    >>> from tapenet import nn, optim
    >>> import tapenet.nn.functional as F
    >>> tn.training.seed(0)
    >>> images, labels, _, _ = tn.data.digits()
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 10))
    >>> found = find_lr(net, F.cross_entropy, optim.Adam(net), (images, labels))
    >>> 1e-4 < found.suggestion < 1e-1
    True
    """
    if not 0 < low < high or steps < 10:
        raise ValueError(f"find_lr: low={low}, high={high} must rise from above 0, and steps={steps} be at least 10")
    check_model("find_lr", model)
    if loss is not None:
        check_loss("find_lr", loss)
    check_optimizer("find_lr", optimizer)
    batches = looped(data, batch_size, shuffle=True, seed=0, who="find_lr")
    bind("find_lr", [optimizer], model)
    clip = Clip(list(model.parameters()), clip_norm, clip_value)
    step = Routine(
        whole_step(forward_of(model, loss, precision), [optimizer], clip, None, measured_by(())),
        "the training step", compile, lambda text: None,
    )  # fmt: skip
    before = [group["lr"] for group in optimizer.groups]
    numbers = optimizer.rates()
    ratios = [number / numbers[0] if numbers[0] else 1.0 for number in numbers]
    saved = model.state_dict(), optimizer.state_dict(), random_states()
    place = batches.state_dict() if hasattr(batches, "state_dict") else None
    apart = whole if loss is None else split
    rates: list[float] = []
    losses: list[float] = []
    least = math.inf
    try:
        with mode(model, True):
            for i, batch in enumerate(itertools.islice(_again(batches), steps)):
                rate = low * (high / low) ** (i / (steps - 1))
                for group, ratio in zip(optimizer.groups, ratios, strict=True):
                    group["lr"] = rate * ratio
                value = step(*apart(batch))[0].item()
                if not math.isfinite(value):
                    break
                rates.append(rate)
                losses.append(value)
                recent = sum(losses[-_RECENT:]) / len(losses[-_RECENT:])
                least = min(least, recent)
                if recent > 4 * least:
                    break
    finally:
        for group, rate in zip(optimizer.groups, before, strict=True):
            group["lr"] = rate
        model.load_state_dict(saved[0])
        optimizer.load_state_dict(saved[1])
        optimizer.zero_grad()
        set_random_states(saved[2])
        if hasattr(batches, "load_state_dict"):
            batches.load_state_dict(place)
    if not losses:
        raise ValueError("find_lr: the data gave no batch, or the first loss is not finite")
    return Rates(rates, losses)


#: How much of a running mean stays at each step, and of how many losses the mean tells that it is time to end.
_KEPT, _RECENT = 0.8, 5


def _running(values: list[float]) -> list[float]:
    """A running mean."""
    found: list[float] = []
    mean = 0.0
    for i, value in enumerate(values):
        mean = _KEPT * mean + (1 - _KEPT) * value
        found.append(mean / (1 - _KEPT ** (i + 1)))  # it began at 0
    return found


def _again(data: Iterable[object]) -> Iterator[object]:
    """The batches of data, over and over."""
    while True:
        empty = True
        for batch in data:
            empty = False
            yield batch
        if empty:
            return


def _steepest(rates: list[float], losses: list[float]) -> float:
    """The rate at which the losses fall fastest over the logarithm of the rate, before they are least."""
    least = int(np.argmin(losses)) + 1
    if least < 3:
        return float("nan")
    slopes = np.gradient(np.array(losses[:least]), np.log(rates[:least]))
    return rates[int(np.argmin(slopes))]
