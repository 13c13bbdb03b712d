"""What uncompiled loops and branches give: values of their own, as compiled ones do, and not the arrays of gradients."""

from __future__ import annotations

from sys import getrefcount

import numpy as np

from tapenet.autodiff.tensor import Tensor

#: The references to an array that a tensor alone holds, or to one that a view alone holds, as `_shared` counts them.
_ALONE = (lambda t: getrefcount(t._data))(Tensor._of(np.ones(1) + 1))


def _shared(t: Tensor) -> bool:
    """Whether somebody else holds the array of a tensor, or the one of which it is a view."""
    return getrefcount(t._data) > _ALONE or (t._data.base is not None and getrefcount(t._data.base) > _ALONE)


def apart(values: list[Tensor]) -> list[Tensor]:
    """What a body has returned, by value: an array that somebody else holds as well may be a gradient, to which a later
    backward pass adds in place. (In a graph gradients do not change.)"""
    for t in values:
        if type(t) is Tensor and t._node is None and _shared(t):
            t._data = t._data.copy(order="K")
    return values
