"""What Python does, said as converted code says it: a function converted and run with this is the function itself."""

from __future__ import annotations

import builtins
import contextlib
import operator
from collections.abc import Callable, Iterable
from typing import Any

from tapenet.lifting.variables import State

Closure = Callable[[], Any]

_COMPARISONS: dict[str, Callable[[Any, Any], object]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "is not": operator.is_not, "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
}  # fmt: skip
_OPERATORS: dict[str, Callable[[Any, Any], object]] = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "//=": operator.ifloordiv, "%=": operator.imod,
}  # fmt: skip


class Plain:
    """Loops, branches and questions as Python has them."""

    State = State
    slice = builtins.slice
    getitem = staticmethod(operator.getitem)
    not_ = staticmethod(operator.not_)

    def run(self, body: Callable[..., object], state: State, *given: object) -> None:
        body(*given)

    def skip(self, body: Closure, state: State) -> None:
        """What becomes of a branch that is not taken."""

    def for_(
        self, iterable: Iterable[object], body: Callable[[Any], Any], state: State, *, stop: Any, line: int
    ) -> None:
        for value in iterable:
            self.run(body, state, value)
            if stop is not None and stop():
                break

    def while_(self, test: Closure, body: Closure, state: State, *, stop: Any, line: int) -> None:
        while test():
            self.run(body, state)
            if stop is not None and stop():
                break

    def if_(self, test: object, chosen: Closure, other: Closure, state: State, *, line: int) -> None:
        if not test:
            chosen, other = other, chosen
        self.skip(other, state)
        self.run(chosen, state)

    def and_(self, value: object, *others: Closure, binds: str = "") -> object:
        for other in others:
            if not value:
                break
            value = other()
        return value

    def or_(self, value: object, *others: Closure, binds: str = "") -> object:
        for other in others:
            if value:
                break
            value = other()
        return value

    def choose(self, test: object, chosen: Closure, other: Closure, binds: str = "", line: int = 0) -> object:
        return chosen() if test else other()

    def compare(self, left: object, *others: tuple[str, Closure], binds: str = "") -> object:
        result: object = True
        for sign, right in others:
            value = right()
            result = _COMPARISONS[sign](left, value)
            if not result:
                break
            left = value
        return result

    def setitem(self, value: object, a: Any, index: object) -> None:
        a[index] = value

    def augmented(self, a: Any, index: object, sign: str, value: Closure) -> None:
        a[index] = _OPERATORS[sign](a[index], value())

    def set_attribute(self, value: object, a: object, name: str) -> None:
        setattr(a, name, value)

    def bind(self, reader: Closure, value: object) -> object:
        State(reader).set((value,))
        return value

    def folded(
        self, function: Closure, iterable: Iterable[Any], spread: bool, item: Closure, test: Closure, line: int
    ) -> object:
        turns = (turn if spread else (turn,) for turn in iterable)
        return function(item(*turn) for turn in turns if test(*turn))

    def call(self, function: Any) -> Any:
        return function

    def raise_if(self, test: object, error: Closure, line: int) -> None:
        if test:
            raise error()

    def assert_(self, test: object, message: Closure, line: int) -> None:
        if not test:
            raise AssertionError(*([] if message() is None else [message()]))

    def percent(self, form: str, values: object) -> str:
        return form % values

    def text(self, *pieces: str | tuple[object, int, str]) -> str:
        found = []
        for piece in pieces:
            if isinstance(piece, tuple):
                value, conversion, form = piece
                shown = {-1: lambda v: v, 97: ascii, 114: repr, 115: str}[conversion](value)
                piece = format(shown, form)
            found.append(piece)
        return "".join(found)


class Trials(Plain):
    """Runs each body twice, first as a trial that is undone, and branches that are not taken too: what a body leaves behind
    must be in its state. As recording does, it undoes variables alone."""

    def run(self, body: Callable[..., object], state: State, *given: object) -> None:
        self._undone(lambda: body(*given), state)
        body(*given)

    def skip(self, body: Closure, state: State) -> None:
        self._undone(body, state)

    def _undone(self, body: Closure, state: State) -> None:
        before = state.get()
        with contextlib.suppress(Exception):  # the values may be those of the other branch
            body()
        state.set(before)
