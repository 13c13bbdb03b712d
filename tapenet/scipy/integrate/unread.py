"""Functions that cannot be read, such as those that branch on values: called as they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FunctionType, MethodType
from typing import TypeVar

import numpy as np

from tapenet.autodiff.node import next_number
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.lift import lift
from tapenet.program.trees import flatten
from tapenet.scipy.integrate.right_side import Read, read
from tapenet.scipy.integrate.states import Function, State, value_of
from tapenet.transforms.checkpoint import Watch
from tapenet.transforms.implicit.linear import in_numbers

F = TypeVar("F")
R = TypeVar("R")


def reading(read: Callable[[F], R], wrap: Callable[[Callable[..., object]], F], f: Callable[..., object]) -> R:
    """What reading a function gives: as it is, or lifted, if it makes arrays of tensors or branches on values.

    Args:
        read: reads.
        wrap: makes of the user's function what is read.
        f: the user's function.

    Raises:
        CaptureError, or whatever else the function makes of tensors: it cannot be read, either way.
    """
    try:
        return read(wrap(f))
    except Exception:
        if not isinstance(f, (FunctionType, MethodType)):
            raise
        try:
            return read(wrap(lift(f)))
        except Exception:  # whatever a lifted function makes of it: the first error says more
            pass
        raise


def read_or_plain(
    name: str,
    f: Callable[..., object],
    wrap: Callable[[Callable[..., object]], Function],
    start: Tensor,
    state: State,
    times: Sequence[Tensor | None],
) -> Read | None:
    """The right side, compiled; None if it cannot be, and need not be.

    Raises:
        CaptureError: it cannot be read, and derivatives are wanted; says why.
    """
    try:
        return reading(lambda call: read(name, call, start._data, state.vector._data), wrap, f)
    except Exception as error:
        if capturing() is not None:
            raise
        if local.state.grad:
            wanted = any(t is not None and t._node is not None for t in (*times, state.vector))
            watch = Watch(None, next_number())
            with watch.around(), suppress(Exception):
                wrap(f)(Tensor._of(start._data), Tensor._of(state.vector._data))
            if wanted or watch.closed:
                raise CaptureError(f"{name}: derivatives are wanted, for which fun must be readable: {error}") from None
        return None


def numbers(value: object) -> object:
    """What a function of the user's gave, with arrays in place of tensors."""
    if isinstance(value, (list, tuple)) and any(isinstance(leaf, Tensor) for leaf in flatten(value)[0]):
        return np.asarray([numbers(v) for v in value])
    return value._data if isinstance(value, Tensor) else value


def plain(f: Callable[..., object], args: Sequence[object]) -> Callable[..., object]:
    """A function as SciPy calls it.

    Raises:
        CaptureError: when it is called, while a step is captured that has another value of what it depends on in each run.
    """
    unknown = capturing() is not None

    def call(*given: object) -> object:
        nonlocal unknown
        if unknown:
            for leaf in flatten(f(*given, *args))[0]:
                if isinstance(leaf, Tensor):
                    value_of(leaf)
            unknown = False
        with in_numbers():
            return numbers(f(*given, *args))

    return call


def plain_event(event: Callable[..., object], args: Sequence[object]) -> Callable[..., object]:
    """An event as SciPy calls it."""
    made = plain(event, args)
    return marked(lambda t, y: float(np.asarray(made(t, y)).ravel()[0]), event)


def plain_jacobian(options: dict[str, object], args: Sequence[object]) -> None:
    """Put the Jacobian among some options into a form that SciPy can call."""
    jac = options.get("jac")
    if callable(jac):
        options["jac"] = plain(jac, args)
    elif isinstance(jac, Tensor):
        options["jac"] = jac._data


def marked(made: Callable[..., object], event: object) -> Callable[..., object]:
    """An event with the attributes of another."""
    for attribute in ("terminal", "direction"):
        if hasattr(event, attribute):
            setattr(made, attribute, getattr(event, attribute))
    return made
