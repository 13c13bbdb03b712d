"""All rows of the grid, and what each takes."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator

from tests.benchmarks.shapes.convolutions import Convolution, convolutions
from tests.benchmarks.shapes.layers import Layer, layers

Row = Convolution | Layer
Call = Callable[[], object]
#: Microseconds by row, product and candidate.
Times = dict[str, dict[str, dict[str, float]]]


def rows() -> list[Row]:
    """All of them."""
    return [*convolutions(), *layers()]


def calls(row: Row, candidates: Iterable[str]) -> Iterator[tuple[str, list[Call]]]:
    """The candidates with their variants, and a call for each product."""
    for name in candidates:
        side = importlib.import_module(f"{__package__}.{name.partition('-')[0]}_side")
        yield from side.calls(row)


def times(row: Row, candidates: Iterable[str], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Microseconds by product and candidate."""
    made = dict(calls(row, candidates))
    found = {}
    for i, product in enumerate(row.products):
        taken = {name: [min(timed(of[i], 0), timed(of[i], 0))] for name, of in made.items()}
        slow = 10 * min(taken.values())[0]
        for _ in range(rounds):
            for name, of in made.items():
                if taken[name][0] < slow:
                    taken[name].append(timed(of[i], seconds))
        found[product] = {name: round(statistics.median(t[1:] or t), 2) for name, t in taken.items()}
    return found


def timed(call: Call, seconds: float) -> float:
    """Microseconds of a call."""
    call()  # fetches what others drove from the caches
    count, begin = 0, time.perf_counter()
    while True:
        call()
        count += 1
        taken = time.perf_counter() - begin
        if taken > seconds:
            return taken / count * 1e6
