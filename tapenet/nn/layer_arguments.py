"""Checks of the arguments that layers are made with. Errors name the layer and what to give instead."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.ops.signatures import parameters
from tapenet.ops.torch_names import GIVEN_UP, INPLACE_LAYERS, OF_LAYERS
from tapenet.ops.tracebacks import boundary

#: Where the layers are whose arguments are checked; those of users are their own.
_LAYERS = __name__.rpartition(".")[0] + "."

#: Arguments of layers that are arrays, or may be.
_ARRAYS = frozenset({"weight", "pos_weight", "_weight", "_random_samples", "tensor"})
#: How NumPy's errors about arrays of impossible size begin.
_TOO_LARGE = ("array is too big", "Maximum allowed dimension exceeded")


#: What PyTorch calls the places where tensors can be.
_DEVICES = frozenset({"cpu", "cuda", "hpu", "ipu", "meta", "mps", "mtia", "xla", "xpu"})


def is_device(value: object) -> bool:
    """Whether it is a name of a device as PyTorch has them.

    >>> is_device("cuda:0"), is_device("float32")
    (True, False)
    """
    return type(value).__name__ == "device" or (isinstance(value, str) and value.partition(":")[0] in _DEVICES)


def check_device(who: str, device: object) -> None:
    """Raise ValueError for another device than the CPU.

    >>> check_device("Linear", "cuda")
    Traceback (most recent call last):
    ValueError: Linear: device='cuda': there is one device here, 'cpu'; leave the argument out, or give None
    """
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise ValueError(
            f"{who}: device={str(device)!r}: there is one device here, 'cpu'; leave the argument out, or give None"
        )


def is_layer(cls: type) -> bool:
    """Whether a class is a layer of the library, not one of a user."""
    return cls.__module__.startswith(_LAYERS)


def library_class(cls: type) -> Any:
    """The layer here that a class is, or derives from."""
    return next(own for own in cls.__mro__ if is_layer(own))


def without_foreign(
    cls: type, args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments of a layer without those that PyTorch's has and that change nothing here: `device`, `inplace` and the
    like.

    Raises:
        ValueError: another device than the CPU.
        TypeError: an argument that PyTorch has given up.
    """
    layer = library_class(cls)
    title = layer.__name__
    known = () if layer.__init__ is object.__init__ else (parameters(layer.__init__) or ())[1:]
    rest = dict(kwargs)
    if "device" in rest and any(p.name == "dtype" for p in known):
        check_device(title, rest.pop("device"))
    if title.lower() in INPLACE_LAYERS:
        if len(args) == 1 + sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in known) and isinstance(args[-1], bool):
            args = args[:-1]
        rest.pop("inplace", None)
    for name in OF_LAYERS.get(title, ()):
        rest.pop(name, None)
    for name, instead in GIVEN_UP.items():
        if name in rest and title.endswith("Loss") and rest.pop(name) is not None:
            raise TypeError(f"{title}: {name} is what PyTorch had once: write {instead}")
    return args, rest


def checked(init: Callable[..., None]) -> Callable[..., None]:
    """The `__init__` of a layer with clear errors for two mistakes: an array given as a setting, and a layer too
    large for memory."""

    @boundary
    @functools.wraps(init)
    def __init__(self: object, *args: object, **kwargs: object) -> None:
        if kwargs or args:
            args, kwargs = without_foreign(type(self), args, kwargs)
        if any(map(_is_data, (*args, *kwargs.values()))):
            refuse_data(type(self), init, args, kwargs)
        try:
            init(self, *args, **kwargs)
        except (MemoryError, ValueError) as error:
            title, text = type(self).__name__, str(error)
            if not isinstance(error, MemoryError) and not text.startswith(_TOO_LARGE):
                raise
            raise MemoryError(text if text.startswith(title) else f"{title} does not fit into memory: {text}") from None

    return __init__


def _is_data(value: object) -> bool:
    """Whether it is an array of numbers, and no setting: a vector of integers may be sizes."""
    if isinstance(value, np.ndarray):
        return value.ndim > 1 or (value.ndim == 1 and value.dtype.kind not in "iu")
    return isinstance(value, Tensor) and value.ndim > 0


def refuse_data(
    layer: type, init: Callable[..., None] | None, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    """Raise TypeError where an array is given for an argument of `init` that takes none; with None none does."""
    taken = [] if init is None else list(inspect.signature(init).parameters.values())[1:]
    names = [p.name for p in taken if p.kind is p.POSITIONAL_OR_KEYWORD]
    if any(p.kind is p.VAR_POSITIONAL for p in taken):  # what takes anything may do with it as it likes
        args = args[: len(names)]
    if any(p.kind is p.VAR_KEYWORD for p in taken):
        kwargs = {name: value for name, value in kwargs.items() if name in names}
    more = [f"argument {i}" for i in range(len(names) + 1, len(args) + 1)]
    for name, value in (*zip([*names, *more], args, strict=False), *kwargs.items()):
        classes = (
            name == "ignore_index" and isinstance(value, np.ndarray) and value.ndim > 0
        )  # as in CrossEntropyLoss(x, y)
        if classes or (_is_data(value) and name not in _ARRAYS):
            title, shape = layer.__name__, getattr(value, "shape", ())
            raise TypeError(
                f"{title}: {name} is an array ({type(value).__name__} of shape {shape}), where no array belongs. "
                f"Make the layer first, from its settings, then call it with arrays: layer = {title}({'...' if taken else ''}"
                "), then layer(x)"
            )


def whole(layer: object, least: int = 0, **given: object) -> None:
    """Check sizes: integers of `least` or more.

    Raises:
        TypeError: one is no integer.
        ValueError: one is too small.

    >>> from tapenet import nn
    >>> nn.Linear(2.0, 3)
    Traceback (most recent call last):
    TypeError: Linear: in_features=2.0: give an integer of 0 or more
    """
    for name, value in given.items():
        if isinstance(value, (int, np.integer)) and value >= least:
            continue
        kind = ValueError if isinstance(value, (int, np.integer)) else TypeError
        raise kind(f"{type(layer).__name__}: {name}={value!r}: give an integer of {least} or more")


def probability(layer: object, **given: object) -> None:
    """Check numbers from 0 to 1.

    Raises:
        TypeError: one is no number.
        ValueError: one is not between 0 and 1.
    """
    for name, value in given.items():
        if isinstance(value, (int, float, np.number)) and 0 <= value <= 1:
            continue
        kind = ValueError if isinstance(value, (int, float, np.number)) else TypeError
        raise kind(f"{type(layer).__name__}: {name}={value!r} is no probability: give a number from 0 to 1")
