"""An SVG of all that was measured: a row for each workload, a dot for each candidate."""

from __future__ import annotations

import math
from html import escape

from tests.benchmarks.all.suites import suites
from tests.benchmarks.side_by_side.measure import Result, best, medians

#: What candidates are drawn in, by how their names begin.
COLOURS = {
    "tapenet-eager": "#b8a2e0",
    "tapenet-plan": "#8a63d2",
    "tapenet": "#4b1fa8",
    "torch-eager": "#f4a582",
    "torch": "#d6604d",
    "jax": "#1b9e77",
    "numpy": "#888888",
    "numba": "#2166ac",
    "onnxruntime": "#e7b416",
}
LEFT, RIGHT, TOP, ROW, LOW, HIGH = 430, 960, 86, 22, 0.05, 20.0


def plot(found: Result) -> str:
    """Times over that of the fastest peer: discs with one thread, rings with more."""
    parts, y, used = [], TOP, set()
    for name, suite in suites().items():
        by_threads = found["suites"].get(name, {})
        titles = {w: r["title"] for results in by_threads.values() for w, r in results.items()}
        for workload, title in titles.items():
            dots = []
            for threads, results in sorted(by_threads.items()):
                values = medians(results[workload]["times"]) if workload in results else {}
                times = {c: values[b] for c in suite.candidates if (b := best((c,), values))}
                peers = [t for c, t in times.items() if not c.startswith(("tapenet", "numpy"))]
                if not peers:
                    continue
                for c, time in times.items():
                    used.add(_colour(c))
                    at = _x(min(max(time / min(peers), LOW), HIGH))
                    look = f'fill="{_colour(c)}" fill-opacity="0.85"'
                    if threads != "1":
                        look = f'fill="none" stroke="{_colour(c)}" stroke-width="2"'
                    note = f"{c}, {threads} thread{'s' * (threads != '1')}: {time:,.1f} µs"
                    dots.append(f'<circle cx="{at:.1f}" cy="{y}" r="5" {look}><title>{escape(note)}</title></circle>')
            if dots:
                parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(title)}</text>')
                parts += dots
                y += ROW
    return "\n".join([*_frame(y, used), *parts, "</svg>", ""])


def _frame(bottom: float, used: set[str]) -> list[str]:
    """Head, legend and scale."""
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {RIGHT + 20} {bottom + 8}" font-family="sans-serif" '
        'font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="20">Time over that of the fastest peer: a disc with one thread, a ring with two</text>',
    ]
    for i, (name, colour) in enumerate((n, c) for n, c in COLOURS.items() if c in used):
        head.append(f'<circle cx="{18 + i * 116}" cy="42" r="6" fill="{colour}"/>')
        head.append(f'<text x="{28 + i * 116}" y="46">{name}</text>')
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        head.append(f'<path d="M{_x(tick):.1f} {TOP - 14}V{bottom - 16}" stroke="{"#444" if tick == 1 else "#ddd"}"/>')
        head.append(f'<text x="{_x(tick):.1f}" y="{bottom}" text-anchor="middle">{tick:g}</text>')
    return head


def _x(value: float) -> float:
    return LEFT + (RIGHT - LEFT) * math.log(value / LOW) / math.log(HIGH / LOW)


def _colour(candidate: str) -> str:
    return next((colour for start, colour in COLOURS.items() if candidate.startswith(start)), "#000000")
