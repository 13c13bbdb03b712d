"""Whether a function changes what it reaches while it is captured, and the way back."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterable, Sequence
from threading import get_ident
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.tape import CaptureError, Tape
from tapenet.compiler.places import Elements, Held, Read
from tapenet.compiler.reach import Reach, users
from tapenet.ops import random as draws
from tapenet.ops.random import equal_states, generator
from tapenet.program.functions import Function
from tapenet.typing import Array


class Drawn(NamedTuple):
    """What the recorded ops drew random numbers from, and what else they change."""

    generators: list[np.random.Generator]
    #: Whether there was an op that may draw from any generator: one of the user's, or one that draws from NumPy's old ones.
    anywhere: bool
    #: What the user's ops with an effect were given beside arrays: they change it at each run.
    given: list[object]
    #: Whether there was an op of the user's with an effect.
    effects: bool


def drawn(nodes: Iterable[Node]) -> Drawn:
    """What recorded ops drew from and change."""
    found: list[np.random.Generator] = []
    given: list[object] = []
    anywhere = effects = False
    for node in nodes:
        call = node.call or {}
        for body in call.values():
            if isinstance(body, Tape):  # of a loop, or a branch
                inside = drawn(body)
                found += inside.generators
                anywhere |= inside.anywhere
                given += inside.given
                effects |= inside.effects
        if node.op.random:
            old = sys.modules.get("numpy.random") and any(isinstance(v, np.random.RandomState) for v in call.values())
            anywhere |= users(node.op.__module__) or bool(old)
            found += [value for value in call.values() if isinstance(value, np.random.Generator)]
            if call.get("rng", call.get("source")) is None:
                found.append(generator())
        function = call.get("function")
        if isinstance(function, Function) and any(i.effect for i in function.program().body):
            anywhere = effects = True  # what tn.vmap made calls the user's ops
            found.append(generator())
        if node.op.effect and users(node.op.__module__):
            given += [call[name] for name in node.op.options if name in call]
            effects = True
    return Drawn(found, anywhere, given, effects)


class Watch:
    """Finds out whether a function changes anything that it reaches while it is captured.

    Attributes:
        places, values: those of what is reached that the program holds for, and what was there.
        unseen: large arrays that no op was given, so that only plain NumPy may have read them, with what to call them.
    """

    def __init__(self, title: str, reach: Reach) -> None:
        self._title = title
        self.reach = reach
        self.places = reach.places
        self.values: list[Any] = [place.get() for place in reach.places]
        self.unseen = reach.large
        self._generators = [generator(), *reach.generators]
        self._states = [g.bit_generator.state for g in self._generators]
        self._python = random.getstate()
        self._numpy = np.random.get_state()
        self._clocks = _clocks()
        self._alone: bool | None = None
        #: The threads that ask for the process's generator from now on.
        self._asked = draws.asked = set()

    def leave_out(self, arrays: Sequence[Array], given: Sequence[object] = ()) -> None:
        """Leave out the arrays that share memory with one of these; and what ops with an effect were given, which they
        change: a dict, a list, the attributes of an object."""
        holders = {id(getattr(value, "__dict__", value)) for value in given}

        def kept(place: Held) -> bool:
            if id(place.holder) in holders:
                return False
            return not isinstance(place, Elements) or not _shares(place.holder, arrays)

        pairs = [(p, v) for p, v in zip(self.places, self.values, strict=True) if kept(p)]
        self.places, self.values = [p for p, _ in pairs], [v for _, v in pairs]
        self.unseen = [(words, array) for words, array in self.unseen if not _shares(array, arrays)]

    def read(self, arrays: Sequence[Array]) -> None:
        """Note that the program reads these arrays at each call where they are. Plain NumPy may read them too (`Read`)."""
        found = [Read(p) for p in self.places if isinstance(p, Elements) and _shares(p.holder, arrays)]
        found += [Read(Elements(words, array)) for words, array in self.unseen if _shares(array, arrays)]
        found = [place for place in found if place.compared]
        self.leave_out(arrays)
        self.places += found
        self.values += [place.get() for place in found]

    def check(self, recorded: Drawn, changed: Sequence[Array]) -> str | None:
        """Raise if the function changed something that a replay would not change again.

        Args:
            recorded: what ops drew from.
            changed: arrays that ops read, and that have changed.

        Returns:
            what changed, in words, where another thread may have changed it; None if all is as it was.

        Raises:
            CaptureError: names what was changed, and the fix.
        """
        try:
            self._check(recorded, changed)
        except CaptureError as error:
            if self.alone():
                raise
            return str(error)
        finally:
            draws.asked = None
        return None

    def _check(self, recorded: Drawn, changed: Sequence[Array]) -> None:
        for place, before in zip(self.places, self.values, strict=True):
            if place.stands(before):
                continue
            now: Any = place.get()
            if not place.like(before, now):
                how, fix = place.changed(before)
                raise CaptureError(
                    f"{self._title} changed {place.words}{how} while it was captured; a replay would not do it again. {fix}"
                )
        for array in changed:
            raise CaptureError(
                f"{self._title} changed an array from outside ({array.dtype} {array.shape}) in place while it was captured, "
                "which an op reads; a replay would not do it again. Compute a new one and return it, or keep it in an "
                "nn.Buffer"
            )
        self._check_random(recorded)

    def _check_random(self, recorded: Drawn) -> None:
        fix = (
            "a replay would use the same numbers again. Draw by tn.random.uniform, normal, integers or permutation, which "
            "are recorded"
        )
        if not recorded.anywhere:
            if random.getstate() != self._python:
                raise CaptureError(f"{self._title} draws from Python's random while it is captured; {fix}")
            if not equal_states(np.random.get_state(), self._numpy):
                raise CaptureError(f"{self._title} draws from np.random while it is captured; {fix}")
        for rng, before in zip(self._generators, self._states, strict=True):
            if rng is self._generators[0] and self._asked and get_ident() not in self._asked:
                continue  # other threads drew from the process's
            if not any(rng is g for g in recorded.generators) and not equal_states(rng.bit_generator.state, before):
                raise CaptureError(
                    f"{self._title} draws directly from a random generator ({rng}) while it is captured; {fix}, and give "
                    "them rng= this generator"
                )

    def rollback(self) -> None:
        """Put everything back. Where other threads ran it may be theirs: then only the tensors that were recorded are
        taken out, and the draws that were recorded put back (`tapenet.ops.random.Saved`)."""
        alone = self.alone()
        for place, before in zip(self.places, self.values, strict=True):
            if not place.stands(before):
                (place.put if alone else place.take_out)(before)
        if alone:
            for rng, state in zip(self._generators, self._states, strict=True):
                rng.bit_generator.state = state
            random.setstate(self._python)
            np.random.set_state(self._numpy)
        draws.asked = None

    def alone(self) -> bool:
        """Whether no other thread can have run from the beginning of the capture until this was first asked: then nothing
        that changed is another's doing."""
        if self._alone is None:
            self._alone = _clocks() == self._clocks
        return self._alone


def _shares(array: Array, others: Sequence[Array]) -> bool:
    return any(np.may_share_memory(array, other) for other in others)


def _clocks() -> dict[int, object]:
    """How long each other thread has run and waited so far, and how often. Where the system does not tell, a new object
    each time."""
    found: dict[int, object] = {}
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            try:
                with open(f"/proc/self/task/{thread.native_id}/schedstat") as file:
                    found[id(thread)] = file.read()
            except OSError:
                found[id(thread)] = object()
    return found
