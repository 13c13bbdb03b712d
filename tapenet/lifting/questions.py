"""What converted code asks of values: `and`, `or`, `not`, comparisons, and one of two values.

Where the answer is known while a program is recorded they are Python's own. Else what Python would skip becomes a branch of the
program, so that `i < n and x[i] > 0` reads no further than `n`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from types import CodeType

from tapenet import ops
from tapenet.autodiff.node import BaseTensor
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.lifting.control import if_, truth
from tapenet.lifting.number import Number, tensor_of
from tapenet.lifting.variables import State
from tapenet.ops.stack_frames import user_line

Later = Callable[[], object]

_SIGNS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "is not": operator.is_not,
}  # fmt: skip


def choose(test: object, chosen: Later, other: Later, binds: str = "", line: int | None = None) -> object:
    """`chosen() if test else other()`; `binds` names variables that these bind."""
    answer = truth(test)
    if isinstance(answer, bool):
        return chosen() if answer else other()
    _check_binds(binds)
    value: object = None

    def first() -> None:
        nonlocal value
        value = chosen()

    def second() -> None:
        nonlocal value
        value = other()

    if_(answer, first, second, State(lambda: value, ("value",)), line=line)
    return value


def _check_binds(binds: str) -> None:
    """Raise if a part of a question that only a run of the program decides on binds variables."""
    if binds:
        raise CaptureError(
            f"{user_line()}: whether {binds} is assigned (:=) depends on values that only the program knows. Assign it in a "
            "statement of its own"
        )


def and_(value: object, *others: Later, binds: str = "") -> object:
    """`value and ...`."""
    for k, other in enumerate(others):
        answer = truth(value)
        if not isinstance(answer, bool):
            _check_binds(binds)
            rest = partial(_rest, and_, others[k:])
            if all(map(_reads_no_items, others[k:])):
                return Number(ops.logical_and(answer, tensor_of(rest())), bool)
            return choose(answer, rest, lambda: False)
        if not answer:
            return value
        value = other()
    return value


def or_(value: object, *others: Later, binds: str = "") -> object:
    """`value or ...`."""
    for k, other in enumerate(others):
        answer = truth(value)
        if not isinstance(answer, bool):
            _check_binds(binds)
            rest = partial(_rest, or_, others[k:])
            if all(map(_reads_no_items, others[k:])):
                return Number(ops.logical_or(answer, tensor_of(rest())), bool)
            return choose(answer, lambda: True, rest)
        if answer:
            return value
        value = other()
    return value


def _reads_no_items(question: Later) -> bool:
    """Whether a question can be asked even where Python would not, since it neither reads by index nor calls anything."""
    codes = [question.__code__]
    for code in codes:  # grows while it is walked over
        if not _READING.isdisjoint(code.co_names):
            return False
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return True


_READING = frozenset({"getitem", "call"})


def _rest(question: Callable[..., object], others: tuple[Later, ...]) -> object:
    """What the rest of a question says, as a truth of Python's or of the program."""
    answer = truth(question(others[0](), *others[1:]))
    return answer if isinstance(answer, bool) else Number(answer, bool)


def not_(value: object) -> object:
    """`not value`."""
    answer = truth(value)
    return not answer if isinstance(answer, bool) else Number(ops.logical_not(answer), bool)


def compare(left: object, *others: tuple[str, Later], binds: str = "") -> object:
    """`left < ... <= ...`, or `left in ...`."""
    (sign, right), *rest = others
    value = right()
    if sign in ("in", "not in"):
        found = contains(left, value)
        result = found if sign == "in" else not_(found)
    else:
        result = _SIGNS[sign](left, value)  # type: ignore[arg-type]
    return and_(result, lambda: compare(value, *rest, binds=binds), binds=binds) if rest else result


def contains(value: object, container: object) -> object:
    """`value in container`."""
    if isinstance(container, BaseTensor):
        return ops.any(ops.equal(container, value))
    if isinstance(value, (BaseTensor, Number)) and isinstance(container, (tuple, list, set, frozenset, range)):
        return or_(False, *((lambda each=each: _equal(value, each)) for each in container))
    return value in container  # type: ignore[operator]


def _equal(value: object, other: object) -> object:
    return value is other or value == other


def bind(reader: Callable[[], object], value: object) -> object:
    """`(name := value)`, of the variable that `reader` reads."""
    State(reader).set((value,))
    return value
