"""What an op takes and gives: which arguments go to its forward as they are, and what a forward returns."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import compress
from types import FunctionType
from typing import Any

import numpy as np

from tapenet.ops.op import Op
from tapenet.typing import Array

#: Types that go to a forward as they are: nothing to unwrap, and nothing that could answer `__tapenet_op__`.
PLAIN = frozenset(
    {np.ndarray, float, int, bool, complex, type(None)}
    | {np.dtype(c).type for c in "?bBhHiIlLqQefdgFDG"}
)  # fmt: skip
#: Types of options; a tuple, such as the axes of a sum, may hold a tensor.
STATIC = PLAIN | {str, slice, type, np.dtype, type(Ellipsis), FunctionType}
#: Types of the parts of an index.
INDEX = PLAIN | {slice, type(Ellipsis)}


def is_index(value: object) -> bool:
    """Whether a value is an index made of plain parts, with no tensor among them."""
    if type(value) is tuple:
        return INDEX.issuperset(map(type, value)) or all(type(v) in INDEX or _is_list(v) for v in value)
    return type(value) in INDEX or _is_list(value)


def _is_list(value: object) -> bool:
    """Whether a value is a list, or nested lists, of plain parts."""
    return type(value) is list and (
        PLAIN.issuperset(map(type, value)) or all(type(v) in PLAIN or _is_list(v) for v in value)
    )


def answers(kind: type) -> bool:
    """Whether a type answers `__tapenet_op__`. SciPy's sparse arrays do, by what is loaded when the first one is met."""
    if str(kind.__module__).startswith("scipy.sparse"):
        import_module("tapenet.scipy.sparse.operands")
    return hasattr(kind, "__tapenet_op__")


def is_static(value: object) -> bool:
    """Whether an option is a tuple, or nested tuples, of plain parts, with no tensor among them, or a random generator."""
    if type(value) is tuple:
        return STATIC.issuperset(map(type, value)) or all(type(v) in STATIC or is_static(v) for v in value)
    random = sys.modules.get("numpy.random")  # not imported here: who has a generator has imported it
    return random is not None and type(value) is random.Generator


def as_array(op: Op, name: str, value: Sequence[object]) -> object:
    """Nested lists of numbers as an array; a sequence of arrays, as `concatenate` takes, stays one."""
    if any(isinstance(v, np.ndarray) for v in value):
        return value
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{op.name}: its argument {name} is not an array: {error}") from None


def split(op: Op, result: object) -> list[Any]:
    """What a forward returned, as a list of outputs and residuals."""
    if op.outputs == 1 and not op.residuals:
        if type(result) is tuple:
            raise TypeError(
                f"op {op.name!r}: its forward returned a tuple of {len(result)}; define it with "
                f"outputs={len(result)}, or with residuals= for values that only the rules need"
            )
        return [result]
    expected = None if op.outputs is None else op.outputs + len(op.residuals)
    if not isinstance(result, (tuple, list)) or (expected is not None and len(result) != expected):
        got = f"{len(result)} values" if isinstance(result, (tuple, list)) else type(result).__name__
        raise TypeError(
            f"op {op.name!r}: its forward returned {got}, but its definition says {op.outputs} output(s) and "
            f"{len(op.residuals)} residual(s): return a tuple of {expected}"
        )
    return list(result)


def wrap(op: Op, value: object) -> Array:
    """A forward's result as an ndarray."""
    array = np.asarray(value)
    if array.dtype.char == "O":
        raise TypeError(
            f"op {op.name!r}: its forward returned {type(value).__name__}, which is not an array of numbers"
        )
    return array


@functools.cache
def subset(names: tuple[str, ...], *flags: bool) -> frozenset[str]:
    """The names whose flag is set: one set, which is hashed once, however often it is asked for."""
    return frozenset(compress(names, flags))


def check_device(name: str, device: object) -> None:
    """Raise ValueError if an option `device=` asks for another than NumPy's."""
    if device not in (None, "cpu"):
        raise ValueError(f"{name}: device={device!r} is not there; NumPy's only one is 'cpu'")
