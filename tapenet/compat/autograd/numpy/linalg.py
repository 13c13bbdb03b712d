"""`numpy.linalg`, whose functions take tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tapenet.linalg as ours
from tapenet.compat.autograd.values import functions_of

if TYPE_CHECKING:
    from numpy.linalg import *  # noqa: F403

__getattr__ = functions_of("numpy.linalg", __name__, ours)
