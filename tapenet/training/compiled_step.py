"""A function of a batch, compiled where that is faster overall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import compile
from tapenet.training.batches import as_tensors
from tapenet.typing import StateDict

ndarray = np.ndarray
R = TypeVar("R")
#: How many shapes of batches get a program.
_PROGRAMS = 8
#: How often a shape must come before it gets one. The first does at once; the smaller batch at the end of an epoch is run
#: some thousand times as it stands in the time that its program would take to make.
_OFTEN = 50
#: The same where there is no update, and a program gains a few tenths of the time.
_RARELY = 500


class Routine(Generic[R]):
    """A function of a batch. The first shape of batches gets a program at once, other shapes when they have come often; at most
    8 do. Where no program can be made it says why, once, and the function runs as it stands.

    What runs how depends on the batches alone, and is part of the saved state: a resumed run rounds as the run that was not
    stopped.

    Args:
        function: takes arrays, nested or not, as tensors.
        what: what it is called where it says something.
        compiled: False never makes a program.
        tell: called with messages for the user.
        keep_grads: as of `tn.compile`.
        updates: whether it trains; else no shape gets a program before it has come very often.
    """

    def __init__(
        self,
        function: Callable[..., R],
        what: str,
        compiled: bool,
        tell: Callable[[str], None],
        *,
        keep_grads: bool = False,
        updates: bool = True,
    ) -> None:
        self._what = what
        self._tell = tell
        self._updates = updates
        self._function = function
        self._program = compile(function, max_variants=4 * _PROGRAMS, keep_grads=keep_grads, from_first=True)
        #: Shapes that run as a program.
        self._ready: set[object] = set()
        #: The same, and how often each other shape came, as they are saved.
        self._compiled: list[str] = []
        self._met: dict[str, int] = {}
        self._plain = not compiled
        self._told = False

    def __call__(self, *args: object) -> R:
        shapes = tuple([a.shape if type(a) is ndarray else _shapes(a) for a in args])
        if shapes in self._ready:
            return self._program(*args)
        return self._other(shapes, args)

    def _other(self, shapes: object, args: tuple[object, ...]) -> R:
        if self._plain:
            return self._function(*map(as_tensors, args))
        name = str(shapes)
        if name not in self._compiled and not self._earns(name):
            return self._function(*map(as_tensors, args))
        try:
            result = self._program(*args)
        except CaptureError as error:
            self._plain = True
            self._tell(f"{self._what} runs uncompiled: {error}")
            return self._function(*map(as_tensors, args))
        if not self._program.variants:
            self._plain = True
            self._tell(f"{self._what} runs uncompiled: {self._program.doubt}")
            return result
        if name not in self._compiled:
            self._compiled.append(name)
        self._ready.add(shapes)
        return result

    def _earns(self, name: str) -> bool:
        """Whether a shape that has no program gets one now."""
        count = self._met[name] = self._met.get(name, 0) + 1
        if count <= ((_OFTEN if self._compiled else 0) if self._updates else _RARELY):
            return False
        if len(self._compiled) < _PROGRAMS:
            del self._met[name]
            return True
        if not self._told:
            self._told = True
            self._tell(
                f"{self._what} has programs for {_PROGRAMS} shapes of batches, and runs uncompiled for further ones: pad "
                "batches to a few lengths, so that each has a program"
            )
        return False

    def state_dict(self) -> StateDict:
        """Which shapes have programs, and how often others came."""
        return {"compiled": list(self._compiled), "met": dict(self._met), "plain": self._plain}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved state."""
        self._compiled = list(state["compiled"])
        self._met = {name: int(count) for name, count in state["met"].items()}
        self._plain = self._plain or bool(state["plain"])
        self._ready = set()


def _shapes(value: object) -> object:
    """The shapes of the arrays in a tree, in a tree."""
    if type(value) is ndarray or type(value) is Tensor:
        return value.shape
    if type(value) is list or isinstance(value, tuple):
        return tuple([_shapes(v) for v in value])
    if type(value) is dict:
        return tuple([_shapes(v) for v in value.values()])
    return getattr(value, "shape", None)
