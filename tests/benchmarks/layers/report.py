"""What was measured, as tables for the terminal and for the documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.layers.workloads import CANDIDATES
from tests.benchmarks.side_by_side.measure import Result, best, medians
from tests.benchmarks.side_by_side.report import aligned, microseconds, ratio

PAGE = Path(__file__).parents[3] / "docs" / "layers.md"
Rows = Iterator[tuple[str, list[str], list[Result]]]


def table(results: dict[str, Result]) -> str:
    """Microseconds, then megabytes, a line for each workload, with the ratios beside their bounds."""
    parts = []
    for head, rows in (("µs per call", times(results)), ("peak MB", memory(results))):
        lines = [[head, *CANDIDATES, "ratios"]]
        lines += [[name, *cells, "; ".join(map(ratio, ratios))] for name, cells, ratios in rows]
        parts.append("\n".join(aligned(lines)))
    failures = [f"{name}: {c} failed: {error}" for name, r in results.items() for c, error in r["errors"].items()]
    return "\n\n".join([*parts, *failures])


def page(where: Result, results: dict[str, Result]) -> str:
    """The same in Markdown: the machine, then tapenet's ratios beside their bounds, in bold type what misses one."""
    libraries = ("NumPy", "llvmlite", "PyTorch", "JAX")
    versions = ", ".join(f"{name} {where[name.lower().removeprefix('py')]}" for name in libraries)
    machine = f"{where['cpu']}, {where['cores']} cores; {versions}; Python {where['python']}; {where['date'][:10]}."
    parts = [textwrap.fill(machine, 120)]
    for head, rows in (("µs", times(results)), ("peak, MB", memory(results))):
        lines = [[head, *CANDIDATES, "eager over the best", "native over the best"], ["---"] * (len(CANDIDATES) + 3)]
        for name, cells, ratios in rows:
            by_candidate = {r["of"]: r for r in ratios}
            quotients = [_quotient(by_candidate.get(c)) for c in ("tapenet-eager", "tapenet-native")]
            lines.append([results[name]["title"], *cells, *quotients])
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)


def _quotient(r: Result | None) -> str:
    if r is None:
        return "-"
    return f"{r['ratio']:.2f} ({r['at most']})" if r["met"] else f"**{r['ratio']:.2f}** ({r['at most']})"


def times(results: dict[str, Result]) -> Rows:
    """The time of each candidate in its faster variant, and tapenet's ratios."""
    for name, r in results.items():
        yield name, _cells(medians(r["times"]), microseconds), r["ratios"]


def memory(results: dict[str, Result]) -> Rows:
    """The peak of each candidate in its smaller variant, and tapenet's ratios."""
    for name, r in results.items():
        yield name, _cells(r["memory"], lambda value: f"{value / 1e6:.1f}"), r["memory ratios"]


def _cells(values: dict[str, float], written: Callable[[float], str]) -> list[str]:
    found = [best((c,), values) for c in CANDIDATES]
    return ["-" if c is None else written(values[c]) for c in found]
