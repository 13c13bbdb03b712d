"""Identities of arithmetic, to the last bit.

NaN, infinities, the sign of zeros and dtypes stay as they are, so x + 0.0 is left alone (it turns -0.0 into 0.0) and
x - 0.0 is x. Two exceptions: NaN has no sign to keep, and where `safe_mul` becomes a product or a choice, a zero has the
sign of that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.program.ir import Builder, Constant, Instruction, Program, Value, rewrite
from tapenet.program.passes.patterns import is_number, made_by, number

Rule = Callable[..., "Value | None"]


def run(program: Program) -> Program:
    """Apply the identities, each wherever it fits."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        found = RULES[instruction.name](builder, *args, **instruction.params)
        return found and builder.broadcast(found, instruction.results[0].shape)

    return rewrite(program, change, RULES)


def _emit(builder: Builder, name: str, *args: Value, **params: object) -> Value:
    """Append an instruction, or what an identity makes of it."""
    rule = RULES.get(name)
    found = rule and rule(builder, *args, **params)
    return builder.emit(name, *args, **params) if found is None else found


def _constant(value: float, like: Value) -> Constant:
    return Constant(np.asarray(value, like.dtype))


def _add(builder: Builder, x: Value, y: Value) -> Value | None:
    for a, b in ((x, y), (y, x)):
        if is_number(b, -0.0):
            return a
        if minus := made_by(b, "negative"):
            return _emit(builder, "subtract", a, *minus.args)
    return None


def _subtract(builder: Builder, x: Value, y: Value) -> Value | None:
    if is_number(y, 0.0):
        return x
    minus = made_by(y, "negative")
    return _emit(builder, "add", x, *minus.args) if minus else None


def _multiply(builder: Builder, x: Value, y: Value) -> Value | None:
    for a, b in ((x, y), (y, x)):
        if is_number(b, 1):
            return a
        if is_number(b, -1):
            return _emit(builder, "negative", a)
    left, right = made_by(x, "negative"), made_by(y, "negative")
    return _emit(builder, "multiply", *left.args, *right.args) if left and right else None


def _divide(builder: Builder, x: Value, y: Value) -> Value | None:
    """x / 2**n is x * 2**-n, as long as both are normal numbers."""
    if not isinstance(y, Constant):
        value = number(y)
        if value is None:
            return None
        y = Constant(value)
    if y.dtype.kind != "f":
        return None
    with np.errstate(all="ignore"):
        inverse = 1 / y.array
        tiny = np.finfo(y.dtype).tiny
        exact = (np.abs(np.frexp(y.array)[0]) == 0.5) & (np.abs(y.array) >= tiny) & (np.abs(inverse) >= tiny)
    return _emit(builder, "multiply", x, Constant(inverse)) if exact.all() else None


def _safe_mul(builder: Builder, x: Value, y: Value) -> Value | None:
    if x.dtype.kind in "biu":
        return _emit(builder, "multiply", x, y)
    for a, b in ((x, y), (y, x)):
        factor = number(a)
        if factor == 0:
            return _constant(0, a)
        if factor is not None and np.isfinite(factor):
            return _emit(builder, "multiply", a, b)
        mask = made_by(a, "cast")
        if mask is not None and mask.args[0].dtype == bool and b.dtype.kind != "c":  # 0 and 1
            return builder.emit("where", *mask.args, b, _constant(0, b))
    return None


def _twice(name: str) -> Rule:
    """name(name(x)) is x."""

    def rule(builder: Builder, x: Value) -> Value | None:
        inner = made_by(x, name)
        return inner.args[0] if inner else None

    return rule


def _neutral(*numbers: float, left: bool = True, same: bool = False, kinds: str = "biuf") -> Rule:
    """A primitive that gives x for x and one of these numbers (and for the number and x, if `left`), and for x and
    x, if `same`."""

    def rule(builder: Builder, x: Value, y: Value) -> Value | None:
        if x.dtype.kind not in kinds:
            return None
        if (same and x is y) or any(is_number(y, n) for n in numbers):
            return x
        return y if left and any(is_number(x, n) for n in numbers) else None

    return rule


RULES: dict[str, Rule] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "safe_mul": _safe_mul,
    "negative": _twice("negative"),
    "positive": lambda builder, x: x,
    "invert": _twice("invert"),
    "floor_divide": _neutral(1, left=False, kinds="iu"),
    "maximum": _neutral(-np.inf, same=True),
    "minimum": _neutral(np.inf, same=True),
    "fmax": _neutral(same=True),
    "fmin": _neutral(same=True),
    "logical_and": _neutral(1, same=True, kinds="b"),
    "logical_or": _neutral(0, same=True, kinds="b"),
    "bitwise_and": _neutral(same=True),
    "bitwise_or": _neutral(0, same=True),
    "bitwise_xor": _neutral(0),
}
