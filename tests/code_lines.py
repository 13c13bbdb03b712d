"""How many lines of code there are: lines without blank ones, comments and docstrings, by folder.

python -m tests.code_lines [FOLDER ...] [--files] [--any] [--compare REVISION]
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(source: str) -> int:
    """The lines of a module that hold code."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstrings.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    return len(found - docstrings)


def lines_with_any(source: str) -> int:
    """The lines of a module that name `Any`."""
    return sum(1 for line in source.splitlines() if re.search(r"\bAny\b", line))


def sources(revision: str | None = None) -> dict[str, str]:
    """The modules of the package by path, as they are now or at a revision."""
    if revision is None:
        return {
            path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted((ROOT / "tapenet").rglob("*.py"))
        }
    archive = subprocess.run(["git", "archive", revision, "tapenet"], cwd=ROOT, capture_output=True, check=True).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member) if member.name.endswith(".py") else None
            if file is not None:
                found[member.name] = file.read().decode()
    return found


def _folder(path: str) -> str:
    parts = path.split("/")[1:-1]
    return "/".join(parts[:2]) or "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="only paths that begin so, below tapenet/")
    parser.add_argument("--files", action="store_true", help="by file")
    parser.add_argument("--any", action="store_true", help="count the lines that name Any")
    parser.add_argument("--compare", metavar="REVISION", help="beside those of a revision")
    given = parser.parse_args()
    count = lines_with_any if given.any else code_lines
    tables = []
    for revision in [given.compare, None] if given.compare else [None]:
        table: Counter[str] = Counter()
        for path, source in sources(revision).items():
            if not given.folders or path.removeprefix("tapenet/").startswith(tuple(given.folders)):
                table[path.removeprefix("tapenet/") if given.files else _folder(path)] += count(source)
        tables.append(table)
    for name in sorted(set().union(*tables)):
        print(f"{name:44}", *(f"{table[name]:7}" for table in tables))
    print(f"{'all':44}", *(f"{table.total():7}" for table in tables))


if __name__ == "__main__":
    sys.exit(main())
