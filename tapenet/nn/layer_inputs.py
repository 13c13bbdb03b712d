"""Inputs of layers: made arrays, and cast to the dtype of the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tapenet import ops
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.program.low import is_float, is_low
from tapenet.typing import Array


def here() -> str:
    """The layer that is running, for errors: its class and, inside a model, its path."""
    scope = local.state.scope
    return f"{scope.title} ({scope.path})" if scope.path else scope.title or "nn.functional"


def asarray(x: ArrayLike) -> Tensor:
    """`x` if it is an array of some kind, else (numbers, nested lists) an ndarray of it. For type checkers a tensor, since
    layers compute with both alike.

    Raises:
        TypeError: it holds something else than real numbers.
        ValueError: nested lists of unequal lengths.
    """
    array: Any = x
    if not hasattr(x, "dtype"):
        if x is None:
            raise TypeError(f"{here()} got None for its input: does the forward that made it end with a return?")
        try:
            array = np.asarray(x)
        except ValueError as error:
            raise ValueError(f"{here()} got nested lists that make no array: {error}") from None
    if getattr(array.dtype, "kind", "O") not in "biu" and not is_float(array.dtype):
        raise TypeError(f"{here()} takes an array of real numbers, not {type(array).__name__} of {array.dtype}")
    found: Tensor = array
    return found


def cast_optional(weight: ArrayLike | None, like: Tensor) -> Tensor | None:
    """A weight in the dtype of an input, where there is one."""
    return None if weight is None else cast(weight, like)


def cast(x: ArrayLike, parameter: Tensor | Array) -> Tensor:
    """`x` as an array or tensor in the dtype of a parameter, which is the dtype a layer computes in; see `asarray`.

    Inside `tn.autocast` an input of a low type stays as it is: what ops compute in is decided there.
    """
    array: Any = x
    if not hasattr(array, "dtype") or array.dtype != parameter.dtype:
        array = asarray(x)
        if array.dtype != parameter.dtype and not (local.state.autocast is not None and is_low(array.dtype)):
            array = ops.astype(array, parameter.dtype)
    found: Tensor = array
    return found
