"""What a function reads beside its arguments: globals, closure cells, attributes of plain objects, random generators.

A program holds for the objects that were behind these names when it was made, and a function that changes them itself
cannot be captured. Which names there are is read from the code of the function and of the functions of the user's
that it reaches. Modules and optimizers tell their own state (`Capture.depend`).
"""

from __future__ import annotations

import dis
import operator
import random
import sys
import threading
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from threading import get_ident
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.tape import CaptureError, Tape
from tapenet.autodiff.tensor import Tensor
from tapenet.kernels.threads import KERNELS
from tapenet.ops import random as draws
from tapenet.ops.op import Op
from tapenet.ops.random import equal_states, generator
from tapenet.program.value_keys import distinct, slots
from tapenet.typing import Array


class _Missing:
    """Stands for what is not there."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Any = _Missing()
#: Types that are compared by value; all others are compared by identity.
_VALUES = frozenset({int, float, complex, bool, str, bytes, type(None), frozenset})
_CONTAINERS = (list, dict, set, deque)
#: Types in which nothing can be found.
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None), Tensor})
#: Packages whose objects tell their own state, or have none.
_TELLING = frozenset({"tapenet", "numpy", "scipy", "builtins"})
_OTHERS = _TELLING | sys.stdlib_module_names
#: Bytes of an array up to which its contents are compared at each call, where plain NumPy may have read them: of one that has
#: a name, and of one that is in a container, with many others that the function may not use.
_NAMED, _INSIDE = 1 << 16, 1 << 12
#: Run where a class is called: of what is only an instance nobody calls them again.
_MAKING = ("__new__", "__init__", "__post_init__")
#: What methods are in the mapping of a class.
_METHODS = (types.FunctionType, staticmethod, classmethod)


def same(before: Any, now: Any) -> bool:
    """Whether a name still stands for the same: an equal number, text or tuple, or that very object."""
    if before is now:
        return True
    if type(before) is not type(now):
        return False
    if type(before) is tuple:
        return len(before) == len(now) and all(map(same, before, now))
    if type(before) in _VALUES or isinstance(before, (np.generic, np.dtype)):
        return bool(distinct(before) == distinct(now))
    return False


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

    def stands(self, before: Any) -> bool:
        """Whether that very object is still there."""
        return self.get() is before

    def like(self, before: Any, now: Any) -> bool:
        """Whether nothing tells what was there from what is there now."""
        return same(before, now)

    def take_out(self, before: Any) -> None:
        """Put back what was there, if a tensor that is being captured is there now."""
        if _recorded(self.get()):
            self.put(before)

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


class Contents:
    """What is in a container, or in a small array, that a function reaches. It is used as a `Place` is.

    Attributes:
        words: what to call it: `the list that is the global 'layers'`.
        holder: the container.
    """

    __slots__ = ("holder", "words")

    def __init__(self, words: str, holder: Any) -> None:
        self.words = f"the {'array' if isinstance(holder, np.ndarray) else type(holder).__name__} that is {words}"
        self.holder = holder

    def get(self) -> Any:
        """What is in it now."""
        holder = self.holder
        if isinstance(holder, np.ndarray):
            return holder.tobytes()
        return (*holder, *holder.values()) if isinstance(holder, dict) else (*holder,)

    def stands(self, before: Any) -> bool:
        """Whether those very objects are still in it."""
        holder = self.holder
        if isinstance(holder, np.ndarray):
            return bool(holder.tobytes() == before)
        if isinstance(holder, dict):
            return 2 * len(holder) == len(before) and all(map(operator.is_, chain(holder, holder.values()), before))
        return len(holder) == len(before) and all(map(operator.is_, holder, before))

    def like(self, before: Any, now: Any) -> bool:
        """Whether nothing tells what was in it from what is in it now."""
        if isinstance(self.holder, set):
            return {*map(distinct, before)} == {*map(distinct, now)}
        return same(before, now)

    def put(self, before: Any) -> None:
        """Put back what was in it."""
        holder = self.holder
        if isinstance(holder, np.ndarray):
            if holder.flags.writeable:  # else it shows another's memory, which is put back there
                holder[...] = np.frombuffer(before, holder.dtype).reshape(holder.shape)
        elif isinstance(holder, list):
            holder[:] = before
        else:
            holder.clear()
            if isinstance(holder, dict):
                holder.update(zip(before[: len(before) // 2], before[len(before) // 2 :], strict=True))
            else:
                (holder.extend if isinstance(holder, deque) else holder.update)(before)

    def take_out(self, before: Any) -> None:
        """Take out the tensors that are being captured; whatever else is in it by now stays."""
        holder = self.holder
        if isinstance(holder, (list, deque)):
            for i in reversed(range(len(holder))):
                if _recorded(holder[i]):
                    del holder[i]
        elif isinstance(holder, dict):
            known = dict(zip(before[: len(before) // 2], before[len(before) // 2 :], strict=True))
            for key in [key for key, value in list(holder.items()) if _recorded(value)]:
                if key in known:
                    holder[key] = known[key]
                else:
                    holder.pop(key, None)
        elif isinstance(holder, set):
            holder.difference_update([value for value in list(holder) if _recorded(value)])

    def changed(self, before: Any) -> str:
        """How it differs from what was in it."""
        size = len(before) // 2 if isinstance(self.holder, dict) else len(before)
        if isinstance(self.holder, np.ndarray) or size == len(self.holder):
            return "an entry was replaced"
        return f"{size} entries before, {len(self.holder)} after"


class Reach:
    """What is found from a function by the names in its code.

    Attributes:
        places: the names, and the lists, dicts, sets and small arrays found behind them.
        large: arrays that are too large for their contents to be compared at each call, with what to call them.
        generators: random generators that may be drawn from directly.
        modules: all modules, which tell by `_fingerprint()` what of them a program depends on.
    """

    def __init__(self, function: Any, arguments: Iterable[Any] = ()) -> None:
        self.places: list[Place | Contents] = []
        self.large: list[tuple[str, Array]] = []
        self.generators: list[np.random.Generator] = []
        self.modules: list[Any] = []
        #: Everything met, by id, and kept alive, so that no id is given out again.
        self._seen: dict[int, Any] = {}
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
        while known != len(self._seen) + len(self._places):  # what is found brings names, and these find more
            known = len(self._seen) + len(self._places)
            for namespace in list(self._namespaces):
                self._look_into(namespace)

    def _follow(self, value: Any, words: str, inside: bool = False) -> None:
        if type(value) in _PLAIN or value is MISSING or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, types.FunctionType):
            if users(value.__globals__.get("__name__")):
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
                if value.nbytes <= (_INSIDE if inside else _NAMED) and not value.dtype.hasobject:
                    self.places.append(Contents(words, value))
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
            # A forward that has an effect, or draws, is called at each replay, and may do what it likes.
            called = value.effect or value.random
            for part in (*(() if called else (value.forward, value.lower)), value.joint, *value.rules.values()):
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
                self._seen[id(module)] = module
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
    attributes: Any
    #: The class, if it is one.
    owner: type | None = None
    #: What its classes have under these names, which it may come to have itself.
    defaults: Mapping[str, Any] = MappingProxyType({})


class _Slots(Mapping[str, Any]):
    """The slots of an object as a mapping."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._names = slots(type(owner))

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self._owner, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)

    def pop(self, name: str, default: Any) -> None:
        """Leave a slot empty."""
        if name in self:
            delattr(self._owner, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _fixed(value: Any) -> bool:
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
            anywhere |= users(node.op.__module__)
            found += [value for value in call.values() if isinstance(value, np.random.Generator)]
            if call.get("rng") is None:
                found.append(generator())
    return Drawn(found, anywhere)


class Watch:
    """Sees whether a function, while it is captured, changes what it reaches.

    Attributes:
        places, values: those of what is reached that the program holds for, and what was there.
        unseen: large arrays that no op was given, so that only plain NumPy may have read them.
    """

    def __init__(self, title: str, reach: Reach) -> None:
        self._title = title
        self.reach = reach
        self.places = reach.places
        self.values = [place.get() for place in reach.places]
        self.unseen: list[str] = []
        self._generators = [generator(), *reach.generators]
        self._states = [g.bit_generator.state for g in self._generators]
        self._python = random.getstate()
        self._numpy = np.random.get_state()
        self._clocks = _clocks()
        self._alone: bool | None = None
        #: The threads that ask for the process's generator from now on.
        self._asked = draws.asked = set()

    def leave_out(self, arrays: Sequence[Array]) -> None:
        """Leave out the arrays that share memory with one of these, which the program reads where they are."""

        def kept(place: Place | Contents) -> bool:
            holder = place.holder
            return not isinstance(holder, np.ndarray) or not any(np.may_share_memory(holder, a) for a in arrays)

        pairs = [(p, v) for p, v in zip(self.places, self.values, strict=True) if kept(p)]
        self.places, self.values = [p for p, _ in pairs], [v for _, v in pairs]
        self.unseen = [
            f"the array that is {words} ({array.dtype} {array.shape})"
            for words, array in self.reach.large
            if not any(np.may_share_memory(array, a) for a in arrays)
        ]

    def check(self, recorded: Drawn) -> str | None:
        """Raise if the function changed something that a replay would not change again.

        Returns:
            what changed, in words, where another thread may have changed it; None if all is as it was.

        Raises:
            CaptureError: names what was changed, and the mend.
        """
        try:
            self._check(recorded)
        except CaptureError as error:
            if self.alone():
                raise
            return str(error)
        finally:
            draws.asked = None
        return None

    def _check(self, recorded: Drawn) -> None:
        for place, before in zip(self.places, self.values, strict=True):
            if place.stands(before):
                continue
            now = place.get()
            if not place.like(before, now):
                raise CaptureError(self._refusal(place, before, now))
        self._check_random(recorded)

    def _refusal(self, place: Place | Contents, before: Any, now: Any) -> str:
        while_captured = "while it was captured; a replay would not do it again"
        if isinstance(place, Place):
            return (
                f"{self._title} changed {place.words} from {_shown(before)} to {_shown(now)} {while_captured}. Pass it as an "
                "argument and return the new value, keep it in an nn.Buffer, or change it outside of the compiled function"
            )
        mend = "Return what it adds, and add it outside of the compiled function; if it only fills a cache, call the function"
        if isinstance(place.holder, np.ndarray):
            return (
                f"{self._title} changed {place.words} {while_captured}. Keep what changes in an nn.Buffer, or return it"
            )
        return f"{self._title} changed {place.words} ({place.changed(before)}) {while_captured}. {mend} once uncompiled"

    def _check_random(self, recorded: Drawn) -> None:
        mend = (
            "a replay would use the same numbers again. Draw by tn.random.uniform, normal, integers or permutation, which "
            "are recorded"
        )
        if not recorded.anywhere:
            if random.getstate() != self._python:
                raise CaptureError(f"{self._title} draws from Python's random while it is captured; {mend}")
            if not equal_states(np.random.get_state(), self._numpy):
                raise CaptureError(f"{self._title} draws from np.random while it is captured; {mend}")
        for rng, before in zip(self._generators, self._states, strict=True):
            if rng is self._generators[0] and self._asked and get_ident() not in self._asked:
                continue  # other threads drew from the process's
            if not any(rng is g for g in recorded.generators) and not equal_states(rng.bit_generator.state, before):
                raise CaptureError(
                    f"{self._title} draws directly from a random generator ({rng}) while it is captured; {mend}, and give "
                    "them rng= this generator"
                )

    def rollback(self) -> None:
        """Put everything back. Where other threads ran it may be theirs: then only the tensors that were recorded are
        taken out, and the draws that were recorded put back (`tapenet.ops.random.Saved`)."""
        alone = self.alone()
        for place, before in zip(self.places, self.values, strict=True):
            if not place.stands(before):
                (place.put if alone else place.take_out)(before)
        if alone:
            for rng, state in zip(self._generators, self._states, strict=True):
                rng.bit_generator.state = state
            random.setstate(self._python)
            np.random.set_state(self._numpy)
        draws.asked = None

    def alone(self) -> bool:
        """Whether no other thread can have run from the beginning of the capture until this was first asked: then nothing
        that changed is another's doing."""
        if self._alone is None:
            self._alone = _clocks() == self._clocks
        return self._alone


def _clocks() -> dict[int, Any]:
    """How long each other thread has run and waited so far, and how often. Where the system does not tell, that is something
    new each time. Threads that run kernels change nothing of the user's."""
    found: dict[int, Any] = {}
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.name.startswith(KERNELS):
            try:
                with open(f"/proc/self/task/{thread.native_id}/schedstat") as file:
                    found[id(thread)] = file.read()
            except OSError:
                found[id(thread)] = object()
    return found


def _recorded(value: Any) -> bool:
    """Whether something is a tensor that is being captured: that happens in one thread at a time."""
    return type(value) is Tensor and value._trace is not None


def _shown(value: Any) -> str:
    text = repr(value) if type(value) in _VALUES or value is MISSING else f"one {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."
