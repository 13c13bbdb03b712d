"""The documentation is true: its programs run, every op has its mathematics, and every link leads somewhere."""

from __future__ import annotations

import doctest
import gc
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

import tapenet
import tapenet.ops
from tapenet import nn, optim
from tapenet.autodiff.control import branches, loops, whiles
from tapenet.drawing.sources.mathematics import DERIVED, call, formula, gradient_rules
from tapenet.metrics.by_name import NAMES as NAMES_OF_METRICS
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tests import architecture, mathematics

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
IMAGES = ROOT / "docs" / "images"
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
#: What the programs of a page need beside the package.
NEEDS = {"precision": ["ml_dtypes"], "cookbook": ["numba", "cffi"]}
#: Pages whose programs take longer than a few seconds.
LONG = {"cookbook"}
#: How many ops state their formula and gradients by hand, at most.
FORMULAS, GRADIENTS = 94, 117


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


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=[pytest.mark.slow] if p.stem in LONG else []) for p in PAGES], ids=NAMES
)
def test_programs_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after the other in one namespace, those with `>>>` as doctests.

    A block marked "python no-run" is left out: one that cannot run here, not one that fails. The pictures that they make
    and the page shows are the ones that are kept.
    """
    for package in NEEDS.get(page.stem, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for block in blocks(page.read_text(encoding="utf-8")):
        language, *marks = block.info.split() or [""]
        assert language not in ("py", "pycon", "python3"), f"{page.name}:{block.line}: write ```python"
        if language == "python" and marks != ["no-run"]:
            assert not marks, f"{page.name}:{block.line}: {marks} is no mark of a block"
            run(block, page, namespace)
    shown = own_pictures(page)
    assert shown == {path.name for path in tmp_path.glob(f"{page.stem}-*.svg")}
    for name in shown:
        kept, made = (folder / name for folder in (IMAGES, tmp_path))
        assert words(made) == words(kept), f"{name} shows something else by now: python -m tests.pages"


def own_pictures(page: Path) -> set[str]:
    """The pictures on a page that its programs make: their names begin with its own."""
    names = {Path(link).name for link in links(page.read_text(encoding="utf-8")) if link.startswith("images/")}
    return {name for name in names if name.startswith(f"{page.stem}-")}


def words(picture: Path) -> set[str]:
    """What is written in a picture. Not its numbers: training rounds differently elsewhere."""
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", picture.read_text(encoding="utf-8"))
    return {re.sub(r"[-−]?[\d.,]+", "0", text) for text in texts}


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


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_lines_are_no_longer_than_those_of_code(page: Path) -> None:
    """But for tables, what is HTML, and a link that cannot be broken."""
    lines = prose(page.read_text(encoding="utf-8")).split("\n")
    widest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]["pycodestyle"]
    is_free = lambda line: line.lstrip().startswith(("|", "<")) or len(line.split()) <= 2
    assert [line for line in lines if len(line) > widest["max-line-length"] and not is_free(line)] == []


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("*.svg")), ids=lambda picture: picture.stem)
def test_pictures_name_files_as_they_lie_in_the_project(picture: Path) -> None:
    """A tooltip says of which line a box is: not in which folder of whose machine."""
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", picture.read_text(encoding="utf-8"))  # pixels
    for place in re.findall(r"([^\s|\"]+\.(?:py|md)):\d+", text):
        assert (ROOT / place).exists(), place
        assert not Path(place).is_absolute(), place


@pytest.mark.slow
def test_the_picture_of_the_architecture_is_of_this_one(tmp_path: Path) -> None:
    """Its folders and arrows: numbers of files and lines change with every commit."""
    made = architecture.picture().save(tmp_path / "architecture.svg")
    assert words(made) == words(architecture.PICTURE), "python -m tests.pages"
    arrows = [set(re.findall(r"\w+ → \w+", file.read_text(encoding="utf-8"))) for file in (made, architecture.PICTURE)]
    assert len(arrows[0]) > 10
    assert arrows[0] == arrows[1], "python -m tests.pages"


def test_a_wrong_program_is_noticed() -> None:
    page = Path("page.md")
    with pytest.raises(AssertionError, match="Expected"):
        run(Block("python", ">>> 1 + 1\n3\n", 1), page, {})
    with pytest.raises(ZeroDivisionError) as caught:
        run(Block("python", "x = 1\nx / 0\n", 7), page, {})
    assert caught.traceback[-1].lineno + 1 == 8


#: Programs, and what needs mypy.
_ELSEWHERE = {"tapenet.__main__", "tapenet.data.build_digits", "tapenet.mypy_plugin"}


@pytest.fixture
def nothing_collected() -> Iterator[None]:
    """Before each example doctest walks over `linecache.cache`, from which a compiled program that is collected takes its
    own text: that must not happen on the way."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize(
    "name", sorted({m.name for m in pkgutil.walk_packages(tapenet.__path__, "tapenet.")} - _ELSEWHERE)
)
def test_examples_in_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Ops that an example defines are none of the package's.
    own = {"__name__": f"examples of {name}"}
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS, extraglobs=own)
    assert not found.failed


# -- coverage ----------------------------------------------------------------------------------------------------


def own_ops() -> list[Op | Derived]:
    """The ops that come with the package."""
    tapenet.ops.everything()
    homes = ("tapenet.ops.", branches.__name__, loops.__name__, whiles.__name__)
    return [op for name, op in sorted(registry.items()) if name.startswith(homes)]


def every_op() -> list[str]:
    """Their names."""
    return sorted({op.name for op in own_ops()})


def missing(names: list[str], page: str = "mathematics.md") -> list[str]:
    """The names that a page, usually that on the mathematics, does not have as code."""
    text = prose((ROOT / "docs" / page).read_text(encoding="utf-8"))
    named = set(re.findall(r"`(\w+)`", text))
    return [name for name in names if name not in named]


def test_every_op_is_in_the_mathematics() -> None:
    names = every_op()
    assert {"add", "conv2d", "cross_entropy", "dropout", "embedding"} <= set(names)
    assert not missing(names)


def test_every_initialiser_is_in_the_mathematics() -> None:
    initialisers = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    assert "kaiming_uniform_" in initialisers
    assert not missing(initialisers)


def test_every_optimizer_and_schedule_is_on_its_page() -> None:
    assert not missing([name for name in optim.__all__ if name != "Schedule"], "optimizers.md")


def test_every_metric_is_on_its_page_by_its_name() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert not [
        name for name in tapenet.metrics.__all__ if not re.search(rf"`(metrics\.)?{name}\b", text) and name != "resolve"
    ]
    assert not [name for name in NAMES_OF_METRICS if f'"{name}"' not in text]


# -- formulas ----------------------------------------------------------------------------------------------------


def test_every_op_says_what_it_computes_and_its_gradients() -> None:
    ops = [op for op in own_ops() if isinstance(op, Op)]
    assert len(ops) > 100
    called = {op.name for op in ops if formula(op) == call(op.name, (a.name for a in op.arguments))}
    assert called == {"gcd", "lcm"}
    for op in ops:
        assert len(formula(op)) <= 160, op
        for name, text in gradient_rules(op).items():
            assert text == DERIVED or re.search(r"(?<![a-z])(g|λ|none)(?![a-z(])", text), (op, name, text)
            assert len(text) <= 130, (op, name, text)


def test_few_texts_are_written_by_hand() -> None:
    """Of some 330 ops; each says what its code does not: indices, decompositions, sums over windows."""
    ops = [op for op in own_ops() if isinstance(op, Op)]
    assert sum(op.formula is not None for op in ops) <= FORMULAS
    assert sum(op.gradients is not None for op in ops) <= GRADIENTS


def test_the_tables_of_the_mathematics_are_made_from_the_ops() -> None:
    """`python -m tests.mathematics` writes them."""
    page = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
    assert mathematics.with_tables(page) == page
    assert not {op.name for op in own_ops() if isinstance(op, Op)} - mathematics.rows(page).keys()


def test_a_cell_keeps_its_remark_while_its_text_stays() -> None:
    page = "| op | value | gradient |\n|---|---|---|\n"
    page += "| `exp` (`e`) | eˣ, fast | g · out ᶻ |\n| `multiply` | x + y | x: g; y: g |\n| `sin`, `cos` | sin |  |\n"
    page += "| `absolute` | x | |\n\n| op | source |\n|---|---|\n| `tan` | Euler |\n"
    made = mathematics.with_tables(page).splitlines()
    assert made[2:6] == [
        "| `exp` (`e`) | eˣ, fast | g · out ᶻ |",
        "| `multiply` | x · y | x: g · y; y: g · x |",
        "| `sin`, `cos` | sin x; cos x | g · cos x; −g · sin x |",
        r"| `absolute` | \|x\| | g · sign(x) |",
    ]
    assert made[-1] == "| `tan` | Euler |"


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


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_of_the_code_that_a_page_names_exist(page: Path) -> None:
    """With the folder, as `autodiff/node.py`, or from the root, as `tests/pages.py`."""
    named = set(re.findall(r"`([\w-]+(?:/[\w-]+)+\.py)`", prose(page.read_text(encoding="utf-8"))))
    assert not {name for name in named if not ((ROOT / name).exists() or (ROOT / "tapenet" / name).exists())}


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# One `two`, 3\n[a](#one-two-3) [b](#four) [c](other.md) [d](https://example.org) <img src="x.svg">\n'
    )
    assert broken(page) == ["#four", "other.md", "x.svg"]


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = links((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert {page.name for page in PAGES if page.parent.name == "docs"} - {"index.md"} <= set(listed)
