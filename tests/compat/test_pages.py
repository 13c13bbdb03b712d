"""The pages for those who come from elsewhere: what they say is so, beside the framework that they speak of."""

from __future__ import annotations

import re
import types
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compat.differences import DIFFERENCES, OF_VIEWS, Difference

DOCS = Path(__file__).resolve().parents[2] / "docs"
PYTORCH = (DOCS / "coming_from_pytorch.md").read_text(encoding="utf-8")
IMPORTS, PROGRAM = re.findall(r"^```python\n(.*?)^```", PYTORCH, re.MULTILINE | re.DOTALL)[:2]


def row(difference: Difference) -> str:
    return f"| `{difference.example}` | {difference.there} | {difference.here} | `{difference.instead}` |"


def test_the_page_has_the_whole_table() -> None:
    head = ["| code | PyTorch | here | what gives PyTorch's result |", "|---|---|---|---|"]
    assert "\n".join([*head, *map(row, (*DIFFERENCES, OF_VIEWS))]) in PYTORCH


def run(imports: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "program"}
    exec(compile(imports, "imports.py", "exec"), scope)
    exec(compile(PROGRAM, "program.py", "exec"), scope)
    return scope


def test_the_program_runs_as_it_is_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = run("import numpy as np, torch, torch.nn.functional as F\nfrom torch import nn, optim\n")
    ours = run(IMPORTS)
    assert isinstance(ours["net"], tn.nn.Module)
    assert isinstance(theirs["net"], torch.nn.Module)
    assert theirs["accuracy"] > 0.5
    assert ours["accuracy"] > 0.5
    ours["net"].load_state_dict(theirs["net"].state_dict())
    with tn.no_grad(), torch.no_grad():
        found, expected = ours["net"](ours["images"]).numpy(), theirs["net"](theirs["images"]).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_program_meets_no_silent_difference() -> None:
    module = types.ModuleType("program")
    exec(compile(IMPORTS, "imports.py", "exec"), vars(module))
    with tn.testing.porting() as found:
        exec(compile(PROGRAM, "program.py", "exec"), vars(module))
    assert found == []


def test_the_counts_on_the_page() -> None:
    pytest.importorskip("torch")
    from tests.ops import test_torch_names as names

    found = Counter(names.takes(p.ours, n) for p in names.PAIRS for n in names.named(p))
    pattern = r"More than (\d+) functions .*? more than (\d+) names .*? All but (\d+) .*? (\d+) in 100"
    functions, arguments, unknown, taken = map(int, re.search(pattern, PYTORCH, re.DOTALL).groups())  # type: ignore[union-attr]
    assert len(names.PAIRS) > functions - 10  # PyTorch's versions differ in what they document
    assert sum(found.values()) > arguments - 50
    assert found["no"] == unknown
    assert round(100 * found["yes"] / sum(found.values())) in (taken - 1, taken, taken + 1)
