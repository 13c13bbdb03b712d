"""Makes what is made of pages of the documentation: notebooks, and the pictures that their programs draw; and the picture of
the architecture.

python -m tests.pages
"""

from __future__ import annotations

import contextlib
import doctest
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import architecture
from tests.test_docs import IMAGES, ROOT, blocks, own_pictures, run

#: The pages that are notebooks too.
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("tutorial", "training")]


def cells(page: str) -> Iterator[tuple[str, str]]:
    """The cells of a notebook of a page, with their kinds: what lies between programs, and each program, without what it
    prints."""
    lines = page.split("\n")
    start = 0
    for block in blocks(page):
        if block.info != "python":
            continue
        first = block.line - 2  # the fence
        if text := "\n".join(lines[start:first]).strip():
            yield "markdown", text
        examples = doctest.DocTestParser().get_examples(block.text)
        yield "code", ("".join(example.source for example in examples) or block.text).rstrip("\n")
        start = first + block.text.count("\n") + 2
    if text := "\n".join(lines[start:]).strip():
        yield "markdown", text


def notebook(page: str) -> dict[str, Any]:
    """A page as a notebook, in Jupyter's format 4.5."""
    made: list[dict[str, Any]] = []
    for i, (kind, text) in enumerate(cells(page)):
        cell = {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": text.splitlines(keepends=True)}
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def make(page: Path) -> None:
    """Write the notebook of a page beside it, and its pictures where they are kept."""
    text = page.read_text(encoding="utf-8")
    written = json.dumps(notebook(text), indent=1, ensure_ascii=False) + "\n"
    page.with_suffix(".ipynb").write_text(written, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        namespace: dict[str, Any] = {"__name__": f"page_{page.stem}"}
        for block in blocks(text):
            if block.info == "python":
                run(block, page.relative_to(ROOT), namespace)  # pictures name it where they say of a line
        for name in own_pictures(page):
            shutil.copy(Path(folder) / name, IMAGES / name)


if __name__ == "__main__":
    for each in PAGES:
        make(each)
    architecture.picture().save(architecture.PICTURE)
