"""The tables that compare the cookbook's ops with other libraries say what is so."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.benchmarks.extending import wrong
from tests.benchmarks.extending.cookbook import PAGE as COOKBOOK
from tests.benchmarks.extending.libraries import LIBRARIES, Library
from tests.benchmarks.extending.measure import facts, lines
from tests.benchmarks.extending.recipes import RECIPES
from tests.benchmarks.extending.report import NAMES, PAGE, VERDICTS, linked, works

#: What is measured again of each library: those that take long to compile, a little.
AGAIN = {
    "tapenet": list(RECIPES),
    "autograd": list(RECIPES),
    "torch": ["erf", "kepler", "population"],
    "jax": ["rounded"],
}
OUTDATED = "python -m tests.benchmarks.extending --write"


@pytest.fixture(scope="module", autouse=True)
def _jax_computes_as_before() -> Iterator[None]:
    """JAX is told to compute in float64 there, which other tests do not expect."""
    yield
    if jax := sys.modules.get("jax"):
        jax.config.update("jax_enable_x64", False)


def cells(table: str) -> dict[str, dict[str, str]]:
    """A table of the page: its cells, by row and library."""
    text = PAGE.read_text(encoding="utf-8").partition(f"<!-- {table} -->\n")[2].partition(f"\n<!-- /{table} -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()[2:]]
    return {row[0].strip(): dict(zip(NAMES, row[1:], strict=True)) for row in rows}


def test_a_program_is_counted_without_what_explains_it() -> None:
    program = (
        '"""What it is."""\n\n# why\n@f\ndef g(x):\n    """Of\n    this."""\n    return (\n        x\n    )  # so\n'
    )
    assert lines(program) == 5


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_counted_anew(name: str) -> None:
    library = LIBRARIES[name]()
    table = cells("lines")
    counts = {recipe: lines(library.source(recipe)) for recipe in RECIPES}
    assert {linked(r): str(n) for r, n in counts.items()} == {
        r: row[name] for r, row in table.items() if r[0] == "["
    }, OUTDATED
    assert table["**all**"][name] == f"**{sum(counts.values())}**"


def test_each_op_is_a_section_of_the_cookbook() -> None:
    titles = [line[3:] for line in COOKBOOK.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert [recipe.section for recipe in RECIPES.values()] == titles


@pytest.fixture(scope="module", params=NAMES)
def library(request: pytest.FixtureRequest) -> Library:
    for package in ("numba", "cffi", *[request.param] * (request.param != "tapenet")):
        pytest.importorskip(package)
    return LIBRARIES[request.param]()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the libraries
def test_what_works_is_what_the_page_says(library: Library) -> None:
    table = cells("works")
    found = {linked(r): works(facts(library, r)) for r in AGAIN[library.name]}
    assert found == {r: table[r][library.name] for r in found}, OUTDATED


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_checks_say_what_the_page_says(library: Library) -> None:
    table = cells("wrong")
    kinds = ["sign", "wrong dtype"] if library.name == "jax" else list(wrong.KINDS)
    found = {kind: VERDICTS[wrong.verdict(library, kind)] for kind in kinds}
    said = {kind: table[kind][library.name] for kind in kinds}
    if library.name == "autograd":  # pytest writes more into the messages of its check than others see
        found, said = ({kind: str(cell != "-") for kind, cell in cells.items()} for cells in (found, said))
    assert found == said, OUTDATED


def test_tapenet_leads() -> None:
    """In lines in all, in what works, and in what its check finds; no wrong number comes out without an error."""

    def totals(table: str, row: str) -> dict[str, int]:
        return {name: int(cell.strip("*")) for name, cell in cells(table)[f"**{row}**"].items()}

    count = totals("lines", "all")
    assert min(count, key=count.__getitem__) == "tapenet"
    for row in ("right to order 3", "compiled", "batched", "forward mode"):
        found = totals("works", row)
        assert found["tapenet"] == max(found.values()), row
    assert totals("works", "wrong without an error")["tapenet"] == 0
    assert totals("wrong", "named")["tapenet"] == len(wrong.KINDS)
