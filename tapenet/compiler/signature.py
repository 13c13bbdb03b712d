"""What a call looks like: the structure, arrays and static values of its arguments, as a key and in words.

Two calls with equal keys run the same program. A key is a nested tuple that mirrors the arguments; arrays stand in it
by shape, dtype and memory order, everything else by value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tapenet.autodiff.node import Leaf
from tapenet.autodiff.tensor import Tensor
from tapenet.program import trees
from tapenet.program.layout import dense_order
from tapenet.program.low import is_inexact
from tapenet.program.trees import NAMED, Container, container, label
from tapenet.program.value_keys import distinct
from tapenet.typing import Array

ndarray = np.ndarray
Key = tuple[Any, ...]

#: Types of static values that are told apart by their value and are always hashable.
_PLAIN = frozenset({int, str, bool, type(None), bytes})


class Call:
    """The arguments of one call, taken apart.

    Attributes:
        args, kwargs: the arguments, positional ones in their place also where they were given by name.
        key: what a program for this call is kept under.
        arrays: the arrays among the arguments, in order.
        given: what each of them was given as: a Tensor, an ndarray or a NumPy scalar.
        leaves: the different leaves whose gradient is wanted among the tensors, in order.
        connected: whether a tensor is inside a graph, so that the call must take part in it.
    """

    __slots__ = ("args", "arrays", "connected", "given", "grad", "key", "kwargs", "leaves")

    def __init__(self, args: tuple[object, ...], kwargs: dict[str, object], grad: bool) -> None:
        self.args = args
        self.kwargs = kwargs
        self.grad = grad
        self.arrays: list[Array] = []
        self.given: list[object] = []
        self.leaves: list[Leaf] = []
        self.connected = False
        self.key: Key = (len(args), tuple(kwargs), *map(self._key, args), *map(self._key, kwargs.values()))

    def _key(self, value: Any) -> Key:
        kind = type(value)
        if kind is ndarray or kind is Tensor:
            return self._array(value, value if kind is ndarray else value._data)
        if kind in _PLAIN:
            return "static", kind, value
        if kind is float:
            return "static", kind, value.hex()  # tells 0.0 from -0.0, and takes nan for nan
        if kind is dict:
            return "dict", tuple(value), *map(self._key, value.values())
        if kind is tuple or kind is list:
            return "sequence", kind, *map(self._key, value)
        if is_array(value):
            return self._array(value, value)
        found = container(kind)
        if found is NAMED:
            return "sequence", kind, *map(self._key, value)
        if found is not None:
            return self._container(found, value)
        if hasattr(kind, "__array__") and not isinstance(value, np.generic):
            raise _Unfit(value, "an array of another library: give np.asarray of it")
        try:
            hash(value)
        except TypeError:
            raise _Unfit(
                value,
                "neither an array nor hashable, so that no program can be kept for it: give an array, a number, a tuple, "
                "list or dict of these, or something that can be compared, such as a frozenset",
            ) from None
        return "static", kind, value, distinct(value)

    def _container(self, found: Container, value: object) -> Key:
        values, names, static = found.apart(value)
        try:
            hash(static)
        except TypeError:
            raise _Unfit(
                value, f"of which {static!r} is no part, and not hashable, so that no program can be kept"
            ) from None
        labels = tuple(label(found, names, i) for i in range(len(values)))
        return "container", (type(value), labels, static, distinct(static)), *map(self._key, values)

    def _array(self, given: object, data: object) -> Key:
        if type(data) is not ndarray or not data.dtype.isnative:
            data = _plain(given, data)
        dtype = data.dtype
        if dtype.kind not in "biu" and not is_inexact(dtype):
            raise _Unfit(given, f"an array of {dtype}: give numbers")
        self.arrays.append(data)
        self.given.append(given)
        order = dense_order(data)
        node = given._node if type(given) is Tensor else None
        if node is None:
            return "array", data.shape, dtype, order, None
        if type(node) is not Leaf:
            # Where nothing is recorded no gradient can flow into its graph.
            self.connected = self.connected or self.grad
            return "array", data.shape, dtype, order, None
        if node not in self.leaves:
            self.leaves.append(node)
        return "array", data.shape, dtype, order, self.leaves.index(node)


def is_array(value: object) -> bool:
    """Whether a value is given anew at each call: an array, a NumPy number or a tensor."""
    kind = type(value)
    return (
        kind is Tensor
        or isinstance(value, ndarray)
        or (isinstance(value, np.generic) and isinstance(value, (np.number, np.bool_)))
    )


class _Unfit(Exception):
    """A value that cannot be an argument, and why."""

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(reason)
        self.value = value


def _plain(given: object, data: object) -> Array:
    """A NumPy scalar, or an unusual array, as a plain array in this machine's byte order."""
    if isinstance(data, np.ma.MaskedArray):
        raise _Unfit(given, "a masked array: give its .data and its .mask, and compute with np.where")
    if isinstance(data, np.matrix):
        raise _Unfit(given, "of which * and ** are products of matrices: give np.asarray of it, and write @")
    plain: Array = np.asarray(data)
    return plain if plain.dtype.isnative else plain.astype(plain.dtype.newbyteorder("="))


class Parameters:
    """The parameters of a function: their names, to put arguments in place and to speak of them."""

    def __init__(self, function: Callable[..., object], title: str) -> None:
        self.title = title
        self.names: tuple[str, ...] = ()
        #: Those of them that may be given by name too.
        self._movable: frozenset[str] = frozenset()
        self._rest = "args"
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # a callable that tells nothing
            return
        kinds = inspect.Parameter
        self.names = tuple(p.name for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD))
        self._movable = frozenset(p.name for p in parameters if p.kind is kinds.POSITIONAL_OR_KEYWORD)
        self._rest = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), "args")

    def place(
        self, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Put arguments that were given by name in their positions, as far as they follow the positional ones."""
        found = [*args]
        for name in self.names[len(args) :]:
            if name not in kwargs or name not in self._movable:
                break
            found.append(kwargs[name])
        placed = self.names[len(args) : len(found)]
        return tuple(found), {name: value for name, value in kwargs.items() if name not in placed}

    def call(self, args: tuple[object, ...], kwargs: dict[str, object], grad: bool) -> Call:
        """Take a call apart.

        Raises:
            TypeError: an argument is neither an array nor hashable; names it.
        """
        try:
            return Call(args, kwargs, grad)
        except _Unfit as unfit:
            everything = {**{self.name(i): a for i, a in enumerate(args)}, **kwargs}
            found = next((path for path, v in _walk(everything.items()) if v is unfit.value), "argument")
            raise TypeError(f"{self.title}: {found} is a {type(unfit.value).__name__}, {unfit}") from None

    def name(self, position: int) -> str:
        """What the argument at a position is called."""
        named = len(self.names)
        return self.names[position] if position < named else f"{self._rest}[{position - named}]"

    def entries(self, key: Key) -> dict[str, Key]:
        """The parts of a key by the path of the argument they stand for: `x`, `batch['a'][0]`."""
        count, names, *parts = key
        found: dict[str, Key] = {}
        for position, part in enumerate(parts):
            _entries(self.name(position) if position < count else names[position - count], part, found)
        return found


def _walk(parts: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """Everything inside containers, with its path."""
    for path, value in parts:
        yield path, value
        found = container(type(value))
        if found is not None:
            inner = found.apart(value)
            yield from _walk((path + label(found, inner.names, i), part) for i, part in enumerate(inner.values))


def _entries(path: str, part: Key, found: dict[str, Key]) -> None:
    if part[0] in ("array", "static"):
        found[path] = part
        return
    if part[0] == "container":
        found[path] = part[:2]
        for suffix, inner in zip(part[1][1], part[2:], strict=True):
            _entries(path + suffix, inner, found)
        return
    labels = part[1] if part[0] == "dict" else range(len(part) - 2)
    found[path] = (part[0], part[1] if part[0] == "dict" else (part[1], len(part) - 2))
    for key, inner in zip(labels, part[2:], strict=True):
        _entries(f"{path}[{key!r}]", inner, found)


def in_words(entry: Key) -> str:
    """One argument of a key."""
    if entry[0] == "array":
        _, shape, dtype, order, leaf = entry
        lies = "" if order is None else f", axes {order} from the slowest in memory to the fastest"
        return f"{dtype} {shape}{lies}" + ("" if leaf is None else ", requires_grad=True")
    if entry[0] == "static":
        kind, value = entry[1:3]
        if kind is float:
            return repr(float.fromhex(value))
        by_identity = kind.__hash__ is object.__hash__ and value is not None
        return f"a {kind.__name__} at {id(value):#x}" if by_identity else shortly(value)
    if entry[0] == "dict":
        return "a dict with the keys " + ", ".join(map(repr, entry[1]))
    if entry[0] == "container":
        kind, labels, static, _ = entry[1]
        beside = "" if static in (None, ()) else f", and {shortly(static)}"
        return f"a {kind.__name__} with the parts {', '.join(labels)}{beside}"
    kind, size = entry[1]
    return f"a {kind.__name__} of {size}"


def shortly(value: object) -> str:
    """A value as text of one short line."""
    text = repr(value).partition("\n")[0]
    return text if len(text) <= 40 else text[:37] + "..."


def rebuild(value: object, replace: Callable[[Any], object]) -> Any:
    """An argument, or a result, with the arrays, NumPy scalars and tensors in it replaced."""
    return trees.replaced(lambda leaf: replace(leaf) if is_array(leaf) else leaf, value)


def arrays_in(value: object) -> list[Any]:
    """The arrays, NumPy scalars and tensors in an argument or a result, in order."""
    return [leaf for leaf in trees.flatten(value, stands=False)[0] if is_array(leaf)]
