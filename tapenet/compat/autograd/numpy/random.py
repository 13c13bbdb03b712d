"""`numpy.random`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapenet.compat.autograd.values import functions_of

if TYPE_CHECKING:
    from numpy.random import *  # noqa: F403

__getattr__ = functions_of("numpy.random", __name__)
