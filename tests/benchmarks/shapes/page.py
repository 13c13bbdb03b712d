"""What the page of benchmarks says of many shapes: by kind of layer, and each row that is far above its best peer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from tests.benchmarks.shapes.grid import Times
from tests.benchmarks.shapes.workloads import CANDIDATES
from tests.benchmarks.side_by_side.measure import Result
from tests.benchmarks.side_by_side.report import microseconds, table, wrapped

MINE = "tapenet-eager"
#: What is to be reached: nearly all rows are at most as slow as the best peer, none is far above it, most are far below.
SHARE, EVEN, ABOVE, MEAN = 0.95, 1.0, 1.15, 0.6


def quotients(times: Times) -> dict[tuple[str, str], float]:
    """tapenet's time over that of its best peer, by row and product."""
    return {
        (row, product): t[MINE] / t[peer]
        for row, products in times.items()
        for product, t in products.items()
        if MINE in t and (peer := best_peer(t))
    }


def best_peer(t: Mapping[str, float]) -> str | None:
    """The fastest of all others."""
    return min((name for name in t if name != MINE), key=t.__getitem__, default=None)


def mean(values: list[float]) -> float:
    """Geometric."""
    return math.exp(statistics.fmean(map(math.log, values)))


def judged(times: Times) -> list[Result]:
    """What is to be reached by the rows of a kind, as ratios with their bounds."""
    values = sorted(quotients(times).values())
    if not values:
        return []
    bounds = {
        "geometric mean": (mean(values), MEAN),
        f"{SHARE:.0%} of the rows": (values[math.ceil(SHARE * len(values)) - 1], EVEN),
        "the worst row": (values[-1], ABOVE),
    }
    return [
        {"of": f"{MINE} ({what})", "over": "the best peer", "ratio": value, "at most": bound, "met": value <= bound}
        for what, (value, bound) in bounds.items()
    ]


def summary(kinds: Mapping[str, Times]) -> str:
    """A line for each kind and product, and for all."""
    groups: dict[tuple[str, str], list[float]] = {}
    whole: dict[tuple[str, str], list[float]] = {}
    for kind, times in kinds.items():
        family = "all convolutions" if "convolution" in kind else "all other layers"
        for (_, product), value in quotients(times).items():
            groups.setdefault((kind, product), []).append(value)
            whole.setdefault((family, "all"), []).append(value)
    lines = [["layer", "product", "rows", f"at most {EVEN}", f"above {ABOVE}", "worst", "geometric mean"]]
    for (kind, product), values in (groups | whole).items():
        share, above = sum(v <= EVEN for v in values) / len(values), sum(v > ABOVE for v in values)
        lines.append(
            [kind, product, str(len(values)), f"{share:.0%}", str(above), f"{max(values):.2f}", f"{mean(values):.2f}"]
        )
    return table(lines)


def listed(kinds: Mapping[str, Times], above: float = ABOVE) -> str:
    """The rows above that, the worst first; nothing, if there are none."""
    found = [(value, *of, times) for times in kinds.values() for of, value in quotients(times).items() if value > above]
    lines = [["tapenet over the best", "layer", "product", "tapenet, µs", "the best, µs"]]
    for value, row, product, times in sorted(found, key=lambda each: -each[0]):
        t = times[row][product]
        peer = best_peer(t) or ""
        lines.append([f"{value:.2f}", row, product, microseconds(t[MINE]), f"{microseconds(t[peer])} ({peer})"])
    return table(lines) if found else ""


def made(results: Mapping[str, Result], machine: Result) -> tuple[str, str]:
    """The text; there is no plot."""
    kinds = {name.replace("-", " "): r["rows"] for name, r in results.items()}
    if not any(quotients(times) for times in kinds.values()):
        return "", ""
    names = {name for times in kinds.values() for of in times.values() for t in of.values() for name in t}
    absent = set(CANDIDATES) - {name.partition("/")[0] for name in names}
    text = (
        f"tapenet's time over that of the best of {', '.join(sorted(names - {MINE}))}, one thread. To be reached, by kind of "
        f"layer: {SHARE:.0%} of the rows at most {EVEN}, none above {ABOVE}, a geometric mean of at most {MEAN}. "
        f"{_taken(results)}{''.join(f' {name} was not measured.' for name in sorted(absent))}"
    )
    parts = [wrapped(text), summary(kinds)]
    if rows := listed(kinds):
        parts += [f"The rows above {ABOVE}:", rows]
    return "\n\n".join(parts), ""


def _taken(results: Mapping[str, Result]) -> str:
    """Of how many rounds times are medians, and at which commits they were taken."""
    kinds: dict[str, list[str]] = {}
    for name, r in results.items():
        at = f" at {r['commit']}" if r["commit"] else ""
        kinds.setdefault(f"{r['rounds']}{at}", []).append(name.replace("-", " "))
    told = (f"{how} for {', '.join(of)}" for how, of in kinds.items())
    return f"Times are medians of rounds at commits of tapenet: {'; '.join(told)}."
