"""What is written over an array of the caller's own."""

from __future__ import annotations

from typing import Any

import numpy as np


def over(ufunc: Any, x: Any) -> Any:
    """ufunc(x), written over x where that is an array: one of the caller's own."""
    return ufunc(x, out=x) if type(x) is np.ndarray else ufunc(x)
