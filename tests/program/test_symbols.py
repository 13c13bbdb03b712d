"""What operations in place do on symbols: what NumPy does to memory that arrays share, or an error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tapenet.program.ir import Builder, Input, Program
from tapenet.program.symbol_compositions import FUNCTIONS  # filled there
from tapenet.program.symbols import CannotLower, Symbol
from tapenet.typing import Array

X = np.arange(12.0).reshape(3, 4)
V = np.arange(4.0) + 0.5


def _read(formula: Callable[[Array, Array], Array]) -> Array:
    """What a formula gives that was read on symbols."""
    assert FUNCTIONS
    builder = Builder()
    inputs = [Input(X.shape, X.dtype), Input(V.shape, V.dtype)]
    out = formula(*(Symbol(builder, value, shared=True) for value in inputs))  # type: ignore[arg-type]
    (found,) = Program(inputs, [], builder.body, [out.value], []).evaluate([X, V], store=False)
    return found


def _twice(x: Array, v: Array) -> Array:
    out = x * 1
    out[1:, ...] += v
    out[..., 0] *= v[:3]
    out[1:] -= v
    return out


def _by_a_view(x: Array, v: Array) -> Array:
    out = x * 1
    row = out[1]
    row += v
    row *= 2
    return out + row


def _set_again(x: Array, v: Array) -> Array:
    out = x * 1
    row = out[1]
    row += v
    out[1] = row
    del row
    out[0] = v
    return out


@pytest.mark.parametrize("formula", [_twice, _by_a_view, _set_again])
def test_writing_through_a_view(formula: Callable[[Array, Array], Array]) -> None:
    assert np.array_equal(_read(formula), formula(X, V))


def _argument(x: Array, v: Array) -> Array:
    x[0] += v
    return x


def _another_view(x: Array, v: Array) -> Array:
    out = x * 1
    other = out[0]
    out[0] += v
    return other


def _view_of_a_view(x: Array, v: Array) -> Array:
    out = x * 1
    out[1:][0] += v
    return out


def _whole(x: Array, v: Array) -> Array:
    out = x * 1
    row = out[0]
    out += v
    return row


def _reshaped(x: Array, v: Array) -> Array:
    out = x * 1
    flat = out.reshape(-1)
    flat += 1
    return out


@pytest.mark.parametrize("formula", [_argument, _another_view, _view_of_a_view, _whole, _reshaped])
def test_what_others_would_see_is_refused(formula: Callable[[Array, Array], Array]) -> None:
    with pytest.raises(CannotLower, match="memory that may be seen elsewhere"):
        _read(formula)
