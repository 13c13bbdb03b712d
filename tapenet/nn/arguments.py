"""The arguments of layers, checked when a layer is made, so that an error names the layer and what to give."""

from __future__ import annotations

from typing import Any

import numpy as np


def whole(layer: Any, least: int = 0, **given: Any) -> None:
    """Check sizes: integers of `least` or more.

    Raises:
        TypeError: one is no integer.
        ValueError: one is too small.

    >>> from tapenet import nn
    >>> nn.Linear(2.0, 3)
    Traceback (most recent call last):
    TypeError: Linear: in_features=2.0: give an integer of 0 or more
    """
    for name, value in given.items():
        if isinstance(value, (int, np.integer)) and value >= least:
            continue
        kind = ValueError if isinstance(value, (int, np.integer)) else TypeError
        raise kind(f"{type(layer).__name__}: {name}={value!r}: give an integer of {least} or more")


def probability(layer: Any, **given: Any) -> None:
    """Check numbers from 0 to 1.

    Raises:
        TypeError: one is no number.
        ValueError: one is not between 0 and 1.
    """
    for name, value in given.items():
        if isinstance(value, (int, float, np.number)) and 0 <= value <= 1:
            continue
        kind = ValueError if isinstance(value, (int, float, np.number)) else TypeError
        raise kind(f"{type(layer).__name__}: {name}={value!r} is no probability: give a number from 0 to 1")
