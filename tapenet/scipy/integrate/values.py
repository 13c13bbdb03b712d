"""Calls that nothing but values is wanted of: SciPy's own, on the functions as they are."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np

from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.masked_arrays import check_unmasked


class TensorsFound(Exception):
    """A function that SciPy calls gave tensors."""


@functools.cache
def library() -> ModuleType:
    """SciPy's functions."""
    return importlib.import_module("scipy.integrate")


def wanted(value: object) -> bool:
    """Whether it is a tensor that a gradient flows to, or one that is captured."""
    return type(value) is Tensor and (value._trace is not None or (value._node is not None and local.state.grad))


def only_values(*calls: Callable[[], object]) -> None:
    """Look at what functions give, once. (A tensor that comes later, and needs a gradient, is no array for SciPy: an error.)

    Raises:
        TensorsFound: one gives a tensor, or several in a list, or makes an array of tensors.
    """
    for call in calls:
        try:
            value = call()
        except (TypeError, ValueError):  # also what SciPy will raise again
            raise TensorsFound from None
        if type(value) is Tensor or (isinstance(value, (list, tuple)) and any(type(v) is Tensor for v in value)):
            raise TensorsFound


def data(value: object) -> object:
    """An argument with arrays in place of tensors.

    Raises:
        TensorsFound: more than the value of one is wanted.
        TypeError: it is a masked array.
    """
    if type(value) is Tensor:
        if wanted(value):
            raise TensorsFound
        return value._data
    check_unmasked(value)
    if isinstance(value, (list, tuple)) and any(type(v) is Tensor for v in value):
        return [data(v) for v in value]
    return value


def value_by_scipy(name: str, *args: object, **options: object) -> Tensor | None:
    """What SciPy's function of a name gives; None where more than the value of an argument is wanted: SciPy has had its say on
    the arguments then, but for values that are being captured."""
    more = any(map(wanted, (*args, *options.values())))
    if more and any(type(v) is Tensor and v._trace is not None for v in (*args, *options.values())):
        return None
    try:
        bare = [v._data if type(v) is Tensor else data(v) for v in args]
        given = {n: v._data if type(v) is Tensor else data(v) for n, v in options.items()}
    except TensorsFound:  # in a list
        return None
    found = Tensor._of(np.asarray(getattr(library(), name)(*bare, **given)))
    return None if more else found
