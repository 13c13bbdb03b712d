"""The public suite of tests of the array API standard, where `TAPENET_ARRAY_API_TESTS` names a checkout of it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import tapenet as tn
from tests.array_api.functions import CONSTANT, DIFFERENTIABLE, OF_DTYPES, STEPS
from tests.checkouts import checkout

ROOT = Path(__file__).parents[2]
XFAILS = Path(__file__).with_name("xfails.txt")


def suite() -> Path:
    """The checkout."""
    return checkout("TAPENET_ARRAY_API_TESTS", "https://github.com/data-apis/array-api-tests")


def results(module: str, storage: Path, *options: str) -> Counter[str]:
    """How many tests of the suite passed, failed and so on with a module, after what it said if it could not run them."""
    environment = os.environ | {
        "ARRAY_API_TESTS_MODULE": module,
        "ARRAY_API_TESTS_VERSION": tn.__array_api_version__,
        "HYPOTHESIS_STORAGE_DIRECTORY": str(storage),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-rfE", "--disable-deadline",
               "--derandomize", "--disable-warnings", *options]  # fmt: skip
    done = subprocess.run(command, cwd=suite(), env=environment, capture_output=True, text=True, check=False)
    *said, summary = done.stdout.splitlines() or [done.stderr]
    print("\n".join(said[-80:]), done.stderr)
    return Counter({kind: int(count) for count, kind in re.findall(r"(\d+) (\w+)", summary.partition(" in ")[0])})


@pytest.mark.slow
def test_the_suite_passes(tmp_path: Path) -> None:
    """All but what NumPy does not pass either. What is skipped is for earlier versions of the standard or not called at all."""
    found = results("tapenet", tmp_path, "--max-examples=10", f"--xfails-file={XFAILS}", "array_api_tests")
    assert found["failed"] == found["error"] == found["errors"] == 0, found
    assert found["passed"] >= 1340, found
    assert found["skipped"] <= 6, found


@pytest.mark.slow
def test_numpy_passes_none_of_those_that_we_do_not(tmp_path: Path) -> None:
    names = [line for line in XFAILS.read_text(encoding="utf-8").splitlines() if line.startswith("array_api_tests")]
    found = results("numpy", tmp_path, "--max-examples=200", *names)
    assert found["failed"] == len(names), found


def test_the_tables_have_every_function_of_the_standard() -> None:
    folder = f"_{tn.__array_api_version__.replace('.', '_')}"
    named: set[str] = set()
    for path in (suite() / "array-api" / "src" / "array_api_stubs" / folder).glob("*.py"):
        if path.stem.endswith("_functions") or path.stem in ("fft", "linalg"):
            first = ast.parse(path.read_text(encoding="utf-8")).body[0]
            space = f"{path.stem}." if path.stem in ("fft", "linalg") else ""
            assert isinstance(first, ast.Assign)
            named |= {space + name for name in ast.literal_eval(first.value)}
    assert named == {*DIFFERENTIABLE, *STEPS, *CONSTANT, *OF_DTYPES.split()}
