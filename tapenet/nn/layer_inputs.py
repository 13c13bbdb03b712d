"""What layers do with their inputs before computing: the dtype of their parameters, and words for what is no array."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.state import local
from tapenet.program.low import is_float, is_low


def here() -> str:
    """The layer that is running, for errors: its class and, inside a model, its path."""
    scope = local.state.scope
    return f"{scope.title} ({scope.path})" if scope.path else scope.title or "nn.functional"


def asarray(x: Any) -> Any:
    """`x` if it is an array of some kind, else (numbers, nested lists) an ndarray of it.

    Raises:
        TypeError: it holds something else than real numbers.
        ValueError: nested lists of unequal lengths.
    """
    if not hasattr(x, "dtype"):
        if x is None:
            raise TypeError(f"{here()} got None for its input: does the forward that made it end with a return?")
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise ValueError(f"{here()} got nested lists that make no array: {error}") from None
    if getattr(x.dtype, "kind", "O") not in "biu" and not is_float(x.dtype):
        raise TypeError(f"{here()} takes an array of real numbers, not {type(x).__name__} of {x.dtype}")
    return x


def cast(x: Any, parameter: Any) -> Any:
    """`x` as an array or tensor in the dtype of a parameter, which is the dtype a layer computes in.

    Inside `tn.autocast` an input of a low type stays as it is: what ops compute in is decided there.
    """
    if not hasattr(x, "dtype") or x.dtype != parameter.dtype:
        x = asarray(x)
        if x.dtype != parameter.dtype and not (local.state.autocast is not None and is_low(x.dtype)):
            x = ops.astype(x, parameter.dtype)
    return x
