"""Trees: nested containers, as arguments, results, carries and states of users are.

Tuples, lists, dicts, named tuples and dataclasses hold their parts, and so do objects of classes that were registered. None
holds nothing. Everything else is a leaf. Some objects stand for a tree: a module for the dict of its parameters.

The structure of a tree is what is left without its leaves. It puts trees together, and takes others apart that have the
same; where one differs, the error says at which path.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Mismatch(ValueError):
    """Two structures differ; the text says where and how."""


# -- containers --------------------------------------------------------------------------------------------------


class Parts(NamedTuple):
    """A container taken apart: its parts with their names, None for numbers; and what is no part and stays as it is."""

    values: Sequence[object]
    names: tuple[object, ...] | None = None
    static: object = None


class Container(NamedTuple):
    """How the containers of a type are taken apart and made again.

    Attributes:
        apart: gives the parts of one.
        made: makes one of its type, and of what `apart` gave.
        label: how a path names a part that has a name.
    """

    apart: Callable[..., Parts]
    made: Callable[[type, Parts], object]
    label: str = "[{!r}]"


class _Stand(NamedTuple):
    """How objects stand for trees."""

    tree: Callable[..., object]
    place: Callable[..., AbstractContextManager[object]]


class _Empty:
    """A dict of a subclass without its entries: what it keeps beside these, such as a default factory."""

    __slots__ = ("dict",)

    def __init__(self, full: dict[object, object]) -> None:
        self.dict = copy.copy(full)
        self.dict.clear()

    def _state(self) -> tuple[object, ...]:
        return type(self.dict), getattr(self.dict, "default_factory", None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Empty) and self._state() == other._state()

    def __hash__(self) -> int:
        return hash(self._state())


def _dict_apart(tree: dict[object, object]) -> Parts:
    return Parts(tuple(tree.values()), tuple(tree), None if type(tree) is dict else _Empty(tree))


def _dict_made(kind: type, parts: Parts) -> object:
    assert parts.names is not None
    entries = dict(zip(parts.names, parts.values, strict=True))
    if kind is dict:
        return entries
    assert isinstance(parts.static, _Empty)
    made = copy.copy(parts.static.dict)
    made.update(entries)
    return made


def _dataclass_apart(tree: Any) -> Parts:
    names, static = [], []
    for field in dataclasses.fields(tree):
        if not field.init:
            continue  # the class makes it again
        if field.metadata.get("static"):
            static.append((field.name, getattr(tree, field.name)))
        else:
            names.append(field.name)
    return Parts([getattr(tree, name) for name in names], tuple(names), tuple(static))


def _dataclass_made(kind: type, parts: Parts) -> object:
    assert parts.names is not None
    assert isinstance(parts.static, tuple)
    fields = {**dict(parts.static), **dict(zip(parts.names, parts.values, strict=True))}
    try:
        return kind(**fields)
    except TypeError as error:
        raise TypeError(
            f"{kind.__name__} cannot be made of its fields {', '.join(fields)} ({error}): register it with tn.tree.register"
        ) from error


_NONE = Container(lambda _: Parts(()), lambda _, __: None)
_SEQUENCE = Container(lambda tree: Parts(tree), lambda kind, parts: kind(parts.values))
#: Of named tuples that are not registered.
NAMED = Container(lambda tree: Parts(tree, type(tree)._fields), lambda kind, parts: kind(*parts.values), ".{}")
_DICT = Container(_dict_apart, _dict_made)
_DATACLASS = Container(_dataclass_apart, _dataclass_made, ".{}")

_registered: dict[type, Container] = {}
_stands: dict[type, _Stand] = {}


def _container(kind: type) -> Container | None:
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]
    if stand(kind) is not None:
        return None
    for base in kind.__mro__:
        if base in _registered:
            return _registered[base]
    if issubclass(kind, dict):
        return _DICT
    if issubclass(kind, (tuple, list)):
        return NAMED if hasattr(kind, "_fields") else _SEQUENCE
    return _DATACLASS if dataclasses.is_dataclass(kind) else None


_CONTAINERS: dict[type, Container] = {type(None): _NONE, tuple: _SEQUENCE, list: _SEQUENCE, dict: _DICT}


def _stand(kind: type) -> _Stand | None:
    return next((_stands[base] for base in kind.__mro__ if base in _stands), None)


_containers_by_type = functools.lru_cache(512)(_container)
_stands_by_type = functools.lru_cache(512)(_stand)
#: How containers of a type are taken apart; None if it is no type of containers.
container: Callable[[type], Container | None] = _containers_by_type
#: How objects of a type stand for trees; None if they do not.
stand: Callable[[type], _Stand | None] = _stands_by_type


def register(
    cls: type[T],
    flatten: Callable[[T], tuple[Sequence[object] | Mapping[str, object], object]],
    unflatten: Callable[[Any, Any], T],
) -> None:
    """Make objects of a class, and of its subclasses, containers. See `tn.tree.register`."""
    if not isinstance(cls, type):
        raise TypeError(f"tn.tree.register takes a class, not {type(cls).__name__}")
    if cls in _registered or cls in _CONTAINERS or stand(cls) is not None:
        raise ValueError(f"tn.tree.register: {cls.__name__} is a container already")

    def apart(tree: T) -> Parts:
        found = flatten(tree)
        if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], (Sequence, Mapping)):
            raise TypeError(
                f"tn.tree.register: the flatten of {cls.__name__} must return a pair (parts, static), the parts as a "
                "sequence, or as a dict by name"
            )
        parts, static = found
        if isinstance(parts, Mapping):
            return Parts(tuple(parts.values()), tuple(parts), static)
        return Parts(tuple(parts), None, static)

    def made(_: type, parts: Parts) -> T:
        values = tuple(parts.values)
        return unflatten(parts.static, values if parts.names is None else dict(zip(parts.names, values, strict=True)))

    _registered[cls] = Container(apart, made, ".{}")
    _containers_by_type.cache_clear()


def register_stand(
    cls: type, tree: Callable[..., object], place: Callable[..., AbstractContextManager[object]]
) -> None:
    """Let objects of a class stand for trees.

    Args:
        cls: the class; of its subclasses too.
        tree: what an object stands for.
        place: takes an object, and from an iterator as many leaves as the tree has, which are in the place of the object's own
            inside a block.
    """
    _stands[cls] = _Stand(tree, place)
    _stands_by_type.cache_clear()
    _containers_by_type.cache_clear()


def label(found: Container, names: tuple[object, ...] | None, i: int) -> str:
    """How a path names a part."""
    return f"[{i}]" if names is None else found.label.format(names[i])


# -- structures --------------------------------------------------------------------------------------------------


class Structure:
    """The structure of a tree: takes others apart that have the same, and puts them together. Made by `flatten`.

    >>> _, pair = flatten({"a": 1, "b": [2]})
    >>> pair
    Structure({'a': *, 'b': [*]})
    >>> pair.take({"b": [3], "a": 4})
    [4, 3]
    >>> pair.build("xy")
    {'a': 'x', 'b': ['y']}
    >>> pair.take({"b": 3, "a": 4}, "carry", ("init", "f"))
    Traceback (most recent call last):
    ...
    tapenet.program.trees.Mismatch: at carry['b'] init has list of length 1, f has a value
    """

    __slots__ = ("_flat", "count", "kind", "names", "parts", "static")

    #: The type of the container; None of a leaf.
    kind: type | None
    #: Its parts with their names, and what is no part, as `Parts` has them.
    parts: Sequence[Structure]
    names: tuple[object, ...] | None
    static: object
    #: How many leaves there are.
    count: int

    def __init__(
        self,
        kind: type | None,
        parts: Sequence[Structure] = (),
        names: tuple[object, ...] | None = None,
        static: object = None,
    ) -> None:
        self.kind = kind
        self.parts = parts
        self.names = names
        self.static = static
        self.count = 1 if kind is None else sum(part.count for part in parts)
        #: Whether it is a plain tuple of leaves, the usual one after a single leaf.
        self._flat = kind is tuple and all(part.kind is None for part in parts)

    def build(self, leaves: Sequence[object]) -> Any:
        """A tree of these leaves, `count` of them."""
        if self.kind is None:
            return leaves[0]
        return tuple(leaves) if self._flat else self._built(iter(leaves))

    def _built(self, leaves: Iterator[object]) -> object:
        if self.kind is None:
            return next(leaves)
        found = container(self.kind)
        assert found is not None
        return found.made(self.kind, Parts([p._built(leaves) for p in self.parts], self.names, self.static))

    def take(self, tree: object, root: str = "tree", names: tuple[str, str] = ("the first", "the other")) -> list[Any]:
        """The leaves of a tree of this structure. The keys of dicts may come in any order.

        Args:
            tree: what is taken apart.
            root: what to call the whole, for errors.
            names: what to call where this structure comes from, and where the tree comes from.

        Raises:
            Mismatch: it has another structure; names the path.
        """
        if self._flat and type(tree) is tuple and len(tree) == self.count and all(map(_is_leaf, tree)):
            return list(tree)
        found: list[object] = []
        self._take(tree, root, names, found.append)
        return found

    def _take(self, tree: object, where: str, names: tuple[str, str], add: Callable[[object], None]) -> None:
        kind = type(tree)
        stands = stand(kind)
        if stands is not None:
            tree = stands.tree(tree)
            kind = type(tree)
        found = container(kind)
        if kind is not self.kind and not (found is None and self.kind is None):
            other = None if found is None else found.apart(tree)
            raise Mismatch(f"at {where} {names[0]} has {self._words()}, {names[1]} has {_words(kind, other)}")
        if found is None:
            add(tree)
            return
        other = found.apart(tree)
        if len(other.values) != len(self.parts) or not self._same_names(other.names):
            raise Mismatch(f"at {where} {names[0]} has {self._words()}, {names[1]} has {_words(kind, other)}")
        if not _same(self.static, other.static):
            raise Mismatch(
                f"at {where} {names[0]} has a {kind.__name__} with {_shortly(self.static)}, {names[1]} one with "
                f"{_shortly(other.static)}, which is no part and must be equal"
            )
        values = other.values
        if other.names is not None and other.names != self.names:
            assert self.names is not None
            by_name = dict(zip(other.names, values, strict=True))
            values = [by_name[name] for name in self.names]
        for i, (part, value) in enumerate(zip(self.parts, values, strict=True)):
            part._take(value, where + label(found, self.names, i), names, add)

    def _same_names(self, names: tuple[object, ...] | None) -> bool:
        if names is None or self.names is None:
            return names is self.names
        return names == self.names or set(names) == set(self.names)

    def _words(self) -> str:
        return _words(self.kind, None if self.kind is None else Parts(self.parts, self.names))

    def paths(self, root: str) -> list[str]:
        """Where each leaf is, as Python would write it.

        >>> flatten({"a": (1, None), "b": [2]})[1].paths("carry")
        ["carry['a'][0]", "carry['b'][0]"]
        """
        if self.kind is None:
            return [root]
        found = container(self.kind)
        assert found is not None
        parts = enumerate(self.parts)
        return [path for i, part in parts for path in part.paths(root + label(found, self.names, i))]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure):
            return NotImplemented
        if self.kind is not other.kind or self.names != other.names or len(self.parts) != len(other.parts):
            return False
        return _same(self.static, other.static) and all(map(operator.eq, self.parts, other.parts))

    def __hash__(self) -> int:
        return hash((self.kind, self.names, *self.parts))

    def __repr__(self) -> str:
        return f"Structure({self._text()})"

    def _text(self) -> str:
        if self.kind is None:
            return "*"
        parts = [part._text() for part in self.parts]
        if self.kind is type(None):
            return "None"
        if self.kind is tuple:
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if self.kind is list:
            return f"[{', '.join(parts)}]"
        if self.kind is dict:
            assert self.names is not None
            return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(self.names, parts, strict=True)) + "}"
        if self.names is not None:
            parts = [f"{name}={part}" for name, part in zip(self.names, parts, strict=True)]
        return f"{self.kind.__name__}({', '.join(parts)})"


_LEAF = Structure(None)


def _is_leaf(tree: object) -> bool:
    return container(type(tree)) is None and stand(type(tree)) is None


def _words(kind: type | None, parts: Parts | None) -> str:
    if kind is type(None):
        return "None"
    if kind is None or parts is None:
        return "a value"
    if issubclass(kind, dict):
        return f"a dict of {', '.join(map(repr, parts.names or ())) or 'nothing'}"
    return f"{kind.__name__} of length {len(parts.values)}"


def _same(a: object, b: object) -> bool:
    """Whether static values are equal; of those that cannot say, such as arrays, each is equal to itself alone."""
    try:
        return a is b or bool(a == b)
    except (ValueError, TypeError):
        return False


def _shortly(value: object) -> str:
    text = repr(value).partition("\n")[0]
    return text if len(text) <= 60 else text[:57] + "..."


def flatten(tree: object, stands: bool = True) -> tuple[list[Any], Structure]:
    """The leaves of a tree in order, and its structure. With `stands=False` what stands for a tree is a leaf.

    >>> flatten({"a": (1, None), "b": [2]})
    ([1, 2], Structure({'a': (*, None), 'b': [*]}))
    """
    found: list[object] = []
    return found, _read(tree, found.append, stands)


def _read(tree: object, add: Callable[[object], None], through: bool = True) -> Structure:
    kind = type(tree)
    found = container(kind)
    if found is None:
        stands = stand(kind) if through else None
        if stands is not None:
            return _read(stands.tree(tree), add)
        add(tree)
        return _LEAF
    parts = found.apart(tree)
    return Structure(kind, [_read(value, add, through) for value in parts.values], parts.names, parts.static)


def tree_leaves(tree: object) -> list[Any]:
    """The leaves of a tree in order.

    >>> tree_leaves({"a": (1, None), "b": [2]})
    [1, 2]
    """
    return flatten(tree)[0]


def tree_map(f: Callable[..., object], tree: object, *others: object) -> Any:
    """A tree of the same structure with `f` of each leaf, and of the leaves of the others at the same place.

    >>> tree_map(str, {"a": (1, None), "b": [2]})
    {'a': ('1', None), 'b': ['2']}
    >>> tree_map(pow, (2, 3), (3, 2))
    (8, 9)

    Raises:
        Mismatch: one of the others has another structure.
    """
    leaves, structure = flatten(tree)
    beside = [structure.take(other) for other in others]
    return structure.build([f(*values) for values in zip(leaves, *beside, strict=True)])


def replaced(f: Callable[[Any], object], tree: Any) -> Any:
    """A tree with `f` of each leaf. Lists and dicts are new ones; any other container in which no leaf changes is the same
    object. What stands for a tree is a leaf here.

    >>> pair = (1, "a")
    >>> replaced(lambda v: v, pair) is pair, replaced(lambda v: v, [pair])[0] is pair
    (True, True)
    """
    kind = type(tree)
    found = container(kind)
    if found is None:
        return f(tree)
    parts = found.apart(tree)
    values = [replaced(f, value) for value in parts.values]
    if kind is not list and found is not _DICT and all(map(operator.is_, values, parts.values)):
        return tree
    return found.made(kind, parts._replace(values=values))


@contextmanager
def placed(tree: object, leaves: Sequence[object]) -> Iterator[Any]:
    """The tree with other leaves, to be given to a function inside the block: what stands for a tree is itself, and has the
    new leaves while the block runs. `Structure.build` gives the tree that it stands for.

    >>> with placed({"a": (1, None), "b": [2]}, "xy") as given:
    ...     given
    {'a': ('x', None), 'b': ['y']}
    """
    rest = iter(leaves)
    with ExitStack() as stack:
        yield _placed(tree, rest, stack)


def _placed(tree: object, leaves: Iterator[object], stack: ExitStack) -> object:
    kind = type(tree)
    found = container(kind)
    if found is not None:
        parts = found.apart(tree)
        return found.made(kind, parts._replace(values=[_placed(value, leaves, stack) for value in parts.values]))
    stands = stand(kind)
    if stands is None:
        return next(leaves)
    stack.enter_context(stands.place(tree, leaves))
    return tree
