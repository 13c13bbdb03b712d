"""What a suite says of its work: tasks, candidates and bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


def means(values: Iterable[Any]) -> list[float]:
    """The mean of each array, taken in float64."""
    return [float(np.mean(np.asarray(value), dtype=np.float64)) for value in values]


def mean_squares(values: Iterable[Any]) -> list[float]:
    """The mean square of each array, taken in float64: of arrays whose own mean is near zero it tells more."""
    return means(np.square(value, dtype=np.float64) for value in values)


class Candidate(NamedTuple):
    """A task as one library does it.

    Attributes:
        step: one call of what is timed.
        wait: given what the last call returned, returns when that is there; part of the time of a round.
        numbers: what `step` returned, as numbers that have to agree between candidates; not timed.
        beside: what else is timed in the same process, by name.
    """

    step: Callable[[], Any]
    wait: Callable[[Any], object]
    numbers: Callable[[Any], list[float]]
    beside: Mapping[str, Callable[[], Any]] = {}


class Bound(NamedTuple):
    """`mine` over the best of `over` is to be at most `at_most`."""

    mine: str
    over: tuple[str, ...]
    at_most: float


class Workload(NamedTuple):
    """A task, its name on paper, and what is to be reached.

    Attributes:
        variants: other ways of a candidate to do it, by the candidate's name.
    """

    title: str
    task: Any
    bounds: tuple[Bound, ...]
    variants: Mapping[str, tuple[str, ...]] = {}


def base(candidate: str) -> str:
    """The candidate without the suffix of a variant."""
    return candidate.partition("/")[0]


def with_variants(candidates: Iterable[str], workload: Workload) -> list[str]:
    """The candidates, each followed by its variants."""
    return [name for c in candidates for name in (c, *(f"{c}/{v}" for v in workload.variants.get(c, ())))]
