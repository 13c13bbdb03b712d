"""What was measured, as a page of the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.all.suites import Suite, suites
from tests.benchmarks.side_by_side.measure import Result, best, medians
from tests.benchmarks.side_by_side.report import LIBRARIES, microseconds, table, wrapped

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"
IMAGE = "images/benchmarks.svg"
Values = dict[str, float]
Written = Callable[[float], str]

INTRODUCTION = """# Benchmarks

Made by one command, which measures everything here on your machine and writes this page:

```sh
pip install -e '.[bench,mpi]'
python -m tests.benchmarks.all
```

Every candidate has a process of its own, pinned to as many cores as it has threads. Candidates take turns, round by round, and
medians count; the numbers that they compute have to agree. The columns on the right are tapenet over the best of its peers,
beside what is to be reached; **bold** is what missed it. "gain" is a step's time with one thread over that with more: the
median of quotients, each of two times taken one right after the other. Memory is that by which a fresh process grows from
before the first step: at the worst moment of later steps, and after them ("kept"). What the same steps would take on other
processors is on [a page of its own](scaling.md).

![Time over that of the fastest peer](images/benchmarks.svg)
"""


def page(found: Result) -> str:
    """The whole page, from what the file has."""
    parts = [INTRODUCTION.rstrip(), *(wrapped(_machine(where)) for where in found["machine"].values())]
    present = [(suite, found["suites"][name]) for name, suite in suites().items() if name in found["suites"]]
    for suite, by_threads in present:
        parts += [
            f"## {suite.name.capitalize().replace('_', ' ')}",
            wrapped(suite.about),
            *_tables(suite, by_threads, found),
        ]
        parts += filter(None, suite.more(found)[:1])
    parts += ["## What misses its bound", _missing({suite.name: results for suite, results in present})]
    return "\n\n".join(parts) + "\n"


def _machine(where: Result) -> str:
    libraries = ", ".join(f"{name} {where[key]}" for name, key in LIBRARIES.items() if where.get(key))
    threads = "One thread" if where["threads"] == 1 else f"{where['threads']} threads"
    return f"{threads}: {where['cpu']}, {where['cores']} cores; {libraries}; Python {where['python']}; {where['date'][:10]}."


def _tables(suite: Suite, by_threads: dict[str, dict[str, Result]], found: Result) -> Iterator[str]:
    for threads, results in sorted(by_threads.items()):
        mark = f"µs, {threads} thread{'s' * (threads != '1')}"
        rows = {name: r for name, r in results.items() if set(r["times"]) & set(_with_variants(suite, r))}
        gains = {name: r.get("gains", {}) for name, r in rows.items()}
        if rows:
            yield _table(mark, suite, rows, lambda r: medians(r["times"]), microseconds, "ratios", gains)
            yield from _elsewhere(rows, found["machine"][threads]["cpu"])
        others = {name: r for name, r in results.items() if name not in rows}
        for r in others.values():
            if r["times"]:
                cells = (f"{c} {microseconds(t)}" for c, t in medians(r["times"]).items())
                yield wrapped(f"{r['title']}, {mark}: {', '.join(cells)}.")
        if others:
            yield from _elsewhere(others, found["machine"][threads]["cpu"])
        measured = {name: r for name, r in rows.items() if r.get("memory")}
        megabytes = lambda value: f"{value / 1e6:.1f}"
        if measured and threads == "1":
            yield _table("peak, MB", suite, measured, lambda r: r["memory"], megabytes, "memory ratios", {})
        kept = {name: r for name, r in measured.items() if r.get("kept")}
        if kept and threads == "1":
            yield _table("kept, MB", suite, kept, lambda r: r["kept"], megabytes, "kept ratios", {})


def _elsewhere(rows: dict[str, Result], cpu: str) -> Iterator[str]:
    """Which rows were measured on another processor than the one that was measured on last, which the page begins with."""
    titles: dict[str, list[str]] = {}
    for r in rows.values():
        if r.get("cpu", cpu) != cpu:
            titles.setdefault(r["cpu"], []).append(r["title"])
    for other, of in titles.items():
        yield wrapped(f"Measured on {other}: {'all of these' if len(of) == len(rows) else '; '.join(of)}.")


def _with_variants(suite: Suite, r: Result) -> list[str]:
    return [c for c in r["times"] if c.partition("/")[0] in suite.candidates]


def _table(
    head: str,
    suite: Suite,
    rows: dict[str, Result],
    values: Callable[[Result], Values],
    written: Written,
    ratios: str,
    gains: dict[str, Values],
) -> str:
    """A row for each workload: each candidate in its best variant, the ratios, and what more threads gain."""
    asked = [
        c for c in suite.candidates if any(q["of"].startswith(c) for r in rows.values() for q in r.get(ratios, ()))
    ]
    gaining = [c for c in asked if any(c in g for g in gains.values())]
    lines = [[head, *suite.candidates, *(f"{c} over the best" for c in asked), *(f"{c}, gain" for c in gaining)]]
    for name, r in rows.items():
        found = values(r)
        bests = [best((c,), found) for c in suite.candidates]
        quotients = ["; ".join(_quotient(q) for q in r.get(ratios, ()) if q["of"].startswith(c)) or "-" for c in asked]
        cells = ["-" if c is None else written(found[c]) for c in bests]
        lines.append([r["title"], *cells, *quotients, *(_gain(gains[name], c) for c in gaining)])
    return table(lines)


def _quotient(q: Result) -> str:
    return f"{q['ratio']:.2f} ({q['at most']})" if q["met"] else f"**{q['ratio']:.2f}** ({q['at most']})"


def _gain(gains: Values, candidate: str) -> str:
    return f"{gains[candidate]:.2f}" if candidate in gains else "-"


def _missing(found: dict[str, dict[str, dict[str, Result]]]) -> str:
    """A line for each ratio above its bound, and for each candidate that failed."""
    lines = []
    for by_threads in found.values():
        for threads, results in sorted(by_threads.items()):
            for r in results.values():
                where = f"{r['title']} ({threads} thread{'s' * (threads != '1')})"
                for kind, key in (("time", "ratios"), ("memory", "memory ratios"), ("kept", "kept ratios")):
                    lines += [
                        f"- {where}, {kind}: {q['of']} {q['ratio']:.2f} of {q['over']}, at most {q['at most']}"
                        for q in r.get(key, [])
                        if not q["met"]
                    ]
                lines += [f"- {where}: {c} failed: {error.splitlines()[0]}" for c, error in r["errors"].items()]
    return "\n".join(wrapped(line, "  ") for line in lines) or "Nothing."
