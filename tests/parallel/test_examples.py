"""The examples check themselves, on several ranks too. (As one process CI runs every example.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parallel.launching import needs_mpi, passes

EXAMPLES = Path(__file__).parents[2] / "examples"


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ranks", "says"),
    [
        ("hessian", 2, "sparse Hessian"),
        ("model", 2, "pipeline on 2 ranks: gradients within"),
        ("sweep", 2, "2 ranks: best is"),
        ("mnist", 3, "3 ranks and one differ by"),
        ("gpt", 2, "2 ranks, "),
    ],
)
def test_on_several_ranks(name: str, ranks: int, says: str) -> None:
    assert says in passes(ranks, str(EXAMPLES / f"parallel_{name}.py"))
