"""The tables of docs/mathematics.md, made from the ops: what each computes, and its gradient.

python -m tests.mathematics

writes them. A remark that follows a text after a comma stays while the text does, and so does the
mark ᶻ.
"""

from __future__ import annotations

import re
from pathlib import Path

from tapenet.drawing.sources.mathematics import formula, gradient_rules
from tapenet.ops.op import Op
from tapenet.ops.registry import everything, registry

PAGE = Path(__file__).parent.parent / "docs" / "mathematics.md"
#: A row is about some ops; names in parentheses are other names of them.
_OPS = re.compile(r"`\w+`(, `\w+`)*( \(.*\))?")


def with_tables(page: str) -> str:
    """The page with what the ops say in its tables with a column for values."""
    columns: list[str] = []
    lines = page.split("\n")
    for i, line in enumerate(lines):
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns = cells(line)
        elif columns[:2] == ["op", "value"] and _OPS.fullmatch(cells(line)[0]):
            lines[i] = f"| {' | '.join(_row(cells(line), columns))} |".replace("|  |", "| |")
    return "\n".join(lines)


def rows(page: str) -> dict[str, list[str]]:
    """The cells of each row about ops, by the name of each."""
    found = [cells(line) for line in page.split("\n") if line.startswith("|")]
    return {name: row for row in found if _OPS.fullmatch(row[0]) for name in names(row)}


def cells(line: str) -> list[str]:
    """The cells of a row; a stroke in one is written with a backslash."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names(row: list[str]) -> list[str]:
    """The ops that a row is about."""
    return re.findall(r"`(\w+)`", row[0].partition(" (")[0])


def _row(row: list[str], columns: list[str]) -> list[str]:
    ops = [op for name in names(row) if (op := _op(name)) is not None]
    if not ops:  # a composition, which is no op
        return row
    texts = ["; ".join(dict.fromkeys(map(formula, ops)))]
    if columns[2:3] == ["gradient"]:
        rules = [gradient_rules(op) for op in ops]
        if len({frozenset(rule.items()) for rule in rules}) == 1 and len(rules[0]) > 1:
            texts.append("; ".join(f"{name}: {text}" for name, text in rules[0].items()))
        else:
            texts.append("; ".join(dict.fromkeys("; ".join(rule.values()) or "none" for rule in rules)))
    return [row[0], *map(_kept, row[1:], texts), *row[1 + len(texts) :]]


def _kept(cell: str, text: str) -> str:
    """A cell that says a text; as it is, if it does already."""
    text = text.replace("|", "\\|")
    said = cell.replace(" ᶻ", "")
    return cell if said == text or said.startswith(f"{text}, ") else text


def _op(name: str) -> Op | None:
    everything()
    return next((op for op in registry.values() if isinstance(op, Op) and op.name == name), None)


def write() -> None:
    """Write the page with its tables."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
