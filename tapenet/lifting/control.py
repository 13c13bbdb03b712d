"""`for`, `while` and `if` of a lifted function while it is captured.

A body is recorded once for all turns: what it changes is carried, and the number of the turn is an `Index`, which answers what
is the same in each turn. Where some turns are different, they are cut off and recorded for themselves; where a body needs to
know the number, or changes objects of Python's, its turns are recorded one after the other.
"""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tapenet import ops
from tapenet.autodiff import aliasing
from tapenet.autodiff.control.body import Body, bodies
from tapenet.autodiff.control.branches import branch
from tapenet.autodiff.control.loops import loop
from tapenet.autodiff.control.recording import needs
from tapenet.autodiff.control.whiles import repeat
from tapenet.autodiff.node import Node, Traced
from tapenet.autodiff.observe.capture import capturing, sketch
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting import watching
from tapenet.lifting.bodies import (
    Again,
    Idle,
    Unrolled,
    Varying,
    finals,
    give,
    is_callers,
    is_either,
    recorded,
    results_of,
    settled,
)
from tapenet.lifting.carried import Form, built, form_of, leaves
from tapenet.lifting.index import Index, Loop, Split, Whole, ends, whole
from tapenet.lifting.number import Number, Unknown, is_number, tensor_of
from tapenet.lifting.places import Places, Variables
from tapenet.lifting.turns import Turns, turns_of
from tapenet.lifting.variables import State
from tapenet.program.arguments import elements

#: So many turns, or fewer, are recorded one after the other, where that makes at most so many copies of a body.
FEW, COPIES = 3, 4
#: The same where turns look up numbers in arrays that are there before, so that each has its own constants, and a body is of at
#: most so many ops.
FEW_OF_TABLES, OPS = 10, 40
#: More turns are never recorded one after the other.
MOST = 5000
#: How many turns of a `while` a derivative goes back over at most; it keeps the values of about 2 * sqrt(MOST_BACK) turns.
MOST_BACK = 1 << 16

Stop = Callable[[], object]


class _Copies(threading.local):
    """How many copies are made of a body that is being recorded in this thread, since loops around it are short."""

    number = 1


_copies = _Copies()


class _OfTables(Unrolled):
    """A short loop whose turns look up numbers in arrays that are there before."""


# -- for ---------------------------------------------------------------------------------------------------------


def for_(
    iterable: object, body: Callable[[object], object], state: State, stop: Stop | None = None, line: int | None = None
) -> None:
    """`for target in iterable: body(target)`, until `stop()`."""
    capture = capturing()
    try:
        turns = None if capture is None else turns_of(iterable)
    except Unknown as error:
        raise _error(line, f"the turns of this loop are not known: {error}") from None
    if capture is None or turns is None:
        for target in iterable:  # type: ignore[attr-defined]
            body(target)
            if stop is not None and _stops(stop(), line):
                return
        return
    _For(turns, body, state, stop, line).run()


def _stops(answer: object, line: int | None) -> bool:
    """Whether a loop whose turns run one after the other ends here."""
    if isinstance(answer, (Tensor, Number)):
        raise _error(
            line, "whether this loop is left depends on values, and its turns are recorded one after the other"
        )
    return bool(answer)


def _error(line: int | None, what: str) -> CaptureError:
    place = "" if line is None else f"line {line}: "
    return CaptureError(f"tn.lift: {place}{what}")


class _For:
    """One loop, on its way to be recorded."""

    def __init__(
        self, turns: Turns, body: Callable[[object], object], state: State, stop: Stop | None, line: int | None
    ) -> None:
        self.turns, self.body, self.state, self.stop, self.line = turns, body, state, stop, line
        self.cuts = 0
        #: Whether the loop was left, in the end as a truth of the program's.
        self.left: object = False

    def run(self) -> None:
        count = self.turns.number
        if isinstance(count, (int, Index)):
            self._part(0, count)
        else:
            self._symbolic(0, count)

    def _part(self, first: Whole, count: Whole, peeled: bool = False) -> None:
        """Record some turns: `count` from number `first` on."""
        if self.left is True:
            return
        if ends(count)[1] <= 0:
            return
        if isinstance(count, int) and (count == 1 or (count <= FEW and count * _copies.number <= COPIES)):
            self._few(first, count)
            return
        try:
            self._symbolic(first, count)
        except Split as split:
            if split.loop is not self._loop:
                raise
            self.cuts += 1
            if self.cuts > 16:
                self._fall_back(first, count, "its turns differ in too many ways")
                return
            done: Whole = 0
            for at in (*split.at, count):
                end = _between(at, done, count)
                self._part(first + done, end - done)
                done = end
        except _OfTables:
            assert isinstance(count, int)
            self._few(first, count)
        except Unrolled as error:
            if peeled or not isinstance(count, int):
                self._fall_back(first, count, str(error))
            else:  # the first turn often finds what the others do not: None, say
                self._unrolled(first, 1)
                self._part(first + 1, count - 1, peeled=True)
        except Unknown as error:
            self._fall_back(first, count, str(error))

    def _fall_back(self, first: Whole, count: Whole, why: str) -> None:
        """Record the turns one after the other."""
        if not isinstance(count, int):
            raise Unknown(f"in a loop inside of it, {why}") from None
        if count > MOST:
            raise _error(
                self.line,
                f"the {count} turns of this loop would have to be recorded one after the other, since {why}",
            ) from None
        if count > 50:
            warnings.warn(
                f"tn.lift: line {self.line}: the {count} turns of this loop are recorded one after the other, since {why}: "
                "compiling takes time in proportion",
                RuntimeWarning,
                stacklevel=2,
            )
        self._unrolled(first, count)

    def _few(self, first: Whole, count: int) -> None:
        """Record a few turns one after the other."""
        before = _copies.number
        _copies.number *= count
        try:
            self._unrolled(first, count)
        finally:
            _copies.number = before

    def _unrolled(self, first: Whole, count: int) -> None:
        for k in range(count):
            if self.left is not False:
                self._guarded(first + k)
            else:
                self._turn(first + k)
            if self.left is True:
                return

    def _turn(self, number: Whole) -> None:
        self.body(self.turns.item(number))
        if self.stop is not None:
            self.left = truth(self.stop())

    def _guarded(self, number: Whole) -> None:
        """A turn of a loop that may have been left."""
        left = self.left
        answer: list[object] = [left]

        def turn() -> None:
            self._turn(number)
            answer[0], self.left = self.left, left

        reader = _With(self.state, lambda: (answer[0],), lambda values: answer.__setitem__(0, values[0]))
        if_(_not(left), turn, lambda: None, reader, line=self.line)
        self.left = answer[0]

    def _symbolic(self, first: Whole, count: Whole | Number) -> None:
        """Record all turns as one.

        Raises:
            Split, Unknown, Unrolled: they are not all the same. Nothing is recorded, and all is as it was.
        """
        varying = Varying(self.body)
        places = Places(self.state)
        left = self.left
        sketch()
        grows = isinstance(count, int) and self.stop is None and left is False
        with _undone(), contextlib.suppress(Idle):
            settled(lambda: self._record(varying, places, first, count, left), places, grows)

    def _record(self, varying: Varying, places: Places, first: Whole, count: Whole | Number, left: object) -> None:
        names, before = places.names, places.get()
        #: How many turns there may be; of an open loop only the program knows.
        known = count if isinstance(count, (int, Index)) else None
        bound = 1 << 40 if known is None else ends(known)[1]
        recompute = local.state.lifted is not None and local.state.lifted.recompute and not places.lists
        #: Whether all turns are made, and how many they are is known now.
        fixed = isinstance(count, int) and self.stop is None and left is False
        counted = fixed and not recompute
        after: list[tuple[object, ...]] = []
        stops: list[object] = []
        loops: list[Loop] = []
        moves: list[dict[int, int]] = []
        #: What a turn adds to lists.
        grown: dict[int, list[object]] = {}

        def turn(counter: Tensor, tensors: list[Tensor]) -> list[Tensor]:
            self._loop = current = Loop(counter, bound if known is None else known, splits=known is not None)
            loops.append(current)
            with recorded(places, before, varying, tensors, self.body) as writes:
                given = places.get()
                lengths = {k: len(each) for k, each in places.lists.items()}
                self.body(self.turns.item(first + current.index()))
                values = places.get()
                grown.clear()
                for k, each in places.lists.items():
                    grown[k] = each[lengths[k] :]
                    del each[lengths[k] :]
                stops.append(False if self.stop is None else truth(self.stop()))
                results = results_of(varying, names, given, values, writes)
                after.append(values)
                moves[:] = [_moves(varying, before, given, values)]
                callers = {k for k in varying.names if not counted and k not in moves[0] and is_callers(before[k])}
                if not callers <= varying.either and not fixed:
                    varying.either |= callers  # there may be no turn
                    raise Again
                if moves[0] and not fixed:
                    raise Unrolled("it exchanges arrays")
                if not results and not grown and self.stop is None and not _acts():
                    raise Idle
                self._ask(varying, results, before, known is None)
                if counted and current.looks_up and isinstance(first, int) and _is_short(count):
                    raise _OfTables
                return results

        if isinstance(count, int) and counted:
            counts = np.arange(count)
            counts.flags.writeable = False  # the same at each replay
            forms: dict[int, Form] = {}

            def counted_turn(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
                results = turn(xs[0], carry)
                forms.update((k, form_of(items)) for k, items in grown.items())
                return results, [t for k, form in forms.items() for t in leaves(form, grown[k])]

            outs, columns = loop(counted_turn, varying.values(before), [Tensor._of(counts)], count)
        else:
            limit = tensor_of(count)
            going = ops.logical_not(tensor_of(left)) if left is not False else tensor_of(True)

            def test(carry: list[Tensor]) -> Tensor:
                more: Tensor = ops.logical_and(ops.less(carry[0], limit), carry[1])
                return more

            def step(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
                results = turn(carry[0], carry[2:])
                on = ops.logical_not(tensor_of(stops[-1]))
                return [ops.add(carry[0], 1), ops.astype(on, bool), *results], []

            most = varying.most if known is None else bound
            start = [tensor_of(0), going, *varying.values(before)]
            outs, _ = repeat(test, step, start, most, recompute=(known is None or recompute) and most is not None)
            if self.stop is not None:
                self.left = Number(ops.logical_not(outs[1]), bool)
            outs = outs[2:]
        give(places, varying, before, outs)
        varying.remember()
        if grown:
            for turn_number in range(count if isinstance(count, int) else 0):
                row = iter([column[turn_number] for column in columns])
                for k, form in forms.items():
                    items = built(form, row)
                    assert isinstance(items, list)
                    places.lists[k] += items
        if moves[-1]:
            assert isinstance(count, int)
            _exchange(places, before, moves[-1], count)
        if self.stop is None and isinstance(count, int):
            _last(places, varying, after[-1], loops[-1], count)

    def _ask(self, varying: Varying, results: list[Tensor], before: tuple[object, ...], unbounded: bool) -> None:
        if unbounded and varying.most is None and _differentiated(varying, results, before):
            varying.most = MOST_BACK
            raise Again


def _is_short(count: object) -> bool:
    """Whether a loop of so many turns, with the body that is being recorded, may be recorded turn by turn."""
    capture = capturing()
    assert isinstance(capture, Body)
    few = isinstance(count, int) and count * _copies.number <= FEW_OF_TABLES
    return few and len(capture.nodes) <= OPS and not any(map(bodies, capture.nodes))


def _last(state: Variables, varying: Varying, after: tuple[object, ...], loop: Loop, count: int) -> None:
    """Give variables that are the number of the turn, or that and a constant, the number of the last turn."""
    values = list(state.get())
    for k in varying.names:
        value = after[k]
        if isinstance(value, Index) and loop in value.terms:
            rest = {inner: n for inner, n in value.terms.items() if inner is not loop}
            values[k] = whole(value.constant + value.terms[loop] * (count - 1), rest)
    state.set(values)


def _moves(
    varying: Varying,
    before: tuple[object, ...],
    given: tuple[object, ...],
    after: tuple[object, ...],
) -> dict[int, int]:
    """Which variables end a turn with the array that another one had at its begin, where they exchange arrays that were there
    before the loop and that it writes.

    Raises:
        Unrolled: such an array is written in the first turn alone.
    """
    tensors = [k for k in varying.names if type(before[k]) is Tensor]
    moves = {k: j for k in tensors for j in tensors if after[k] is given[j]}
    if set(moves) == set(moves.values()):
        tensors = [k for k in tensors if k not in moves]
    else:
        moves = {}
    written = {id(root) for root in varying.roots}
    for k in tensors:
        old = before[k]
        assert isinstance(old, Tensor)
        if id(aliasing.root(old)) in written or id(old) in written:
            raise Unrolled("a variable stands for another array from the second turn on")
    return moves


def _exchange(state: Variables, before: tuple[object, ...], moves: dict[int, int], count: int) -> None:
    """Give variables that exchange arrays at each turn those that they have in the end."""
    capture = capturing()
    assert capture is not None
    values = list(state.get())
    for k in moves:
        last = k
        for _ in range(count % math.factorial(len(moves)) if len(moves) < 8 else count):
            last = moves[last]
        handle, value = before[last], values[k]
        assert isinstance(handle, Tensor)
        assert isinstance(value, Tensor)
        capture.notes_write(aliasing.root(handle))
        watching.set_value(handle, value)
        values[k] = handle
    state.set(values)


def _between(at: Whole, low: Whole, high: Whole) -> Whole:
    """A number of turns, limited."""
    if at is high:
        return high
    if not at > low:  # may raise a Split of a loop around
        return low
    return at if at < high else high


# -- while -------------------------------------------------------------------------------------------------------


def while_(
    test: Callable[[], object],
    body: Callable[[], object],
    state: State,
    stop: Stop | None = None,
    line: int | None = None,
) -> None:
    """`while test(): body()`, until `stop()`."""
    turns = 0
    tried = capturing() is None
    while True:
        answer = truth(test())
        if not answer if isinstance(answer, bool) else False:
            return
        if not tried or not isinstance(answer, bool):
            tried = True
            try:
                if _while(test, body, state, stop):
                    return
            except (Unknown, Unrolled) as error:
                if not isinstance(answer, bool):
                    raise _error(line, f"this loop cannot be recorded, since {error}") from None
        body()
        if stop is not None and _stops(truth(stop()), line):
            return
        turns += 1
        if turns > MOST and capturing() is not None and not tried:
            raise _error(line, f"this loop has more than {MOST} turns, which are recorded one after the other")


def _while(test: Callable[[], object], body: Callable[[], object], state: State, stop: Stop | None) -> bool:
    """Record a loop; gives whether it was: one that computes with known numbers alone is not.

    Raises:
        Unknown, Unrolled: it cannot be. All is as it was.
    """
    varying = Varying(body)
    places = Places(state)

    def record() -> bool:
        if not varying.pure:
            _record_while(varying, test, body, places, stop, places.get())
        return not varying.pure

    sketch()
    with _undone():
        return settled(record, places)


def _record_while(
    varying: Varying,
    test: Callable[[], object],
    body: Callable[[], object],
    state: Places,
    stop: Stop | None,
    before: tuple[object, ...],
) -> None:
    asked: list[object] = []
    known: list[bool] = []

    def tested(carry: list[Tensor]) -> Tensor:
        with recorded(state, before, varying, carry[1:], test):
            answer = truth(test())
        capture = capturing()
        assert isinstance(capture, Body)
        asked.append(answer)
        known.append(not any(_outside(node, capture) for node in capture.nodes))
        return (
            ops.logical_and(tensor_of(answer), carry[0]) if not isinstance(answer, bool) or answer else tensor_of(False)
        )

    def step(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        with recorded(state, before, varying, carry[1:], body) as writes:
            given = state.get()
            body()
            left = False if stop is None else truth(stop())
            results = results_of(varying, state.names, given, state.get(), writes)
            if asked[-1] is True and left is False:
                raise Unrolled("its condition is the same at each turn")
            if known[-1] and _pure(varying, before) and asked[-1] is not True:
                varying.pure = True
                raise Again
            callers = {k for k in varying.names if is_callers(before[k])}
            if not callers <= varying.either:  # there may be no turn
                varying.either |= callers
                raise Again
            if varying.most is None and _differentiated(varying, results, before):
                varying.most = MOST_BACK
                raise Again
        return [ops.logical_not(tensor_of(left)), *results], []

    start = [tensor_of(True), *varying.values(before)]
    outs, _ = repeat(tested, step, start, varying.most, recompute=varying.most is not None)
    give(state, varying, before, outs[1:])


def _pure(varying: Varying, before: tuple[object, ...]) -> bool:
    """Whether a body computes with known numbers of Python's alone."""
    if varying.roots or any(isinstance(before[k], Number) or not is_number(before[k]) for k in varying.names):
        return False
    capture = capturing()
    assert isinstance(capture, Body)
    return not any(_outside(node, capture) for node in capture.nodes)


def _acts() -> bool:
    """Whether the body that is being recorded does something beside computing values."""
    capture = capturing()
    assert isinstance(capture, Body)
    return any(
        any(body.effects or body.random for body in inner)
        if (inner := bodies(node))
        else node.op.effect or node.op.random
        for node in capture.nodes
    )


def _outside(node: Node, capture: Body) -> bool:
    """Whether an op reads a value from outside that may be another at the next run."""
    return any(
        isinstance(value, Traced)
        and (value.data.flags.writeable if value.node is None else value.node.number < capture.number)
        for value in elements(list((node.call or {}).values()), Traced)
    )


def _differentiated(varying: Varying, results: list[Tensor], before: tuple[object, ...]) -> bool:
    """Whether a gradient may flow through what a loop carries, from outside."""
    if not local.state.grad:
        return False
    if any(map(needs, varying.values(before))):
        return True
    capture = capturing()
    assert isinstance(capture, Body)
    stack = [t._node for t in results if t._node is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.number < capture.number:
            return True
        new = [parent for parent in node.parents if parent not in seen]
        seen.update(new)
        stack += new
    return False


# -- if ----------------------------------------------------------------------------------------------------------


def if_(
    test: object, true: Callable[[], object], false: Callable[[], object], state: Variables, line: int | None = None
) -> None:
    """`if test: true() else: false()`."""
    answer = truth(test)
    if isinstance(answer, bool):
        (true if answer else false)()
        return
    pred = tensor_of(answer)
    varying = Varying(true, false)
    places = Places(state)

    def sides() -> list[Tensor]:
        before = places.get()
        return branch(
            pred, lambda _: _side(varying, true, places, before), lambda _: _side(varying, false, places, before), []
        )

    with _undone():
        try:
            outs = settled(sides, places)
        except Unrolled as error:
            raise _error(line, f"the two sides of this branch on a value leave different things: {error}") from None
    give(places, varying, places.get(), outs)
    varying.remember()


def _side(varying: Varying, side: Callable[[], object], state: Variables, before: tuple[object, ...]) -> list[Tensor]:
    with recorded(state, before, None, [], side) as writes:
        side()
        after = state.get()
        roots = [root for root, _ in writes.found.values()]
        # What the other side leaves alone keeps its value, of the form that it has here.
        varying.learn(state.names, before, after, roots, turns=False)
        varying.either |= {
            k for k in varying.names if is_either(after[k]) or (after[k] is before[k] and is_callers(before[k]))
        }
        return finals(varying, after)


# -- recording ---------------------------------------------------------------------------------------------------


def truth(value: object) -> bool | Tensor:
    """What a condition says: True or False where that is known."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Index):
        return truth(value != 0)
    if isinstance(value, Number) and capturing() is not None:
        return value.tensor if value.kind is bool else ops.not_equal(value.tensor, 0)
    if type(value) is Tensor and capturing() is not None and value._trace is not None:
        if value.size != 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        flat = value if value.shape == () else ops.reshape(value, ())
        return flat if flat.dtype == bool else ops.not_equal(flat, 0)
    return bool(value)


def _not(value: object) -> object:
    return not value if isinstance(value, bool) else Number(ops.logical_not(tensor_of(value)), bool)


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    """Errors inside that are answered leave no mark on the captures around."""
    marks = []
    capture = capturing()
    while capture is not None:
        marks.append((capture, capture.failure))
        capture = capture.outer
    try:
        yield
    except (Split, Unknown, Unrolled):
        for each, failure in marks:
            each.failure = failure
        raise


class _With:
    """Variables, and more of them."""

    def __init__(
        self, state: State, get: Callable[[], tuple[object, ...]], put: Callable[[tuple[object, ...]], object]
    ) -> None:
        self.state, self._get, self._put = state, get, put
        self.names = (*state.names, "whether it was left")

    def get(self) -> tuple[object, ...]:
        return (*self.state.get(), *self._get())

    def set(self, values: Sequence[object]) -> None:
        count = len(self.state.names)
        self.state.set(values[:count])
        self._put(tuple(values[count:]))
