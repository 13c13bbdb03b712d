"""Runs tests of SciPy's on tensors, and those that fail once more with SciPy's own functions.

    python -m tests.scipy.own.run linalg            # what the list in chosen.py says of a module
    python -m tests.scipy.own.run linalg test_matfuncs.py -k expm

Prints what passes with SciPy and fails on tensors, and counts.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.scipy.own.chosen import CHOSEN, EXCEPTIONS
from tests.scipy.own.on_tensors import REFUSED

SECONDS = 10  # a test may take
LINES = 6  # of what is wrong with it


class Outcomes:
    """Notes how every test ends, and ends those that take too long."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        self.passed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        def late(*_: object) -> None:
            raise TimeoutError(f"more than {SECONDS} s")

        signal.signal(signal.SIGALRM, late)
        signal.alarm(SECONDS)
        try:
            return (yield)
        finally:
            signal.alarm(0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.failed[report.nodeid] = crash.message if crash else str(report.longrepr)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr)


def outcomes(module: str, tests: list[str], options: list[str], on_tensors: bool) -> Outcomes:
    """Runs tests of a module of SciPy's: files of its folder of tests, or single tests."""
    noted, plugins = Outcomes(), []
    if on_tensors:
        from tests.scipy.own.on_tensors import Plugin

        plugins = [Plugin()]
    folder = pathlib.Path(str(importlib.import_module(f"scipy.{module}").__file__)).parent
    given = [str(folder / "tests" / t) for t in tests]
    settings = [
        "-c",
        os.devnull,
        f"--rootdir={folder.parent}",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--assert=plain",  # to rewrite all assertions takes as long as many a module's tests
        "-q",
        "--tb=short",
    ]
    kinds = "not slow and not xslow and not fail_slow"
    with contextlib.redirect_stdout(io.StringIO() if "-x" not in options else sys.stdout):
        pytest.main([*settings, "-m", kinds, *options, *given], plugins=[noted, *plugins])
    return noted


def compared(module: str, tests: list[str], options: list[str]) -> dict[str, Any]:
    """What passes and fails on tensors: what is excepted, and else what passes with SciPy's own functions."""
    ours = outcomes(module, tests, options, True)
    excepted = EXCEPTIONS.get(module, {})
    known = {name for name in ours.failed if any(part in name for part in excepted)}
    found = {name: why for name, why in ours.failed.items() if name not in known}
    if found:
        names = [name.split("/tests/")[1] for name in found]
        plain = subprocess.run(
            [sys.executable, "-m", "tests.scipy.own.run", "--plain", module],
            input=json.dumps(names), capture_output=True, text=True, check=True, cwd=HERE,
        )  # fmt: skip
        theirs = set(json.loads(plain.stdout.splitlines()[-1]))
        found = {name: why for name, why in found.items() if name not in theirs}
    return {"passed": len(ours.passed), "failed": found, "excepted": len(known)}


HERE = pathlib.Path(__file__).parents[3]


def main(args: list[str]) -> int:
    if args[0] == "--plain":
        print(json.dumps(sorted(outcomes(args[1], json.loads(sys.stdin.read()), [], False).failed)))
        return 0
    module, *rest = args
    tests = [a for a in rest if a.startswith("test_")]
    options = [a for a in rest if a not in tests]
    if not tests:
        tests, expression = CHOSEN[module]
        options += ["-k", expression] if expression else []
    found = compared(module, tests, options)
    seen: dict[str, list[str]] = {}
    for name, why in found["failed"].items():
        seen.setdefault(name.split("/tests/")[1].split("[")[0], []).append(why)
    for test, whys in seen.items():
        print(f"{test} ({len(whys)})\n    " + "\n    ".join(whys[0].splitlines()[-LINES:]))
    if REFUSED:
        print("without gradients by an argument:", *sorted(REFUSED))
    print(f"{module}: {found['passed']} passed, {len(found['failed'])} failed, {found['excepted']} excepted")
    return int(bool(found["failed"]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
