"""The gradient rule of an op that states its derivative by `jvp=` alone: the transpose of that."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Hashable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tapenet.ops.formula import outside


@functools.cache
def _programs() -> ModuleType:
    return importlib.import_module("tapenet.ops.transposed_programs")


class Transposed:
    """A gradient rule, that of one input or a joint one.

    Attributes:
        op: the op.
        inputs: the inputs whose rule it is.
        needs, shapes: the names of the values that it is given, and those of shapes and dtypes.
        variants: what gives the gradients for the values, by shapes and dtypes of arrays and all else itself.
    """

    needs: tuple[str, ...]

    def __init__(self, op: Any, inputs: Sequence[str]) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.variants: dict[Hashable, Callable[..., object]] = {}

    def ask(self) -> None:
        """Find what it needs, once it is known what the op asks for."""
        op = self.op
        dots = {f"{n}_dot" for n in op.differentiable}
        names = {a.name for a in op.arguments}
        shapes = [f"{n}_{what}" for n in op.inputs for what in ("shape", "dtype")]
        self.shapes = frozenset(shapes) - names
        of_inputs = [n for n in shapes if n.rpartition("_")[0] in op.differentiable]
        self.needs = (op.special.g, *(() if len(self.inputs) == 1 else (op.special.wanted,)))
        self.needs += tuple(dict.fromkeys(n for n in (*op.jvp_needs, *of_inputs) if n not in dots))

    @functools.cached_property
    def numbers(self) -> tuple[Callable[[], object], ...] | None:
        """What `jvp=` reads beside its arguments and may change: None if it is to be read at each call."""
        return outside(self.op.jvp)

    def __call__(self, *values: object) -> object:
        numbers = self.numbers
        if numbers is None:
            return _programs().pull(self, values, None)
        key: Hashable = tuple([(v.shape, v.dtype) if type(v) is np.ndarray else (type(v), v) for v in values])
        if numbers:
            key = (key, *(read() for read in numbers))
        try:
            run = self.variants.get(key)
        except TypeError:  # a sequence, or an option that cannot be compared
            key, run = None, None
        return _programs().pull(self, values, key) if run is None else run(*values)
