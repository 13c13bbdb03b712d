"""Elementwise primitives on scalars, as LLVM IR: the arithmetic of the native backend.

`apply` emits a primitive for operands of given dtypes, with NumPy's results: nan from `maximum`, the divisor's sign in
`remainder`, 0 from an integer division by zero. There are no branches, so that LLVM can turn the loop around it into
SIMD code; `fmod`, `remainder` and `floor_divide` of floats and what `functions` leaves to the C library it cannot.
The module must hold `definitions(e.needs)`.

Operands have the dtypes of the ufunc's loop. A float that the integer it is cast to cannot hold gives some number of
that type, not always the one that NumPy gives on the same machine.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm.emitter import Emitter, Value, held, literal, llvm_type, load, store, supported
from tapenet.llvm.functions import ARITY, FUNCTIONS, call, definition
from tapenet.typing import DType

__all__ = ["COST", "LOWERABLE", "Emitter", "apply", "can", "definitions", "literal", "llvm_type", "load", "store"]


class _Rule(NamedTuple):
    """One primitive: the kinds of dtype that it takes (all operands alike), what it emits for operands and their
    dtype, how many operands it has, and whether it gives booleans."""

    kinds: str
    emit: Callable[..., Value]
    arity: int
    to_bool: bool


_RULES: dict[str, _Rule] = {}


def _rule(name: str, kinds: str, emit: Callable[..., Value], arity: int = 1, to_bool: bool = False) -> None:
    _RULES[name] = _Rule(kinds, emit, arity, to_bool)


def _prefix(dtype: DType) -> str:
    """Of instructions for integers; booleans are unsigned."""
    return "s" if dtype.kind == "i" else "u"


# -- arithmetic --------------------------------------------------------------------------------------------------


def _safe_mul(a: Value, d: Value, dtype: DType) -> Value:
    product = a * d
    return (a.eq(0.0) | d.eq(0.0)).where(product.like(0.0), product) if dtype.kind == "f" else product


def _absolute(a: Value, dtype: DType) -> Value:
    if dtype.kind == "f":
        return abs(a)
    return (a < 0).where(-a, a) if dtype.kind == "i" else a


def _sign(a: Value, dtype: DType) -> Value:
    if dtype.kind == "u":
        return a.ne(0).where(a.like(1), 0)
    signed = (a > 0).where(a.like(1), (a < 0).where(a.like(-1), 0))
    return a.is_nan().where(a, signed) if dtype.kind == "f" else signed


def _safe(b: Value, dtype: DType) -> Value:
    """A divisor for the processor, which traps at 0, and at -1 where the quotient overflows: 1 instead."""
    unsafe = b.eq(0) | b.eq(-1) if dtype.kind == "i" else b.eq(0)
    return unsafe.where(b.like(1), b)


def _other_side(rest: Value, b: Value) -> Value:
    """Whether a remainder has to change to the divisor's sign."""
    if rest.is_float:
        return rest.ne(0.0) & ((rest < 0.0) ^ (b < 0.0))
    return rest.ne(0) & ((rest ^ b) < 0)


def _fmod(a: Value, b: Value, dtype: DType) -> Value:
    if dtype.kind == "f":
        return a.op("frem", a, b)
    return a.op(f"{_prefix(dtype)}rem", a, _safe(b, dtype))


def _remainder(a: Value, b: Value, dtype: DType) -> Value:
    rest = _fmod(a, b, dtype)
    if dtype.kind == "u":
        return rest
    moved = _other_side(rest, b).where(rest + b, rest)
    return rest.eq(0.0).where(rest.copysign(b), moved) if dtype.kind == "f" else moved


def _floor_divide(a: Value, b: Value, dtype: DType) -> Value:
    if dtype.kind != "f":
        safe = _safe(b, dtype)
        quotient = a.op(f"{_prefix(dtype)}div", a, safe)
        if dtype.kind == "i":
            quotient = _other_side(a - quotient * safe, b).where(quotient - 1, quotient)
            quotient = b.eq(-1).where(-a, quotient)
        return b.eq(0).where(b, quotient)
    rest = a.op("frem", a, b)
    quotient = (a - rest) / b
    quotient = _other_side(rest, b).where(quotient - 1.0, quotient)
    whole = quotient.intrinsic("floor")
    whole = (quotient - whole > 0.5).where(whole + 1.0, whole)
    plain = a / b
    return b.eq(0.0).where(plain, quotient.eq(0.0).where(plain.like(0.0).copysign(plain), whole))


_rule("add", "biuf", lambda a, b, dtype: a | b if dtype.kind == "b" else a + b, 2)
_rule("subtract", "iuf", lambda a, b, _: a - b, 2)
_rule("multiply", "biuf", lambda a, b, _: a * b, 2)
_rule("safe_mul", "biuf", _safe_mul, 2)
_rule("divide", "f", lambda a, b, _: a / b, 2)
_rule("floor_divide", "iuf", _floor_divide, 2)
_rule("remainder", "iuf", _remainder, 2)
_rule("fmod", "iuf", _fmod, 2)
_rule("copy", "biuf", lambda a, _: a)
_rule("positive", "iuf", lambda a, _: a)
_rule("conjugate", "iuf", lambda a, _: a)  # of real numbers, as the next
_rule("imag", "f", lambda a, _: a.like(0.0))
_rule("negative", "iuf", lambda a, _: -a)
_rule("absolute", "biuf", _absolute)
_rule("fabs", "f", lambda a, _: abs(a))
_rule("sign", "iuf", _sign)
_rule("square", "iuf", lambda a, _: a * a)
_rule("reciprocal", "f", lambda a, _: 1.0 / a)
_rule("sqrt", "f", lambda a, _: a.intrinsic("sqrt"))
_rule("copysign", "f", lambda a, b, _: a.copysign(b), 2)
_rule("rint", "f", lambda a, _: a.intrinsic("rint"))
for _name in ("floor", "ceil", "trunc"):
    _rule(_name, "biuf", lambda a, dtype, _name=_name: a.intrinsic(_name) if dtype.kind == "f" else a)

# -- comparisons -------------------------------------------------------------------------------------------------


def _comparison(predicate: str) -> Callable[[Value, Value, DType], Value]:
    return lambda a, b, dtype: a.compare(("o" if dtype.kind == "f" else _prefix(dtype)) + predicate, b)


def _is_constant_number(a: Value) -> bool:
    """Whether it is known not to be nan."""
    return a.name in a.e.numbers or (a.name.startswith("0x") and int(a.name, 16) & (2**63 - 1) <= 0x7FF << 52)


def _extreme(predicate: str) -> Callable[[Value, Value, DType], Value]:
    """`maximum` (`gt`) and `minimum` (`lt`): nan if one is nan; of equals (0 and -0) the second, as in NumPy."""

    def emit(a: Value, b: Value, dtype: DType) -> Value:
        if dtype.kind != "f":
            return a.compare(_prefix(dtype) + predicate, b).where(a, b)
        if _is_constant_number(b):  # one comparison does it, true for a nan
            return a.compare("u" + predicate, b).where(a, b)
        return a.is_nan().where(a, a.compare("o" + predicate, b).where(a, b))

    return emit


def _extreme_number(predicate: str) -> Callable[[Value, Value, DType], Value]:
    """`fmax` and `fmin`: nan only if both are."""

    def emit(a: Value, b: Value, dtype: DType) -> Value:
        if dtype.kind != "f":
            return a.compare(_prefix(dtype) + predicate, b).where(a, b)
        return (a.compare("o" + predicate, b) | b.is_nan()).where(a, b)

    return emit


for _name, _predicate in {"less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge"}.items():
    _rule(_name, "biuf", _comparison(_predicate), 2, to_bool=True)
_rule("equal", "biuf", lambda a, b, _: a.eq(b), 2, to_bool=True)
_rule("not_equal", "biuf", lambda a, b, _: a.ne(b), 2, to_bool=True)
for _name, _predicate in {"max": "gt", "min": "lt"}.items():
    _rule(f"{_name}imum", "biuf", _extreme(_predicate), 2)
    _rule(f"f{_name}", "biuf", _extreme_number(_predicate), 2)
_rule("isnan", "biuf", lambda a, _: a.ne(a), to_bool=True)
_rule("isinf", "biuf", lambda a, dtype: abs(a).eq(math.inf) if dtype.kind == "f" else a.ne(a), to_bool=True)
_rule("isfinite", "biuf", lambda a, dtype: abs(a) < math.inf if dtype.kind == "f" else a.eq(a), to_bool=True)
_rule("signbit", "f", lambda a, _: a.bits() < 0, to_bool=True)

# -- logic and bits ----------------------------------------------------------------------------------------------


def _truth(a: Value) -> Value:
    return a if a.type == "i1" else a.ne(0)


def _shift(instruction: str) -> Callable[[Value, Value, DType], Value]:
    """All bits leave if there are not as many, or if the count is negative."""

    def emit(a: Value, b: Value, dtype: DType) -> Value:
        inside = b.compare("ult", 8 * dtype.itemsize)
        if instruction == "lshr" and dtype.kind == "i":
            return a.op("ashr", a, inside.where(b, 8 * dtype.itemsize - 1))
        return inside.where(a.op(instruction, a, inside.where(b, 0)), 0)

    return emit


_rule("logical_and", "biuf", lambda a, b, _: _truth(a) & _truth(b), 2, to_bool=True)
_rule("logical_or", "biuf", lambda a, b, _: _truth(a) | _truth(b), 2, to_bool=True)
_rule("logical_xor", "biuf", lambda a, b, _: _truth(a) ^ _truth(b), 2, to_bool=True)
_rule("logical_not", "biuf", lambda a, _: ~_truth(a), to_bool=True)
_rule("bitwise_and", "biu", lambda a, b, _: a & b, 2)
_rule("bitwise_or", "biu", lambda a, b, _: a | b, 2)
_rule("bitwise_xor", "biu", lambda a, b, _: a ^ b, 2)
_rule("invert", "biu", lambda a, _: ~a)
_rule("left_shift", "iu", _shift("shl"), 2)
_rule("right_shift", "iu", _shift("lshr"), 2)

# -- functions ---------------------------------------------------------------------------------------------------

for _name in FUNCTIONS:
    _rule(_name, "f", lambda *a, _name=_name: call(_name, *a[:-1]), ARITY.get(_name, 1))

#: Primitives that are added to the table later: by name, and by the dtypes of operands and result, what emits them.
ADDED: dict[str, dict[tuple[DType, ...], Callable[..., Value]]] = {}
#: The primitives that `apply` knows, for some dtypes at least.
LOWERABLE = frozenset({*_RULES, "where", "cast"})

#: Roughly how much longer it takes than an addition, in a float32 SIMD loop; 1 if not here.
COST: dict[str, float] = {
    "divide": 8, "reciprocal": 8, "sqrt": 10, "floor_divide": 300, "remainder": 300, "fmod": 300,
    "exp": 20, "exp2": 17, "expm1": 22, "sigmoid": 28, "tanh": 26, "sinh": 30, "cosh": 27,
    "log": 26, "log2": 25, "log10": 28, "log1p": 29, "logaddexp": 40, "erf": 27, "erfc": 160, "normal_cdf": 14,
    "sin": 80, "cos": 80, "tan": 110, "arctan": 21, "arcsin": 20, "arccos": 20, "arctan2": 95,
    "arcsinh": 165, "arccosh": 130, "arctanh": 110, "power": 160, "cbrt": 200, "hypot": 60,
}  # fmt: skip


def _cast(a: Value, source: DType, target: DType) -> Value:
    """From one dtype to another, as `astype` does it."""
    if source == target:
        return a
    type = llvm_type(target)
    if target.kind == "b":
        return _truth(a)
    if source.kind in "biu":
        signed = source.kind == "i"
        if target.kind == "f":
            return a.convert("sitofp" if signed else "uitofp", type)
        if target.itemsize > source.itemsize or source.kind == "b":
            return a.convert("sext" if signed else "zext", type)
        return a if target.itemsize == source.itemsize else a.convert("trunc", type)
    if target.kind == "f":
        return a.convert("fpext" if target.itemsize > source.itemsize else "fptrunc", type)
    # Narrow and unsigned integers by way of wider signed ones, as C compilers do it. What does not fit even there is
    # undefined in LLVM until it is frozen.
    wide = "i64" if target.itemsize == 8 or target == np.uint32 else "i32"
    number = a.convert("fptoui" if target == np.uint64 else "fptosi", wide).op("freeze")
    return number if wide == type else number.convert("trunc", type)


def can(name: str, dtypes_in: Sequence[DType], dtype_out: DType) -> bool:
    """Whether `apply` emits this primitive for these dtypes."""
    if name in ADDED:
        return (*dtypes_in, dtype_out) in ADDED[name]
    return _can(name, tuple(dtypes_in), dtype_out)


@functools.cache
def _can(name: str, dtypes_in: tuple[DType, ...], dtype_out: DType) -> bool:
    """The same of one of tapenet's own: it is asked some ten times of each instruction."""
    if not all(map(supported, (*dtypes_in, dtype_out))):  # complex numbers are moved as bits
        moves = {"copy": (dtype_out,), "where": (np.dtype(bool), dtype_out, dtype_out)}
        return held(dtype_out) and dtypes_in == moves.get(name)
    if name == "cast":
        return len(dtypes_in) == 1
    if name == "where":
        return len(dtypes_in) == 3 and dtypes_in[0].kind == "b" and dtypes_in[1] == dtypes_in[2] == dtype_out
    rule = _RULES.get(name)
    if rule is None or len(dtypes_in) != rule.arity:
        return False
    dtype = dtypes_in[0]
    result = dtype_out.kind == "b" if rule.to_bool else dtype_out == dtype
    return dtype.kind in rule.kinds and result and all(d == dtype for d in dtypes_in)


def apply(e: Emitter, name: str, dtypes_in: Sequence[DType], dtype_out: DType, operands: Sequence[str]) -> str:
    """Emit a primitive on scalar operands, registers or literals, and give the register (or literal) of its result.

    Raises:
        TypeError: it is not among those that `can` admits.
    """
    if not can(name, dtypes_in, dtype_out) or len(operands) != len(dtypes_in):
        raise TypeError(f"no native {name} for {', '.join(map(str, dtypes_in))} to {dtype_out}")
    values = [Value(e, o, llvm_type(d)) for o, d in zip(operands, dtypes_in, strict=True)]
    if name in ADDED:
        return ADDED[name][*dtypes_in, dtype_out](*values).name
    if name == "cast":
        return _cast(values[0], dtypes_in[0], dtype_out).name
    if name == "where":
        return values[0].where(values[1], values[2]).name
    return _RULES[name].emit(*values, dtypes_in[0]).name


def definitions(needs: Iterable[str]) -> str:
    """The text of the functions that emitted code calls, and of those that these call, each once."""
    texts: dict[str, str] = {}
    waiting = sorted(needs)
    while waiting:
        symbol = waiting.pop()
        if symbol not in texts:
            texts[symbol], more = definition(symbol)
            waiting.extend(sorted(more))
    return "\n".join(texts[symbol] for symbol in sorted(texts))
