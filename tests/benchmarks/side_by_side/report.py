"""Where figures were taken, and how they are printed."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import textwrap
from pathlib import Path

from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.measure import Result

#: What is compared, by the names of the packages.
LIBRARIES = {
    "tapenet": "tapenet",
    "NumPy": "numpy",
    "llvmlite": "llvmlite",
    "PyTorch": "torch",
    "JAX": "jax",
    "Numba": "numba",
    "onnxruntime": "onnxruntime",
}


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
        **{name: _version(name) for name in LIBRARIES.values()},
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


def table(rows: list[list[str]]) -> str:
    """Markdown: the first row is the head."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def wrapped(text: str, after: str = "") -> str:
    """A paragraph in lines; what stands before those after the first."""
    return textwrap.fill(
        " ".join(text.split()), 120, subsequent_indent=after, break_long_words=False, break_on_hyphens=False
    )


def microseconds(value: float) -> str:
    """With about three digits, from 1,000 on to the unit."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 3}f}"
