"""What was measured, as a table and as a plot."""

from __future__ import annotations

import math
from html import escape

from tests.benchmarks.compiled.workloads import CANDIDATES, PEERS
from tests.benchmarks.side_by_side.measure import Result
from tests.benchmarks.side_by_side.report import aligned, microseconds, ratio

COLOURS = dict(
    zip(CANDIDATES, ("#b8a2e0", "#8a63d2", "#4b1fa8", "#f4a582", "#d6604d", "#1b9e77", "#888888"), strict=True)
)


def table(results: dict[str, Result]) -> str:
    """Microseconds, ratios beside their bounds, and limits: a line for each workload, first calls and growth as lists."""
    rows = [["µs per call", *CANDIDATES, "limit", "ratios"]]
    lists, failures = [], []
    for name, result in results.items():
        times = {c: microseconds(t["median"]) for c, t in result["times"].items()}
        ratios = "; ".join(map(ratio, result["ratios"]))
        if "limit" in result:
            rows.append([name, *(times.get(c, "-") for c in CANDIDATES), microseconds(result["limit"]["µs"]), ratios])
        else:
            lists += ["", f"{name}: {result['title']}, µs", *aligned([[f"  {c}", t] for c, t in times.items()])]
            lists += [f"  {ratios}"] * bool(ratios)
        failures += [f"{name}: {c} failed: {error}" for c, error in result["errors"].items()]
    return "\n".join([*aligned(rows), *lists, "", *failures])


def plot(results: dict[str, Result]) -> str:
    """An SVG: a row for each workload with a dot for each candidate, at its time over that of the fastest peer."""
    left, right, top, row, low, high = 380, 910, 76, 34, 0.05, 20.0
    x = lambda value: left + (right - left) * math.log(value / low) / math.log(high / low)
    parts = []
    y = top
    for result in results.values():
        times = {c: result["times"][c]["median"] for c in CANDIDATES if c in result["times"]}
        if "limit" not in result or not times:
            continue
        unit = min((times[c] for c in PEERS if c in times), default=min(times.values()))
        parts.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(result["title"])}</text>')
        limit = result["limit"]["µs"] / unit
        if limit > low:
            parts.append(f'<path d="M{x(limit):.1f} {y - 10}v20" stroke="#888" stroke-width="3"/>')
        for c, time in times.items():
            at = x(min(max(time / unit, low), high))
            parts.append(f'<circle cx="{at:.1f}" cy="{y}" r="6" fill="{COLOURS[c]}" fill-opacity="0.85">')
            parts.append(f"<title>{c}: {time:,.1f} µs</title></circle>")
        y += row
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 20} {y + 8}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="20">Time of a call over that of the fastest of PyTorch, torch.compile and JAX; grey bar: limit</text>',
    ]
    for i, c in enumerate(CANDIDATES):
        head.append(f'<circle cx="{18 + i * 124}" cy="42" r="6" fill="{COLOURS[c]}"/>')
        head.append(f'<text x="{28 + i * 124}" y="46">{c}</text>')
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        head.append(f'<path d="M{x(tick):.1f} {top - 14}V{y - 16}" stroke="{"#444" if tick == 1 else "#ddd"}"/>')
        head.append(f'<text x="{x(tick):.1f}" y="{y}" text-anchor="middle">{tick:g}</text>')
    return "\n".join([*head, *parts, "</svg>", ""])
