"""Numbers of Python's that are known only when a program runs: what `s = 0`, or `k += 1`, is in a recorded loop.

Beside arrays they count as Python's numbers do: `x * n` has the dtype of `x`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import numpy as np

from tapenet import ops
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.operators import Operand
from tapenet.program.arguments import mapped

if TYPE_CHECKING:
    from tapenet.ops.op import Op
    from tapenet.typing import DType, Shape

#: Python's kinds of numbers, each with the dtype that holds one.
DTYPES: dict[type, DType] = {
    bool: np.dtype(bool),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}
_KINDS = {"b": bool, "i": int, "u": int, "f": float, "c": complex}

Plain: TypeAlias = bool | int | float | complex


class Unknown(Exception):
    """Something needs the number itself, which only the program knows, or which is another one in each turn."""


def _dtype_beside(values: object, op: Op) -> DType | None:
    """What arrays that stand beside numbers in a call make of them; None without any."""
    found: list[DType] = []

    def seen(value: object) -> object:
        dtype = getattr(value, "dtype", None)
        if not isinstance(value, Number) and isinstance(dtype, np.dtype):
            found.append(dtype)
        return value

    if op.broadcasts:
        mapped(seen, values)
    return np.result_type(*found) if found else None


class Number(Operand):
    """A number of Python's whose value a program computes.

    Attributes:
        kind: bool, int, float or complex.
    """

    __slots__ = ("_tensor", "kind")

    shape: Shape = ()
    ndim = 0
    size = 1

    def __init__(self, tensor: Tensor, kind: type | None = None) -> None:
        self.kind = kind or _KINDS[tensor.dtype.kind]
        wanted = DTYPES[self.kind]
        self._tensor: object = tensor if tensor.dtype == wanted else ops.astype(tensor, wanted)

    @property
    def tensor(self) -> Tensor:
        """The value: 0-d, of the dtype that holds numbers of this kind."""
        assert isinstance(self._tensor, Tensor)
        return self._tensor

    @property
    def dtype(self) -> DType:
        return DTYPES[self.kind]

    def __bool__(self) -> bool:
        return bool(self._value("a decision of Python's"))

    def __index__(self) -> int:
        return operator.index(self._value("an integer of Python's"))  # type: ignore[arg-type]

    def __int__(self) -> int:
        return int(self._value("an integer of Python's"))  # type: ignore[call-overload, no-any-return]

    def __float__(self) -> float:
        return float(self._value("a float of Python's"))  # type: ignore[arg-type]

    def __complex__(self) -> complex:
        return complex(self._value("a complex number of Python's"))  # type: ignore[call-overload, no-any-return]

    def __hash__(self) -> int:
        return hash(self._value("a hash"))

    def _value(self, what: str) -> object:
        """The number itself, where no program is being recorded."""
        if capturing() is None:
            return self.tensor._data.item()
        self._unknown(what)

    def _unknown(self, what: str) -> NoReturn:
        raise Unknown(f"{what} is made of a {self.kind.__name__} that only the program knows")

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} of a program>" if capturing() is not None else repr(self._value("a text"))

    def __format__(self, spec: str) -> str:
        return format(self._value("a text"), spec)

    def __tapenet_op__(self, op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """An op on the number, as a tensor: of the dtype that the arrays beside it make of it."""
        beside = _dtype_beside((args, tuple(kwargs.values())), op)

        def tensor(value: object) -> object:
            if not isinstance(value, Number):
                return value
            dtype = DTYPES[value.kind] if beside is None else np.result_type(beside, value.kind())
            return value.tensor if value.dtype == dtype else ops.astype(value.tensor, dtype)

        return op(*mapped(tensor, args), **{name: mapped(tensor, value) for name, value in kwargs.items()})


def is_number(value: object) -> bool:
    """Whether a value is a number of Python's, known or not."""
    return isinstance(value, Number) or type(value) in DTYPES


def tensor_of(value: object) -> Tensor:
    """A number, or a truth that is a tensor, as a tensor."""
    if type(value) is Tensor:
        return value
    if isinstance(value, Number):
        return value.tensor
    data = np.array(value, DTYPES[type(value)])
    data.flags.writeable = False
    return Tensor._of(data)


def _power(x: object, y: object) -> Tensor:
    if type(y) is int and y < 0:
        y = float(y)
    found: Tensor = ops.power(_wider(x), _wider(y))
    return found


def _arithmetic(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x, y: function(_wider(x), _wider(y))


def _wider(value: object) -> Tensor:
    """A truth counts as 0 or 1."""
    found = tensor_of(value)
    return ops.astype(found, np.int64) if found.dtype == bool else found


def _bitwise(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def of(x: object, y: object) -> Tensor:
        a, b = tensor_of(x), tensor_of(y)
        return function(a, b) if a.dtype == b.dtype else function(_wider(x), _wider(y))

    return of


_BINARY: dict[str, Callable[..., Tensor]] = {
    "add": _arithmetic(ops.add),
    "sub": _arithmetic(ops.subtract),
    "mul": _arithmetic(ops.multiply),
    "truediv": _arithmetic(ops.divide),
    "floordiv": _arithmetic(ops.floor_divide),
    "mod": _arithmetic(ops.remainder),
    "pow": _power,
    "and": _bitwise(ops.bitwise_and),
    "or": _bitwise(ops.bitwise_or),
    "xor": _bitwise(ops.bitwise_xor),
    "lshift": _arithmetic(ops.left_shift),
    "rshift": _arithmetic(ops.right_shift),
    "lt": _arithmetic(ops.less),
    "le": _arithmetic(ops.less_equal),
    "gt": _arithmetic(ops.greater),
    "ge": _arithmetic(ops.greater_equal),
    "eq": _arithmetic(ops.equal),
    "ne": _arithmetic(ops.not_equal),
}


def _method(name: str, reflected: bool) -> Callable[..., object]:
    special = f"__r{name}__" if reflected else f"__{name}__"
    of_operands = getattr(Operand, special)
    function = _BINARY[name]

    def method(self: Number, other: object) -> object:
        if not is_number(other):
            return of_operands(self, other)
        return Number(function(other, self) if reflected else function(self, other))

    method.__name__ = special
    return method


for _name in _BINARY:
    setattr(Number, f"__{_name}__", _method(_name, False))
    if hasattr(Operand, f"__r{_name}__"):
        setattr(Number, f"__r{_name}__", _method(_name, True))


def _unary(special: str, function: Callable[..., Tensor]) -> None:
    setattr(Number, special, lambda self: Number(function(_wider(self))))


_unary("__neg__", ops.negative)
_unary("__pos__", operator.pos)
_unary("__abs__", ops.absolute)
_unary("__invert__", ops.invert)
