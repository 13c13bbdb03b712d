"""The state of a differential equation, and other arguments of its solvers, as tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.typing import Array

#: A function of time and state.
Function = Callable[[Tensor, Tensor], object]


class Space:
    """What states are: so many numbers, real or complex. A program may keep it, since it holds no values.

    Attributes:
        size: how many numbers.
        complex: whether they are complex.
    """

    def __init__(self, size: int, complex: bool) -> None:
        self.size, self.complex = size, complex

    def joined(self, v: Tensor, axis: int = 0) -> Tensor:
        """The state that a vector of real numbers stands for."""
        if not self.complex:
            return v
        real, imaginary = ops.split(v, 2, axis)
        made: Tensor = real + 1j * imaginary
        return made

    def real(self, f: Function, vectorized: bool) -> Function:
        """A function of time and state as one in real numbers."""

        def call(t: Tensor, v: Tensor) -> object:
            y = self.joined(v)
            out = f(t, y[:, None])[:, 0] if vectorized else f(t, y)  # type: ignore[index]
            if isinstance(out, (list, tuple)):
                out = ops.stack([ops.reshape(asarray(part), ()) for part in out])
            made = ops.ravel(asarray(out))
            if made.size != self.size:
                raise ValueError(f"fun gives {made.size} value(s), and y has {self.size}")
            return ops.concatenate([ops.real(made), ops.imag(made)]) if self.complex else made

        return call

    def shown(self, ys: Tensor) -> Tensor:
        """Vectors at times as states, in columns."""
        made: Tensor = ops.transpose(self.joined(ys, 1))
        return made

    def numbers(self, y: Array) -> Array:
        """The state as a vector of real numbers."""
        return np.concatenate([y.real, y.imag]) if self.complex else y

    def of(self, v: Array) -> Array:
        """The state of a vector of real numbers, or of several in columns."""
        return v[: self.size] + 1j * v[self.size :] if self.complex else v


class State(Space):
    """The state as SciPy has it, and as a vector of real numbers, which derivatives are those of.

    Attributes:
        given: as it was given.
        vector: the same in real numbers: of complex ones the real parts, then the imaginary ones.
    """

    def __init__(self, y0: object, name: str) -> None:
        if isinstance(y0, (list, tuple)) and any(isinstance(v, Tensor) for v in y0):
            y0 = ops.stack([ops.reshape(asarray(v), ()) for v in y0])
        self.given = asarray(y0)
        if self.given.ndim != 1:
            raise ValueError(f"{name}: `y0` must be 1-dimensional, and has shape {self.given.shape}")
        super().__init__(self.given.size, self.given.dtype.kind == "c")
        if self.complex:
            self.vector = ops.concatenate([ops.real(self.given), ops.imag(self.given)])
        else:
            self.vector = floats(self.given)

    @property
    def space(self) -> Space:
        """The space alone."""
        return Space(self.size, self.complex)


def floats(value: object) -> Tensor:
    """An array of float64."""
    made = asarray(value)
    return made if made.dtype == np.float64 else made.astype(np.float64)


def number(value: object, what: str) -> Tensor:
    """A number of float64.

    Raises:
        ValueError: it is an array of several.
    """
    made = floats(value)
    if made.size != 1:
        raise ValueError(f"{what} holds an array of shape {made.shape}, not a number")
    return made if made.ndim == 0 else ops.reshape(made, ())


def value_of(t: Tensor) -> Array:
    """What a tensor holds.

    Raises:
        CaptureError: it is another in each call of what is captured.
    """
    return t.numpy() if t._trace is not None else t._data
