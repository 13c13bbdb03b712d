"""What a whole module takes, in words. Loaded where a picture has modules: units of quantities are those of profiles."""

from __future__ import annotations

from tapenet.drawing.model import counted_parameters
from tapenet.profiling.quantities import many, size


def totals(parameters: int, multiply_adds: int, in_bytes: int) -> str:
    """How many numbers a module learns, how much it computes, if that is known, and the memory of its parameters.

    >>> totals(61_706, 3_330_000, 246_824)
    '61,706 parameters · 3.33 M multiply-adds · 247 kB'
    """
    work = f"{many(multiply_adds)} multiply-adds" if multiply_adds else ""
    return " · ".join(filter(None, [counted_parameters(parameters), work, size(in_bytes)]))
