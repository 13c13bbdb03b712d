"""What names mean inside a lifted function: copies of functions, and of NumPy with functions that make tensors.

A copy of a function is the same code with other globals, which hold the names that its code uses. Nothing outside is changed.
"""

from __future__ import annotations

import builtins
import cmath
import functools
import math
from abc import ABC
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Generic, Protocol, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff import aliasing
from tapenet.autodiff.node import BaseTensor
from tapenet.lifting.stand_ins import STAND_INS
from tapenet.ops.derived import Derived, made
from tapenet.ops.registry import stands_for
from tapenet.typing import Array

#: What stands inside a lifted function for a function or type.
STANDS: dict[object, object] = dict(STAND_INS)
#: What stands for an object, by its type: made by a function of the copies and the object.
OBJECTS: dict[type, Callable[..., object]] = {}
#: Modules of which a stand-in is made, whatever lifted function names them.
_OPENED = frozenset({math, cmath})
_UNSEEN = object()


#: Types of what is the same in each run.
_FIXED = (
    int, float, complex, str, bytes, type(None), FunctionType, BuiltinFunctionType, ModuleType, type, np.ufunc, np.generic,
    np.dtype,
)  # fmt: skip
#: From which a lifted class may be derived.
_BASES = frozenset({object, Generic, Protocol, ABC})


class _Array(type):
    """The type of what stands for `np.ndarray`: tensors are its instances."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, (np.ndarray, BaseTensor))

    def __call__(cls, shape: object, dtype: object = float, *args: object, **kwargs: object) -> object:
        if args or kwargs:
            raise TypeError("np.ndarray of a buffer has no place in a lifted function: make the array by np.array")
        return ops.zeros(shape, dtype)


class ndarray(metaclass=_Array):
    """Stands for `np.ndarray`."""


def as_strided(x: object, *args: object, **kwargs: object) -> object:
    """Stands for NumPy's function of this name: a tensor's elements lie in memory as they happen to."""
    if isinstance(x, BaseTensor):
        raise TypeError(
            "np.lib.stride_tricks.as_strided of a tensor cannot be followed: write np.lib.stride_tricks.sliding_window_view "
            "for windows, or index the array"
        )
    return np.lib.stride_tricks.as_strided(x, *args, **kwargs)  # type: ignore[call-overload]


STANDS[np.ndarray] = ndarray
STANDS[np.lib.stride_tricks.as_strided] = as_strided


@functools.cache
def _creation(function: Callable[..., object]) -> Callable[..., object] | None:
    """What makes tensors in place of a function of NumPy's: that itself, with tensors for the arrays that it returns; of what
    makes arrays of whatever it is given the function that makes tensors. None for what is none of NumPy's, and for ufuncs."""
    if isinstance(function, (type, np.ufunc)) or not _is_of_numpy(function):
        return None
    stands = stands_for(function)
    if isinstance(stands, Derived) and stands.makes:
        return stands

    @functools.wraps(function)
    def making(*args: object, **kwargs: object) -> object:
        result = function(*args, **kwargs)
        if function in _COPIES:
            aliasing.separate(result)
        elif function is np.ravel:
            aliasing.ravelled(result)
        elif function is np.einsum:
            aliasing.let_write(result)
        return _tensors(result)

    return making


#: Functions that give a copy, for which an op gives a view.
_COPIES = frozenset({np.resize})


def _is_of_numpy(function: object) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "numpy"


def _tensors(value: object) -> object:
    """A result with tensors for arrays of numbers."""
    kind = type(value)
    if kind is np.ndarray:
        array = cast("Array", value)
        return made(array, shared=array.base is not None) if array.dtype.kind in "biufc" else array
    if kind is list or kind is tuple:
        return cast("type", kind)(map(_tensors, cast("list[object]", value)))
    return value


class Module:
    """Stands for a module: what is asked of it is what lifted functions see."""

    def __init__(self, module: ModuleType, copies: Copies) -> None:
        self.__dict__["_module"] = module, copies

    def __getattr__(self, name: str) -> object:
        module, copies = self.__dict__["_module"]
        found = copies.replaced(getattr(module, name))
        if is_numpy(module) or module in _OPENED:
            self.__dict__[name] = found  # these never change
        return found

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["_module"][0], name, value)


def is_numpy(module: ModuleType) -> bool:
    """Whether a module is NumPy or a part of it."""
    return module.__name__.partition(".")[0] == "numpy"


class _Name:
    """A name in the globals of a copy, and in those of the function."""

    seen: object
    given: object

    def __init__(self, names: dict[str, object], copy: dict[str, object], name: str) -> None:
        self.names, self.copy, self.name = names, copy, name
        #: What the name stood for, and what the copy was given for it.
        self.seen = self.given = _UNSEEN

    def original(self) -> object:
        """What it stands for now."""
        return self.names.get(self.name, vars(builtins).get(self.name, _UNSEEN))

    def current(self) -> object:
        """What it stands for in the copy."""
        return self.copy.get(self.name, _UNSEEN)

    def give(self, value: object) -> None:
        """Let it stand for a value in the copy."""
        self.given = value
        if value is _UNSEEN:
            self.copy.pop(self.name, None)
        else:
            self.copy[self.name] = value

    def change(self, value: object) -> None:
        """Let it stand for a value outside, as the copy assigned to it."""
        self.names[self.name] = self.seen = value


class _Cell(_Name):
    """A variable of an enclosing function: its cell in a copy, and that of the function."""

    def __init__(self, cell: CellType, inside: CellType) -> None:
        self.cell, self.inside = cell, inside
        self.seen = self.given = _UNSEEN

    def original(self) -> object:
        """What it holds now."""
        return content(self.cell)

    def current(self) -> object:
        """What it holds in the copy."""
        return content(self.inside)

    def give(self, value: object) -> None:
        """Let it hold a value in the copy."""
        self.given = value
        if value is not _UNSEEN:
            self.inside.cell_contents = value

    def change(self, value: object) -> None:
        """Let it hold a value outside."""
        self.cell.cell_contents = self.seen = value


def content(cell: CellType) -> object:
    """What a variable of an enclosing function holds."""
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return _UNSEEN


class Copies:
    """The copies of functions that a lifted one calls, of one kind and in one thread.

    Args:
        modules: the names of the modules whose functions are copied.
        code: gives the code of a copy.
        emitted: what that finds as its further free variable.
    """

    def __init__(
        self, modules: frozenset[str], code: Callable[[FunctionType], CodeType], emitted: ModuleType | None = None
    ) -> None:
        self.modules = modules
        self._code = code
        self._emitted = emitted
        self._functions: dict[FunctionType, FunctionType] = {}
        self._modules: dict[ModuleType, Module] = {}
        #: Classes with copies of their methods, and what they are copies of.
        self._classes: dict[type, type] = {}
        self.classes: dict[type, type] = {}
        #: The globals of copies, by the `id` of those they stand for, which the names below keep.
        self._spaces: dict[int, dict[str, object]] = {}
        self._names: dict[tuple[int, str], _Name] = {}
        self._wrap: Callable[[object], object] | None = None

    def replaced(self, value: object) -> object:
        """What stands for a value that a name or an attribute of a module gives."""
        kind = type(value)
        if kind in OBJECTS:
            return OBJECTS[kind](self, value)
        if not isinstance(value, _FIXED) and not callable(value):
            return value if self._wrap is None else self._wrap(value)
        if isinstance(value, type) and value in self.classes:
            return value
        if kind is type and self.is_lifted(cast("type", value)):
            return self.lifted(cast("type", value))
        if kind is ModuleType:
            module = cast("ModuleType", value)
            if is_numpy(module) or module in _OPENED or module.__name__ in self.modules:
                if module not in self._modules:
                    self._modules[module] = Module(module, self)
                return self._modules[module]
        elif callable(value):
            owner = getattr(value, "__self__", None)
            if type(owner) in OBJECTS:  # a method
                return getattr(self.replaced(owner), getattr(value, "__name__", ""))
            if owner is not None and not isinstance(owner, ModuleType):
                return value  # a method of anything else, of which nothing is to be kept
            try:
                if value in STANDS:
                    return STANDS[value]
                function = getattr(value, "py_func", value)  # what Numba compiled
                if isinstance(function, FunctionType) and self._is_ours(getattr(function, "__wrapped__", function)):
                    made_here = any(function.__globals__ is space for space in self._spaces.values())
                    return function if made_here else self.copied(function)
                return _creation(value) or value
            except TypeError:  # it has no hash
                return value
        return value

    def is_lifted(self, kind: type) -> bool:
        """Whether methods of a class are copied: one of the user's, which is derived from no other's."""
        return kind.__module__ in self.modules and all(
            base.__module__ in self.modules or base in _BASES for base in kind.__mro__
        )

    def lifted(self, kind: type) -> type:
        """A class with copies of a class's methods, derived from it and from those of its bases: so `super()` finds theirs."""
        made = self._classes.get(kind)
        if made is None:
            bases = (kind, *(self.lifted(base) for base in kind.__bases__ if base not in _BASES))
            made = type(kind.__name__, bases, {"__module__": kind.__module__, "__qualname__": kind.__qualname__})
            self._classes[kind], self.classes[made] = made, kind
            for name, member in vars(kind).items():
                copy = self._member(member)
                if copy is not member:
                    setattr(made, name, copy)
        return made

    def _member(self, member: object) -> object:
        """The copy of what stands in a class."""
        if isinstance(member, FunctionType) and self._is_ours(member):
            return self.copied(member)
        if isinstance(member, (staticmethod, classmethod)):
            return type(member)(self._member(member.__func__))  # type: ignore[arg-type]
        if isinstance(member, property):
            return property(*(self._member(f) for f in (member.fget, member.fset, member.fdel)))  # type: ignore[arg-type]
        return member

    def _is_ours(self, function: object) -> bool:
        return getattr(function, "__globals__", {}).get("__name__", "None") in self.modules

    def copied(self, function: FunctionType) -> FunctionType:
        """The copy of a function. Of a function that a decorator of another module made only its variables are others."""
        copy = self._functions.get(function)
        if copy is not None:
            return copy
        code, names = function.__code__, function.__globals__
        if self._is_ours(function):
            code = self._code(function)
            own = {"__builtins__": builtins, "__name__": str(names.get("__name__")), "_lift": self._emitted}
            names = self._spaces.setdefault(id(names), own)
        cells = {name: CellType() for name in function.__code__.co_freevars}
        closure = tuple(cells[name] if name in cells else CellType(self._emitted) for name in code.co_freevars)
        copy = FunctionType(code, names, function.__name__, None, closure)
        self._functions[function] = copy  # before what it calls: that may call it
        functools.update_wrapper(copy, function)
        for name in names_in(code) if self._is_ours(function) else ():
            self._name((id(names), name), _Name(function.__globals__, names, name))
        for name, cell in zip(cells, function.__closure__ or (), strict=True):
            if name == "__class__":  # of `super()`
                cells[name].cell_contents = content(cell)
            else:
                self._name((id(cells[name]), ""), _Cell(cell, cells[name]))
        self._give_defaults(function, copy)
        return copy

    def _give_defaults(self, function: FunctionType, copy: FunctionType) -> None:
        if function.__defaults__:
            copy.__defaults__ = tuple(map(self.replaced, function.__defaults__))
        if function.__kwdefaults__:
            copy.__kwdefaults__ = {name: self.replaced(value) for name, value in function.__kwdefaults__.items()}

    def _name(self, key: tuple[int, str], name: _Name) -> None:
        if key not in self._names and key[1] not in ("__name__", "_lift"):
            self._names[key] = name
            self._see(name)

    def _see(self, name: _Name) -> None:
        value = name.original()
        if value is not name.seen or not isinstance(value, _FIXED):
            name.seen = value
            name.give(self.replaced(value))

    @property
    def runs(self) -> bool:
        """Whether a run of them is going on."""
        return self._wrap is not None

    def begin(self, wrap: Callable[[object], object]) -> None:
        """See what names stand for now; of arrays among it `wrap` gives what stands for them."""
        self._wrap = wrap
        for name in list(self._names.values()):
            self._see(name)
        for function, copy in list(self._functions.items()):
            self._give_defaults(function, copy)

    def end(self, back: Callable[[object], object]) -> None:
        """Give the names that the run assigned to their values outside, which `back` makes. No tensor of the run is kept."""
        self._wrap = None
        for name in self._names.values():
            now = name.current()
            if now is not name.given and now is not _UNSEEN:
                name.give(now)
                name.change(back(now))
            if not isinstance(name.seen, _FIXED):
                name.give(name.seen)
        for function, copy in self._functions.items():
            self._give_defaults(function, copy)


def names_in(code: CodeType) -> Iterator[str]:
    """The names that code uses, and the code of the functions in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)
