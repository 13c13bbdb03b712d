"""Runs a generator's cases, and shows the shortest that fails."""

from __future__ import annotations

import importlib
import importlib.util
import time
from typing import Any, Protocol, cast

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis.strategies import SearchStrategy

#: The backends of `tn.compile` that are here.
BACKENDS = ["numpy", "native"] if importlib.util.find_spec("llvmlite") else ["numpy"]
#: Every generator; each is the module `tests.fuzz.NAME`.
NAMES: tuple[str, ...] = (
    "faults",
    "layers",
    "leaks",
    "programs",
    "rules",
    "state",
    "transforms",
)


class Generator(Protocol):
    """What a module with a generator has."""

    __doc__: str | None
    CASES: SearchStrategy[Any]
    FEW: int
    MANY: int

    def check(self, case: Any) -> None:
        """Raise where the case shows a defect."""


def generator(name: str) -> Generator:
    """The generator of this name."""
    return cast(Generator, importlib.import_module(f"tests.fuzz.{name}"))


def run(made: Generator, cases: int, seed: int) -> None:
    """Check so many cases; the same seed draws the same ones.

    Raises:
        Exception: what `check` raised on the shortest case that was found to fail, with its program as a note.
    """

    @seeded(seed)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[check for check in HealthCheck if check is not HealthCheck.filter_too_much],
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(case=made.CASES)
    def checked(case: Any) -> None:
        try:
            made.check(case)
        except Exception as error:
            error.add_note(f"\n# seed {seed}; the shortest case that fails:\n{case}")
            raise

    checked()


def run_for(made: Generator, minutes: float, seed: int, cases: int = 50) -> int:
    """Check cases for about so long, with a new seed for every few of them. Returns how many were checked."""
    end = time.monotonic() + 60 * minutes
    checked = 0
    while checked == 0 or time.monotonic() < end:
        run(made, cases, seed)
        checked += cases
        seed += 1
    return checked
