"""What bodies of loops and branches change: assumed at first, then recorded, until they do what was assumed."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import TypeVar

from tapenet.autodiff import aliasing
from tapenet.autodiff.control.body import Body
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting import watching
from tapenet.lifting.carried import Form, Unlike, built, form_of, joined, leaves, same
from tapenet.lifting.places import Places, Variables

T = TypeVar("T")


class Again(Exception):
    """What was assumed of a body turned out wrong, and is put right."""


class Unrolled(Exception):
    """A body that cannot be recorded for all turns."""


class _Changed(Exception):
    """A body changed containers.

    Attributes:
        changes: these.
    """

    def __init__(self, changes: list[watching.Change]) -> None:
        super().__init__(f"it changes a {type(changes[0].container).__name__}")
        self.changes = changes


class Idle(Exception):
    """A body that changes nothing."""


#: The variables whose arrays bodies write, by their code.
_WRITTEN: weakref.WeakKeyDictionary[CodeType, frozenset[str]] = weakref.WeakKeyDictionary()


class Varying:
    """What a body changes: assumed at first, then found.

    Attributes:
        names: the forms of the variables that it changes, by position.
        roots: the arrays that it writes in place.
        pure: whether it computes with numbers of Python's alone, which are known.
        most: how many turns there may be, where a derivative is needed and there is no bound.
    """

    def __init__(self, *bodies: object) -> None:
        self.bodies = [body for body in bodies if isinstance(body, FunctionType)]
        self.names: dict[int, Form] = {}
        self.roots: list[Tensor] = list({id(root): root for root in self._expected()}.values())
        self.pure = False
        self.most: int | None = None
        #: The variables that stand for an array of the caller's or for a new one, as is decided when the program runs.
        self.either: set[int] = set()
        #: What such a variable may share memory with.
        self.sharing: list[Tensor] = []
        #: What stands for the arrays that were expected to be written, by their `id`.
        self._expecting: dict[int, Tensor | None] = {id(root): None for root in self.roots}

    def _expected(self) -> Iterator[Tensor]:
        """The arrays that the same code wrote when it was last recorded: bodies inside of others are recorded often."""
        for body in self.bodies:
            for name, value in watching.variables(body):
                if name in _WRITTEN.get(body.__code__, ()) and type(value) is Tensor:
                    yield aliasing.root(value)

    def remember(self) -> None:
        """Note which arrays were written."""
        written = {id(aliasing.root(root)) for root in self.roots}
        for body in self.bodies:
            named = [
                name
                for name, value in watching.variables(body)
                if type(value) is Tensor and id(aliasing.root(value)) in written
            ]
            _WRITTEN[body.__code__] = frozenset(named)

    def values(self, values: tuple[object, ...]) -> list[Tensor]:
        """What is carried, as tensors."""
        found = [t for k, form in self.names.items() for t in leaves(form, values[k])]
        return [*found, *map(watching.value_of, self.roots)]

    def put(self, values: tuple[object, ...], tensors: list[Tensor]) -> tuple[object, ...]:
        """Put tensors in the place of what is carried: gives the variables."""
        given = iter(tensors)
        found = list(values)
        for k, form in self.names.items():
            found[k] = made = built(form, given)
            if type(made) is Tensor and made.ndim and (k in self.either or is_callers(values[k])):
                lifted = local.state.lifted
                (lifted.either if k in self.either else lifted.callers).append(weakref.ref(made))
        for root in self.roots:
            value = next(given)
            watching.set_value(root, value)
            if id(root) in self._expecting:
                self._expecting[id(root)] = value
        return tuple(found)

    def _shared(self, names: tuple[str, ...], found: dict[int, Form], after: tuple[object, ...]) -> dict[int, Tensor]:
        """Variables that were given an array that other variables stand for too, with these: to write to one is to write to
        the other."""
        # What a body assigns and nobody reads after a turn is no other variable.
        own = {names[k] for k in found}.union(*(watching.assigned(body) for body in self.bodies)).difference(
            name for k, name in enumerate(names) if k not in found
        )
        arrays = [(k, value) for k in found if type(value := after[k]) is Tensor and value.ndim]
        if not arrays:
            return {}
        others = {
            id(aliasing.root(value)): value
            for body in self.bodies
            for name, value in watching.variables(body)
            if name not in own and type(value) is Tensor
        }
        shared: dict[int, Tensor] = {}
        for k, value in arrays:
            whole = id(aliasing.root(value))
            if whole in others:
                shared[k] = others[whole]
            others[whole] = value
        return shared

    def learn(
        self,
        names: tuple[str, ...],
        before: tuple[object, ...],
        after: tuple[object, ...],
        roots: list[Tensor],
        turns: bool = True,
    ) -> None:
        """Compare with what a body did; of `turns` each begins with what the one before left.

        Raises:
            Again: it was another thing.
            Unrolled: a variable is of another kind in each turn.
        """
        found: dict[int, Form] = {}
        for k, (name, old, new) in enumerate(zip(names, before, after, strict=True)):
            if same(old, new) and k not in self.names:
                continue
            try:
                known = self.names.get(k)
                if known is None:
                    known = form_of(old) if turns else form_of(new)
                found[k] = joined(known, form_of(new))
            except Unlike as error:
                raise Unrolled(f"{name!r} changes: {error}") from None
        here = {id(root) for root in self.roots}
        more = [root for root in roots if id(root) not in here]
        idle = {
            id(root)
            for root in self.roots
            if (value := self._expecting.get(id(root))) is not None and watching.value_of(root)._trace is value._trace
        }
        shared = self._shared(names, found, after)
        if turns and shared:
            raise Unrolled(f"{names[min(shared)]!r} stands for an array that another variable stands for too")
        self.either |= set(shared)
        self.sharing += [other for other in shared.values() if all(other is not each for each in self.sharing)]
        torn = {k for k in found if turns and is_either(after[k])}
        if found != self.names or more or idle or not torn <= self.either:
            self.either |= torn
            self.names = found
            self.roots = [*(root for root in self.roots if id(root) not in idle), *more]
            raise Again


def is_callers(value: object) -> bool:
    """Whether a variable stands for an array of the caller's, or may."""
    lifted = local.state.lifted
    return type(value) is Tensor and lifted is not None and aliasing.is_among(value, lifted.callers + lifted.either)


def is_either(value: object) -> bool:
    """Whether a variable stands for an array of the caller's or a new one, as is decided when the program runs."""
    lifted = local.state.lifted
    return type(value) is Tensor and lifted is not None and aliasing.is_among(value, lifted.either)


def settled(record: Callable[[], T], places: Places, grows: bool = False) -> T:
    """Record until what is assumed of a body is what it does.

    Args:
        record: records.
        places: what it changes; what it changes beside is taken in.
        grows: whether lists may grow.

    Raises:
        Unrolled: that goes on and on, or something is changed that cannot be carried.
    """
    lifted = local.state.lifted
    for _ in range(12):
        if lifted is not None:
            lifted.settle()  # what a body reads anew of views from outside would be its work
        try:
            return record()
        except Again:
            continue
        except _Changed as changed:
            if not all(places.take_in(change, grows) for change in changed.changes):
                raise Unrolled(str(changed)) from None
    raise Unrolled("the kinds of its variables change from turn to turn")


@contextlib.contextmanager
def recorded(
    state: Variables, before: tuple[object, ...], varying: Varying | None, tensors: list[Tensor], body: object
) -> Iterator[watching.Writes]:
    """Run one turn or side with what is carried in its place; all is as it was after it.

    Raises:
        Unrolled: it changed objects of Python's.
    """
    capture = capturing()
    assert isinstance(capture, Body)
    roots = [] if varying is None else varying.roots
    saved = [(root, watching.value_of(root)) for root in roots]
    kept = watching.contents([*watching.reached(body), *before])
    writes = watching.Writes(capture)
    capture.writing = writes

    lifted = local.state.lifted
    marks = (0, 0) if lifted is None else (len(lifted.callers), len(lifted.either))

    def put_back() -> list[watching.Change]:
        capture.writing = None
        if lifted is not None:
            del lifted.callers[marks[0] :], lifted.either[marks[1] :]
        for root, value in [*saved, *writes.found.values()]:
            watching.set_value(root, value)
        state.set(before)
        return watching.put_back(kept)

    try:
        with watching.views_put_back():
            if varying is not None:
                state.set(varying.put(before, tensors))
            yield writes
    except (Again, Idle, Unrolled):
        if changes := put_back():  # what it changed comes first
            raise _Changed(changes) from None
        raise
    except BaseException:
        put_back()
        raise
    if changes := put_back():
        raise _Changed(changes)


def results_of(
    varying: Varying,
    names: tuple[str, ...],
    given: tuple[object, ...],
    after: tuple[object, ...],
    writes: watching.Writes,
) -> list[Tensor]:
    """What is carried after a turn, which is what was assumed of it."""
    varying.learn(names, given, after, [root for root, _ in writes.found.values()])
    return finals(varying, after)


def finals(varying: Varying, after: tuple[object, ...]) -> list[Tensor]:
    """What is carried after a turn."""
    return [Tensor._of(t._data, t._node, t._trace) for t in varying.values(after)]


def give(state: Variables, varying: Varying, before: tuple[object, ...], outs: list[Tensor]) -> None:
    """Give variables and arrays what a recorded loop or branch leaves."""
    capture = capturing()
    assert capture is not None
    for root in varying.roots:
        capture.notes_write(root)
    state.set(varying.put(before, outs))
    if local.state.lifted is not None:
        local.state.lifted.either += map(weakref.ref, varying.sharing)
