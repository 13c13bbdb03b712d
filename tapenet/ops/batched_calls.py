"""Calls of ops over lanes: how an op that cannot be read is computed for many arguments at once, as it says by `vmap=`.

Lanes are axis 0 of what has them. Rules are plain NumPy and ops: they run on arrays, and on symbols, which read them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapenet.ops.definitions import Argument, argument_names
from tapenet.ops.op import Op
from tapenet.program.arguments import elements, mapped
from tapenet.program.primitives import Spec
from tapenet.typing import Array

#: Given the op, its arguments, the names of those that have lanes, how many lanes there are and what a call without lanes
#: gives: the result with lanes.
Form = Callable[[Op, Mapping[str, object], frozenset[str], int, Sequence[Spec]], object]


def over_lanes(
    op: Op, args: Mapping[str, object], batched: frozenset[str], size: int, outputs: Sequence[Spec]
) -> object:
    """What an op gives over lanes, by its rule.

    Args:
        op: any op.
        args: all its arguments by name: arrays or symbols, those that are `batched` with lanes in front.
        batched: the names of the arguments that have lanes. Of a sequence all arrays have.
        size: how many lanes there are.
        outputs: shapes and dtypes of what a call without lanes gives.

    Returns:
        the result, each output with lanes in front; NotImplemented if it has no rule for these.
    """
    rule = op.vmap
    if rule is None and isinstance(op.forward, np.ufunc) and op.forward.signature is None:
        rule = "leading"
    if isinstance(rule, str):
        return FORMS[rule](op, args, batched, size, outputs)
    if isinstance(rule, Mapping):
        return _folding(op, args, batched, size, rule)
    if rule is None:
        return NotImplemented
    known: dict[str, object] = {**args, "batched": batched, "lanes": size}
    return rule(*(known[n] for n in argument_names(op.name, rule, known)))


def _leading(op: Op, args: Mapping[str, object], batched: frozenset[str], size: int, outputs: Sequence[Spec]) -> object:
    """It broadcasts in its leading axes: lanes are one more, with axes of length 1 behind them where there are fewer."""
    ndim = max(np.ndim(leaf) - (n in batched) for n, v in args.items() for leaf in elements(v) if _is_array(leaf))

    def fitted(x: object) -> object:
        return aligned(x, ndim) if _is_array(x) else x

    return op.apply(op, {n: mapped(fitted, v) if n in batched else v for n, v in args.items()})


def _along(op: Op, args: Mapping[str, Any], batched: frozenset[str], size: int, outputs: Sequence[Spec]) -> object:
    """Of its first argument only the axes that an option names matter: counted from the end they stay the same."""
    first, name = op.arguments[0].name, "axis" if "axis" in args else "axes"
    if batched != {first}:
        return NotImplemented
    x, axis = args[first], args[name]
    ndim = np.ndim(x) - 1
    if axis is not None and ndim:
        return op.apply(op, {**args, name: from_the_end(axis, ndim)})
    if any(_is_array(leaf) for n, v in args.items() if n != first for leaf in elements(v)):
        return NotImplemented  # it belongs to places along axes that are gone when x is flat
    flat = {first: np.reshape(x, (size, -1 if x.size else math.prod(x.shape[1:]))), name: -1}
    found = op.apply(op, {**args, **flat, **({"keepdims": False} if "keepdims" in args else {})})
    if len(outputs) == 1:
        return np.reshape(found, (size, *outputs[0].shape))
    return tuple(np.reshape(f, (size, *s.shape)) for f, s in zip(found, outputs, strict=True))


def _folding(op: Op, args: Mapping[str, Any], batched: frozenset[str], size: int, axes: Mapping[str, Any]) -> object:
    """Its arguments have a batch, at these axes: it is that of all lanes."""
    if not batched <= axes.keys():
        return NotImplemented
    folded = {n: _one_batch(args[n], n in batched, size, axis) for n, axis in axes.items() if args.get(n) is not None}
    found = op.apply(op, {**args, **folded})
    if op.outputs == 1:
        return _batches(found, size, axes["out"])
    return tuple(_batches(f, size, axis) for f, axis in zip(found, axes["out"], strict=True))


def _one_batch(x: Array, has_lanes: bool, size: int, axis: int) -> Array:
    """An array whose batch, at an axis, is that of all lanes."""
    x = np.moveaxis(x if has_lanes else np.broadcast_to(x, (size, *np.shape(x))), 0, axis)
    return np.reshape(x, (*x.shape[:axis], size * x.shape[axis + 1], *x.shape[axis + 2 :]))


def _batches(x: Array, size: int, axis: int) -> Array:
    """The inverse: lanes in front. One number is the same for all."""
    if not np.ndim(x):
        return np.broadcast_to(x, (size,))
    return np.moveaxis(np.reshape(x, (*x.shape[:axis], size, x.shape[axis] // size, *x.shape[axis + 1 :])), axis, 0)


@dataclass(frozen=True)
class LaneCall:
    """The rule of an op for lanes, as a program calls an op: where the rule cannot be read."""

    op: Op
    rule: Callable[..., object]
    batched: frozenset[str]
    size: int

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """What the rule asks for."""
        return argument_names(self.op.name, self.rule, {"batched", "lanes", *(a.name for a in self.op.arguments)})

    @functools.cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The arguments of the op that are among it."""
        return tuple(a for a in self.op.arguments if a.name in self.names)

    def checked(self) -> Callable[..., object]:
        """The rule as a function of those of the op's arguments that it names."""
        places = [a.name for a in self.arguments if not a.keyword_only]

        def call(*args: object, **options: object) -> object:
            known = {"batched": self.batched, "lanes": self.size}
            given = known | dict(zip(places, args, strict=True)) | options
            return self.rule(*(given[n] for n in self.names))

        return call

    def __getattr__(self, name: str) -> Any:
        return getattr(self.op, name)


def aligned(x: Any, ndim: int) -> Any:
    """An array with lanes, with axes of length 1 behind them, so that without lanes it has `ndim` axes."""
    return np.reshape(x, (x.shape[0], *(1,) * (ndim + 1 - np.ndim(x)), *x.shape[1:]))


def from_the_end(axis: Any, ndim: int) -> Any:
    """One or several axes of as many, counted from the end: `axis` is an integer or a sequence of them."""
    if isinstance(axis, (tuple, list)):
        return tuple(from_the_end(i, ndim) for i in axis)
    return axis - ndim if axis >= 0 else axis


def _is_array(x: object) -> bool:
    """Whether something is an array, a number of NumPy's, or stands for one."""
    return hasattr(x, "dtype") and hasattr(x, "shape")


#: By name, what `vmap=` of an op may be beside a function.
FORMS: dict[str, Form] = {"leading": _leading, "axis": _along}
