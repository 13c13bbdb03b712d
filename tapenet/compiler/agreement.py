"""Whether what a compiler reads in place of an op's forward (`lower=`) computes the same."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping

import numpy as np

from tapenet.autodiff.node import Node, Traced
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.ops.arguments import split
from tapenet.ops.op import Op
from tapenet.ops.reading import read
from tapenet.ops.registry import is_own
from tapenet.program.arguments import mapped
from tapenet.program.ir import Builder, Input, Program
from tapenet.typing import Array

#: By dtype, what the results may differ by, relative to the largest: sums in another order differ by rounding.
_ALLOWED = {"f": 1e-4, "F": 1e-4, "d": 1e-10, "D": 1e-10}
_seen: weakref.WeakSet[Op] = weakref.WeakSet()


def difference(op: Op, args: Mapping[str, object]) -> str:
    """How the results of `op.lower` differ from those of the forward on a call, in words; empty if they agree.

    Args:
        op: one with `lower=`, that draws no random numbers.
        args: the arguments of a call on arrays, by name.

    Raises:
        Exception: whatever `lower` raises on symbols, for one that no compiler can read.
    """
    inputs: list[Input] = []
    arrays: list[Array] = []

    def value(given: object) -> object:
        if isinstance(given, np.ndarray):
            inputs.append(Input(given.shape, given.dtype))
            arrays.append(given)
            return inputs[-1]
        return given

    builder = Builder()
    values = read(op, builder, {name: mapped(value, given) for name, given in args.items()})
    found = Program(inputs, [], builder.body, values, []).evaluate(arrays, store=False)
    expected = split(op, op.run(args))
    if len(found) != len(expected):
        return f"{len(found)} results against {len(expected)}"
    for one, other in zip(found, map(np.asarray, expected), strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"{one.dtype} of shape {one.shape} against {other.dtype} of shape {other.shape}"
        allowed = _ALLOWED.get(other.dtype.char, 0.0)
        scale = float(np.abs(other[np.isfinite(other)]).max(initial=0.0)) if allowed else 0.0
        if not np.allclose(one, other, allowed, allowed * scale, equal_nan=bool(allowed)):
            at = int(np.argmax(~np.isclose(one, other, allowed, allowed * scale, equal_nan=bool(allowed)).ravel()))
            return f"{one.flat[at]:.6g} against {other.flat[at]:.6g} at element {at} of shape {other.shape}"
    return ""


def check(nodes: Iterable[Node]) -> None:
    """Compare the `lower=` of each op with its forward, on the first call of the op that is compiled.

    For tapenet's own ops `tn.testing.check_op` does this.

    Raises:
        CaptureError: they differ.
    """
    for node in nodes:
        op = node.op
        if op.lower is None or op.effect or op.random or op in _seen or is_own(op):
            continue
        try:
            found = difference(op, {name: _array(value) for name, value in (node.call or {}).items()})
        except Exception:  # `lower` may fail on symbols in any way: then the program calls the op as it is
            continue
        if found:
            raise CaptureError(f"op {op.name!r}: its lower= gives another result than its forward: {found}")
        _seen.add(op)


def _array(value: object) -> object:
    """An argument of a recorded call as the forward got it."""
    return mapped(lambda v: v.data if isinstance(v, Traced) else v, value, Traced)
