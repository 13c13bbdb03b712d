"""Low types and mixed precision: what is stored in 16 bits is computed in float32 and rounded.

An op with low inputs runs on their float32 copies, and its results are rounded to the low type; its node keeps the low
arrays, and its rules run on float32 copies again. NumPy has no fast arithmetic in 16 bits, so this saves memory, not
time, and gives what hardware with float32 accumulators gives.

The check for low inputs is no part of an op's usual code: it is generated anew with it when the first low array is met
(`program.low.meet`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.node import Node
from tapenet.autodiff.state import Switch, enter, local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops import torch_calls
from tapenet.ops.derived import Derived, install_caller
from tapenet.ops.op import Op
from tapenet.ops.registry import is_own
from tapenet.ops.signatures import by_name, check_keywords
from tapenet.ops.torch_names import SIZES
from tapenet.ops.tracebacks import hide
from tapenet.program.low import WIDE, dtype_of, is_inexact, is_low, meet, rounded, when_first_met, widened
from tapenet.program.sequences import refilled

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: Ops that move numbers without computing, which do the same with 16 bits, and those that are about these bits.
_MOVES = frozenset(
    {"alias", "astype", "copy", "expand_dims", "flip", "moveaxis", "nextafter", "reshape", "spacing", "squeeze", "swapaxes",
     "transpose"}
)  # fmt: skip
#: Ops that move numbers too, and whose rules add.
_ADDING = frozenset(
    {"assign", "broadcast_to", "diagonal", "full_like", "getitem", "insert", "roll", "setitem", "sliding_window_view", "take"}
)  # fmt: skip
#: Ops that run others, which round for themselves: loops and branches.
running_others: set[Op] = set()
_WIDER = {np.dtype(np.float64), np.dtype(np.complex128)}
#: Options by which numbers are put in the place of others, or between them, and take the dtype of these.
_PLACED = frozenset({"constant_values", "end_values", "initial", "to_begin", "to_end"})
#: Where the ops are that `autocast` gives float32: those that add many numbers, or are steep.
_FULL = (
    "tapenet.ops.fft", "tapenet.ops.layers.losses", "tapenet.ops.layers.normalization", "tapenet.ops.linalg",
    "tapenet.ops.reductions",
)  # fmt: skip
_FULL_NAMES = frozenset({"log_softmax", "logsumexp", "softmax"})


class autocast(Switch):
    """Mixed precision: products of matrices take low inputs inside the block (or the decorated function).

    Inside, ops fall in three groups:

    - products (those of which `tn.profile` counts multiply-adds: linear, matmul, convolutions, recurrent layers, einsum)
      take inputs rounded to `dtype`, compute in float32, and give `dtype`. So do their gradients;
    - reductions, softmax, normalizations, losses, linear algebra and FFTs take and give float32;
    - all others keep what they are given; of mixed inputs the wider type counts.

    Products with inputs in float64, or with 8-bit weights, stay as they are. Parameters stay float32, and so do their
    gradients: optimizers know nothing of it. With float16 use `optim.GradScaler`, lest small gradients vanish. Nothing
    becomes faster in NumPy: activations kept for the backward pass take half the memory, and the rounding is that of
    hardware with float32 accumulators.
    Put the forward pass and the loss inside the block, `backward()` outside or inside: it makes no difference.

    Args:
        dtype: "bfloat16", for which ml_dtypes must be installed, or "float16"; or the dtype itself.
        enabled: False switches it off, for a part of another block.

    Raises:
        ImportError: bfloat16 without ml_dtypes.
        TypeError: another dtype.

    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> with tn.autocast("float16"):
    ...     y = net([[1.0, 2.0]])
    ...     loss = y.sum()
    >>> y.dtype, loss.dtype, net[0].weight.dtype
    (dtype('float16'), dtype('float32'), dtype('float32'))
    """

    def __init__(self, dtype: DTypeLike = "bfloat16", enabled: bool = True) -> None:
        self.dtype = dtype_of(dtype)
        if enabled and not is_low(self.dtype):
            raise TypeError(f'autocast: dtype={self.dtype} is no low type; give "bfloat16" or "float16"')
        meet(self.dtype)
        self.enabled = enabled

    def __enter__(self) -> None:
        enter(self, autocast=self.dtype if self.enabled else None)


def cast_inputs(op: Op, bound: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Give the arguments of an op the types that they have inside `autocast`."""
    if op.multiply_adds is not None:
        if all(_castable(bound[name]) for name in op.inputs):
            bound.update({name: _cast(bound[name], dtype) for name in op.differentiable})
    elif _stays_full(op):
        bound.update({name: _cast(bound[name], WIDE, low_only=True) for name in op.inputs})


def _stays_full(op: Op | Derived) -> bool:
    return op.name in _FULL_NAMES or op.__module__.startswith(_FULL)


def _castable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_castable, value))
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype == WIDE or is_low(dtype):
        return True
    return not is_inexact(dtype) and dtype != np.int8  # weights that are stored so have few digits already


def _cast(value: Any, dtype: np.dtype[Any], low_only: bool = False) -> Any:
    if isinstance(value, (Tensor, np.ndarray)):
        low = is_low(value.dtype)
        if value.dtype == dtype or not (low or (value.dtype == WIDE and not low_only)):
            return value
        return ops.astype(value, dtype)
    if type(value) in (list, tuple):
        return type(value)(_cast(v, dtype, low_only) for v in value)
    return value


class Lowered:
    """How an op with low inputs is run.

    Attributes:
        given: its arguments for the forward, in float32 where they are low.
        dtype: what float32 results are rounded to; None for nothing, as beside inputs in float32.
    """

    __slots__ = ("dtype", "given")

    def __init__(self, given: dict[str, Any], dtype: np.dtype[Any] | None) -> None:
        self.given = given
        self.dtype = dtype

    def round(self, results: list[Any], count: int) -> list[Any]:
        """The first `count` of the results, which are outputs, in the low type. What else an op keeps for its rules stays in
        float32: rounded, it may overflow, and a gradient loses digits where terms cancel."""
        dtype = self.dtype
        if dtype is None:
            return results
        return [*(rounded(r, dtype) for r in results[:count]), *results[count:]]


def lowered(op: Op, raw: dict[str, Any]) -> Lowered | None:
    """How an op is run on these arrays; None if it is run as ever."""
    if op.name in _MOVES or op in running_others:
        return None
    asked = raw.get("dtype") if "dtype" in op.options else None
    asked = np.dtype(asked) if isinstance(asked, (np.dtype, type, str)) else None  # an op may call anything so
    dtypes = {d for name in op.inputs for d in _dtypes(raw[name])}
    if not any(is_low(d) for d in dtypes) and (asked is None or not is_low(asked)):
        return None
    if op.name in _ADDING:
        return Lowered(raw, None)
    given = {name: widened(value) if name in op.inputs else value for name, value in raw.items()}
    if asked is not None:
        return Lowered(given | {"dtype": WIDE}, asked) if is_low(asked) else Lowered(given, None)
    # What only asks or places, such as the condition of `where`, has no say in the type.
    computed = {d for name in op.differentiable for d in _dtypes(raw[name])}
    return Lowered(given, _of_result(computed or dtypes))


def _dtypes(value: Any) -> list[np.dtype[Any]]:
    """The dtypes of an argument's arrays. Python numbers have none that counts."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [value.dtype]
    if type(value) in (list, tuple):
        return [d for v in value for d in _dtypes(v)]
    return []


def _common(dtypes: set[np.dtype[Any]]) -> np.dtype[Any] | None:
    """The low type of a result, if it is one: that of all floats there are."""
    floats = {d for d in dtypes if is_inexact(d)}
    return next(iter(floats)) if len(floats) == 1 else None


def _of_result(dtypes: set[np.dtype[Any]]) -> np.dtype[Any] | None:
    """The low type of what is computed from arrays of these types. Whole numbers of 16 bits do not fit into any, and with
    wider ones results are float64 anyway."""
    return None if any(d.kind in "iu" and d.itemsize == 2 for d in dtypes) else _common(dtypes)


def composed(op: Op, bound: dict[str, Any], low: Lowered) -> Any:
    """The op on low tensors as ops that say so, for a program: casts to float32, the op, and casts back."""
    given = {name: _wide(value) if name in op.inputs else value for name, value in bound.items()}
    if "dtype" in op.options:
        given["dtype"] = low.given["dtype"]
    with autocast(WIDE, enabled=False):  # which would narrow them again
        result = op(
            *(given[a.name] for a in op.arguments if not a.keyword_only),
            **{a.name: given[a.name] for a in op.arguments if a.keyword_only},
        )
    outs = [result] if op.outputs == 1 else list(result)
    if low.dtype is not None:
        outs = [ops.astype(out, low.dtype) if out.dtype == WIDE else out for out in outs]
    return outs[0] if op.outputs == 1 else op.several(outs)


def widely(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], full: bool = False) -> Any:
    """A function composed of ops, on low tensors: on float32 copies, its results rounded unless they are to stay `full`.

    Otherwise each of its parts would round. A ufunc has no parts: it comes back as the op that it is. Where a result is to
    be written to a tensor, it is that one and no copy.
    """
    if isinstance(function, np.ufunc) or "out" in kwargs:
        return function(*args, **kwargs)
    args, kwargs = by_name(function, "dtype", args, kwargs)
    given = (*args, *(value for name, value in kwargs.items() if name not in _PLACED))
    dtypes = {t.dtype for t in _tensors(given)}
    asked = kwargs.get("dtype")
    asked = None if asked is None else dtype_of(asked)
    if not any(map(is_low, dtypes)) and (asked is None or not is_low(asked)):
        return function(*args, **kwargs)
    # Where wider types have a say, the result shows it.
    target = None if WIDE in _dtypes(given) else _common(dtypes - _WIDER)
    if asked is not None:
        target = asked if is_low(asked) else None
        kwargs = kwargs | {"dtype": WIDE if is_low(asked) else asked}
    result = function(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})
    return result if target is None or full else _narrow(result, target)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)


def _narrow(value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, Tensor):
        return ops.astype(value, dtype) if value.dtype == WIDE else value
    if isinstance(value, (list, tuple)):
        parts = [_narrow(v, dtype) for v in value]
        return refilled(value, parts)
    return value


def _call_derived(function: Derived, /, *args: Any, **kwargs: Any) -> Any:
    """What calling a derived function does."""
    if kwargs and (found := ops.protocol.further(function, args, kwargs)) is not NotImplemented:
        return found
    try:
        return function.function(*args, **kwargs)
    except Exception as error:
        call = _respelt(function, args, kwargs, error)
        if call is None:
            hide(error)
            raise
    return call()


def _call_derived_low(function: Derived, /, *args: Any, **kwargs: Any) -> Any:
    """The same once there are low types."""
    if kwargs and (found := ops.protocol.further(function, args, kwargs)) is not NotImplemented:
        return found
    try:
        if function.replaces:
            return function.function(*args, **kwargs)
        full = local.state.autocast is not None and _stays_full(function)
        return widely(function.function, args, kwargs, full)
    except Exception as error:
        call = _respelt(function, args, kwargs, error)
        if call is None:
            hide(error)
            raise
    return call()


def _respelt(
    function: Derived, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> Callable[[], Any] | None:
    """The same call in our names, if it failed for one of PyTorch's.

    Raises:
        TypeError: it failed for a name that nobody knows.
    """
    if not isinstance(error, TypeError) or not (kwargs or function.name in SIZES):
        return None
    call = torch_calls.of_derived(function, args, kwargs) if is_own(function) else None
    if call is None:
        check_keywords(function.name, function.function, kwargs)
    return call


install_caller(_call_derived)
when_first_met(lambda: install_caller(_call_derived_low))


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ops.astype(value, WIDE) if is_low(value.dtype) else value
    if type(value) in (list, tuple):
        return type(value)(map(_wide, value))
    return widened(value)


class LowNode(Node):
    """What the node of an op that was run on low arrays has beside the usual: its rules run on float32 copies."""

    __slots__ = ()

    def pull(self, g: Any, grads: Any) -> None:
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


def node_class(op: Op, full: bool) -> Any:
    """The class of nodes for low arrays of an op, made at first use."""
    name = "_low_full_node_class" if full else "_low_node_class"
    found = op.__dict__.get(name)
    if found is None:
        usual = op.full_node_class if full else op.node_class
        found = type("Node", (LowNode, usual), {"__slots__": (), "__module__": usual.__module__})
        op.__dict__[name] = found
    return found
