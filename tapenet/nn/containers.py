"""Modules that hold modules: in a chain, in a list, in a dict.

They are held as attributes, under the names by which PyTorch knows them: "0", "1" and so on, or names of the user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, NoReturn, Self, TypeVar, overload

from tapenet.nn.module import Module
from tapenet.nn.named_entries import NamedEntries

P = TypeVar("P", bound="_Ordered[Any]")


class _Container(Module):
    """Modules as attributes, in order."""

    def _entries(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _set(self, entries: Iterable[tuple[str, Module]]) -> None:
        """Hold modules by these names: all of them or, if it raises, none."""
        entries = list(entries)
        for name, module in entries:
            if not isinstance(module, Module):
                _refuse(self, module)
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(f"{type(self).__name__}: {name!r} is no name for a module; give a string without dots")
            if hasattr(type(self), name):
                raise ValueError(f"{type(self).__name__} has an attribute {name!r} of its own: choose another name")
        for name, module in entries:
            setattr(self, name, module)

    def __len__(self) -> int:
        return len(self._entries())


class _Ordered(_Container, Generic[P]):
    """Modules by position. Those without a name of their own are called by it."""

    def _reset(self, entries: Iterable[tuple[str, Module]]) -> None:
        """Hold these modules in place of the present ones, numbering those whose names are numbers."""
        for name in self._entries():
            delattr(self, name)
        self._set((str(i) if name.isdecimal() else name, module) for i, (name, module) in enumerate(entries))

    def _position(self, index: int) -> int:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"index {index} of a {type(self).__name__} of {count} modules")
        return index % count

    def __iter__(self) -> Iterator[Module]:
        return iter(self._entries().values())

    def _empty(self) -> P:
        """What slices are put into: of the library's class, also where a subclass is made in another way."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> P: ...
    def __getitem__(self, index: int | slice) -> Module | P:
        entries = list(self._entries().items())
        if not isinstance(index, slice):
            return entries[self._position(index)][1]
        part = self._empty()
        part._reset(entries[index])
        return part

    def __setitem__(self, index: int, module: Module) -> None:
        self._set([(list(self._entries())[self._position(index)], module)])

    def __delitem__(self, index: int | slice) -> None:
        entries = list(self._entries().items())
        del entries[index if isinstance(index, slice) else self._position(index)]
        self._reset(entries)

    def __add__(self, other: Iterable[Module]) -> P:
        part = self[:]
        part.extend(other)
        return part

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def append(self, module: Module) -> Self:
        """Put a module behind the others; returns itself, as `extend` and `insert` do."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put modules behind the others."""
        self._set((str(i), module) for i, module in enumerate(modules, len(self)))
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`."""
        if not isinstance(module, Module):
            _refuse(self, module)
        entries = list(self._entries().items())
        entries.insert(index, ("0", module))
        self._reset(entries)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out and return it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_Ordered["Sequential"]):
    """Modules that run one after the other.

    Args:
        *modules: the modules, or one dict of modules by name; the names are attributes then.

    An index gives a module, a slice a Sequential of the same modules.

    Raises:
        TypeError: something that is no module.

    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> net
    Sequential(
      0: Linear(2, 8)  weight (8, 2), bias (8,)  24
      1: Tanh()
      2: Linear(8, 1)  weight (1, 8), bias (1,)   9
    )
    33 parameters
    >>> len(net[:2])
    2
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for i, name in enumerate(modules[0]):
                if str(name).isdecimal() and name != str(i):
                    raise ValueError(
                        f"Sequential: {name!r} names the module at position {i}; a number must be its position"
                    )
            self._set(modules[0].items())
        else:
            self.extend(modules)  # type: ignore[arg-type]

    def _empty(self) -> Sequential:
        return Sequential()

    def forward(self, x: Any) -> Any:
        for module in vars(self).values():
            if isinstance(module, Module):
                x = module(x)
        return x


class ModuleList(_Ordered["ModuleList"]):
    """A list of modules, for a forward that loops over it. (A plain list as an attribute does as well.)

    >>> from tapenet import nn
    >>> blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> [name for name, _ in blocks.named_parameters()][:2]
    ['0.weight', '0.bias']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def _empty(self) -> ModuleList:
        return ModuleList()

    def forward(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(
            "a ModuleList is not called: loop over it (for layer in self.layers: x = layer(x)), or use nn.Sequential"
        )


class ModuleDict(_Container, NamedEntries[Module]):
    """A dict of modules by name, for a forward that picks among them. (A plain dict as an attribute does as well.)

    >>> from tapenet import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "parity": nn.Linear(8, 2)})
    >>> [name for name, _ in heads.named_parameters()]
    ['digit.weight', 'digit.bias', 'parity.weight', 'parity.bias']
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self.update(modules)

    def __setitem__(self, name: str, module: Module) -> None:
        self._set([(name, module)])

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules by name, or put them in the place of others."""
        self._set(dict(modules).items())

    def forward(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError("a ModuleDict is not called: pick a module from it, self.heads[name](x)")


def _refuse(container: Module, given: object) -> NoReturn:
    title = type(container).__name__
    if isinstance(given, type) and issubclass(given, Module):
        raise TypeError(f"{title} takes modules, not the class {given.__name__}: make one, nn.{given.__name__}()")
    if isinstance(given, (list, tuple)):
        raise TypeError(f"{title} takes modules one by one: put a star before the {type(given).__name__}, *modules")
    name = getattr(given, "__name__", None)
    what = f"the function {name!r}" if callable(given) and name else f"{type(given).__name__}"
    raise TypeError(
        f"{title} takes modules, not {what}: use a layer such as nn.Tanh(), or a module of your own that calls it"
    )
