"""The suites there are: packages of benchmarks with a module `workloads` (CANDIDATES, WORKLOADS) and a module `measure`."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.side_by_side.measure import Plan, Result

FOLDER = Path(__file__).parents[1]


class Suite(NamedTuple):
    """A suite by the name of its package."""

    name: str

    @property
    def package(self) -> str:
        """For importing."""
        return f"{FOLDER.parent.name}.{FOLDER.name}.{self.name}"

    @property
    def about(self) -> str:
        """What it measures, in a sentence."""
        return (importlib.import_module(self.package).__doc__ or "").strip()

    @property
    def candidates(self) -> tuple[str, ...]:
        """Who takes part."""
        return tuple(importlib.import_module(f"{self.package}.workloads").CANDIDATES)

    @property
    def workloads(self) -> tuple[str, ...]:
        """What is measured."""
        return tuple(importlib.import_module(f"{self.package}.workloads").WORKLOADS)

    @property
    def alone(self) -> tuple[str, ...]:
        """Those among the workloads that are measured with one thread only."""
        return self._told("ALONE")

    @property
    def slow(self) -> tuple[str, ...]:
        """Those among the candidates that take minutes to begin with."""
        return self._told("SLOW")

    def _told(self, name: str) -> tuple[str, ...]:
        return tuple(getattr(importlib.import_module(f"{self.package}.workloads"), name, ()))

    def more(self, found: Result) -> tuple[str, str]:
        """What the suite's own module `page`, if it has one, makes of its figures: a text behind the tables, and a plot."""
        if importlib.util.find_spec(f"{self.package}.page") is None or "1" not in found["suites"].get(self.name, {}):
            return "", ""
        text, drawn = importlib.import_module(f"{self.package}.page").made(
            found["suites"][self.name]["1"], found["machine"]["1"]
        )
        return text, drawn

    def measure(self, workload: str, candidates: Iterable[str], plan: Plan) -> Result:
        """The figures of a workload."""
        found: Result = importlib.import_module(f"{self.package}.measure").measure(workload, candidates, plan)
        return found


@functools.cache
def suites() -> dict[str, Suite]:
    """All of them, by name."""
    folders = sorted(file.parent for file in FOLDER.glob("*/workloads.py") if (file.parent / "measure.py").exists())
    return {folder.name: Suite(folder.name) for folder in folders}


def chosen(names: Iterable[str]) -> list[tuple[Suite, str]]:
    """Suites and workloads by "SUITE" or "SUITE/WORKLOAD", the workload perhaps as a pattern.

    Raises:
        ValueError: of an unknown name.
    """
    found = []
    for name in names:
        suite, _, workload = name.partition("/")
        matching = fnmatch.filter(suites()[suite].workloads, workload or "*") if suite in suites() else []
        if not matching:
            raise ValueError(f"no suite or workload {name!r}; the suites are {', '.join(suites())}")
        found += [(suites()[suite], w) for w in matching]
    return found
