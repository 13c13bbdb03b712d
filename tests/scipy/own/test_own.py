"""SciPy's own tests pass with tapenet's functions on tensors, but for those of which chosen.py says why."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
import scipy

from tests.scipy.own.chosen import CHOSEN


@pytest.mark.slow
@pytest.mark.parametrize("module", CHOSEN)
def test_scipys_own_tests_pass_on_tensors(module: str) -> None:
    if tuple(map(int, scipy.__version__.split(".")[:2])) != (1, 17):
        pytest.skip("the tests are those of SciPy 1.17")
    found = subprocess.run(
        [sys.executable, "-m", "tests.scipy.own.run", module],
        capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[3], timeout=600,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
