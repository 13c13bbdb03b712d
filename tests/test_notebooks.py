"""The notebooks are their pages, and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pages import PAGES, cells, notebook

NAMES = [page.stem for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_notebook_is_made_of_its_page(page: Path) -> None:
    kept = json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))
    assert kept == notebook(page.read_text(encoding="utf-8")), "python -m tests.pages makes it anew"


def test_a_page_is_cut_into_cells() -> None:
    page = "# Title\n\n```python\nx = 1\n```\n\nText.\n\n```text\nno program\n```\n\n"
    page += "```python\n>>> x + 1\n2\n>>> for i in range(2):\n...     x += i\n\n```\n"
    assert list(cells(page)) == [
        ("markdown", "# Title"),
        ("code", "x = 1"),
        ("markdown", "Text.\n\n```text\nno program\n```"),
        ("code", "x + 1\nfor i in range(2):\n    x += i"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_cells_of_a_notebook_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), namespace)
    assert list(tmp_path.glob(f"{page.stem}-*.svg"))
