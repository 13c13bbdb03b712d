"""The table of primitives, and the page that is printed from it.

After a change that is meant, write the page anew and look at what git shows of it:

    TAPENET_OVERWRITE=1 python -m pytest tests/program/test_primitives.py
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tapenet.compiler.innermost
import tapenet.compiler.quantizing
import tapenet.ops.functions  # noqa: F401  says how what ops stand for is differentiated
from tapenet.program import derivatives
from tapenet.program.batching import RULES as BATCHING
from tapenet.program.derivatives import FLAT
from tapenet.program.differentiating import DEFINITIONS
from tapenet.program.primitives import ADDED, NAMES, PRIMITIVES, Spec, function, loop_dtypes
from tapenet.program.pullback import STRUCTURE, WHOLE

PAGE = Path(__file__).parents[2] / "docs" / "primitives.md"
INTRODUCTION = """# Primitives

The common language of ops, compiler and backends. An op is a formula in plain NumPy; run on symbols, it becomes a program of
these primitives ([the compiler](compiler.md)). Passes rewrite programs, backends run them, and the gradient of a program is
a program again. A new op needs no new primitive; one that has to have its own code is
added by [`tn.primitive`](extending/primitive.md).

This page is printed from the table that the code itself reads: `PRIMITIVES` in `tapenet/program/primitives.py`, with the
derivatives of `tapenet/program/derivatives.py` and the rules of `tapenet/program/batching.py`. There, `evaluate` is the
meaning of a primitive in NumPy, and every backend is held against it. Arrays have no strides here: which result is a view of
which memory is a backend's affair.

In a derivative `g` is the gradient by the result, `out` is the result, and `safe_mul` the primitive of that name. Axes that
were broadcast are summed over afterwards. Forward mode (`tapenet/program/pushforward.py`) takes the same rules, where `g` is
the tangent of the argument. "In terms of primitives": the derivative is in `tapenet/program/pullback.py`. "0": the result is
constant wherever it has a derivative. "–": there is none.

"Over lanes" says what a primitive becomes where it is computed for many arguments at once, which lie along an axis in front,
the lanes. What has none is computed once for all.
"""
#: The rows of the table but for those that other tests add.
OWN = {name: row for name, row in PRIMITIVES.items() if name not in ADDED}
TITLES = {
    "elementwise": "Element by element",
    "reduction": "Reductions",
    "view": "Views",
    "product": "Products",
    "movement": "Movement",
    "control": "Loops and branches",
    "order": "Order and running sums",
    "linear algebra": "Linear algebra",
    "transform": "Fourier transforms",
    "convolution": "Convolution",
    "call": "Calls",
}
NOTES = {
    "elementwise": "Shapes broadcast as in NumPy, and dtypes are those of NumPy's loop: arguments already have the dtypes that "
    "the loop takes (`Builder.elementwise` casts them). A `cast` or `copy` says itself what it gives. Over lanes each is "
    f"{inspect.getdoc(BATCHING['add'])}.",
    "movement": "A `template` is an index with holes; each hole stands for one of the arrays.",
    "linear algebra": "Once for each place in the leading axes. Options of NumPy's functions are parameters. Native code runs "
    "the loops that NumPy runs, which call LAPACK. Real matrices have `dot` in place of `matmul`. Each is differentiated as "
    "the op of its name.",
    "transform": "Native code runs the loops that NumPy runs. Each is differentiated as the op of its name.",
    "convolution": "Of trained models alone, whose kernels are constants (`tn.compile(f, frozen=True)`); all others are calls.",
    "control": "The parameters of these are programs, without references, hosts and writes.",
    "call": "What cannot be said in primitives: an op that branches on values, draws random numbers or has an effect. With "
    "`effect` it runs at each call and in order; with `sized` values say how many elements it gives, and another number than "
    "when it was captured raises `Resized`.",
}


def rules() -> dict[str, dict[str, str]]:
    """The text of the rules of `derivatives`: of a lambda its expression, of a function that is one expression, that too."""
    tree = ast.parse(inspect.getsource(derivatives))
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    (table,) = (n.value for n in tree.body if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "RULES")
    assert isinstance(table, ast.Dict)

    def text(rule: ast.expr) -> str:
        if isinstance(rule, ast.Lambda):
            return ast.unparse(rule.body)
        assert isinstance(rule, ast.Name)
        *_, last = functions[rule.id].body
        single = len([n for n in functions[rule.id].body if not isinstance(n, ast.Expr)]) == 1
        assert isinstance(last, ast.Return)
        assert last.value is not None
        return ast.unparse(last.value) if single else f"{rule.id}(...)"

    found = {}
    for name, row in zip(table.keys, table.values, strict=True):
        assert isinstance(name, ast.Constant)
        assert isinstance(row, ast.Dict)
        found[name.value] = {
            ast.literal_eval(arg): text(rule) for arg, rule in zip(row.keys, row.values, strict=True) if arg is not None
        }
    return found


def page() -> str:
    """The page, from the table."""
    texts = rules()

    def derivative(name: str) -> str:
        if name in texts:
            return "; ".join(f"{arg}: `{rule}`" for arg, rule in texts[name].items())
        if name in {*STRUCTURE, *DEFINITIONS, *WHOLE}:
            return "in terms of primitives"
        return "0" if name in {*FLAT, "stop"} else "–"

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text.replace("|", "\\|")

    parts = [INTRODUCTION]
    for kind, title in TITLES.items():
        rows = {name: row for name, row in OWN.items() if row.kind == kind}
        gives = kind != "elementwise"
        parts += [f"## {title}\n"] + ([f"{textwrap.fill(NOTES[kind], 120)}\n"] if kind in NOTES else [])
        head = [
            "primitive",
            "of",
            "computes",
            *(["gives"] if gives else []),
            "derivative",
            *(["over lanes"] if gives else []),
        ]
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for name, row in rows.items():
            cells = [f"`{name}`", f"`{row.args}`", row.computes, *([row.gives] if gives else []), derivative(name)]
            cells += (
                [" ".join(str(inspect.getdoc(BATCHING[name]) if name in BATCHING else "–").split())] if gives else []
            )
            lines.append("| " + " | ".join(map(cell, cells)) + " |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def test_the_page_is_that_of_the_table() -> None:
    if os.environ.get("TAPENET_OVERWRITE"):
        PAGE.write_text(page(), encoding="utf-8", newline="\n")
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_row_is_complete() -> None:
    assert {row.kind for row in OWN.values()} == set(TITLES)
    for name, row in OWN.items():
        assert row.args, name
        assert row.computes, name
        assert row.gives or name in [n for names in NAMES.values() for n in names], name


@pytest.mark.parametrize(("count", "name"), [(count, name) for count, names in NAMES.items() for name in names])
def test_what_is_evaluated_is_what_is_inferred(count: int, name: str) -> None:
    """Shape and dtype of an elementwise primitive, of two shapes that broadcast."""
    if name in ("erf", "erfc", "normal_cdf"):
        pytest.importorskip("scipy")
    kind = bool if name.startswith(("logical", "bitwise", "invert", "left", "right")) else np.float32
    dtypes = loop_dtypes(name, (np.dtype(kind),) * count)[:count]
    arrays = [np.ones(shape, dtype) for shape, dtype in zip([(2, 1), (3,), (2, 3)], dtypes, strict=False)]
    row = PRIMITIVES[name]
    with np.errstate(all="ignore"):
        found, evaluated = function(name)(*arrays), row.evaluate(*arrays)
    assert row.infer([Spec(a.shape, a.dtype) for a in arrays], {}) == [Spec(found.shape, found.dtype)]
    np.testing.assert_array_equal(evaluated, found)
