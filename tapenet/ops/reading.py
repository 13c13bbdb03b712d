"""Ops read on symbols: an op's own forward says what its program is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from tapenet.ops.op import Op
from tapenet.ops.signatures import bind
from tapenet.program import symbol_compositions as _functions  # noqa: F401  fills the table of what symbols know
from tapenet.program.arguments import elements, mapped
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Builder, Constant, Value
from tapenet.program.symbols import CannotLower, Symbol, array_of, elementwise


def read(
    op: Op, builder: Builder, args: Mapping[str, object], more: Mapping[str, object] | None = None, kept: bool = False
) -> list[Value]:  # fmt: skip
    """The values of an op's outputs and residuals, by running its forward on symbols.

    Args:
        op, args: the call.
        builder: gets the primitives.
        more: further arguments of `op.lower`.
        kept: whether residuals are used.

    Raises:
        CannotLower, or whatever else the forward raises on symbols.
    """
    if op.opaque is not None:
        raise CannotLower(op.opaque)
    if sum(each is op for each in _begun.ops) >= _DEEP:  # its forward calls the function of NumPy's that it stands for
        raise CannotLower(f"calls {op.name}")
    _begun.ops += (op,)
    around, builder.kept = builder.kept, kept
    try:
        return _read(op, builder, args, more)
    finally:
        _begun.ops = _begun.ops[:-1]
        builder.kept = around


class _Begun(threading.local):
    """The ops that a thread is reading, the one inside the other."""

    ops: tuple[Op, ...] = ()


_begun = _Begun()
#: How often an op may call itself, as on halves of an array.
_DEEP = 16


def _read(op: Op, builder: Builder, args: Mapping[str, object], more: Mapping[str, object] | None) -> list[Value]:
    given = {name: symbols(builder, value) for name, value in args.items()}
    if isinstance(op.lower, str):
        return [elementwise(builder, op.lower, *(given[n] for n in op.inputs)).value]
    with np.errstate(all="ignore"):
        if op.check is not None:
            with contextlib.suppress(CannotLower):  # it looks at values
                op.check(*(given[n] for n in op.check_needs))
        result = op.apply(op.lower or op.forward, given, **(more or {}))
    results = [result] if op.outputs == 1 and not op.residuals else list(result)
    return [array_of(builder, r).value for r in results]


def apply(symbol: Symbol, op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """An op called on symbols inside the forward of another."""
    if op.alters or op.random:
        raise CannotLower(f"calls {op.name}")
    if symbol.builder.applies is not None:
        applied = symbol.builder.applies(symbol.builder, op, args, kwargs)
        if applied is not None:
            return applied
    if op.effect:
        raise CannotLower(f"calls {op.name}")
    bound = plain(bind(op, args, kwargs))
    values = read(op, symbol.builder, bound)
    results = [Symbol(symbol.builder, v, shared=True) for v in values]
    outs = results[: len(results) - len(op.residuals)]
    return outs[0] if op.outputs == 1 else op.several(outs)


Symbol.__tapenet_op__ = apply  # type: ignore[attr-defined]  # here, since ops are read here


def plain(args: dict[str, object]) -> dict[str, object]:
    """Arguments with their symbols replaced by values."""
    return {n: mapped(lambda v: v.value if isinstance(v, Symbol) else v, value) for n, value in args.items()}


def symbols(builder: Builder, value: object) -> Any:
    """An argument with its values replaced by symbols."""
    return mapped(lambda v: Symbol(builder, v, shared=True) if isinstance(v, Value) else v, value)


def holds(value: object) -> bool:
    """Whether there is a value of the program somewhere in an argument."""
    return any(isinstance(leaf, Value) for leaf in elements(value))


def template_of(args: Mapping[str, object]) -> tuple[dict[str, object], list[Value]]:
    """The arguments of a call with a `Hole` in place of each value that is not constant, and these values."""
    values: list[Value] = []

    def template(value: object) -> object:
        if isinstance(value, Constant):
            return value.array
        if isinstance(value, Value):
            values.append(value)
            return Hole(len(values) - 1)
        return value

    return {n: mapped(template, v) for n, v in args.items()}, values
