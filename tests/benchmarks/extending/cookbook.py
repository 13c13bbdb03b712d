"""The programs of docs/cookbook.md: what is foreign there, which all sides call, and the ops that are made of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

from tests.test_docs import blocks

PAGE = Path(__file__).parents[3] / "docs" / "cookbook.md"


def _programs() -> list[str]:
    return [b.text for b in blocks(PAGE.read_text(encoding="utf-8")) if b.info == "python" and ">>> " not in b.text]


@cache
def foreign() -> SimpleNamespace:
    """What the programs that make no op define."""
    found: dict[str, object] = {}
    for text in _programs():
        if "tn." not in text:
            exec(compile(text, str(PAGE), "exec"), found)
    return SimpleNamespace(**found)


def section(name: str) -> str:
    """The program that makes the op of that name."""
    return next(
        t for t in _programs() if f"\n{name} = tn.op(" in f"\n{t}" or ("@tn.op(" in t and f"\ndef {name}(" in t)
    )
