"""Layers that act in training only."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import ops
from tapenet.nn.casting import asarray
from tapenet.nn.module import Module
from tapenet.ops.random import generator


class Dropout(Module):
    """In training, each element is set to 0 with probability `p` and the others are divided by 1 - p; else nothing.

    Args:
        p: probability of dropping an element.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.

    Raises:
        ValueError: `p` is not between 0 and 1.

    >>> from tapenet import nn
    >>> nn.Dropout(0.5).eval()([1.0, 2.0])
    array([1., 2.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p={p} is no probability: give a number from 0 to 1")
        self.p = p
        # An integer would begin the same numbers anew at each call.
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        return ops.dropout(asarray(x), self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"{self.p}"


class Identity(Module):
    """The input itself: a place for a layer that is not there.

    >>> from tapenet import nn
    >>> nn.Identity()(3)
    3
    """

    def forward(self, x: Any) -> Any:
        return x
