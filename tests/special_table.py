"""The table of docs/scipy/special.md, made from the ops: how each function of `scipy.special` has its derivatives.

python -m tests.special_table

writes it.
"""

from __future__ import annotations

import collections
import re
from pathlib import Path

import numpy as np
import scipy.special

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.special.definition import HOW, WHOLE, scipys

PAGE = Path(__file__).parent.parent / "docs" / "scipy" / "special.md"


def ufuncs() -> list[str]:
    """The names of SciPy's ufuncs."""
    return [
        name
        for name, found in vars(scipy.special).items()
        if not name.startswith("_") and isinstance(getattr(found, "__wrapped__", found), np.ufunc)
    ]


def signature(name: str) -> list[str]:
    """What SciPy calls the arguments."""
    ufunc = scipys(name)
    lines = re.findall(rf"{ufunc.__name__}\(([^)[]*)", ufunc.__doc__ or "")
    named = [line for line in lines if not line.startswith("x1")]  # NumPy's line, if there is one, has x1, x2, ...
    found = named[0].split(", ") if named else []
    return found[: ufunc.nin] if len(found) >= ufunc.nin else list("xyzw"[: ufunc.nin])


def how(name: str) -> dict[str, str] | None:
    """How the derivative by each argument, under SciPy's name, is computed; None of a function that is no op."""
    op = getattr(tn.special, name, None)
    if not isinstance(op, Op):
        return None
    said = HOW.get(op.name, {})
    return {theirs: said.get(ours, "formula") for theirs, ours in zip(signature(name), op.inputs, strict=True)}


def table() -> str:
    """The table, and how many there are of each kind."""
    rows, counts = [], collections.Counter[str]()
    names = sorted(ufuncs())
    for name in names:
        found = how(name)
        if found is None:
            counts["without"] += 1
            rows.append(f"| `{name}` | not there |")
            continue
        missing = [why for why in found.values() if why.startswith("none") and why != f"none: {WHOLE}"]
        counts["whole"] += not missing
        counts.update(set(found.values()) & {"formula", "series", "quadrature", "interpolation"})
        by = collections.defaultdict(list)
        for argument, text in found.items():
            by[text].append(f"`{argument}`")
        cell = "; ".join(f"{', '.join(arguments)}: {text}" for text, arguments in by.items())
        rows.append(f"| `{name}` | {cell} |")
    kinds = ", ".join(f"by {kind} in {counts[kind]}" for kind in ("formula", "series", "quadrature", "interpolation"))
    number = "All" if counts["whole"] == len(names) else f"{counts['whole']} of the"
    return (
        f"{number} {len(names)} ufuncs of SciPy have derivatives by every argument that is no whole number:\n"
        f"{kinds}\n(for several arguments of one ufunc in several ways).\n\n"
        "| function | derivative |\n|---|---|\n" + "\n".join(rows)
    )


def with_table(page: str) -> str:
    """The page with the table as the ops have it."""
    return re.sub(
        r"(<!-- ufuncs -->\n).*?(<!-- /ufuncs -->)", lambda m: f"{m[1]}{table()}\n{m[2]}", page, flags=re.DOTALL
    )


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
