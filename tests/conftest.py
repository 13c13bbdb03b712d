"""Options of the test run."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tapenet.ops
from tapenet.llvm import factories
from tapenet.llvm.processor import processors
from tapenet.ops import stack_frames as sites
from tapenet.ops.registry import is_own, numpy_functions
from tests.checkouts import is_unnamed

# Everywhere the same cases, on slow machines too. `python -m tests.fuzz` looks for others.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")
# Kernels are written anew: tests put something else in place of what those that write them read.
factories.BY_ARGUMENTS = False
# The tests that walk over the registry are parametrised before the first test could load an op.
tapenet.ops.everything()


# A shell has what it starts in the background ignore Ctrl-C, and tests of that would wait for it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forbid-skips",
        action="store_true",
        help="a skipped test fails, but for those of checkouts: for CI, which installs every extra that a test could miss",
    )

    parser.addoption(
        "--passed",
        metavar="FILE",
        help="a list of tests that passed elsewhere, written where TAPENET_PASSED named the file: one in --again runs again",
    )
    parser.addoption(
        "--again", type=int, default=10, metavar="N", help="which part of the tests named by --passed runs"
    )
    parser.addoption(
        "--part",
        type=int,
        default=1,
        metavar="N",
        help="of a test with many cases four and one in N of the others run",
    )
    parser.addoption("--salt", default="", help="any text: with another, --again and --part take another part")


class _Passed:
    """Writes down which tests pass."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.names.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        Path(self.file).write_text(json.dumps(self.names), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    file = os.environ.get("TAPENET_PASSED")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Passed(file))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` means: one more than there are processors, since tests wait for other processes, browsers
    and timeouts a quarter of their time; none more where MPI is there, whose ranks compute while they wait; few, since each
    collects every test and comes to take a gigabyte or two."""
    return min(processors() + (importlib.util.find_spec("mpi4py") is None), 4)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """One of several processes does not start as many threads of BLAS as there are processors."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# PyTorch's threads wait for each other on the few numbers of a test: with one the tests beside it take half the time.
os.environ.setdefault("MKL_NUM_THREADS", "1")


def _number(text: str) -> int:
    """A number that is the same in every process, and of texts that are alike another one."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A run of all tests has of one with more than four cases four and a sixteenth of the others, always the same; the rest
    counts as slow. Whoever names a file or a word gets each. With `--passed`, most of what is named there is left out, and
    with `--part` most cases of tests with many."""
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    for of_one in cases.values():
        of_one.sort(key=lambda item: _number(item.nodeid))
    everything = {config.rootpath, config.rootpath / "tests"}
    if not config.option.keyword and all(config.invocation_params.dir / arg in everything for arg in config.args):
        for of_one in cases.values():
            quick = [item for item in of_one if not item.get_closest_marker("slow")]
            for item in quick[4 + max(len(quick) - 4, 0) // 16 :]:
                item.add_marker(pytest.mark.slow)
    salt, left = config.getoption("--salt"), set[pytest.Item]()
    part = config.getoption("--part")
    for of_one in cases.values():
        left |= {item for item in of_one[4:] if _number(salt + item.nodeid) % part}
    if file := config.getoption("--passed"):
        again = config.getoption("--again")
        passed = set(json.loads(Path(file).read_text(encoding="utf-8")))
        left |= {item for item in items if item.nodeid in passed and _number(salt + item.nodeid) % again}
    if left:
        config.hook.pytest_deselected(items=[*left])
        items[:] = [item for item in items if item not in left]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    return _refused(report) if item.config.getoption("--forbid-skips") else report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    return _refused(report) if collector.config.getoption("--forbid-skips") else report


@pytest.fixture(scope="session", autouse=True)
def _pictures_of_errors_go_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAPENET_DEBUG_DIR", str(tmp_path_factory.mktemp("debug")))
        yield


@pytest.fixture(autouse=True)
def _as_if_it_ran_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test draws the same random numbers and is warned of the same whatever ran before it. An op that a test defines may
    stand for a NumPy function; afterwards none does that did not before. Those of the package that were loaded meanwhile
    stay: they are not loaded again. One fixture, not three: each costs a fifth of a millisecond a test."""
    tapenet.random.seed(0)
    for generator, state in _generators.get(request.module, ()):
        generator.bit_generator.state = state
    sites._warned.clear()
    before = dict(numpy_functions)
    yield
    if numpy_functions == before:
        return
    new = {function: op for function, op in numpy_functions.items() if function not in before and is_own(op)}
    if new:  # some are made by a function of another module than the one that has them
        modules = [module for name, module in list(sys.modules.items()) if name.startswith("tapenet.")]
        kept = {id(value) for module in modules for value in vars(module).values()}
        new = {function: op for function, op in new.items() if id(op) in kept}
    numpy_functions.clear()
    numpy_functions.update(before | new)


#: Of every module its random generators, as they were before the first test.
_generators: dict[Any, list[tuple[np.random.Generator, Any]]] = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note how random generators begin. And leave what was collected, tens of thousands of tests, out of every later
    search for garbage."""
    for module in {item.getparent(pytest.Module).obj for item in session.items if item.getparent(pytest.Module)}:
        found = [value for value in vars(module).values() if isinstance(value, np.random.Generator)]
        _generators[module] = [(generator, generator.bit_generator.state) for generator in found]
    gc.collect()
    gc.freeze()


@pytest.fixture
def no_garbage() -> None:
    """For a test that counts what lives: what earlier ones left in cycles does not go in its middle."""
    gc.collect()


def _refused(report: Any) -> Any:
    if report.skipped and not hasattr(report, "wasxfail") and not is_unnamed(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped where no test may be: {report.longrepr}"
    return report
