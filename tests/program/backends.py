"""The backends that the tests of compiled functions run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tapenet as tn
from tapenet.compiler.compile import Compiled

#: A test with an argument `compiled` runs on each backend.
backends = pytest.mark.parametrize("compiled", ["numpy", "native"], indirect=True)
Compile = Callable[..., Compiled]


@pytest.fixture
def compiled(request: pytest.FixtureRequest) -> Compile:
    """`tn.compile` for one backend."""
    backend = getattr(request, "param", "numpy")
    if backend == "native":
        pytest.importorskip("llvmlite")

    def make(fn: Any, **options: Any) -> Compiled:
        return tn.compile(fn, backend=backend, **options)

    return make
