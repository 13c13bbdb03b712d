"""Sorting, searching and running sums as rows of the table of primitives: NumPy's functions along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.program import batching
from tapenet.program.batching import Lanes
from tapenet.program.ir import Instruction, Value
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Spec
from tapenet.program.symbols import FUNCTIONS, CannotLower, Operand, Symbol, array_of, builder_of
from tapenet.typing import Array

#: NumPy's function behind each primitive. What it is given by name beside the arrays are the parameters.
RUNS: dict[str, Callable[..., Array]] = {
    "argsort": np.argsort, "cummax": np.maximum.accumulate, "cummin": np.minimum.accumulate, "cumprod": np.cumprod,
    "cumsum": np.cumsum, "searchsorted": np.searchsorted, "sort": np.sort,
}  # fmt: skip
#: What native code has loops for.
_NUMBERS = frozenset("?bhilqBHILQfd")
_COMPLEX = _NUMBERS | frozenset("FD")
_INDEX = np.dtype(np.intp)


def _along(dtype: np.dtype | None, args: Sequence[Spec], params: Params) -> list[Spec]:
    (x,) = args
    if not 0 <= params["axis"] < len(x.shape):
        raise ValueError(f"axis {params['axis']} of {x.shape}")
    return [Spec(x.shape, dtype or x.dtype)]


def _searched(args: Sequence[Spec], params: Params) -> list[Spec]:
    a, v = args
    if len(a.shape) != 1 or a.dtype != v.dtype:
        raise ValueError(f"{v} in {a}")
    return [Spec(v.shape, _INDEX)]


def _evaluate(name: str, *args: Array, **params: object) -> Array:
    if name.startswith("cum"):  # small integers would grow
        params["dtype"] = args[0].dtype
    return np.asarray(RUNS[name](*args, **params))


def _searched_lanes(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> Value | list[tuple[Value, bool]]:
    """the same of all lanes in one array; in an array for each lane a loop over lanes"""
    if flags[0]:
        return batching.looped(lanes, instruction, args, flags)
    return lanes.builder.emit("searchsorted", *args, **instruction.params)


for _name, _computes, _dtype in (
    ("sort", "np.sort(x, axis, kind)", None),
    ("argsort", "np.argsort(x, axis, kind)", _INDEX),
    ("cummax", "np.maximum.accumulate(x, axis)", None),
    ("cummin", "np.minimum.accumulate(x, axis)", None),
    ("cumsum", "np.cumsum(x, axis)", None),
    ("cumprod", "np.cumprod(x, axis)", None),
):
    PRIMITIVES[_name] = Primitive(
        "order", partial(_along, _dtype), partial(_evaluate, _name), "x", _computes,
        "the shape of x, " + ("intp" if _dtype else "the dtype of x"),
    )  # fmt: skip
    batching.RULES[_name] = batching.along_axis
PRIMITIVES["searchsorted"] = Primitive(
    "order", _searched, partial(_evaluate, "searchsorted"), "a, v", "np.searchsorted(a, v, side)", "the shape of v, intp",
)  # fmt: skip
batching.RULES["searchsorted"] = _searched_lanes

# -- on symbols --------------------------------------------------------------------------------------------------


def _line(a: Operand, axis: int | None, numbers: frozenset[str] = _NUMBERS) -> tuple[Symbol, int]:
    """An array, and the axis to go along; all elements in one line if there is none."""
    a = array_of(builder_of(a), a)
    if axis is None or not a.ndim:
        a, axis = a.reshape(-1), 0
    if a.dtype.char not in numbers:
        raise CannotLower(f"in order, of {a.dtype}")
    return a, normalize_axis_index(axis, a.ndim)


def _sorted(
    name: str, a: Operand, axis: int | None = -1, kind: str | None = None, order: object = None, *,
    stable: bool | None = None,
) -> Symbol:  # fmt: skip
    if order is not None:
        raise CannotLower(f"{name} with order=")
    kind = "stable" if stable or kind == "mergesort" else kind or "quicksort"
    if kind not in ("quicksort", "stable"):
        raise CannotLower(f"{name} with kind={kind!r}")
    scalar = not array_of(builder_of(a), a).ndim
    a, axis = _line(a, axis)
    if scalar and name == "sort":
        raise CannotLower("sort of a number")
    return Symbol(a.builder, a.builder.emit(name, a.value, axis=axis, kind=kind))


def _running(name: str, a: Operand, axis: int | None = None, dtype: object = None, out: object = None) -> Symbol:
    if out is not None:
        raise CannotLower(f"{name} with out=")
    if not array_of(builder_of(a), a).ndim and axis is not None:
        raise CannotLower(f"{name} of a number")
    numbers = _COMPLEX if name in ("cumsum", "cumprod") else _NUMBERS
    a, axis = _line(a, axis, numbers)
    grown = RUNS[name](np.empty(0, a.dtype), dtype=dtype).dtype
    if grown.char not in numbers or grown.kind == "b":
        raise CannotLower(f"{name} in {grown}")
    return Symbol(a.builder, a.builder.emit(name, a.astype(grown).value, axis=axis))


def _accumulated(name: str, array: Operand, axis: int = 0, dtype: object = None, out: object = None) -> Symbol:
    return _running(name, array, axis, dtype, out)


def _searchsorted(a: Operand, v: Operand, side: str = "left", sorter: Operand | None = None) -> Symbol:
    builder = builder_of(a, v, sorter)
    line, values = array_of(builder, a), array_of(builder, v)
    if line.ndim != 1 or side not in ("left", "right"):
        raise ValueError("object too deep for desired array, or another side than left and right")
    weak = values.dtype if not isinstance(v, (int, float)) else type(v)
    dtype = np.result_type(line.dtype, v if isinstance(weak, type) else weak)
    if dtype.char not in _NUMBERS:
        raise CannotLower(f"searchsorted in {dtype}")
    if sorter is not None:
        line = line[array_of(builder, sorter)]
    made = builder.emit("searchsorted", line.astype(dtype).value, values.astype(dtype).value, side=side)
    return Symbol(builder, made)


FUNCTIONS |= {
    np.argsort: partial(_sorted, "argsort"),
    np.maximum.accumulate: partial(_accumulated, "cummax"),
    np.minimum.accumulate: partial(_accumulated, "cummin"),
    np.cumprod: partial(_running, "cumprod"),
    np.cumsum: partial(_running, "cumsum"),
    np.searchsorted: _searchsorted,
    np.sort: partial(_sorted, "sort"),
}
