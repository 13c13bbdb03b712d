"""Tangents by the function that an op states as `jvp=`: read on symbols, or called as it stands where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tapenet.ops.called_functions import CalledFunction, StatedCall
from tapenet.ops.op import Op
from tapenet.ops.reading import plain, symbols, template_of
from tapenet.program.differentiating import zeros
from tapenet.program.functions import specs
from tapenet.program.ir import Builder, Value
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.symbols import Symbol, array_of
from tapenet.typing import Array, Shape

#: Shape and dtype of each output; None for one whose tangent is not asked for.
Outputs = Sequence[Spec | None]


def push(op: Op, builder: Builder, known: Mapping[str, object], outputs: Outputs, calls: bool = True) -> list[Value]:
    """The tangents of the outputs that are inexact.

    Args:
        op: one with `jvp=`.
        builder: gets the primitives.
        known: what `jvp=` may ask for by name: values, in lists where these are sequences, and what is plain.
        outputs: see there.
        calls: whether a function that cannot be read is called.

    Raises:
        ValueError, TypeError: what it gives is no tangent of an output.
        CannotLower, or whatever else the function raises on symbols, where it is not called.
    """
    given = {n: known[n] for n in op.jvp_needs}
    begin = len(builder.body)
    assert op.jvp is not None
    try:
        with np.errstate(all="ignore"):
            found = op.jvp(*(symbols(builder, value) for value in given.values()))
        made = [None if d is None else array_of(builder, d) for d in each(op, found, len(outputs))]
    except Exception as error:  # whatever the function makes of a symbol
        if not calls:
            raise
        del builder.body[begin:]
        held, values = template_of(plain(given))
        call = TangentCall(op, str(error) or type(error).__name__, tuple(outputs))
        called = CalledFunction(call, held, specs(values))
        return list(builder.several("apply", *values, function=called))
    return [_fitted(op, builder, d, spec) for d, spec in zip(made, outputs, strict=True) if _has_tangent(spec)]


def _has_tangent(spec: Spec | None) -> bool:
    return spec is not None and is_inexact(spec.dtype)


def each(op: Op, found: object, count: int) -> list[object]:
    """What `jvp=` gave, for each output.

    Raises:
        TypeError: it gave another number.
    """
    if op.outputs == 1:
        return [found]
    if not isinstance(found, (tuple, list)) or len(found) != count:
        got = f"{len(found)} tangents" if isinstance(found, (tuple, list)) else type(found).__name__
        raise TypeError(
            f"jvp= of op {op.name!r} returned {got} for {count} outputs: return a tuple with a tangent for each"
        )
    return list(found)


def _check(op: Op, shape: Shape, spec: Spec) -> None:
    ends = spec.shape[len(spec.shape) - len(shape) :]
    if len(shape) > len(spec.shape) or any(n not in (1, m) for n, m in zip(shape, ends, strict=True)):
        raise ValueError(
            f"jvp= of op {op.name!r} returned a tangent of shape {shape} for an output of shape {spec.shape}; return the shape "
            "of the output, or one that broadcasts up to it"
        )


def _fitted(op: Op, builder: Builder, d: Symbol | None, spec: Spec | None) -> Value:
    assert spec is not None
    if d is None:
        return zeros(builder, *spec)
    _check(op, d.value.shape, spec)
    if d.value.dtype.kind == "c" and spec.dtype.kind != "c":
        d = array_of(builder, d.real)
    return builder.broadcast(builder.cast(d.value, spec.dtype), spec.shape)


def fitted(op: Op, d: object, spec: Spec) -> Array:
    """What `jvp=` gave for arrays, in the shape and dtype of the output."""
    if d is None:
        return np.zeros(*spec)
    array = np.asarray(d)
    _check(op, array.shape, spec)
    if array.dtype.kind == "c" and spec.dtype.kind != "c":
        array = array.real
    return np.array(np.broadcast_to(array, spec.shape), spec.dtype)


@dataclass(frozen=True)
class TangentCall(StatedCall):
    """`jvp=`; it gives the tangents of the outputs that are inexact.

    Attributes:
        outputs: of the op.
    """

    outputs: tuple[Spec | None, ...]

    @property
    def name(self) -> str:
        return f"{self.op.name} jvp"

    @property
    def needs(self) -> tuple[str, ...]:
        return self.op.jvp_needs

    @property
    def specs(self) -> tuple[Spec, ...]:
        return tuple(s for s in self.outputs if s is not None and _has_tangent(s))

    def function(self) -> Callable[..., object]:
        op = self.op
        assert op.jvp is not None
        run = op.jvp

        def call(*values: object) -> Array | tuple[Array, ...]:
            pairs = zip(each(op, run(*values), len(self.outputs)), self.outputs, strict=True)
            found = tuple(fitted(op, d, spec) for d, spec in pairs if spec is not None and _has_tangent(spec))
            return found[0] if len(found) == 1 else found

        return call

    def unknown(self) -> str:
        return (
            f"jvp= of op {self.op.name!r} is called as it stands ({self.reason}), so that its own derivative is not known. "
            "For derivatives of higher order give tn.op reference=, the same function as the forward in NumPy functions and "
            "ops; or make what jvp= calls an op with rules of its own"
        )
