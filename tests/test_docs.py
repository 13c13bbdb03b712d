"""The documentation is true: its programs run, every op has its mathematics, and every link leads somewhere."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

import tapenet.ops
from tapenet import nn, optim
from tapenet.ops.op import numpy_functions, registry

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


class Block(NamedTuple):
    """A fenced piece of a page: what stands after the opening fence, the text, and the number of its first line."""

    info: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.split("\n")
    start = None
    for i, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = i
        else:
            yield Block(lines[start].strip().strip("`").strip(), "\n".join(lines[start + 1 : i]) + "\n", start + 2)
            start = None
    assert start is None, f"the block that begins in line {(start or 0) + 1} has no end"


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)


# -- programs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def functions_restored() -> Iterator[None]:
    """An op in the documentation may stand for a NumPy function; afterwards none does that did not before."""
    before = dict(numpy_functions)
    yield
    numpy_functions.clear()
    numpy_functions.update(before)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
@pytest.mark.usefixtures("functions_restored")
def test_programs_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after the other in one namespace, those with `>>>` as doctests.

    A block marked "python no-run" is left out: one that cannot run here, not one that fails.
    """
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for block in blocks(page.read_text(encoding="utf-8")):
        language, *marks = block.info.split() or [""]
        assert language not in ("py", "pycon", "python3"), f"{page.name}:{block.line}: write ```python"
        if language == "python" and marks != ["no-run"]:
            assert not marks, f"{page.name}:{block.line}: {marks} is no mark of a block"
            run(block, page, namespace)


def run(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    """Run one block; an error names the page and its line."""
    if ">>> " not in block.text:
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
        return
    example = doctest.DocTestParser().get_doctest(block.text, {}, page.name, str(page), block.line - 1)
    example.globs = namespace
    output: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example, out=output.append, clear_globs=False)
    assert not runner.failures, "".join(output)


def test_a_wrong_program_is_noticed() -> None:
    page = Path("page.md")
    with pytest.raises(AssertionError, match="Expected"):
        run(Block("python", ">>> 1 + 1\n3\n", 1), page, {})
    with pytest.raises(ZeroDivisionError) as caught:
        run(Block("python", "x = 1\nx / 0\n", 7), page, {})
    assert caught.traceback[-1].lineno + 1 == 8


# -- coverage ----------------------------------------------------------------------------------------------------


def every_op() -> list[str]:
    """The names of the ops that come with the package."""
    for module in pkgutil.iter_modules(tapenet.ops.__path__, "tapenet.ops."):
        importlib.import_module(module.name)
    return sorted({op.name for name, op in registry.items() if name.startswith("tapenet.ops.")})


def missing(names: list[str]) -> list[str]:
    """The names that the page on the mathematics does not have as code."""
    text = prose((ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8"))
    named = set(re.findall(r"`(\w+)`", text))
    return [name for name in names if name not in named]


def test_every_op_is_in_the_mathematics() -> None:
    names = every_op()
    assert {"add", "conv2d", "cross_entropy", "dropout", "embedding"} <= set(names)
    assert not missing(names)


def test_every_optimizer_schedule_and_initialiser_is_in_the_mathematics() -> None:
    initialisers = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    assert "kaiming_uniform_" in initialisers
    assert not missing([*(n for n in optim.__all__ if n not in ("Optimizer", "Schedule")), *initialisers])


# -- links -------------------------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", prose(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = found[anchor] = found.get(anchor, -1) + 1
        if count:
            found[f"{anchor}-{count}"] = 0
    return set(found)


def links(page: str) -> list[str]:
    """The targets of a page's links and images."""
    text = re.sub(r"`[^`]*`", "", prose(page))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<(?:img|a)\s[^>]*?(?:src|href)=\"([^\"]+)\"", text)


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken(page)


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# One `two`, 3\n[a](#one-two-3) [b](#four) [c](other.md) [d](https://example.org) <img src="x.svg">\n'
    )
    assert broken(page) == ["#four", "other.md", "x.svg"]


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = links((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert {page.name for page in PAGES if page.parent.name == "docs"} - {"index.md"} <= set(listed)
