"""What the model says, as a page of the documentation and a plot."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.scaling.model import (
    BOUNDS,
    KINDS,
    Case,
    Processor,
    Steps,
    cases,
    fit,
    left_out,
    measured,
    serial,
    times,
    total,
    typical,
)
from tests.benchmarks.scaling.workloads import WORKLOADS
from tests.benchmarks.side_by_side.report import microseconds, table, wrapped

PAGE = Path(__file__).parents[3] / "docs" / "scaling.md"
IMAGE = "images/scaling.svg"

INTRODUCTION = """# Beyond this machine

What the compiled steps of the [benchmarks](benchmarks.md) would take on other processors, by a model of time. One
command measures your processor, puts its figures beside those of others and writes this page anew:

```sh
pip install -e '.[bench]'
python -m tests.benchmarks.scaling
```

**The model.** A compiled step is a list of entries: kernels, products, convolutions and what else is called from
Python. Of each the compiler knows its operations, the bytes that it moves and the number of parts that it is cut into.
An entry takes the time of its operations or that of its bytes, whichever is more; by several threads, that of the
largest share of its parts, and no less than the bandwidth of all cores allows. To that is added a time for each call
from Python, and for each sharing of work. The rates of a processor are measured. What programs reach of them, the
coefficients below, is fitted to all times by least squares of logarithms, the same for all processors, widths and
numbers of threads. "Left out" is the error for a workload by coefficients that were fitted to all others: so large it
may be for a program that nobody has measured.
"""
THREE = """Three processors are imagined. A core of each computes, and reads its own caches, as one of {name} does with
vectors of that width; all cores together read {reached:.0%} of what they would one by one from the cache that they share,
and from memory what the table says."""
IMAGINED = """## What more cores would give

{three}

{machines}

The figures are the time of one thread over that of all cores, as the model says it. "Alone" is the part of one thread's
time that no number of threads would shorten: entries that are not cut, calls from Python, what is done before they
share work. "Bound" is what takes most of the time on 32 cores, with its part: compute, memory, calls, or that entries
are cut into too few parts.
"""

#: What all cores together read from the shared cache, over what each reads alone times their number.
REACHED = 0.6
COLOURS = {"compiled": "#4b1fa8", "layers": "#1b9e77", "networks": "#d6604d"}


class Imagined(NamedTuple):
    """A processor that nobody measured: cores, bits of a vector, bytes of caches, GB/s of memory, of one core and of all."""

    cores: int
    width: str
    near: int
    shared: int
    single: float
    memory: float

    def processor(self, where: Mapping[str, Any], threads: int) -> Processor:
        """With so many of its threads, its cores being as those that were measured."""
        width = self.width if f"{self.width}/1" in where["rates"] else next(iter(where["rates"])).partition("/")[0]
        one = measured(where, width, 1)
        near, third, _ = one.bandwidth
        most = (max(third, REACHED * third * threads), min(self.memory, self.single * threads))
        return one._replace(
            threads=threads,
            near=self.near,
            shared=self.shared,
            bandwidth=(near, third, self.single),
            most=most,
        )


MACHINES = (
    Imagined(8, "256", 1 << 20, 32 << 20, 25.0, 60.0),
    Imagined(32, "512", 2 << 20, 64 << 20, 15.0, 250.0),
    Imagined(128, "512", 2 << 20, 384 << 20, 12.0, 500.0),
)


@functools.cache
def _fitted(text: str) -> tuple[list[Case], dict[str, float], dict[str, dict[str, float]]]:
    """All cases, the coefficients, and those with each workload left out."""
    known = [case for where in json.loads(text).values() for case in cases(where)]
    return known, fit(known), left_out(known)


def page(found: Mapping[str, Any]) -> str:
    """The whole page."""
    known, c, without = _fitted(json.dumps(found))
    parts = [INTRODUCTION.rstrip(), f"![Time of one thread over that of more]({IMAGE})", _coefficients(c)]
    for name, where in found.items():
        parts += [f"## {name}", _processor(where), _checked(where, c, without)]
    first = next(iter(found))
    three = wrapped(THREE.format(name=first, reached=REACHED))
    parts.append(IMAGINED.format(three=three, machines=_machines()).rstrip())
    parts.append(_predicted(found[first], c))
    errors = [total(k.steps, k.processor, c) / k.time for k in known]
    others = [total(k.steps, k.processor, without[k.workload]) / k.time for k in known]
    parts.insert(
        3,
        f"Of {len(known)} times the model is off by a factor of {typical(errors):.2f}, geometric mean, and by "
        f"{typical(others):.2f} where the workload is left out.",
    )
    return "\n\n".join(parts) + "\n"


def _coefficients(c: Mapping[str, float]) -> str:
    """What was fitted, in words."""
    rates = ", ".join(f"{kind} {c[kind]:.2f}" for kind in KINDS)
    return wrapped(
        f"**Coefficients.** What programs reach of the measured rates: {rates}; of the bandwidth {c['memory']:.2f}. "
        f"A call from Python takes {c['call']:.0f} µs, and one thread alone does {c['alone']:.0%} of what it runs. "
        f"Sharing work among threads takes {c['share']:.1f} µs, to call a program {c['begin']:.1f} times an empty call."
    )


def _processor(where: Mapping[str, Any]) -> str:
    """Its rates."""
    rows = [
        [
            "bits, threads",
            "kernels, 10⁹ operations/s",
            "products, 10⁹ multiply-adds/s",
            "L2, GB/s",
            "L3, GB/s",
            "memory, GB/s",
            "empty call, µs",
        ]
    ]
    for key, r in sorted(where["rates"].items()):
        b = r["bandwidth"]
        width, _, threads = key.partition("/")
        cells = (r["kernel"], r["product"], b["second"], b["third"], b["memory"], r["call"])
        rows.append([f"{width}, {threads}", *(f"{x:.1f}" for x in cells)])
    return table(rows)


def _checked(where: Mapping[str, Any], c: Mapping[str, float], without: Mapping[str, Mapping[str, float]]) -> str:
    """Each workload's times beside what the model says."""
    by: dict[str, dict[str, Case]] = {}
    for name, w in where["workloads"].items():
        mine = cases({**where, "workloads": {name: w}})
        by[name] = dict(zip(w["times"], mine, strict=True))
    keys = sorted({key for found in by.values() for key in found})
    rows = [["µs, measured / model", *(key.replace("/", ", ") for key in keys), "off by", "left out"]]
    for name, found in by.items():
        cells = []
        for key in keys:
            k = found.get(key)
            said = microseconds(total(k.steps, k.processor, c)) if k else "-"
            cells.append(f"{microseconds(k.time)} / {said}" if k else "-")
        errors = typical(total(k.steps, k.processor, c) / k.time for k in found.values())
        others = typical(total(k.steps, k.processor, without[name]) / k.time for k in found.values())
        rows.append([WORKLOADS[name].title, *cells, f"{errors:.2f}", f"{others:.2f}"])
    return table(rows)


def _machines() -> str:
    rows = [["cores", "vectors, bits", "L2 of a core", "shared cache", "memory, one core", "memory, all"]]
    rows += [
        [
            str(m.cores),
            m.width,
            f"{m.near >> 20} MB",
            f"{m.shared >> 20} MB",
            f"{m.single:.0f} GB/s",
            f"{m.memory:.0f} GB/s",
        ]
        for m in MACHINES
    ]
    return table(rows)


def _gain(m: Imagined, where: Mapping[str, Any], steps: Steps, c: Mapping[str, float], threads: int) -> float:
    return total(steps, m.processor(where, 1), c) / total(steps, m.processor(where, threads), c)


def _steps(where: Mapping[str, Any], name: str, width: str) -> Steps:
    made = where["workloads"][name]["steps"]
    return Steps(made.get(width) or next(iter(made.values())))


def _predicted(where: Mapping[str, Any], c: Mapping[str, float]) -> str:
    """The gain of each workload on what is imagined, the serial part and the bound."""
    rows = [["workload", *(f"{m.cores} cores" for m in MACHINES), "alone", "bound, 32 cores"]]
    middle = MACHINES[1]
    for name in where["workloads"]:
        gains = [f"{_gain(m, where, _steps(where, name, m.width), c, m.cores):.1f}" for m in MACHINES]
        steps = _steps(where, name, middle.width)
        parts = {b: float(t.sum()) for b, t in times(steps, middle.processor(where, middle.cores), c).items()}
        parts["calls"] += c["begin"] * middle.processor(where, 1).call
        bound = max(BOUNDS, key=parts.__getitem__)
        alone = serial(steps, middle.processor(where, middle.cores), c)
        rows.append(
            [WORKLOADS[name].title, *gains, f"{alone:.1%}", f"{bound} {parts[bound] / sum(parts.values()):.0%}"]
        )
    return table(rows)


def plot(found: Mapping[str, Any]) -> str:
    """An SVG: the gain by the number of threads, a line for each workload, on the largest processor."""
    _, c, _ = _fitted(json.dumps(found))
    where = next(iter(found.values()))
    largest = MACHINES[-1]
    left, right, top, bottom = 60, 640, 50, 430
    counts = [2**i for i in range(int(math.log2(largest.cores)) + 1)]
    x = lambda n: left + (right - left) * math.log2(n) / math.log2(largest.cores)
    y = lambda gain: bottom - (bottom - top) * math.log2(max(gain, 0.5) / 0.5) / math.log2(largest.cores / 0.5)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 {bottom + 50}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="22" font-size="13">Time of one thread over that of more, by the model: {largest.cores} cores</text>',
    ]
    for n in counts:
        parts.append(f'<path d="M{x(n):.1f} {top}V{bottom}M{left} {y(n):.1f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(n):.1f}" y="{bottom + 18}" text-anchor="middle">{n}</text>')
        parts.append(f'<text x="{left - 8}" y="{y(n) + 4:.1f}" text-anchor="end">{n}</text>')
    parts.append(
        f'<path d="M{x(1):.1f} {y(1):.1f}L{right} {y(largest.cores):.1f}" stroke="#444" stroke-dasharray="4"/>'
    )
    ends = []
    for name in where["workloads"]:
        gains = [_gain(largest, where, _steps(where, name, largest.width), c, n) for n in counts]
        colour = COLOURS[name.partition("/")[0]]
        points = " ".join(f"{x(n):.1f},{y(gain):.1f}" for n, gain in zip(counts, gains, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        ends.append((y(gains[-1]), colour, WORKLOADS[name].title))
    free = float(top)
    for height, colour, title in sorted(ends):  # names do not lie on each other
        free = max(free, min(height, bottom - 13.0 * len(ends) + 13.0 * len(parts)))
        parts.append(f'<text x="{right + 10}" y="{free + 4:.1f}" fill="{colour}">{escape(title)}</text>')
        free += 13
    return "\n".join([*parts, "</svg>", ""])
