"""Modules that hold parameters: in a list, in a dict. Other values may be among them, as in PyTorch's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import NoReturn, Self, overload

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module import Module
from tapenet.nn.named_entries import NamedEntries
from tapenet.nn.parameter import Parameter


def _kept(value: object) -> object:
    """A tensor or array as a parameter; what belongs to modules already, and what is neither, as it is."""
    if isinstance(value, np.ndarray) or (isinstance(value, Tensor) and value._kind is None):
        return Parameter(value)
    return value


def _is_entry(name: str) -> bool:
    return name != "training" and not name.startswith("_")


class ParameterList(Module):
    """A list of parameters, for a forward that loops over it or picks from it. (A plain list of parameters as an attribute
    does as well.)

    Args:
        values: tensors or arrays, which become parameters, or anything else, which stays what it is.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> weights = nn.ParameterList(np.zeros((2, n)) for n in (3, 4))
    >>> [(name, p.shape) for name, p in weights.named_parameters()]
    [('0', (2, 3)), ('1', (2, 4))]
    """

    def __init__(self, values: Iterable[object] = ()) -> None:
        self.extend(values)

    def _values(self) -> list[Tensor]:
        return [value for name, value in vars(self).items() if name.isdecimal()]

    def _position(self, index: int) -> int:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"index {index} of a ParameterList of {count}")
        return index % count

    def _reset(self, values: Iterable[object]) -> None:
        for i in range(len(self)):
            delattr(self, str(i))
        for i, value in enumerate(values):
            setattr(self, str(i), value)

    def __len__(self) -> int:
        return len(self._values())

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._values())

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: int | slice) -> Tensor | ParameterList:
        values = self._values()
        return ParameterList(values[index]) if isinstance(index, slice) else values[self._position(index)]

    def __setitem__(self, index: int, value: object) -> None:
        setattr(self, str(self._position(index)), _kept(value))

    def __delitem__(self, index: int | slice) -> None:
        values = self._values()
        del values[index if isinstance(index, slice) else self._position(index)]
        self._reset(values)

    def __iadd__(self, values: Iterable[object]) -> Self:
        return self.extend(values)

    def append(self, value: object) -> Self:
        """Put a value behind the others; returns the list."""
        return self.extend([value])

    def extend(self, values: Iterable[object]) -> Self:
        """Put values behind the others; returns the list."""
        if isinstance(values, Tensor):
            raise TypeError("ParameterList takes several tensors, and got one: put it in a list, [tensor]")
        for i, value in enumerate(list(values), len(self)):
            setattr(self, str(i), _kept(value))
        return self

    def pop(self, index: int = -1) -> Tensor:
        """Take a value out and return it."""
        value = self[index]
        del self[index]
        return value

    def forward(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError("a ParameterList is not called: pick parameters from it, self.weights[i]")


class ParameterDict(NamedEntries[Tensor]):
    """A dict of parameters by name. (A plain dict of parameters as an attribute does as well.)

    Args:
        values: tensors or arrays by name, which become parameters, or anything else, which stays what it is.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> scales = nn.ParameterDict({"left": np.ones(2), "right": np.ones(3)})
    >>> [(name, p.shape) for name, p in scales.named_parameters()]
    [('left', (2,)), ('right', (3,))]
    """

    def __init__(self, values: Mapping[str, object] | Iterable[tuple[str, object]] = ()) -> None:
        self.update(values)

    def _entries(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if _is_entry(name)}

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._entries())

    def __setitem__(self, name: str, value: object) -> None:
        if not isinstance(name, str) or not name or "." in name or not _is_entry(name):
            raise KeyError(f"ParameterDict: {name!r} is no name for a parameter; give a string without dots")
        if hasattr(type(self), name):
            raise KeyError(f"ParameterDict has an attribute {name!r} of its own: choose another name")
        setattr(self, name, _kept(value))

    def __or__(self, other: Mapping[str, object]) -> ParameterDict:
        return self.copy().update(other)

    def __ior__(self, other: Mapping[str, object]) -> Self:
        return self.update(other)

    def update(self, values: Mapping[str, object] | Iterable[tuple[str, object]]) -> Self:
        """Add parameters by name, or put them in the place of others; returns the dict. Those of a plain dict are added in the
        order of their names, as in PyTorch: states of optimizers there go by it."""
        if isinstance(values, (ParameterDict, OrderedDict)):
            pairs: Iterable[tuple[str, object]] = values.items()
        else:
            pairs = sorted(values.items(), key=itemgetter(0)) if isinstance(values, Mapping) else values
        for name, value in pairs:
            self[name] = value
        return self

    def get(self, name: str, default: Tensor | None = None) -> Tensor | None:
        """The parameter of a name, or the default."""
        return self._entries().get(name, default)

    def setdefault(self, name: str, default: object = None) -> Tensor:
        """The parameter of a name; if there is none, the default is set and returned."""
        if name not in self:
            self[name] = default
        return self[name]

    def popitem(self) -> tuple[str, Tensor]:
        """Take the last parameter out and return it with its name."""
        if not len(self):
            raise KeyError("popitem of an empty ParameterDict")
        name = next(reversed(self))
        return name, self.pop(name)

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(self.items())

    def fromkeys(self, names: Iterable[str], default: object = None) -> ParameterDict:
        """Another dict with these names, all of the default."""
        return ParameterDict((name, default) for name in names)

    def forward(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError("a ParameterDict is not called: pick parameters from it, self.scales[name]")
