"""The steps for a batch: forward, backward and update, or forward alone."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.observe.autocast import autocast
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.metrics.metric import Metric
from tapenet.nn.module import Module
from tapenet.optim.grad_scaler import GradScaler
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.weight_averaging import Averaged
from tapenet.parameters.clipping import clip_grad_norm, clip_grad_value, scale_gradient
from tapenet.training.batches import called
from tapenet.training.meter import Measured
from tapenet.typing import Array

#: From output and target to the mean loss of a batch; None where the model gives the loss itself.
Loss = Callable[..., Tensor] | None
#: From inputs, target and weight to the loss and the output.
Forward = Callable[[object, object, Tensor | None], tuple[Tensor, object]]
#: What a step gives of a batch: the loss, and what metrics need.
Stepped = tuple[Tensor, Measured | None]
Step = Callable[..., Stepped]
#: From output, target and weight to what metrics need of a batch; see `measured_by`.
Measure = Callable[[object, object, object], Measured | None]


def forward_of(
    model: Callable[..., Any],
    loss: Loss,
    precision: DTypeLike | None = None,
    note: Callable[[object, object], None] = lambda output, target: None,
) -> Forward:
    """The loss of a batch, and the model's output. Where `loss` is None the model gives the loss itself, and no output.

    Weighted samples: sum(weight · loss of the sample) / number of samples, as in Keras. `note` is told output and target.
    """
    if loss is None:

        def forward(inputs: object, target: object, weight: Tensor | None) -> tuple[Tensor, object]:
            return called(model, inputs), None
    else:
        unreduced = _unreduced(loss)

        def forward(inputs: object, target: object, weight: Tensor | None) -> tuple[Tensor, object]:
            output = called(model, inputs)
            note(output, target)
            if weight is None:
                return loss(output, target), output
            each = unreduced(output, target)
            if each.ndim > weight.ndim:
                each = each.reshape((*each.shape[: weight.ndim], -1)).mean(axis=-1)
            if each.shape != weight.shape:
                raise ValueError(
                    f"the weights of a batch have shape {weight.shape}, and its losses {each.shape}: give one weight for each "
                    f"sample, {each.shape[:1]}"
                )
            return (each * weight).mean(), output

    if precision is None:
        return forward

    def low(inputs: object, target: object, weight: Tensor | None) -> tuple[Tensor, object]:
        with autocast(precision):
            return forward(inputs, target, weight)

    return low


def _unreduced(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The loss of each sample, or a function that raises why there is none."""
    if isinstance(loss, Module) and hasattr(loss, "reduction"):
        each = copy.copy(loss)
        each.reduction = "none"
        return each
    with contextlib.suppress(TypeError, ValueError):
        if "reduction" in inspect.signature(loss).parameters:
            return lambda output, target: loss(output, target, reduction="none")

    def refuse(output: object, target: object) -> NoReturn:
        raise TypeError(
            f"the batch has weights, and the loss {getattr(loss, '__name__', type(loss).__name__)} takes no "
            "reduction='none', by which it would give the loss of each sample: give one that does, such as those of "
            "tapenet.nn.functional"
        )

    return refuse


def measured_by(metrics: Sequence[Metric[object]]) -> Measure:
    """What is computed in a step for these metrics: what those that can count in it count, and the output where others need
    it. None where there are no metrics."""
    counters: list[Callable[..., Any] | None] = [metric.in_step() for metric in metrics]
    if not counters:
        return lambda output, target, weight: None

    def measure(output: object, target: object, weight: object) -> Measured:
        counts: tuple[Tensor | None, ...] = (None,) * len(counters)
        if weight is None and type(output) is Tensor and type(target) is Tensor:
            with no_grad():
                counts = tuple(None if c is None else c(output, target) for c in counters)
        return counts, output if any(count is None for count in counts) else None

    return measure


@dataclass
class Clip:
    """Limits on gradients before an update."""

    params: list[Tensor]
    norm: float | None
    value: float | None

    @property
    def limits(self) -> bool:
        """Whether there is a limit."""
        return self.value is not None or self.norm is not None

    def __call__(self) -> None:
        if self.value is not None:
            clip_grad_value(self.params, self.value)
        if self.norm is not None:
            clip_grad_norm(self.params, self.norm)


def whole_step(
    forward: Forward,
    optimizers: Sequence[Optimizer],
    clip: Callable[[], None],
    average: Averaged | None,
    measure: Measure,
) -> Step:
    """Forward, backward and update in one function of a batch, which can be one program."""

    def train_step(inputs: object, target: object, weight: Tensor | None) -> Stepped:
        loss, output = forward(inputs, target, weight)
        for optimizer in optimizers:
            optimizer.zero_grad()
        _backward(loss)
        clip()
        for optimizer in optimizers:
            optimizer.step()
        if average is not None:
            average.update()
        return loss, measure(output, target, weight)

    return train_step


def _check(loss: object) -> None:
    """Raise unless it is a loss that can be learnt from, also where it is only measured."""
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"the loss is a {type(loss).__name__}, through which no gradient flows: it must be a tensor, computed from the "
            "model's output by tensor operations, without float(), .item() or .numpy()"
        )
    if loss.size != 1:
        raise ValueError(
            f"the loss of a batch has shape {loss.shape}; it must be one number, such as the mean over the batch: loss.mean()"
        )


def _backward(loss: Tensor, factor: Array | None = None) -> None:
    _check(loss)
    (loss if factor is None else loss * factor).backward()


def gradient_step(forward: Forward, measure: Measure) -> Step:
    """Forward and backward; gradients are added to those there are. The loss is multiplied by a factor first."""

    def gradients(inputs: object, target: object, weight: Tensor | None, factor: Array) -> Stepped:
        loss, output = forward(inputs, target, weight)
        _backward(loss, factor)
        return loss, measure(output, target, weight)

    return gradients


def forward_step(forward: Forward, measure: Measure) -> Step:
    """Forward alone."""

    def evaluate_step(inputs: object, target: object, weight: Tensor | None) -> Stepped:
        with no_grad():
            loss, output = forward(inputs, target, weight)
        _check(loss)
        return loss, measure(output, target, weight)

    return evaluate_step


@dataclass(eq=False)
class Parted:
    """An update from the gradients of several batches, or of a loss that was scaled for float16: gradients are a program, the
    update runs as it stands.

    The gradient is that of the mean over the samples of all batches.
    """

    gradients: Step
    params: list[Tensor]
    optimizers: Sequence[Optimizer]
    clip: Clip
    average: Averaged | None
    scaler: GradScaler | None
    parts: int

    def __post_init__(self) -> None:
        #: Of the batches since the last update: how many, the samples in the first and in all.
        self._done = self._first = self._samples = 0

    def __call__(
        self, inputs: object, target: object, weight: object, samples: int
    ) -> tuple[Tensor, Measured | None, bool]:
        """Take in a batch.

        Returns:
            its loss and output, and whether there was an update.
        """
        if not self._done:
            for param in self.params:
                param.grad = None
            self._first = samples
        scale = 1.0 if self.scaler is None else self.scaler.get_scale()
        factor = np.float32(scale * samples / (self._first * self.parts))
        loss, output = self.gradients(inputs, target, weight, factor)
        self._done += 1
        self._samples += samples
        return loss, output, self._done == self.parts and self.finish()

    def finish(self) -> bool:
        """Update from the batches since the last update; say whether there were any. (A scaler may have left out the update,
        where a gradient was infinite; it counts all the same.)"""
        if not self._done:
            return False
        factor = self._first * self.parts / self._samples
        self._done = self._samples = 0
        if factor != 1:
            for param in self.params:
                if (grad := param._held_grad()) is not None:
                    scale_gradient(param, grad, factor, "fit")
        stepped = True
        if self.scaler is None:
            self.clip()
            for optimizer in self.optimizers:
                optimizer.step()
        else:
            for optimizer in self.optimizers:
                self.scaler.unscale_(optimizer)
            self.clip()
            taken = [self.scaler.step(optimizer) for optimizer in self.optimizers]
            stepped = all(taken)
            self.scaler.update()
        if stepped and self.average is not None:
            self.average.update()
        return True
