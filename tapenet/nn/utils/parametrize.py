"""Attributes of a module that are computed from parameters kept elsewhere, with PyTorch's names in the state.

A parametrised `weight` is no attribute any more but a property of the module's class, which computes it at each access:
the class becomes a subclass that has it. (During a call of the module it is computed at the first access only, since layers
look at their weights' dtype too.) What it is computed from is `parametrizations.weight.original`, or `original0`,
`original1`, ... where there are several; the modules that compute it follow as `parametrizations.weight.0` and so on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TypeVar

from numpy.typing import ArrayLike

from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.containers import ModuleDict
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer, Parameter
from tapenet.nn.utils.derived_class import derived_class

M = TypeVar("M", bound=Module)


class ParametrizationList(Module):
    """The modules that compute an attribute, one from the result of the other, and the tensors that they begin with."""

    def __init__(self, first: Module, tensor: Tensor) -> None:
        self._kind = str(tensor._kind)
        originals = _inverse(first, tensor)
        if isinstance(originals, tuple):
            for i, part in enumerate(originals):
                setattr(self, f"original{i}", self._own(part, tensor))
            self._count = len(originals)
        else:
            self.original = tensor if originals is tensor else self._own(originals, tensor)
            self._count = 0
        self.append(first)

    def _own(self, value: ArrayLike, like: Tensor) -> Tensor:
        if self._kind.endswith("buffer"):
            return Buffer(value, persistent=self._kind == "buffer")
        return Parameter(value, requires_grad=like.requires_grad)

    @property
    def originals(self) -> list[Tensor]:
        """The tensors that the attribute is computed from."""
        names = [f"original{i}" for i in range(self._count)] or ["original"]
        return [getattr(self, name) for name in names]

    def append(self, parametrization: Module) -> None:
        """Have one more module compute the attribute, from what the others made of it."""
        setattr(self, str(len(self)), parametrization)

    def __iter__(self) -> Iterator[Module]:
        return (part for name, part in vars(self).items() if name.isdigit())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]

    def forward(self) -> Tensor:
        """The attribute's value."""
        first, *more = self
        value: Tensor = first(*self.originals)
        for part in more:
            value = part(value)
        return value

    def assign(self, value: ArrayLike) -> None:
        """Set the originals so that the attribute becomes `value`, by the modules' `right_inverse`."""
        with no_grad():
            for part in reversed(list(self)):
                if not hasattr(part, "right_inverse"):
                    raise RuntimeError(
                        f"{type(part).__name__} has no right_inverse, which an assignment to what it computes needs; "
                        "assign to the originals"
                    )
                value = part.right_inverse(value)
            values = value if isinstance(value, tuple) else (value,)
            for original, new in zip(self.originals, values, strict=True):
                original.data = new


def _inverse(parametrization: Module, tensor: Tensor) -> Tensor | tuple[Tensor, ...]:
    """What a parametrisation begins with: what its `right_inverse` makes of the tensor, or the tensor itself."""
    if not hasattr(parametrization, "right_inverse"):
        return tensor
    try:
        with no_grad():
            found: Tensor | tuple[Tensor, ...] = parametrization.right_inverse(tensor)
    except NotImplementedError:  # some maps have no inverse
        return tensor
    return tuple(found) if isinstance(found, (tuple, list)) else found


class _Calls(threading.local):
    """By module that is being called, what was computed for it so far, by name."""

    def __init__(self) -> None:
        self.values: dict[int, dict[str, object]] = {}
        #: The same inside of `cached`, of all modules; else None.
        self.cache: dict[Module, dict[str, object]] | None = None

    def known(self, module: Module) -> dict[str, object] | None:
        """What was computed for a module so far, to be added to; None where nothing is kept."""
        return self.values.get(id(module)) if self.cache is None else self.cache.setdefault(module, {})


_calls = _Calls()


def _computed(name: str) -> property:
    """The property that a parametrised attribute becomes."""

    def get(module: Module) -> object:
        known = _calls.known(module)
        if known is None:
            return _list(module, name)()
        if name not in known:
            known[name] = _list(module, name)()
        return known[name]

    def put(module: Module, value: ArrayLike) -> None:
        _list(module, name).assign(value)
        (_calls.known(module) or {}).pop(name, None)

    return property(get, put, doc=f"Computed by parametrizations.{name}.")


def _list(module: Module, name: str) -> ParametrizationList:
    """What computes an attribute of a module."""
    found: ParametrizationList = vars(vars(module)["parametrizations"])[name]
    return found


def _members(base: type[Module], names: tuple[str, ...]) -> dict[str, object]:
    """Properties for the parametrised attributes, and a forward in which each is computed once."""

    def forward(self: Module, *args: object, **kwargs: object) -> object:
        outer = _calls.values.get(id(self))
        _calls.values[id(self)] = {}
        try:
            return base.forward(self, *args, **kwargs)
        finally:
            if outer is None:
                del _calls.values[id(self)]
            else:
                _calls.values[id(self)] = outer

    return {**{name: _computed(name) for name in names}, "forward": forward}


def _renew(module: Module, base: type[Module]) -> None:
    """Give a module the class for the attributes that are parametrised now."""
    found = vars(module).get("parametrizations", {})
    module.__class__ = derived_class("Parametrized", _members, base, tuple(found.keys()))


def _base(module: Module) -> type[Module]:
    """The class of a module before it was parametrised."""
    return type(module).__mro__[1] if "parametrizations" in vars(module) else type(module)


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrised attribute once inside of the block, however often it is read: for layers whose weights are
    used many times between two steps, such as those of a recurrent network.

    An assignment to the attribute recomputes it; a change of its originals does not, so a step of the optimizer belongs
    outside of the block.

    >>> from tapenet import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> with nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    outer = _calls.cache
    if outer is None:
        _calls.cache = {}
    try:
        yield
    finally:
        _calls.cache = outer


def register_parametrization(module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> M:
    """Have an attribute of a module computed by another module from now on.

    Args:
        module: what has the attribute.
        tensor_name: the name of a parameter or buffer of it, directly.
        parametrization: its `forward` makes the attribute's value of the original. If it has a `right_inverse`, this
            gives the original at the beginning, or a tuple of several, and at assignments to the attribute. Of an
            attribute that is parametrised already it takes what the others make.
        unsafe: PyTorch's option not to look at shapes and types, which are not looked at here.

    Returns:
        the module, for chaining.

    Raises:
        ValueError: the module has no such parameter or buffer.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return np.triu(x) + np.triu(x, 1).T
    >>> layer = nn.Linear(2, 2, bias=False)
    >>> nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    ParametrizedLinear(2, 2, bias=False
      parametrizations: ModuleDict(
        weight: ParametrizationList(     original (2, 2)  4
          0: Symmetric()
        )
      )
    )
    4 parameters
    >>> bool((layer.weight.T == layer.weight).all())
    True
    """
    if is_parametrized(module, tensor_name):
        _list(module, tensor_name).append(parametrization)
        return module
    tensor = vars(module).get(tensor_name)
    if not isinstance(tensor, Tensor) or tensor._kind is None:
        raise ValueError(
            f"register_parametrization: this {type(module).__name__} has no parameter or buffer {tensor_name!r} of its own"
        )
    made = ParametrizationList(parametrization, tensor)
    base = _base(module)
    parametrizations = vars(module).get("parametrizations", ModuleDict())
    setattr(parametrizations, tensor_name, made)
    if not is_parametrized(module):  # added when it is filled, so that optimizers are told what came
        module.add_module("parametrizations", parametrizations)
    delattr(module, tensor_name)
    _renew(module, base)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before its attributes were parametrised.

    >>> from tapenet import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> nn.utils.parametrize.type_before_parametrizations(layer) is nn.Linear
    True
    """
    return _base(module)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether an attribute of a module, or with None any, is parametrised.

    >>> from tapenet import nn
    >>> nn.utils.parametrize.is_parametrized(nn.Linear(2, 1))
    False
    """
    found = vars(module).get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Make a parametrised attribute a parameter again.

    Args:
        module: what has the attribute.
        tensor_name: its name.
        leave_parametrized: with the value that it has now; else with that of the original, if there is one only.

    Returns:
        the module, for chaining.

    Raises:
        ValueError: the attribute is not parametrised, or has several originals and is to become one of them.

    >>> from tapenet import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> nn.utils.parametrize.remove_parametrizations(layer, "weight")
    Linear(2, 1)  bias (1,), weight (1, 2)  3 parameters
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"remove_parametrizations: {tensor_name!r} of this {type(module).__name__} is not parametrised"
        )
    made = _list(module, tensor_name)
    if leave_parametrized:
        with no_grad():
            value = made()
        if len(made.originals) == 1:
            tensor = made.original
            tensor.data = value
        else:
            tensor = made._own(value, made.originals[0])
    elif len(made.originals) > 1:
        raise ValueError(
            f"remove_parametrizations: {tensor_name!r} has {len(made.originals)} originals, none of which it could become: "
            "give leave_parametrized=True"
        )
    else:
        tensor = made.original
    base = _base(module)
    del vars(module)["parametrizations"][tensor_name]
    if not is_parametrized(module):
        delattr(module, "parametrizations")
    _renew(module, base)
    setattr(module, tensor_name, tensor)
    return module
