"""Warnings about losses that do not fit their outputs and targets."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from tapenet import nn
from tapenet.autodiff.state import no_grad
from tapenet.metrics.broadcasting import pairing_of
from tapenet.nn import functional as F
from tapenet.ops.stack_frames import user_site
from tapenet.training.batches import as_array, as_arrays, as_tensors
from tapenet.typing import Array


class Pairing:
    """Watches whether a loss takes each output with every target, as `((output - target) ** 2).mean()` does of shapes (N, 1)
    and (N,), which NumPy broadcasts to (N, N).

    `note` is called where output and target are, which may be within a step that is captured; `warn` outside, once there
    was a batch.
    """

    def __init__(self, loss: Callable[..., object] | None, who: str) -> None:
        self._loss = loss
        self._who = who
        self._met: tuple[Array | None, Array | None] | None = None
        self._looked = False

    def note(self, output: object, target: object) -> None:
        """Keep the shapes, if they are two that may be taken in pairs."""
        if self._met is None and not self._looked:
            self._met = _like(output), _like(target)

    def warn(self) -> None:
        """Warn of it, once."""
        if self._met is not None and not self._looked:
            self._looked = True
            if problem := pairing(self._loss, *self._met):
                warnings.warn_explicit(f"{self._who}: {problem}", RuntimeWarning, *user_site())


def pairing(loss: Callable[..., object] | None, output: Array | None, target: Array | None) -> str:
    """What is wrong where a loss takes each output with every target; "" if it does not. See `metrics.pairing`."""
    if loss is None or output is None or target is None:
        return ""

    def value(o: Array, t: Array) -> object:
        return as_arrays(loss(as_tensors(o), as_tensors(t)))

    with no_grad():
        problem = pairing_of(value, output, target)
    return f"the loss {problem}" if problem else ""


def scale(loss: Callable[..., object], output: ArrayLike, target: ArrayLike) -> str:
    """What is wrong where outputs or targets are on another scale than the loss takes: probabilities where it takes scores, or
    labels that are not 0 and 1; "" if nothing is.

    >>> from tapenet.nn import functional as F
    >>> scale(F.cross_entropy, np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0]))
    'the outputs are probabilities, as after a Softmax, and cross_entropy takes scores, ... leave out the Softmax'
    >>> scale(F.cross_entropy, np.array([[-1.0, 3.0]]), np.array([1]))
    ''
    """

    def takes(function: object, kind: type) -> bool:
        return loss is function or isinstance(loss, kind)

    output, target = np.asarray(as_array(output)), np.asarray(target)
    if output.dtype.kind != "f" or output.ndim < 2 or not np.isfinite(output).all():
        return ""
    if takes(F.cross_entropy, nn.CrossEntropyLoss):
        if output.shape[1] > 1 and output.min() >= 0 and np.allclose(output.sum(axis=1), 1, atol=1e-4):
            return (
                "the outputs are probabilities, as after a Softmax, and cross_entropy takes scores, of which it makes "
                "probabilities itself: leave out the Softmax"
            )
    elif takes(F.nll_loss, nn.NLLLoss):
        if output.max() > 0:
            return (
                f"the outputs go up to {output.max():.3g}, and nll_loss takes logarithms of probabilities, which are not above "
                "0: end with nn.LogSoftmax(1), or take cross_entropy, which takes scores"
            )
    elif takes(F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss) and (target.min() < 0 or target.max() > 1):
        return (
            f"targets run from {target.min():g} to {target.max():g}, and binary cross entropy takes probabilities, such as "
            "labels of 0 and 1"
        )
    return ""


def _like(value: object) -> Array | None:
    """An array of the same shape and dtype that takes no memory; None for what is not an array."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return None if shape is None or dtype is None else np.broadcast_to(np.zeros((), dtype), shape)
