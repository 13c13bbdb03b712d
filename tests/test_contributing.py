"""What contributors are told is true: the files are there, the commands are CI's, and hosted CI runs the same script."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import tapenet
from tests.test_docs import blocks, prose

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
#: What stands as code in the text, and the lines of its blocks.
CODE = re.findall(r"`([^`\n]+)`", prose(PAGE))
COMMANDS = [line for block in blocks(PAGE) for line in block.text.splitlines() if line]


def paths(text: str) -> list[str]:
    """The paths of the project that a text names."""
    return re.findall(r"(?<![\w./-])(?:tapenet|tests|docs|examples|\.ci|\.github)/[\w./-]*", text)


def test_the_files_that_it_names_exist() -> None:
    named = {path for text in (*CODE, *COMMANDS) for path in paths(text)}
    assert {"tests/ops/test_registry.py", "tapenet/optim/rules/"} <= named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_what_it_names_in_a_file_is_there() -> None:
    """`NAME` in `FILE`, or of it."""
    named = re.findall(r"`(\w+)`(?:,? (?:and|of|in) `\w+`)* (?:of|in) `([\w./]+\.py)`", " ".join(PAGE.split()))
    assert named
    for name, file in named:
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")), f"{name} of {file}"


def test_its_table_of_ci_is_what_ci_runs() -> None:
    (table,) = re.findall(r"^## Run CI\n(.*?)^## ", PAGE, flags=re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| [\w ]+ \| `([^`]+)` \|$", table, flags=re.MULTILINE)
    assert len(rows) >= 5
    for command in rows:
        assert f"step {command}" in RUN


def test_modules_and_tests_that_it_runs_exist() -> None:
    commands = [code for code in (*CODE, *COMMANDS) if "python -m" in code]
    modules = re.findall(r"python -m (tests(?:\.\w+)+)", "\n".join(commands))
    assert set(modules) >= {"tests.stubs", "tests.pages"}
    files = {name: ROOT / name.replace(".", "/") for name in modules}
    assert not [
        n for n, file in files.items() if not any(f.exists() for f in (file.with_suffix(".py"), file / "__main__.py"))
    ]
    for file, word in re.findall(r"(tests/[\w/]+\.py) -k ([a-z]\w+)", "\n".join(commands)):
        assert re.search(rf"def test_\w*{word}", (ROOT / file).read_text(encoding="utf-8")), f"{file} -k {word}"


def test_extras_that_are_installed_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"\.\[(\w+)\]", PAGE):
        assert re.search(rf"^{extra} = \[", project, flags=re.MULTILINE), extra


@pytest.mark.parametrize("part", ["An op", "A layer", "An optimizer", "A primitive", "A kernel"])
def test_each_thing_to_add_is_a_checklist_with_its_test(part: str) -> None:
    (text,) = re.findall(rf"^### {part}\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert re.search(r"^1\. .*?`tapenet/", text, flags=re.MULTILINE | re.DOTALL)
    (test,) = re.findall(r"^Test: (.*)", text, flags=re.MULTILINE | re.DOTALL)
    assert "tests/" in test


def test_hosted_ci_runs_the_script() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"^\s+- run: (.*)$", workflow, flags=re.MULTILINE) == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ((first, last),) = re.findall(r"Python (\d\.\d+) to (\d\.\d+)", readme)
    assert re.findall(r'"(\d\.\d+)"', workflow) == [first, last]


def test_commits_are_checked_by_the_tools_of_ci() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = [shlex.split(entry)[:2] for entry in re.findall(r"^\s+entry: (.*)$", hooks, flags=re.MULTILINE)]
    assert entries == [["ruff", "check"], ["ruff", "format"], ["mypy"]]
    for entry in entries:
        assert f"step {' '.join(entry)}" in RUN


def test_the_changelog_names_what_is_there() -> None:
    """What stands in it as `tn.` is a public name."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", changes, flags=re.MULTILINE)[0] == "Unreleased"
    names = re.findall(r"`tn\.([\w.]+)", changes)
    assert len(names) > 20
    for name in names:
        found: object = tapenet
        for part in name.split("."):
            found = getattr(found, part)
