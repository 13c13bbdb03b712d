"""Low types: what is stored in 16 bits is computed in float32 and rounded.

An op with low inputs runs on their float32 copies, and its results are rounded to the low type; its node keeps the low
arrays, and its rules run on float32 copies again. NumPy has no fast arithmetic in 16 bits, so this saves memory, not
time, and gives what hardware with float32 accumulators gives.

None of it is there before the first low array is met (`program.low.meet`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff import record
from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Node
from tapenet.autodiff.observe import autocast
from tapenet.autodiff.record import Call
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.recorder import installed
from tapenet.ops.signatures import by_name
from tapenet.program.arguments import elements, mapped
from tapenet.program.low import WIDE, dtype_of, is_inexact, is_low, rounded, widened
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_WIDER = {np.dtype(np.float64), np.dtype(np.complex128)}
#: Options by which numbers are put in the place of others, or between them, and take the dtype of these.
_PLACED = frozenset({"constant_values", "end_values", "initial", "to_begin", "to_end"})


def _lower(call: Call) -> object:
    """Have an op run on the float32 copies of low arrays; what answers the call in place of that while a step is captured."""
    if not call.tensors and local.state.autocast is None:
        return None
    low = lowered(call.op, call.raw)
    if low is None:
        return None
    tape = local.state.tape
    if low.given is not call.raw and tape is not None and tape.captures:
        return _composed(call.op, call.bound, low)
    forward, outputs = call.forward, len(call.op.residuals)

    def run(values: Mapping[str, object]) -> list[Array]:
        results = forward(low.given)
        return low.round(results, len(results) - outputs)

    call.forward = run
    call.node_class = _node_class(call.op, call.full)
    return None


class Lowered:
    """How an op with low inputs is run.

    Attributes:
        given: its arguments for the forward, in float32 where they are low.
        dtype: what float32 results are rounded to; None for nothing, as beside inputs in float32.
    """

    __slots__ = ("dtype", "given")

    def __init__(self, given: dict[str, object], dtype: DType | None) -> None:
        self.given = given
        self.dtype = dtype

    def round(self, results: list[Array], count: int) -> list[Array]:
        """The first `count` of the results, which are outputs, in the low type. What else an op keeps for its rules stays in
        float32: rounded, it may overflow, and a gradient loses digits where terms cancel."""
        dtype = self.dtype
        if dtype is None:
            return results
        return [*(rounded(r, dtype) for r in results[:count]), *results[count:]]


def lowered(op: Op, raw: dict[str, object]) -> Lowered | None:
    """How an op is run on these arrays; None if it is run as ever."""
    if op.precision == "same":
        return None
    asked = raw.get("dtype") if "dtype" in op.options else None
    asked = np.dtype(asked) if isinstance(asked, (np.dtype, type, str)) else None  # an op may call anything so
    dtypes = {d for name in op.inputs for d in _dtypes(raw[name])}
    if not any(is_low(d) for d in dtypes) and (asked is None or not is_low(asked)):
        return None
    if op.precision == "moves":
        return Lowered(raw, None)
    given = {name: widened(value) if name in op.inputs else value for name, value in raw.items()}
    if asked is not None:
        return Lowered(given | {"dtype": WIDE}, asked) if is_low(asked) else Lowered(given, None)
    # What only asks or places, such as the condition of `where`, has no say in the type.
    computed = {d for name in op.differentiable for d in _dtypes(raw[name])}
    return Lowered(given, _of_result(computed or dtypes))


def _dtypes(value: object) -> list[DType]:
    """The dtypes of an argument's arrays. Python numbers have none that counts."""
    return [v.dtype for v in elements(value) if isinstance(v, (np.ndarray, np.generic))]


def _common(dtypes: set[DType]) -> DType | None:
    """The low type of a result, if it is one: that of all floats there are."""
    floats = {d for d in dtypes if is_inexact(d)}
    return next(iter(floats)) if len(floats) == 1 else None


def _of_result(dtypes: set[DType]) -> DType | None:
    """The low type of what is computed from arrays of these types. Whole numbers of 16 bits do not fit into any, and with
    wider ones results are float64 anyway."""
    return None if any(d.kind in "iu" and d.itemsize == 2 for d in dtypes) else _common(dtypes)


def _composed(op: Op, bound: dict[str, object], low: Lowered) -> object:
    """The op on low tensors as ops that say so, for a program: casts to float32, the op, and casts back."""
    given = {name: _wide(value) if name in op.inputs else value for name, value in bound.items()}
    if "dtype" in op.options:
        given["dtype"] = low.given["dtype"]
    with autocast.without():  # which would narrow them again
        result = op.apply(op, given)
    outs = [result] if op.outputs == 1 else list(result)
    if low.dtype is not None:
        outs = [ops.astype(out, low.dtype) if out.dtype == WIDE else out for out in outs]
    return outs[0] if op.outputs == 1 else op.several(outs)


def _widely(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """A function composed of ops, on low tensors: on float32 copies, its results rounded unless `autocast` gives float32.

    Otherwise each of its parts would round. A ufunc has no parts: it comes back as the op that it is. Where a result is to
    be written to a tensor, it is that one and no copy.
    """
    full = False
    if isinstance(function, Derived):
        full = local.state.autocast is not None and autocast.stays_full(function)
        function = function.function
    if isinstance(function, np.ufunc) or "out" in kwargs:
        return function(*args, **kwargs)
    args, kwargs = by_name(function, "dtype", args, kwargs)
    given = (*args, *(value for name, value in kwargs.items() if name not in _PLACED))
    dtypes = {t.dtype for t in elements(given) if isinstance(t, Tensor)}
    asked = None if kwargs.get("dtype") is None else dtype_of(cast("DTypeLike", kwargs["dtype"]))
    if not any(map(is_low, dtypes)) and (asked is None or not is_low(asked)):
        return function(*args, **kwargs)
    # Where wider types have a say, the result shows it.
    target = None if WIDE in _dtypes(given) else _common(dtypes - _WIDER)
    if asked is not None:
        target = asked if is_low(asked) else None
        kwargs = kwargs | {"dtype": WIDE if is_low(asked) else asked}
    result = function(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})
    return result if target is None or full else _narrow(result, target)


def _narrow(value: object, dtype: DType) -> object:
    return mapped(
        lambda v: ops.astype(v, dtype) if isinstance(v, Tensor) and v.dtype == WIDE else rounded(v, dtype), value
    )


def _wide(value: object) -> object:
    return mapped(_wide_leaf, value)


def _wide_leaf(value: object) -> object:
    if isinstance(value, Tensor):
        return ops.astype(value, WIDE) if is_low(value.dtype) else value
    return widened(value)


class LowNode(Node):
    """What the node of an op that was run on low arrays has beside the usual: its rules run on float32 copies."""

    __slots__ = ()

    def pull(self, g: Array, grads: Gradients) -> None:
        kept = {}
        for slot in self.saved_slots:
            value = getattr(self, slot, None)
            wide = widened(value)
            if wide is not value:
                kept[slot] = value
                setattr(self, slot, wide)
        try:
            super().pull(widened(g), grads)  # of the op's own node class
        finally:
            if grads.site is None:
                for slot, value in kept.items():
                    setattr(self, slot, value)


def _node_class(op: Op, full: bool) -> type:
    """The class of nodes for low arrays of an op, made at first use."""
    name = "_low_full_node_class" if full else "_low_node_class"
    found = op.__dict__.get(name)
    if found is None:
        usual = op.full_node_class if full else op.node_class
        found = type("Node", (LowNode, usual), {"__slots__": (), "__module__": usual.__module__})
        op.__dict__[name] = found
    return found


def install() -> None:
    """Have ops take arrays in low types from now on. Called when the first one is met."""
    record.lower = _lower
    installed.recorder.compose = _widely
