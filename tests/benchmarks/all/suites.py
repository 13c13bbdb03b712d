"""The suites there are: packages of benchmarks with a module `workloads` (CANDIDATES, WORKLOADS), and perhaps one that measures
them in a way of its own, `measure`, and one that says more of the figures, `page`."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.benchmarks.side_by_side.measure import Plan, Result, with_memory

NAMES = ("compiled", "elementwise", "inference", "layers", "networks", "parallel", "shapes")


class Suite(NamedTuple):
    """A suite by the name of its package."""

    name: str

    @property
    def package(self) -> str:
        """For importing."""
        return f"{(__package__ or '').rpartition('.')[0]}.{self.name}"

    @property
    def about(self) -> str:
        """What it measures, in a sentence."""
        return (importlib.import_module(self.package).__doc__ or "").strip()

    @property
    def candidates(self) -> tuple[str, ...]:
        """Who takes part."""
        return tuple(self._module("workloads").CANDIDATES)

    @property
    def workloads(self) -> tuple[str, ...]:
        """What is measured."""
        return tuple(self._module("workloads").WORKLOADS)

    @property
    def alone(self) -> tuple[str, ...]:
        """Those among the workloads that are measured with one thread only."""
        return self._told("ALONE")

    @property
    def slow(self) -> tuple[str, ...]:
        """Those among the candidates that take minutes to begin with."""
        return self._told("SLOW")

    def _told(self, name: str) -> tuple[str, ...]:
        return tuple(getattr(self._module("workloads"), name, ()))

    def more(self, found: Result) -> tuple[str, str]:
        """What the suite's own module `page`, if it has one, makes of its figures: a text behind the tables, and a plot."""
        if not self._has("page") or "1" not in found["suites"].get(self.name, {}):
            return "", ""
        text, drawn = self._module("page").made(found["suites"][self.name]["1"], found["machine"]["1"])
        return text, drawn

    def measure(self, workload: str, candidates: Iterable[str], plan: Plan) -> Result:
        """The figures of a workload."""
        if self._has("measure"):
            found: Result = self._module("measure").measure(workload, candidates, plan)
            return found
        of = self._module("workloads")
        return with_memory(self.package, workload, of.WORKLOADS[workload], candidates, of.MEMORY, plan)

    def _has(self, module: str) -> bool:
        return importlib.util.find_spec(f"{self.package}.{module}") is not None

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")


def suites() -> dict[str, Suite]:
    """All of them, by name."""
    return {name: Suite(name) for name in NAMES}


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
