"""What SciPy and scikit-learn do with tensors where they follow the array API standard: docs/libraries.md says what is true,
and its programs run. Each in a process of its own, since SciPy looks for `SCIPY_ARRAY_API=1` when it is imported.

After a change that is meant, or for another release of these libraries, write the tables anew and look at what git shows:

    TAPENET_OVERWRITE=1 python -m pytest -m slow tests/libraries/test_array_api_libraries.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.libraries.outcomes import ARRAYS, DIFFERENTIATED, LACKS, VALUES

PAGE = Path(__file__).parents[2] / "docs" / "libraries.md"
#: The releases that the tables are of; of others they may differ.
RELEASES = {"scipy": "1.17.", "scikit-learn": "1.9."}
TITLES = {
    DIFFERENTIATED: "differentiated through",
    VALUES: "values alone: the result has no derivative, or is a number",
    ARRAYS: "values alone: for a tensor that needs a gradient it is an error",
    LACKS: "not followed",
}


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=PAGE.parents[1],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(found: dict[str, str]) -> str:
    """The functions of each module by what becomes of them."""
    lines = ["| | functions |", "|---|---|"]
    for kind, title in TITLES.items():
        names: dict[str, list[str]] = {}
        for name in sorted(n for n, outcome in found.items() if outcome == kind):
            space, _, function = name.rpartition(".")
            names.setdefault(space, []).append(f"`{function}`")
        spaces = "; ".join(f"**{space}**: {' '.join(functions)}" for space, functions in names.items())
        lines.append(f"| {title}: {sum(map(len, names.values()))} | {spaces} |")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "program"), [("scipy", "scipy_calls"), ("scikit-learn", "sklearn_calls")], ids=["scipy", "sklearn"]
)
def test_the_tables_in_the_documentation(library: str, program: str) -> None:
    if library != "scipy":
        pytest.importorskip("sklearn")
    found: dict[str, str] = json.loads(run("-m", f"tests.libraries.{program}"))
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {library} -->\n", f"\n<!-- /{library} -->"
    before, _, rest = page.partition(begin)
    written, _, after = rest.partition(end)
    if os.environ.get("TAPENET_OVERWRITE"):
        PAGE.write_text(before + begin + table(found) + end + after, encoding="utf-8")
        return
    if metadata.version(library).startswith(RELEASES[library]):
        assert written == table(found)
    assert sum(outcome == DIFFERENTIATED for outcome in found.values()) >= 25


@pytest.mark.slow
def test_the_programs_of_the_page() -> None:
    """Ten calls of SciPy and of scikit-learn, differentiated through; xarray; pandas."""
    programs = re.findall(r"```python no-run\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(programs) == 4
    for text in programs:
        for name in ("sklearn", "xarray", "pandas"):
            if f"import {name}" in text or f"from {name}" in text:
                pytest.importorskip(name)
        run("-c", text)
