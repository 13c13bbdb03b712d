"""`np.vectorize` and `np.frompyfunc` inside of lifted functions: functions of numbers, element by element."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.namespace import OBJECTS, STANDS, Copies
from tapenet.transforms.vectorize import vmap

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

Function = Callable[..., object]


class vectorize:
    """Stands for `np.vectorize`: calls a function of numbers for each element, and has its results as tensors. In a program
    that is being recorded the function is recorded once for all elements, by `tn.vmap`."""

    def __init__(
        self, pyfunc: object = np._NoValue, otypes: str | Sequence[DTypeLike] | None = None, doc: str | None = None,
        excluded: Collection[int | str] | None = None, cache: bool = False, signature: str | None = None,
    ) -> None:  # fmt: skip
        self._options = otypes, doc, excluded, cache, signature
        self.excluded = set(excluded or ())
        self.signature = signature
        self.otypes = None if otypes is None else [np.dtype(kind) for kind in otypes]
        if pyfunc is not np._NoValue:
            self._take(cast("Function", pyfunc))

    def _take(self, pyfunc: Function) -> None:
        self.pyfunc = pyfunc
        functools.update_wrapper(self, pyfunc)

    def __call__(self, *args: object, **kwargs: object) -> object:
        if not hasattr(self, "pyfunc"):  # a decorator with options
            self._take(cast("Function", args[0]))
            return self
        names = [name for name in kwargs if name not in self.excluded]
        places = [i for i in range(len(args)) if i not in self.excluded]
        given = [Tensor._of(np.asarray(v)) if not isinstance(v, Tensor) else v
                 for v in (*(args[i] for i in places), *(kwargs[name] for name in names))]  # fmt: skip

        def call(*elements: object) -> object:
            filled, options = list(args), dict(kwargs)
            for i, element in zip(places, elements, strict=False):
                filled[i] = element
            options |= zip(names, elements[len(places) :], strict=True)
            return self.pyfunc(*filled, **options)

        return self._mapped(call, given)

    def _mapped(self, call: Function, given: list[Tensor]) -> object:
        """What a call gives for each element of what is broadcast; those with core axes, for each array of these."""
        cores = self._cores(len(given))
        shape = np.broadcast_shapes(*(t.shape[: t.ndim - core] for t, core in zip(given, cores, strict=True)))
        size = int(np.prod(shape))
        if not size and self.otypes is None:
            raise ValueError("np.vectorize of no elements does not know what it gives: set otypes=")
        if not size:
            empty = tuple(ops.zeros(shape, kind) for kind in self.otypes or ())
            return empty[0] if len(empty) == 1 else empty
        lanes = []
        for t, core in zip(given, cores, strict=True):
            inner = t.shape[t.ndim - core :]
            lanes.append(ops.reshape(ops.broadcast_to(t, (*shape, *inner)), (size, *inner)))
        tape = local.state.tape
        if tape is not None and tape.captures:
            found = vmap(call)(*lanes)
            parts = found if isinstance(found, tuple) else (found,)
        else:
            each = [call(*(lane[i] for lane in lanes)) for i in range(size)]
            rows = [e if isinstance(e, tuple) else (e,) for e in each]
            parts = tuple(ops.stack([_as_first(e, column[0]) for e in column]) for column in zip(*rows, strict=True))
            found = each[0]
        kinds = self.otypes or [p.dtype for p in parts]
        made = tuple(
            ops.reshape(p if p.dtype == kind else ops.astype(p, kind), (*shape, *p.shape[1:]))
            for p, kind in zip(parts, kinds, strict=True)
        )
        return made if isinstance(found, tuple) else made[0]

    def _cores(self, count: int) -> list[int]:
        """How many axes of each argument the function takes."""
        if self.signature is None:
            return [0] * count
        inputs = re.findall(r"\(([^)]*)\)", self.signature.partition("->")[0])
        return [len(axes.split(",")) if axes.strip() else 0 for axes in inputs]


def _as_first(value: object, first: object) -> object:
    """A result in the dtype of the first one, by which NumPy goes."""
    kind = first.dtype if isinstance(first, Tensor) else np.asarray(first).dtype
    return ops.astype(value, kind) if isinstance(value, Tensor) else np.asarray(value, kind)


def frompyfunc(func: Function, /, nin: int, nout: int, *, identity: object = None) -> Function:
    """Stands for `np.frompyfunc`, whose arrays of objects are tensors of numbers here."""
    return vectorize(func)


def _of_copy(copies: Copies, made: np.vectorize) -> vectorize:
    """What stands for a function that `np.vectorize` made outside: that of the copy of its Python function."""
    otypes = made.otypes
    pyfunc = cast("Function", copies.replaced(made.pyfunc))
    return vectorize(
        pyfunc, otypes if otypes is None else list(otypes), excluded=made.excluded, signature=made.signature
    )


STANDS[np.vectorize] = vectorize
STANDS[np.frompyfunc] = frompyfunc
OBJECTS[np.vectorize] = _of_copy
