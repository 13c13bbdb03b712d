"""Losses that hold the layer before them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet import ops
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import functional as F
from tapenet.nn.containers import ModuleList, Sequential
from tapenet.nn.layer_inputs import asarray, cast, cast_optional
from tapenet.nn.linear import Linear
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.nn.parameter import FLOAT, Buffer
from tapenet.ops.random import generator


class LinearCrossEntropyLoss(Module):
    """The cross entropy of a linear layer's scores; see `tn.linear_cross_entropy`.

    Args:
        in_features: the length of the vectors that come in.
        num_classes: how many classes.
        out_features: further axes of the scores, after that of the classes.
        bias: whether the layer has one.
        weight: a weight for each class, kept as a buffer.
        reduction, ignore_index, label_smoothing: those of `tn.cross_entropy`.

    Attributes:
        linear: the layer, with num_classes · Π out_features results.
    """

    weight: Tensor | None
    takes_parameters_of = ("linear",)

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        reduction: str = "mean",
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.reduction = reduction
        self.weight = None if weight is None else Buffer(weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, dtype=dtype, rng=rng)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        layer = self.linear
        input = cast(input, layer.weight)
        shape = (self.num_classes, *self.out_features)
        return F.linear_cross_entropy(
            input,
            layer.weight.reshape((*shape, layer.in_features)),
            asarray(target),
            linear_bias=None if layer.bias is None else layer.bias.reshape(shape),
            weight=cast_optional(self.weight, input),
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        text = f"num_classes={self.num_classes}, out_features={self.out_features}"
        return text + settings(self, {"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0})


class ASMoutput(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` gives: the log-probability of each target, and the loss, minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """A softmax over many classes in clusters, so that frequent ones cost little.

    The head tells the most frequent classes and the clusters of the others apart; a class of a cluster is told by the
    cluster's tail, whose inner layer is the smaller the rarer its classes. Only the tails of classes that are targets are
    computed. (While a step is captured all are, since a program cannot depend on targets.) Grave, Joulin, Cissé,
    Grangier and Jégou, arXiv:1609.04309.

    Shapes: input (n, in_features) and target (n,), or without n.

    Args:
        in_features: the length of the vectors that come in.
        n_classes: how many classes there are, in descending order of frequency.
        cutoffs: the first class of each cluster, in ascending order.
        div_value: how much smaller the inner layer of each further cluster is.
        head_bias: whether the head has a bias.
        dtype: of the parameters.
        rng: a generator for the initial values.

    Returns:
        `output`, the log-probability of each target, and `loss`, minus their mean.

    Raises:
        ValueError: cutoffs that do not ascend between 1 and n_classes - 1, or shapes that do not fit.
        IndexError: a target that is no class.

    >>> from tapenet import nn
    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2, 5], rng=0)
    >>> layer.log_prob([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 10)
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        ends = [0, *cutoffs, n_classes]
        if len(ends) < 3 or any(int(a) != a or a >= b for a, b in itertools.pairwise(ends)):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs={list(cutoffs)} must be integers that ascend between 1 and "
                f"{n_classes - 1}, one at least"
            )
        rng = generator(rng)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = ends[1:]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, dtype=dtype, rng=rng)
        self.tail = ModuleList()
        for i, (start, stop) in enumerate(itertools.pairwise(self.cutoffs)):
            inner = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, dtype=dtype, rng=rng),
                    Linear(inner, stop - start, bias=False, dtype=dtype, rng=rng),
                )
            )

    def forward(self, input: ArrayLike, target: ArrayLike) -> ASMoutput:
        input, target = asarray(input), asarray(target)
        if target.ndim > 1 or input.ndim != target.ndim + 1 or input.shape[:-1] != target.shape:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: input {input.shape} and target {target.shape}: give (n, in_features) and "
                "(n,), or without n"
            )
        if not target.ndim:
            output, loss = self.forward(np.expand_dims(input, 0), np.expand_dims(target, 0))
            return ASMoutput(output[0], loss)
        logs = self._of_targets(input, target)
        return ASMoutput(logs, -logs.mean())

    def _of_targets(self, input: Tensor, target: Tensor) -> Tensor:
        """The log-probability of each target."""
        known = None if capturing() is not None else np.asarray(target.data if isinstance(target, Tensor) else target)
        if known is not None and known.size and not 0 <= known.min() <= known.max() < self.n_classes:
            raise IndexError(
                f"AdaptiveLogSoftmaxWithLoss: target holds classes from {known.min()} to {known.max()}, but they are from "
                f"0 to {self.n_classes - 1}"
            )
        places, tails = target, None
        for i, (start, stop) in enumerate(itertools.pairwise(self.cutoffs)):
            inside = (target >= start) & (target < stop)
            places = ops.where(inside, self.shortlist_size + i, places)
            if known is None:
                logs = F.log_softmax(self.tail[i](input), 1)
                found = ops.where(inside, _picked(logs, ops.where(inside, target - start, 0)), 0)
            else:
                rows = np.flatnonzero((known >= start) & (known < stop))
                if not rows.size:
                    continue
                logs = F.log_softmax(self.tail[i](input[rows]), 1)
                found = ops.scatter_add(_picked(logs, known[rows] - start), rows, known.shape)
            tails = found if tails is None else tails + found
        head = _picked(F.log_softmax(self.head(input), 1), places)
        return head if tails is None else head + tails

    def log_prob(self, input: ArrayLike) -> Tensor:
        """The log-probabilities of all classes: (n, n_classes)."""
        input = asarray(input)
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            cluster = head[:, self.shortlist_size + i, None]
            parts.append(F.log_softmax(tail(input), 1) + cluster)
        whole: Tensor = ops.concatenate(parts, 1)
        return whole

    def predict(self, input: ArrayLike) -> Tensor:
        """The likeliest class of each row: (n,)."""
        return self.log_prob(input).argmax(1)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.n_classes}, cutoffs={self.cutoffs[:-1]}"


def _picked(logs: Tensor, classes: ArrayLike) -> Tensor:
    found: Tensor = ops.take_along_axis(logs, np.expand_dims(classes, 1), 1)
    return found[:, 0]
