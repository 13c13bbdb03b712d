"""The tutorial's four programs: short, and they reach their result from any seed."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = ("xor", "xor_conv", "mnist_fc", "mnist_conv")


def source(program: str) -> str:
    return (EXAMPLES / f"{program}.py").read_text(encoding="utf-8")


def learns(program: str, seed: int, epochs: int | None = None) -> None:
    """Run a program from a seed. It checks its own result."""
    text = source(program)
    assert text.count("tn.random.seed(0)") == 1
    text = text.replace("tn.random.seed(0)", f"tn.random.seed({seed})")
    if epochs is not None:
        text = re.sub(r"epochs=\d+", f"epochs={epochs}", text)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(text, f"{program}.py, seed {seed}", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_has_twenty_lines_at_most(program: str) -> None:
    """Imports, words and empty ones included."""
    assert 10 < len(source(program).splitlines()) <= 20


@pytest.mark.parametrize(("program", "epochs"), [("xor", None), ("xor_conv", None), ("mnist_fc", 12)])
def test_a_program_reaches_its_result(program: str, epochs: int | None) -> None:
    """The digits in fewer epochs, which are enough for it."""
    learns(program, 0, epochs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "epochs"), [("xor", None), ("xor_conv", None), ("mnist_fc", None), ("mnist_conv", 50)]
)
def test_a_program_reaches_its_result_from_any_seed(program: str, epochs: int | None) -> None:
    for seed in range(10):
        learns(program, seed, epochs)
