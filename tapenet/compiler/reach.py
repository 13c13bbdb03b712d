"""What a function reads beside its arguments: globals, closure cells, attributes of plain objects, random generators.

A program holds for the objects that were behind these names when it was made. Which names there are is read from the code
of the function and of the functions of the user's that it reaches. Modules and optimizers tell their own state
(`Capture.depend`).
"""

from __future__ import annotations

import dis
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.places import INSIDE, MISSING, NAMED, Contents, Elements, Held, Place
from tapenet.ops.op import Op
from tapenet.program.value_keys import slots
from tapenet.typing import Array

_CONTAINERS = (list, dict, set, deque)
#: Types in which nothing can be found.
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None), Tensor})
#: Packages whose objects tell their own state, or have none.
_TELLING = frozenset({"tapenet", "numpy", "scipy", "builtins"})
_OTHERS = _TELLING | sys.stdlib_module_names
#: Methods that run when a class is called; nobody calls them again on an instance.
_MAKING = ("__new__", "__init__", "__post_init__")
#: What methods are in the mapping of a class.
_METHODS = (types.FunctionType, staticmethod, classmethod)


class Reach:
    """What is found from a function by the names in its code.

    Attributes:
        places: the names, and the lists, dicts, sets and small arrays found behind them.
        large: arrays that are too large for their contents to be compared at each call, with what to call them.
        generators: random generators that may be drawn from directly.
        found: everything that was found, by id. It is kept alive, so that no id is used twice.
        modules: all modules, which tell by `_fingerprint()` what of them a program depends on.
    """

    def __init__(self, function: object, arguments: Iterable[object] = ()) -> None:
        self.places: list[Held] = []
        self.large: list[tuple[str, Array]] = []
        self.generators: list[np.random.Generator] = []
        self.modules: list[object] = []
        self.found: dict[int, object] = {}
        self._places: set[tuple[int, str]] = set()
        self._namespaces: list[_Namespace] = []
        #: The classes among them, by id.
        self._classes: set[int] = set()
        #: Names in the code, and among them those of attributes that it sets.
        self._names = {"forward", "__call__"}
        self._set: set[str] = set()
        for value in (function, *arguments):
            self._follow(value, "an argument")
        known = -1
        while known != len(self.found) + len(self._places):  # what is found brings names, and these find more
            known = len(self.found) + len(self._places)
            for namespace in list(self._namespaces):
                self._look_into(namespace)

    def _follow(self, value: Any, words: str, inside: bool = False) -> None:
        if type(value) in _PLAIN or value is MISSING or id(value) in self.found:
            return
        self.found[id(value)] = value
        if isinstance(value, types.FunctionType):
            if users(str(value.__globals__.get("__name__"))):  # None of what `exec` makes: the user's own
                self._function(value)
            elif "__wrapped__" in vars(value):
                self._follow(vars(value)["__wrapped__"], words)
        elif isinstance(value, types.MethodType):
            self._follow(value.__func__, words)
            self._follow(value.__self__, words)
        elif isinstance(value, (partial, staticmethod, classmethod, property)):
            for part in _parts(value):
                self._follow(part, words)
        elif isinstance(value, np.random.Generator):
            self.generators.append(value)
        elif isinstance(value, np.ndarray):
            if value.flags.writeable or value.base is not None:
                if value.nbytes <= (INSIDE if inside else NAMED) and not value.dtype.hasobject:
                    self.places.append(Elements(words, value))
                elif not inside:
                    self.large.append((words, value))
        elif isinstance(value, (tuple, *_CONTAINERS)):
            if not isinstance(value, tuple):
                self.places.append(Contents(words, value))
            for part in value.values() if isinstance(value, dict) else value:
                self._follow(part, words if inside else f"inside {words}", inside=True)
        elif isinstance(value, types.BuiltinFunctionType):
            if isinstance(value.__self__, _CONTAINERS):
                self._follow(value.__self__, f"bound to {words}")
        elif isinstance(value, Op):
            # A forward that is called at each replay in any case may read anything, and keep what it likes.
            called = value.effect or value.random or value.opaque is not None
            for part in (
                *(() if called else (value.forward, value.lower)),
                value.joint,
                value.jvp,
                *value.rules.values(),
            ):
                self._follow(part, words)
        elif isinstance(value, types.ModuleType):
            if users(value.__name__):
                self._namespaces.append(_Namespace(value.__name__, vars(value)))
        elif isinstance(value, type):
            self._class(value)
            if users(value.__module__):
                own = {name: part for base in reversed(value.__mro__) for name, part in vars(base).items()}
                for name in _MAKING:
                    self._follow(own.get(name), words)
        elif hasattr(type(value), "_fingerprint"):
            for module in value.modules():
                self.found[id(module)] = module
                self.modules.append(module)
                self._class(type(module))
                for name, part in vars(module).items():
                    self._follow(part, f"{type(module).__name__}.{name}")
        elif type(value).__module__.partition(".")[0] not in _TELLING:
            self._class(type(value))
            defaults = {n: v for base in type(value).__mro__ if users(base.__module__) for n, v in vars(base).items()}
            filled = _Slots(value)
            if hasattr(value, "__dict__"):
                self._namespaces.append(_Namespace(type(value).__qualname__, vars(value), None, defaults))
            if [*filled]:
                self._namespaces.append(_Namespace(type(value).__qualname__, filled))
        elif "__wrapped__" in getattr(value, "__dict__", ()):  # of functions in disguise, such as compiled ones
            self._follow(vars(value)["__wrapped__"], words)

    def _class(self, value: type) -> None:
        for base in value.__mro__:
            if users(base.__module__) and id(base) not in self._classes:
                self._classes.add(id(base))
                self._namespaces.append(_Namespace(base.__qualname__, vars(base), base))

    def _look_into(self, namespace: _Namespace) -> None:
        title, holder, owner, defaults = namespace
        names = self._names & {*holder, *defaults}
        if owner is None:
            names |= self._set.intersection(holder) if isinstance(holder, _Slots) else self._set
        else:
            # Python calls special methods without their names being in the code.
            special = {name for name, value in holder.items() if name.startswith("__") and isinstance(value, _METHODS)}
            names |= special.difference(_MAKING)
        for name in sorted(names):
            if isinstance(defaults.get(name), types.FunctionType):
                continue
            self._place(Place(f"{title}.{name}", name, holder, owner=owner))

    def _function(self, function: types.FunctionType) -> None:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._place(Place(f"the closure variable {name!r}", name, cell=cell))
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._follow(value, f"a default argument of {function.__name__}")
        for code in _codes(function.__code__):
            self._names.update(code.co_names)
            self._names.update(c for c in code.co_consts if isinstance(c, str))  # getattr(object, "name")
            read, written = set(), set()
            for instruction in dis.get_instructions(code):
                if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    read.add(instruction.argval)
                elif instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                    written.add(instruction.argval)
                elif instruction.opname == "STORE_ATTR":
                    self._set.add(instruction.argval)
            known = function.__globals__
            for name in sorted(written | (read & set(known))):  # what else is read is a builtin
                self._place(Place(f"the global {name!r}", name, known))

    def _place(self, place: Place) -> None:
        key = id(place.holder if place.cell is None else place.cell), place.name
        value = place.get()
        if key in self._places or _fixed(value):
            return
        self._places.add(key)
        if not isinstance(value, types.ModuleType):
            self.places.append(place)
        self._follow(value, place.words)


class _Namespace(NamedTuple):
    """Something with attributes: a module of the user's, a class, an object."""

    title: str
    attributes: Mapping[str, object]
    #: The class, if it is one.
    owner: type | None = None
    #: The attributes of its classes under these names, which the object may get itself.
    defaults: Mapping[str, object] = MappingProxyType({})


class _Slots(Mapping[str, object]):
    """The slots of an object as a mapping."""

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self._names = slots(type(owner))

    def __getitem__(self, name: str) -> object:
        try:
            return getattr(self._owner, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: object) -> None:
        setattr(self._owner, name, value)

    def pop(self, name: str, default: object) -> None:
        """Leave a slot empty."""
        if name in self:
            delattr(self._owner, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _fixed(value: object) -> bool:
    """Whether something is a function, a class or a module of a library: nobody replaces these."""
    if isinstance(value, types.ModuleType):
        return not users(value.__name__)
    if isinstance(value, (types.FunctionType, type)):
        return not users(value.__module__)
    if isinstance(value, types.BuiltinFunctionType):
        return not isinstance(value.__self__, _CONTAINERS)
    return isinstance(value, (np.ufunc, types.GetSetDescriptorType, types.MemberDescriptorType))


def users(module: str | None) -> bool:
    """Whether a module is the user's own, neither the standard library's nor an installed package's."""
    if module is None or module.partition(".")[0] in _OTHERS:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file


def _parts(
    value: partial[object] | property | staticmethod[..., object] | classmethod[object, ..., object],
) -> Iterator[object]:
    if isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, property):
        yield value.fget
    else:
        yield value.__func__


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Code with that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
