"""What a lifted function is given, and what is written to it.

Inside there are tensors: handles of the run's own, so that threads do not see each other. At the end the arrays and tensors of
the caller get what was written to theirs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import cast

import numpy as np

from tapenet.autodiff.aliasing import Lifted, Memory, is_alone
from tapenet.autodiff.node import BaseTensor
from tapenet.autodiff.observe import mutation
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.namespace import OBJECTS, Copies
from tapenet.lifting.number import Number
from tapenet.lifting.records import is_structured, of_values, opened
from tapenet.program.low import is_low
from tapenet.typing import Array


class _Opened:
    """The arguments of a run, opened."""

    def __init__(self, title: str, gives: bool = True) -> None:
        self.title = title
        self.gives = gives
        #: By the `id` of what stands inside for an array or tensor: what was given.
        self._origins: dict[int, Array | Tensor] = {}
        #: Lists and dicts with arrays: those given, those inside, and what was in them.
        self._containers: list[tuple[object, object, object]] = []

    # -- in --------------------------------------------------------------------------------------------------------

    def inside(self, value: object) -> object:
        """What stands inside for an argument, or for what a name outside holds."""
        kind = type(value)
        if kind is np.ndarray or kind is Tensor:
            return self._handle(cast("Array | Tensor", value))
        if kind is tuple or kind is list:
            parts = [self.inside(part) for part in cast("list[object]", value)]
            if all(a is b for a, b in zip(parts, cast("list[object]", value), strict=True)):
                return value
            return tuple(parts) if kind is tuple else self._container(value, parts, list(parts))
        if kind is dict:
            entries = {name: self.inside(part) for name, part in cast("dict[object, object]", value).items()}
            if all(entries[name] is part for name, part in cast("dict[object, object]", value).items()):
                return value
            return self._container(value, entries, dict(entries))
        return value

    def _container(self, outside: object, inside: object, before: object) -> object:
        self._containers.append((outside, inside, before))
        return inside

    def _handle(self, given: Array | Tensor) -> object:
        raise NotImplementedError

    # -- out -------------------------------------------------------------------------------------------------------

    def outside(self, value: object) -> object:
        """A result, or part of one: arrays and NumPy's numbers as tensors, and the caller's own tensors for theirs."""
        kind = type(value)
        if kind is Tensor:
            origin = self._origins.get(id(value))
            if not isinstance(origin, Tensor):
                return value
            # Where what was written is returned beside, not given back, the caller's own is as before.
            return origin if self.gives or not _is_written(origin, cast("Tensor", value)) else value
        if is_structured(value):
            return of_values(cast("Array", value))
        if isinstance(value, Number):
            return value.tensor
        if kind is np.ndarray or isinstance(value, np.generic):
            if isinstance(self._origins.get(id(value)), Tensor):
                return self._origins[id(value)]
            array = np.asarray(value)
            return Tensor._of(array) if array.dtype.kind in "biufc" or is_low(array.dtype) else value
        if kind is list or kind is tuple:
            own = next((given for given, inside, _ in self._containers if inside is value), None)
            parts = [self.outside(part) for part in cast("list[object]", value)]
            return own if own is not None else parts if kind is list else tuple(parts)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return kind(*map(self.outside, value))
        if kind is dict:
            own = next((given for given, inside, _ in self._containers if inside is value), None)
            entries = {name: self.outside(part) for name, part in cast("dict[object, object]", value).items()}
            return entries if own is None else own
        return value

    def write_back(self, result: object) -> None:
        """Give the caller's lists and dicts what was written to theirs."""
        for outside, inside, before in self._containers:
            _refill(outside, inside, before, self.outside)


class Arguments(_Opened):
    """Those of a run that is recorded: arrays and tensors as tensors of its own."""

    def __init__(self, title: str, lifted: Lifted, copies: Copies, gives: bool) -> None:
        super().__init__(title, gives)
        self._lifted = lifted
        self._copies = copies
        #: By the `id` of an object of the user's: it, and what stands for it inside. And that by its own `id`.
        self._objects: dict[int, tuple[object, object]] = {}
        self._within: dict[int, tuple[object, dict[str, object]]] = {}
        #: By the `id` of what was given: it, and its handle inside.
        self._opened: dict[int, tuple[Array | Tensor, Tensor]] = {}

    def _handle(self, given: Array | Tensor) -> object:
        found = self._opened.get(id(given))
        if found is not None:
            return found[1]
        if is_structured(given):
            return opened(cast("Array", given), self._handle)
        writable = True
        if isinstance(given, Tensor):
            if given._kind is not None or given._alias is not None:
                return given  # a parameter or buffer is written where it is
            for layer in local.state.layers:
                layer.opens(given)
            handle = given.__copy__()
            handle._trace = given._trace
        else:
            if given.dtype.kind not in "biufc" and not is_low(given.dtype):
                return given
            handle = Tensor._of(given)
            writable = given.flags.writeable
            if not given.ndim or not writable:
                self._lifted.memories.add(Memory(handle, writable))
        self._opened[id(given)] = given, handle
        self._lifted.callers.append(weakref.ref(handle))
        self._origins[id(handle)] = given
        return handle

    def _object(self, given: object) -> object:
        """An object with the same attributes, of a class with copies of its methods."""
        if id(given) in self._objects:
            return self._objects[id(given)][1]
        made: object = object.__new__(self._copies.lifted(type(given)))
        self._objects[id(given)] = given, made
        entries = {name: self.inside(value) for name, value in vars(given).items()}
        vars(made).update(entries)
        self._within[id(made)] = given, entries
        return made

    def inside(self, value: object) -> object:
        """What stands inside for an argument, or for what a name outside holds."""
        if type(value) in OBJECTS:
            return self._copies.replaced(value)
        if hasattr(value, "__dict__") and self._copies.is_lifted(type(value)):
            return self._object(value)
        return super().inside(value)

    def outside(self, value: object) -> object:
        """A result, or part of one, or what a name outside is to hold."""
        kind = self._copies.classes.get(type(value))
        if kind is None:
            return super().outside(value)
        if id(value) in self._within:
            return self._within[id(value)][0]
        value.__class__ = kind  # a new object
        for name, part in list(vars(value).items()):
            vars(value)[name] = self.outside(part)
        return value

    def written(self) -> list[tuple[Array | Tensor, Tensor]]:
        """The arrays and tensors that were written, with what they are now."""
        return [(given, handle) for given, handle in self._opened.values() if _is_written(given, handle)]

    def write_back(self, result: object) -> None:
        """Give the arrays and tensors of the caller what was written to theirs, or raise as `give_back` does."""
        give_back(self.title, [given for given, _ in self._opened.values()], self.written(), result)
        for given, made in self._objects.values():
            _refill(vars(given), vars(made), self._within[id(made)][1], self.outside)
        super().write_back(result)


def give_back(
    title: str, given: Sequence[object], written: Sequence[tuple[Array | Tensor, Tensor]], result: object
) -> None:
    """Give arrays and tensors what a function wrote to them.

    Args:
        title: the function's name, for errors.
        given: all that it was given.
        written: those of it that were written, with what they are now.
        result: what it returns.

    Raises:
        ValueError: two arrays that share memory, of which one was written.
        TypeError: a value that needs a gradient was written into a plain array, and no gradient comes out otherwise.
    """
    changed = {id(one) for one, _ in written}
    for a, b in combinations([one for one in given if isinstance(one, (np.ndarray, Tensor))], 2):
        if (id(a) in changed or id(b) in changed) and _share(a, b):
            raise ValueError(
                f"{title}: arrays of shapes {a.shape} and {b.shape} that it is given share memory, and one of them is written "
                "to: that cannot be followed. Give one array, and take its parts inside"
            )
    lost = [one for one, new in written if isinstance(one, np.ndarray) and new._node is not None]
    if lost and not _flows((result, [new for one, new in written if isinstance(one, Tensor)])):
        raise TypeError(
            f"{title} writes values that need a gradient into a plain array of shape {lost[0].shape}, and returns none: the "
            "gradient would be lost. Give a tensor for the array (tn.tensor(a)), or return what was computed"
        )
    by, tape = f"a write in {title}", local.state.tape
    for one, new in written:
        if isinstance(one, Tensor):
            if tape is not None and one._kind is None:
                tape.rebinds(one, by, "")
            (one._become if one._kind is None else one._write)(new, by)
        else:
            if tape is not None:
                tape.rebinds(Tensor._of(one), by, "")
            np.copyto(one, new._data)
            mutation.wrote(one, by)


def _share(a: Array | Tensor, b: Array | Tensor) -> bool:
    """Whether two arguments are one array, as far as NumPy's programs go."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return a is b
    return mutation.share(a, b, 10_000)


class PlainArguments(_Opened):
    """Those of a run of the function itself: tensors as arrays."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        #: By the `id` of the tensors given: these, and the copies that stand for them.
        self._copies: dict[int, tuple[Tensor, Array]] = {}

    def _handle(self, given: Array | Tensor) -> object:
        if isinstance(given, np.ndarray):
            return given
        if id(given) not in self._copies:
            # Unless the array is the tensor's alone a copy, which is compared at the end: nodes may have saved the array.
            alone = given._kind is None and is_alone(given)
            self._copies[id(given)] = given, given._data if alone else given._data.copy(order="K")
        copy = self._copies[id(given)][1]
        self._origins[id(copy)] = given
        return copy

    def write_back(self, result: object) -> None:
        """Give the caller's tensors what was written to their copies."""
        changed = [(t, Tensor._of(copy)) for t, copy in self._copies.values() if not _equal(t._data, copy)]
        give_back(self.title, (), changed, result)
        super().write_back(result)


def _is_written(given: Array | Tensor, handle: Tensor) -> bool:
    if isinstance(given, Tensor):  # a branch that was not taken now may write it in a later run: `_trace` tells
        return any(getattr(handle, slot) is not getattr(given, slot) for slot in ("_data", "_node", "_trace"))
    return handle._data is not given or handle._trace is not None


def _equal(a: Array, b: Array) -> bool:
    """Whether two arrays are the same, bit for bit."""
    if a is b:
        return True
    if a.dtype.kind == "c":
        return _equal(a.real, b.real) and _equal(a.imag, b.imag)
    whole = f"u{a.itemsize}"
    return np.array_equal(a.view(whole), b.view(whole)) if a.itemsize <= 8 else np.array_equal(a, b)


def _flows(value: object) -> bool:
    """Whether a gradient comes out of a result."""
    if isinstance(value, BaseTensor):
        return value._node is not None
    if isinstance(value, (list, tuple)):
        return any(map(_flows, value))
    return isinstance(value, dict) and any(map(_flows, value.values()))


def _refill(outside: object, inside: object, before: object, back: Callable[[object], object]) -> None:
    """Let the caller's list or dict hold what the one inside does, where that was changed."""
    if isinstance(inside, list):
        kept = cast("list[object]", outside)
        old = cast("list[object]", before)
        if len(inside) != len(old) or any(a is not b for a, b in zip(inside, old, strict=True)):
            parts = dict(zip(map(id, old), kept, strict=True))
            kept[:] = [parts[id(part)] if id(part) in parts else back(part) for part in inside]
    else:
        names, entries, earlier = (cast("dict[object, object]", d) for d in (outside, inside, before))
        for name in [name for name in names if name not in entries]:
            del names[name]
        for name, part in entries.items():
            if name not in earlier or part is not earlier[name]:
                names[name] = back(part)
