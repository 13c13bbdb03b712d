"""`sum(x[i] for i in range(n))` and its kin of a lifted function: as a loop of the program while it is captured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from tapenet.autodiff.observe.capture import capturing
from tapenet.lifting.control import for_, if_
from tapenet.lifting.questions import and_, choose, or_
from tapenet.lifting.stand_ins import STAND_INS
from tapenet.lifting.variables import State

_KNOWN = {STAND_INS[function]: function for function in (sum, all, any, max, min)}


def folded(
    function: Callable[..., object],
    iterable: Iterable[object],
    spread: bool,
    item: Callable[..., object],
    test: Callable[..., object],
    line: int,
) -> object:
    """`function(item(turn) for turn in iterable if test(turn))`.

    Args:
        function: what stands for sum, all, any, max or min; anything else is called as ever.
        iterable: what is gone over.
        spread: whether `item` and `test` take the parts of a turn.
        item, test: what each turn gives, and whether it does.
        line: where it is written.
    """
    known = _KNOWN.get(function)
    if known is None or capturing() is None:
        turns = (turn if spread else (turn,) for turn in iterable)
        return function(item(*turn) for turn in cast("Iterable[Iterable[object]]", turns) if test(*turn))
    result: object = {sum: 0, all: True, any: False}.get(known)

    def take(value: object) -> object:
        if known is sum:
            return result + value  # type: ignore[operator]
        if known in (all, any):
            return (and_ if known is all else or_)(result, lambda: value)
        if result is None:
            return value
        better = value < result if known is min else value > result  # type: ignore[operator]
        return choose(better, lambda: value, lambda: result)

    def turn(given: object) -> None:
        nonlocal result
        parts = cast("Iterable[object]", given) if spread else (given,)
        parts = tuple(parts)

        def taken() -> None:
            nonlocal result
            result = take(item(*parts))

        if_(test(*parts), taken, lambda: None, State(lambda: result, ("result",)), line=line)

    for_(iterable, turn, State(lambda: result, ("result",)), line=line)
    if result is None:
        raise ValueError(f"{known.__name__}() iterable argument is empty")
    return result
