"""The index of a loop that is recorded once for all its turns.

It is a whole number of which only the range is known: a constant and a multiple of each counter of the loops around. What is
asked of it is answered where the answer is the same in each turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, TypeAlias, TypeGuard

import numpy as np

from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.number import Number, Unknown

_depths = itertools.count()


class Split(Exception):
    """A question has another answer in some turns than in others.

    Attributes:
        loop: whose turns they are.
        at: the turn from which on the answer is another one; for an equality that turn, and the next. It may depend on the
            loops around, and be outside of the loop in some of their turns.
    """

    def __init__(self, loop: Loop, at: tuple[Whole, ...]) -> None:
        super().__init__(f"the answer changes at turn {at[0]!r}")
        self.loop = loop
        self.at = at


class Loop:
    """A loop that is being recorded.

    Attributes:
        counter: the number of the turn, from 0: 0-d, int64.
        turns: how many there are. It may depend on the loops around; a turn is recorded as one of at least one.
        splits: whether a comparison that changes its answer raises `Split`; else it gives a tensor.
        looks_up: whether its turns read an array that is there before, each at a place that only the turn decides.
    """

    def __init__(self, counter: Tensor, turns: Whole, splits: bool = True) -> None:
        self.counter = counter
        self.turns = turns
        self.splits = splits
        self.looks_up = False
        self.depth = next(_depths)

    def index(self, start: Whole = 0, step: int = 1) -> Whole:
        """The variable of `for i in range(start, ..., step)`."""
        return start + whole(0, {self: step})


class Index(Number):
    """A constant, and so many times each counter. Sums, differences and whole multiples are indices too; what else is computed
    with it is a tensor, in which it counts as Python's number does.

    Attributes:
        constant: what it is where all counters are 0.
        terms: what each counter is multiplied by; none is 0.
    """

    __slots__ = ("_bounds", "constant", "terms")

    def __init__(self, constant: int, terms: Mapping[Loop, int]) -> None:
        self.constant = constant
        self.terms = terms
        self.kind = int
        self._bounds: tuple[int, int] | None = None
        self._tensor: tuple[object, Tensor] | None = None

    # -- what is known of it -------------------------------------------------------------------------------------------

    @property
    def low(self) -> int:
        """A number that it is never below."""
        return self._range()[0]

    @property
    def high(self) -> int:
        """A number that it is never above."""
        return self._range()[1]

    def _range(self) -> tuple[int, int]:
        if self._bounds is None:
            self._bounds = _end(self, False), _end(self, True)
        return self._bounds

    @property
    def tensor(self) -> Tensor:
        """The number in this turn: 0-d, int64."""
        tape = local.state.tape
        if self._tensor is None or self._tensor[0] is not tape:  # what one body computes is not there in another
            total: Tensor | None = None
            for loop, factor in self.terms.items():
                part = loop.counter if factor == 1 else loop.counter * factor
                total = part if total is None else total + part
            assert total is not None
            self._tensor = tape, total + self.constant if self.constant else total
        return self._tensor[1]

    # -- arithmetic ----------------------------------------------------------------------------------------------------

    def __add__(self, other: object) -> Whole:  # type: ignore[override]
        if isinstance(other, Index):
            return whole(self.constant + other.constant, _sum(self.terms, other.terms))
        return whole(self.constant + int(other), self.terms) if is_int(other) else super().__add__(other)  # type: ignore[arg-type]

    __radd__ = __add__  # type: ignore[assignment]

    def __neg__(self) -> Index:
        return Index(-self.constant, {loop: -factor for loop, factor in self.terms.items()})

    def __pos__(self) -> Index:
        return self

    def __sub__(self, other: object) -> Whole:  # type: ignore[override]
        if isinstance(other, Index) or is_int(other):
            return self + -other
        return super().__sub__(other)  # type: ignore[arg-type]

    def __rsub__(self, other: object) -> Whole:  # type: ignore[override]
        return -self + other if is_int(other) else super().__rsub__(other)  # type: ignore[arg-type]

    def __mul__(self, other: object) -> Whole:  # type: ignore[override]
        if not is_int(other):
            return super().__mul__(other)  # type: ignore[arg-type]
        factor = int(other)
        return whole(self.constant * factor, {loop: n * factor for loop, n in self.terms.items()})

    __rmul__ = __mul__  # type: ignore[assignment]

    def __floordiv__(self, other: object) -> Whole:  # type: ignore[override]
        divided = self._divided(other)
        if divided is None or divided[1].terms:
            return super().__floordiv__(other)  # type: ignore[arg-type]
        return divided[0] + divided[1].constant // divided[2]

    def __mod__(self, other: object) -> Whole:  # type: ignore[override]
        divided = self._divided(other)
        if divided is None or divided[1].terms:
            return super().__mod__(other)  # type: ignore[arg-type]
        return divided[1].constant % divided[2]

    def _divided(self, other: object) -> tuple[Whole, Index, int] | None:
        """The terms that can be divided, divided; the rest; and what it is divided by."""
        if not is_int(other) or not other:
            return None
        by = int(other)
        even = {loop: n // by for loop, n in self.terms.items() if n % by == 0}
        return whole(0, even), Index(self.constant, {k: n for k, n in self.terms.items() if n % by}), by

    def __abs__(self) -> Index:
        return self if self.low >= 0 else -self if self.high <= 0 else super().__abs__()

    # -- questions -----------------------------------------------------------------------------------------------------

    def __lt__(self, other: object) -> object:  # type: ignore[override]
        return self._compared(other, "less")

    def __ge__(self, other: object) -> object:  # type: ignore[override]
        return self._compared(other, "greater_equal")

    def __le__(self, other: object) -> object:  # type: ignore[override]
        return self._compared(other, "less_equal")

    def __gt__(self, other: object) -> object:  # type: ignore[override]
        return self._compared(other, "greater")

    def __eq__(self, other: object) -> object:  # type: ignore[override]
        return self._compared(other, "equal")

    def __ne__(self, other: object) -> object:  # type: ignore[override]
        return self._compared(other, "not_equal")

    def _compared(self, other: object, name: str) -> object:
        if other is None or isinstance(other, str):
            return name == "not_equal"
        if not isinstance(other, Index) and not is_int(other):
            return getattr(Number, _SPECIAL[name])(self, other)
        difference: Whole = self - other
        if isinstance(difference, int):
            return _ANSWERS[name](difference, difference)
        answer = _ANSWERS[name](difference.low, difference.high)
        if answer is not None:
            return answer
        loop = max(difference.terms, key=lambda loop: loop.depth)
        if not loop.splits:
            return getattr(Number, _SPECIAL[name])(self, other)
        raise Split(loop, _change(difference, loop, name))

    def __bool__(self) -> bool:
        answer = self != 0
        return answer if isinstance(answer, bool) else super().__bool__()

    def __iter__(self) -> Iterator[NoReturn]:
        raise TypeError("'int' object is not iterable")

    def _unknown(self, what: str) -> NoReturn:
        raise Unknown(f"{what} is made of the number of a turn, which is from {self.low} to {self.high}")

    def __repr__(self) -> str:
        return f"<index from {self.low} to {self.high}>"


#: A whole number, or one of which the range is known.
Whole: TypeAlias = int | Index


def is_int(value: object) -> TypeGuard[int]:
    """Whether something is a whole number of Python's or NumPy's."""
    return isinstance(value, (int, np.integer))


def whole(constant: int, terms: Mapping[Loop, int]) -> Whole:
    """An index, or the number that it always is."""
    left = {loop: factor for loop, factor in terms.items() if factor}
    return Index(constant, left) if left else constant


def ends(value: Whole) -> tuple[int, int]:
    """Numbers that a whole number is never below, and never above."""
    return (value.low, value.high) if isinstance(value, Index) else (value, value)


def _sum(a: Mapping[Loop, int], b: Mapping[Loop, int]) -> dict[Loop, int]:
    total = dict(a)
    for loop, factor in b.items():
        total[loop] = total.get(loop, 0) + factor
    return total


def _end(value: Whole, upper: bool) -> int:
    """A bound of an index. The innermost counter is put at its own bound, which depends on the loops around, and so on."""
    while isinstance(value, Index):
        loop = max(value.terms, key=lambda loop: loop.depth)
        factor = value.terms[loop]
        rest = whole(value.constant, {k: n for k, n in value.terms.items() if k is not loop})
        value = rest + (loop.turns - 1) * factor if (factor > 0) == upper else rest
    return value


def _change(difference: Index, loop: Loop, name: str) -> tuple[Whole, ...]:
    """The turns at which a comparison of `difference` with 0 changes its answer."""
    factor = difference.terms[loop]
    rest = whole(difference.constant, {k: n for k, n in difference.terms.items() if k is not loop})
    # factor * t + rest against 0
    strict = name in ("less_equal", "greater") if factor > 0 else name in ("less", "greater_equal")
    edge = -rest if factor > 0 else rest  # |factor| * t < edge: one answer
    at = edge + 1 if strict else edge
    by = abs(factor)
    if by != 1:
        if isinstance(at, Index):
            raise Unknown(f"a comparison changes at another turn for each of those around: {difference!r}")
        at = -(-at // by)
    return (at, at + 1) if name in ("equal", "not_equal") else (at,)


def _same(low: bool, high: bool) -> bool | None:
    return low if low == high else None


_SPECIAL = {
    "less": "__lt__",
    "less_equal": "__le__",
    "greater": "__gt__",
    "greater_equal": "__ge__",
    "equal": "__eq__",
    "not_equal": "__ne__",
}
_ANSWERS: dict[str, Callable[[int, int], bool | None]] = {
    "less": lambda low, high: _same(low < 0, high < 0),
    "less_equal": lambda low, high: _same(low <= 0, high <= 0),
    "greater": lambda low, high: _same(low > 0, high > 0),
    "greater_equal": lambda low, high: _same(low >= 0, high >= 0),
    "equal": lambda low, high: (low == high or None) if low <= 0 <= high else False,
    "not_equal": lambda low, high: (False if low == high else None) if low <= 0 <= high else True,
}
