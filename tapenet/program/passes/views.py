"""Views: chains of reshapes, transposes, broadcasts and slices become one, or none.

Broadcasts move towards the results: what is computed from a repeated value is computed once and repeated after.
"""

from __future__ import annotations

from collections.abc import Callable

from tapenet.program.ir import Builder, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes.patterns import made_by, moved, only_ones, padded, pairs, stripped
from tapenet.typing import Shape

Slice = tuple[int, int, int]


def run(program: Program) -> Program:
    """Simplify views, and take broadcasts away from operands that NumPy's rules would repeat by themselves."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        if instruction.kind == "elementwise":
            return _elementwise(builder, instruction, args)
        rule = RULES.get(instruction.name)
        return rule and rule(builder, *args, **instruction.params)

    return rewrite(program, change)


def _emit(builder: Builder, name: str, *args: Value, **params: object) -> Value:
    """Append a view, or something simpler."""
    found = RULES[name](builder, *args, **params)
    return builder.emit(name, *args, **params) if found is None else found


def _reshape(builder: Builder, x: Value, shape: Shape) -> Value | None:
    if x.shape == shape:
        return x
    if inner := made_by(x, "reshape"):
        return _emit(builder, "reshape", *inner.args, shape=shape)
    if inner := made_by(x, "broadcast"):
        (source,) = inner.args
        if source.size == 1:
            return _emit(builder, "broadcast", _emit(builder, "reshape", source, shape=()), shape=shape)
        groups = pairs(shape, x.shape)
        if groups is not None and only_ones(groups):
            before = moved(source.shape, x.shape, shape, groups)
            return _emit(builder, "broadcast", _emit(builder, "reshape", source, shape=before), shape=shape)
    return None


def _transpose(builder: Builder, x: Value, axes: Shape) -> Value | None:
    if axes == tuple(range(x.ndim)):
        return x
    if inner := made_by(x, "transpose"):
        return _emit(builder, "transpose", *inner.args, axes=tuple(inner.params["axes"][i] for i in axes))
    long = [i for i in axes if x.shape[i] != 1]
    if long == sorted(long):
        return _emit(builder, "reshape", x, shape=tuple(x.shape[i] for i in axes))
    if inner := made_by(x, "broadcast"):
        (source,) = inner.args
        full = _emit(builder, "reshape", source, shape=padded(source.shape, x.ndim))
        turned = _emit(builder, "transpose", full, axes=axes)
        return _emit(builder, "broadcast", turned, shape=tuple(x.shape[i] for i in axes))
    return None


def _broadcast(builder: Builder, x: Value, shape: Shape) -> Value | None:
    if x.shape == shape:
        return x
    if stripped(x.shape) == stripped(shape):
        return _emit(builder, "reshape", x, shape=shape)
    if inner := made_by(x, "broadcast"):
        return _emit(builder, "broadcast", *inner.args, shape=shape)
    if inner := made_by(x, "reshape"):
        (source,) = inner.args
        if stripped(source.shape) == stripped(x.shape) and source.ndim <= len(shape):
            return _emit(builder, "broadcast", source, shape=shape)
    return None


def normal(positions: range) -> Slice:
    """The one way to write what a slice selects."""
    if not positions:
        return (0, 0, 1)
    if len(positions) == 1:
        return (positions[0], positions[0] + 1, 1)
    return (positions[0], positions[-1] + (1 if positions.step > 0 else -1), positions.step)


def _slice(builder: Builder, x: Value, slices: tuple[Slice, ...]) -> Value | None:
    taken = [normal(range(*s)) for s in slices]
    whole = [s == (0, n, 1) for s, n in zip(taken, x.shape, strict=True)]
    if all(whole):
        return x
    if inner := made_by(x, "slice"):
        both = [
            normal(range(*first)[start : stop if stop >= 0 else None : step])
            for first, (start, stop, step) in zip(inner.params["slices"], taken, strict=True)
        ]
        return _emit(builder, "slice", *inner.args, slices=tuple(both))
    inner = made_by(x, "broadcast")
    shape = tuple(len(range(*s)) for s in taken)
    if inner is None or 0 in shape:
        return None
    (source,) = inner.args
    ours = taken[x.ndim - source.ndim :]
    kept = tuple((0, 1, 1) if n == 1 else s for n, s in zip(source.shape, ours, strict=True))
    return _emit(builder, "broadcast", _emit(builder, "slice", source, slices=kept), shape=shape)


def _concatenate(builder: Builder, *parts: Value, axis: int) -> Value | None:
    return parts[0] if len(parts) == 1 else None


def _update(builder: Builder, base: Value, value: Value, slices: tuple[Slice, ...]) -> Value | None:
    """All of a base is overwritten."""
    whole = all(s == (0, n, 1) for s, n in zip(slices, base.shape, strict=True))
    return value if whole else None


RULES: dict[str, Callable[..., Value | None]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "slice": _slice,
    "concatenate": _concatenate,
    "update": _update,
}


def _elementwise(builder: Builder, instruction: Instruction, args: tuple[Value, ...]) -> Value | None:
    for arg in args:
        if isinstance(arg, Result) and arg.instruction.name == "broadcast":
            break
    else:
        return None
    sources = [inner.args[0] if (inner := made_by(a, "broadcast")) else a for a in args]
    made = builder.emit(instruction.name, *sources, **instruction.params)
    return _emit(builder, "broadcast", made, shape=instruction.results[0].shape)
