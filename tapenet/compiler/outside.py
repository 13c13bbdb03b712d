"""What a function reads beside its arguments: globals, closure cells, attributes of plain objects, random generators.

A program holds for the objects that were behind these names when it was made, and a function that changes them itself
cannot be captured. Which names there are is read from the code of the function and of the functions of the user's
that it reaches. Modules and optimizers tell their own state (`Capture.depend`).
"""

from __future__ import annotations

import dis
import random
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tape import CaptureError, Node, Tape
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.random import generator


class _Missing:
    """Stands for what is not there."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Any = _Missing()
#: Types that are compared by value; all others are compared by identity.
_VALUES = frozenset({int, float, complex, bool, str, bytes, type(None), tuple, frozenset})
_CONTAINERS = (list, dict, set)
#: Types in which nothing can be found.
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None), Tensor, np.ndarray})
_OTHERS = frozenset({"tapenet", "numpy", "scipy", "builtins"}) | sys.stdlib_module_names
#: Containers with more entries are compared by their length alone, and not looked into.
_ENTRIES = 1000


def same(before: Any, now: Any) -> bool:
    """Whether a name still stands for the same: an equal number, text or tuple, or that very object."""
    if before is now:
        return True
    if type(before) is not type(now) or not (type(before) in _VALUES or isinstance(before, (np.generic, np.dtype))):
        return False
    if type(before) is tuple:
        return len(before) == len(now) and all(map(same, before, now))
    return bool(before == now) and repr(before) == repr(now)  # 0.0 and -0.0 are equal


class Place:
    """A name that a function reads or sets.

    Attributes:
        words: what to call it: `the global 'scale'`.
        holder: the mapping it is a key of; None for a closure cell.
    """

    __slots__ = ("_cell", "_owner", "holder", "name", "words")

    def __init__(self, words: str, name: str, holder: Any = None, cell: Any = None, owner: Any = None) -> None:
        self.words = words
        self.name = name
        self.holder = holder
        self._cell = cell
        #: The class whose attribute it is: its mapping cannot be written to.
        self._owner = owner

    @property
    def cell(self) -> Any:
        """The closure cell, if it is one."""
        return self._cell

    def get(self) -> Any:
        """What is there now."""
        if self._cell is None:
            return self.holder.get(self.name, MISSING)
        try:
            return self._cell.cell_contents
        except ValueError:
            return MISSING

    def put(self, value: Any) -> None:
        """Put back what was there."""
        if self._cell is not None:
            if value is not MISSING:
                self._cell.cell_contents = value
        elif self._owner is not None:
            if value is MISSING:
                delattr(self._owner, self.name)
            else:
                setattr(self._owner, self.name, value)
        elif value is MISSING:
            self.holder.pop(self.name, None)
        else:
            self.holder[self.name] = value


class Reach:
    """What is found from a function by the names in its code.

    Attributes:
        places: the names, with what stands behind them.
        containers: lists, dicts and sets among that, with their names in words.
        generators: random generators that may be drawn from directly.
        modules: all modules, which tell by `_fingerprint()` what of them a program depends on.
    """

    def __init__(self, function: Any, arguments: Iterable[Any] = ()) -> None:
        self.places: list[Place] = []
        self.containers: list[tuple[str, Any]] = []
        self.generators: list[np.random.Generator] = [generator()]
        self.modules: list[Any] = []
        #: Everything met, by id, and kept alive, so that no id is given out again.
        self._seen: dict[int, Any] = {id(self.generators[0]): self.generators[0]}
        self._places: set[tuple[int, str]] = set()
        self._namespaces: list[_Namespace] = []
        #: Names in the code, and among them those of attributes that it sets.
        self._names = {"forward", "__call__"}
        self._set: set[str] = set()
        for value in (function, *arguments):
            self._follow(value, "an argument")
        known = -1
        while known != len(self._seen) + len(self._places):  # what is found brings names, and these find more
            known = len(self._seen) + len(self._places)
            for namespace in list(self._namespaces):
                self._look_into(namespace)

    def _follow(self, value: Any, words: str) -> None:
        if type(value) in _PLAIN or value is MISSING or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, types.FunctionType):
            if _users(value.__globals__.get("__name__")):
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
        elif isinstance(value, (tuple, *_CONTAINERS)):
            if not isinstance(value, tuple):
                self.containers.append((words, value))
            if len(value) <= _ENTRIES:
                for part in value.values() if isinstance(value, dict) else value:
                    self._follow(part, f"inside {words}")
        elif isinstance(value, types.ModuleType):
            if _users(value.__name__):
                self._namespaces.append(_Namespace(value.__name__, vars(value)))
        elif isinstance(value, type):
            for base in value.__mro__:
                if _users(base.__module__) and (base is value or id(base) not in self._seen):
                    self._seen[id(base)] = base
                    self._namespaces.append(_Namespace(base.__qualname__, vars(base), base))
        elif hasattr(type(value), "_fingerprint"):
            for module in value.modules():
                self._seen[id(module)] = module
                self.modules.append(module)
                self._follow(type(module), words)
                for part in vars(module).values():
                    if isinstance(part, (np.random.Generator, types.FunctionType, types.MethodType, partial)):
                        self._follow(part, words)
        elif _users(type(value).__module__):
            self._follow(type(value), words)
            if hasattr(value, "__dict__"):
                defaults = {
                    n: v for base in type(value).__mro__ if _users(base.__module__) for n, v in vars(base).items()
                }
                self._namespaces.append(_Namespace(type(value).__qualname__, vars(value), None, defaults))
        elif "__wrapped__" in getattr(value, "__dict__", ()):  # of functions in disguise, such as compiled ones
            self._follow(vars(value)["__wrapped__"], words)

    def _look_into(self, namespace: _Namespace) -> None:
        title, holder, owner, defaults = namespace
        names = self._names & {*holder, *defaults}
        if owner is None:
            names |= self._set
        for name in sorted(names):
            if isinstance(defaults.get(name), types.FunctionType):
                continue
            self._place(Place(f"{title}.{name}", name, holder, owner=owner))

    def _function(self, function: types.FunctionType) -> None:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._place(Place(f"the closure variable {name!r}", name, cell=cell))
        for code in _codes(function.__code__):
            self._names.update(code.co_names)
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
    attributes: Any
    #: The class, if it is one.
    owner: type | None = None
    #: What its classes have under these names, which it may come to have itself.
    defaults: Mapping[str, Any] = MappingProxyType({})


def _fixed(value: Any) -> bool:
    """Whether something is a function, a class or a module of a library: nobody replaces these."""
    if isinstance(value, types.ModuleType):
        return not _users(value.__name__)
    if isinstance(value, (types.FunctionType, type)):
        return not _users(value.__module__)
    return isinstance(value, (types.BuiltinFunctionType, np.ufunc, property, types.GetSetDescriptorType))


def _users(module: str | None) -> bool:
    """Whether a module is the user's own, neither the standard library's nor an installed package's."""
    if module is None or module.partition(".")[0] in _OTHERS:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file


def _parts(value: Any) -> Iterator[Any]:
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


class Drawn(NamedTuple):
    """What the recorded ops drew random numbers from."""

    generators: list[np.random.Generator]
    #: Whether there was an op of the user's, which may draw where it likes.
    anywhere: bool


def drawn(nodes: Iterable[Node]) -> Drawn:
    """What recorded ops drew from."""
    found: list[np.random.Generator] = []
    anywhere = False
    for node in nodes:
        call = node.call or {}
        for body in call.values():
            if isinstance(body, Tape):  # of a loop, or a branch
                inside = drawn(body)
                found += inside.generators
                anywhere |= inside.anywhere
        if node.op.random:
            anywhere |= _users(node.op.__module__)
            found += [value for value in call.values() if isinstance(value, np.random.Generator)]
            if call.get("rng") is None:
                found.append(generator())
    return Drawn(found, anywhere)


class Watch:
    """Sees whether a function, while it is captured, changes what it reaches.

    Attributes:
        values: what stood behind `reach.places`.
    """

    def __init__(self, title: str, reach: Reach) -> None:
        self._title = title
        self.reach = reach
        self.values = [place.get() for place in reach.places]
        self._copies = [container.copy() for _, container in reach.containers]
        self._states = [g.bit_generator.state for g in reach.generators]
        self._python = random.getstate()
        self._numpy = np.random.get_state()

    def check(self, recorded: Drawn) -> None:
        """Raise if something was changed that a replay would not change again.

        Raises:
            CaptureError: names what was changed, and the mend.
        """
        for place, before in zip(self.reach.places, self.values, strict=True):
            now = place.get()
            if not same(before, now):
                raise CaptureError(
                    f"{self._title} changed {place.words} from {_shown(before)} to {_shown(now)} while it was captured; "
                    "a replay would not do it again. Pass it as an argument and return the new value, keep it in an "
                    "nn.Buffer, or change it outside of the compiled function"
                )
        for (words, container), before in zip(self.reach.containers, self._copies, strict=True):
            if _changed(before, container):
                raise CaptureError(
                    f"{self._title} changed the {type(container).__name__} that is {words} ({_sizes(before, container)}) "
                    "while it was captured; a replay would not do it again. Return what it adds, and add it outside of "
                    "the compiled function; if it only fills a cache, call the function once uncompiled"
                )
        self._check_random(recorded)

    def _check_random(self, recorded: Drawn) -> None:
        mend = (
            "a replay would use the same numbers again. Draw by tn.random.uniform, normal, integers or permutation, which "
            "are recorded"
        )
        if not recorded.anywhere:
            if random.getstate() != self._python:
                raise CaptureError(f"{self._title} draws from Python's random while it is captured; {mend}")
            if not _equal(np.random.get_state(), self._numpy):
                raise CaptureError(f"{self._title} draws from np.random while it is captured; {mend}")
        for rng, before in zip(self.reach.generators, self._states, strict=True):
            if not any(rng is g for g in recorded.generators) and not _equal(rng.bit_generator.state, before):
                raise CaptureError(
                    f"{self._title} draws directly from a random generator ({rng}) while it is captured; {mend}, and give "
                    "them rng= this generator"
                )

    def rollback(self) -> None:
        """Put everything back."""
        for place, before in zip(self.reach.places, self.values, strict=True):
            if place.get() is not before:
                place.put(before)
        for (_, container), before in zip(self.reach.containers, self._copies, strict=True):
            if _changed(before, container):
                _restore(container, before)
        for rng, state in zip(self.reach.generators, self._states, strict=True):
            rng.bit_generator.state = state
        random.setstate(self._python)
        np.random.set_state(self._numpy)


def _equal(a: Any, b: Any) -> bool:
    """Whether two states of a generator are the same."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(v, b[k]) for k, v in a.items())
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(np.array_equal(a, b))


def _changed(before: Any, now: Any) -> bool:
    if len(before) != len(now):
        return True
    if len(now) > _ENTRIES:
        return False
    if isinstance(now, dict):
        return any(key not in now or not same(value, now[key]) for key, value in before.items())
    if isinstance(now, list):
        return not all(map(same, before, now))
    return bool(before != now)


def _restore(container: Any, before: Any) -> None:
    if isinstance(container, list):
        container[:] = before
    else:
        container.clear()
        container.update(before)


def _shown(value: Any) -> str:
    text = repr(value) if type(value) in _VALUES or value is MISSING else f"one {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


def _sizes(before: Any, now: Any) -> str:
    return f"{len(before)} entries before, {len(now)} after" if len(before) != len(now) else "an entry was replaced"
