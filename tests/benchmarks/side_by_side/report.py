"""Where figures were taken, and how they are printed."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path

from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.measure import Result


def machine(threads: int) -> Result:
    """Where and with what the figures were taken."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": threads,
        "clock": "processor time" if cores() == 1 else "wall",
        "os": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("tapenet", "numpy", "llvmlite", "torch", "jax", "onnxruntime")},
    }


def _cpu() -> str:
    """The model's name and numbers, where Linux says them: a virtual machine may hide the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    return f"{fields.get('model name', platform.processor())}, model {fields.get('model', '?')}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def save(path: Path, where: Result, results: dict[str, Result]) -> None:
    """Write everything that was measured, and on which machine."""
    found = {"machine": where, "workloads": results}
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def microseconds(value: float) -> str:
    """With about three digits, from 1,000 on to the unit."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 3}f}"


def ratio(r: Result) -> str:
    """A ratio beside its bound."""
    return f"{r['of']} / {r['over']} {r['ratio']:.3f} (at most {r['at most']}: {'met' if r['met'] else 'MISSED'})"


def aligned(rows: list[list[str]]) -> list[str]:
    """Cells in columns, numbers to the right; what names a row or tells its ratios, to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(w) if i == 0 or (i == last and last > 1) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
