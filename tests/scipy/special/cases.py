"""What the derivatives of special functions are compared with: the same functions in mpmath, at points all over their domains.

python -m tests.scipy.special.cases NAME ...

writes `references/NAME.txt` for each function that is named (all without names): at each point the value and the derivatives of
first and second order in mpmath, so that tests need no mpmath and no time. A slow test computes some of them again. Each
`exact_*.py` has a dict `CASES` with the functions of one area.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.special.definition import HOW

REFERENCES = Path(__file__).parent / "references"
#: The modules with cases.
AREAS = sorted(path.stem for path in Path(__file__).parent.glob("exact_*.py"))


class Case(NamedTuple):
    """A function in mpmath, and where it is compared.

    Attributes:
        exact: the function of mpmath's numbers, right to any `mpmath.mp.dps`; of several outputs a tuple.
        points: the values of each argument, of which all combinations are taken (complex ones too); or a list of points.
        most: how many points at most; of more some are drawn.
        first, second: the relative error of the derivatives that is allowed.
        where: which points to take.
    """

    exact: Callable[..., Any]
    points: Sequence[Sequence[complex]]
    most: int = 16
    first: float = 1e-10
    second: float = 1e-7
    where: Callable[..., bool] = lambda *point: True

    def arguments(self) -> list[tuple[complex, ...]]:
        """The points: combinations of the values of each argument, or those that are listed."""
        listed = isinstance(self.points[0], tuple)
        found = [tuple(p) for p in (self.points if listed else itertools.product(*self.points)) if self.where(*p)]
        if len(found) > self.most:
            chosen = np.random.default_rng(len(found)).permutation(len(found))[: self.most]
            found = [found[i] for i in sorted(chosen)]
        return found


def columns(points: Sequence[tuple[complex, ...]]) -> list[np.ndarray[Any, Any]]:
    """The arguments of all points, an array each; whole numbers, of which some functions take no others, as such."""
    return [
        np.array(column, int if all(isinstance(x, int) for x in column) else None)
        for column in zip(*points, strict=True)
    ]


def cases() -> dict[str, Case]:
    """All cases by the name of the function."""
    import importlib

    return {
        name: case
        for area in AREAS
        for name, case in importlib.import_module(f"tests.scipy.special.{area}").CASES.items()
    }


def continuous(name: str) -> list[int]:
    """The numbers of the arguments by which a function has a derivative."""
    op = getattr(tn.special, name)
    names = op.inputs if isinstance(op, Op) else ("x",)
    how = HOW.get(name, {})
    return [i for i, argument in enumerate(names) if not how.get(argument, "").startswith("none")]


def pairs(by: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of arguments of the derivatives of second order."""
    return list(itertools.combinations_with_replacement(by, 2))


class Row(NamedTuple):
    """What one output of a function is at one point."""

    point: tuple[complex, ...]
    output: int
    value: complex
    first: tuple[complex, ...]
    second: tuple[complex, ...]


def compute(case: Case, point: tuple[complex, ...], by: Sequence[int]) -> list[Row]:
    """The values and derivatives at a point, by mpmath."""
    from mpmath import mp

    # mpmath's differences have a step of so many digits, which has to be small beside the arguments.
    small = max([0, *(-math.floor(math.log10(abs(x))) for x in point if x)])
    with mp.workdps(30 + small):
        numbers = [mp.mpmathify(x) for x in point]
        found = case.exact(*numbers)
        rows = []
        for output in range(len(found) if isinstance(found, tuple) else 1):

            def f(*args: Any, output: int = output) -> Any:
                value = case.exact(*args)
                return value[output] if isinstance(value, tuple) else value

            def slope(*orders: int, f: Callable[..., Any] = f) -> Any:
                return mp.diff(f, tuple(numbers), tuple(orders.count(i) for i in range(len(numbers))))

            value = f(*numbers)
            least = 1e-25 * (abs(value) or 1)  # what stands for 0 in differences
            slopes = [tuple(mp.chop(slope(*k), least) for k in orders) for orders in ([(i,) for i in by], pairs(by))]
            rows.append(Row(point, output, value, *slopes))
        return rows


def _text(number: Any, digits: int) -> str:
    """A number of mpmath's in a file."""
    number = complex(number)
    if number.imag == 0:
        return f"{number.real:.{digits}g}"
    return f"{number.real:.{digits}g}{number.imag:+.{digits}g}j"


def write(name: str, case: Case) -> None:
    """Write the references of a function."""
    by = continuous(name)
    heads = ["point", "output", "value", *(f"d{i}" for i in by), *(f"d{i}d{j}" for i, j in pairs(by))]
    lines = [f"allowed {case.first:g} {case.second:g}", " ".join(heads)]
    for point in case.arguments():
        for row in compute(case, point, by):
            numbers = [_text(row.value, 17), *(_text(d, 14) for d in row.first), *(_text(d, 11) for d in row.second)]
            lines.append(" ".join([",".join(f"{x!r}".strip("()") for x in point), str(row.output), *numbers]))
    (REFERENCES / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


class References(NamedTuple):
    """What the file of a function says: the relative errors allowed at first and second order, the arguments by which there are
    derivatives, and the rows.
    """

    first: float
    second: float
    by: list[int]
    rows: list[Row]


def read(name: str) -> References:
    """The references of a function."""

    def number(text: str) -> complex:
        return complex(text) if "j" in text else float(text) if set(text) - set("-0123456789") else int(text)

    allowed, heads, *lines = (line.split() for line in (REFERENCES / f"{name}.txt").read_text("utf-8").splitlines())
    by = [int(head[1:]) for head in heads[3:] if head.count("d") == 1]
    rows = []
    for point, output, value, *slopes in lines:
        numbers = tuple(float(n) if isinstance(n := number(s), int) else n for s in slopes)
        rows.append(
            Row(
                tuple(map(number, point.split(","))), int(output), number(value), numbers[: len(by)], numbers[len(by) :]
            )
        )
    return References(float(allowed[1]), float(allowed[2]), by, rows)


if __name__ == "__main__":
    every = cases()
    for each in sys.argv[1:] or every:
        write(each, every[each])
