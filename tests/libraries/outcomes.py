"""What becomes of a call of another library's function on tensors, beside the same call on arrays."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

import tapenet as tn
from tapenet.testing import GradientMismatch, check_grads

#: NumPy's values, and derivatives that agree with finite differences.
DIFFERENTIATED = "differentiated"
#: NumPy's values as tensors or numbers; no gradient flows.
VALUES = "values"
#: NumPy's values, but of tensors that need a gradient an array is asked for, which is an error.
ARRAYS = "arrays"
#: An error, other values, or wrong derivatives.
LACKS = "lacks"


class Call(NamedTuple):
    """A call: what the tables call it, the function, and its arguments, of which arrays of floats are differentiated by."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def words(text: str) -> list[str]:
    """The names in a text."""
    return text.split()


def parts(found: Any) -> list[Any]:
    """The numbers and arrays in a result."""
    if isinstance(found, (tn.Tensor, np.ndarray, np.generic, int, float, complex)):
        return [found]
    if isinstance(found, dict):
        return [part for value in found.values() for part in parts(value)]
    if isinstance(found, (list, tuple)):
        return [part for value in found for part in parts(value)]
    if hasattr(found, "statistic"):
        return [part for value in (found.statistic, getattr(found, "pvalue", 0.0)) for part in parts(value)]
    return []


def outcome(call: Call) -> str:
    """What becomes of a call."""
    floats = [i for i, a in enumerate(call.args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def run(*values: Any) -> list[Any]:
        given = [tn.asarray(a) if isinstance(a, np.ndarray) else a for a in call.args]
        for i, value in zip(floats, values, strict=True):
            given[i] = value
        return parts(call.function(*given, **call.kwargs))

    def differentiable(*values: Any) -> list[Any]:
        return [out for out in run(*values) if isinstance(out, tn.Tensor) and out.dtype.kind in "fc"]

    expected = parts(call.function(*call.args, **{n: np if v is tn else v for n, v in call.kwargs.items()}))
    arrays = [call.args[i] for i in floats]
    try:
        found = [o.numpy() if isinstance(o, tn.Tensor) else o for o in run(*map(tn.tensor, arrays))]
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    except (AssertionError, TypeError, ValueError, AttributeError):
        return LACKS
    try:
        if not any(out.requires_grad for out in differentiable(*(tn.tensor(a, requires_grad=True) for a in arrays))):
            return VALUES
    except (TypeError, ValueError) as error:
        return ARRAYS if "not turned into an ndarray" in str(error) or "common type" in str(error) else LACKS
    try:
        check_grads(differentiable, arrays, order=1)
    except (GradientMismatch, TypeError, ValueError):
        return LACKS
    return DIFFERENTIATED


def say(calls: Iterable[Call]) -> None:
    """Print the outcomes as JSON: name by name, the worst of its calls."""
    order = [DIFFERENTIATED, VALUES, ARRAYS, LACKS]
    found: dict[str, str] = {}
    warnings.simplefilter("ignore")
    for call in calls:
        try:
            now = outcome(call)
        except Exception as error:
            error.add_note(f"in the call of {call.name}")
            raise
        found[call.name] = max(found.get(call.name, DIFFERENTIATED), now, key=order.index)
    print(json.dumps(found))
