"""Kernels found by what they are written for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tapenet.llvm import blas, factories, processor, rehearsal, sources, toolchain
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.sharing import Shared

_target = toolchain.target


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in which kernels are looked for by what they are written for."""
    toolchain.available()
    place = tmp_path / "cache"
    monkeypatch.setenv("TAPENET_CACHE", str(place))
    monkeypatch.setattr(factories, "BY_ARGUMENTS", True)
    monkeypatch.setattr(factories, "sources", lambda: "these")
    return place


def _adding(written: list[float]) -> Callable[..., Shared]:
    """What writes kernels that add a number; as in a new process, since none has been asked for."""

    @factory(8)
    def adding(number: float, char: str = "f") -> Shared:
        written.append(number)
        k = Kernel("adding", char)
        x = k.array(1)
        begin, end = k.range(4)
        for i in k.turns(end, begin):
            x.store(x.load(i) + k.number(number), i)
        return k.shared()

    return adding


def _run(kernel: Shared) -> list[float]:
    x = np.arange(6, dtype="f")
    kernel(6, 6, x)
    return x.tolist()


def test_a_kernel_that_is_kept_is_not_written() -> None:
    written: list[float] = []
    adding = _adding(written)
    first = adding(2.0)
    assert adding(2.0) is first
    expected = [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert _run(first) == expected
    begun = rehearsal.state.begun
    second = _adding(written)(2.0)
    assert rehearsal.state.begun == begun  # there is nothing to compile ahead
    assert _run(second) == expected
    assert (written, second.symbol(), second.parts(1 << 20, 1 << 30)) == (
        [2.0], first.symbol(), first.parts(1 << 20, 1 << 30),
    )  # fmt: skip
    assert _run(_adding(written)(3.0)) == [e + 1 for e in expected]
    assert written == [2.0, 3.0]


def test_one_whose_code_is_gone_is_written_anew(cache: Path) -> None:
    written: list[float] = []
    expected = _run(_adding(written)(2.0))
    for file in cache.glob("*.o"):
        os.unlink(file)
    assert _run(_adding(written)(2.0)) == expected
    assert written == [2.0, 2.0]


@pytest.mark.parametrize("what", ["sources", "code", "processor", "blas", "unknown", "all"])
def test_all_around_a_kernel_is_in_its_key(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[float] = []
    _run(_adding(written)(2.0))
    if what == "sources":
        monkeypatch.setattr(factories, "sources", lambda: "others")
    elif what == "code":
        monkeypatch.setattr(toolchain, "target", lambda: _target()._replace(key="another"))
    elif what == "processor":
        other = processor.Processor("x86-64-v2", "", processor.LEVELS["x86-64-v2"][0])
        monkeypatch.setattr(factories, "processor", lambda: other)
    elif what == "blas":
        monkeypatch.setattr(factories, "find", lambda: blas.Blas({}, "i16"))
    elif what == "unknown":  # sources that were changed since they were read
        monkeypatch.setattr(factories, "sources", sources.sources)
        monkeypatch.setattr(sources, "BEGUN", 0.0)
        sources.sources.cache_clear()
    else:
        monkeypatch.setattr(factories, "BY_ARGUMENTS", False)
    _run(_adding(written)(2.0))
    sources.sources.cache_clear()
    assert written == [2.0, 2.0]
