"""Measured quantities as text, with three digits and their unit."""

from __future__ import annotations

from collections.abc import Sequence


def seconds(value: float) -> str:
    """A time."""
    if value >= 1:
        return f"{value:.3g} s" if value < 1000 else f"{value:.0f} s"
    for factor, unit in ((1e3, "ms"), (1e6, "µs")):
        if value * factor >= 0.9995:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.2g} µs"


def size(count: int) -> str:
    """Bytes."""
    return _scaled(count, (" B", " kB", " MB", " GB", " TB"))


def many(count: int) -> str:
    """A large number.

    >>> many(4_089_184_256)
    '4.09 G'
    """
    return _scaled(count, ("", " k", " M", " G", " T"))


def _scaled(value: float, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.4g}{units[-1]}"
