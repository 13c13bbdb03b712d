"""The ops of the cookbook in four libraries: python -m tests.benchmarks.extending [--write] [--no-times] [RECIPE ...]

pip install -e '.[bench,foreign]'

Lines, what works, what the checks say of wrong rules, and microseconds on one core with one thread. `--write` puts the tables
into docs/extending_compared.md. Takes ten minutes, most of it JAX compiling what it runs once.
"""

from __future__ import annotations

import os
import sys
import warnings

from tests.benchmarks.harness import fill
from tests.benchmarks.side_by_side.command import pin


def main(arguments: list[str]) -> None:
    """Measure, print, and write with `--write`."""
    pin(1)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.simplefilter("ignore")
    from tests.benchmarks.extending import report, wrong
    from tests.benchmarks.extending.libraries import LIBRARIES
    from tests.benchmarks.extending.measure import facts, lines, times
    from tests.benchmarks.extending.recipes import RECIPES

    chosen = [a for a in arguments if not a.startswith("-")] or list(RECIPES)
    libraries = [make() for make in LIBRARIES.values()]
    found = {}
    for recipe in chosen:
        print(recipe, file=sys.stderr)
        found[recipe] = {each.name: facts(each, recipe) for each in libraries}
    tables = {
        "lines": report.lines({r: {each.name: lines(each.source(r)) for each in libraries} for r in chosen}),
        "works": report.what_works(found),
        "wrong": report.wrong_rules(
            {kind: {each.name: wrong.verdict(each, kind) for each in libraries} for kind in wrong.KINDS}
        ),
    }
    if "--no-times" not in arguments:
        works = lambda recipe, name, how: not found[recipe][name].compiled[how]
        tables["times"] = report.times(
            {r: times(libraries, r, lambda name, how, r=r: works(r, name, how)) for r in chosen}
        )
    for name, table in tables.items():
        print(table, end="\n\n")
        if "--write" in arguments and chosen == list(RECIPES):
            fill(report.PAGE, name, table)
    for recipe, each in found.items():
        for name, what in each.items():
            for error in (*what.orders[-1:], *what.compiled.values(), what.batched, what.forward):
                if error and name == "tapenet":
                    print(f"{recipe}, {name}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
