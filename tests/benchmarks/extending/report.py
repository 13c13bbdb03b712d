"""The tables of docs/extending_compared.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.benchmarks.extending.measure import HIGHEST, Facts
from tests.benchmarks.extending.recipes import RECIPES

PAGE = Path(__file__).parents[3] / "docs" / "extending_compared.md"
NAMES = {"tapenet": "tapenet", "jax": "JAX", "torch": "PyTorch", "autograd": "autograd"}
VERDICTS = {"named": "names it", "found": "fails", "not noticed": "-"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, numbers and marks to the right."""
    head = list(head)
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def linked(recipe: str) -> str:
    """The title of an op, with a link to its section of the cookbook."""
    title = RECIPES[recipe].section
    return f"[{title}](cookbook.md#{title.lower().replace(' ', '-')})"


def lines(counts: Mapping[str, Mapping[str, int]]) -> str:
    """How many lines each op takes, by recipe and library, and in all."""
    rows = [[linked(r), *(str(found[n]) for n in NAMES)] for r, found in counts.items()]
    rows.append(["**all**", *(f"**{sum(found[n] for found in counts.values())}**" for n in NAMES)])
    return table(["lines", *NAMES.values()], rows)


def works(facts: Facts) -> str:
    """What works, in one cell: the highest order that is right, and a letter for each of compiled, batched, forward.

    A `!` stands behind what is wrong without an error.
    """
    right = sum(not o for o in facts.orders)
    cell = [str(right) + ("!" if facts.orders[-1].startswith("wrong") else "")]
    compiled = "; ".join(facts.compiled.values()).strip("; ")
    if facts.compiled and not compiled:
        cell.append("c")
    for letter, what in (("b", facts.batched), ("f", facts.forward)):
        if not what or what.startswith("wrong"):
            cell.append(letter + ("!" if what else ""))
    return " ".join(cell)


def what_works(facts: Mapping[str, Mapping[str, Facts]]) -> str:
    """What works of each op, by recipe and library, and how many ops have each."""
    rows = [[linked(r), *(works(found[n]) for n in NAMES)] for r, found in facts.items()]

    def count(mark: str) -> list[str]:
        cells = [[works(found[n]).split() for found in facts.values()] for n in NAMES]
        return [f"**{sum(mark in cell for cell in column)}**" for column in cells]

    totals = {f"right to order {HIGHEST}": str(HIGHEST), "compiled": "c", "batched": "b", "forward mode": "f"}
    rows += [[f"**{what}**", *count(mark)] for what, mark in totals.items()]
    wrong = [sum(cell.count("!") for cell in (works(found[n]) for found in facts.values())) for n in NAMES]
    rows.append(["**wrong without an error**", *(f"**{n}**" for n in wrong)])
    return table(["what works", *NAMES.values()], rows)


def wrong_rules(verdicts: Mapping[str, Mapping[str, str]]) -> str:
    """What each check says of each kind of wrong rule."""
    rows = [[kind, *(VERDICTS[found[n]] for n in NAMES)] for kind, found in verdicts.items()]
    for verdict, what in (("named", "named"), ("not noticed", "not noticed")):
        counts = (sum(found[n] == verdict for found in verdicts.values()) for n in NAMES)
        rows.append([f"**{what}**", *(f"**{n}**" for n in counts)])
    return table(["wrong rule", *NAMES.values()], rows)


def times(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """µs of the value and of the gradient of each op: the better of eager and compiled; and what they are beside tapenet's, in
    the geometric mean."""
    rows = []
    logarithms: dict[tuple[str, str], list[float]] = {}
    for recipe, ways in found.items():
        cells = [linked(recipe)]
        for name in NAMES:
            own = [way for key, way in ways.items() if key.startswith(f"{name}, ")]
            best = {what: min(way[what] for way in own) for what in ("value", "gradient")}
            for what, time in best.items():
                logarithms.setdefault((name, what), []).append(math.log(time))
            cells.append(" / ".join(map(_µs, best.values())))
        rows.append(cells)
    means = {key: math.exp(sum(each) / len(each)) for key, each in logarithms.items()}
    beside = [
        " / ".join(f"{means[name, what] / means['tapenet', what]:.1f}" for what in ("value", "gradient"))
        for name in NAMES
    ]
    return table(
        ["µs, value / gradient", *NAMES.values()],
        [*rows, ["**times tapenet's, in the mean**", *(f"**{each}**" for each in beside)]],
    )


def _µs(value: float) -> str:
    return f"{value:,.{0 if value >= 99.5 else 1}f}"
