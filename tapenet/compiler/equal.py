"""Whether two captures of a function gave the same program: then what has changed between them is read by the program's own
instructions alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np

from tapenet.autodiff.node import Leaf
from tapenet.autodiff.tensor import Tensor
from tapenet.program.ir import Constant, Program, Reference, Value
from tapenet.program.keys import Keyed, key_of
from tapenet.program.value_keys import Same, distinct
from tapenet.typing import Array


def equal(a: object, b: object, outside: Callable[[Array], bool]) -> bool:
    """Whether two objects mean the same: programs, or what else captures give. Where that is not known, False.

    Args:
        a, b: the objects, the later one second.
        outside: whether an array is the user's; others were made while the function was captured.
    """
    try:
        return _Comparison(outside).alike(a, b)
    except Exception:  # comparing objects of the user's may raise
        return False


class _Comparison:
    def __init__(self, outside: Callable[[Array], bool]) -> None:
        self._outside = outside
        #: The values of one program, with what each is in the other.
        self._values: dict[Value, Value] = {}
        #: What has been compared, or is: objects may hold themselves.
        self._compared: set[tuple[int, int]] = set()

    def alike(self, a: Any, b: Any) -> bool:
        """Whether two objects mean the same in a program."""
        kind = type(a)
        if a is b:
            return True
        if kind is not type(b) or kind is Tensor:
            return False
        if kind is Same:
            return bool(a == b)
        if isinstance(a, np.ndarray):
            return _equal(a, b)
        if isinstance(a, (tuple, list)):
            return self._all(a, b)
        if isinstance(a, dict):
            return self._all([*a, *a.values()], [*b, *b.values()])
        if isinstance(a, Keyed):
            return bool(key_of(a) == key_of(b))
        if (id(a), id(b)) in self._compared:
            return True
        self._compared.add((id(a), id(b)))
        if isinstance(a, Program):
            return self._program(a, b)
        if kind is FunctionType:
            return a.__code__ is b.__code__ and self._all(_bound(a), _bound(b))
        if kind is CellType:
            return self._all(_contents(a), _contents(b))
        if kind is partial:
            return self._all((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
        if kind is MethodType:
            return self._all((a.__func__, a.__self__), (b.__func__, b.__self__))
        if dataclasses.is_dataclass(a):  # fields that differ from capture to capture have compare=False
            names = [field.name for field in dataclasses.fields(a) if field.compare]
            return self._all([getattr(a, n) for n in names], [getattr(b, n) for n in names])
        return bool(distinct(a) == distinct(b))

    def _all(self, a: Iterable[object], b: Iterable[object]) -> bool:
        a, b = [*a], [*b]
        return len(a) == len(b) and all(map(self.alike, a, b))

    def _program(self, a: Program, b: Program) -> bool:
        counts = [(len(p.inputs), len(p.hosts), len(p.body), len(p.outputs), len(p.writes)) for p in (a, b)]
        if counts[0] != counts[1]:
            return False
        for x, y in zip(a.inputs, b.inputs, strict=True):
            if not self._declared(x, y) or x.order != y.order:
                return False
        for h, i in zip(a.hosts, b.hosts, strict=True):
            if not self._declared(h, i) or not self.alike(h.evaluate, i.evaluate):
                return False
        for one, other in zip(a.body, b.body, strict=True):
            if one.name != other.name or len(one.results) != len(other.results):
                return False
            if not self._same(one.args, other.args) or not self.alike(one.params, other.params):
                return False
            if not all(map(self._declared, one.results, other.results)):
                return False
        return self._same([*a.roots()], [*b.roots()])

    def _declared(self, x: Value, y: Value) -> bool:
        """Note that a value of one program is this one of the other."""
        self._values[x] = y
        return x.shape == y.shape and x.dtype == y.dtype

    def _same(self, a: Iterable[Value], b: Iterable[Value]) -> bool:
        a, b = [*a], [*b]
        return len(a) == len(b) and all(map(self._one, a, b))

    def _one(self, x: Value, y: Value) -> bool:
        if isinstance(x, Constant) and isinstance(y, Constant):
            return _equal(x.array, y.array)
        if isinstance(x, Reference) and isinstance(y, Reference):
            return x.tensor is y.tensor or self._of_same(x.tensor, y.tensor)
        return self._values.get(x) is y

    def _of_same(self, x: Tensor, y: Tensor) -> bool:
        """Whether two tensors show the same memory, or were made of the same numbers while the function was captured."""
        a, b = x._data, y._data
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            return False
        if a.strides == b.strides and a.__array_interface__["data"] == b.__array_interface__["data"]:
            return True
        return not (type(y._node) is Leaf or self._outside(b)) and _equal(a, b)


def _equal(a: Array, b: Array) -> bool:
    """Bit by bit."""
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())


def _bound(function: FunctionType) -> tuple[object, ...]:
    """What a function reads beside its arguments."""
    return function.__closure__ or (), function.__defaults__, function.__kwdefaults__


def _contents(cell: CellType) -> tuple[object, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # it is empty
        return ()
