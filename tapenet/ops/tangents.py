"""Tangents by the function that an op states as `jvp=`: read on symbols, or called as it stands where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from tapenet.ops.definitions import Argument
from tapenet.ops.op import Op
from tapenet.ops.reading import plain, symbols, template_of
from tapenet.program.arguments import mapped
from tapenet.program.differentiating import NoDerivative, zeros
from tapenet.program.functions import Function, inputs_for, specs
from tapenet.program.ir import Builder, Program, Value
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.symbols import Symbol, array_of
from tapenet.program.value_keys import Same, distinct
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
        call = TangentCall(op, tuple(outputs), str(error) or type(error).__name__)
        called = CalledTangents(call, held, specs(values))
        return list(builder.several("apply", *values, function=called))
    return [_fitted(op, builder, d, spec) for d, spec in zip(made, outputs, strict=True) if _has_tangent(spec)]


def _has_tangent(spec: Spec | None) -> bool:
    return spec is not None and is_inexact(spec.dtype)


def each(op: Op, found: Any, count: int) -> list[Any]:
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


def fitted(op: Op, d: Any, spec: Spec) -> Array:
    """What `jvp=` gave for arrays, in the shape and dtype of the output."""
    if d is None:
        return np.zeros(*spec)
    array = np.asarray(d)
    _check(op, array.shape, spec)
    if array.dtype.kind == "c" and spec.dtype.kind != "c":
        array = array.real
    return np.array(np.broadcast_to(array, spec.shape), spec.dtype)


@dataclass(frozen=True)
class TangentCall:
    """`jvp=` as a program calls an op: on what it names; it gives the tangents of the outputs that are inexact.

    Attributes:
        op: whose function it is.
        outputs: of the op.
        reason: why it is not read.
    """

    op: Op
    outputs: tuple[Spec | None, ...]
    reason: str

    @property
    def name(self) -> str:
        return f"{self.op.name} jvp"

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """What the function names."""
        return tuple(Argument(n, False, None) for n in self.op.jvp_needs)

    def checked(self) -> Callable[..., object]:
        """The function, as eager passes run it."""
        op = self.op
        assert op.jvp is not None
        run = op.jvp

        def call(*values: object) -> tuple[Array, ...]:
            with np.errstate(all="ignore"):
                found = each(op, run(*values), len(self.outputs))
            pairs = zip(found, self.outputs, strict=True)
            return tuple(fitted(op, d, spec) for d, spec in pairs if spec is not None and _has_tangent(spec))

        return call

    def __getattr__(self, name: str) -> Any:
        return None if name in ("label", "memory", "vmap", "doc", "formula") else getattr(self.op, name)


class CalledTangents(Function):
    """A `jvp=` that is called, as a function. It has no derivative: nobody knows what it computes."""

    def __init__(self, call: TangentCall, template: Mapping[str, object], inputs: Sequence[Spec]) -> None:
        self.call, self.template, self.name = call, template, call.name
        self.inputs = tuple(inputs)
        self.outputs = tuple(s for s in call.outputs if s is not None and _has_tangent(s))

    def key(self) -> Hashable:
        def content(value: object) -> object:
            return (value.shape, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value

        template = {n: mapped(content, t) for n, t in self.template.items()}
        return Same(self.call.op), distinct(template), self.inputs, self.outputs

    def program(self) -> Program:
        builder = Builder()
        inputs = inputs_for(self.inputs)
        results = builder.several("call", *inputs, op=self.call, template=self.template, specs=self.outputs)
        return Program(inputs, [], builder.body, results, [])

    def pull(self, wanted: Sequence[int]) -> NoReturn:
        raise self._unknown()

    def push(self, active: Sequence[int]) -> NoReturn:
        raise self._unknown()

    def _unknown(self) -> NoDerivative:
        name, why = self.call.op.name, self.call.reason
        return NoDerivative(
            f"jvp= of op {name!r} is called as it stands ({why}), so that its own derivative is not known. "
            "For derivatives of higher order give tn.op reference=, the same function as the forward in NumPy functions and "
            "ops; or make what jvp= calls an op with rules of its own"
        )
