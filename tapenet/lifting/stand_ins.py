"""What stands inside a lifted function for Python's functions of numbers, for those of `math` and `cmath`, and for the types of
numbers.

Given plain numbers they are what they stand for. A number that has a gradient, or that only a program knows, gives a `Number`:
beside arrays it counts as Python's numbers do, so that dtypes are NumPy's.
"""

from __future__ import annotations

import builtins
import cmath
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import numpy as np

from tapenet import ops, special
from tapenet.autodiff.node import BaseTensor
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.telling import debug_print
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.control import truth
from tapenet.lifting.index import Index
from tapenet.lifting.number import DTYPES, Number
from tapenet.lifting.questions import and_, choose, not_, or_
from tapenet.lifting.saying import debug_print_, print_, text_of
from tapenet.lifting.turns import Enumerate, Reversed, Zip, constant, range_

Plain: TypeAlias = bool | int | float | complex


# -- numbers -----------------------------------------------------------------------------------------------------


def is_number(value: object) -> bool:
    """Whether something is a number that has a gradient, or that a program computes: nothing for Python's functions."""
    return isinstance(value, (Number, Index)) or (type(value) is Tensor and value.size == 1)


def _tensor(value: object) -> Tensor:
    """A number as a tensor of no axes."""
    if isinstance(value, (Number, Index)):
        return value.tensor
    found = value if type(value) is Tensor else Tensor._of(np.asarray(value))
    if found.ndim:
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
    return found


def _known(value: object) -> object:
    """The number of Python's, where it is known and has no gradient; else None."""
    if not is_number(value):
        return value
    tensor = _tensor(value)
    if tensor._node is not None and capturing() is None:
        return None
    found = constant(tensor)
    return None if found is None else found.item()


def _value(value: object) -> object:
    """The number of Python's, outside of programs."""
    return _tensor(value)._data.item() if is_number(value) else value


def _whole(function: Callable[..., Tensor], value: object) -> Number:
    return Number(ops.astype(function(_tensor(value)), np.int64), int)


def _as_bool(value: object) -> object:
    return not_(not_(value))


def _as_int(value: object, *base: object) -> object:
    if isinstance(value, Index):
        return value
    if isinstance(value, Number) and value.kind is int:
        return value
    return int(_value(value)) if capturing() is None else _whole(ops.trunc, value)  # type: ignore[call-overload]


def _as_float(value: object) -> object:
    found = value.tensor if isinstance(value, (Number, Index)) else _tensor(value)
    if found.dtype.kind == "c":
        raise TypeError("float() argument must be a string or a real number, not 'complex'")
    return Number(ops.astype(found, np.float64), float)


def _as_complex(real: object, imaginary: object = None) -> object:
    found = ops.astype(_tensor(real), np.complex128)
    return Number(found if imaginary is None else ops.add(found, ops.multiply(1j, _tensor(imaginary))), complex)


# -- types of numbers --------------------------------------------------------------------------------------------


class _Type(type):
    """The type of what stands for a type of numbers, which is told from it by `is` alone."""

    original: type
    make: Callable[..., object] | None

    def __call__(cls, *args: object, **kwargs: object) -> object:
        if cls.original is str and len(args) == 1:
            return text_of(str, args[0])
        if cls.make is None or not any(map(is_number, args)):
            given = cls._arrays(args)
            return cls.original(*args, **kwargs) if given is None else given
        known = [_known(a) for a in args]
        if all(k is not None for k in known):
            return cls.original(*known, **kwargs)
        return cls.make(*args, **kwargs)

    def _arrays(cls, args: tuple[object, ...]) -> object:
        """What a type of NumPy's makes of an array of several elements."""
        if len(args) == 1 and isinstance(args[0], BaseTensor) and issubclass(cls.original, np.generic):
            return ops.astype(args[0], cls.original)
        return None

    def __instancecheck__(cls, value: object) -> bool:
        if isinstance(value, Number):
            return issubclass(value.kind, cls.original)
        if isinstance(value, Index):
            return issubclass(int, cls.original)
        scalar = type(value) is Tensor and not value.ndim
        return issubclass(value.dtype.type, cls.original) if scalar else isinstance(value, cls.original)  # type: ignore[attr-defined]

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(getattr(other, "original", other), cls.original)

    def __eq__(cls, other: object) -> bool:
        return cls is other or cls.original == other

    def __hash__(cls) -> int:
        return hash(cls.original)

    def __getattr__(cls, name: str) -> object:
        return getattr(cls.original, name)

    def __repr__(cls) -> str:
        return repr(cls.original)


def _type(original: type, make: Callable[..., object] | None) -> type:
    content: dict[str, object] = {"original": original, "make": make, "__doc__": original.__doc__}
    # NumPy is to take it for a dtype, by its bases or by this attribute.
    if issubclass(original, np.generic) and original is not np.bool_:
        return _Type(original.__name__, (original,), content)
    return _Type(original.__name__, (), {**content, "dtype": np.dtype(original)})


# -- Python's functions ------------------------------------------------------------------------------------------


def length(value: object) -> object:
    """`len(value)`. Of a part whose length changes from turn to turn it is an index."""
    shape = getattr(value, "shape", None)
    return shape[0] if shape and isinstance(shape[0], Index) else len(value)  # type: ignore[arg-type]


def rounded(value: object, ndigits: int | None = None) -> object:
    """`round(value, ndigits)`."""
    if not (is_number(value) or isinstance(value, BaseTensor)):
        return round(value, ndigits)  # type: ignore[call-overload]
    if ndigits is None:
        return round(_value(value)) if capturing() is None else _whole(ops.rint, value)  # type: ignore[call-overload]
    found = ops.round(_tensor(value), ndigits)
    return found if type(value) is Tensor else Number(found, value.kind if isinstance(value, Number) else int)


def _extreme(original: Callable[..., object], better: Callable[[object, object], object]) -> Callable[..., object]:
    reduce = ops.min if original is min else ops.max

    def extreme(*args: object, **options: object) -> object:
        if len(args) == 1 and isinstance(args[0], Tensor) and args[0].ndim == 1 and not options:
            return reduce(args[0])
        values = list(args) if len(args) > 1 else list(args[0])  # type: ignore[call-overload]
        if options or not any(map(is_number, values)) or not values:
            return original(values, **options)
        best = values[0]
        for value in values[1:]:
            best = choose(better(value, best), lambda: value, lambda: best)  # noqa: B023
        return best

    extreme.__doc__ = f"`{original.__name__}(...)`."
    return extreme


def total(values: Iterable[object], /, start: object = 0) -> object:
    """`sum(values, start)`."""
    if isinstance(values, Tensor) and values.ndim:
        found: object = ops.sum(values, axis=0)
        return found if type(start) is int and start == 0 else start + found  # type: ignore[operator]
    return sum(values, start)  # type: ignore[call-overload]


def every(values: Iterable[object], /) -> object:
    """`all(values)`."""
    if _is_row(values):
        return ops.all(values)
    found: object = True
    for value in values:
        answer = truth(value)
        if answer is False:
            return False
        if answer is not True:
            found = and_(found, lambda: Number(answer, bool))  # noqa: B023
    return found


def some(values: Iterable[object], /) -> object:
    """`any(values)`."""
    if _is_row(values):
        return ops.any(values)
    found: object = False
    for value in values:
        answer = truth(value)
        if answer is True:
            return True
        if answer is not False:
            found = or_(found, lambda: Number(answer, bool))  # noqa: B023
    return found


def _is_row(values: object) -> bool:
    return isinstance(values, Tensor) and values.ndim == 1


def quotient(x: object, y: object) -> object:
    """`divmod(x, y)`."""
    if is_number(x) or is_number(y):
        return x // y, x % y  # type: ignore[operator]
    return divmod(x, y)  # type: ignore[operator]


# -- math --------------------------------------------------------------------------------------------------------


def _of_math(original: Callable[..., object], op: Callable[..., Tensor] | None, kind: type) -> Callable[..., object]:
    """What stands for a function of `math` or `cmath`, by an op that computes it."""
    given = complex if original.__module__ == "cmath" else float

    def function(*args: object) -> object:
        if not any(map(is_number, args)):
            return original(*args)
        known = [_known(a) for a in args]
        if all(k is not None for k in known):
            return original(*known)
        if op is None:
            raise NotImplementedError(
                f"{original.__module__}.{original.__name__} of a number that is recorded: it has no op. Define one (tn.op)"
            )
        if capturing() is None:
            value = original(*map(_value, args))  # raises what it does
            if kind in (bool, int):
                return value
        return Number(op(*(ops.astype(_tensor(a), DTYPES[given]) for a in args)), kind)

    function.__name__ = original.__name__
    function.__doc__ = original.__doc__
    return function


def _log(x: Tensor, base: Tensor | None = None) -> Tensor:
    found: Tensor = ops.log(x) if base is None else ops.divide(ops.log(x), ops.log(base))
    return found


def _integral(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x: ops.astype(function(x), np.int64)


def _hypot(*sides: Tensor) -> Tensor:
    found: Tensor = ops.absolute(sides[0])
    for side in sides[1:]:
        found = ops.hypot(found, side)
    return found


_MATH: dict[str, tuple[Callable[..., Tensor], type]] = {
    **{
        name: (getattr(ops, name), float)
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "copysign", "cos", "cosh", "degrees", "erf",
            "exp", "exp2", "expm1", "fabs", "fmod", "log10", "log1p", "log2", "pow", "radians", "sin", "sinh", "sqrt", "tan",
            "tanh",
        )
    },
    **{name: (getattr(ops, name), bool) for name in ("isfinite", "isinf", "isnan")},
    **{name: (_integral(getattr(ops, name)), int) for name in ("ceil", "floor", "trunc")},
    "log": (_log, float),
    "hypot": (_hypot, float),
    "erfc": (lambda x: special.erfc(x), float),
    "gamma": (lambda x: special.gamma(x), float),
    "lgamma": (lambda x: special.gammaln(x), float),
    "remainder": (lambda x, y: x - y * ops.rint(x / y), float),
}  # fmt: skip
#: Those that have no op; the others of `math` are of whole numbers, or of several.
_MISSING = ("frexp", "ldexp", "modf", "nextafter", "ulp", "dist", "prod", "isclose")
_CMATH: dict[str, tuple[Callable[..., Tensor], type]] = {
    **{
        name: (getattr(ops, name), complex)
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "log10", "sin", "sinh", "sqrt", "tan",
            "tanh",
        )
    },
    **{name: (getattr(ops, name), bool) for name in ("isfinite", "isinf", "isnan")},
    "log": (_log, complex),
    "phase": (ops.angle, float),
}  # fmt: skip


def _rect(r: object, phi: object) -> object:
    """`cmath.rect(r, phi)`."""
    if not (is_number(r) or is_number(phi)):
        return cmath.rect(r, phi)  # type: ignore[arg-type]
    sine, cosine = STAND_INS[math.sin], STAND_INS[math.cos]
    return r * cosine(phi) + 1j * r * sine(phi)  # type: ignore[operator]


def _polar(z: object) -> object:
    """`cmath.polar(z)`."""
    return abs(z), STAND_INS[cmath.phase](z)  # type: ignore[arg-type]


_MAKES: dict[type, Callable[..., object]] = {bool: _as_bool, int: _as_int, float: _as_float, complex: _as_complex}
_KINDS = (
    np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger, np.inexact, np.floating, np.complexfloating,
)  # fmt: skip

#: What stands for a function or type.
STAND_INS: dict[object, Callable[..., object]] = {
    **{kind: _type(kind, make) for kind, make in _MAKES.items()},
    **{
        kind: _type(kind, partial(lambda kind, x: ops.astype(_tensor(x), kind), kind))
        for kind in {np.dtype(code).type for code in "?bBhHiIlLqQefdFD"}
    },
    **{kind: _type(kind, None) for kind in (*_KINDS, str)},
    builtins.repr: partial(text_of, repr),
    **{getattr(math, name): _of_math(getattr(math, name), *of) for name, of in _MATH.items() if hasattr(math, name)},
    **{getattr(math, name): _of_math(getattr(math, name), None, float) for name in _MISSING},
    **{getattr(cmath, name): _of_math(getattr(cmath, name), *of) for name, of in _CMATH.items()},
    cmath.rect: _rect,
    cmath.polar: _polar,
    math.fsum: total,
    builtins.len: length,
    builtins.round: rounded,
    builtins.min: _extreme(min, lambda x, best: x < best),  # type: ignore[operator]
    builtins.max: _extreme(max, lambda x, best: x > best),  # type: ignore[operator]
    builtins.sum: total,
    builtins.all: every,
    builtins.any: some,
    builtins.divmod: quotient,
    builtins.print: print_,
    debug_print: debug_print_,
    builtins.range: range_,
    builtins.enumerate: Enumerate,
    builtins.zip: Zip,
    builtins.reversed: Reversed,
}
